"""Normalization of one layer: none, batch or layer.

Every kind is the same formula with other moments: ``(x - mean) / deviation * gamma + beta``, where mean and deviation
belong to columns (batch) or to rows (layer). So `moments`, which differ by kind, are apart from `scaled`, which does
not: what follows a linear map can be fused into one pass over memory (see ``hidden.py``).

In training the batch's own statistics are used, and returned, so that the caller can keep running ones; at evaluation
`running_moments` uses those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from popnet.nn.branch import choose
from popnet.runtime import typed_jax

NONE, BATCH, LAYER = 0, 1, 2  # the order of `recipe.choices("norm")`


class Statistics(NamedTuple):
    """Mean and variance of each unit over a batch, ``(W,)`` each; zeros where they do not apply."""

    mean: Array
    var: Array


class Moments(NamedTuple):
    """What takes ``z`` ``(N, W)`` to its normalized values.

    Attributes:
        mean: ``(W,)``, taken off each column; a bias is a mean with the other sign.
        inverse: ``(W,)``, 1 / deviation of each column.
        row_mean: ``(N, 1)``, taken off each row.
        row_inverse: ``(N, 1)``, 1 / deviation of each row.
    """

    mean: Array
    inverse: Array
    row_mean: Array
    row_inverse: Array


class Gradient(NamedTuple):
    """Gradients of what a normalization takes: ``z`` ``(N, W)``, ``bias``, ``gamma`` and ``beta`` ``(W,)``."""

    z: Array
    bias: Array
    gamma: Array
    beta: Array


class Kind(NamedTuple):
    """One kind of normalization.

    Attributes:
        moments: ``(z, bias, share, epsilon)`` to `Moments` and `Statistics`.
        backward: ``(g, z, moments, share, gamma)`` to `Gradient`, with ``g`` the gradient of `scaled`.
    """

    moments: Callable[[Array, Array, Array, Array], tuple[Moments, Statistics]]
    backward: Callable[[Array, Array, Moments, Array, Array], Gradient]


def _columns(z: Array, mean: Array, inverse: Array) -> Moments:
    rows = (z.shape[0], 1)
    return Moments(mean, inverse, jnp.zeros(rows, z.dtype), jnp.ones(rows, z.dtype))


def _no_statistics(z: Array) -> Statistics:
    zeros = jnp.zeros(z.shape[1:], z.dtype)
    return Statistics(zeros, zeros)


def _none(z: Array, bias: Array, share: Array, epsilon: Array) -> tuple[Moments, Statistics]:
    return _columns(z, -bias, jnp.ones_like(bias)), _no_statistics(z)


def _none_backward(g: Array, z: Array, m: Moments, share: Array, gamma: Array) -> Gradient:
    zeros = jnp.zeros_like(gamma)
    return Gradient(g, jnp.ones_like(share) @ g, zeros, zeros)


def _batch(z: Array, bias: Array, share: Array, epsilon: Array) -> tuple[Moments, Statistics]:
    # Sums over rows are written as products with the row shares: a matrix-vector product is the fastest
    # column sum on the CPU, and rows that only fill up a ragged batch drop out with share 0.
    mean = share @ z
    centred = z - mean
    var = share @ (centred * centred)
    return _columns(z, mean, jax.lax.rsqrt(var + epsilon)), Statistics(mean, var)


def _batch_backward(g: Array, z: Array, m: Moments, share: Array, gamma: Array) -> Gradient:
    # Ioffe and Szegedy 2015, section 3, in two passes. The statistics are no part of the objective.
    ones = jnp.ones_like(share)
    x = normalized(z, m)
    d_beta = ones @ g
    d_gamma = ones @ (g * x)
    d_z = (g - share[:, None] * (d_beta + x * d_gamma)) * (m.inverse * gamma)
    return Gradient(d_z, jnp.zeros_like(gamma), d_gamma, d_beta)


def _layer(z: Array, bias: Array, share: Array, epsilon: Array) -> tuple[Moments, Statistics]:
    x = z + bias
    mean = x.mean(1, keepdims=True)
    centred = x - mean
    inverse = jax.lax.rsqrt((centred * centred).mean(1, keepdims=True) + epsilon)
    return Moments(-bias, jnp.ones_like(bias), mean, inverse), _no_statistics(z)


def _layer_backward(g: Array, z: Array, m: Moments, share: Array, gamma: Array) -> Gradient:
    ones = jnp.ones_like(share)
    x = normalized(z, m)
    d_x = g * gamma
    along = (d_x * x).mean(1, keepdims=True)
    d_z = (d_x - d_x.mean(1, keepdims=True) - x * along) * m.row_inverse
    return Gradient(d_z, ones @ d_z, ones @ (g * x), ones @ g)


NORMS: dict[str, Kind] = {
    "none": Kind(_none, _none_backward),
    "batch": Kind(_batch, _batch_backward),
    "layer": Kind(_layer, _layer_backward),
}  # the order is that of `recipe.choices("norm")`


def moments(
    norm: Array | int, z: Array, bias: Array, share: Array, epsilon: Array
) -> tuple[Moments, Statistics]:
    """Return the moments of a layer in training.

    Args:
        norm: scalar int32, place in `NORMS`; a Python integer compiles that one only.
        z: ``(N, W)``, before the bias.
        bias: ``(W,)``, added before normalization; batch normalization would take it out again and leaves it out, with
            gradient 0: the rounding noise that is left else, Adam scales up to full steps.
        share: ``(N,)``, each row's share in the batch's statistics: 1/n for the n real rows, 0 for padding.
        epsilon: scalar, added to the variance.

    Returns:
        The moments, and the batch's statistics (biased variance; zeros for ``none`` and ``layer``).
    """
    return choose(norm, [k.moments for k in NORMS.values()], z, bias, share, epsilon)


def running_moments(
    norm: Array | int, z: Array, bias: Array, running: Statistics, epsilon: Array
) -> Moments:
    """Return the moments of a layer at evaluation: running statistics for ``batch``, as in training for the others."""

    def batch(z: Array, bias: Array) -> Moments:
        return _columns(z, running.mean, jax.lax.rsqrt(running.var + epsilon))

    def same(
        kind: Callable[[Array, Array, Array, Array], tuple[Moments, Statistics]],
    ) -> Callable[[Array, Array], Moments]:
        return lambda z, bias: kind(z, bias, z[:, 0], epsilon)[0]

    return choose(norm, [same(_none), batch, same(_layer)], z, bias)


def normalized(z: Array, m: Moments) -> Array:
    """Return ``(z - mean) / deviation``, ``(N, W)``."""
    return (z - m.mean - m.row_mean) * (m.inverse * m.row_inverse)


def learned(norm: Array | int, gamma: Array, beta: Array) -> tuple[Array, Array]:
    """Return scale and shift as they act: 1 and 0 without normalization."""
    return jnp.where(norm == NONE, 1.0, gamma), jnp.where(norm == NONE, 0.0, beta)


def scaled(z: Array, m: Moments, gamma: Array, beta: Array) -> Array:
    """Return the normalization's values, ``normalized * gamma + beta``, ``(N, W)``."""
    return normalized(z, m) * gamma + beta


