"""The losses that are trained: softmax cross-entropy and squared error, per row."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from popnet.types import Array


def one_hot(target: Array, n_outputs: int) -> Array:
    """Return ``(N, O)`` float32 of class numbers ``(N,)``."""
    return (target[:, None] == jnp.arange(n_outputs)[None, :]).astype(jnp.float32)


def smooth(probabilities: Array, smoothing: Array) -> Array:
    """Spread a share ``smoothing`` of target probabilities ``(N, O)`` evenly over the classes."""
    return (1 - smoothing) * probabilities + smoothing / probabilities.shape[1]


def cross_entropy(logits: Array, probabilities: Array) -> Array:
    """Return ``-sum_o p_o log softmax(logits)_o`` of each row, ``(N,)``, for target probabilities ``(N, O)``."""
    return -jnp.sum(probabilities * jax.nn.log_softmax(logits, axis=1), axis=1)


def squared_error(outputs: Array, target: Array) -> Array:
    """Return the mean over targets of the squared error of each row, ``(N,)``."""
    return jnp.mean((outputs - target) ** 2, axis=1)


def error(outputs: Array, target: Array, task: str) -> Array:
    """Return each row's error, ``(N,)``: 1 for a wrong class and 0 for the right one, or the mean absolute error."""
    if task == "regression":
        return jnp.mean(jnp.abs(outputs - target), axis=1)
    return (jnp.argmax(outputs, axis=1) != target).astype(jnp.float32)
