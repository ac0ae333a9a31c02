"""The main job: read, check, split, search, train, ensemble, score; what the command line and the estimators call."""

from __future__ import annotations

import hashlib
import importlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from popnet import baselines, conformal, ensemble, intervals, keys, metrics
from popnet._version import __version__
from popnet.data import rows as splits
from popnet.errors import InputError
from popnet.memory import COMPILING, Memory, used
from popnet.model import Model
from popnet.options import DEFAULTS, Options
from popnet.planning import Plan, pilot_fold, plan_images, plan_table, seed_of
from popnet.population import engines
from popnet.population.members import Member, Result
from popnet.population.predict import Net, predict
from popnet.population.program import Arrays
from popnet.prepare.prepared import Prepared
from popnet.prepare.source import prepare_source
from popnet.progress import Progress
from popnet.recipe import Recipe
from popnet.sizes import words
from popnet.tuning import budget, strategies
from popnet.tuning.importance import importance
from popnet.tuning.journal import Journal
from popnet.tuning.running import Running
from popnet.tuning.strategies import Run
from popnet.tuning.winner import selection_bias
from popnet.types import Array

LINEAR_MEMBER_ROWS = 20_000
"""Up to so many training rows the linear model is also trained on each fold and may join the ensemble."""

LINEAR_SHARE = 0.04
"""Of a time limit that the linear model may take; it is no candidate if it takes more."""

FEWEST_CANDIDATES = 10
"""Recipes that are kept, too, when memory is short."""

MOST_UNFINISHED = 4
"""Members that are taken, if none was trained to its end."""

LEAST_PATIENCE = 5
"""Epochs without a better score, at least, after which a net ends whose patience nobody chose."""

MARGIN = 0.1
"""Memory is short when less than this share of its limit is left."""

MOST_CANDIDATES = 100
"""Recipes that are kept for the ensemble, the best by score; the others' weights and predictions are let go."""


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


class _Pool:
    """The rows that some fold holds out, and where they stand among the out-of-fold predictions."""

    def __init__(self, folds: Sequence[splits.Fold], rows: int) -> None:
        self.rows = np.unique(np.concatenate([f.valid for f in folds]))
        self.place = np.full(rows, -1)
        self.place[self.rows] = np.arange(len(self.rows))


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
    clock = budget.Clock(began, options.time_limit)
    memory = Memory(options.memory_limit)
    tell = on_progress or (lambda _: None)
    tell(Progress("reading", left=budget.finite(clock.left())))
    table = prepare(source, target, options, tell, clock)
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

    job = _Job(table, metric, options, clock, tell, stop or threading.Event(), journal, memory)
    try:
        job.train()
        job.linear_members()
    finally:
        job.trainer.close()
    tell(
        Progress(
            "finishing", done=len(job.results), left=budget.finite(clock.left()), metric=metric.name
        )
    )
    return job.finish(
        reading, source if isinstance(source, str) else type(source).__name__, command
    )


def _import_early() -> None:
    """Import what the end of a fit needs: it takes seconds, in which no core need be idle while nets train."""
    for name in ("sklearn.linear_model", "scipy.stats", "optuna.importance"):
        importlib.import_module(name)


