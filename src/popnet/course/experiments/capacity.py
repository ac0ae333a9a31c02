"""Claim 11: a net with more capacity than its data can fill over-fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from popnet.course.base import ClaimOutcome, Criterion
from popnet.course.evidence import as_points, crossed_interval, holds_for_gain, mean_band
from popnet.course.lab import Bench, errors, twins_of_seeds
from popnet.course.material import FACTORS
from popnet.course.nets import ADAM
from popnet.population.members import Result
from popnet.report.document import Line, Lines, Table
from popnet.report.format import fixed
from popnet.runtime import keys
from popnet.types import Array

WIDTHS = (2, 8, 32, 128)
STEPS = 600
SEEDS = 3
WRONG_SHARE = 0.2
"""Share of the training rows whose targets are shuffled, in the trial with wrong targets."""

SMALLEST_FACTOR = FACTORS[0]


def permuted(target: Array, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return targets of which a share is permuted among the rows, so that their distribution stays the same."""
    target = np.array(target)
    rows = np.sort(rng.permutation(len(target))[: round(share * len(target))])
    target[rows] = target[rng.permutation(rows)]
    return target


def capacity(bench: Bench) -> ClaimOutcome:
    """Test claim 11."""
    table = bench.table
    right = _trial(bench, None)
    wrong = _trial(
        bench,
        permuted(table.data.target, WRONG_SHARE, keys.generator(bench.seed, "claims", "wrong")),
    )
    test, gap, wrong_gap = right.test, right.gap, wrong.gap
    few, many = table.overlap(SMALLEST_FACTOR), table.overlap(FACTORS[-1])
    wider = crossed_interval(gap[:, 0, -1] - gap[:, 0, 0], few)
    fewer = crossed_interval(gap[:, 0, -1] - gap[:, -1, -1], max(few, many))
    harm = crossed_interval(test[:, 0, -1] - test[:, 0, -2], few)
    wrong_wider = crossed_interval(wrong_gap[:, 0, -1] - wrong_gap[:, 0, 0], few)
    wrong_harm = crossed_interval(wrong.test[:, 0, -1] - wrong.test[:, 0, 1], few)
    rows_few, rows_many = table.rows(SMALLEST_FACTOR), table.rows(FACTORS[-1])
    parts = (
        Criterion(
            f"with {rows_few} training rows, the gap between test and training error is larger at width "
            f"{WIDTHS[-1]} than at width {WIDTHS[0]}",
            f"with {rows_few} rows the gap between test and training error is {as_points(wider)} larger at width "
            f"{WIDTHS[-1]} than at width {WIDTHS[0]}",
            holds_for_gain(wider, bench.min_gain),
            wider,
        ),
        Criterion(
            f"at width {WIDTHS[-1]} the gap is larger with {rows_few} rows than with {rows_many}",
            f"at width {WIDTHS[-1]} the gap is {as_points(fewer)} larger with {rows_few} rows than with {rows_many}",
            holds_for_gain(fewer, bench.min_gain),
            fewer,
        ),
        Criterion(
            f"the test error itself is higher at width {WIDTHS[-1]} than at width {WIDTHS[-2]}",
            f"the test error at width {WIDTHS[-1]} is {as_points(harm)} higher than at width {WIDTHS[-2]}",
            holds_for_gain(harm, bench.min_gain),
            harm,
            main=False,
        ),
        Criterion(
            f"with {WRONG_SHARE:.0%} wrong targets the gap grows with the width, too",
            f"with wrong targets the gap grows by {as_points(wrong_wider)}",
            holds_for_gain(wrong_wider, bench.min_gain),
            wrong_wider,
            main=False,
        ),
        Criterion(
            f"with {WRONG_SHARE:.0%} wrong targets the test error is higher at width {WIDTHS[-1]} than at width "
            f"{WIDTHS[1]}",
            f"with wrong targets the test error at width {WIDTHS[-1]} is {as_points(wrong_harm)} higher than at width "
            f"{WIDTHS[1]}",
            holds_for_gain(wrong_harm, bench.min_gain),
            wrong_harm,
            main=False,
        ),
    )  # fmt: skip
    return ClaimOutcome(
        parts,
        (
            f"ReLU nets of one hidden layer of {', '.join(map(str, WIDTHS))} units, about {STEPS} steps of AdamW "
            f"without any regularization, on {', '.join(str(table.rows(f)) for f in FACTORS)} rows; the last "
            f"epoch's weights are used. {len(test)} repetitions of {SEEDS} seeds each, judged on {len(table.test)} "
            "test rows; where repetitions share training rows, the interval allows for it.",
            "A large gap alone does no harm: what counts is the test error, which often keeps falling with the width "
            "although the training error is 0 already (Neyshabur et al. 2015, arXiv:1412.6614; Zhang et al. 2017, "
            f"arXiv:1611.03530). So the same is done with {WRONG_SHARE:.0%} of the training targets shuffled: to "
            "memorize these does harm.",
        ),
        (_picture(bench, right, ""), _picture(bench, wrong, f", {WRONG_SHARE:.0%} wrong targets")),
        _table(bench, right, wrong),
    )  # fmt: skip


