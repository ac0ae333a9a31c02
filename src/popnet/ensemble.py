"""Combine members: average, vote, or greedy selection on held-out predictions."""

from __future__ import annotations

import time
from typing import Literal, NamedTuple

import numpy as np

from popnet.decisions import decided
from popnet.metrics import METRICS, Metric
from popnet.types import Array

Method = Literal["greedy", "average", "vote"]


class Selection(NamedTuple):
    """Weights of an ensemble.

    Attributes:
        weights: ``(M,)``, not negative, sum 1.
        path: metric after each step of a greedy selection; empty for the others.
    """

    weights: np.ndarray
    path: list[float]


def softmax(logits: Array) -> np.ndarray:
    """Return probabilities of logits ``(..., O)``, in float64 and safe for large values."""
    shifted = np.asarray(logits, np.float64)
    e = np.exp(shifted - shifted.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def combine(predictions: Array, weights: Array, method: Method = "greedy") -> np.ndarray:
    """Combine predictions of members.

    Args:
        predictions: ``(M, N, O)``, probabilities or regression values.
        weights: ``(M,)``.
        method: ``vote`` counts each member's favourite class (for probabilities); the others average.

    Returns:
        ``(N, O)``.
    """
    if method == "vote":
        classes = predictions.shape[2]
        predictions = np.eye(classes)[np.asarray(predictions).argmax(2)]
    return np.einsum(
        "mno,m->no", np.asarray(predictions, np.float64), np.asarray(weights, np.float64)
    )


def equal(count: int) -> Selection:
    """Return equal weights."""
    return Selection(np.full(count, 1 / count), [])


def greedy(
    predictions: Array,
    true: Array,
    metric: Metric,
    weights: Array | None = None,
    *,
    steps: int = 50,
    patience: int = 10,
    deadline: float | None = None,
) -> Selection:
    """Select members with replacement, each step the one that helps the average most (Caruana et al. 2004).

    What helps is judged by the metric that ``metric`` is chosen by (`Metric.chosen_by`). Starts from the best member,
    so by that metric the ensemble is never worse than it on these rows. Of equal scores the log-loss (or squared error)
    decides; it alone decides where the metric is not defined (the area under the curve of one class).

    Args:
        predictions: ``(M, N, O)``, probabilities or regression values on rows that the members did not train on.
        true: ``(N,)`` class numbers or ``(N, O)`` targets.
        metric: what to improve.
        weights: ``(N,)`` row weights.
        steps: most members to add.
        patience: steps without improvement after which selection ends.
        deadline: moment of ``time.monotonic()`` after which no step is begun, but the first.
    """
    predictions = np.asarray(predictions, np.float64)
    judge = METRICS[metric.chosen_by or metric.name]
    count = len(predictions)
    chosen = np.zeros(count)
    total = np.zeros(predictions.shape[1:])
    best, best_chosen, path, waited = np.inf, chosen, [], 0
    for step in range(1, steps + 1):
        if step > 1 and deadline is not None and time.monotonic() > deadline:
            break
        losses = [judge.loss(true, (total + p) / step, weights) for p in predictions]
        losses = [loss if np.isfinite(loss) else np.inf for loss in losses]
        least = min(losses)
        tied = [m for m in range(count) if losses[m] <= least]
        pick = min(tied, key=lambda m: _smooth_loss(true, (total + predictions[m]) / step, weights))
        chosen = chosen + np.eye(count)[pick]
        total = total + predictions[pick]
        path.append(metric(true, decided(metric, true, total / step, weights), weights))
        if step == 1 or losses[pick] < best - 1e-12:
            best, best_chosen, waited = losses[pick], chosen, 0
        else:
            waited += 1
            if waited >= patience:
                break
    return Selection(best_chosen / best_chosen.sum(), path[: int(best_chosen.sum())])


def _smooth_loss(true: Array, predicted: Array, weights: Array | None) -> float:
    if true.ndim == 1:
        p = predicted[np.arange(len(true)), true]
        return _average(-np.log(np.clip(p, 1e-12, None)), weights)
    return _average(((true - predicted) ** 2).mean(1), weights)


def _average(losses: np.ndarray, weights: Array | None) -> float:
    return float(
        np.average(losses, weights=weights if weights is not None and np.any(weights) else None)
    )
