"""The main job: read, check, split, search, train, ensemble, score; what the command line and the estimators call."""

from __future__ import annotations

import hashlib
import shlex
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import numpy as np

from popnet._version import __version__
from popnet.data.dataset import StoredFeatures
from popnet.diagnosis.tables import leakage, time_order
from popnet.errors import InputError
from popnet.fitting import evidence, selection
from popnet.fitting.candidates import Candidates, is_trees
from popnet.fitting.plan import epochs_note, wanted_epochs
from popnet.fitting.scoring import Scoring
from popnet.fitting.training import EPOCH_ROWS, FitTraining
from popnet.model import summary
from popnet.model.facts import EnsembleScores, FitRecord, ModelFacts, Seconds
from popnet.model.members import as_members
from popnet.model.model import Model
from popnet.options import DEFAULTS, Options
from popnet.population.members import Result
from popnet.predictions import metrics
from popnet.predictions.conformal import MAX_ERRORS, place_of
from popnet.prepare.prepared import Prepared
from popnet.prepare.source import prepare_source
from popnet.report.fit_page.facts import FitFacts, TreesFacts
from popnet.report.format import count, is_number
from popnet.runtime import notebook
from popnet.runtime.clock import Clock, finite
from popnet.runtime.memory import COMPILING, Memory, used
from popnet.runtime.progress import Progress
from popnet.runtime.sizes import words
from popnet.tuning.importance import importance
from popnet.tuning.journal import Journal


@dataclass(frozen=True)
class Fitted:
    """What a fit leaves: the model, the facts for the report, and every member's result."""

    model: Model
    facts: FitFacts
    results: list[Result]
    interrupted: bool

    def __repr__(self) -> str:
        return f"<popnet fit of {self._nets}: {self.model!r}>"

    def _repr_html_(self) -> str:
        lines = [*summary.lines(self.model), ("trained", self._nets)]
        lines += [("warning", text) for text in self.facts.warnings]
        return notebook.table("popnet fit", lines)

    @property
    def _nets(self) -> str:
        return f"{count(len(self.results), 'net')}{', interrupted' if self.interrupted else ''}"


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
    fitted = _finish(training, reading, called, command)
    for note in [*_settled(training), *_decision_notes(fitted.model)]:
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
        not in ("workers", "engine", "memory_limit", "ranges", "recipe", "task", "reading")
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
        notes=[*_described(renamed), *known.notes[len(_described(model)) :]],
    )
    return replace(fitted, model=renamed, facts=facts)


def _described(model: Model) -> list[str]:
    """Return what there is to be said about a model's table, and about its decisions."""
    return [*model.schema.describe(), *_decision_notes(model)]


def _decision_notes(model: Model) -> list[str]:
    return [] if model.decision_sentence is None else [model.decision_sentence]


