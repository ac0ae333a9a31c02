"""The default search space: recipes drawn from ranges that the literature gives, fitted to the data's size."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from popnet.dataset import Dataset, Features
from popnet.recipe import Recipe


@dataclass(frozen=True)
class Space:
    """Where recipes are drawn from.

    Attributes:
        base: the default recipe for this data, always the first; fields that are not searched keep its values.
        shapes: changes of structure that the search may make; few, because each costs a compilation.
        fixed: fields that keep the base's values whatever the search would try.
    """

    base: Recipe
    shapes: tuple[dict[str, int], ...]
    fixed: frozenset[str] = frozenset()

    def draw(self, rng: np.random.Generator, shape: int) -> Recipe:
        """Draw a recipe at random (Bergstra and Bengio 2012), of the given place in `shapes`.

        Rates and penalties are log-uniform; sources of the ranges stand at the fields of `Recipe`.
        """
        base = self.base
        embedded = base.numeric_embedding != "none"
        changes = {
            "activation": str(rng.choice(["relu", "silu", "mish", "gelu", "elu", "leaky_relu"])),
            "norm": str(rng.choice(["none", "batch", "batch", "layer"])),
            "learning_rate": log_uniform(rng, 5e-4, 8e-3) * _rate_factor(base.optimizer),
            "weight_decay": log_uniform(rng, 1e-3, 1.0),
            "dropout": 0.0 if rng.random() < 0.3 else float(rng.uniform(0, 0.5)),
            "beta2": float(rng.choice([0.95, 0.99, 0.999])),
            "ema": float(rng.choice([0.0, 0.99, 0.998])),
            "schedule": str(rng.choice(["cosine", "coslog", "warmup_cosine"])),
            "label_smoothing": float(rng.choice([0.0, 0.0, 0.05])),
            "input_noise": 0.0 if rng.random() < 0.7 else log_uniform(rng, 0.003, 0.1),
            "mixup": 0.0 if rng.random() < 0.8 else 0.2,
        }
        if embedded:
            changes["embedding_scale"] = log_uniform(rng, 0.1, 10.0)
            changes["embedding_spread"] = float(rng.choice([0.5, 1.0]))
        return self._changed(changes, shape)

    def grid(self) -> Iterator[Recipe]:
        """Yield the full factorial of the fields that matter most, in an order that varies rates first."""
        axes = {
            "dropout": (0.0, 0.25, 0.5),
            "weight_decay": (0.003, 0.03, 0.3),
            "activation": ("relu", "silu"),
            "learning_rate": tuple(
                r * _rate_factor(self.base.optimizer) for r in (1e-3, 2e-3, 4e-3)
            ),
        }
        for shape in range(len(self.shapes)):
            seen = set()
            for values in itertools.product(*axes.values()):
                recipe = self._changed(dict(zip(axes, values, strict=True)), shape)
                if (key := recipe.to_json()) not in seen:
                    seen.add(key)
                    yield recipe

    def _changed(self, changes: dict[str, Any], shape: int) -> Recipe:
        """Change the base recipe but for its fixed fields; Adam has no decoupled decay to search over."""
        changes = {
            k: v for k, v in {**changes, **self.shapes[shape]}.items() if k not in self.fixed
        }
        if self.base.optimizer == "adam":
            changes.pop("weight_decay", None)
        return self.base.replace(**changes)


def default_space(data: Dataset, rows: int, recipe: Recipe | None = None, shapes: int = 3) -> Space:
    """Return the space for a data set.

    Args:
        data: its columns decide about embeddings.
        rows: training rows of a fold; they decide about width and batch size.
        recipe: its fields that were set (given, or named in its file) are kept in every recipe.
        shapes: most structures to search over.
    """
    given = {} if recipe is None else {f: getattr(recipe, f) for f in recipe.model_fields_set}
    assert isinstance(data.features, Features)
    numeric = data.features.numeric.shape[1]
    frequencies = int(min(16, 256 // max(numeric, 1)))
    embedding = (
        {"numeric_embedding": "periodic", "embedding_size": frequencies}
        if numeric and frequencies >= 2
        else {}
    )
    values: dict[str, Any] = {
        "depth": 2,
        "width": 64 if rows < 600 else 128,
        "batch_size": _batch_size(rows),
        "activation": "silu",
        "norm": "batch",
        "dropout": 0.25,
        "learning_rate": 2e-3 * _rate_factor(given.get("optimizer", "adamw")),
        "weight_decay": 0.03,
        "beta2": 0.99,
        "ema": 0.99,
        "schedule": "cosine",
        **embedding,
        **given,
    }
    if values.get("optimizer") == "adam" and "weight_decay" not in given:
        del values["weight_decay"]
    small = rows < 3000
    choices = ({}, {"depth": 1}, {"depth": 3}) if small else ({}, {"width": 256}, {"depth": 3})
    free = tuple(c for c in choices[:shapes] if not c.keys() & given.keys())
    return Space(Recipe(**values), free, frozenset(given))


def _rate_factor(optimizer: str) -> float:
    """Return by how much an optimizer's good learning rates are above Adam's."""
    return 25.0 if optimizer == "sgd" else 1.0


def _batch_size(rows: int) -> int:
    """Return a power of two, about sixty batches an epoch, from 32 to 1024."""
    return int(2 ** np.clip(np.round(np.log2(max(rows, 1) / 60)), 5, 10))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
