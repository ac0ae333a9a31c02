"""Rows as Python programs hold them, dictionaries and sequences, made into frames with a model's columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import polars as pl

from popnet.data.tables.frames import from_objects
from popnet.data.tables.read import read_table
from popnet.errors import InputError, closest

MAX_NAMED = 10
"""Names that a message lists."""


def frame_of(rows: Any, needed: Sequence[str], known: Sequence[str]) -> pl.DataFrame:
    """Make a frame of N rows.

    Args:
        rows: a dictionary of columns, a dictionary of values (one row), a list of dictionaries (a row each), what else
            `popnet.data.tables.read.read_table` takes, or rows without names (a 2-d array, a list of lists), whose
            columns are ``needed`` or ``known`` in their order. Keys that are not needed are left out.
        needed: columns that have to be there.
        known: all columns of the table that the model was fitted to, but the targets.

    Raises:
        InputError: there are no rows, a needed key is missing, lists differ in length, a value is no plain value, or
            an array has another number of columns.
    """
    if isinstance(rows, Mapping):
        return _of_mapping(cast("Mapping[Any, Any]", rows), needed)
    if isinstance(rows, Sequence) and not isinstance(rows, str):
        some = cast("Sequence[Any]", rows)
        if some and any(isinstance(row, Mapping) for row in some):
            return of_records(some, needed)
    frame = read_table(rows)
    unnamed = isinstance(rows, np.ndarray | list | tuple)
    return _named(frame, needed, known) if unnamed else frame


def of_records(rows: Sequence[Any], needed: Sequence[str]) -> pl.DataFrame:
    """Make a frame of dictionaries, a row each; keys that are not needed are left out.

    Raises:
        InputError: a row is no dictionary, or lacks a needed key.
    """
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InputError(
                f"row {i + 1} is a {type(row).__name__}, others are dictionaries; give a dictionary for each row."
            )
        _check_keys(cast("Mapping[Any, Any]", row), needed, f"row {i + 1}")
    return pl.DataFrame([from_objects(name, [row[name] for row in rows]) for name in needed])


def _of_mapping(rows: Mapping[Any, Any], needed: Sequence[str]) -> pl.DataFrame:
    listed = [name for name in needed if name in rows and _is_column(rows[name])]
    _check_keys(rows, needed, "the dictionary" if listed else "the row")
    if not listed:
        return of_records([rows], needed)
    if single := [name for name in needed if name not in listed]:
        raise InputError(
            f"'{listed[0]}' is a list and '{single[0]}' is one value; give a list for each column, or one value each."
        )
    lengths = {name: len(rows[name]) for name in needed}
    if odd := [name for name, n in lengths.items() if n != lengths[needed[0]]]:
        raise InputError(
            f"'{odd[0]}' has {lengths[odd[0]]} values, '{needed[0]}' has {lengths[needed[0]]}; give all columns the "
            "same length."
        )
    if not lengths[needed[0]]:
        raise InputError("the columns hold no rows; add the data.")
    return read_table(pl.DataFrame([_column(name, rows[name]) for name in needed]))


def _check_keys(row: Mapping[Any, Any], needed: Sequence[str], what: str) -> None:
    lacking = [name for name in needed if name not in row]
    if lacking:
        listed = ", ".join(f"'{name}'" for name in lacking[:MAX_NAMED])
        more = f" and {len(lacking) - MAX_NAMED} more" if len(lacking) > MAX_NAMED else ""
        raise InputError(
            f"{what} lacks {listed}{more}, which the model needs (None stands for a missing value)."
            f"{closest(lacking[0], [str(key) for key in row if key not in needed])}"
        )


def _is_column(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str | bytes | Mapping)


def _column(name: str, values: Any) -> pl.Series:
    if isinstance(values, pl.Series):
        return values.alias(name)
    kind = getattr(values, "dtype", None)
    if type(values) is np.ndarray and isinstance(kind, np.dtype) and kind.kind in "iuf":
        return pl.Series(name, np.ascontiguousarray(values))
    return from_objects(name, list(cast("Sequence[Any]", values)))


def _named(frame: pl.DataFrame, needed: Sequence[str], known: Sequence[str]) -> pl.DataFrame:
    """Name columns by their place."""
    for names in (needed, known):
        if frame.width == len(names):
            return frame.rename(dict(zip(frame.columns, names, strict=True)))
    listed = ", ".join(needed[:MAX_NAMED]) + (", ..." if len(needed) > MAX_NAMED else "")
    raise InputError(
        f"rows without names must have the model's {len(needed)} columns in their order ({listed}); these have "
        f"{frame.width}."
    )
