"""A table's rows in groups that people name: by level, by range of numbers or dates, by whether a value is there."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from popnet.data.tables.schema import ASKED, Column, Schema
from popnet.predictions.slices import MIN_ROWS, SliceColumn

RANGES = 4
"""Ranges of about equally many rows that numbers and dates are cut into; with fewer values each is a group."""

MAX_LEVELS = 20
"""Levels of a column that are groups, the most frequent ones; so many looks cost little of the intervals' width."""

MAX_COLUMNS = 100
"""Columns that are looked at."""

MISSING = "missing"

_NUMBERS = ("numeric", "discrete", "boolean")


def row_groups(frame: pl.DataFrame, schema: Schema) -> list[SliceColumn]:
    """Return how each column of a table cuts its rows into groups of at least `MIN_ROWS` rows.

    Columns are the features, and those that the user left out: a model may be worse for groups that it does not know.

    Args:
        frame: rows of the table, as `popnet.data.tables.schema.conform` gives them.
        schema: of the table.
    """
    wanted = [
        c for c in schema.columns if (c.used or c.reason == ASKED) and c.name in frame.columns
    ]
    found = [_groups(frame[c.name], c) for c in wanted[:MAX_COLUMNS]]
    return [column for column in found if len(column.labels) > 1]


def _groups(values: pl.Series, column: Column) -> SliceColumn:
    if values.dtype.is_float():
        values = values.fill_nan(None)
    there = values.is_not_null().to_numpy()
    if column.kind == "datetime" and values.dtype.is_temporal():
        groups, labels = _ranges(values, there)
    elif column.kind in _NUMBERS and (values.dtype.is_numeric()):
        few = values.n_unique() - values.has_nulls() <= RANGES
        groups, labels = (_levels if few else _ranges)(values, there)
    elif column.kind in ("categorical", *_NUMBERS):
        groups, labels = _levels(values, there)
    else:
        groups, labels = np.full(len(values), -1), []
    if (~there).sum() >= MIN_ROWS:
        groups = np.where(there, groups, len(labels))
        labels = [*labels, MISSING]
    return SliceColumn(column.name, groups, labels)


def _levels(values: pl.Series, there: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return groups of equal values, the most frequent ones first; others are in none."""
    counts = values.drop_nulls().value_counts(sort=True)
    frequent = counts.filter(pl.col("count") >= MIN_ROWS)[values.name].head(MAX_LEVELS)
    groups = np.full(len(values), -1)
    for g, level in enumerate(frequent.to_list()):
        groups[(values == level).fill_null(False).to_numpy() & there] = g
    return groups, [_text(level) for level in frequent.to_list()]


def _ranges(values: pl.Series, there: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return groups of neighbouring numbers or dates, about equally many rows in each."""
    ordered = values.drop_nulls().sort()
    cuts = [ordered[len(ordered) * i // RANGES] for i in range(1, RANGES)]
    edges = sorted({c for c in cuts if c > ordered[0]})
    groups = np.zeros(len(values), int)
    for edge in edges:
        groups += (values >= edge).fill_null(False).to_numpy()
    texts = [_text(e) for e in _told_apart(edges)]
    if not edges:
        return groups, []
    middle = [f"{a} to below {b}" for a, b in pairwise(texts)]
    labels = [f"below {texts[0]}", *middle, f"{texts[-1]} or more"]
    return np.where(there, groups, -1), labels


def _told_apart(edges: Sequence[Any]) -> Sequence[Any]:
    """Return dates without their times of day, if they differ without them."""
    days = [e.date() for e in edges if isinstance(e, datetime.datetime)]
    return days if len(days) == len(edges) and len(set(days)) == len(days) else edges


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.5g}" if isinstance(value, float) else str(value)