def _identity(table: Prepared, options: Options) -> dict[str, Any]:
    """Return what makes a run the same run, by what people call it."""
    digest = hashlib.sha256()
    for part in (
        *vars(table.data.features).values(), table.data.target, table.data.weights, table.test,
        *(rows for fold in table.folds for rows in fold),
    ):  # fmt: skip
        if isinstance(part, np.ndarray):
            digest.update(np.ascontiguousarray(part).data)
    chosen = {
        f"--{f.name.replace('_', '-')}": getattr(options, f.name)
        for f in fields(options)
        if f.name not in ("workers", "engine", "memory_limit", "ranges", "recipe", "task")
    }
    return {
        "popnet's version": __version__,
        "the target": table.schema.target.names,
        "the data": digest.hexdigest(),
        "the ranges": [str(d) for d in options.ranges],
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


def prepare(
    source: Any,
    target: str | Sequence[str] | None,
    options: Options,
    tell: Callable[[Progress], None] = lambda _: None,
    clock: budget.Clock | None = None,
) -> Prepared:
    """Read, check, split and encode what the user brings."""

    def images(done: int, total: int) -> None:
        tell(
            Progress(
                "reading images",
                done,
                total,
                None if clock is None else budget.finite(clock.left()),
            )
        )

    return prepare_source(source, target, options, images)


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


def _planned(recipe: Recipe, plan: Plan) -> Recipe:
    """Return a recipe of the plan's space with the plan's epochs; one that has fewer of its own keeps them."""
    own = recipe.epochs != plan.space.base.epochs
    return _lasting(recipe, min(plan.epochs, recipe.epochs) if own else plan.epochs)


def _lasting(recipe: Recipe, epochs: int) -> Recipe:
    """Return a recipe for so many epochs; patience that was never to end a training does not end a longer one.

    Patience that nobody chose is a quarter of the epochs at most, where the rate only falls: a net that over-fits
    leaves its time to others.
    """
    if "patience" not in recipe.model_fields_set and recipe.schedule == "cosine":
        patience = max(LEAST_PATIENCE, -(-epochs // 4))
        return recipe.replace(epochs=epochs, patience=min(patience, recipe.patience))
    if epochs == recipe.epochs:
        return recipe
    endless = recipe.patience >= recipe.epochs
    return recipe.replace(
        epochs=epochs, patience=max(epochs, recipe.patience) if endless else recipe.patience
    )


class _Job:
    """One fit's training: candidates come in member by member, and an ensemble goes out."""

    def __init__(
        self, table: Prepared, metric: metrics.Metric, options: Options, clock: budget.Clock,
        tell: Callable[[Progress], None], stop: threading.Event, journal: Journal | None = None,
        memory: Memory | None = None,
    ) -> None:  # fmt: skip
        self.memory = memory or Memory()
        self.table, self.metric, self.options, self.clock, self.tell = (
            table,
            metric,
            options,
            clock,
            tell,
        )
        self.stop, self.journal = stop, journal
        self.pool = _Pool(table.folds, len(table.data))
        self.linear_seconds = self._linear_seconds()
        self.finishing = budget.finishing_seconds(options.time_limit, len(table.test))
        self.finishing += self.linear_seconds or 0.0
        pilot = [pilot_fold(table)] if table.encoder.image is not None else []
        self.trainer = engines.make(
            options.engine,
            Arrays(table.data, table.data, [*table.folds, *pilot]),
            deadline=clock.training_deadline(self.finishing),
            workers=options.workers,
            stop=stop,
            memory=self.memory,
        )
        self.candidates: dict[int, Candidate] = {}
        self.results: dict[int, Result] = {}
        self.runs: dict[int, Run] = {}
        self.training_seconds = 0.0
        self.scores: dict[int, float] = {}
        self.member_scores: dict[int, float] = {}
        self.check: dict[str, Any] | None = None
        self.views = self.options.tta or 1

    # --- training ------------------------------------------------------------------------------------

    def linear_members(self) -> None:
        """Train the linear model on every fold, as one more candidate, where that is cheap."""
        if self.linear_seconds is None or not self.candidates:
            return
        most, began = np.inf, self.clock.elapsed()
        if self.options.time_limit is not None:
            most = LINEAR_SHARE * self.options.time_limit
        for k, fold in enumerate(self.table.folds):
            if self.clock.elapsed() - began > most:  # slower than it was thought to be
                self.candidates.pop(-1, None)
                break
            self._add(-1, k, -1, baselines.linear(self.table.data, fold.train, self.options.seed))
        self._in_order()

    def _linear_seconds(self) -> float | None:
        """Return how long the linear model takes on all folds; None if it is to be no candidate."""
        if self.table.encoder.image is not None or len(self.table.train) > LINEAR_MEMBER_ROWS:
            return None
        seconds = sum(
            baselines.linear_seconds(self.table.data, len(fold.train)) for fold in self.table.folds
        )
        limit = self.options.time_limit
        return None if limit is not None and seconds > LINEAR_SHARE * limit else seconds

    def train(self) -> None:
        """Train members until they or the time are over, predicting each one's held-out rows as it ends."""
        began = self.clock.elapsed()
        folds = len(self.table.folds)
        if self.journal is None:
            plan, known = self._plan(), {}
        else:
            plan = Plan.from_json(self.journal.plan(lambda: self._plan().to_json()))
            known = {recipe_id: m.recipe for (recipe_id, _), m in self.journal.members().items()}
        self.check = plan.check
        threading.Thread(target=_import_early, name="imports").start()
        self.views = self.options.tta or (2 if plan.space.base.reflection else 1)
        name = self.options.strategy(images=self.table.encoder.image is not None)
        strategy = strategies.make(
            name, plan.space, self.options.seed, folds, plan.recipes,
            last=lambda recipe: _planned(recipe, plan), storage=self.options.storage, known=known,
            trainings=plan.trainings,
        )  # fmt: skip
        racing = name == "halving"
        total = None if plan.recipes is None or racing else plan.recipes * folds
        running = Running(strategy, self.trainer, lambda run: self._member(run, plan), self.journal)
        self.results, self.runs = running.results, running.runs
        for i, result in running.train():
            if result.status != "paused" and result.usable and not self._too_late():
                self._add_member(i, result)
            self._report(total, began)
        running.finish()
        self.results, self.runs = running.results, running.runs
        if not self.candidates:
            self._unfinished()
        self.training_seconds = self.clock.elapsed() - began
        self._in_order()

    def _unfinished(self) -> None:
        """Take the best of the members that a race has paused, where it ended before any of them."""
        usable = [i for i, r in self.results.items() if r.usable]
        for i in sorted(usable, key=lambda i: (self.results[i].best_score, i))[:MOST_UNFINISHED]:
            self._add_member(i, self.results[i])

    def _plan(self) -> Plan:
        members, left = self.options.members, budget.finite(self.clock.left())
        self.tell(Progress("compiling", total=members, left=left, metric=self.metric.name))
        if self.table.encoder.image is None:
            return plan_table(self.table, self.options, self.trainer, self.tell)
        return plan_images(self.table, self.options, self.clock, self.trainer, self.tell, self.stop)

    def _let_go(self) -> None:
        """Forget the worst recipe's weights and predictions if there are very many recipes, or memory is short."""
        there = [c for c in self.scores if c in self.candidates]
        short = len(there) > FEWEST_CANDIDATES and not self.memory.room_for(
            MARGIN * self.memory.limit
        )
        if len(there) <= MOST_CANDIDATES and not short:
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
        self.runs = {place[i]: run for i, run in sorted(self.runs.items()) if i in place}
        self.member_scores = {place[i]: v for i, v in self.member_scores.items() if i in place}
        self.candidates = {c: self.candidates[c] for c in sorted(self.candidates)}
        for candidate in self.candidates.values():
            candidate.ids = {fold: place.get(i, i) for fold, i in sorted(candidate.ids.items())}

    def _member(self, run: Run, plan: Plan) -> Member | None:
        """Return the member of a run that begins; None if the time that is left has no room for it."""
        recipe, folds = run.recipe, len(self.table.folds)
        if run.until is None and plan.paced:
            seconds = self.trainer.epoch_seconds(recipe, run.fold)
            if seconds is not None:
                epochs = budget.paced_epochs(
                    plan.epochs, seconds, self.trainer.remaining(),
                    self.trainer.workers, folds, folds - run.fold,
                )  # fmt: skip
                if not epochs:
                    return None
                recipe = _lasting(recipe, epochs)
        return Member(recipe, seed_of(self.options, run.recipe_id), run.fold)

    def _too_late(self) -> bool:
        """Return whether there is no time left to predict more members before finishing."""
        return self.clock.left() < 0.5 * self.finishing

    def _add_member(self, member: int, result: Result) -> None:
        """Make a trained member a candidate, or a part of one."""
        net = Net(result.member.recipe, result.shape, result.parameters, result.running)
        self._add(self.runs[member].recipe_id, result.member.fold, member, net)
        self._let_go()

    def _add(self, recipe_id: int, fold: int, member: int, net: Net) -> None:
        rows = self.table.folds[fold].valid
        outputs = predict([net], self.table.data.features, rows, views=self.views)[0]
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
        done = sum(r.status != "paused" for r in list(self.results.values()))
        left = self.clock.left()
        if total is not None:
            passed = self.clock.elapsed() - began
            left = min(left, passed / done * (total - done))
        pick = max if self.metric.greater_is_better else min
        best = pick(self.scores.values()) if self.scores else None
        self.tell(Progress("training", done, total, budget.finite(left), best, self.metric.name))

    # --- numbers ---------------------------------------------------------------------------------------

    def _scores(self, outputs: Array) -> np.ndarray:
        return (
            ensemble.softmax(outputs)
            if self.table.data.task == "classification"
            else self.table.encoder.within_range(outputs)
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
        trained = any(c.recipe_id >= 0 for c in self.candidates.values())
        if trained and all(c.recipe_id < 0 for c in complete):
            # Nets of some folds are worth more than the linear model of all.
            self.candidates.pop(-1, None)
            complete = []
        nets, weights, method, gain, member_weight = self._ensemble(complete, warnings)
        model = Model(
            self.table.schema, self.table.encoder, nets, weights, method, self.metric.name,
            views=self.views, conformal=self._conformal(nets, weights),
        )  # fmt: skip
        scored = self._score(model, gain)
        if self.trainer.interrupted and self.candidates:
            warnings.append(
                "training was interrupted; the model is made of the members that had ended"
            )
        if self.trainer.out_of_memory:
            warnings.append(
                f"training ended early, at the memory limit of {words(self.memory.limit)}; give a greater "
                "--memory-limit, or fewer --workers"
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
            "source": source,
        }
        model = replace(model, facts=saved)
        from popnet.report.gather import gather

        facts = gather(
            model, list(self.results.values()), [run.recipe_id for run in self.runs.values()],
            member_weight, self.member_scores, self.scores, gain,
            scored,
            table={
                "source": source, "train_rows": len(self.table.train), "test_rows": len(self.table.test),
                "split": self.table.split, "folds": len(self.table.folds), "notes": self.table.notes,
                "class_counts": self._class_counts(),
            },
            seconds=seconds, warnings=warnings, command=command, options=self.options, augmentation=self.check,
            importance=self._importance(),
        )  # fmt: skip
        facts["notes"] = [*self.table.schema.describe(), *self.table.notes]
        return Fitted(model, facts, list(self.results.values()), self.trainer.interrupted)

    def _ensemble(
        self, complete: list[Candidate], warnings: list[str]
    ) -> tuple[tuple[Net, ...], np.ndarray, ensemble.Method, dict[str, Any], dict[int, float]]:
        """Return nets, weights, method, what the ensemble gained, and the weight of each member of the population."""
        method: Any = self.options.ensemble
        if not complete:
            found = [
                (net, c.ids[fold]) for c in self.candidates.values() for fold, net in c.nets.items()
            ]
            # Nets that were cut short are taken where there are no others.
            through = [
                (net, i) for net, i in found if i < 0 or self.results[i].status != "interrupted"
            ]
            nets, ids = [net for net, _ in through or found], [i for _, i in through or found]
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
            "best_corrected": self._corrected(complete, alone),
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

    def _conformal(self, nets: Sequence[Net], weights: np.ndarray) -> conformal.Conformal | None:
        """Return what intervals are made from: errors on the rows that each net's fold holds out; None for classes."""
        data, pool = self.table.data, self.pool
        homes = {id(n): (c, k) for c in self.candidates.values() for k, n in c.nets.items()}
        if data.task == "classification" or any(id(net) not in homes for net in nets):
            return None  # not a candidate: the linear model of all rows
        own = [homes[id(net)] for net in nets]
        centre, spread = np.full((2, len(pool.rows), data.n_outputs), np.nan)
        for fold in {fold for _, fold in own}:
            places = pool.place[self.table.folds[fold].valid]
            mine = [i for i, (_, k) in enumerate(own) if k == fold]
            outputs = np.stack([own[i][0].predictions[places] for i in mine])
            _, means, spreads = conformal.by_fold(outputs, weights[mine], [fold] * len(mine))
            centre[places], spread[places] = means[0], spreads[0]
        return conformal.calibrate(
            data.target[pool.rows], centre, spread, [k for _, k in own], self._pool_weights()
        )

    def _corrected(self, complete: list[Candidate], alone: list[float]) -> float | None:
        """Return the best recipe's score less what it owes to being the best of many, about; None if unknown."""
        recipes = [(c, score) for c, score in zip(complete, alone, strict=True) if c.recipe_id >= 0]
        if len(recipes) < 2 or len(self.table.folds) < 2:
            return None
        sign = -1.0 if self.metric.greater_is_better else 1.0
        losses = [
            [sign * self.member_scores[i] for _, i in sorted(c.ids.items())] for c, _ in recipes
        ]
        pick = max if self.metric.greater_is_better else min
        return pick(score for _, score in recipes) + sign * selection_bias(np.array(losses))

    def _importance(self) -> dict[str, float]:
        """Return how much each hyper-parameter explains of the recipes' scores; nothing if the time is over."""
        if self.clock.left() < 0.3 * self.finishing:
            return {}
        recipes = {run.recipe_id: run.recipe.model_dump() for run in self.runs.values()}
        known = [i for i in self.scores if i in recipes]
        return importance(
            [recipes[i] for i in known], [self.metric.loss_of(self.scores[i]) for i in known],
            self.options.seed,
        )  # fmt: skip

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
        known = self.candidates.get(-1) if out_of_fold else None
        known = known if known and self._complete(known) else None
        if known is None:
            fits = len(self.table.folds) if out_of_fold else 1
            seconds = fits * baselines.linear_seconds(data, len(self.table.train))
            if self.clock.left() - seconds > 0.3 * self.finishing:
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
        return found if known is None else {**found, "linear": known.predictions.astype(float)}

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
            found = ensemble.combine(
                np.stack([c.predictions for c in complete]), shares, model.method
            )[None]
        elif honest:
            found = model.judged(data.features.take(rows))
        else:
            found = model.scores(data.features.take(rows))[None]
        w = None if data.weights is None else np.asarray(data.weights)[rows]
        true, predicted = self._in_units(data.target[rows], found[0])
        base = {
            name: self._in_units(data.target[rows], s)[1]
            for name, s in self._baselines(model, rows, out_of_fold).items()
        }
        values = model.judge(data.target[rows], found, w)
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
