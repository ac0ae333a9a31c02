"""Several nets in one that share all weights but their first scaling and their last layer.

The mini variant of TabM (Gorishniy et al. 2024, arXiv:2410.24210), which is BatchEnsemble (Wen et al. 2020,
arXiv:2002.06715) with one adapter: each head sees the first layer's inputs times signs of its own, all heads go through
the same layers, and each has an output layer of its own. They are trained each for itself; a prediction is their mean.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array

CLOSED = -1e30
"""Bias of an output that is only padding: a class of probability 0."""


def spread(x: Array, adapters: Array) -> Array:
    """Return rows as each head sees them, head by head, ``(K * N, D)``, of rows ``(N, D)`` and adapters ``(K, D)``."""
    return (adapters[:, None] * x[None]).reshape(-1, x.shape[1])


def repeated(x: Array, heads: int) -> Array:
    """Return what all heads have in common for each of them, ``(K * N, ...)``, of ``(N, ...)``."""
    return x if heads == 1 else jnp.tile(x, (heads, *(1 for _ in x.shape[1:])))


def outputs(h: Array, w: Array, b: Array) -> Array:
    """Return each head's outputs ``(K * N, O)``, of ``(K * N, W)``, its weights ``(K, W, O)`` and bias ``(K, O)``."""
    heads, width, count = w.shape
    each = jnp.einsum("knw,kwo->kno", h.reshape(heads, -1, width), w) + b[:, None]
    return each.reshape(-1, count)


def mean(outputs: Array, heads: int, task: Literal["classification", "regression"]) -> Array:
    """Return the heads' prediction ``(N, O)``, of their outputs ``(K * N, O)``; of classes, logits of mean chances."""
    if heads == 1:
        return outputs
    each = outputs.reshape(heads, -1, outputs.shape[1])
    if task == "regression":
        return each.mean(0)
    return jax.nn.logsumexp(jax.nn.log_softmax(each, 2), 0) - jnp.log(jnp.float32(heads))
