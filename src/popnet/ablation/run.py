"""What each technique does on a user's own data: twins that differ in one factor, with intervals."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from popnet._version import __version__
from popnet.ablation import factors, page, summary, words
from popnet.ablation.design import design
from popnet.ablation.experiment import (
    MAX_PAIRS,
    MIN_PAIRS,
    MIN_PLANNED,
    PILOT_PAIRS,
    Experiment,
)
from popnet.ablation.losses import METRICS
from popnet.ablation.record import record, table
from popnet.ablation.results import StudyFacts
from popnet.ablation.sample import base_recipe, sample
from popnet.ablation.words import Unit, detectable
from popnet.data.dataset import Images
from popnet.errors import InputError
from popnet.options import DEFAULTS, Options
from popnet.prepare.source import prepare_source
from popnet.report import format
from popnet.report.document import Document
from popnet.runtime import notebook
from popnet.runtime.memory import Memory
from popnet.runtime.progress import Progress, clock

FINISHING = 2.0
"""Seconds of a time limit that are kept for the page."""

GROWTH = 1.5
"""Of the number of pairs, until it is planned again."""


class Study(StudyFacts):
    """What a study found; its parts are `popnet.ablation.results.StudyFacts`."""

    def __repr__(self) -> str:
        found = self.found
        return f"<popnet.Study of {self.source}: {len(found.effects)} effects, {found.pairs} pairs of twins>"

    def _repr_html_(self) -> str:
        unit, many = summary.unit_of(self), len(self.found.effects)
        lines = [(words.change_of(e), words.sentence(e, unit, many)) for e in self.found.effects]
        return notebook.table(
            f"popnet study of {self.source}", [("", summary.opening(self)), *lines]
        )

    def record(self) -> dict[str, Any]:
        """Return the study as plain JSON."""
        return record(self)

    def csv(self) -> str:
        """Return a line for each level and number of rows, as CSV."""
        return table(self.found)

    def document(self, command: str = "", created: str | None = None) -> Document:
        """Return the study as a page.

        Args:
            command: that makes it again.
            created: date and time to show; None for now.
        """
        created = created or datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        return page.document(self, command, __version__, created)


def study(
    source: Any,
    target: str | Sequence[str] | None = None,
    options: Options = DEFAULTS,
    *,
    factor: Sequence[str] = (),
    pairs: int | None = None,
    detect: float | None = None,
    interactions: bool = False,
    sizes: Sequence[float] = (),
    rows: int | None = None,
    metric: str = "log_loss",
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
    began: float | None = None,
) -> Study:
    """Train twins that differ in one factor each, and say what each factor does.

    Twins have the same seed, initial weights (where their shapes agree), batches and rows. A pair is a fold of a
    repeated five-fold cross-validation; differences are compared on rows that neither training nor early stopping saw.
    Intervals are Student's over the pairs, with what rows add that are tested again (`popnet.ablation.row_overlap`);
    p-values are Holm's (1979) over all comparisons.

    Args:
        source: a table or images, as `popnet.fitting.run.fit` takes them.
        target: column to predict, or several for a regression; None for images in class folders.
        options: of reading and splitting, seed, time limit, workers; ``recipe`` changes the base.
        factor: what to vary, as ``dropout``, ``activation=relu,elu``, ``ensemble``; none for all classic techniques.
        pairs: of twins; None plans them from the variance of the first ones, so that an effect of `detect` is found
            and a factor that does nothing is shown to have no effect as large as that.
        detect: smallest effect that matters, in the metric (0.005 is half a point of error); None for a twentieth of
            the base's.
        interactions: whether levels of different factors are also trained together.
        sizes: shares of the training rows at which the factors are compared too.
        rows: of the data that are used; None for at most 10,000 rows or 2,000 images.
        metric: what is decided by: ``log_loss`` of classes, which sees smaller effects, or ``error``, their share of
            wrong ones; of a regression always the share of the variance that is unexplained.
        on_progress: called now and then.
        stop: when set, training ends and the complete pairs are compared.
        began: moment of ``time.monotonic()`` from which the time limit counts; default now.

    Raises:
        InputError: the data, a factor or a number cannot be used, or the time was over before anything could be
            compared.
    """
    began = time.monotonic() if began is None else began
    options.check()
    _check(pairs, detect, sizes, rows, metric)
    deadline = None if options.time_limit is None else began + options.time_limit - FINISHING
    prepared = prepare_source(
        source,
        target,
        replace(options, test_size=0.0),
        lambda what, done, total: on_progress(Progress(f"reading {what}", done, total)),
    )
    data, usable, notes = sample(prepared, rows, options.seed)
    for note in (*prepared.notes, *notes):
        on_progress(Progress("reading", note=note))
    classification = data.task == "classification"
    if not classification:
        metric = "error"
    image = data.features.size if isinstance(data.features, Images) else None
    base = base_recipe(data, len(usable), options.recipe)
    wanted = [factors.parse(text, base, classification, image) for text in dict.fromkeys(factor)]
    wanted = wanted or factors.classic(base, classification, image)
    twins = design(usable, pairs or MAX_PAIRS, options.seed, prepared.split_keys)
    memory = Memory(options.memory_limit)
    experiment = Experiment(
        data, twins, base, wanted, metric=metric, shares=sizes, interactions=interactions, deadline=deadline,
        workers=options.workers, stop=stop, memory=memory,
    )  # fmt: skip
    unit = Unit.of(data.task, metric)
    asked, least = _run(experiment, pairs, detect, deadline, unit, on_progress)
    found = experiment.found(least, asked)
    planned = pairs or experiment.plan(least).pairs  # without a time limit
    if found.pairs < planned:
        notes.append(f"{experiment.ended} after {found.pairs} of {planned} planned pairs of nets")
    return Study(
        found, experiment.plan(least, found.pairs), format.name_of(source), data.task, len(usable),
        (*prepared.notes, *notes), time.monotonic() - began, options.seed,
    )  # fmt: skip


def _check(
    pairs: int | None, detect: float | None, sizes: Sequence[float], rows: int | None, metric: str
) -> None:
    if pairs is not None and pairs < MIN_PAIRS:
        raise InputError(
            f"a study needs at least {MIN_PAIRS} pairs of nets (--pairs); got {pairs}."
        )
    if detect is not None and not 0 < detect < 10:
        raise InputError(
            f"the smallest effect that matters (--detect) must be above 0, as 0.5%; got {detect:g}."
        )
    for size in sizes:
        if not 0 < size <= 1:
            raise InputError(
                f"a size (--sizes) is a share of the rows, above 0 and up to 1; got {size:g}."
            )
    if rows is not None and rows < 20:
        raise InputError(f"a study needs at least 20 rows (--rows); got {rows}.")
    if metric not in METRICS:
        raise InputError(f"the metric must be one of {', '.join(METRICS)}; got {metric!r}.")


def _run(
    experiment: Experiment,
    pairs: int | None,
    detect: float | None,
    deadline: float | None,
    unit: Unit,
    on_progress: Callable[[Progress], None],
) -> tuple[int, float]:
    """Train a pilot, then as many pairs as are planned, again and again as more of them are known.

    Returns the pairs that were planned at last, and the effect to detect.
    """
    each = experiment.nets_of_a_pair()
    total = min(PILOT_PAIRS, pairs or PILOT_PAIRS) * each

    def on_net() -> None:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        on_progress(Progress("study", experiment.nets, total, left))

    began = time.monotonic()
    experiment.run(range(min(PILOT_PAIRS, pairs or PILOT_PAIRS)), on_net)
    if len(experiment.done()) < 2:
        return pairs or PILOT_PAIRS, experiment.detect(detect) if experiment.done() else (
            detect or 0.01
        )
    told = 0
    while True:
        done = len(experiment.done())
        least = experiment.detect(detect)
        plan = experiment.plan(least, pairs)
        a_pair = (time.monotonic() - began) / done
        if deadline is not None and pairs is None:
            room = math.floor((deadline - time.monotonic()) / max(a_pair, 1e-6))
            if plan.pairs > done + room:
                plan = experiment.plan(least, max(done, PILOT_PAIRS, done + room))
        total = max(plan.pairs, done) * each
        if abs(plan.pairs - told) > told / 10:
            told = plan.pairs
            left = clock(a_pair * max(plan.pairs - done, 0))
            seen = detectable(plan, least, experiment.base_loss(), unit)
            on_progress(Progress("study", note=(
                f"after {done} pairs of nets: {plan.pairs} pairs are planned ({total:,} nets, about {left} more); with "
                f"these, {seen}"
            )))  # fmt: skip
        if plan.pairs <= done:
            return done, least
        step = plan.pairs
        if pairs is None:
            step = min(step, max(MIN_PLANNED, math.floor(GROWTH * done)))
        experiment.run(range(step), on_net)
        if len(experiment.done()) < step or step == pairs:
            return plan.pairs, least