def backward(
    norm: Array | int, g: Array, z: Array, m: Moments, share: Array, gamma: Array
) -> Gradient:
    """Return the gradients of what `moments` and `scaled` took, for the gradient ``g`` ``(N, W)`` of their values."""
    return choose(norm, [k.backward for k in NORMS.values()], g, z, m, share, gamma)


@typed_jax.custom_vjp
def normalize(
    norm: Array, x: Array, share: Array, gamma: Array, beta: Array, epsilon: Array
) -> tuple[Array, Statistics]:
    """Normalize a layer in training, by itself; arguments and statistics are those of `moments`.

    Args:
        norm: scalar int32, place in `NORMS`.
        x: ``(N, W)``.
        share: ``(N,)``.
        gamma: ``(W,)``, learned scale.
        beta: ``(W,)``, learned shift.
        epsilon: scalar.

    Returns:
        ``(N, W)`` and the batch's statistics.
    """
    return _normalize(norm, x, share, gamma, beta, epsilon)[0]


class _Saved(NamedTuple):
    """What the way back takes from the way there."""

    norm: Array
    x: Array
    moments: Moments
    share: Array
    gamma: Array


def _normalize(
    norm: Array, x: Array, share: Array, gamma: Array, beta: Array, epsilon: Array
) -> tuple[tuple[Array, Statistics], _Saved]:
    m, statistics = moments(norm, x, jnp.zeros_like(gamma), share, epsilon)
    gamma, beta = learned(norm, gamma, beta)
    return (scaled(x, m, gamma, beta), statistics), _Saved(norm, x, m, share, gamma)


def _normalize_backward(
    saved: _Saved, cotangent: tuple[Array, Statistics]
) -> tuple[None, Array, None, Array, Array, None]:
    norm, x, m, share, gamma = saved
    d = backward(norm, cotangent[0], x, m, share, gamma)
    return None, d.z, None, d.gamma, d.beta, None


normalize.defvjp(_normalize, _normalize_backward)


def apply_running(
    norm: Array, x: Array, running: Statistics, gamma: Array, beta: Array, epsilon: Array
) -> Array:
    """Normalize a layer ``(N, W)`` at evaluation, by its running statistics."""

    m = running_moments(norm, x, jnp.zeros_like(gamma), running, epsilon)
    return scaled(x, m, *learned(norm, gamma, beta))


def update_running(
    running: Array, batch: Array, variances: Array, unbias: Array, momentum: Array
) -> Array:
    """Move running statistics towards a batch's, whose variances are made unbiased.

    Args:
        running: ``(R,)``, all layers' statistics so far.
        batch: ``(R,)``, the newest batch's, with biased variances.
        variances: ``(R,)``, 1 where a variance stands, 0 where a mean does.
        unbias: scalar, ``n / (n - 1) - 1`` for n real rows in the batch.
        momentum: scalar, share of the newest batch.
    """
    return (1 - momentum) * running + momentum * (batch * (1 + variances * unbias))
