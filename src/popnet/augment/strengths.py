"""How strongly images are augmented: the recipe's fields as numbers that travel into a compiled program."""

from __future__ import annotations

from typing import NamedTuple, Self

import jax.numpy as jnp
import numpy as np

from popnet.recipe import Recipe, choices
from popnet.types import Array


class Strengths(NamedTuple):
    """A recipe's augmentation of images: float32 scalars in the recipe's units, 0 is off.

    ``noise`` is the recipe's ``input_noise``; ``fill`` is int32, the place in ``choices("fill")``.
    """

    translation: Array
    crop: Array
    rotation: Array
    quarter_turn: Array
    half_turn: Array
    reflection: Array
    vertical_reflection: Array
    scaling: Array
    zoomed_crop: Array
    shear: Array
    elastic_alpha: Array
    elastic_sigma: Array
    brightness: Array
    contrast: Array
    saturation: Array
    erasing: Array
    noise: Array
    fill: Array

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        """Return a recipe's strengths as NumPy scalars."""
        numbers = {name: np.float32(getattr(recipe, recipe_field(name))) for name in NUMBERS}
        return cls(**numbers, fill=np.int32(choices("fill").index(recipe.fill)))

    def some(self, names: tuple[str, ...]) -> Array:
        """Return a scalar bool: whether any of the named strengths is on."""
        return jnp.any(jnp.stack([jnp.asarray(getattr(self, name)) > 0 for name in names]))


FIELDS = Strengths._fields
NUMBERS = FIELDS[:-1]

AFFINE = (
    "translation", "crop", "rotation", "quarter_turn", "half_turn", "reflection",
    "vertical_reflection", "scaling", "zoomed_crop", "shear",
)  # fmt: skip
GEOMETRY = (*AFFINE, "elastic_alpha")
MIRRORS = ("half_turn", "reflection", "vertical_reflection")
COLOUR = ("brightness", "contrast", "saturation")
ALL = (*GEOMETRY, *COLOUR, "erasing", "noise")


def recipe_field(name: str) -> str:
    """Return the recipe's name of a strength."""
    return "input_noise" if name == "noise" else name
