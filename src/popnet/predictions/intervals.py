"""How sure a score is: bootstrap over rows or groups of rows, and the score interval of a share of rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from popnet.predictions.metrics import Metric

MAX_DRAWS, MIN_DRAWS = 1000, 200


def bootstrap(
    metric: Metric,
    true: np.ndarray,
    predictions: Sequence[np.ndarray],
    weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    *,
    rng: np.random.Generator,
    deadline: float | None = None,
) -> np.ndarray:
    """Return a metric on resampled rows (Efron and Tibshirani 1993), the same rows for all predictions.

    Args:
        metric: which.
        true: ``(N,)`` class numbers or ``(N, T)`` targets.
        predictions: of each model.
        weights: ``(N,)``; rows of weight 0 are left out.
        groups: ``(N,)`` whole numbers; rows of a group are drawn together, because they are alike.
        rng: of the draws.
        deadline: moment of ``time.monotonic()`` after which no more than `MIN_DRAWS` / 10 are made.

    Returns:
        ``(draws, len(predictions))``: 1,000 draws; fewer, but at least 200, of very many rows.
    """
    rows = np.arange(len(true)) if weights is None else np.flatnonzero(weights)
    members: list[np.ndarray] = [rows]
    if groups is not None:
        number = np.unique(np.asarray(groups)[rows], return_inverse=True)[1]
        members = np.split(
            rows[np.argsort(number, kind="stable")], np.cumsum(np.bincount(number))[:-1]
        )
    draws = int(np.clip(2e7 / max(len(rows), 1), MIN_DRAWS, MAX_DRAWS))
    values: list[list[float]] = []
    for i in range(draws):
        if i >= MIN_DRAWS // 10 and deadline is not None and time.monotonic() > deadline:
            break
        if groups is None:
            index = rows[rng.integers(0, len(rows), len(rows))]
        else:
            drawn: list[int] = rng.integers(0, len(members), len(members)).tolist()
            index = np.concatenate([members[g] for g in drawn])
        w = None if weights is None else weights[index]
        values.append([metric(true[index], p[index], w) for p in predictions])
    return np.array(values)


def interval(
    metric: Metric,
    true: np.ndarray,
    predicted: np.ndarray,
    draws: np.ndarray,
    weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return a metric's interval: `share_interval` for the accuracy of independent rows, else `bounds` of its draws."""
    if metric.name == "accuracy" and weights is None and groups is None:
        return share_interval(round(metric(true, predicted) * len(true)), len(true), level)
    return bounds(draws, level)


def bounds(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of draws ``(D,)``; NaN if none is a number."""
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def share_interval(count: int, rows: int, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of the share that a count of independent rows is (Wilson 1927), sound also at 0 and 1."""
    from scipy import stats  # it takes half a second to import

    found: Any = stats.binomtest(count, rows).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)
