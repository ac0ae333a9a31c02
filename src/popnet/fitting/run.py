"""The main job: read, check, split, search, train, ensemble, score; what the command line and the estimators call."""

from __future__ import annotations

import hashlib
import shlex
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, cast

import numpy as np

from popnet._version import __version__
from popnet.data.dataset import StoredFeatures
from popnet.diagnosis.tables import leakage, time_order
from popnet.errors import InputError
from popnet.fitting.candidates import Candidates
from popnet.fitting.combined_columns import with_combined_columns
from popnet.fitting.finishing import Fitted, decision_notes, described, finish, settled
from popnet.fitting.training import EPOCH_ROWS, FitTraining
from popnet.options import DEFAULTS, Options
from popnet.predictions import metrics
from popnet.predictions.conformal import MAX_ERRORS, place_of
from popnet.prepare.prepared import Prepared
from popnet.prepare.source import prepare_source
from popnet.runtime.clock import Clock, finite
from popnet.runtime.memory import COMPILING, Memory, used
from popnet.runtime.progress import Progress
from popnet.runtime.sizes import words
from popnet.tuning.journal import Journal


def fit(
    source: Any,
    target: str | Sequence[str] | None = None,
    options: Options = DEFAULTS,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    began: float | None = None,
    stop: threading.Event | None = None,
    command: str = "",
    journal: Journal | None = None,
) -> Fitted:
    """Fit an ensemble of nets to a table, or to images.

    Args:
        source: path of a table, a pandas or polars frame, or a two-dimensional array; or images: a folder with a
            subfolder for each class, and what else `popnet.data.images.read.read_images` takes.
        target: column to predict, or several for regression; images have it but in a table of paths.
        options: see `Options`.
        on_progress: called now and then with a `Progress`, on the calling thread.
        began: moment of ``time.monotonic()`` from which the time limit counts; default now.
        stop: when set during training, training ends and what there is becomes the model.
        command: how the user called this, for the report.
        journal: notes what is trained, and gives what an earlier part of the same run has trained; the caller calls its
            ``done`` when the model is saved. The time limit counts both parts.

    Raises:
        InputError: the table, the target or an option cannot be used, or the journal is of another run; one sentence
            says why and what to do.
    """
    options.check()
    before = 0.0 if journal is None else journal.before
    began = (time.monotonic() if began is None else began) - before
    clock = Clock(began, options.time_limit)
    memory = Memory(options.memory_limit)
    tell = on_progress or _tell_nobody
    tell(Progress("reading", left=finite(clock.left())))
    table = prepare(source, target, options, tell, clock, memory)
    table = with_combined_columns(table, options, tell)
    if options.memory_limit is not None:
        _enough(memory)
    task = table.schema.target.task
    metric = metrics.choose(options.metric, task, len(table.schema.target.names))
    if task == "regression":
        metrics.check(metric, table.encoder.decode_target(table.data.target))
    if options.ensemble == "vote" and task == "regression":
        raise InputError("vote is for classes; use greedy or average for a regression task.")
    for note in [*table.schema.describe(), *table.notes]:
        tell(Progress("reading", note=note))
    reading = clock.elapsed()
    if journal is not None:
        journal.same(_identity(table, options))

    candidates = Candidates(table, metric, options.tta or 1, votes=options.ensemble == "vote")
    if metric.level is not None:
        _enough_held_out(metric.level, candidates)
    training = FitTraining(
        candidates, options, clock, memory, tell, stop or threading.Event(), journal
    )
    try:
        training.train()
    finally:
        training.close()
    done, left = len(training.results), finite(clock.left())
    tell(Progress("finishing", done=done, left=left, metric=metric.name))
    called = source if isinstance(source, str) else type(source).__name__
    fitted = finish(training, reading, called, command)
    for note in [*settled(training), *decision_notes(fitted.model)]:
        tell(Progress("finishing", done=done, metric=metric.name, note=note))
    return fitted


def _tell_nobody(progress: Progress) -> None:
    """Take note of how far a fit is, and do nothing about it."""


MAX_CHECKED, CHECK_SECONDS = 100, 30.0
"""Columns that are looked at for what gives the target away and for an order in time, and the shortest time limit with
which they are: where one is suspected, trees are fitted, which takes seconds."""


