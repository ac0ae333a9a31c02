"""Recipes for tables that are known to do well together, tried before others.

Found by ``python -m benchmarks.portfolio`` on real tables: recipes are added one by one, each time one that helps
ensembles of those before most (an idea of auto-sklearn 2.0, Feurer et al. 2022). Few structures, as each is compiled.
"""

from __future__ import annotations

from typing import Any

Changes = dict[str, Any]

BASE: Changes = {
    "depth": 3, "activation": "mish", "norm": "batch", "dropout": 0.0, "learning_rate": 7e-3, "weight_decay": 0.5,
    "beta2": 0.99, "ema": 0.998, "schedule": "cosine", "numeric_embedding": "piecewise", "embedding_scale": 0.05,
}  # fmt: skip
"""The recipe that is tried first, with AdamW. Sizes of embeddings follow from the data."""

MUON: Changes = {"optimizer": "muon", "epochs": 32}
"""Changes of it for all but few rows: with half the batches and a third of the epochs nets are better where there is
much to learn (log-loss or RMSE of letter -7 %, phoneme -5 %, cpu_act -5 %, wine_quality -2 %, california and otto
-1 %), and as good elsewhere (adult, bank, churn, default_credit within 0.7 %). Few rows gain nothing: their steps are
no cheaper."""

FEW_ROWS: Changes = {"ema": 0.99, "dropout": 0.2}
"""Changes of it for few rows: an average over hundreds of steps would lag behind, and nets over-fit."""

_PERIODIC: Changes = {"numeric_embedding": "periodic"}
_PLAIN: Changes = {"width": 256, "numeric_embedding": "none"}

PORTFOLIO: tuple[Changes, ...] = (
    _PERIODIC,
    {"learning_rate": 2e-3},
    {"dropout": 0.2},
    {**_PERIODIC, "dropout": 0.2},
    {"weight_decay": 0.1},
    {**_PERIODIC, "dropout": 0.1, "embedding_scale": 0.3},
    {**_PLAIN, "activation": "relu", "learning_rate": 9e-3, "weight_decay": 0.1, "ema": 0.99},
    {**_PERIODIC, "activation": "silu", "learning_rate": 5e-3, "dropout": 0.2, "ema": 0.99, "embedding_scale": 1.0},
)  # fmt: skip
"""Changes of the default recipe, in the order in which they are tried: the first is the best complement. Tables are of
two camps: bins follow sharp edges (california, adult, phoneme), slow periods smooth functions (letter, bank, churn)."""

STRUCTURES: tuple[Changes, ...] = ({}, {"numeric_embedding": "piecewise"}, _PERIODIC, _PLAIN)
"""Changes of structure that random recipes turn through; one that is the default recipe's own is left out."""
