"""Weight penalties: terms of the objective, reported apart from the loss."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from popnet.population.optim import SUMMED, column_sums
from popnet.runtime import typed_jax


def penalty(vector: Array, n_weights: int, l1: Array, l2: Array) -> Array:
    """Return parts of ``l1 * sum |w| + l2 * sum w^2`` over the layers' weights w, ``(SUMMED,)``: their sum is it.

    A net without penalties takes the branch that reads no weights.

    Args:
        vector: ``(P,)``, all parameters, weights first.
        n_weights: how many are weights.
        l1: scalar.
        l2: scalar.
    """

    def parts(vector: Array) -> Array:
        w = vector[:n_weights]
        return column_sums(l1 * jnp.abs(w) + l2 * (w * w))

    return typed_jax.cond(l1 + l2 > 0, parts, lambda _: jnp.zeros(SUMMED, jnp.float32), vector)


def pull(vector: Array, n_weights: int, l1: Array, l2: Array) -> Array:
    """Return the penalty's gradient, ``(P,)``."""
    weight = jnp.arange(vector.shape[0]) < n_weights
    return jnp.where(weight, l1 * jnp.sign(vector) + 2 * l2 * vector, 0.0)
