"""Run a study: twins of a base recipe that differ in one factor, pair after pair, and what they show."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np

from popnet.ablation.control_variate import Difference, base_nets, controlled
from popnet.ablation.design import Pair
from popnet.ablation.factors import Factor, Level
from popnet.ablation.intervals import holm, twins_interval
from popnet.ablation.losses import row_losses
from popnet.ablation.results import Effect, Interaction, StudyResults
from popnet.ablation.row_overlap import RowOverlap
from popnet.ablation.verdicts import (
    PairPlan,
    Spread,
    detectable_effect_in_se,
    effect_that_matters,
    verdict_of,
)
from popnet.data.dataset import Dataset
from popnet.errors import InputError
from popnet.population.feed import Arrays
from popnet.population.members import Member, Result
from popnet.population.predict import Net, predict
from popnet.population.train import Trainer
from popnet.predictions.ensemble import softmax
from popnet.predictions.metrics import calibration_error
from popnet.runtime import keys
from popnet.runtime.memory import Memory
from popnet.spec.recipe import Recipe
from popnet.types import Array

PILOT_PAIRS = 4
"""Pairs after which the number of pairs is planned."""

MIN_PAIRS, MIN_PLANNED, MAX_PAIRS = 3, 10, 100
"""Pairs that anything can be said of, and that are planned: at least two cross-validations of a table."""

MAX_NETS, MANY_PAIRS = 1200, 40
"""Nets beyond which no more than so many pairs are planned: a study of many levels takes long enough with these."""

MAX_FUTILE_PAIRS = 20
"""The most pairs that are planned for what rows do not allow to be seen with any number of pairs."""

TRAIN_ROWS = 2000
"""Training rows that the gap to the training error is measured on."""

MAX_INTERACTIONS = 40
BASE = Level("base")

Term = tuple[float, "DesignCell"]
"""A cell and its weight in a sum."""


@dataclass(frozen=True)
class DesignCell:
    """What one net of the design is: fields changed, seeds, share of the training rows."""

    fields: tuple[tuple[str, object], ...] = ()
    seeds: tuple[int, ...] = (0,)
    share: float = 1.0

    @classmethod
    def of(cls, *levels: Level, share: float = 1.0) -> DesignCell:
        """Return the cell of several levels at once."""
        fields: dict[str, object] = {}
        seeds: tuple[int, ...] = (0,)
        for level in levels:
            fields |= level.fields
            seeds = level.seeds if level.seeds != (0,) else seeds
        return cls(tuple(sorted(fields.items())), seeds, share)


@dataclass(frozen=True)
class CellOutcome:
    """A cell's nets on one pair.

    Attributes:
        loss: mean error on the pair's test rows.
        wrong: share of wrong classes on them, whatever the metric; NaN of a regression.
        gap: the error minus that on training rows.
        calibration: expected calibration error on test rows; NaN of a regression.
        seconds: of training.
        diverged: whether no net was usable; a constant stands for it then, and for one whose log-loss is worse.
        rows: of what is a mean over the test rows, ``loss`` and ``wrong``, what each row adds, ``(N,)``.
    """

    loss: float
    wrong: float
    gap: float
    calibration: float
    seconds: float
    diverged: bool
    rows: Mapping[str, np.ndarray] = field(default_factory=dict[str, np.ndarray], repr=False)


class Experiment:
    """Trains the cells of a design, pair after pair, and compares them.

    Args:
        data: all rows.
        pairs: the design, more than will be used.
        base: recipe of the base.
        factors: what is varied.
        metric: one of `METRICS`.
        shares: of the training rows; 1 is always among them.
        interactions: whether levels of different factors are trained together too.
        deadline, workers, stop, memory: of `popnet.population.train.Trainer`.
        known: nets of the design that are trained already.
    """

    def __init__(
        self,
        data: Dataset,
        pairs: Sequence[Pair],
        base: Recipe,
        factors: Sequence[Factor],
        *,
        metric: str = "log_loss",
        shares: Sequence[float] = (),
        interactions: bool = False,
        deadline: float | None = None,
        workers: int | None = None,
        stop: threading.Event | None = None,
        memory: Memory | None = None,
        known: Mapping[Member, Result] | None = None,
    ) -> None:
        self.data, self.design, self.base, self.factors = data, list(pairs), base, list(factors)
        self.metric, self.workers = metric, workers
        self.shares = sorted({1.0, *shares}, reverse=True)
        self.levels = [(f, level) for f in self.factors for level in f.levels]
        self.couples = (
            [(a, b) for (f, a), (g, b) in combinations(self.levels, 2) if f.name != g.name]
            if interactions
            else []
        )
        if len(self.couples) > MAX_INTERACTIONS:
            raise InputError(
                f"these factors have {len(self.couples)} interactions (pairs of levels); at most {MAX_INTERACTIONS} "
                "are possible; name fewer factors or levels with --factor."
            )
        cells = [
            DesignCell.of(level, share=share)
            for share in self.shares
            for level in (BASE, *(x for _, x in self.levels))
        ]
        cells += [DesignCell.of(a, b) for a, b in self.couples]
        # Nets of an ensemble are the base's with other seeds, too.
        seeds = max((len(x.seeds) for _, x in self.levels), default=1)
        self.base_nets = max(seeds, base_nets(len(self.levels)))
        cells += [c for s in self.shares for c in self._bases(s)]
        self.cells = list(dict.fromkeys(cells))
        folds = [(p.subset(s), p.valid) for p in self.design for s in self.shares]
        self._trainer = Trainer(Arrays(data, data, folds), deadline, workers, stop, memory)
        self._stop = stop
        self._known = known or {}
        self.outcomes: dict[tuple[int, DesignCell], CellOutcome] = {}
        self.nets = 0

    def members_of(self, pair: int) -> dict[DesignCell, list[Member]]:
        """Return the nets of each cell of a pair; cells share nets where they can."""
        own = self.design[pair].seed
        return {
            cell: [
                Member(
                    self.base.replace(**dict(cell.fields)),
                    int(keys.key(own, "another", s)) if s else own,
                    pair * len(self.shares) + self.shares.index(cell.share),
                )
                for s in cell.seeds
            ]
            for cell in self.cells
        }

    def nets_of_a_pair(self) -> int:
        """Return how many nets a pair has."""
        return len(_every(self.members_of(0)))

    @property
    def comparisons(self) -> int:
        """Differences that the study tests."""
        return len(self.levels) * len(self.shares) + len(self.couples)

    def run(self, pairs: Iterable[int], on_net: Callable[[], None] = lambda: None) -> None:
        """Train pairs that are not trained yet; those that a deadline cuts are left out."""
        wanted = [k for k in pairs if (k, self.cells[0]) not in self.outcomes]
        plans = {k: self.members_of(k) for k in wanted}
        results = dict(self._known)
        waiting = {k: {m for m in _every(plans[k]) if m not in results} for k in wanted}
        to_train = [m for k in wanted for m in _every(plans[k]) if m not in results]
        for k in [k for k in wanted if not waiting[k]]:
            self._evaluate(k, plans[k], results)
        # Evaluated as soon as a pair is complete, so that weights do not pile up.
        for _, result in self._trainer.run(enumerate(to_train)):
            on_net()
            self.nets += 1
            if result.status == "interrupted":
                continue
            results[result.member] = result
            pair = result.member.fold // len(self.shares)
            waiting[pair].discard(result.member)
            if not waiting[pair]:
                self._evaluate(pair, plans[pair], results)

    def _evaluate(
        self, pair: int, plan: dict[DesignCell, list[Member]], results: dict[Member, Result]
    ) -> None:
        """Compare a pair's nets on its rows, and let go of them."""
        rows = self.design[pair]
        rng = keys.generator(rows.seed, "gap")
        train = {s: rows.subset(s) for s in self.shares}
        shown = {
            s: np.sort(rng.permutation(t)[:TRAIN_ROWS]) if len(t) > TRAIN_ROWS else t
            for s, t in train.items()
        }
        every = np.concatenate([rows.test, *shown.values()])
        starts = np.cumsum([0, len(rows.test), *(len(t) for t in shown.values())])
        outputs = {
            m: self._outputs(results[m], every) for m in _every(plan) if results[m].usable
        }  # fmt: skip
        for cell, members in plan.items():
            good = [outputs[m] for m in members if m in outputs]
            on_test = on_train = None
            if good:
                guess = np.mean(good, axis=0)
                place = 1 + self.shares.index(cell.share)
                on_test, on_train = (
                    guess[: len(rows.test)],
                    guess[starts[place] : starts[place + 1]],
                )
            self.outcomes[pair, cell] = self._outcome(
                rows.test, shown[cell.share], train[cell.share], on_test, on_train,
                sum(results[m].seconds for m in members),
            )  # fmt: skip
        for member in _every(plan):
            del results[member]

    def _outcome(
        self, test: Array, shown: Array, learned: Array, on_test: Array | None, on_train: Array | None,
        seconds: float,
    ) -> CellOutcome:  # fmt: skip
        """Return what a cell's nets are worth, by what they say of test rows and of training rows (None: diverged)."""
        losses = row_losses(self.data, test, on_test, learned, self.metric)
        gap = losses.mean() - row_losses(self.data, shown, on_train, learned, self.metric).mean()
        calibration = wrong = float("nan")
        rows = {"loss": losses.astype(np.float32)}
        if self.data.task == "classification":
            errors = row_losses(self.data, test, on_test, learned, "error")
            wrong = float(errors.mean())
            rows["wrong"] = rows["loss"] if self.metric == "error" else errors.astype(np.float32)
            if on_test is not None:
                calibration = calibration_error(self.data.target[test], on_test)
        return CellOutcome(
            float(losses.mean()), wrong, float(gap), calibration, seconds, on_test is None, rows
        )

    def _outputs(self, result: Result, rows: Array) -> np.ndarray:
        """Return a net's probabilities of rows, or its values of a regression."""
        net = Net.of(result)
        found = predict([net], self.data.features, rows, self.workers)[0]
        return found if self.data.task == "regression" else softmax(found)

    @property
    def ended(self) -> str:
        """Say why training ended before all pairs were trained."""
        interrupted = self._stop is not None and self._stop.is_set()
        return "the study was interrupted" if interrupted else "the time limit was reached"

    def done(self) -> list[int]:
        """Return the complete pairs."""
        return sorted({k for k, _ in self.outcomes})

    def measured(self, *terms: Term, what: str = "loss") -> Difference:
        """Return a measurement's weighted sum over cells: a level's gain, with 1 for the base and -1 for the level.

        Args:
            terms: weights and cells.
            what: a number of `CellOutcome`.
        """
        pairs = [[self.outcomes[k, c] for _, c in terms] for k in self.done()]
        weights = [w for w, _ in terms]
        values = np.array([[getattr(o, what) for o in pair] for pair in pairs], float)
        rows = None
        if all(what in o.rows for pair in pairs for o in pair):
            rows = np.concatenate([np.stack([o.rows[what] for o in p], 1) @ weights for p in pairs])
        return Difference(values @ weights, rows)

    def _bases(self, share: float) -> list[DesignCell]:
        """Return the base with its own seed and with others."""
        return [DesignCell(seeds=(i,), share=share) for i in range(self.base_nets)]

    def _base(self, share: float = 1.0) -> Difference:
        """Return the base's error, the mean of its nets'."""
        bases = self._bases(share)
        return self.measured(*((1 / len(bases), c) for c in bases))

    def contrast(self, *terms: Term, share: float = 1.0, what: str = "loss") -> Difference:
        """Return a difference of cells as `measured`, without what it owes to the luck of the base's own seed."""
        found = self.measured(*terms, what=what)
        own, *others = self._bases(share)
        if not others:
            return found
        control = self.measured((1, own), *((-1 / len(others), c) for c in others), what=what)
        return controlled(found, control)

    def detect(self, asked: float | None) -> float:
        """Return the smallest effect that matters: as asked, or by the base's error."""
        if asked is not None:
            return asked
        return effect_that_matters(self.base_loss())

    def base_loss(self) -> float:
        """Return the base's mean error over complete pairs."""
        return float(self._base().values.mean())

    def plan(self, detect: float, pairs: int | None = None) -> PairPlan:
        """Return the pairs that are enough for an effect of that size, of every level, by the complete ones.

        A level whose interval lies beyond ``detect`` needs no more than to be told from nothing. Only spreads decide
        for the others, so that pairs can be planned again when more of them are complete, and an interval holds as
        often as one of a fixed number (Chow and Robbins 1965, fixed-width sequential confidence intervals).

        Args:
            detect: smallest effect that matters.
            pairs: if they are not to be planned.
        """
        done, most = self.done(), len(self.design)
        if self.nets_of_a_pair() * most > MAX_NETS:
            most = min(most, max(MANY_PAIRS, MAX_NETS // self.nets_of_a_pair()))
        shared = self.shared(done)
        sizes: list[float] = []
        spreads: list[Spread] = []
        for _, level in self.levels:
            gain = self.contrast(*_gain(DesignCell.of(level), DesignCell()))
            assert gain.rows is not None
            ends = twins_interval(gain, shared)
            sizes.append(max(detect, ends.low, -ends.high))
            spreads.append(Spread.of(gain.rows, shared, gain.fitted))
        lacking = [s.rows_needed(x, self.comparisons) for x, s in zip(sizes, spreads, strict=True)]
        rows = max((n for n in lacking if n > self._rows), default=0)
        if pairs is None:
            designs = [d for d in self._weights if MIN_PLANNED <= d[0] <= most]
            needed = [
                min(most, MAX_FUTILE_PAIRS)
                if n > self._rows
                else s.pairs_needed(designs, x, self.comparisons) or most
                for x, s, n in zip(sizes, spreads, lacking, strict=True)
            ]
            pairs = max(needed, default=PILOT_PAIRS)
        pairs = min(pairs, len(self.design))
        shows = [self._shows(s, x, detect, pairs) for x, s in zip(sizes, spreads, strict=True)]
        return PairPlan(pairs, max(shows, default=detect), rows)

    def _shows(self, spread: Spread, size: float, detect: float, pairs: int) -> float:
        """Return the effect that so many pairs are enough for; of a level whose size they show, at most ``detect``."""
        found = detectable_effect_in_se(self.comparisons, pairs) * spread.error(
            *self._weights[pairs - 2]
        )
        return found if found > size else min(found, detect)

    @cached_property
    def _weights(self) -> list[tuple[int, float]]:
        """Pairs of the design, from 2 on, and what their rows weigh."""
        return [(k, self.shared(range(k)).weight) for k in range(2, len(self.design) + 1)]

    @property
    def _rows(self) -> int:
        """Rows of the study."""
        return max(len(p.train) + len(p.valid) + len(p.test) for p in self.design)

    def shared(self, pairs: Iterable[int]) -> RowOverlap:
        """Return which rows so many pairs of the design are compared on."""
        return RowOverlap.of([self.design[k].test for k in pairs])

    def found(self, detect: float, asked: int) -> StudyResults:
        """Return the results of the complete pairs.

        Raises:
            InputError: fewer than `MIN_PAIRS` are.
        """
        done = self.done()
        if len(done) < MIN_PAIRS:
            raise InputError(
                f"{self.ended} before {MIN_PAIRS} pairs of nets were trained ({len(done)} were); give "
                "more time (--time-limit), fewer factors (--factor), or fewer rows (--rows)."
            )
        shared = self.shared(done)
        first = self.design[done[0]]
        base_error = {s: twins_interval(self._base(s), shared) for s in self.shares}
        comparisons = [(f, x, s) for s in self.shares for f, x in self.levels]
        gains = [
            self.contrast(*_gain(DesignCell.of(x, share=s), DesignCell(share=s)), share=s)
            for _, x, s in comparisons
        ]
        extras = [
            self.contrast(
                (-1, DesignCell()),
                (1, DesignCell.of(a)),
                (1, DesignCell.of(b)),
                (-1, DesignCell.of(a, b)),
            )
            for a, b in self.couples
        ]
        intervals = [twins_interval(m, shared) for m in (*gains, *extras)]
        corrected = holm(np.array([i.p for i in intervals]))
        effects: list[Effect] = []
        for (factor, level, s), gain, found, p in zip(
            comparisons, gains, intervals[: len(gains)], corrected[: len(gains)], strict=True
        ):
            cell, base = DesignCell.of(level, share=s), DesignCell(share=s)
            mine, bases = ([self.outcomes[k, c] for k in done] for c in (cell, base))
            assert gain.rows is not None
            spread = Spread.of(gain.rows, shared, gain.fitted)
            said = verdict_of(found, float(p), detect, spread.floor(self._rows))
            needs = spread.rows_needed(detect, self.comparisons)
            change = {
                what: twins_interval(
                    self.contrast((1, cell), (-1, base), share=s, what=what), shared
                )
                for what in ("wrong", "gap", "calibration")
            }
            effects.append(
                Effect(
                    factor.name, factor.base, level.label, s, found, float(p),
                    said,
                    base_error[s].mean - found.mean, base_error[s].mean,
                    change["wrong"], change["gap"], change["calibration"],
                    float(np.median([o.seconds / max(b.seconds, 1e-9) for o, b in zip(mine, bases, strict=True)])),
                    sum(o.diverged for o in mine), len(done), gain.values,
                    needs if said == "not detectable" else 0,
                )
            )  # fmt: skip
        interactions = [
            Interaction(
                a.label, b.label, extra, float(p),
                float(self.contrast(*_gain(DesignCell.of(a, b), DesignCell())).values.mean()),
            )
            for (a, b), extra, p in zip(
                self.couples, intervals[len(gains) :], corrected[len(gains) :], strict=True
            )
        ]  # fmt: skip
        return StudyResults(
            self.base, self.metric, detect, len(done), asked,
            [e for e in effects if e.share == 1], [e for e in effects if e.share != 1], interactions,
            base_error,
            {s: len(first.subset(s)) for s in self.shares}, len(first.test), shared.repeats,
            self.nets, self.base_nets,
        )  # fmt: skip


def _gain(cell: DesignCell, base: DesignCell) -> tuple[Term, Term]:
    """Return a cell's gain, for `Experiment.measured`: the base's error minus the cell's."""
    return (1, base), (-1, cell)


def _every(plan: dict[DesignCell, list[Member]]) -> list[Member]:
    """Return a pair's nets, each once."""
    return list(dict.fromkeys(m for members in plan.values() for m in members))
