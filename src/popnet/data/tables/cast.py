"""Casts of one column from what it is to what is wanted, without loss; used by all of ``data/``.

A table is typed when it is read, but the same column can arrive as text, numbers or truth values
at another time (a stream of CSV blocks, a data frame of another program), so whoever reads a
column asks for what it needs here and learns which values could not be cast.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from popnet.errors import InputError

RowNumbers = int | np.ndarray
"""Numbers of a frame's rows for messages: ``(N,)``, or the first row's number, the others follow."""

NULL_TOKENS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
"""Texts that mean "missing" in a text file."""

TRUE_WORDS = ("true", "t", "yes", "y")
FALSE_WORDS = ("false", "f", "no", "n")

ISO_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
)
DATE_FORMATS = (
    *ISO_FORMATS,
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M",
    "%Y%m%dT%H%M%S",
    # Month first wins where both orders fit, as in pandas.
    "%m/%d/%Y",
    "%m/%d/%Y %H:%M:%S%.f",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
    "%d/%m/%Y",
    "%d/%m/%Y %H:%M:%S%.f",
    "%d/%m/%Y %H:%M",
    "%m/%d/%y",
    "%d/%m/%y",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M:%S%.f",
    "%d.%m.%Y %H:%M",
    "%d.%m.%y",
    "%d-%m-%Y",
    "%d-%m-%Y %H:%M:%S%.f",
    "%d-%m-%Y %H:%M",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
)
COMPACT_DATE = "%Y%m%d"
"""Dates written as one number, 20240131."""

_DECIMAL_COMMA = r"^([+-]?\d+),(\d+(?:[eE][+-]?\d+)?)$"


def to_numbers(
    values: pl.Series, nulls: tuple[str, ...] = (), words: bool = False
) -> tuple[pl.Series, pl.Series]:
    """Cast a column of any type to float64; missing and NaN become null.

    Args:
        values: ``(N,)`` column.
        nulls: texts that count as missing besides `NULL_TOKENS`.
        words: read yes/no, true/false, y/n, t/f (any case) as 1/0.

    Returns:
        ``(N,)`` Float64 and ``(N,)`` Boolean, true where a value is neither missing nor a number.
    """
    if values.dtype == pl.String:
        text = values.str.strip_chars()
        numbers = text.cast(pl.Float64, strict=False)
        open_ = text.is_not_null() & numbers.is_null()
        if words and open_.any():
            lower = text.str.to_lowercase()
            frame = pl.DataFrame({"t": lower, "n": numbers})
            numbers = frame.select(
                pl.when(pl.col("t").is_in(TRUE_WORDS))
                .then(1.0)
                .when(pl.col("t").is_in(FALSE_WORDS))
                .then(0.0)
                .otherwise(pl.col("n"))
            ).to_series()
            open_ = text.is_not_null() & numbers.is_null()
        bad = open_ & ~text.is_in(NULL_TOKENS + nulls) if open_.any() else open_
        return numbers.fill_nan(None), bad.fill_null(False)
    if values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Null):
        nothing = pl.repeat(False, len(values), dtype=pl.Boolean, eager=True)
        return values.cast(pl.Float64).fill_nan(None), nothing
    return pl.repeat(None, len(values), dtype=pl.Float64, eager=True), values.is_not_null()


def to_text(values: pl.Series) -> pl.Series:
    """Cast a column of any type to text; whole floats are written as integers (``3.0`` as "3")."""
    if values.dtype == pl.String:
        return values
    if values.dtype.is_float():
        x = pl.col("x")
        whole = (x == x.floor()) & (x.abs() < 1e15)
        return (
            pl.DataFrame({"x": values.cast(pl.Float64).fill_nan(None)})
            .select(
                pl.when(whole)
                .then(pl.when(whole).then(x).cast(pl.Int64).cast(pl.String))
                .otherwise(x.cast(pl.String))
            )
            .to_series()
        )
    return values.cast(pl.String)


def spell(levels: Sequence[str], dtype: pl.DataType) -> list[str]:
    """Write levels of text as `to_text` writes them if their column comes as another type.

    A column that was text in training, for a word among its values, may later hold numbers or
    truth values alone: the level "1.50" is then 1.5, and "True" is true.

    Args:
        levels: texts, all different.
        dtype: type of the column that is to be compared with them.

    Returns:
        As many texts, all different: a level whose spelling is another's already stays as it is.
    """
    if dtype.is_numeric():
        numbers = to_text(to_numbers(pl.Series(levels, dtype=pl.String))[0])
        spelled = [own if own is not None else v for own, v in zip(numbers, levels, strict=True)]
    elif dtype == pl.Boolean:
        spelled = [v.lower() if v.lower() in ("true", "false") else v for v in levels]
    else:
        return list(levels)
    taken = set(levels)
    for i, own in enumerate(spelled):
        if own != levels[i]:
            spelled[i] = levels[i] if own in taken else own
            taken.add(own)
    return spelled


def to_times(values: pl.Series, form: str) -> tuple[pl.Series, pl.Series]:
    """Cast a column to points in time (microseconds, no zone; zoned ones are taken to UTC).

    Args:
        values: ``(N,)`` dates, points in time, or text or numbers in the format ``form``.
        form: strptime format; ISO 8601 is always tried for what it does not fit. ``""``: ISO only.

    Returns:
        ``(N,)`` Datetime and ``(N,)`` Boolean, true where a value is neither missing nor a time.
    """
    if values.dtype in (pl.Date, pl.Datetime):
        if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone is not None:
            values = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        nothing = pl.repeat(False, len(values), dtype=pl.Boolean, eager=True)
        return values.cast(pl.Datetime("us")), nothing
    text = to_text(values).str.strip_chars()
    times = parse_times(text, form) if form else parse_times(text, ISO_FORMATS[0])
    for other in ISO_FORMATS:
        if times.null_count() == text.null_count():
            break
        more = parse_times(text, other)
        times = pl.select(pl.coalesce(times, more)).to_series()
    bad = text.is_not_null() & times.is_null() & ~text.is_in(NULL_TOKENS)
    return times, bad.fill_null(False)


def parse_times(text: pl.Series, form: str) -> pl.Series:
    """Parse text in one strptime format; null where it does not fit, or the year is below 1000."""
    times = text.str.strptime(pl.Datetime("us"), form, strict=False)
    if isinstance(times.dtype, pl.Datetime) and times.dtype.time_zone is not None:
        times = times.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    # "%Y" takes "24" for the year 24; such text is meant for "%y".
    early = times.dt.year() < 1000
    return times.set(early, None) if early.any() else times


def type_text(values: pl.Series, decimal_comma: bool = False) -> pl.Series:
    """Type a column of text as it stands in a file: Int64, else Float64, else clean String.

    Args:
        values: ``(N,)`` String.
        decimal_comma: see `clean`.
    """
    typed = _numbers_or_none(values)
    if typed is not None:
        return typed
    text = clean(values, decimal_comma)
    typed = _numbers_or_none(text)
    return text if typed is None else typed


def clean(values: pl.Series, decimal_comma: bool = False) -> pl.Series:
    """Take blanks off both ends of text; what then is a null token becomes null.

    Args:
        values: ``(N,)`` String.
        decimal_comma: write "1,5" as "1.5" (files whose delimiter is not a comma). Each value by
            itself, whatever the others are: the same value must read the same in every batch.
    """
    text = values.str.strip_chars()
    if text.str.len_bytes().sum() != values.str.len_bytes().sum():
        text = text.set(text.is_in(NULL_TOKENS), None)
    if decimal_comma and text.str.contains(",", literal=True).any():
        text = text.str.replace(_DECIMAL_COMMA, "${1}.${2}")
    return text


def _numbers_or_none(values: pl.Series) -> pl.Series | None:
    missing = values.null_count()
    # A look at the first values spares two full casts of every column that is plainly text.
    head = values.head(200)
    if head.cast(pl.Float64, strict=False).null_count() != head.null_count():
        return None
    for dtype in (pl.Int64, pl.Float64):
        typed = values.cast(dtype, strict=False)
        if typed.null_count() == missing:
            return typed.fill_nan(None) if dtype == pl.Float64 else typed
    return None


def refuse(name: str, values: pl.Series, bad: pl.Series, wanted: str, rows: RowNumbers = 1) -> None:
    """Raise an InputError for the first value that is ``bad``; do nothing if there is none.

    Args:
        name: the column.
        values: ``(N,)`` the column as it came.
        bad: ``(N,)`` Boolean.
        wanted: what it should be: "a number", "a date", "yes or no".
        rows: numbers of the rows of ``values``; rows count from 1 without the header.
    """
    if not bad.any():
        return
    row = bad.arg_max()
    assert row is not None
    more = int(bad.sum()) - 1
    also = f" (and {more} more)" if more else ""
    raise InputError(
        f"column '{name}', row {row_number(row, rows)}: {show(values[row])} is not {wanted}{also}; "
        "correct the value or leave it empty."
    )


def row_number(row: int, rows: RowNumbers) -> int:
    """Return the number that a message gives to the row at position ``row``."""
    return int(rows[row]) if isinstance(rows, np.ndarray) else row + rows


def show(value: object) -> str:
    """Write a value for a message: text in quotes, cut after 40 characters."""
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:39] + "…")
    return str(value)
