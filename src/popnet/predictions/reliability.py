"""Whether what is said to be likely happens as often as it is said: probabilities, intervals and errors by bins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from popnet.predictions.intervals import share_interval

MAX_BINS = 10
"""Bins of equal numbers of rows, at most."""

MIN_BIN_ROWS = 20
"""Rows of a bin, at least: with fewer its interval says nothing."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows of similar probabilities.

    Attributes:
        rows: their number.
        predicted: mean probability.
        happened: share of the rows that it came true for.
        low, high: ends of that share's 95 % interval.
        off: 1 where it happens more often than predicted, -1 where less often, for certain (at the 5 % level over all
            bins together, Bonferroni), else 0.
    """

    rows: int
    predicted: float
    happened: float
    low: float
    high: float
    off: int


@dataclass(frozen=True)
class ErrorBin:
    """Rows of similar predicted numbers.

    Attributes:
        rows: their number.
        predicted: mean prediction.
        mean: mean error, true less predicted: above 0 predictions are too low.
        low, high: ends of the mean's 95 % interval (Student).
        bottom, top: errors that 5 % and 95 % of the rows are below.
        off: 1 where predictions are too low on average, -1 where they are too high, for certain as in
            `ReliabilityBin`, else 0.
    """

    rows: int
    predicted: float
    mean: float
    low: float
    high: float
    bottom: float
    top: float
    off: int


@dataclass(frozen=True)
class Coverage:
    """What became of intervals.

    Attributes:
        promised: share of true numbers that they are to contain.
        share: that they contain.
        low, high: ends of the share's 95 % interval.
        width: their mean width.
    """

    promised: float
    share: float
    low: float
    high: float
    width: float


def reliability(
    happened: np.ndarray, probability: np.ndarray, independent: bool = True
) -> list[ReliabilityBin]:
    """Compare probabilities with how often they come true, in bins of about equally many rows.

    Args:
        happened: ``(N,)`` booleans.
        probability: ``(N,)`` that they were given.
        independent: whether rows are; of rows in groups no bin is said to be off.
    """
    bins = equal_bins(probability)
    out: list[ReliabilityBin] = []
    for rows in bins:
        count, n = int(happened[rows].sum()), len(rows)
        mean = float(probability[rows].mean())
        low, high = share_interval(count, n)
        strict = share_interval(count, n, 1 - 0.05 / len(bins))
        off = int(strict[0] > mean) - int(strict[1] < mean) if independent else 0
        out.append(ReliabilityBin(n, mean, count / n, low, high, off))
    return out


def error_bins(true: np.ndarray, predicted: np.ndarray, independent: bool = True) -> list[ErrorBin]:
    """Return how far off predicted numbers are, in bins of about equally many rows by the prediction.

    Args:
        true: ``(N,)`` numbers.
        predicted: ``(N,)`` likewise.
        independent: see `reliability`.
    """
    from scipy import stats  # it takes half a second to import

    bins = [rows for rows in equal_bins(predicted) if len(rows) > 1]
    out: list[ErrorBin] = []
    for rows in bins:
        errors = true[rows] - predicted[rows]
        mean, error = float(errors.mean()), float(errors.std(ddof=1) / np.sqrt(len(rows)))
        half = error * float(stats.t.ppf(0.975, len(rows) - 1))
        strict = error * float(stats.t.ppf(1 - 0.025 / len(bins), len(rows) - 1))
        off = int(mean > strict) - int(mean < -strict) if independent else 0
        bottom, top = np.quantile(errors, [0.05, 0.95])
        centre = float(predicted[rows].mean())
        out.append(
            ErrorBin(
                len(rows), centre, mean, mean - half, mean + half, float(bottom), float(top), off
            )
        )
    return out


def coverage(promised: float, true: np.ndarray, low: np.ndarray, high: np.ndarray) -> Coverage:
    """Return how often true numbers lie in their intervals.

    Args:
        promised: share of them that should.
        true: ``(N,)``.
        low, high: ``(N,)`` ends of the intervals, which belong to them.
    """
    inside = int(((low <= true) & (true <= high)).sum())
    least, most = share_interval(inside, len(true))
    return Coverage(promised, inside / len(true), least, most, float(np.mean(high - low)))


def equal_bins(values: np.ndarray, most: int = MAX_BINS) -> Sequence[np.ndarray]:
    """Return the rows of each bin of about equally many values, ascending; equal values share a bin.

    There are fewer bins where values repeat, or where they would hold fewer than `MIN_BIN_ROWS` rows; none of no rows.
    """
    if not len(values):
        return []
    count = int(np.clip(len(values) // MIN_BIN_ROWS, 1, most))
    edges = np.unique(np.quantile(values, np.linspace(0, 1, count + 1)[1:-1]))
    place = np.searchsorted(edges, values, side="left")
    return [rows for b in range(len(edges) + 1) if len(rows := np.flatnonzero(place == b))]
