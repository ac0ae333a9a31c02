"""Values at which effects are looked at: quantiles of numbers and dates, and the most frequent categories."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from popnet.data.tables.cast import to_times
from popnet.data.tables.columns import (
    Categorical,
    Datetime,
    Discrete,
    Notes,
    Numeric,
    Record,
    epoch_seconds,
    level_text,
    number_values,
)
from popnet.model.effects import EffectKind

TAIL = 0.01
"""Share of the rows at either end of a column whose values are beyond the grid."""


@dataclass(frozen=True)
class Grid:
    """Values of a column.

    Attributes:
        kind: of the values.
        values: ``G`` of them.
        donors: ``(G,)``, a row that has each value.
        shares: ``(G,)``, how many of the rows each value stands for, with sum 1.
    """

    kind: EffectKind
    values: list[float] | list[str]
    donors: np.ndarray
    shares: np.ndarray

    def __len__(self) -> int:
        return len(self.donors)


def grid_of(record: Record, column: pl.Series, most: int) -> Grid:
    """Return at most so many values that a column has.

    All of them if they are no more; else of numbers and dates quantiles between the 1 % and the 99 % one, each of which
    a row has, and of categories the most frequent ones. Missing numbers are left out, and are a category of their own.

    Args:
        record: of the column in an encoder.
        column: ``(N,)``.
        most: values.
    """
    if isinstance(record, Numeric | Discrete):
        return _numbers(number_values(record, column, Notes(), 1), "number", most)
    if isinstance(record, Datetime):
        times, _ = to_times(column, record.format, record.nulls)
        return _numbers(epoch_seconds(times), "date", most)
    numbers = isinstance(record, Categorical) and record.numbers
    text = level_text(column, numbers).fill_null("missing")
    counts = text.value_counts(sort=True)
    ranked = counts.sort(["count", text.name], descending=[True, False]).head(most)
    levels = ranked[text.name].to_list()
    known = text.to_list()
    donors = np.array([known.index(level) for level in levels], np.intp)
    shares = ranked["count"].to_numpy() / max(ranked["count"].sum(), 1)
    return Grid("category", levels, donors, shares)


def _numbers(values: np.ndarray, kind: EffectKind, most: int) -> Grid:
    order = np.argsort(values, kind="stable")
    order = order[: np.count_nonzero(~np.isnan(values))]
    known = values[order]
    distinct, first, counts = np.unique(known, return_index=True, return_counts=True)
    if len(distinct) > most:
        levels = np.quantile(known, np.linspace(TAIL, 1 - TAIL, most), method="nearest")
        picked = np.unique(np.searchsorted(distinct, levels))
        distinct, first, counts = distinct[picked], first[picked], np.ones(len(picked))
    return Grid(kind, distinct.tolist(), order[first], counts / max(counts.sum(), 1))