def _identity(table: Prepared, options: Options) -> dict[str, Any]:
    """Return what makes a run the same run, by what people call it."""
    digest = hashlib.sha256()
    features = table.data.features
    for part in (
        *vars(features).values(), table.data.target, table.data.weights, table.test,
        *(rows for fold in table.folds for rows in fold),
    ):  # fmt: skip
        if isinstance(part, np.ndarray):
            digest.update(np.ascontiguousarray(cast(np.ndarray, part)).data)
    if isinstance(features, StoredFeatures):
        digest.update(features.digest())
    chosen = {
        f"--{f.name.replace('_', '-')}": getattr(options, f.name)
        for f in fields(options)
        if f.name
        not in (
            "workers",
            "engine",
            "memory_limit",
            "ranges",
            "recipe",
            "task",
            "reading",
            "importance",
        )
    } | {
        f"--{name.replace('_', '-')}": chosen
        for name, chosen in options.reading.model_dump(mode="json").items()
    }
    return {
        "popnet's version": __version__,
        "the target": table.schema.target.names,
        "the data": digest.hexdigest(),
        "the ranges": [str(d) for d in options.ranges],
        "the rows of an epoch": EPOCH_ROWS,
        "the recipe": None if options.recipe is None else options.recipe.model_dump(exclude_unset=True),
        **chosen,
    }  # fmt: skip


def _enough(memory: Memory) -> None:
    """Refuse to train where reading has left too little of the memory limit for it."""
    if not memory.room_for(COMPILING):
        raise InputError(
            f"The data takes {words(used())} once it is read, and compiling a net {words(COMPILING)} more: a memory "
            f"limit of {words(memory.limit)} is too little; give at least {words(1.1 * (used() + COMPILING))}, or "
            "fewer rows."
        )


def _enough_held_out(level: float, candidates: Candidates) -> None:
    """Refuse a quantile that held-out rows are too few for, before anything is trained."""
    table = candidates.table
    # Of rows ordered by time only the last fold's nets are kept.
    rows = table.folds[-1].valid if table.split == "time-ordered" else candidates.rows
    weights = table.data.weights
    count = len(rows) if weights is None else int(np.count_nonzero(np.asarray(weights)[rows]))
    place_of(level, min(count, MAX_ERRORS))


def prepare(
    source: Any,
    target: str | Sequence[str] | None,
    options: Options,
    tell: Callable[[Progress], None] = lambda _: None,
    clock: Clock | None = None,
    memory: Memory | None = None,
) -> Prepared:
    """Read, check, split and encode what the user brings."""

    def reading(what: str, done: int, total: int) -> None:
        left = None if clock is None else finite(clock.left())
        tell(Progress(f"reading {what}", done, total, left))

    table = prepare_source(source, target, options, reading, memory)
    if options.time_limit is not None and options.time_limit < CHECK_SECONDS:
        return table
    doubts = _doubts(table, options.seed)
    return replace(table, notes=[*table.notes, *doubts], doubts=tuple(doubts))


def _doubts(table: Prepared, seed: int) -> list[str]:
    """Return a sentence on each thing that flatters the score, as `popnet doctor` finds them, if that is cheap."""
    rows = table.some_rows
    if rows is None or len(table.schema.features) > MAX_CHECKED:
        return []
    said = [
        f"{finding.title}: {finding.measured} If it is not known when the model is used, leave it out: "
        + " ".join(f"--drop {shlex.quote(column)}" for column in finding.columns)
        for finding in leakage.find(rows, table.schema, np.arange(rows.height), seed)
    ]
    gap = time_order.flattered(rows, table.schema, seed)
    if gap is not None:
        said.append(
            f"'{gap.column}' orders the rows in time: on later rows than those trained on the {gap.metric} of boosted "
            f"trees is {gap.words} higher than on rows in between; if the model is to predict the future, give --time "
            f"{shlex.quote(gap.column)}"
        )
    return said


def relabelled(fitted: Fitted, labels: Sequence[Any]) -> Fitted:
    """Return a classification that was fitted on class numbers 0, 1, ... with labels in their places.

    Args:
        fitted: its classes are 0 to C - 1.
        labels: C of them, truth values, whole numbers, numbers or text.
    """
    model = fitted.model
    target = model.schema.target.model_copy(update={"classes": tuple(labels)})
    schema = model.schema.model_copy(update={"target": target})
    encoder = model.encoder.model_copy(update={"target": target})
    renamed = replace(model, schema=schema, encoder=encoder)
    known = fitted.facts
    facts = replace(
        known,
        target=replace(known.target, classes=list(labels)),
        notes=[*described(renamed), *known.notes[len(described(model)) :]],
    )
    return replace(fitted, model=renamed, facts=facts)
