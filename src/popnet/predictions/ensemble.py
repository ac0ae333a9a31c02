"""Combine members: average, vote, or greedy selection on held-out predictions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from popnet.predictions.decisions import decided
from popnet.predictions.metrics import METRICS, Metric

Method = Literal["greedy", "average", "vote"]


class Selection(NamedTuple):
    """Weights of an ensemble.

    Attributes:
        weights: ``(M,)``, not negative, sum 1.
        path: metric after each step of a greedy selection; empty for the others.
    """

    weights: np.ndarray
    path: list[float]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities of logits ``(..., O)``, in float64 and safe for large values."""
    shifted = np.asarray(logits, np.float64)
    e = np.exp(shifted - shifted.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def combine(predictions: np.ndarray, weights: np.ndarray, method: Method = "greedy") -> np.ndarray:
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
    predictions: np.ndarray,
    true: np.ndarray,
    metric: Metric,
    weights: np.ndarray | None = None,
    *,
    steps: int = 50,
    patience: int = 10,
    deadline: float | None = None,
) -> Selection:
    """Select members with replacement, each step the one that helps the average most (Caruana et al. 2004).

    What helps is measured by the metric's surrogate, if it has one (`Metric.surrogate`). The first is the best member,
    so by that metric the ensemble is never worse than it on these rows. Of equal scores the one with the lowest
    log-loss (or squared error) is taken; that alone counts where the metric is not defined (the area under the curve of
    one class).

    Args:
        predictions: ``(M, N, O)``, probabilities or regression values on rows that the members did not train on.
        true: ``(N,)`` class numbers or ``(N, O)`` targets.
        metric: what to improve.
        weights: ``(N,)`` row weights.
        steps: most members to add.
        patience: steps without improvement after which selection ends.
        deadline: moment of ``time.monotonic()`` after which no step is begun, but the first.
    """
    predictions = np.asarray(predictions)
    measure = METRICS[metric.surrogate] if metric.surrogate else metric
    losses_with = _losses_with(predictions, true, measure, weights)
    count = len(predictions)
    chosen, best_chosen = np.zeros(count), np.zeros(count)
    total = np.zeros(predictions.shape[1:])
    best, path, waited = np.inf, [], 0
    for step in range(1, steps + 1):
        if step > 1 and deadline is not None and time.monotonic() > deadline:
            break
        losses = losses_with(chosen)
        losses = np.where(np.isfinite(losses), losses, np.inf)
        tied = np.flatnonzero(losses <= losses.min())
        pick = tied[0]
        if len(tied) > 1:
            pick = min(
                tied, key=lambda m: smooth_loss(true, (total + predictions[m]) / step, weights)
            )
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


def _losses_with(
    predictions: np.ndarray, true: np.ndarray, measure: Metric, weights: np.ndarray | None
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from how often each member was chosen, ``(M,)``, to the losses with one more of each, ``(M,)``.

    Log-loss needs the probabilities of the true classes alone, and squared errors the products of the members' errors
    with each other: of many members and classes that is a hundredth of the work.
    """
    if weights is not None and not np.any(weights):
        weights = None
    if measure.name == "log_loss":
        of_true = predictions[:, np.arange(len(true)), true].astype(np.float64)
        of_true /= predictions.sum(2, dtype=np.float64)

        def log_losses(chosen: np.ndarray) -> np.ndarray:
            p = (chosen @ of_true + of_true) / (chosen.sum() + 1)
            return np.average(-np.log(np.clip(p, 1e-12, None)), axis=1, weights=weights)

        return log_losses
    if measure.name == "rmse":
        share = np.ones(len(true)) if weights is None else np.asarray(weights, np.float64)
        share = share / (share.sum() * true.shape[1])
        errors = (predictions - true) * np.sqrt(share)[:, None]
        errors = errors.reshape(len(errors), -1)
        products = errors @ errors.T

        def rmses(chosen: np.ndarray) -> np.ndarray:
            common = products @ chosen
            squares = chosen @ common + 2 * common + np.diag(products)
            return np.sqrt(np.maximum(squares, 0)) / (chosen.sum() + 1)

        return rmses

    def losses(chosen: np.ndarray) -> np.ndarray:
        total, step = np.tensordot(chosen, predictions, 1), chosen.sum() + 1
        return np.array([measure.loss(true, (total + p) / step, weights) for p in predictions])

    return losses


def smooth_loss(true: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None) -> float:
    """Return the log-loss of probabilities ``(N, C)``, or the mean squared error of numbers ``(N, T)``."""
    if true.ndim == 1:
        p = predicted[np.arange(len(true)), true]
        return _average(-np.log(np.clip(p, 1e-12, None)), weights)
    return _average(((true - predicted) ** 2).mean(1), weights)


def _average(losses: np.ndarray, weights: np.ndarray | None) -> float:
    return float(
        np.average(losses, weights=weights if weights is not None and np.any(weights) else None)
    )
