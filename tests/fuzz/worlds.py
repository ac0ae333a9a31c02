"""Small models with drawn weights, of which damaged copies are made; none of them is trained."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl

from popnet import Model, Recipe
from popnet.data.dataset import Images
from popnet.data.images.format import ImageFormat
from popnet.data.tables.encode import Encoder, fit_encoder
from popnet.data.tables.schema import Schema, infer_schema
from popnet.data.tables.target import Target
from popnet.model.saving import net_shape
from popnet.nn.net import init
from popnet.population.predict import Net
from popnet.predictions.conformal import Conformal, Size
from popnet.predictions.decisions import Decision
from popnet.trees.forest import Forest

ROWS = 120

RECIPE = Recipe(depth=1, width=4, batch_size=32, epochs=1, norm="none")
IMAGE_RECIPE = Recipe(kind="conv", depth=1, width=2, stages=1, batch_size=8, epochs=1)


@cache
def table() -> pl.DataFrame:
    """Return rows with a column of every kind, and a target of classes and one of numbers."""
    rng = np.random.default_rng(0)
    size, price = rng.standard_normal((2, ROWS)).round(3)
    day = np.datetime64("2024-01-01") + rng.integers(0, 700, ROWS)
    return pl.DataFrame(
        {
            "size": [None if x < -1.5 else x for x in size],
            "colour": rng.choice(["red", "green", "blue"], ROWS),
            "member": rng.choice([True, False], ROWS),
            "joined": day.astype("datetime64[us]"),
            "rooms": rng.integers(1, 5, ROWS),
            "euro": [f"{v:.2f} €".replace(".", ",") for v in np.exp(size)],
            "bought": np.where(size > 0.3, "yes", "no"),
            "price": 100 + 5 * price,
        }
    )


def forest(encoder: Encoder) -> Forest:
    """Return two trees: one splits by a number and then by a level, the other is one leaf."""
    names = encoder.names
    codes, levels = len(names.codes), np.array(encoder.levels, np.int32)
    outputs = encoder.n_outputs
    known = np.concatenate([np.arange(n) for n in levels]).astype(np.int32)
    sets = np.zeros((1, 32), np.uint8)
    sets[0, 0] = 0b10

    def whole(*values: int) -> np.ndarray:
        return np.array(values, np.int32)

    return Forest(
        base=np.zeros(outputs, np.float32),
        output=whole(0, outputs - 1),
        splits=whole(0, 2, 2),
        leaves=whole(0, 3, 4),
        column=whole(codes, 0),
        threshold=np.array([0.25, 0], np.float32),
        left=whole(1, -1),
        right=whole(-3, -2),
        level_set=whole(-1, 0),
        unknown_left=np.array([0, 1], np.uint8),
        sets=sets,
        known=known,
        levels=levels,
        value=np.array([0.5, -0.5, 0.1, 0.2], np.float32),
    )


def net(recipe: Recipe, encoder: Encoder, seed: int = 0) -> Net:
    """Return a net as it is before training."""
    shape = net_shape(recipe, encoder)
    return Net(recipe, shape, *init(recipe, shape, seed))


@cache
def model(target: str) -> Model:
    """Return a model of ``bought`` (classes), ``price`` (numbers, with intervals) or ``images``."""
    if target == "images":
        return _of_images()
    other = "price" if target == "bought" else "bought"
    frame = table()
    schema = infer_schema(frame, target, drop=[other])
    encoder = fit_encoder(frame, schema)
    classes = target == "bought"
    errors = np.sort(np.random.default_rng(1).standard_normal((60, 1)), axis=0)
    size = Size([-1.0, 0.2, 1.5], [-2.0, -1.0, -0.5], 0.4, 0.02)
    return Model(
        schema=schema,
        encoder=encoder,
        nets=(net(RECIPE, encoder),),
        weights=np.array([0.75, 0.25]),
        method="greedy",
        metric="accuracy" if classes else "rmse",
        conformal=None if classes else Conformal((0, 1), (size,), errors.astype(np.float32)),
        decision=Decision((0.4, 0.6), (0.0, 0.1)) if classes else None,
        trees=(forest(encoder),),
    )


def _of_images() -> Model:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
    measured = Images.measured(pixels, np.arange(8))
    form = ImageFormat(
        height=8,
        width=8,
        channels=3,
        mean=tuple(map(float, measured.mean)),
        std=tuple(map(float, measured.std)),
        background=tuple(map(float, measured.background)),
    )
    target = Target(names=("class",), task="binary", classes=("a", "b"))
    schema = Schema(columns=(), target=target, rows=8, rows_without_target=0)
    encoder = Encoder(columns=(), target=target, image=form)
    return Model(
        schema=schema,
        encoder=encoder,
        nets=(net(IMAGE_RECIPE, encoder),),
        weights=np.ones(1),
        method="greedy",
        metric="accuracy",
    )
