"""What a column becomes before the first layer: periodic or piecewise-linear features of numbers, one-hot or learned
vectors of codes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri

from popnet.bins import Bounds
from popnet.types import Array

ONE_HOT_LEVELS = 24
"""Columns with at most this many levels are one-hot; those with more have learned vectors."""

OUTERMOST = 0.005
"""How near to 0 or 1 the place of a value among the training values can be: 2.6 standard deviations."""


def embedding_size(levels: int) -> int:
    """Return the length of the learned vectors of a column with so many levels (fastai's rule, at most 32)."""
    return min(32, round(1.6 * levels**0.56))


def split_levels(levels: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """Return the places of the one-hot columns and of the columns with learned vectors."""
    one_hot = [c for c, n in enumerate(levels) if n <= ONE_HOT_LEVELS]
    return one_hot, [c for c, n in enumerate(levels) if n > ONE_HOT_LEVELS]


def one_hot(codes: Array, levels: list[int]) -> Array:
    """Return ``(N, sum(levels))`` float32 of codes ``(N, C)``: every column's one-hot code, side by side."""
    column = np.repeat(np.arange(len(levels)), levels)
    level = np.concatenate([np.arange(n, dtype=np.int32) for n in levels])
    return (codes[:, column] == level[None, :]).astype(jnp.float32)


@jax.custom_jvp
def cos2pi(t: Array) -> Array:
    """Return cos(2 pi t) to 2e-6.

    Reducing t to [-1/2, 1/2] first makes it a polynomial that vectorises, several times faster than the library's
    cosine, which has to reduce huge arguments exactly.
    """
    r = t - jnp.round(t)
    return -_sin_quarter(jnp.abs(r) - 0.25)


@cos2pi.defjvp
def _cos2pi_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (t,), (dt,) = primals, tangents
    r = t - jnp.round(t)
    # sin(2 pi r) for r in [-1/2, 1/2], folded to [-1/4, 1/4].
    folded = jnp.where(jnp.abs(r) > 0.25, jnp.sign(r) * 0.5 - r, r)
    return cos2pi(t), -2 * np.pi * _sin_quarter(folded) * dt


def _sin_quarter(r: Array) -> Array:
    """sin(2 pi r) for r in [-1/4, 1/4]: odd Taylor polynomial of degree 11."""
    x = np.float32(2 * np.pi) * r
    x2 = x * x
    p = np.float32(-2.5052108e-8)
    for c in (2.7557319e-6, -1.9841270e-4, 8.3333333e-3, -1.6666667e-1, 1.0):
        p = p * x2 + np.float32(c)
    return p * x


def periodic(x: Array, frequency: Array, phase: Array) -> Array:
    """Return cos(2 pi (w x + b)) of every continuous column (Gorishniy et al. 2022).

    Args:
        x: ``(N, F)``.
        frequency: ``(F, k)``, w.
        phase: ``(F, k)``, b.

    Returns:
        ``(N, F * k)``.
    """
    angle = x[:, :, None] * frequency + phase
    return cos2pi(angle).reshape(x.shape[0], -1)


def quantiles(x: Array, knots: Array) -> Array:
    """Return each value's place among the training values, as a quantile of the normal distribution.

    Between two knots places rise in proportion; they stay `OUTERMOST` off both ends. A column without bins (of equal
    knots, or of none) is returned as it is.

    Args:
        x: ``(N, F)``.
        knots: ``(F, K)``, ascending.

    Returns:
        ``(N, F)``.
    """
    if knots.shape[1] < 2:
        return x
    low, width = knots[:, :-1], jnp.diff(knots, axis=1)
    above = x[:, :, None] - low
    # Equal knots are a value that occurs often; half of its rows are taken to lie below it.
    passed = jnp.where(width > 0, above / jnp.where(width > 0, width, 1), (jnp.sign(above) + 1) / 2)
    place = jnp.clip(passed, 0, 1).mean(-1)
    normal = ndtri(jnp.clip(place, OUTERMOST, 1 - OUTERMOST))
    return jnp.where(knots[:, -1] > knots[:, 0], normal, x)


def piecewise(x: Array, knots: Array, bounds: tuple[Bounds, ...]) -> Array:
    """Return how far each value has passed through each bin of its column (Gorishniy et al. 2022).

    A bin's feature is 0 below it, rises through it, and is 1 above.

    Args:
        x: ``(N, F)``.
        knots: ``(F, K)``.
        bounds: from `popnet.bins.bounds`.

    Returns:
        ``(N, B)``, B the number of all bins.
    """
    column = np.array([f for f, b in enumerate(bounds) for _ in b[1:]], int)
    low = np.array([i for b in bounds for i in b[:-1]], int)
    high = np.array([i for b in bounds for i in b[1:]], int)
    below, above = knots[column, low], knots[column, high]
    return jnp.clip((x[:, column] - below) / (above - below), 0, 1)
