"""Casts of one column from what it is to what is wanted, without loss; used by all of ``data/``.

A table is typed when it is read, but the same column can arrive as text, numbers or truth values
at another time (a stream of CSV blocks, a data frame of another program), so whoever reads a
column asks for what it needs here and learns which values could not be cast.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from popnet.data.tables import date_format, number_format
from popnet.data.tables.formats import ISO_FORMATS
from popnet.data.tables.markers import (
    FALSE_WORDS,
    NULL_TOKENS,
    PROTECTED,
    TRUE_WORDS,
    is_marker,
    unprotect,
)
from popnet.data.tables.remarks import show
from popnet.errors import InputError

RowNumbers = int | np.ndarray
"""Numbers of a frame's rows for messages: ``(N,)``, or the first row's number, the others follow."""


HEAD_ROWS = 200

MANY_COLUMNS = 100
"""Columns beyond which a call for each of them takes longer than what is done in it."""


def to_numbers(
    values: pl.Series, nulls: tuple[str, ...] = (), words: bool = False, form: str = ""
) -> tuple[pl.Series, pl.Series]:
    """Cast a column of any type to float64; missing and NaN become null.

    Args:
        values: ``(N,)`` column.
        nulls: texts that count as missing besides `markers.MARKERS`.
        words: read yes/no, true/false, y/n, t/f (any case) as 1/0.
        form: how text writes numbers, see `popnet.data.tables.number_format`.

    Returns:
        ``(N,)`` Float64 and ``(N,)`` Boolean, true where a value is neither missing nor a number.
    """
    if values.dtype in (pl.Categorical, pl.Enum):
        values = values.cast(pl.String)
    if values.dtype == pl.String:
        text = values.str.strip_chars()
        numbers = number_format.parse(text, form)
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
        return numbers.fill_nan(None).alias(values.name), _not_missing(text, open_, nulls)
    if values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Null):
        # Made and looked at by NumPy: of thousands of columns, polars' own calls take longer than what is done in them.
        numbers = values if values.dtype == pl.Float64 else values.cast(pl.Float64)
        if np.isnan(numbers.drop_nulls().to_numpy()).any():
            numbers = numbers.fill_nan(None)
        return numbers, pl.Series(np.zeros(len(values), bool))
    return pl.repeat(None, len(values), dtype=pl.Float64, eager=True), values.is_not_null()


def _not_missing(text: pl.Series, unread: pl.Series, nulls: tuple[str, ...]) -> pl.Series:
    """Return which of the texts that could not be read are no words for "missing" either."""
    if not unread.any():
        return unread.fill_null(False)
    missing = is_marker(text) | text.is_in(list(nulls))
    return (unread & ~missing).fill_null(False)


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
        text = pl.Series(levels, dtype=pl.String)
        # Whole numbers by themselves: as floats, long ones would run together.
        whole = text.cast(pl.Int64, strict=False).cast(pl.String)
        numbers = whole.zip_with(whole.is_not_null(), to_text(to_numbers(text)[0]))
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


def to_times(
    values: pl.Series, form: str, nulls: tuple[str, ...] = ()
) -> tuple[pl.Series, pl.Series]:
    """Cast a column to points in time (microseconds, no zone; zoned ones are taken to UTC).

    Args:
        values: ``(N,)`` dates, points in time, or text or numbers in the format ``form``.
        form: see `popnet.data.tables.date_format`; ISO 8601 is always tried for what it does not fit. ``""``: ISO only.
        nulls: texts that count as missing besides `markers.MARKERS`.

    Returns:
        ``(N,)`` Datetime and ``(N,)`` Boolean, true where a value is neither missing nor a time.
    """
    if values.dtype in (pl.Date, pl.Datetime):
        if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone is not None:
            values = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        nothing = pl.repeat(False, len(values), dtype=pl.Boolean, eager=True)
        return values.cast(pl.Datetime("us")), nothing
    text = to_text(values).str.strip_chars()
    formats = "|".join([form, *ISO_FORMATS] if form else ISO_FORMATS)
    times = date_format.parse(text, formats)
    return times, _not_missing(text, text.is_not_null() & times.is_null(), nulls)


def type_text(values: pl.Series, undecided_points: bool = False) -> pl.Series:
    """Type a column of text as it stands in a file: Int64, else Float64, else clean String.

    A column with a whole number that starts with 0, as 01 or 007, stays text, and with ``undecided_points`` also one
    whose every number with a point is like 1.342, which may be thousands.

    Args:
        values: ``(N,)`` String, with the marks of `markers.protect_quoted`.
        undecided_points: whether commas may be decimal signs, so that points may be signs of thousands.
    """
    text = values
    typed = _numbers_or_none(text)
    if typed is None:
        text = plain_text(values)
        typed = _numbers_or_none(text)
    if typed is None:
        return text
    if typed.dtype == pl.Int64 and has_leading_zeros(text):
        return plain_text(text)
    if typed.dtype == pl.Float64 and undecided_points and like_thousands(text):
        return plain_text(text)
    return typed


def clean_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """Take blanks off both ends of text; what is empty then is null.

    Args:
        frame: of String columns with the marks of `markers.protect_quoted`, which the result lacks.
    """
    frame = frame.select(pl.all().str.strip_chars())
    odd = frame.select(
        ((pl.all().str.len_bytes() == 0) | pl.all().str.starts_with(PROTECTED)).any()
    )
    names = [name for name, found in odd.row(0, named=True).items() if found]
    return frame.with_columns(unprotect(plain_text(frame[name])) for name in names)


def type_frame(frame: pl.DataFrame, undecided_points: bool = False) -> list[pl.Series]:
    """Type each column of a frame of text as `type_text` does; where they are many, plain numbers all at once."""
    if frame.width <= MANY_COLUMNS:
        return [type_text(column, undecided_points) for column in frame]
    floats = frame.select(pl.all().cast(pl.Float64, strict=False))
    unread = [a != b for a, b in zip(frame.null_count().row(0), floats.null_count().row(0), strict=True)]  # fmt: skip
    odd = floats.select((pl.all().is_nan() | (pl.all().abs() >= 2**63)).any()).row(0)
    fractions = floats.select((pl.all() != pl.all().floor()).any()).row(0)
    return [
        number if fraction and not (lost or strange or undecided_points) else type_text(text)
        for text, number, lost, strange, fraction in zip(
            frame, floats, unread, odd, fractions, strict=True
        )
    ]


def plain_text(values: pl.Series) -> pl.Series:
    """Take blanks off both ends of text; what is empty then is null."""
    text = values.str.strip_chars()
    empty = text.str.len_bytes() == 0
    return text.set(empty, None) if empty.any() else text


def has_leading_zeros(text: pl.Series) -> bool:
    """Return whether a whole number is written as 01 or 007, as codes are and numbers are not."""
    zero = text.str.starts_with("0") & (text.str.len_bytes() > 1)
    return bool(zero.any() and text.filter(zero).str.contains(r"^0\d+$").any())


def like_thousands(text: pl.Series) -> bool:
    """Return whether every number with a point is like 1.342, so that points may stand between thousands."""
    shape = r"^[+-]?(\d{1,3}|[1-9]\d{0,2}(\.\d{3})+)$"
    return all(part.str.contains(shape).all() for part in (text.head(200), text))


def _numbers_or_none(values: pl.Series) -> pl.Series | None:
    """Return text as numbers, null tokens as null; None if there is anything else."""
    # A look at the first values spares two full casts of every column that is plainly text.
    if len(values) > HEAD_ROWS and _floats_or_none(values.head(HEAD_ROWS)) is None:
        return None
    floats = _floats_or_none(values)
    if floats is None:
        return None
    head = floats.head(HEAD_ROWS)
    if (head != head.floor()).any() and not _huge(floats):
        return floats.fill_nan(None)  # no whole numbers, which spares a cast
    whole = values.cast(pl.Int64, strict=False)
    if whole.null_count() == floats.null_count():
        return whole
    known = floats.fill_nan(None)
    if whole.null_count() == known.null_count():
        return whole
    # As floats, numbers such as those of bank accounts would run together.
    long = values.filter(known.abs() >= 2**63)
    return None if long.str.contains(r"^\s*[+-]?\d+\s*$").any() else known


def _huge(numbers: pl.Series) -> bool:
    """Return whether some numbers are beyond those that Int64 holds."""
    low, high = numbers.min(), numbers.max()
    return any(isinstance(end, float) and abs(end) >= 2**63 for end in (low, high))


def _floats_or_none(values: pl.Series) -> pl.Series | None:
    floats = values.cast(pl.Float64, strict=False)
    if floats.null_count() > values.null_count():
        lost = values.filter(floats.is_null() & values.is_not_null())
        if not lost.is_in(NULL_TOKENS).all():
            return None
    return floats


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
