"""What outputs of nets are worth: losses, calibration, and what a net that learned nothing would say."""

from __future__ import annotations

import numpy as np

from popnet.data.dataset import Dataset
from popnet.types import Array

METRICS = ("error", "log_loss")


def losses_of(outputs: Array, target: Array, task: str, metric: str) -> np.ndarray:
    """Return each row's loss, ``(..., N)``.

    ``error``: 1 for a wrong class, or the squared error of targets scaled to variance 1 (the share of the variance that
    is left); ``log_loss``: of classes only.

    Args:
        outputs: ``(..., N, O)`` probabilities, or scaled targets.
        target: ``(N,)`` class numbers or ``(N, O)``.
        task: ``classification`` or ``regression``.
        metric: one of `METRICS`.
    """
    if task == "regression":
        return ((outputs - target) ** 2).mean(-1)
    if metric == "log_loss":
        right = np.broadcast_to(target[:, None], (*outputs.shape[:-1], 1))
        return -np.log(np.maximum(np.take_along_axis(outputs, right, -1)[..., 0], 1e-12))
    return (outputs.argmax(-1) != target).astype(float)


def row_losses(
    data: Dataset, rows: Array, outputs: Array | None, learned: Array, metric: str
) -> np.ndarray:
    """Return what a net's outputs of each row are worth, ``(N,)``: its loss, that of a constant if there are none.

    Where losses have no upper end a net counts as a constant if its mean is worse than one's: a few nets that run wild
    would drown all others. Losses are multiplied by the rows' weights, of mean 1, if the data has any.

    Args:
        data: all rows.
        rows: ``(N,)`` that are judged.
        outputs: ``(N, O)`` probabilities or scaled targets, or None.
        learned: rows that the constant is taken from.
        metric: one of `METRICS`.
    """
    target = data.target[rows]
    given = data.weights
    weights: Array | float = 1.0 if given is None else given[rows] / given[rows].mean()

    def each(said: Array) -> np.ndarray:
        return losses_of(said, target, data.task, metric) * weights

    constant = each(constant_outputs(data, learned, len(rows)))
    if outputs is None:
        return constant
    own = each(outputs)
    endless = metric == "log_loss" or data.task == "regression"
    return constant if endless and own.mean() > constant.mean() else own


def constant_outputs(data: Dataset, train: Array, rows: int) -> np.ndarray:
    """Return what a net that learned nothing would say: class shares, or the mean."""
    target = data.target[train]
    if data.task == "regression":
        return np.tile(target.mean(0), (rows, 1))
    return np.tile(_shares(data, train), (rows, 1))


def chance(data: Dataset, rows: Array) -> float:
    """Return the loss of the best constant on some rows: the classes' entropy, or the variance of scaled targets."""
    if data.task == "regression":
        return float(np.var(data.target[rows], axis=0).mean())
    shares = _shares(data, rows)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def _shares(data: Dataset, rows: Array) -> np.ndarray:
    return np.bincount(data.target[rows], minlength=data.n_outputs) / len(rows)
