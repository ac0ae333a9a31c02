"""The default search space of images: convolutional nets, and how strongly images are augmented."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from popnet.recipe import Recipe
from popnet.search.space import Space, log_uniform

WIDTHS = (12, 16, 24, 32, 48, 64)
"""Channels of the first stage that a plan chooses from."""

EDGE_SIDE = 48
"""Images with a longer side are taken in patches first, so that the first stage has at most so many places a side."""


def base_recipe(
    image: tuple[int, int, int], rows: int, width: int, augment: Mapping[str, float], recipe: Recipe | None
) -> Recipe:  # fmt: skip
    """Return the default recipe for images.

    Args:
        image: height, width and channels.
        rows: training images of a fold.
        width: channels of the first stage.
        augment: fields of the transformations that keep the class.
        recipe: its fields that were set are kept.
    """
    given = {} if recipe is None else {f: getattr(recipe, f) for f in recipe.model_fields_set}
    patch = max(1, round(min(image[:2]) / EDGE_SIDE))
    side = min(image[:2]) // patch
    values: dict[str, Any] = {
        "kind": "residual",
        "depth": 2,
        "width": width,
        "stages": int(np.clip(np.log2(max(side, 4) / 3.5), 1, 4)),
        "patch": patch,
        "batch_size": int(np.clip(2 ** np.round(np.log2(rows / 60)), 16, 64)),
        "activation": "relu",
        "norm": "batch",
        "dropout": 0.1,
        "learning_rate": 4e-3,
        "weight_decay": 0.05,
        "beta2": 0.99,
        "ema": 0.99,
        "schedule": "one_cycle",
        "warmup": 0.2,
        "epochs": default_epochs(rows),
        "fill": "edge" if image[2] == 3 else "constant",
        **augment,
        **given,
    }
    values.setdefault("patience", values["epochs"])
    return Recipe(**values)


def default_epochs(rows: int) -> int:
    """Return epochs for a number of training images: 15 for 60,000, more for fewer."""
    return int(np.clip(round(15 * (60_000 / max(rows, 1)) ** 0.4), 10, 150))


def image_space(
    image: tuple[int, int, int], rows: int, width: int, augment: Mapping[str, float], recipe: Recipe | None
) -> Space:  # fmt: skip
    """Return the space of images: see `base_recipe` for the arguments."""
    base = base_recipe(image, rows, width, augment, recipe)
    fixed = frozenset(() if recipe is None else recipe.model_fields_set)
    return ImageSpace(base, ({},), fixed)


class ImageSpace(Space):
    """Recipes of images: rates, regularization, and the strength of each transformation that keeps the class."""

    def draw(self, rng: np.random.Generator, shape: int) -> Recipe:
        """Draw a recipe at random; sources of the ranges stand at the fields of `Recipe`."""
        base = self.base
        changes: dict[str, Any] = {
            "learning_rate": base.learning_rate * log_uniform(rng, 0.5, 2.0),
            "weight_decay": log_uniform(rng, 0.01, 0.2),
            "dropout": float(rng.choice([0.0, 0.1, 0.2])),
            "ema": float(rng.choice([0.98, 0.99, 0.995])),
        }
        for name in ("translation", "rotation", "scaling", "shear", "elastic_alpha", "erasing"):
            if strength := getattr(base, name):
                changes[name] = strength * float(rng.uniform(0.6, 1.3))
        return self._changed(changes, shape)

    def grid(self) -> Iterator[Recipe]:
        """Yield the full factorial of the fields that matter most."""
        for rate in (0.5, 1.0, 2.0):
            for decay in (0.01, 0.05, 0.2):
                for dropout in (0.0, 0.2):
                    yield self._changed(
                        {
                            "learning_rate": self.base.learning_rate * rate,
                            "weight_decay": decay,
                            "dropout": dropout,
                        },
                        0,
                    )
