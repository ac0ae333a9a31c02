"""The losses that are trained: softmax cross-entropy and squared error, per row.

The target of a row's class is its number, or probabilities of all classes (soft targets, Hinton et al. 2015,
arXiv:1503.02531)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


def one_hot(target: Array, n_outputs: int) -> Array:
    """Return ``(N, O)`` float32 of class numbers ``(N,)``."""
    return (target[:, None] == jnp.arange(n_outputs)[None, :]).astype(jnp.float32)


def probabilities(target: Array, n_outputs: int) -> Array:
    """Return ``(N, O)`` float32 of class numbers ``(N,)``, or of probabilities of the first of O classes."""
    if target.ndim == 1:
        return one_hot(target, n_outputs)
    return jnp.pad(target, ((0, 0), (0, n_outputs - target.shape[1])))


def smooth(probabilities: Array, smoothing: Array, classes: Array) -> Array:
    """Spread a share ``smoothing`` of target probabilities ``(N, O)`` evenly over the first ``classes`` of them."""
    real = jnp.arange(probabilities.shape[1]) < classes
    return (1 - smoothing) * probabilities + jnp.where(real, smoothing / classes, 0.0)


def cross_entropy(logits: Array, probabilities: Array) -> Array:
    """Return ``-sum_o p_o log softmax(logits)_o`` of each row, ``(N,)``, for target probabilities ``(N, O)``."""
    return -jnp.sum(probabilities * jax.nn.log_softmax(logits, axis=1), axis=1)


def squared_error(outputs: Array, target: Array) -> Array:
    """Return the mean over targets of the squared error of each row, ``(N,)``."""
    return jnp.mean((outputs - target) ** 2, axis=1)


def scores(
    outputs: np.ndarray, target: np.ndarray, weight: np.ndarray, task: str
) -> tuple[float, float]:
    """Return loss and error of some rows, weighted means, on the host.

    Args:
        outputs: ``(N, O)``, logits or numbers.
        target: ``(N,)`` class numbers, or ``(N, O)`` probabilities of classes or numbers.
        weight: ``(N,)``, of the rows.
        task: ``"classification"`` or ``"regression"``.

    Returns:
        Mean cross-entropy and share of wrong classes (other ones than the most probable), or mean squared and mean
        absolute error.
    """
    with np.errstate(
        all="ignore"
    ):  # outputs of a net that diverges are not finite, and so is its loss
        if task == "regression":
            off = outputs - target
            loss, wrong = (off * off).mean(1), np.abs(off).mean(1)
        else:
            shifted = outputs - outputs.max(1, keepdims=True)
            right: np.ndarray
            if target.ndim == 1:
                right, true = np.take_along_axis(shifted, target[:, None], 1)[:, 0], target
            else:
                right, true = (target * shifted).sum(1), target.argmax(1)
            loss = np.log(np.exp(shifted).sum(1)) - right
            wrong = outputs.argmax(1) != true
        total = weight.sum()
        return float(weight @ loss / total), float(weight @ wrong / total)


def error(outputs: Array, target: Array, task: str) -> Array:
    """Return each row's error, ``(N,)``: 1 for a wrong class and 0 for the right one, or the mean absolute error."""
    if task == "regression":
        return jnp.mean(jnp.abs(outputs - target), axis=1)
    true = target if target.ndim == 1 else jnp.argmax(target, axis=1)
    return (jnp.argmax(outputs, axis=1) != true).astype(jnp.float32)
