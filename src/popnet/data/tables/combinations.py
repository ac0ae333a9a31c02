"""Columns made of two others: sums, differences, products and ratios of encoded numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from popnet.data.dataset import Features
from popnet.data.tables.scale import KNOTS, LIMIT, Scale
from popnet.types import Array

Operation = Literal["sum", "difference", "product", "ratio"]

OPERATIONS: tuple[Operation, ...] = ("sum", "difference", "product", "ratio")

SIGNS: dict[Operation, str] = {"sum": "+", "difference": "-", "product": "*", "ratio": "/"}

FURTHEST_SCALED = 30.0
"""Scaled numbers further from the centre count as this far in a combination: beyond, the bounded numbers of the encoder
tell them apart too coarsely in float32."""

BOUND = FURTHEST_SCALED / np.sqrt(1.0 + (FURTHEST_SCALED / LIMIT) ** 2)
"""The bounded number of `FURTHEST_SCALED`."""


class Combination(BaseModel):
    """A column made of two columns of numbers of the encoded table.

    Sums, differences and products are of scaled numbers (whatever units the columns have, both count), ratios of
    numbers as they are in the table. A missing number counts as the column's median, as the encoder has it.

    Attributes:
        operation: what is made of them.
        first, second: names of the columns.
        scale: of the result.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    operation: Operation
    first: str
    second: str
    scale: Scale

    @property
    def name(self) -> str:
        """How it is shown, for example "rooms / people"."""
        return f"{self.first} {SIGNS[self.operation]} {self.second}"


def combined(
    operation: Operation, first: tuple[Array, Scale], second: tuple[Array, Scale]
) -> np.ndarray:
    """Return a combination of two columns before it is scaled, ``(N,)`` float64.

    Args:
        operation: what is made of them.
        first, second: encoded numbers ``(N,)``, and the scale that they have.
    """
    a, b = unbounded(first[0]), unbounded(second[0])
    if operation == "sum":
        return a + b
    if operation == "difference":
        return a - b
    if operation == "product":
        return a * b
    over, under = (s.centre + s.scale * z for z, (_, s) in ((a, first), (b, second)))
    return np.divide(over, under, out=np.zeros(len(over)), where=under != 0)


def unbounded(encoded: Array) -> np.ndarray:
    """Return scaled numbers from bounded ones, float64: undoes the bound of `Scale.apply`, up to `FURTHEST_SCALED`."""
    bounded = np.clip(np.asarray(encoded, np.float64), -BOUND, BOUND)
    return bounded / np.sqrt(1.0 - np.square(bounded / LIMIT))


def with_combinations(
    features: Features, combinations: Sequence[Combination], columns: dict[str, tuple[int, Scale]]
) -> Features:
    """Return encoded rows with combinations as further numbers, after the others.

    Args:
        features: N rows.
        combinations: K of them.
        columns: the place and the scale of each column that they are made of.
    """
    numeric = np.empty((len(features), len(combinations)), np.float32)
    for k, each in enumerate(combinations):
        first, second = (
            (features.numeric[:, place], scale)
            for place, scale in (columns[each.first], columns[each.second])
        )
        numeric[:, k] = each.scale.apply(combined(each.operation, first, second))
    knots = features.knots
    if knots is not None:
        knots = np.concatenate([knots, knots_of(combinations)])
    return replace(
        features, numeric=np.concatenate([features.numeric, numeric], axis=1), knots=knots
    )


def knots_of(combinations: Sequence[Combination]) -> np.ndarray:
    """Return the quantiles of K combinations, ``(K, KNOTS)`` float32, as `popnet.data.dataset.Features` has them."""
    none = (0.0,) * KNOTS
    return np.array([c.scale.knots or none for c in combinations], np.float32).reshape(-1, KNOTS)
