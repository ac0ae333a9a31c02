"""The values of a target's columns as numbers."""

from __future__ import annotations

import numpy as np
import polars as pl

from popnet.data.tables.cast import RowNumbers, refuse, show, spell, to_numbers, to_text
from popnet.data.tables.markers import is_marker
from popnet.data.tables.target import Target, check_magnitude


def target_numbers(column: pl.Series, rows: RowNumbers, form: str = "") -> np.ndarray:
    """Return ``(N,)`` float64, NaN where missing."""
    numbers, bad = to_numbers(column, form=form)
    refuse(column.name, column, bad, "a number", rows)
    check_magnitude(column.name, column, numbers, rows)
    return numbers.to_numpy()


def class_numbers(column: pl.Series, target: Target, rows: RowNumbers) -> np.ndarray:
    """Return ``(N,)`` int32 class numbers, -1 where the target is missing."""
    classes = list(target.classes)
    if isinstance(classes[0], str):
        values, classes = to_text(column), spell([str(c) for c in classes], column.dtype)
    elif (whole := _as_integers(column)) is not None and isinstance(classes[0], int):
        # Compared as integers: as floats, labels beyond 2^53 would run together.
        values, classes = whole, [int(c) for c in classes]
    else:
        values, bad = to_numbers(column, words=isinstance(classes[0], bool))
        _refuse_class(column, bad, target, rows)
        classes = [float(c) for c in classes]
    numbers = values.replace_strict(
        classes, list(range(len(classes))), default=-1, return_dtype=pl.Int32
    )
    _refuse_class(column, (numbers < 0) & values.is_not_null(), target, rows)
    return np.where(values.is_null().to_numpy(), np.int32(-1), numbers.to_numpy())


def _as_integers(column: pl.Series) -> pl.Series | None:
    """Return a column as Int64, words for "missing" null; None if it holds anything else."""
    if column.dtype.is_integer():
        return column.cast(pl.Int64)
    if column.dtype != pl.String:
        return None
    values = column.str.strip_chars().cast(pl.Int64, strict=False)
    lost = column.filter(values.is_null() & column.is_not_null())
    return values if is_marker(lost).all() else None


def _refuse_class(column: pl.Series, bad: pl.Series, target: Target, rows: RowNumbers) -> None:
    shown = ", ".join(show(c) for c in target.classes[:8])
    more = ", …" if len(target.classes) > 8 else ""
    wanted = f"a class that training had ({shown}{more})"
    refuse(column.name, column, bad, wanted, rows)
