"""The default search space of tables, fitted to the data's size; ranges as the literature gives them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from popnet.data.dataset import Dataset, Features
from popnet.spec.recipe import Fields, Recipe
from popnet.tuning.space import portfolio
from popnet.tuning.space.ranges import Choice, Linear, Log, OrZero
from popnet.tuning.space.space import Dimension, Space

BINS, ROWS_A_BIN, MAX_BINS = (12, 48), 400, 768
"""Fewest and most bins of a column, training rows that are there for each, and most bins of all columns together (nets
of 3,000 rows had the best log-loss with 12 bins, of 13,000 and 26,000 with 48)."""

MIN_FEATURES = {"piecewise": 4, "periodic": 2}
"""Smallest size of a column's embedding; with fewer it is left out."""

SMALL_TABLE_ROWS, TINY_TABLE_ROWS = 1500, 600
"""Training rows of a fold below which the default recipe is a more careful one, and a narrower one."""

RATES, DECAYS = {"sgd": 25.0, "muon": 6.0}, {"muon": 2.0}
"""By how much an optimizer's good learning rates are above AdamW's, and its weight decays."""

BATCHES = {"muon": 30}
"""Batches of an epoch, about; 60 with other optimizers. A step of Muon costs as much as three of small batches."""


SCALES = (0.03, 3.0)
"""Range of the scale of frequencies, of a target that is not known to change fast; else it reaches to the fastest."""


def default_space(
    data: Dataset, rows: int, recipe: Recipe | None = None, shapes: int = 3, fast: float | None = None
) -> Space:  # fmt: skip
    """Return the space for a table.

    Args:
        data: its columns decide about embeddings.
        rows: training rows of a fold; they decide about width and batch size.
        recipe: its fields that were set (given, or named in its file) are kept in every recipe.
        shapes: most structures to search over.
        fast: scale of frequencies that suits a target which changes fast along some columns; None if none is known to.
    """
    features = data.features
    assert isinstance(features, Features)
    columns = features.numeric.shape[1]
    # What has codes, too, is not embedded; arrays made by hand may have no knots at all.
    embedded = 0 if features.knots is None else int((np.ptp(features.knots, axis=1) > 0).sum())
    return table_space(columns, rows, recipe, shapes, embedded, fast)


def table_space(
    numeric: int, rows: int, recipe: Recipe | None = None, shapes: int = 3, embedded: int | None = None,
    fast: float | None = None,
) -> Space:  # fmt: skip
    """Return the space for a table with so many continuous columns; see `default_space`.

    Args:
        numeric: continuous columns.
        rows, recipe, shapes, fast: see `default_space`.
        embedded: those of them that bins can be made of; default all.
    """
    given = {} if recipe is None else {f: getattr(recipe, f) for f in recipe.model_fields_set}
    optimizer = given.get("optimizer", "adamw" if rows < SMALL_TABLE_ROWS else "muon")
    rate, decay = scales(optimizer)
    factors = {"learning_rate": rate, "weight_decay": decay}
    first = portfolio.first(optimizer, few=rows < SMALL_TABLE_ROWS)
    sizes = _embedding_sizes(numeric, numeric if embedded is None else embedded, rows)

    def sized(changes: Fields) -> Fields | None:
        """Return changes with their embedding's size; None if it is impossible, or not the one that was asked for."""
        kind = changes.get("numeric_embedding", "none")
        if "numeric_embedding" in changes and kind != given.get("numeric_embedding", kind):
            return None
        if kind == "none":
            return changes
        return {**changes, "embedding_size": sizes[kind]} if kind in sizes else None

    def scaled(changes: Fields) -> Fields:
        """Return changes with the optimizer's rate and decay, which the portfolio gives for AdamW."""
        own = {f: float(changes.get(f, first[f])) * factor for f, factor in factors.items()}
        return {**changes, **own}

    wanted = given.get("numeric_embedding", first["numeric_embedding"])
    kind = next((k for k in (wanted, *sizes) if k in sizes), "none")
    values: Fields = {
        **scaled(first),
        "width": 64 if rows < TINY_TABLE_ROWS else 128,
        "batch_size": _batch_size(rows, BATCHES.get(optimizer, 60)),
        "numeric_embedding": kind,
        **({} if kind == "none" else {"embedding_size": sizes[kind]}),
        **given,
    }
    if values.get("optimizer") == "adam" and "weight_decay" not in given:
        del values["weight_decay"]
    axes = {
        "dropout": (0.0, 0.25, 0.5),
        "weight_decay": (0.03 * decay, 0.3 * decay),
        "learning_rate": tuple(r * rate for r in (2e-3, 5e-3, 1e-2)),
        **({"embedding_scale": (0.05, 1.0)} if "periodic" in sizes else {}),
    }  # fmt: skip
    base = Recipe(**values)
    structures: dict[Recipe, Fields] = {}
    for changes in map(sized, portfolio.structures(optimizer)):
        if changes is not None:
            structures.setdefault(base.replace(**changes), changes)
    known = (*(() if fast is None else portfolio.fast(fast)), *portfolio.of(optimizer))
    highest = SCALES[1] if fast is None else portfolio.FASTEST
    space = Space(
        base, _dimensions(rate, decay, highest), tuple(structures.values())[:shapes], axes
    )
    tried = tuple(
        scaled(changes)
        for changes in filter(None, map(sized, known))
        if space.shape_of(space.recipe(changes)) is not None
    )  # fmt: skip
    # Where no column has bins, there is nothing that quantiles could be taken of.
    idle: set[str] = {"embedding_quantiles"} if embedded == 0 else set()
    return replace(space, portfolio=tried).without(frozenset(given) | idle)


