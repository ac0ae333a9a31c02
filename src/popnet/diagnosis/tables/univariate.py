"""What one column alone says: its values as cells, and cross-fitted predictions from them.

A cell is a level, a stretch between two quantiles, or "missing". What a cell predicts for a row is the mean over the
other folds' rows of that cell, so a column of many levels gains nothing by learning its rows by heart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from popnet.data import splits
from popnet.data.tables.cast import to_numbers, to_text, to_times
from popnet.data.tables.columns import epoch_seconds
from popnet.data.tables.schema import Column
from popnet.predictions.metrics import METRICS
from popnet.types import Array

BINS = 64
"""Cells of a column of numbers, at most: enough for any smooth dependence, and some hundred rows each of 10,000."""

BLOCK = 5
"""Rows whose mean is one point of the line that a column of numbers predicts a numeric target by."""

FOLDS = 5

PRIOR = 0.1
"""Rows with the mean of all that are added to each cell: next to nothing, but for a cell of no other row."""


class Cells(NamedTuple):
    """A column as cells.

    Attributes:
        numbers: ``(N,)`` int64 in ``[0, total)``; the last is "missing", whether or not any value is.
        total: number of cells, that of missing values included.
    """

    numbers: np.ndarray
    total: int


def is_number(column: Column) -> bool:
    """Tell whether a column's values have an order that means something."""
    return column.kind in ("numeric", "discrete", "datetime")


def values(series: pl.Series, column: Column) -> np.ndarray:
    """Return ``(N,)`` float64 of a column of numbers or times; NaN where missing or no number."""
    if column.kind == "datetime":
        return epoch_seconds(to_times(series, column.format)[0])
    return to_numbers(series, column.nulls, words=column.kind == "boolean")[0].to_numpy()


def cells(series: pl.Series, column: Column, bins: int = BINS) -> Cells:
    """Return a column as cells: levels of text, of truth values and of numbers with few values, else quantiles.

    Args:
        series: ``(N,)`` the column.
        column: what the schema says of it.
        bins: most cells of numbers, without that of missing values.
    """
    if not is_number(column):
        ranks = to_text(series).rank("dense").to_numpy().astype(float)
        missing = np.isnan(ranks)
        count = int(np.nanmax(ranks)) if not missing.all() else 0
        return Cells(np.where(missing, count, np.nan_to_num(ranks) - 1).astype(np.int64), count + 1)
    x = values(series, column)
    known = x[~np.isnan(x)]
    distinct = np.unique(known)
    if len(distinct) > bins:
        # A quantile may fall on a value of many rows: equal edges are one.
        edges = np.unique(np.quantile(known, np.arange(1, bins) / bins, method="inverted_cdf"))
        numbers = np.searchsorted(edges, x, side="left")
        count = len(edges) + 1
    else:
        numbers, count = np.searchsorted(distinct, x, side="left"), len(distinct)
    return Cells(np.where(np.isnan(x), count, numbers).astype(np.int64), count + 1)


def cross_fitted_proba(column: Cells, classes: Array, n: int, fold: Array) -> np.ndarray:
    """Return the share of each class in a row's cell, over the other folds' rows, ``(N, n)``.

    `PRIOR` rows are added to each cell, with the shares of all rows that are not missing: a level that stands alone
    says what it says to have a value at all.

    Args:
        column: cells of N rows.
        classes: ``(N,)`` class numbers below ``n``.
        n: number of classes.
        fold: ``(N,)`` each row's fold.
    """
    present = column.numbers < column.total - 1
    prior = np.bincount(classes[present], minlength=n) + 1e-9
    prior /= prior.sum()
    place = column.numbers * n + classes
    every = np.bincount(place, minlength=column.total * n).reshape(column.total, n)
    out = np.empty((len(classes), n))
    for f in np.unique(fold):
        held = fold == f
        own = np.bincount(place[held], minlength=column.total * n).reshape(column.total, n)
        counts = every - own + PRIOR * prior
        out[held] = (counts / counts.sum(1, keepdims=True))[column.numbers[held]]
    return out


def cross_fitted_means(column: Cells, y: Array, fold: Array) -> np.ndarray:
    """Return the mean target in a row's cell over the other folds' rows, ``(N,)``; arguments as
    `cross_fitted_proba`."""
    sums = np.bincount(column.numbers, y, minlength=column.total)
    counts = np.bincount(column.numbers, minlength=column.total)
    present = column.numbers < column.total - 1
    prior = y[present].mean() if present.any() else 0.0
    out = np.empty(len(y))
    for f in np.unique(fold):
        held = fold == f
        own = column.numbers[held]
        rest = sums - np.bincount(own, y[held], minlength=column.total)
        many = counts - np.bincount(own, minlength=column.total)
        out[held] = ((rest + PRIOR * prior) / (many + PRIOR))[own]
    return out


