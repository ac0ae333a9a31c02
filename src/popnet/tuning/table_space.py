"""The default search space of tables, fitted to the data's size; ranges as the literature gives them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from popnet.dataset import Dataset, Features
from popnet.recipe import Recipe
from popnet.tuning import portfolio
from popnet.tuning.ranges import Choice, Linear, Log, OrZero
from popnet.tuning.space import Dimension, Space

FEW, FEWEST = 1500, 600
"""Training rows of a fold below which the default recipe is a more careful one, and a narrower one."""


def default_space(data: Dataset, rows: int, recipe: Recipe | None = None, shapes: int = 3) -> Space:
    """Return the space for a table.

    Args:
        data: its columns decide about embeddings.
        rows: training rows of a fold; they decide about width and batch size.
        recipe: its fields that were set (given, or named in its file) are kept in every recipe.
        shapes: most structures to search over.
    """
    assert isinstance(data.features, Features)
    return table_space(data.features.numeric.shape[1], rows, recipe, shapes)


def table_space(numeric: int, rows: int, recipe: Recipe | None = None, shapes: int = 3) -> Space:
    """Return the space for a table with so many continuous columns; see `default_space`."""
    given = {} if recipe is None else {f: getattr(recipe, f) for f in recipe.model_fields_set}
    rate = _rate_factor(given.get("optimizer", "adamw"))
    frequencies = int(min(16, 256 // max(numeric, 1)))
    embedding = (
        {"numeric_embedding": "periodic", "embedding_size": frequencies}
        if numeric and frequencies >= 2
        else {}
    )
    values: dict[str, Any] = {
        **portfolio.BASE,
        **(portfolio.FEW_ROWS if rows < FEW else {}),
        "width": 64 if rows < FEWEST else 128,
        "batch_size": _batch_size(rows),
        **embedding,
        **given,
    }
    if "learning_rate" not in given:
        values["learning_rate"] *= rate
    if values.get("optimizer") == "adam" and "weight_decay" not in given:
        del values["weight_decay"]
    axes = {
        "dropout": (0.0, 0.25, 0.5),
        "weight_decay": (0.03, 0.3),
        "learning_rate": tuple(r * rate for r in (2e-3, 5e-3, 1e-2)),
        **({"embedding_scale": (0.05, 1.0)} if embedding else {}),
    }
    base = Recipe(**values)
    # Where there is no embedding to leave out, that is no change of structure.
    left = frozenset({"numeric_embedding"}) if base.numeric_embedding == "none" else frozenset()
    structures = [{f: v for f, v in s.items() if f not in left} for s in portfolio.STRUCTURES]
    space = Space(base, _dimensions(rate), tuple(structures[:shapes]), axes)
    tried = tuple(
        {**changes, "learning_rate": changes.get("learning_rate", portfolio.BASE["learning_rate"]) * rate}
        for changes in portfolio.PORTFOLIO
        if space.shape_of(space.recipe(changes)) is not None
    )  # fmt: skip
    return replace(space, portfolio=tried).without(frozenset(given))


def _dimensions(rate: float) -> tuple[Dimension, ...]:
    activations = ("relu", "silu", "mish", "gelu", "elu", "prelu", "leaky_relu")
    return (
        Dimension("activation", Choice(activations), source="Hendrycks and Gimpel 2016; Misra 2019"),
        Dimension("leaky_slope", Log(0.01, 0.3), source="Maas et al. 2013"),
        Dimension("norm", Choice(("none", "batch", "batch", "batch", "layer")), source="Ioffe and Szegedy 2015"),
        Dimension("learning_rate", Log(8e-4 * rate, 1.6e-2 * rate), source="Bengio 2012; Holzmueller et al. 2024"),
        Dimension("weight_decay", Log(0.01, 1.5), source="Loshchilov and Hutter 2019"),
        Dimension("dropout", OrZero(Linear(0.0, 0.5), 0.3), source="Srivastava et al. 2014; Gorishniy et al. 2021"),
        Dimension("beta2", Choice((0.95, 0.99, 0.999)), source="Holzmueller et al. 2024"),
        Dimension("ema", Choice((0.0, 0.99, 0.998)), source="Polyak and Juditsky 1992"),
        Dimension("schedule", Choice(("cosine", "cosine", "coslog", "one_cycle")), source="Loshchilov and Hutter 2017"),
        Dimension("label_smoothing", Choice((0.0, 0.0, 0.05)), source="Szegedy et al. 2016"),
        Dimension("input_noise", OrZero(Log(0.003, 0.1), 0.7), source="Bishop 1995"),
        Dimension("mixup", Choice((0.0, 0.0, 0.0, 0.0, 0.2)), source="Zhang et al. 2018"),
        Dimension("embedding_scale", Log(0.03, 3.0), source="Gorishniy et al. 2022; Holzmueller et al. 2024"),
        Dimension("embedding_spread", Choice((0.5, 1.0)), source="measured; 0 is Gorishniy et al. 2022"),
    )  # fmt: skip


def _rate_factor(optimizer: str) -> float:
    """Return by how much an optimizer's good learning rates are above Adam's."""
    return 25.0 if optimizer == "sgd" else 1.0


def _batch_size(rows: int) -> int:
    """Return a power of two, about sixty batches an epoch, from 32 to 1024."""
    return int(2 ** np.clip(np.round(np.log2(max(rows, 1) / 60)), 5, 10))
