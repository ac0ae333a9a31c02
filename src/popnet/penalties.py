"""Weight penalties: terms of the objective, reported apart from the loss."""

from __future__ import annotations

import jax.numpy as jnp

from popnet.nn.branch import branch
from popnet.types import Array


def penalty(vector: Array, mask: Array, l1: Array, l2: Array) -> Array:
    """Return ``l1 * sum |w| + l2 * sum w^2``, a scalar, over the weights w that the mask chooses.

    A net without penalties takes the branch that reads no weights.

    Args:
        vector: ``(P,)``, all parameters.
        mask: ``(P,)`` float32, 1 for those that are penalised.
        l1: scalar.
        l2: scalar.
    """

    def none(w: Array, l1: Array, l2: Array) -> Array:
        return jnp.float32(0)

    def both(w: Array, l1: Array, l2: Array) -> Array:
        w = w * mask
        return l1 * jnp.sum(jnp.abs(w)) + l2 * jnp.sum(w * w)

    return branch([none, both], (l1 + l2 > 0).astype(jnp.int32), vector, l1, l2)
