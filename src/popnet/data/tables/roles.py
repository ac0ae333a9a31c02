"""Columns with a role beside features and target: row weights, groups, the order in time."""

from __future__ import annotations

import numpy as np
import polars as pl

from popnet.data.tables.cast import (
    RowNumbers,
    refuse,
    row_number,
    show,
    to_numbers,
    to_times,
)
from popnet.data.tables.columns import (
    epoch_seconds,
)
from popnet.data.tables.formats import EITHER_DECIMAL
from popnet.data.tables.schema import Schema
from popnet.errors import InputError, closest


def raw_weights(frame: pl.DataFrame, name: str, rows: RowNumbers = 1) -> np.ndarray:
    """Return the weights in a column as they are, ``(N,)`` float64.

    Args:
        frame: the table.
        name: of the column.
        rows: number of the first row for messages, or the numbers of all.

    Raises:
        InputError: the column is not there, or a weight is missing, negative, infinite or no number.
    """
    if name not in frame.columns:
        raise InputError(
            f"the table lacks the weight column '{name}'; add it.{closest(name, frame.columns)}"
        )
    column = frame[name]
    numbers, bad = to_numbers(column, form=EITHER_DECIMAL)
    wrong = (bad | numbers.is_null() | (numbers < 0) | numbers.is_infinite()).fill_null(True)
    refuse_weight(name, column, wrong, rows)
    return numbers.to_numpy()


def mean_one(name: str, weights: np.ndarray) -> np.ndarray:
    """Return weights ``(N,)`` float32 with mean 1.

    Raises:
        InputError: all are 0.
    """
    # Divided first: the sum of weights near 1e308 would be infinite.
    largest = weights.max(initial=0.0)
    if largest <= 0:
        raise InputError(f"all weights in the column '{name}' are 0; give positive ones.")
    values = weights / largest
    return (values / values.mean()).astype(np.float32)


def refuse_weight(name: str, column: pl.Series, wrong: pl.Series, rows: RowNumbers = 1) -> None:
    """Raise an InputError for the first weight that is ``wrong``."""
    row = wrong.arg_max()
    if row is None or not wrong[row]:
        return
    value = column[row]
    what = "is missing" if value is None else f"is {show(value)}"
    raise InputError(
        f"the weight in column '{name}', row {row_number(row, rows)}, {what}; weights must be finite "
        "numbers of 0 or more."
    )


def group_numbers(
    frame: pl.DataFrame, name: str, *, row_numbers: np.ndarray | None = None
) -> np.ndarray:
    """Return ``(N,)`` int64 numbers of the groups in a column, for `popnet.data.splits`.

    Args:
        frame: the table.
        name: the column of groups.
        row_numbers: see `fit_encoder`.

    Raises:
        InputError: the column is not there, or a value is missing.
    """
    column = _role_column(frame, name, "group", 1 if row_numbers is None else row_numbers)
    return column.rank("dense").to_numpy().astype(np.int64) - 1


def group_shares(
    frame: pl.DataFrame, name: str, seed: int, *, row_numbers: np.ndarray | None = None
) -> np.ndarray:
    """Return ``(N,)`` float32 in [0, 1): a number for each group in a column, drawn by a hash of its value.

    The same in every batch of a table, so that a share of the groups can be held out of one that is never read whole.

    Args:
        frame: the table, or a batch of it.
        name: the column of groups.
        seed: determines the draw.
        row_numbers: see `fit_encoder`.

    Raises:
        InputError: the column is not there, or a value is missing.
    """
    column = _role_column(frame, name, "group", 1 if row_numbers is None else row_numbers)
    return (column.hash(seed).to_numpy() >> np.uint64(40)).astype(np.float32) / np.float32(2**24)


def time_numbers(
    frame: pl.DataFrame, schema: Schema, *, row_numbers: np.ndarray | None = None
) -> np.ndarray | None:
    """Return ``(N,)`` float64 that orders the rows in time, for `popnet.data.splits`; None if no order.

    Args:
        frame: the table.
        schema: names the column that orders the rows.
        row_numbers: see `fit_encoder`.

    Raises:
        InputError: the column is not there, a value is missing, or is neither number nor time.
    """
    if schema.time is None:
        return None
    rows = 1 if row_numbers is None else row_numbers
    column = _role_column(frame, schema.time, "time", rows)
    found = schema.column(schema.time)
    if found.kind == "datetime":
        values, bad = to_times(column, found.format, found.nulls)
        values = pl.Series(epoch_seconds(values)).fill_nan(None)
    else:
        values, bad = to_numbers(column, found.nulls, form=found.format)
    refuse(schema.time, column, bad | values.is_null(), "a time to order the rows by", rows)
    return values.to_numpy()


def _role_column(frame: pl.DataFrame, name: str, role: str, rows: RowNumbers) -> pl.Series:
    if name not in frame.columns:
        raise InputError(f"there is no {role} column '{name}'.{closest(name, frame.columns)}")
    column = frame[name]
    row = column.is_null().arg_max() if column.null_count() else None
    if row is not None:
        raise InputError(
            f"the {role} column '{name}' has no value in row {row_number(row, rows)}; fill it or "
            "drop the row."
        )
    return column
