"""The linear map, plain and in pieces (maxout)."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from popnet.runtime import typed_jax

NARROW = 8
"""Outputs up to which the weight gradient is multiplied the other way round (see `linear`)."""


@typed_jax.custom_vjp
def linear(x: Array, w: Array) -> Array:
    """Return ``x @ w`` for ``x`` ``(N, F)`` and ``w`` ``(F, W)``.

    The gradient is the usual one; only its form is chosen. XLA's CPU backend multiplies fastest when the left
    side is contracted over its last axis, so x is transposed in memory first (a tenth of the product's time;
    without it the product takes half as long again); and it has no good product with few columns.
    """
    return x @ w


def _forward(x: Array, w: Array) -> tuple[Array, tuple[Array, Array]]:
    return x @ w, (x, w)


def _backward(saved: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, w = saved
    materialise = typed_jax.optimization_barrier
    if g.shape[1] <= NARROW:
        dw = (materialise(g.T) @ x).T
    else:
        dw = materialise(x.T) @ g
    return g @ w.T, dw


linear.defvjp(_forward, _backward)


def maxout(z: Array, pieces: int) -> Array:
    """Return the maximum over k linear maps (Goodfellow et al. 2013).

    Args:
        z: ``(N, k * W)``, the k maps side by side.
        pieces: k.

    Returns:
        ``(N, W)``.
    """
    width = z.shape[1] // pieces
    out = z[:, :width]
    for p in range(1, pieces):
        piece = z[:, p * width : (p + 1) * width]
        # Not `maximum`: its gradient asks which side equals the result, and the compiler may have rounded them apart.
        larger = (piece > out) | jnp.isnan(piece)
        out = jnp.where(larger, piece, out)
    return out
