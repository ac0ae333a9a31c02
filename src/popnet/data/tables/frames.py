"""Data frames, arrays and lists made into polars frames of plain column types.

Plain types: Boolean, integers, floats, String, Date, Datetime (microseconds, no zone). pandas is
never imported: a pandas frame is known by its module and read through its own methods.
"""

from __future__ import annotations

import datetime as dt
import decimal
import numbers
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import polars as pl

from popnet.data.tables.delimited import check_names
from popnet.errors import InputError

FIRST_DAY, LAST_DAY = -719_162, 2_932_896
"""1 January of the year 1 and 31 December 9999, in days since 1970: Python's dates."""


def from_frame(source: Any) -> pl.DataFrame | None:
    """Make a plain frame of a pandas or polars frame, an array or a list of rows.

    Args:
        source: pandas or polars DataFrame, polars LazyFrame, ``(N, F)`` NumPy array (columns are
            named x0, x1, ...), or a list of N lists of F values.

    Returns:
        The frame; None if ``source`` is none of these.

    Raises:
        InputError: no columns, no rows, a name twice, an array that is not 2-d, rows of different
            lengths, or a column of nested or unknown values.
    """
    if isinstance(source, pl.LazyFrame):
        source = source.collect()
    if isinstance(source, pl.DataFrame):
        frame = plain(source, "the data frame")
    elif _is_pandas(source):
        frame = _from_pandas(source)
    elif isinstance(source, np.ndarray):
        frame = _from_array(cast("np.ndarray", source))
    elif isinstance(source, list | tuple):
        frame = _from_rows(cast("Sequence[Sequence[Any]]", source))
    elif hasattr(source, "toarray") and hasattr(source, "nnz"):
        raise InputError("sparse matrices are not supported; pass a dense array (.toarray()).")
    else:
        return None
    return not_empty(frame, "the data")