def scales(optimizer: str) -> tuple[float, float]:
    """Return by how much an optimizer's good learning rates, and its weight decays, are above AdamW's."""
    return RATES.get(optimizer, 1.0), DECAYS.get(optimizer, 1.0)


def with_optimizer(recipe: Recipe, optimizer: str) -> Fields:
    """Return the changes that give a recipe another optimizer, with the learning rate and the decay that suit it.

    Both are to the other optimizer's default as they were to the own one's.
    """
    (rate, decay), (own_rate, own_decay) = _usual(optimizer), _usual(recipe.optimizer)
    return {
        "optimizer": optimizer,
        "learning_rate": recipe.learning_rate * rate / own_rate,
        "weight_decay": 0.0 if optimizer == "adam" else recipe.weight_decay * decay / own_decay,
    }


def _usual(optimizer: str) -> tuple[float, float]:
    """Return the learning rate and the weight decay of the recipe that is tried first with an optimizer."""
    first, (rate, decay) = portfolio.first(optimizer), scales(optimizer)
    return float(first["learning_rate"]) * rate, float(first["weight_decay"]) * decay


def _embedding_sizes(numeric: int, embedded: int, rows: int) -> dict[str, int]:
    """Return features of each column by the embedding, the one to prefer first; those that leave too few are not there.

    Args:
        numeric: continuous columns.
        embedded: those of them that bins can be made of.
        rows: training rows of a fold; few rows have few bins.
    """
    sizes: dict[str, int] = {}
    if 2 * embedded >= numeric > 0:
        sizes["piecewise"] = min(int(np.clip(rows // ROWS_A_BIN, *BINS)), MAX_BINS // embedded)
    if numeric:
        sizes["periodic"] = min(16, 256 // numeric)
    return {kind: size for kind, size in sizes.items() if size >= MIN_FEATURES[kind]}


def _dimensions(rate: float, decay: float, highest: float) -> tuple[Dimension, ...]:
    activations = ("relu", "silu", "mish", "gelu", "elu", "prelu", "leaky_relu")
    return (
        Dimension("activation", Choice(activations), source="Hendrycks and Gimpel 2016; Misra 2019"),
        Dimension("leaky_slope", Log(0.01, 0.3), source="Maas et al. 2013"),
        Dimension("norm", Choice(("none", "batch", "batch", "batch", "layer")), source="Ioffe and Szegedy 2015"),
        Dimension("learning_rate", Log(8e-4 * rate, 1.6e-2 * rate), source="Bengio 2012; Holzmueller et al. 2024"),
        Dimension("weight_decay", Log(0.01 * decay, 1.5 * decay), source="Loshchilov and Hutter 2019"),
        Dimension("dropout", OrZero(Linear(0.0, 0.5), 0.3), source="Srivastava et al. 2014; Gorishniy et al. 2021"),
        Dimension("beta2", Choice((0.95, 0.99, 0.999)), source="Holzmueller et al. 2024"),
        Dimension("ema", Choice((0.0, 0.99, 0.998)), source="Polyak and Juditsky 1992"),
        Dimension("schedule", Choice(("cosine", "cosine", "coslog", "one_cycle")), source="Loshchilov and Hutter 2017"),
        Dimension("label_smoothing", Choice((0.0, 0.0, 0.05)), source="Szegedy et al. 2016"),
        Dimension("input_noise", OrZero(Log(0.003, 0.1), 0.7), source="Bishop 1995"),
        Dimension("mixup", Choice((0.0, 0.0, 0.0, 0.0, 0.2)), source="Zhang et al. 2018"),
        Dimension("embedding_scale", Log(SCALES[0], highest), source="Gorishniy et al. 2022; Holzmueller et al. 2024"),
        Dimension("embedding_spread", Choice((0.5, 1.0)), source="measured; 0 is Gorishniy et al. 2022"),
        Dimension("embedding_quantiles", Choice((False, True)), source="Gorishniy et al. 2021"),
    )  # fmt: skip


def _batch_size(rows: int, batches: int) -> int:
    """Return a power of two, about so many batches an epoch, from 32 to 1024."""
    doublings = float(np.rint(np.log2(max(rows, 1) / batches)))
    return 2 ** int(min(max(doublings, 5), 10))
