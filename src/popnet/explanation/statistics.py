"""How sure an increase of the loss is: rows are permuted block by block, and each block is left out once.

Rows are dealt to blocks of (nearly) one size. In a repeat each block takes a column's values from another block, so
that no row keeps its own; the next repeat takes another one. The increase varies with the rows that are predicted, with
those whose values they get, which are the same rows (it is a U-statistic of both), and with which are put together.
What a block contributes in a repeat is found by leaving it out (the jackknife's pseudo-values, Tukey 1958; of
U-statistics Arvesen 1969), which needs no formula for the metric: it holds for areas under curves as for means. These
contributions are taken apart as in a two-way analysis of variance, into what the predicted block, the giving block and
their meeting make of it; only the last becomes less with more repeats.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from popnet.ablation.intervals import Interval
from popnet.predictions.metrics import Metric
from popnet.types import Array

BLOCKS = 25
"""Blocks at most: Student's t over them is 1.05 times as wide as a normal interval, and a metric is computed so many
times for each repeat."""

MIN_BLOCKS = 8
"""With fewer blocks there is no interval."""


class Blocks(NamedTuple):
    """Rows dealt to blocks.

    Attributes:
        number: ``(N,)``, the block of each row.
        rows: of each block.
    """

    number: np.ndarray
    rows: list[np.ndarray]

    @classmethod
    def deal(cls, n: int, units: Array | None, rng: np.random.Generator) -> Blocks:
        """Deal n rows to blocks, at random; rows of one unit go together, as they are alike.

        Args:
            n: rows.
            units: ``(n,)`` whole numbers, or None.
            rng: of the deal.
        """
        unit = np.arange(n) if units is None else np.unique(units, return_inverse=True)[1]
        sizes = np.bincount(unit)
        count = min(BLOCKS, len(sizes))
        home = np.empty(len(sizes), np.intp)
        if units is None:
            home[rng.permutation(n)] = np.arange(n) % count
        else:  # the largest first, each to the smallest block
            filled = np.zeros(count)
            mixed = rng.permutation(len(sizes))
            for u in mixed[np.argsort(-sizes[mixed], kind="stable")]:
                home[u] = filled.argmin()
                filled[home[u]] += sizes[u]
        number = home[unit]
        return cls(number, [np.flatnonzero(number == b) for b in range(count)])

    def donors(self, shift: int, rng: np.random.Generator) -> np.ndarray:
        """Return which row each row takes values from, ``(N,)``: one of the block that comes ``shift`` after its own.

        Blocks of one size give each of their values once.
        """
        found = np.empty(len(self.number), np.intp)
        for b, rows in enumerate(self.rows):
            others = rng.permutation(self.rows[(b + shift) % len(self.rows)])
            found[rows] = np.resize(others, len(rows))
        return found

    def shifts(self, repeats: int, rng: np.random.Generator) -> list[int]:
        """Return the shifts of some repeats, different ones as long as there are any."""
        every = rng.permutation(np.arange(1, max(len(self.rows), 2)))
        return [int(every[r % len(every)]) for r in range(repeats)]


class Losses(NamedTuple):
    """A metric's loss of some predictions, and without each block.

    Attributes:
        whole: of all rows.
        left_out: ``(B,)``.
    """

    whole: float
    left_out: np.ndarray

    @classmethod
    def of(
        cls, metric: Metric, true: Array, predicted: Array, weights: Array | None, blocks: Blocks
    ) -> Losses:
        """Return the losses of predictions of all rows."""

        def loss(rows: Array | slice) -> float:
            return loss_of(
                metric, metric(true[rows], predicted[rows], None if weights is None else weights[rows])
            )  # fmt: skip

        rest = [np.flatnonzero(blocks.number != b) for b in range(len(blocks.rows))]
        return cls(loss(slice(None)), np.array([loss(rows) for rows in rest]))


def loss_of(metric: Metric, value: float) -> float:
    """Return a metric's value as a loss: itself where smaller is better, else what it lacks to 1, its best."""
    return 1 - value if metric.greater_is_better else value


def increase(
    base: Losses, permuted: list[Losses], shifts: list[int], least: float = 0.0
) -> Interval:
    """Return the mean increase of the loss over repeats, with its 95 % interval (Student's t over the blocks).

    Args:
        base: of the rows as they are.
        permuted: of each of R repeats.
        shifts: of each repeat, see `Blocks.donors`.
        least: variance to be added, see `of_counts`.
    """
    count = len(base.left_out)
    mean = float(np.mean([p.whole for p in permuted]) - base.whole)
    found = np.array([_contributions(p) - _contributions(base) for p in permuted])
    if count < MIN_BLOCKS or not np.isfinite(found).all():
        return Interval(mean, float("nan"), float("nan"), float("nan"), 1.0)
    error = float(np.sqrt(_variance(found, shifts) + least))
    if error == 0:
        return Interval(mean, mean, mean, 0.0, float(mean == 0))
    half = float(stats.t.ppf(0.975, count - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, count - 1))
    return Interval(mean, mean - half, mean + half, error, p)


def of_counts(metric: Metric, rows: int) -> float:
    """Return the variance to add to that of an increase of a share of rows, 0 of other metrics.

    Where no row, or hardly any, is decided otherwise, the rows say nothing of how they vary: one more row is taken to
    become wrong, and one right (Bonett and Price 2012, of differences of paired shares).
    """
    return 2 / rows**2 if metric.surrogate else 0.0


def _contributions(losses: Losses) -> np.ndarray:
    """Return pseudo-values of blocks, ``(B,)``: their mean is the loss, but for what it is curved by."""
    return losses.whole + (len(losses.left_out) - 1) * (losses.whole - losses.left_out)


def _variance(found: np.ndarray, shifts: list[int]) -> float:
    """Return the variance of the mean of contributions ``(R, B)`` by predicted block.

    A contribution is the sum of what its predicted block p and its giving block g make of it, and of a rest, all with
    variances of their own: ``V(p) + V(g) + V(rest)``. A block's mean over the repeats where it is predicted has
    ``V(p) + V(g) / R + V(rest) / R``, that over those where it gives ``V(g) + V(p) / R + V(rest) / R``.
    """
    repeats, count = found.shape
    predicted = found.mean(0)
    gives = np.mean([np.roll(row, s) for row, s in zip(found, shifts, strict=True)], 0)
    both = float((predicted - predicted.mean()) @ (gives - gives.mean())) / (count - 1)
    apart = float(predicted.var(ddof=1) + gives.var(ddof=1))
    if repeats == 1:  # the rest cannot be told from the blocks, and is counted twice
        return max(apart + 2 * both, 0.0) / count
    total = float(((found - found.mean()) ** 2).sum() / (repeats * (count - 1)))
    blocks = float(np.clip((apart - 2 * total / repeats) / (1 - 1 / repeats), 0, total))
    # What a block makes where it is predicted and what others, of the same few, do where it gives are correlated a bit.
    both += blocks / (count - 1)
    return (max(blocks + 2 * both, 0.0) + (total - blocks) / repeats) / count
