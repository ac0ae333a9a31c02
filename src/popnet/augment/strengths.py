"""Which of a recipe's numbers say how strongly images are augmented; 0 is off."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from popnet.spec.recipe import COLOUR, GEOMETRY
from popnet.spec.shape import Numbers

MIRRORS = ("half_turn", "reflection", "vertical_reflection")
ALL = (*GEOMETRY, *COLOUR, "erasing", "input_noise")


def some(n: Numbers, names: tuple[str, ...]) -> Array:
    """Return a scalar bool: whether any of the named strengths is on."""
    return jnp.any(jnp.stack([jnp.asarray(getattr(n, name)) > 0 for name in names]))
