"""The main job: read, check, split, search, train, ensemble, score; what the command line and the estimators call."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from popnet import baselines, ensemble, intervals, keys, metrics
from popnet.data import rows as splits
from popnet.data.encode import Encoder, fit_encoder, group_numbers, time_numbers
from popnet.data.read import read_table
from popnet.data.schema import Schema, infer_schema
from popnet.dataset import Dataset
from popnet.errors import InputError
from popnet.model import Model
from popnet.population.members import Member, Result
from popnet.population.predict import Net, predict
from popnet.population.program import Arrays
from popnet.population.train import Trainer
from popnet.recipe import Recipe
from popnet.search import budget
from popnet.search.space import Space, default_space
from popnet.search.strategies import STRATEGIES
from popnet.types import Array

LINEAR_MEMBER_ROWS = 20_000
"""Up to so many training rows the linear model is also trained on each fold and may join the ensemble."""

MOST_CANDIDATES = 100
"""Recipes that are kept for the ensemble, the best by score; the others' weights and predictions are let go."""

PILOT_SECONDS = 2.0
"""Epochs shorter than this are timed twice before a run under a time limit is planned."""

TIME_BLOCKS = 25
"""Blocks of consecutive rows that the test part of a time-ordered split is resampled by."""


@dataclass(frozen=True)
class Options:
    """What a user can choose about a fit; the command's options have the same names.

    Attributes:
        task: ``binary``, ``multiclass`` or ``regression``; None detects it from the target.
        time_limit: seconds from the start of the command, all included; None for no limit.
        members: nets to train, rounded up to whole recipes (each is trained on every fold); None for 40, or for as
            many as the time limit allows.
        folds: of the cross-validation; None chooses by the number of rows; 1 holds out a fifth.
        search: ``random`` or ``grid``.
        ensemble: ``greedy``, ``average`` or ``vote``.
        metric: that the ensemble is chosen for; None for ``accuracy``, ``rmse``, or ``r2`` of several targets.
        recipe: its fields that were set are kept in every net; those left out are searched. None searches all.
        test_size: share of rows held out for the honest score; None chooses by the number of rows, 0 holds out none.
        weight: column of row weights.
        group: column whose equal values are never split between parts.
        time: column by which parts are ordered: the latest rows are held out.
        drop: columns to leave out.
        keep: columns to use even if they look like identifiers, free text or duplicates.
        tiny: whether a table may have fewer than 10 rows, or a class one row only.
        seed: of every random choice.
        workers: threads on a CPU; None for one a core.
    """

    task: str | None = None
    time_limit: float | None = None
    members: int | None = None
    folds: int | None = None
    search: str = "random"
    ensemble: str = "greedy"
    metric: str | None = None
    recipe: Recipe | None = None
    test_size: float | None = None
    weight: str | None = None
    group: str | None = None
    time: str | None = None
    drop: Sequence[str] = ()
    keep: Sequence[str] = ()
    tiny: bool = False
    seed: int = 0
    workers: int | None = None

    def check(self) -> None:
        """Raise `InputError` for the first impossible value, named."""
        if self.time_limit is not None and not self.time_limit > 0:
            raise InputError(f"The time limit must be above 0 seconds; got {self.time_limit:g}.")
        for name, least in (("members", 1), ("folds", 1), ("workers", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} must be at least {least}; got {value}.")
        if self.test_size is not None and not 0 <= self.test_size < 1:
            raise InputError(f"test_size must be from 0 to below 1; got {self.test_size:g}.")
        for name, known in (("search", STRATEGIES), ("ensemble", ("greedy", "average", "vote"))):
            if getattr(self, name) not in known:
                raise InputError(
                    f"{name} must be one of {', '.join(known)}; got {getattr(self, name)!r}."
                )


@dataclass(frozen=True)
class Progress:
    """How far a fit is: for people to watch.

    Attributes:
        stage: ``reading``, ``compiling``, ``training``, ``finishing``.
        done: members that ended.
        total: members to train, or None if the time decides.
        left: seconds left, or None if unknown.
        best: best validation score of a recipe so far, in the metric, or None.
        metric: the metric's name.
        note: something to say once.
    """

    stage: str
    done: int = 0
    total: int | None = None
    left: float | None = None
    best: float | None = None
    metric: str = ""
    note: str = ""


@dataclass
class Candidate:
    """A recipe on its way into the ensemble: its members by fold, and their predictions of held-out rows.

    Attributes:
        recipe_id: number of the recipe; 0 is the default one, -1 the linear model.
        nets: by fold.
        predictions: ``(P, O)`` of the pool's rows (see `_Pool`), NaN where no fold has been predicted yet.
        ids: numbers of the members in the population, by fold.
    """

    recipe_id: int
    predictions: np.ndarray
    nets: dict[int, Net] = field(default_factory=dict)
    ids: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Fitted:
    """What a fit leaves: the model, the facts for the report, and every member's result."""

    model: Model
    facts: dict[str, Any]
    results: list[Result]
    interrupted: bool


@dataclass(frozen=True)
class _Table:
    """A table made ready: rows with a target, encoded; the test part and the folds of the rest."""

    schema: Schema
    encoder: Encoder
    data: Dataset
    train: np.ndarray
    test: np.ndarray
    folds: list[splits.Fold]
    split: str
    notes: list[str]
    test_groups: np.ndarray | None


class _Pool:
    """The rows that some fold holds out, and where they stand among the out-of-fold predictions."""

    def __init__(self, folds: Sequence[splits.Fold], rows: int) -> None:
        self.rows = np.unique(np.concatenate([f.valid for f in folds]))
        self.place = np.full(rows, -1)
        self.place[self.rows] = np.arange(len(self.rows))


def fit(
    source: Any,
    target: str | Sequence[str],
    options: Options = Options(),
    *,
    on_progress: Callable[[Progress], None] | None = None,
    began: float | None = None,
    stop: threading.Event | None = None,
    command: str = "",
) -> Fitted:
    """Fit an ensemble of nets to a table.

    Args:
        source: path of a table, a pandas or polars frame, or a two-dimensional array.
        target: column to predict, or several for regression.
        options: see `Options`.
        on_progress: called now and then with a `Progress`, on the calling thread.
        began: moment of ``time.monotonic()`` from which the time limit counts; default now.
        stop: when set during training, training ends and what there is becomes the model.
        command: how the user called this, for the report.

    Raises:
        InputError: the table, the target or an option cannot be used; one sentence says why and what to do.
    """
    options.check()
    clock = budget.Clock(time.monotonic() if began is None else began, options.time_limit)
    tell = on_progress or (lambda _: None)
    tell(Progress("reading", left=_finite(clock.left())))
    table = prepare(source, target, options)
    task = table.schema.target.task
    metric = metrics.choose(options.metric, task, len(table.schema.target.names))
    if options.ensemble == "vote" and task == "regression":
        raise InputError("vote is for classes; use greedy or average for a regression task.")
    for note in [*table.schema.describe(), *table.notes]:
        tell(Progress("reading", note=note))
    reading = clock.elapsed()

    job = _Job(table, metric, options, clock, tell, stop or threading.Event())
    job.linear_members()
    job.train()
    tell(
        Progress("finishing", done=len(job.results), left=_finite(clock.left()), metric=metric.name)
    )
    return job.finish(
        reading, source if isinstance(source, str) else type(source).__name__, command
    )


def prepare(source: Any, target: str | Sequence[str], options: Options) -> _Table:
    """Read, check, split and encode a table."""
    frame = read_table(source)
    schema = infer_schema(
        frame, target, task=options.task, weight=options.weight, group=options.group, time=options.time,
        drop=options.drop, keep=options.keep, **({"fewest_rows": 2, "single_rows": True} if options.tiny else {}),
    )  # fmt: skip
    notes: list[str] = []
    usable = _usable(frame, schema, notes)
    frame, numbers = frame.filter(usable), np.flatnonzero(usable) + 1
    names = schema.target.names
    rows = frame.height
    classification = schema.target.task != "regression"
    groups = times = None
    if options.group:
        groups = group_numbers(frame, options.group, row_numbers=numbers)
    if options.time:
        times = time_numbers(frame, schema, row_numbers=numbers)
    order: dict[str, Any] = {
        "stratify": frame[names[0]].rank("dense").to_numpy() if classification else None,
        "groups": groups, "time": times,
    }  # fmt: skip
    fraction = budget.test_fraction(rows) if options.test_size is None else options.test_size
    if fraction > 0:
        part = splits.holdout(rows, fraction, options.seed, **order)
    else:
        part = splits.Fold(np.arange(rows, dtype=np.int32), np.zeros(0, np.int32))
    encoder = fit_encoder(frame, schema, part.train, row_numbers=numbers)
    features = encoder.transform(frame, report=notes, training=True, row_numbers=numbers)
    y, keep = encoder.encode_target(frame, row_numbers=numbers)
    if not keep.all():  # a value that counts as missing only once it is cast
        raise InputError(f"The target {names[0]} has values that cannot be used; clean them first.")
    data = Dataset(
        features, y, "classification" if classification else "regression", encoder.n_outputs,
        encoder.weights(frame, row_numbers=numbers),
    )  # fmt: skip
    folds = _folds(part.train, options, order)
    split = "time-ordered" if times is not None else "grouped" if groups is not None else (
        "stratified" if classification else "random")  # fmt: skip
    test_groups = None if groups is None else groups[part.valid]
    if times is not None:
        place = np.argsort(np.argsort(times[part.valid], kind="stable"))
        test_groups = place * TIME_BLOCKS // max(len(place), 1)
    return _Table(schema, encoder, data, part.train, part.valid, folds, split, notes, test_groups)


def _usable(frame: pl.DataFrame, schema: Schema, notes: list[str]) -> np.ndarray:
    """Return which rows have every target and count for something, ``(N,)`` booleans."""
    usable = np.ones(frame.height, bool)
    for name in schema.target.names:
        column = frame[name]
        usable &= column.is_not_null().to_numpy()
        if column.dtype.is_float():
            usable &= ~column.is_nan().fill_null(False).to_numpy()
    if schema.weight is not None:
        weights = frame[schema.weight].cast(pl.Float64, strict=False)
        nothing = usable & (weights == 0).fill_null(False).to_numpy()
        # With hardly any others, let the checks of the weights say what is wrong.
        if nothing.any() and (usable & ~nothing).sum() >= 2:
            notes.append(f"{nothing.sum():,} rows of weight 0 are left out")
            usable &= ~nothing
    return usable


def _folds(train: Array, options: Options, order: dict[str, Any]) -> list[splits.Fold]:
    """Cut training rows into the folds asked for, or as many as are worth it and possible."""
    k = options.folds or min(
        budget.fold_count(len(train), options.members),
        splits.most_folds(train, order["groups"], order["time"]),
    )
    folds = splits.folds(train, k, options.seed, **order)
    most = budget.MOST_VALIDATION_ROWS
    if k > 1 or len(folds[0].valid) <= most:
        return folds
    # More rows would cost time each epoch and say nothing new; what is over goes back to training.
    rows, valid = folds[0]
    picked = keys.generator(options.seed, "validation").permutation(len(valid))
    if order["groups"] is None and order["time"] is None:
        rows = np.sort(np.concatenate([rows, valid[picked[most:]]]))
    return [splits.Fold(rows, np.sort(valid[picked[:most]]))]


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
    facts = {**fitted.facts, "target": {**fitted.facts["target"], "classes": list(labels)}}
    known = len(model.schema.describe())
    facts["notes"] = [*schema.describe(), *fitted.facts["notes"][known:]]
    return replace(fitted, model=replace(model, schema=schema, encoder=encoder), facts=facts)


class _Job:
    """One fit's training: candidates come in member by member, and an ensemble goes out."""

    def __init__(
        self, table: _Table, metric: metrics.Metric, options: Options, clock: budget.Clock,
        tell: Callable[[Progress], None], stop: threading.Event,
    ) -> None:  # fmt: skip
        self.table, self.metric, self.options, self.clock, self.tell = (
            table,
            metric,
            options,
            clock,
            tell,
        )
        self.pool = _Pool(table.folds, len(table.data))
        self.finishing = budget.finishing_seconds(options.time_limit, len(table.test))
        self.trainer = Trainer(
            Arrays(table.data, table.data, table.folds),
            deadline=clock.training_deadline(self.finishing),
            workers=options.workers,
            stop=stop,
        )
        self.candidates: dict[int, Candidate] = {}
        self.results: dict[int, Result] = {}
        self.recipe_ids: dict[int, int] = {}
        self.training_seconds = 0.0
        self.scores: dict[int, float] = {}
        self.member_scores: dict[int, float] = {}

    # --- training ------------------------------------------------------------------------------------

    def linear_members(self) -> None:
        """Train the linear model on every fold, as one more candidate, where that is cheap."""
        limit = self.options.time_limit
        if len(self.table.train) > LINEAR_MEMBER_ROWS or (limit is not None and limit < 20):
            return
        for k, fold in enumerate(self.table.folds):
            self._add(-1, k, -1, baselines.linear(self.table.data, fold.train, self.options.seed))

    def train(self) -> None:
        """Train members until they or the time are over, predicting each one's held-out rows as it ends."""
        began = self.clock.elapsed()
        rows = max(len(f.train) for f in self.table.folds)
        limit = self.options.time_limit
        shapes = 3 if limit is None or limit >= 90 else 2 if limit >= 45 else 1
        space = default_space(self.table.data, rows, self.options.recipe, shapes)
        folds = len(self.table.folds)
        members = self.options.members
        if members is None and limit is None:
            members = budget.DEFAULT_MEMBERS
        recipes_wanted = None if members is None else -(-members // folds)
        epochs = space.base.epochs
        self.tell(
            Progress(
                "compiling", total=members, left=_finite(self.clock.left()), metric=self.metric.name
            )
        )
        if limit is not None:
            epochs = self._affordable_epochs(space, members)
        recipes = STRATEGIES[self.options.search](space, self.options.seed)
        stream = self._members(
            itertools.islice(recipes, recipes_wanted), min(epochs, space.base.epochs)
        )
        total = None if recipes_wanted is None else recipes_wanted * folds
        owners: dict[int, int] = {}

        def numbered() -> Iterator[tuple[int, Member]]:
            for i, (recipe_id, member) in enumerate(stream):
                owners[i] = recipe_id
                yield i, member

        for i, result in self.trainer.run(numbered()):
            self.results[i] = result
            self.recipe_ids[i] = owners[i]
            if result.usable and not self._too_late():
                net = Net(result.member.recipe, result.shape, result.parameters, result.running)
                self._add(owners[i], result.member.fold, i, net)
                self._let_go()
            self._report(total, began)
        self.training_seconds = self.clock.elapsed() - began
        self._in_order()

    def _let_go(self) -> None:
        """Forget the worst recipe's weights and predictions if there are very many recipes."""
        there = [c for c in self.scores if c in self.candidates]
        if len(there) <= MOST_CANDIDATES:
            return
        worst = min if self.metric.greater_is_better else max
        gone = self.candidates.pop(worst(there, key=lambda c: (self.scores[c], c)))
        for i in gone.ids.values():
            if i >= 0:
                self.results[i] = replace(self.results[i], parameters={}, running={})

    def _in_order(self) -> None:
        """Put what came in the order of ending into the order of the recipes, which the seed determines."""
        place = {i: k for k, i in enumerate(sorted(self.results))}
        self.results = {place[i]: self.results[i] for i in sorted(self.results)}
        self.recipe_ids = {place[i]: self.recipe_ids[i] for i in sorted(self.recipe_ids)}
        self.member_scores = {place[i]: v for i, v in self.member_scores.items() if i in place}
        self.candidates = {c: self.candidates[c] for c in sorted(self.candidates)}
        for candidate in self.candidates.values():
            candidate.ids = {fold: place.get(i, i) for fold, i in sorted(candidate.ids.items())}

    def _members(self, recipes: Iterator[Recipe], epochs: int) -> Iterator[tuple[int, Member]]:
        for recipe_id, recipe in enumerate(recipes):
            if epochs < recipe.epochs:
                recipe = recipe.replace(epochs=epochs)
            for fold in range(len(self.table.folds)):
                yield recipe_id, Member(recipe, self._seed(recipe_id), fold)

    def _seed(self, recipe_id: int) -> int:
        """Return a recipe's seed: one of its own, also among the runs of other seeds."""
        return int(keys.key(self.options.seed, "member", recipe_id))

    def _affordable_epochs(self, space: Space, members: int | None) -> int:
        """Compile the shapes' programs with one epoch of each, and plan by what an epoch takes."""
        pilots = [
            Member(space.base.replace(epochs=1, **shape), self._seed(0)) for shape in space.shapes
        ]

        def spent() -> list[float]:
            return [r.seconds for _, r in self.trainer.run(enumerate(pilots)) if r.epochs]

        seconds = spent()
        if seconds and max(seconds) < PILOT_SECONDS:
            # Again, now that no other core is busy compiling: it had made them look slower.
            seconds = spent() or seconds
        if not seconds:
            return space.base.epochs
        return budget.affordable_epochs(
            space.base.epochs, float(np.mean(seconds)), self.trainer.remaining(),
            len(self.trainer.places), len(self.table.folds), members,
        )  # fmt: skip

    def _too_late(self) -> bool:
        """Return whether there is no time left to predict more members before finishing."""
        return self.clock.left() < 0.5 * self.finishing

    def _add(self, recipe_id: int, fold: int, member: int, net: Net) -> None:
        rows = self.table.folds[fold].valid
        outputs = predict([net], self.table.data.features, rows)[0]
        candidate = self.candidates.get(recipe_id)
        if candidate is None:
            empty = np.full((len(self.pool.rows), outputs.shape[1]), np.nan, np.float32)
            candidate = self.candidates[recipe_id] = Candidate(recipe_id, empty)
        candidate.nets[fold] = net
        candidate.ids[fold] = member
        scores = self._scores(outputs)
        candidate.predictions[self.pool.place[rows]] = scores
        data = self.table.data
        weights = None if data.weights is None else np.asarray(data.weights)[rows]
        self.member_scores[member] = self.metric(
            *self._in_units(data.target[rows], scores), weights
        )
        if self._complete(candidate):
            self.scores[recipe_id] = self.metric(
                *self._truth(candidate.predictions), self._pool_weights()
            )

    def _report(self, total: int | None, began: float) -> None:
        done = len(self.results)
        left = self.clock.left()
        if total is not None:
            passed = self.clock.elapsed() - began
            left = min(left, passed / done * (total - done))
        pick = max if self.metric.greater_is_better else min
        best = pick(self.scores.values()) if self.scores else None
        self.tell(Progress("training", done, total, _finite(left), best, self.metric.name))

    # --- numbers ---------------------------------------------------------------------------------------

    def _scores(self, outputs: Array) -> np.ndarray:
        return (
            ensemble.softmax(outputs)
            if self.table.data.task == "classification"
            else np.asarray(outputs)
        )

    def _complete(self, candidate: Candidate) -> bool:
        return len(candidate.nets) == len(self.table.folds)

    def _in_units(self, true: Array, scores: Array) -> tuple[np.ndarray, np.ndarray]:
        if self.table.data.task == "classification":
            return np.asarray(true), np.asarray(scores)
        decode = self.table.encoder.decode_target
        return decode(true), decode(scores)

    def _truth(self, predictions: Array) -> tuple[np.ndarray, np.ndarray]:
        return self._in_units(self.table.data.target[self.pool.rows], predictions)

    def _pool_weights(self) -> np.ndarray | None:
        weights = self.table.data.weights
        return None if weights is None else np.asarray(weights)[self.pool.rows]

    # --- the end ------------------------------------------------------------------------------------------

    def finish(self, reading: float, source: str, command: str) -> Fitted:
        """Choose the ensemble, score it on the test part, and gather the facts."""
        warnings: list[str] = []
        complete = [c for c in self.candidates.values() if self._complete(c)]
        nets, weights, method, gain, member_weight = self._ensemble(complete, warnings)
        model = Model(
            self.table.schema, self.table.encoder, nets, weights, method, self.metric.name
        )
        scored = self._score(model, gain)
        if self.trainer.interrupted and self.candidates:
            warnings.append(
                "training was interrupted; the model is made of the members that had ended"
            )
        constant = scored["baselines"].get("constant", {}).get(self.metric.name, np.nan)
        if self.metric.loss_of(scored["score"]) >= self.metric.loss_of(constant):
            warnings.append(
                "the model predicts no better than a constant: the columns may say nothing about the target"
            )
        elapsed = self.clock.elapsed()
        seconds = {
            "total": elapsed, "reading": reading, "compiling": self.trainer.compile_seconds,
            "training": self.training_seconds,
        }  # fmt: skip
        saved = {
            **scored,
            "members": len(self.results),
            "seconds": seconds,
            "seed": self.options.seed,
        }
        model = Model(model.schema, model.encoder, nets, weights, method, self.metric.name, saved)
        from popnet.report.gather import gather

        facts = gather(
            model, list(self.results.values()), list(self.recipe_ids.values()),
            member_weight, self.member_scores, self.scores, gain,
            scored,
            table={
                "source": source, "train_rows": len(self.table.train), "test_rows": len(self.table.test),
                "split": self.table.split, "folds": len(self.table.folds), "notes": self.table.notes,
                "class_counts": self._class_counts(),
            },
            seconds=seconds, warnings=warnings, command=command, options=self.options,
        )  # fmt: skip
        facts["notes"] = [*self.table.schema.describe(), *self.table.notes]
        return Fitted(model, facts, list(self.results.values()), self.trainer.interrupted)

    def _ensemble(
        self, complete: list[Candidate], warnings: list[str]
    ) -> tuple[tuple[Net, ...], np.ndarray, ensemble.Method, dict[str, Any], dict[int, float]]:
        """Return nets, weights, method, what the ensemble gained, and the weight of each member of the population."""
        method: Any = self.options.ensemble
        if not complete:
            nets = [net for c in self.candidates.values() for net in c.nets.values()]
            ids = [i for c in self.candidates.values() for i in c.ids.values()]
            if not nets:
                why = (
                    "training was interrupted before a net had ended"
                    if self.trainer.interrupted
                    else "no net was trained in time"
                )
                warnings.append(f"{why}; the model is the linear one")
                linear = baselines.linear(self.table.data, self.table.train, self.options.seed)
                return (linear,), np.ones(1), "average", {}, {}
            warnings.append(
                "no recipe was through with all folds; the ensemble is the plain average of what there was"
            )
            share = 1 / len(nets)
            method = "vote" if method == "vote" else "average"
            return (
                tuple(nets),
                np.full(len(nets), share),
                method,
                {},
                {i: share for i in ids if i >= 0},
            )
        predictions = np.stack([c.predictions for c in complete])
        true, _ = self._truth(complete[0].predictions)
        rows = self._selection_rows(len(true))
        units = np.stack([self._truth(p)[1] for p in predictions])
        row_weights = self._pool_weights()
        chosen_weights = None if row_weights is None else row_weights[rows]
        if method == "greedy":
            selection = ensemble.greedy(
                units[:, rows], true[rows], self.metric, chosen_weights, deadline=self._moment(0.6)
            )
        else:
            selection = ensemble.equal(len(complete))
        alone = [self.metric(true, p, row_weights) for p in units]
        together = self.metric(
            true, ensemble.combine(units, selection.weights, method), row_weights
        )
        pick = max if self.metric.greater_is_better else min
        gain = {
            "method": method, "score": together, "best_member": pick(alone),
            "mean_member": float(np.mean(alone)), "on": "out-of-fold predictions", "path": selection.path,
        }  # fmt: skip
        nets, weights, member_weight = [], [], {}
        for candidate, weight in zip(complete, selection.weights, strict=True):
            if weight <= 0:
                continue
            kept = sorted(candidate.nets.items())
            if self.table.split == "time-ordered":
                kept = kept[-1:]  # the others know the oldest rows only
            for fold, net in kept:
                share = weight / len(kept)
                nets.append(net)
                weights.append(share)
                if candidate.ids[fold] >= 0:
                    member_weight[candidate.ids[fold]] = share
        return tuple(nets), np.array(weights), method, gain, member_weight

    def _selection_rows(self, n: int, most: int = 20_000) -> np.ndarray:
        """Return the rows that greedy selection looks at: all, or a sample of very many."""
        if n <= most:
            return np.arange(n)
        return np.sort(
            keys.generator(self.options.seed, "selection").choice(n, most, replace=False)
        )

    def _moment(self, share: float) -> float | None:
        """Return the moment at which a share of the time that is kept for finishing is left; None without a limit."""
        limit = self.clock.limit
        return None if limit is None else self.clock.began + limit - share * self.finishing

    def _baselines(self, model: Model, rows: Array, out_of_fold: bool) -> dict[str, np.ndarray]:
        """Return the constant and the linear model's scores on some rows, out of fold as the ensemble's or not."""
        data, seed = self.table.data, self.options.seed
        makers: dict[str, Callable[[Array], Net]] = {
            "constant": lambda train: baselines.constant(data, train)
        }
        if self.clock.left() > 0.3 * self.finishing:
            makers["linear"] = lambda train: baselines.linear(data, train, seed)

        def scores(net: Net, rows: Array) -> np.ndarray:
            one = Model(model.schema, model.encoder, (net,), np.ones(1), "average", model.metric)
            return one.scores(data.features.take(rows))

        found = {}
        for name, make in makers.items():
            if not out_of_fold:
                found[name] = scores(make(self.table.train), rows)
                continue
            out = np.empty((len(rows), data.n_outputs))
            for fold in self.table.folds:
                out[self.pool.place[fold.valid]] = scores(make(fold.train), fold.valid)
            found[name] = out
        return found

    def _score(self, model: Model, gain: dict[str, Any]) -> dict[str, Any]:
        """Score the ensemble and the baselines on the test part; without one, on out-of-fold predictions."""
        data, task = self.table.data, self.table.schema.target.task
        honest = len(self.table.test) > 0
        out_of_fold = not honest and bool(gain)
        groups = self.table.test_groups if honest else None
        if honest:
            rows, where = self.table.test, "on {rows} rows that no choice saw"
        elif out_of_fold:
            rows = self.pool.rows
            where = "on out-of-fold predictions of {rows} rows, which chose the ensemble: slightly optimistic"
        else:
            rows, where = self.table.train, "on {rows} rows that it was trained on: optimistic"
        if out_of_fold:
            complete = [c for c in self.candidates.values() if self._complete(c)]
            shares = self._candidate_shares(complete, model)
            scores = ensemble.combine(
                np.stack([c.predictions for c in complete]), shares, model.method
            )
        else:
            scores = model.scores(data.features.take(rows))
        w = None if data.weights is None else np.asarray(data.weights)[rows]
        true, predicted = self._in_units(data.target[rows], scores)
        base = {
            name: self._in_units(data.target[rows], s)[1]
            for name, s in self._baselines(model, rows, out_of_fold).items()
        }
        values = metrics.all_of(task, true, predicted, w)
        others = {name: metrics.all_of(task, true, p, w) for name, p in base.items()}
        bounds, gains = self._intervals(true, predicted, base, w, groups)
        sample: dict[str, Any] = {"confusion": None, "predictions": None}
        if task != "regression" and len(model.classes) <= 30:
            pairs = true * len(model.classes) + predicted.argmax(1)
            counts = np.bincount(pairs, minlength=len(model.classes) ** 2)
            sample["confusion"] = counts.reshape(len(model.classes), -1).tolist()
        elif task == "regression":
            some = np.sort(
                keys.generator(self.options.seed, "scatter").permutation(len(true))[:1000]
            )
            one = true.shape[1] == 1  # a number a row, or a list of them
            sample["predictions"] = {
                name: (values[some, 0] if one else values[some]).tolist()
                for name, values in (("true", true), ("predicted", predicted))
            }
        return {
            "task": task, "metric": self.metric.name, "score": values[self.metric.name],
            "interval": list(bounds), "metrics": values, "baselines": others, "baseline_gains": gains,
            "scored_rows": len(rows), "scored_on": where.format(rows=f"{len(rows):,}"), **sample,
        }  # fmt: skip

    def _intervals(
        self, true: Array, predicted: Array, base: dict[str, np.ndarray], w: Array | None, groups: Array | None
    ) -> tuple[tuple[float, float], dict[str, list[float]]]:  # fmt: skip
        """Return the score's interval, and by how much the ensemble is better than each baseline, with its interval."""
        metric = self.metric
        draws = intervals.bootstrap(
            metric, true, [predicted, *base.values()], w, groups,
            rng=keys.generator(self.options.seed, "bootstrap"), deadline=self._moment(0.3),
        )  # fmt: skip
        bounds = intervals.interval(metric, true, predicted, draws[:, 0], w, groups)
        gains = {}
        for k, (name, p) in enumerate(base.items(), 1):
            sign = 1 if metric.greater_is_better else -1
            better = sign * (metric(true, predicted, w) - metric(true, p, w))
            gains[name] = [better, *intervals.bounds(sign * (draws[:, 0] - draws[:, k]))]
        return bounds, gains

    def _candidate_shares(self, complete: list[Candidate], model: Model) -> np.ndarray:
        """Return each complete candidate's weight in a model."""
        by_net = {id(net): w for net, w in zip(model.nets, model.weights, strict=True)}
        return np.array([sum(by_net.get(id(n), 0.0) for n in c.nets.values()) for c in complete])

    def _class_counts(self) -> list[int]:
        if self.table.data.task == "regression":
            return []
        return np.bincount(self.table.data.target, minlength=self.table.data.n_outputs).tolist()


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