def _finish(training: FitTraining, reading: float, source: str, command: str) -> Fitted:
    """Choose the ensemble, score it on the test part, and gather the facts.

    Args:
        training: that has ended.
        reading: seconds that it took to read the data.
        source: what the data is called.
        command: how the user called this.
    """
    candidates, trainer, options = training.candidates, training.trainer, training.options
    table, metric = candidates.table, candidates.metric
    results, runs = list(training.results.values()), list(training.runs.values())
    chosen = selection.choose(
        candidates, training.results, options, training.finish, trainer.interrupted
    )
    nets, trees, weights = as_members(chosen.members, chosen.weights)
    model = Model(
        table.schema, table.encoder, nets, weights, chosen.method, metric.name,
        views=candidates.views, conformal=selection.calibrated(candidates, [*nets, *trees], weights),
        decision=selection.decision(candidates, chosen), temperature=chosen.temperature, trees=trees,
    )  # fmt: skip
    scoring = Scoring(model, candidates, chosen.held_out, training.finish, options.seed)
    scores = scoring.scores()
    seen = evidence.find(scoring, training.finish)
    seconds = Seconds(
        total=training.clock.elapsed(), reading=reading, compiling=trainer.compile_seconds,
        training=training.seconds,
    )  # fmt: skip
    known = ModelFacts(scores, FitRecord(len(results), seconds, options.seed, source))
    model = replace(model, facts=known)
    from popnet.report.fit_page import gather

    plan = training.plan
    assert plan is not None
    facts = gather.gather(
        table.schema, metric, known,
        gather.Parts(
            len(table.train), len(table.test), table.split, len(table.folds), table.notes, _class_counts(table),
            table.doubts,
        ),
        gather.Population(
            results, [run.recipe_id for run in runs], chosen.member_weight, candidates.member_scores,
            candidates.scores, _trees(candidates, model),
        ),
        chosen.gain,
        gather.Circumstances(
            command=command, time_limit=options.time_limit, wanted_epochs=wanted_epochs(plan.space, plan.parts),
            warnings=[*chosen.warnings, *_warnings(training, scores, model.level is not None)],
            notes=[
                *_described(model), *table.notes, *epochs_note(table.fold_rows, plan.parts), *plan.notes,
                *_settled(training),
            ],
            importance=_importance(training), augmentation=plan.check,
        ),
        seen,
    )  # fmt: skip
    return Fitted(model, facts, results, trainer.interrupted)


def _trees(candidates: Candidates, model: Model) -> TreesFacts | None:
    """Return how boosted trees did, None if there were none."""
    fitted = [i for i in candidates.by_id if is_trees(i)]
    if not fitted:
        return None
    best = candidates.best_trees()
    score = None if best is None else candidates.scores[best.recipe_id]
    return TreesFacts(score, float(model.tree_weights.sum()), len(fitted))


def _settled(training: FitTraining) -> list[str]:
    """Return a sentence if the search ended by itself."""
    settling = training.settling
    if settling is None or settling.last is None:
        return []
    return [
        f"the search stopped early: the last {training.options.search_patience} of "
        f"{settling.seen} recipes did not improve the ensemble"
    ]


def _warnings(training: FitTraining, scores: EnsembleScores, quantile: bool) -> list[str]:
    """Return what there is to be said about how training ended, and about the score.

    Args:
        training: that has ended.
        scores: of the model.
        quantile: whether the model predicts one.
    """
    warnings: list[str] = []
    trainer, metric = training.trainer, training.candidates.metric
    if trainer.interrupted and training.candidates.by_id:
        warnings.append(
            "training was interrupted; the model is built from the nets trained until then"
        )
    if training.trees.problem is not None:
        warnings.append(training.trees.problem)
    if trainer.out_of_memory:
        warnings.append(
            f"training ended early, at the memory limit of {words(training.memory.limit)}; give a greater "
            "--memory-limit, or fewer --workers"
        )
    if metric.level is not None and not quantile:
        warnings.append(
            "there are too few held-out errors to make quantiles from, so that the model predicts means"
        )
    score, constant = scores.score, scores.baselines.get("constant", {}).get(metric.name)
    if (
        is_number(score)
        and is_number(constant)
        and metric.loss_of(score) >= metric.loss_of(constant)
    ):
        warnings.append(
            "the model predicts no better than a constant: the columns may say nothing about the target"
        )
    return warnings


def _importance(training: FitTraining) -> dict[str, float]:
    """Return how much each hyper-parameter explains of the recipes' scores; nothing if the time is over."""
    if not training.finish.has_left(0.3):
        return {}
    scores, loss_of = training.candidates.scores, training.candidates.metric.loss_of
    recipes = {run.recipe_id: run.recipe.model_dump() for run in training.runs.values()}
    known = [i for i in scores if i in recipes]
    return importance(
        [recipes[i] for i in known], [loss_of(scores[i]) for i in known], training.options.seed
    )


def _class_counts(table: Prepared) -> list[int]:
    if table.data.task == "regression":
        return []
    return np.bincount(table.data.target, minlength=table.data.n_outputs).tolist()
