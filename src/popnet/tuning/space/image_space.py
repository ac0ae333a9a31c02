"""The default search space of images: convolutional nets, and how strongly images are augmented."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from popnet.spec.recipe import Fields, Recipe
from popnet.tuning.space.ranges import Choice, Linear, Log
from popnet.tuning.space.space import Dimension, Space

WIDTHS = (12, 16, 24, 32, 48, 64)
"""Channels of the first stage that a plan chooses from."""

SEARCHED_STRENGTHS = ("translation", "rotation", "scaling", "shear", "elastic_alpha", "erasing")
"""Fields of transformations whose strength is searched, if they are used."""

SIDE, MAX_PATCH = 18, 4
"""Images are taken in patches, so that the first stage has about so many places a side; patches are no larger.

Measured on Fashion-MNIST, 30,000 images, two minutes on a core: patches of 2 x 2 with 24 channels have 10.2 % errors,
single pixels with 16 have 12.8, because epochs take twice as long.
"""

MANY = 20_000
"""Images from which on nets are trained without dropout (on Fashion-MNIST, 16 epochs, ten nets: 6.8 % errors without,
7.5 with 0.1, 8.0 with 0.2)."""


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
    patch = int(np.clip(round(min(image[:2]) / SIDE), 1, MAX_PATCH))
    side = min(image[:2]) // patch
    values: Fields = {
        "kind": "residual",
        "depth": 2,
        "width": width,
        "stages": int(np.clip(np.log2(max(side, 4) / 1.75), 1, 4)),
        "patch": patch,
        "batch_size": int(np.clip(float(np.exp2(np.rint(np.log2(rows / 60)))), 16, 64)),
        "activation": "relu",
        "norm": "batch",
        "dropout": 0.0 if rows >= MANY else 0.1,
        "learning_rate": 6e-3,
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
    """Return the space of images: see `base_recipe` for the arguments.

    Rates, regularization, and the strength of each transformation that keeps the class.
    """
    base = base_recipe(image, rows, width, augment, recipe)
    rate = base.learning_rate
    dimensions = [
        Dimension("learning_rate", Log(0.5 * rate, 2.0 * rate), source="Smith and Topin 2019"),
        Dimension("weight_decay", Log(0.01, 0.2), source="Loshchilov and Hutter 2019"),
        Dimension("ema", Choice((0.98, 0.99, 0.995)), source="Polyak and Juditsky 1992"),
    ]
    if rows < MANY:
        dropout = Choice((0.0, 0.1, 0.2))
        dimensions.append(Dimension("dropout", dropout, source="Tompson et al. 2015"))
    for name in SEARCHED_STRENGTHS:
        if strength := getattr(base, name):
            around = Linear(0.6 * strength, 1.3 * strength)
            dimensions.append(Dimension(name, around, source="what the twins found, more or less"))
    axes = {
        "learning_rate": tuple(r * rate for r in (0.5, 1.0, 2.0)),
        "weight_decay": (0.01, 0.05, 0.2),
        **({"dropout": (0.0, 0.2)} if rows < MANY else {}),
    }
    fixed = frozenset(() if recipe is None else recipe.model_fields_set)
    return Space(base, tuple(dimensions), axes=axes).without(fixed)
