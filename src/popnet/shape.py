"""A recipe in two parts: `Shape`, which a compiled program is built for, and `Numbers`, which it is given.

Members that share a shape share a program (a bucket), whatever their numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from popnet.dataset import Dataset
from popnet.recipe import Recipe, choices
from popnet.types import Array


@dataclass(frozen=True)
class Shape:
    """What fixes array shapes and control flow: part of the recipe, and the kinds of the data's columns.

    Attributes:
        depth: hidden layers.
        width: units of a hidden layer.
        batch_size: rows of a batch.
        pieces: linear maps of a maxout unit; 1 for every other activation.
        after: whether a normalization stands after the activation. It would cost every net a pass over each layer and
            a sixth of its compilation to leave that open.
        frequencies: periodic features per continuous column; 0 without embedding.
        n_numeric: F, continuous columns.
        n_flags: G, 0/1 columns.
        levels: levels of each coded column.
        n_outputs: O, classes or targets.
        task: which loss.
    """

    depth: int
    width: int
    batch_size: int
    pieces: int
    after: bool
    frequencies: int
    n_numeric: int
    n_flags: int
    levels: tuple[int, ...]
    n_outputs: int
    task: Literal["classification", "regression"]

    @classmethod
    def make(
        cls,
        recipe: Recipe,
        *,
        n_numeric: int,
        n_flags: int,
        levels: tuple[int, ...],
        n_outputs: int,
        task: Literal["classification", "regression"],
    ) -> Shape:
        """Return the shape of a recipe's net for columns and outputs of these numbers."""
        periodic = recipe.numeric_embedding == "periodic" and n_numeric > 0
        return cls(
            depth=recipe.depth,
            width=recipe.width if recipe.depth else 0,
            batch_size=recipe.batch_size,
            pieces=recipe.maxout_pieces if recipe.activation == "maxout" and recipe.depth else 1,
            after=recipe.norm_position == "after" and recipe.norm != "none" and recipe.depth > 0,
            frequencies=recipe.embedding_size if periodic else 0,
            n_numeric=n_numeric,
            n_flags=n_flags,
            levels=levels,
            n_outputs=n_outputs,
            task=task,
        )

    @classmethod
    def of(cls, recipe: Recipe, data: Dataset) -> Shape:
        """Return the shape of a recipe's net on a data set."""
        return cls.make(
            recipe,
            n_numeric=data.features.numeric.shape[1],
            n_flags=data.features.flags.shape[1],
            levels=tuple(data.features.levels),
            n_outputs=data.n_outputs,
            task=data.task,
        )


class Numbers(NamedTuple):
    """The part of a recipe that travels into a program as scalars (choices as int32 places in their tables)."""

    activation: Array
    leaky_slope: Array
    elu_alpha: Array
    norm: Array
    norm_momentum: Array
    norm_epsilon: Array
    l1: Array
    l2: Array
    decay: Array
    dropout: Array
    input_dropout: Array
    label_smoothing: Array
    mixup: Array
    input_noise: Array
    class_balance: Array
    ema: Array
    epochs: Array
    patience: Array
    min_delta: Array
    monitor_error: Array
    optimizer: Array
    learning_rate: Array
    momentum: Array
    nesterov: Array
    beta1: Array
    beta2: Array
    optimizer_epsilon: Array
    gradient_clip: Array
    schedule: Array
    warmup: Array
    step_factor: Array
    steps: Array

    @classmethod
    def of(cls, recipe: Recipe) -> Numbers:
        """Return a recipe's numbers as NumPy scalars (float32, int32, or bool)."""
        special = {
            # Maxout is a matter of shape; its place in the table is never looked up.
            "activation": choices("activation").index(recipe.activation)
            % (len(choices("activation")) - 1),
            "norm": choices("norm").index(recipe.norm),
            "decay": recipe.decay,
            "monitor_error": recipe.monitor == "error",
            "optimizer": choices("optimizer").index(recipe.optimizer),
            "schedule": choices("schedule").index(recipe.schedule),
        }
        values = {f: special[f] if f in special else getattr(recipe, f) for f in cls._fields}
        return cls(**{f: _scalar(v) for f, v in values.items()})


def _scalar(value: float | bool) -> np.generic:
    if isinstance(value, bool):
        return np.bool_(value)
    return np.int32(value) if isinstance(value, int) else np.float32(value)
