"""Embeddings of numbers: periodic features, and values as quantiles of the normal distribution.

Piecewise-linear and one-hot features are entries of `popnet.nn.table_map`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.special import ndtri

OUTERMOST = 0.005
"""Smallest distance of a value's place among the training values from 0 and 1: 2.6 standard deviations."""


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
    """Return sin(2 pi r) for r in [-1/4, 1/4]: an odd Taylor polynomial of degree 11."""
    x = np.float32(2 * np.pi) * r
    x2 = x * x
    p = np.float32(-2.5052108e-8)
    for c in (2.7557319e-6, -1.9841270e-4, 8.3333333e-3, -1.6666667e-1, 1.0):
        p = p * x2 + np.float32(c)
    return p * x


def periodic(x: Array, frequency: Array, phase: Array) -> Array:
    """Return cos(2 pi (w x + b)) of continuous columns (Gorishniy et al. 2022).

    Args:
        x: ``(D, N)``, the values of the column that each feature is of.
        frequency: ``(D, 1)``, w.
        phase: ``(D, 1)``, b.

    Returns:
        ``(D, N)``.
    """
    return cos2pi(x * frequency + phase)


def quantiles(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Return each value's place among the training values, as a quantile of the normal distribution.

    Between two knots places rise in proportion; they stay `OUTERMOST` off both ends. A value that is several knots, one
    that occurs often, is in the middle of them. A column without bins (of equal knots, or of none) is returned as it
    is. Computed once for all rows of a table, outside compiled programs.

    Args:
        x: ``(N, F)``.
        knots: ``(F, K)``, ascending.

    Returns:
        ``(N, F)`` float32.
    """
    out = np.array(x, np.float32)
    if knots.shape[1] < 2:
        return out
    places = np.linspace(0, 1, knots.shape[1])
    for f, column in enumerate(np.asarray(knots, np.float64)):
        if column[0] == column[-1]:
            continue
        values, first, counts = np.unique(column, return_index=True, return_counts=True)
        middle = places[first] + (counts - 1) / (2 * (len(column) - 1))
        # Between values places rise from the last knot of one to the first of the next.
        xs = np.repeat(values, 2)
        ys = np.stack([places[first], places[first + counts - 1]], 1).reshape(-1)
        given = np.asarray(x[:, f], np.float64)
        place = np.interp(given, xs, ys, left=0.0, right=1.0)
        nearest = np.minimum(np.searchsorted(values, given), len(values) - 1)
        place = np.where(values[nearest] == given, middle[nearest], place)
        out[:, f] = ndtri(np.clip(place, OUTERMOST, 1 - OUTERMOST))
    return out
