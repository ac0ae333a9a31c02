"""Dropout (Srivastava et al. 2014), inverted: the kept units are scaled up, so evaluation does nothing."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from popnet.runtime import keys, typed_jax


@typed_jax.custom_vjp
def dropout(x: Array, key: Array, rate: Array) -> Array:
    """Set each element of ``x`` to 0 with probability ``rate`` and scale the others by 1/(1-rate).

    A rate of 0 gives ``x`` back bit for bit.

    Args:
        x: ``(N, W)`` float32.
        key: uint32.
        rate: scalar in [0, 1).
    """
    return _forward(x, key, rate)[0]


def mask(key: Array, shape: tuple[int, ...], rate: Array) -> Array:
    """Return which elements are kept, booleans of a shape."""
    # The barrier keeps the compiler from hashing again wherever the mask is used.
    return typed_jax.optimization_barrier(keys.keep(key, shape, rate))


def masked(x: Array, mask: Array, rate: Array) -> Array:
    """Return ``x`` with the elements that are not kept set to 0 and the others scaled by 1/(1-rate)."""
    return jnp.where(mask, x * (1 / (1 - rate)), 0.0)


def _forward(x: Array, key: Array, rate: Array) -> tuple[Array, tuple[Array, Array]]:
    kept = mask(key, x.shape, rate)
    return masked(x, kept, rate), (kept, rate)


def _backward(saved: tuple[Array, Array], g: Array) -> tuple[Array, None, None]:
    return masked(g, *saved), None, None


dropout.defvjp(_forward, _backward)
