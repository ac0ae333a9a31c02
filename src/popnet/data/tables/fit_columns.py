"""The record of a column, fitted to its training rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

from popnet.data.tables.cast import (
    RowNumbers,
    refuse,
    to_numbers,
    to_times,
)
from popnet.data.tables.columns import (
    CYCLES,
    Boolean,
    Categorical,
    Cycle,
    Datetime,
    Discrete,
    Numeric,
    Record,
    calendar_years,
    cycle_phase,
    epoch_seconds,
    level_text,
)
from popnet.data.tables.scale import fit_scale

MAX_LEVELS = 2_000


MIN_ROWS, ROW_SHARE, SUFFICIENT_ROWS = 2, 1e-3, 10
"""A level needs 0.1 % of the training rows, but 2 at least, and 10 are always enough."""


SPIKED_SHARE, SPARSE = 0.8, 20
"""Of the rows without a column's most frequent value, those whose value has a code, at least; and how far apart such
values are on average, at least; see `spiked`."""


def fit_record(
    column: pl.Series,
    kind: str,
    form: str = "",
    nulls: tuple[str, ...] = (),
    rows: RowNumbers = 1,
) -> Record:
    """Fit the record of a column.

    Args:
        column: ``(N,)`` the training rows.
        kind, form, nulls: what the schema says of it.
        rows: numbers of the rows, for messages.

    Raises:
        InputError: the column holds values that do not fit its kind.
    """
    name = column.name
    if kind == "categorical":
        levels, missing = fit_levels(level_text(column, column.dtype.is_numeric()))
        return Categorical(
            name=name,
            levels=tuple(map(str, levels)),
            numbers=column.dtype.is_numeric(),
            missing=missing,
            nulls=nulls,
        )
    if kind == "datetime":
        return _fit_datetime(column, form, nulls, rows)
    numbers, bad = to_numbers(column, nulls, words=kind == "boolean", form=form)
    refuse(name, column, bad, "a number", rows)
    if kind == "boolean":
        missing = numbers.null_count() > 0
        two = numbers.drop_nulls().unique().sort().to_list()
        true = two[-1] if two else 1.0
        false = two[0] if len(two) > 1 else (0.0 if true else 1.0)
        return Boolean(
            name=name, false=false, true=true, varies=len(two) > 1, missing=missing, nulls=nulls, format=form
        )  # fmt: skip
    return fit_numbers(numbers, kind, nulls, form)


def fit_numbers(
    numbers: pl.Series, kind: str, nulls: tuple[str, ...] = (), form: str = ""
) -> Numeric | Discrete:
    """Fit the record of a column of numbers.

    Args:
        numbers: ``(N,)`` Float64, null where missing.
        kind, nulls, form: what the schema says of it: "numeric" or "discrete".
    """
    name = numbers.name
    missing = numbers.null_count() > 0
    values = numbers.to_numpy()
    scale = fit_scale(values)
    # Counting the values of a column takes longer than all else, so it is asked first whether that can matter.
    counted = kind != "numeric" or (scale is not None and _mostly_one(values))
    levels = fit_levels(numbers)[0] if counted else []
    embedded = kind == "numeric"
    if embedded and not spiked(numbers, levels):
        return Numeric(name=name, scale=scale, missing=missing, nulls=nulls, format=form)
    kept = tuple(map(float, levels)) if scale else None
    return Discrete(
        name=name, scale=scale, levels=kept, missing=missing, nulls=nulls, format=form, embedded=embedded
    )  # fmt: skip


def _mostly_one(numbers: np.ndarray) -> bool:
    """Return whether half of the known values or more are the same one: it is in the middle then."""
    known = numbers[~np.isnan(numbers)]
    if len(known) == 0:
        return False
    middle = {(len(known) - 1) // 2, len(known) // 2}
    values = np.partition(known, sorted(middle))
    return any(2 * (known == values[place]).sum() >= len(known) for place in middle)


def spiked(numbers: pl.Series, levels: list[Any]) -> bool:
    """Return whether most rows have one value, and nearly all others one of few values, far apart, that come again.

    Such values mean something each, as the sums that a form or a tax law names; bins between quantiles see none of them
    (on adult, where `capital_gain` is one of 119 sums, codes take 3 % of the log-loss away).

    Args:
        numbers: ``(N,)`` values of the training rows.
        levels: of `fit_levels`.
    """
    if len(levels) < 3 or not np.isfinite(levels).all():
        return False
    if np.ptp(levels) < SPARSE * len(levels):  # counts
        return False
    known = numbers.drop_nulls()
    others = known.filter(known != levels[0])
    if 2 * len(others) > len(known):
        return False
    return others.is_in(levels[1:]).sum() >= SPIKED_SHARE * len(others)


def _fit_datetime(
    column: pl.Series, form: str, nulls: tuple[str, ...], rows: RowNumbers
) -> Datetime:
    times, bad = to_times(column, form, nulls)
    refuse(column.name, column, bad, "a date or time", rows)
    known = times.drop_nulls()
    cycles: list[Cycle] = [c for c in CYCLES if len(np.unique(cycle_phase(known, c))) > 1]
    return Datetime(
        name=column.name,
        format=form,
        seconds=fit_scale(epoch_seconds(known)),
        year=fit_scale(calendar_years(known)),
        cycles=tuple(cycles),
        missing=len(known) < len(times),
        nulls=nulls,
    )


def fit_levels(values: pl.Series) -> tuple[list[Any], bool]:
    """Return the levels that get a code of their own, and whether values are missing.

    Kept are levels with at least 0.1 % of the rows (but 2 rows at least, and 10 are enough), the
    2,000 most frequent at most; ordered by descending frequency, then by value, so that the order
    of the rows does not matter.
    """
    known = values.drop_nulls()
    fewest = min(max(MIN_ROWS, math.ceil(ROW_SHARE * len(values))), SUFFICIENT_ROWS)
    counts = known.alias("level").value_counts().filter(pl.col("count") >= fewest)
    counts = counts.sort(["count", "level"], descending=[True, False])
    return counts["level"].head(MAX_LEVELS).to_list(), len(known) < len(values)
