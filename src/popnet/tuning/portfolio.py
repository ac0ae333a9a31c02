"""Recipes for tables that are known to do well together, tried before others.

Found by ``python -m benchmarks.portfolio`` on real tables: the default recipe is the one that was best alone, each
further one the one that helped ensembles of those before most (an idea of auto-sklearn 2.0, Feurer et al. 2022).
"""

from __future__ import annotations

from typing import Any

Changes = dict[str, Any]

BASE: Changes = {
    "depth": 3, "activation": "mish", "norm": "batch", "dropout": 0.0, "learning_rate": 7e-3, "weight_decay": 0.5,
    "beta2": 0.99, "ema": 0.998, "schedule": "cosine", "embedding_scale": 0.05,
}  # fmt: skip
"""The recipe that was best alone."""

FEW_ROWS: Changes = {"ema": 0.99, "dropout": 0.2}
"""Changes of it for few rows: an average over hundreds of steps would lag behind, and nets over-fit."""

_SILU: Changes = {
    "activation": "silu", "learning_rate": 5e-3, "dropout": 0.2, "ema": 0.99, "embedding_scale": 0.1,
}  # fmt: skip
_PLAIN: Changes = {
    "width": 256, "numeric_embedding": "none", "activation": "relu", "weight_decay": 0.1, "ema": 0.99,
}  # fmt: skip

PORTFOLIO: tuple[Changes, ...] = (
    {**_SILU, "embedding_scale": 1.0},
    {**_PLAIN, "learning_rate": 4e-3, "dropout": 0.1},
    {**_SILU, "weight_decay": 0.1},
    {**_SILU, "dropout": 0.4},
    {**_PLAIN, "learning_rate": 9e-3},
    {"learning_rate": 1e-3, "weight_decay": 0.3, "ema": 0.99, "embedding_scale": 0.3},
    _SILU,
)  # fmt: skip
"""Changes of the default recipe, in the order in which they are tried. The first is moved up: some tables need
large scales of embeddings (adult, phoneme), where the default's small ones learn too little."""

STRUCTURES: tuple[Changes, ...] = (
    {},
    {"width": 256, "numeric_embedding": "none"},
    {"depth": 1, "width": 256},
)
"""Changes of structure that random recipes turn through."""
