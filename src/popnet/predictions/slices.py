"""For which groups of rows a model is worse: levels of columns, ranges of numbers, missing values.

Every group is compared with all other rows. So many looks find something by chance, so intervals are widened for their
number (Bonferroni 1936: with m groups each has level 1 - 0.05 / m), and a group counts only if its interval lies above
0: of models that are as good everywhere, at most 5 % have any such group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

MIN_ROWS = 30
"""Rows of a group, and of the rest, at least: means of fewer losses are far from normal."""

MAX_FOUND = 12
"""Groups that are told, the worst first."""

LEVEL = 0.95
"""Of the intervals, for all groups together."""


@dataclass(frozen=True)
class SliceColumn:
    """How a column cuts rows into groups.

    Attributes:
        name: of the column.
        groups: ``(N,)`` number of each row's group; -1 for rows of no group.
        labels: of the groups.
    """

    name: str
    groups: np.ndarray
    labels: Sequence[str]


@dataclass(frozen=True)
class SliceFound:
    """A group of rows that a model is worse for than for all others.

    Attributes:
        column: that the group is of.
        label: which group.
        rows: in it.
        loss: mean loss in it.
        rest: mean loss of all other rows.
        worse: their difference.
        low, high: ends of its interval, widened for the number of groups.
    """

    column: str
    label: str
    rows: int
    loss: float
    rest: float
    worse: float
    low: float
    high: float


@dataclass(frozen=True)
class Slices:
    """What was found.

    Attributes:
        found: groups that are worse for certain, those first that are by the most; `MAX_FOUND` at most.
        total: how many there are.
        looked: groups that were compared.
        columns: that they are of.
        rows: that were looked at.
    """

    found: list[SliceFound]
    total: int
    looked: int
    columns: int
    rows: int


def worse_slices(
    losses: np.ndarray,
    columns: Sequence[SliceColumn],
    weights: np.ndarray | None = None,
    together: np.ndarray | None = None,
) -> Slices:
    """Find the groups whose mean loss is above that of all other rows.

    The variance of a difference of means is that of Welch 1947; rows that belong together count as one observation
    (the sandwich of Liang and Zeger 1986). A group's own variance is taken as no less than that of all rows: a few rows
    that happen to agree do not pass for certainty.

    Args:
        losses: ``(N,)``, less is better.
        columns: each cuts the rows into groups.
        weights: ``(N,)`` row weights.
        together: ``(N,)`` whole numbers; rows of one number are alike.
    """
    from scipy import stats  # it takes half a second to import

    losses = np.asarray(losses, np.float64)
    w = np.ones(len(losses)) if weights is None else np.asarray(weights, np.float64)
    unit = (
        np.arange(len(losses)) if together is None else np.unique(together, return_inverse=True)[1]
    )
    every = _Sums.of(losses, w, unit, np.flatnonzero(w > 0), int(unit.max(initial=-1)) + 1)
    compared: list[tuple[SliceColumn, int, int, _Mean, _Mean]] = []
    for column in columns:
        for g in range(len(column.labels)):
            rows = np.flatnonzero((column.groups == g) & (w > 0))
            inside = _Sums.of(losses, w, unit, rows, len(every.rows))
            outside = every.less(inside)
            if min(inside.units, outside.units) >= MIN_ROWS:
                compared.append((column, g, len(rows), inside.mean(), outside.mean()))
    level = 1 - (1 - LEVEL) / max(len(compared), 1)
    overall = every.mean() if compared else None
    found: list[SliceFound] = []
    for column, g, rows, here, rest in compared:
        assert overall is not None
        variance = max(here.variance, overall.variance * overall.units / here.units)
        error = float(np.sqrt(variance + rest.variance))
        half = error * float(stats.t.ppf((1 + level) / 2, min(here.units, rest.units) - 1))
        worse = here.mean - rest.mean
        if worse > half:
            found.append(
                SliceFound(
                    column.name, column.labels[g], rows, here.mean, rest.mean, worse, worse - half, worse + half
                )
            )  # fmt: skip
    found.sort(key=lambda s: -s.worse)
    named = len({column.name for column, *_ in compared})
    return Slices(found[:MAX_FOUND], len(found), len(compared), named, len(losses))


class _Mean(NamedTuple):
    """A weighted mean, its variance, and the number of observations."""

    mean: float
    variance: float
    units: int


class _Sums(NamedTuple):
    """Sums over some rows by what they belong to: of weighted losses, of weights, and the number of rows, ``(U,)``."""

    losses: np.ndarray
    weights: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(
        cls, losses: np.ndarray, w: np.ndarray, unit: np.ndarray, rows: np.ndarray, units: int
    ) -> Self:
        """Return the sums over some of the rows."""
        u, v = unit[rows], w[rows]
        return cls(
            np.bincount(u, v * losses[rows], units),
            np.bincount(u, v, units),
            np.bincount(u, minlength=units),
        )

    def less(self, other: Self) -> Self:
        """Return the sums over the rows that are not among some others."""
        return type(self)(*(a - b for a, b in zip(self, other, strict=True)))

    @property
    def units(self) -> int:
        """How many observations there are: rows that belong together are one."""
        return int(np.count_nonzero(self.rows))

    def mean(self) -> _Mean:
        """Return the mean loss, and its variance over observations; there must be two."""
        total = float(self.weights.sum())
        mean = float(self.losses.sum()) / total
        apart = np.where(self.rows > 0, self.losses - mean * self.weights, 0.0)
        variance = float(apart @ apart) / total**2 * self.units / (self.units - 1)
        return _Mean(mean, variance, self.units)
