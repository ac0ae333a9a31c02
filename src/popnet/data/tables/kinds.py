"""What a feature column holds: its kind, decided from its values and, for identifiers, its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from popnet.data.tables.cast import (
    COMPACT_DATE,
    DATE_FORMATS,
    FALSE_WORDS,
    TRUE_WORDS,
    parse_times,
    to_numbers,
    to_text,
)

Kind = Literal[
    "image",
    "numeric",
    "discrete",
    "boolean",
    "categorical",
    "datetime",
    "text",
    "identifier",
    "constant",
    "duplicate",
    "empty",
]
USED_KINDS = ("numeric", "discrete", "boolean", "categorical", "datetime")

DISCRETE_LEVELS = 12
"""Whole numbers of at most this many values, 5 rows each, are also taken as a category."""
ROWS_PER_LEVEL = 5
NUMBER_SHARE, STRAY_WORDS = 0.9, 5
"""Text is numeric if this share parses as numbers and the rest is at most so many words."""
TEXT_WORDS, TEXT_SHARE = 5, 0.5
"""Free text: so many words a value on average, and this share of values distinct."""
IDENTIFIER_SHARE, NAMED_SHARE = 0.95, 0.2
"""Text is an identifier above this share of distinct values; above the second if so named."""
NAMED_INTEGER_SHARE = 0.5
"""Integers named like an identifier are one above this share of distinct values."""
DENSE_RANGE = 3
"""Distinct integers are a numbering if they lie in a range of this many times their count."""
IDENTIFIER_ROWS = 20
"""With fewer values nothing is called an identifier."""

_ID_TOKENS = {"id", "ids", "pid", "uid", "uuid", "guid", "rowid", "rownum", "rowname", "rownames"}
_ID_NAMES = {"index", "idx", "key", "unnamed: 0", "rownumber", "row_number", "recno", "serial"}
_ID_COMPOUND = re.compile(
    r"(account|article|case|client|customer|device|employee|item|member|object|order|passenger"
    r"|patient|person|product|record|row|sample|session|subject|transaction|user)[_ ]?(id|no|nr)$"
)
_DATE_LIKE = re.compile(r"^(\d{1,4}[-/. ]|\d{8}T|[A-Za-z]{3,9} \d)").pattern
"""How every text in one of `DATE_FORMATS` starts."""
_PERSONAL = {"surname", "lastname", "firstname", "fullname", "email", "phone", "name"}


class Finding(NamedTuple):
    """What was found about a column.

    Attributes:
        kind: one of `Kind`.
        reason: why it is left out, or how it is read where that is not plain.
        missing: number of missing values.
        distinct: number of distinct values that are not missing.
        format: strptime format of a datetime column that is text or a number; else "".
        nulls: texts in a column of numbers that count as missing.
    """

    kind: Kind
    reason: str
    missing: int
    distinct: int
    format: str = ""
    nulls: tuple[str, ...] = ()


def find_kind(column: pl.Series, keep: bool = False) -> Finding:
    """Decide what a column holds.

    Rules, first match wins (d distinct values of n that are not missing):

    - empty: n = 0; constant: d = 1 and nothing missing.
    - Dates and times, also as text in a common format: datetime.
    - Text of which 90 % are numbers, and the rest at most 5 words: as numbers, the words missing.
    - Text yes/no, true/false, t/f, y/n: boolean. Text of 5 words a value on average, half or more
      of them distinct: text. Text with d >= 0.95 n, or named like an identifier or a personal name
      and d >= 0.2 n: identifier. Other text: categorical.
    - Numbers, two values: boolean. Whole numbers named like an identifier with d >= n / 2, or all
      distinct, none missing, in a range below 3 n (a numbering, in whatever order): identifier;
      so named and repeated: categorical. Whole numbers, d <= 12 and n >= 5 d: discrete. Others:
      numeric.

    Identifiers need 20 values at least.

    Args:
        column: ``(N,)`` of plain type, see `read_table`.
        keep: never call it text or an identifier.
    """
    if column.dtype == pl.String and (numbers := _numbers_in_text(column)) is not None:
        values, strays = numbers
        found = _find_number(values, column.name, keep)
        if strays and found.kind in USED_KINDS:
            listed = ", ".join(repr(s) for s in strays)
            found = found._replace(nulls=strays, reason=f"{listed} counts as missing")
        return found
    missing = column.null_count()
    n = len(column) - missing
    if n == 0:
        return Finding("empty", "all values are missing", missing, 0)
    if column.dtype == pl.String:
        return _find_text(column, missing, keep)
    if column.dtype in (pl.Date, pl.Datetime):
        return _or_constant("datetime", missing, column.drop_nulls().n_unique())
    return _find_number(column, column.name, keep)


def _or_constant(
    kind: Kind, missing: int, distinct: int, form: str = "", reason: str = ""
) -> Finding:
    if distinct == 1 and not missing:
        return Finding("constant", "all rows have the same value", missing, distinct)
    return Finding(kind, reason, missing, distinct, form)


def _find_number(column: pl.Series, name: str, keep: bool) -> Finding:
    missing = column.null_count()
    values = column.drop_nulls() if missing else column
    n = len(values)
    if n == 0:
        return Finding("empty", "all values are missing", missing, 0)
    distinct = values.n_unique()
    if values.dtype == pl.Boolean or distinct <= 2:
        kind: Kind = "boolean" if distinct == 2 else "discrete"
        return _or_constant(kind, missing, distinct)
    if not _is_whole(values):
        return Finding("numeric", "", missing, distinct)
    named = looks_like_id(name) and n >= IDENTIFIER_ROWS
    if form := _compact_dates(values, name):
        return Finding("datetime", "", missing, distinct, form)
    if not keep and n >= IDENTIFIER_ROWS:
        if named and distinct >= NAMED_INTEGER_SHARE * n:
            return Finding(
                "identifier", f"a number of its own for {_most(distinct, n)}", missing, distinct
            )
        if distinct == n and not missing and numbers_rows(values):
            return Finding("identifier", "it numbers the rows", missing, distinct)
    few = n >= ROWS_PER_LEVEL * distinct
    if distinct <= DISCRETE_LEVELS and few:
        return Finding("discrete", "", missing, distinct)
    if named and few:
        return Finding("categorical", "", missing, distinct)
    return Finding("numeric", "", missing, distinct)


def numbers_rows(values: pl.Series) -> bool:
    """Tell whether numbers without missing ones are a numbering of their rows, in whatever order.

    They are if there are `IDENTIFIER_ROWS` at least, all whole and distinct, in a dense range.
    """
    n = len(values)
    if n < IDENTIFIER_ROWS or not _is_whole(values) or values.n_unique() < n:
        return False
    low, high = _bounds(values)
    return high - low < DENSE_RANGE * n


def _is_whole(values: pl.Series) -> bool:
    if not values.dtype.is_float():
        return True
    for part in (values.head(1000), values):
        if not ((part == part.floor()) & part.is_finite()).all():
            return False
    return True


def _bounds(values: pl.Series) -> tuple[float, float]:
    return float(values.min()), float(values.max())  # type: ignore[arg-type]


def _most(distinct: int, n: int) -> str:
    return "every row" if distinct == n else "most rows"


def _compact_dates(values: pl.Series, name: str) -> str:
    """Return the format of whole numbers like 20240131 in a column named as a date; else ""."""
    if not {"date", "day", "time", "datetime", "dt"} & set(name_tokens(name)):
        return ""
    low, high = _bounds(values)
    if low < 19000101 or high > 21001231:
        return ""
    times = parse_times(to_text(values), COMPACT_DATE)
    return COMPACT_DATE if times.null_count() == 0 else ""


def _find_text(column: pl.Series, missing: int, keep: bool) -> Finding:
    values = column.drop_nulls()
    n, distinct = len(values), values.n_unique()
    if form := date_format(values):
        return _or_constant("datetime", missing, distinct, form)
    if distinct == 2:
        pair = {str(v).strip().lower() for v in values.unique()}
        if pair in [{f, t} for f, t in zip(FALSE_WORDS, TRUE_WORDS, strict=True)]:
            return Finding("boolean", "", missing, distinct)
    if not keep and n >= IDENTIFIER_ROWS:
        if distinct >= TEXT_SHARE * n and _mean_words(values) >= TEXT_WORDS:
            return Finding("text", "free text", missing, distinct)
        if distinct >= IDENTIFIER_SHARE * n:
            reason = "every row" if distinct == n else "nearly every row"
            return Finding("identifier", f"{reason} has another value", missing, distinct)
        name = column.name
        if distinct >= NAMED_SHARE * n and (looks_like_id(name) or looks_personal(name)):
            return Finding("identifier", "it names single cases", missing, distinct)
    return _or_constant("categorical", missing, distinct)


def _mean_words(values: pl.Series) -> float:
    sample = values.gather_every(max(len(values) // 1000, 1))
    return float(np.mean(sample.str.count_matches(r"\S+").to_numpy()))


def _numbers_in_text(column: pl.Series) -> tuple[pl.Series, tuple[str, ...]] | None:
    """Return text as numbers and the words among it; None if it is not (nearly) all numbers."""
    sample = column.drop_nulls()
    if len(sample) == 0:
        return None
    sample = sample.gather_every(max(len(sample) // 500, 1))
    bad = to_numbers(sample)[1]
    if bad.sum() > (1 - NUMBER_SHARE) * len(sample) * 2:
        return None
    numbers, bad = to_numbers(column)
    count = len(numbers) - numbers.null_count()
    if not bad.any():
        return (numbers, ()) if count else None
    strays = column.filter(bad).str.strip_chars().unique().sort().head(STRAY_WORDS + 1).to_list()
    if len(strays) > STRAY_WORDS or count < NUMBER_SHARE * (count + int(bad.sum())):
        return None
    # 18 distinct numbers and "other" are levels; a number with a word for "missing" has more.
    if numbers.n_unique() <= DISCRETE_LEVELS:
        return None
    return numbers, tuple(strays)


def date_format(values: pl.Series) -> str:
    """Return the first of `DATE_FORMATS` that all texts fit, or "".

    Args:
        values: ``(N,)`` String without nulls.
    """
    stripped = values.str.strip_chars()
    sample = stripped.gather_every(max(len(values) // 200, 1))
    if not sample.str.contains(_DATE_LIKE).all():
        return ""
    for form in DATE_FORMATS:
        # The sample first: most formats fail on it, and a pass over all values is dear.
        if all(parse_times(v, form).null_count() == 0 for v in (sample, stripped)):
            return form
    return ""


def name_tokens(name: str) -> list[str]:
    """Split a name at signs and at changes of case: ``CustomerId`` gives customer, id."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [t for t in re.split(r"[^A-Za-z0-9]+", spaced.lower()) if t]