@dataclass(frozen=True)
class CapacityTrial:
    """Errors of nets of each width on each number of rows.

    Attributes:
        train: training errors ``(J, sizes, widths)``.
        test: test errors ``(J, sizes, widths, N)``.
    """

    train: np.ndarray
    test: np.ndarray

    @property
    def gap(self) -> np.ndarray:
        """Test minus training errors, ``(J, sizes, widths, N)``."""
        return self.test - self.train[..., None]


def _trial(bench: Bench, target: Array | None) -> CapacityTrial:
    table = bench.table
    recipes = [
        (f, ADAM.replace(depth=1, width=w, epochs=bench.epochs(STEPS, table.rows(f))))
        for f in FACTORS
        for w in WIDTHS
    ]
    groups = [
        [
            m
            for f, recipe in recipes
            for m in twins_of_seeds(bench, [recipe], "capacity", table.fold(k, f), SEEDS)
        ]
        for k in range(table.repeats)
    ]
    arrays = None if target is None else table.arrays_with(target)
    results = bench.train(groups, arrays=arrays)
    shape = len(results), len(FACTORS), len(WIDTHS), SEEDS
    train = np.array([[_training_error(bench, r, target) for r in g] for g in results])
    test = np.array([bench.errors(g) for g in results])
    return CapacityTrial(train.reshape(shape).mean(3), test.reshape(*shape, -1).mean(3))


def _training_error(bench: Bench, result: Result, target: Array | None) -> float:
    """Return a net's error on the rows that it was trained on, by the targets that it was given."""
    table = bench.table
    rows = table.folds[result.member.fold][0]
    outputs = bench.outputs([result], rows=rows)[0]
    if target is None:
        return float(errors(outputs, table, rows).mean())
    if table.data.task == "regression":
        return float(((outputs - target[rows]) ** 2).mean())
    return float((outputs.argmax(-1) != target[rows]).mean())


def _picture(bench: Bench, trial: CapacityTrial, words: str) -> Lines:
    train, test = trial.train, trial.test
    lines: list[Line] = []
    for s, f in enumerate(FACTORS):
        if s in (0, len(FACTORS) - 1):
            name = f"{bench.table.rows(f)} rows"
            lines.append(Line(f"{name}, test", WIDTHS, *mean_band(100 * test[:, s].mean(-1))))
            lines.append(Line(f"{name}, training", WIDTHS, *mean_band(100 * train[:, s])))
    return Lines(tuple(lines), "width", f"error, %{words}", log_x=True)


def _table(bench: Bench, right: CapacityTrial, wrong: CapacityTrial) -> Table:
    rows: list[tuple[str, ...]] = []
    for words, trial in (("right", right), (f"{WRONG_SHARE:.0%} wrong", wrong)):
        for s, f in enumerate(FACTORS):
            means = zip(trial.train[:, s].mean(0), trial.test[:, s].mean((0, 2)), strict=True)
            texts = [f"{fixed(100 * float(a), 1)} / {fixed(100 * float(b), 1)} %" for a, b in means]
            rows.append((words, str(bench.table.rows(f)), *texts))
    head = ("targets", "rows", *(f"width {w}: training / test" for w in WIDTHS))
    return Table(head, tuple(rows))
