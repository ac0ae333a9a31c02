"""Recipes for tables that are known to do well together, tried before others.

Found by ``python -m benchmarks.portfolio`` on real tables: recipes are added one by one, each time one that helps
ensembles of those before most (an idea of auto-sklearn 2.0, Feurer et al. 2022). Few structures, as each is compiled.
"""

from __future__ import annotations

from popnet.spec.recipe import Fields

BASE: Fields = {
    "depth": 3, "activation": "mish", "norm": "batch", "dropout": 0.0, "learning_rate": 7e-3, "weight_decay": 0.5,
    "beta2": 0.99, "ema": 0.998, "schedule": "cosine", "numeric_embedding": "piecewise", "embedding_scale": 0.05,
    "input_scale": 6.0,
}  # fmt: skip
"""The recipe that is tried first, with AdamW. Sizes of embeddings follow from the data. Learned scales of the inputs
take 1 to 3 % off an ensemble's log-loss or RMSE on california, cpu_act, phoneme, bank, churn and credit_g, and change
that of adult, default_credit, letter, wine_quality by less; of ames_housing by -2 to +2 %, with the rows."""

MUON: Fields = {"optimizer": "muon", "epochs": 32, "weight_decay": 0.1}
"""Changes of it for all but few rows: with half the batches and a third of the epochs nets are better where there is
much to learn (log-loss or RMSE of letter -7 %, phoneme -5 %, cpu_act -5 %, wine_quality -2 %, california and otto
-1 %), and as good elsewhere (adult, bank, churn, default_credit within 0.7 %). Few rows gain nothing: their steps are
no cheaper. Less decay is worth 3 to 9 % more on letter, wine_quality and cpu_act, and costs california 1 %."""

FEW_ROWS: Fields = {"ema": 0.99, "dropout": 0.2}
"""Changes of it for few rows: an average over hundreds of steps would lag behind, and nets over-fit."""

_PERIODIC: Fields = {"numeric_embedding": "periodic"}
_QUANTILES: Fields = {**_PERIODIC, "embedding_quantiles": True}
_PLAIN: Fields = {"numeric_embedding": "none"}
_SILU: Fields = {
    **_PERIODIC, "activation": "silu", "learning_rate": 5e-3, "dropout": 0.2, "ema": 0.99, "embedding_scale": 1.0,
}  # fmt: skip
_RELU: Fields = {
    **_PLAIN,
    "activation": "relu",
    "learning_rate": 9e-3,
    "weight_decay": 0.1,
    "ema": 0.99,
}

WITH_ADAMW: tuple[Fields, ...] = (
    _PERIODIC,
    {"learning_rate": 2e-3},
    {"dropout": 0.2},
    {**_PERIODIC, "dropout": 0.2},
    {"weight_decay": 0.1},
    {**_PERIODIC, "dropout": 0.1, "embedding_scale": 0.3},
    {**_RELU, "width": 256},
    _SILU,
)
"""Changes of the default recipe, in the order in which they are tried: the first is the best complement. Tables are of
two camps: bins follow sharp edges (california, adult, phoneme), slow periods smooth functions (letter, bank, churn)."""

WITH_MUON: tuple[Fields, ...] = (
    _QUANTILES,
    _RELU,
    {**_QUANTILES, "weight_decay": 0.5},
    {"weight_decay": 0.5},
    _PERIODIC,
    {**_QUANTILES, "embedding_scale": 0.3},
    {"learning_rate": 2e-3},
    {**_PERIODIC, "weight_decay": 0.5},
    {"dropout": 0.2},
    {**_PERIODIC, "embedding_scale": 0.3},
    _SILU,
)
"""The same with Muon. Which of them suit a table is found out on the first fold
(`popnet.tuning.strategies.screening`): quantiles are worth 5 % of RMSE on california, no embedding 15 % of log-loss on
letter, and both lose as much elsewhere."""


FASTER, FASTEST = 3.0, 30.0
"""How much faster than the first the second recipe with fast periods is, and the largest scale of frequencies: periods
of three hundredths of a standard deviation."""

_FAST: Fields = {"embedding_spread": 0.5, "weight_decay": 0.5}
"""Changes of recipes with fast periods, which over-fit: with five times the decay the loss is 5 to 20 % lower on
california, adult, power-plant, steps and a chessboard. Without a spread it is up to 7 % higher on power-plant, steps
and a chessboard, with twice as much up to 6 % higher on steps and as much lower on power-plant."""


def fast(scale: float) -> tuple[Fields, ...]:
    """Return the recipes that are tried next to the default one where the target changes fast along some columns.

    Of quantiles (at scales of 1.5 to 5 up to 12 % better than of values) and of values (at 10 and 20 up to 10 % better
    on california).

    Args:
        scale: of the frequencies that suit it (`popnet.fitting.roughness`).
    """
    return (
        {**_QUANTILES, **_FAST, "embedding_scale": scale},
        {**_PERIODIC, **_FAST, "embedding_scale": min(FASTER * scale, FASTEST)},
    )


def first(optimizer: str, few: bool = False) -> Fields:
    """Return the recipe that is tried first with an optimizer, learning rate and decay as for AdamW.

    Args:
        optimizer: its.
        few: whether there are few rows.
    """
    return {**BASE, **(FEW_ROWS if few else {}), **(MUON if optimizer == "muon" else {})}


def of(optimizer: str) -> tuple[Fields, ...]:
    """Return the recipes for an optimizer, learning rates and decays as for AdamW."""
    return WITH_MUON if optimizer == "muon" else WITH_ADAMW


def structures(optimizer: str) -> tuple[Fields, ...]:
    """Return the changes of structure that random recipes turn through; one may be the default recipe's own.

    Muon's steps take five times as long with twice the width, which gains little (log-loss of letter 8 %, others 1 %).
    """
    plain = _PLAIN if optimizer == "muon" else {**_PLAIN, "width": 256}
    return {}, {"numeric_embedding": "piecewise"}, _PERIODIC, plain