def looks_like_id(name: str) -> bool:
    """Tell whether a column is named like an identifier: id, PID, CustomerId, order_id, index."""
    tokens = name_tokens(name)
    lower = name.strip().lower()
    if lower in _ID_NAMES or _ID_COMPOUND.search(lower):
        return True
    return bool(tokens) and (tokens[-1] in _ID_TOKENS or tokens[0] in _ID_TOKENS)


def looks_personal(name: str) -> bool:
    """Tell whether a column is named like one that names people: Surname, e-mail, phone."""
    joined = "".join(name_tokens(name))
    return any(joined.endswith(word) for word in _PERSONAL)


def find_duplicates(columns: Sequence[pl.Series]) -> dict[str, str]:
    """Map each column that equals an earlier one in every row to that earlier one's name.

    Numbers are compared as numbers, whatever their type; missing equals missing. A hash over all
    rows finds candidates, an exact comparison decides. Cost: one pass over each column.
    """
    if not columns:
        return {}
    weights = np.arange(1, 2 * len(columns[0]), 2, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    first: dict[tuple[str, int], list[pl.Series]] = {}
    same: dict[str, str] = {}
    for column in columns:
        values = _comparable(column)
        digest = int(np.dot(values.hash().to_numpy().astype(np.uint64), weights))
        rivals = first.setdefault((str(values.dtype), digest), [])
        for rival in rivals:
            if _comparable(rival).eq_missing(values).all():
                same[column.name] = rival.name
                break
        else:
            rivals.append(column)
    return same


def _comparable(column: pl.Series) -> pl.Series:
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return column.cast(pl.Float64)
    return column