def cross_fitted_curve(x: Array, y: Array, fold: Array) -> np.ndarray:
    """Return what a column of numbers predicts: a piecewise linear curve through means of `BLOCK` neighbours, ``(N,)``.

    Unlike cells it follows a target with long tails, and an exact formula almost without error. Rows without a
    value get the mean target of the other folds' rows without one.

    Args:
        x: ``(N,)`` float64, NaN where missing.
        y: ``(N,)`` float64.
        fold: ``(N,)`` each row's fold.
    """
    order = np.argsort(x, kind="stable")  # NaN last
    out = np.full(len(y), y.mean())
    for f in np.unique(fold):
        held = fold == f
        chosen = order[~held[order]]
        chosen = chosen[~np.isnan(x[chosen])]
        if len(chosen) >= BLOCK:
            starts = np.arange(0, len(chosen), BLOCK)
            many = np.diff(np.append(starts, len(chosen)))
            knots = np.add.reduceat(x[chosen], starts) / many
            heights = np.add.reduceat(y[chosen], starts) / many
            # Equal values may fill many blocks: they are one knot.
            knots, which, weight = np.unique(knots, return_inverse=True, return_counts=True)
            out[held] = np.interp(x[held], knots, np.bincount(which, heights) / weight)
        lacking = np.isnan(x) & ~held
        if lacking.any():
            out[held & np.isnan(x)] = y[lacking].mean()
    return np.where(np.isfinite(out), out, y.mean())


def cross_fitted_line(x: Array, y: Array, fold: Array) -> np.ndarray:
    """Return what one straight line predicts, fitted on the other folds, ``(N,)``; see `cross_fitted_curve`."""
    out = np.full(len(y), y.mean())
    for f in np.unique(fold):
        held, seen = fold == f, np.isfinite(x) & (fold != f)
        if seen.sum() < 2:
            continue
        mean, spread = x[seen].mean(), x[seen].std()
        if spread > 0:
            z = (x - mean) / spread
            slope = float((z[seen] * (y[seen] - y[seen].mean())).mean())
            out[held] = y[seen].mean() + slope * z[held]
    return np.where(np.isfinite(out), out, y.mean())


def skill(shares: Array, classes: Array) -> float:
    """Return the balanced accuracy of class shares, scaled so that guessing is 0 and always right 1.

    A row is taken for the class whose share is highest over its prior, as balanced accuracy asks for. Classes are
    weighed alike, so a rare class cannot hide.

    Args:
        shares: ``(N, C)`` predicted.
        classes: ``(N,)`` true.
    """
    prior = np.bincount(classes, minlength=shares.shape[1]) / len(classes)
    taken = (shares / np.maximum(prior, 1e-12)).argmax(1)
    there = np.flatnonzero(prior)
    right = [float((taken[classes == c] == c).mean()) for c in there]
    if len(there) < 2:
        return 0.0
    return float((np.mean(right) - 1 / len(there)) / (1 - 1 / len(there)))


def r2(y: Array, predicted: Array) -> float:
    """Return the share of the variance of ``y`` that a prediction explains; 0 for a constant."""
    if not np.var(y) > 0:
        return 0.0
    return METRICS["r2"](np.asarray(y)[:, None], np.asarray(predicted)[:, None])


def trimmed_r2(y: Array, predicted: Array) -> float:
    """Return R2 of all rows or, if larger, of those whose ``y`` is not among the 2 % furthest out on either side.

    A target of long tails has nearly all its variance in a few rows, where no curve is met by its neighbours.
    """
    low, high = np.quantile(y, [0.02, 0.98])
    inner = (y >= low) & (y <= high)
    return max(r2(y, predicted), r2(y[inner], predicted[inner]))


def roc_auc(positive: Array, score: Array) -> float:
    """Return the area under the ROC curve: the chance that a positive row scores higher, ties half."""
    return METRICS["roc_auc"](np.asarray(positive, np.int64), np.stack([-score, score], 1))


def random_folds(n: int, seed: int, classes: Array | None = None) -> np.ndarray:
    """Return ``(n,)`` fold numbers of `FOLDS` folds, with each class spread over them evenly."""
    fold = np.zeros(n, np.int64)
    for f, part in enumerate(splits.folds(np.arange(n), FOLDS, seed, stratify=classes)):
        fold[part.valid] = f
    return fold
