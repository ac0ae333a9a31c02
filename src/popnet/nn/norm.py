"""Normalization of one layer: none, batch or layer.

In training, `normalize` uses the batch's own statistics and returns them, so that the caller can keep running
ones; at evaluation, `apply_running` uses those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from popnet.nn.branch import branch
from popnet.types import Array

NONE, BATCH, LAYER = 0, 1, 2  # the order of `recipe.choices("norm")`


class Statistics(NamedTuple):
    """Mean and variance of each unit over a batch, ``(W,)`` each; zeros where they do not apply."""

    mean: Array
    var: Array


def _none(
    x: Array, share: Array, gamma: Array, beta: Array, epsilon: Array
) -> tuple[Array, Statistics]:
    zeros = jnp.zeros_like(gamma)
    return x, Statistics(zeros, zeros)


@jax.custom_vjp
def _batch(
    x: Array, share: Array, gamma: Array, beta: Array, epsilon: Array
) -> tuple[Array, Statistics]:
    return _batch_forward(x, share, gamma, beta, epsilon)[0]


def _batch_forward(
    x: Array, share: Array, gamma: Array, beta: Array, epsilon: Array
) -> tuple[tuple[Array, Statistics], tuple[Array, ...]]:
    # Sums over rows are written as products with the row shares: a matrix-vector product is the fastest
    # column sum on the CPU, and rows that only fill up a ragged batch drop out with share 0.
    mean = share @ x
    centred = x - mean
    var = share @ (centred * centred)
    inverse = jax.lax.rsqrt(var + epsilon)
    y = centred * (inverse * gamma) + beta
    return (y, Statistics(mean, var)), (x, share, gamma, mean, inverse)


def _batch_backward(saved: tuple[Array, ...], cotangent: tuple[Array, Statistics]) -> tuple:
    # Ioffe and Szegedy 2015, section 3, in two passes. The statistics' own cotangents are dropped: running
    # averages are no part of the objective.
    x, share, gamma, mean, inverse = saved
    g = jax.lax.optimization_barrier(cotangent[0])
    normalized = (x - mean) * inverse
    ones = jnp.ones_like(share)
    d_beta = ones @ g
    d_gamma = ones @ (g * normalized)
    d_x = (g - share[:, None] * (d_beta + normalized * d_gamma)) * (inverse * gamma)
    return d_x, None, d_gamma, d_beta, None


_batch.defvjp(_batch_forward, _batch_backward)


def _layer(
    x: Array, share: Array, gamma: Array, beta: Array, epsilon: Array
) -> tuple[Array, Statistics]:
    centred = x - x.mean(1, keepdims=True)
    inverse = jax.lax.rsqrt((centred * centred).mean(1, keepdims=True) + epsilon)
    zeros = jnp.zeros_like(gamma)
    return centred * inverse * gamma + beta, Statistics(zeros, zeros)


NORMS: dict[str, Callable[..., tuple[Array, Statistics]]] = {
    "none": _none,
    "batch": _batch,
    "layer": _layer,
}  # the order is that of `recipe.choices("norm")`


def normalize(
    norm: Array, x: Array, share: Array, gamma: Array, beta: Array, epsilon: Array
) -> tuple[Array, Statistics]:
    """Normalize a layer in training.

    Args:
        norm: scalar int32, place in `NORMS`.
        x: ``(N, W)``.
        share: ``(N,)``, each row's share in the batch's statistics: 1/n for the n real rows, 0 for filling.
        gamma: ``(W,)``, learned scale.
        beta: ``(W,)``, learned shift.
        epsilon: scalar, added to the variance.

    Returns:
        ``(N, W)`` and the batch's statistics (biased variance; zeros for ``none`` and ``layer``).
    """
    return branch(list(NORMS.values()), norm, x, share, gamma, beta, epsilon)


def apply_running(
    norm: Array, x: Array, running: Statistics, gamma: Array, beta: Array, epsilon: Array
) -> Array:
    """Normalize a layer at evaluation: ``batch`` by its running statistics, ``layer`` as in training."""

    def batch(x: Array) -> Array:
        return (x - running.mean) * (jax.lax.rsqrt(running.var + epsilon) * gamma) + beta

    def layer(x: Array) -> Array:
        return _layer(x, x, gamma, beta, epsilon)[0]

    return jax.lax.switch(norm, [lambda x: x, batch, layer], x)


def update_running(
    running: Array, batch: Array, variances: Array, rows: Array, momentum: Array
) -> Array:
    """Move running statistics towards a batch's, whose variances are made unbiased (n / (n - 1)).

    Args:
        running: ``(R,)``, all layers' statistics so far.
        batch: ``(R,)``, the newest batch's, with biased variances.
        variances: ``(R,)``, 1 where a variance stands, 0 where a mean does.
        rows: scalar, number n of real rows in the batch.
        momentum: scalar, share of the newest batch.
    """
    unbias = 1 + variances / jnp.maximum(rows - 1, 1)
    return (1 - momentum) * running + momentum * (batch * unbias)