def not_empty(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """Return the frame; raise an InputError if it has no columns or no rows."""
    if frame.width == 0:
        raise InputError(f"{where} has no columns; give a table with a target and features.")
    if frame.height == 0:
        raise InputError(f"{where} has columns but no rows; add the data.")
    return frame


def plain(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """Cast all columns to plain types; NaN becomes null.

    Raises:
        InputError: a column holds lists, structs, bytes or Python objects.
    """
    return pl.DataFrame([_plain_column(column, where) for column in frame])


def _plain_column(column: pl.Series, where: str) -> pl.Series:
    dtype = column.dtype
    if dtype.is_float():
        column = column.cast(pl.Float32) if dtype not in (pl.Float32, pl.Float64) else column
        return column.fill_nan(None) if column.is_nan().any() else column
    if dtype.is_integer():
        if dtype in (pl.UInt64, pl.Int128) or dtype == getattr(pl, "UInt128", None):
            whole = column.cast(pl.Int64, strict=False)
            return column.cast(pl.Float64) if whole.null_count() > column.null_count() else whole
        return column
    if isinstance(dtype, pl.Datetime):
        _check_calendar(
            column, 86_400 * {"ms": 10**3, "us": 10**6, "ns": 10**9}[dtype.time_unit], where
        )
        if dtype.time_zone is not None:
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return column.cast(pl.Datetime("us"))
    if dtype == pl.Date:
        _check_calendar(column, 1, where)
        return column
    if dtype in (pl.Boolean, pl.String):
        return column
    if dtype in (pl.Categorical, pl.Enum, pl.Null):
        return column.cast(pl.String)
    if isinstance(dtype, pl.Decimal):
        return column.cast(pl.Float64)
    if dtype == pl.Duration:
        return column.dt.total_microseconds() / 1e6
    if dtype == pl.Time:
        return column.cast(pl.Int64) / 1e9
    if dtype == pl.Object:
        return from_objects(column.name, column.to_list())
    raise InputError(
        f"column '{column.name}' of {where} holds {dtype} values; make plain columns of it or "
        "drop it."
    )


def _check_calendar(column: pl.Series, per_day: int, where: str) -> None:
    """Raise an InputError if a time is none of the calendar: polars panics when it casts or writes such a one.

    Args:
        column: dates or times.
        per_day: units of its numbers in a day.
        where: it is from.
    """
    days = column.to_physical().cast(pl.Int64) // per_day
    if ((days < FIRST_DAY) | (days > LAST_DAY)).any():
        raise InputError(
            f"column '{column.name}' of {where} holds times outside of the years 1 to 9999; correct or drop them."
        )


def frame_categories(source: Any) -> tuple[str, ...]:
    """Return the columns of a pandas or polars frame that have a type of categories."""
    if isinstance(source, pl.LazyFrame | pl.DataFrame):
        types = source.collect_schema()
        return tuple(n for n, t in types.items() if t in (pl.Categorical, pl.Enum))
    if not _is_pandas(source):
        return ()
    types = zip(source.columns, source.dtypes, strict=True)
    return tuple(str(name) for name, dtype in types if hasattr(dtype, "categories"))


def _is_pandas(source: Any) -> bool:
    kind = cast("type[Any]", type(source))
    return kind.__module__.split(".")[0] == "pandas" and kind.__name__ == "DataFrame"


def _from_pandas(frame: Any) -> pl.DataFrame:
    names = [str(name) for name in frame.columns]
    check_names(names, "the data frame")
    # Not pl.from_pandas: that needs pyarrow for many types.
    return pl.DataFrame([_pandas_column(name, frame.iloc[:, i]) for i, name in enumerate(names)])


def _pandas_column(name: str, column: Any) -> pl.Series:
    kind = column.dtype
    if isinstance(kind, np.dtype):
        if kind.kind in "biuf":
            return _plain_column(_from_numbers(name, column.to_numpy()), "the data frame")
        if kind.kind == "M":
            return pl.Series(name, column.to_numpy().astype("datetime64[us]"))
        if kind.kind == "m":
            seconds = column.dt.total_seconds().to_numpy()
            return pl.Series(name, seconds).fill_nan(None)
        return from_objects(name, column.to_list())
    if hasattr(column, "cat"):
        categories = column.cat.categories
        levels = from_objects(name, list(categories))
        codes = column.cat.codes.to_numpy().astype(np.int64)
        if not len(levels):
            return pl.repeat(None, len(codes), dtype=pl.String, eager=True).alias(name)
        picked = levels.gather(np.maximum(codes, 0))
        return picked.set(pl.Series(codes < 0), None).alias(name)
    if getattr(kind, "tz", None) is not None:
        naive = column.dt.tz_convert("UTC").dt.tz_localize(None)
        return pl.Series(name, naive.to_numpy().astype("datetime64[us]"))
    letter = getattr(kind, "kind", "O")
    if letter in "biuf" and hasattr(column.array, "_mask"):
        missing = column.isna().to_numpy()
        filled = column.fillna(kind.type(0)).to_numpy(kind.numpy_dtype)
        values = _from_numbers(name, filled).set(pl.Series(missing), None)
        return _plain_column(values, "the data frame")
    return from_objects(name, column.to_list())


def _from_numbers(name: str, values: np.ndarray) -> pl.Series:
    if values.dtype in (np.dtype(np.float16), np.dtype(np.longdouble)):
        values = values.astype(np.float64)
    return pl.Series(name, np.ascontiguousarray(values))


def _from_array(array: np.ndarray) -> pl.DataFrame:
    if array.ndim != 2:
        raise InputError(
            f"the array is {array.ndim}-d; give a 2-d array of rows and columns (reshape(-1, 1) "
            "makes one column of a 1-d array)."
        )
    kind = array.dtype.kind
    columns = [(f"x{i}", array[:, i]) for i in range(array.shape[1])]
    if kind in "biuf":
        return plain(pl.DataFrame([_from_numbers(n, c) for n, c in columns]), "the array")
    if kind == "M":
        return pl.DataFrame([pl.Series(n, c.astype("datetime64[us]")) for n, c in columns])
    if kind in "OU":
        return pl.DataFrame([from_objects(n, c.tolist()) for n, c in columns])
    raise InputError(f"arrays of type {array.dtype} are not supported; give numbers or text.")


def _from_rows(rows: Sequence[Sequence[Any]]) -> pl.DataFrame:
    if not rows:
        raise InputError("the data has no rows; give a list of rows.")
    for i, row in enumerate(rows):
        if not isinstance(row, list | tuple | np.ndarray):
            raise InputError(
                f"row {i + 1} of the data is a {type(row).__name__}; give a list of rows, each a "
                "list of values."
            )
        if len(row) != len(rows[0]):
            raise InputError(
                f"row {i + 1} of the data has {len(row)} values, row 1 has {len(rows[0])}; give "
                "all rows the same length."
            )
    columns = zip(*rows, strict=True)
    return pl.DataFrame([from_objects(f"x{i}", list(c)) for i, c in enumerate(columns)])


def from_objects(name: str, values: Sequence[Any]) -> pl.Series:
    """Make a plain column of Python objects that may be of mixed types.

    None, NaN, NaT and pandas.NA are null. All truth values: Boolean. Truth values and numbers:
    numbers. Dates and times: Datetime. Any other mix: text, as Python writes it ("True", "3.0").

    Raises:
        InputError: a value is none of these (a list, a dict, an object, a complex number).
    """
    values = [None if is_missing(v) else v for v in values]
    kinds: set[type[Any]] = {type(v) for v in values if v is not None}
    if not kinds or all(issubclass(k, str) for k in kinds):
        return pl.Series(name, [None if v is None else str(v) for v in values], dtype=pl.String)
    if all(issubclass(k, bool | np.bool_) for k in kinds):
        return pl.Series(name, [None if v is None else bool(v) for v in values], dtype=pl.Boolean)
    if all(issubclass(k, numbers.Integral | np.bool_) for k in kinds):
        whole = [None if v is None else int(v) for v in values]
        if all(v is None or -(2**63) <= v < 2**63 for v in whole):
            return pl.Series(name, whole, dtype=pl.Int64)
    if all(issubclass(k, numbers.Real | decimal.Decimal | np.bool_) for k in kinds):
        floats = [None if v is None else _to_float(v) for v in values]
        return pl.Series(name, floats, dtype=pl.Float64)
    if all(issubclass(k, dt.date | np.datetime64) for k in kinds):
        times = [None if v is None else _to_time(v) for v in values]
        return pl.Series(name, times, dtype=pl.Datetime("us"))
    return pl.Series(name, [None if v is None else _to_word(v, name) for v in values])


def is_missing(value: Any) -> bool:
    """Tell whether a Python value means "missing": None, NaN, NaT, pandas.NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, np.datetime64):
        return bool(np.isnat(cast("np.datetime64", value)))
    return isinstance(value, float | np.floating | decimal.Decimal) and value != value


def _to_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer or decimal beyond 1.8e308
        return float("inf") if value > 0 else float("-inf")


def _to_time(value: Any) -> dt.datetime:
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    if isinstance(value, dt.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(dt.UTC).replace(tzinfo=None)
        # Not the value itself: a pandas Timestamp is a subclass with nanoseconds.
        return dt.datetime.combine(value.date(), value.time())
    return dt.datetime(value.year, value.month, value.day)


def _to_word(value: Any, name: str) -> str:
    """Write a value as Python does, and so pandas into a CSV file: a frame and its file agree."""
    if isinstance(value, str | np.bool_ | numbers.Real | decimal.Decimal | dt.date | np.datetime64):
        return str(cast("object", value))
    raise InputError(
        f"column '{name}' holds a value of type {type(value).__name__}; give numbers, text, truth "
        "values or dates."
    )
