"""What a feature column holds: its kind, decided from its values and, for identifiers, its name."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from popnet.data.tables import date_format, number_format
from popnet.data.tables.cast import has_leading_zeros, to_numbers, to_text
from popnet.data.tables.date_format import COMPACT_DATE
from popnet.data.tables.formats import ISO_FORMATS, signs
from popnet.data.tables.markers import NULL_TOKENS, is_marker, truth_pair
from popnet.data.tables.number_format import NumberFormat
from popnet.data.tables.reading import GUESSED, ReadingChoices

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
NUMBERS_PER_WORD = 20
"""Text is numeric if so many distinct values are numbers for each one that is a word, whatever the words' rows ..."""
NUMBER_SHARE, STRAY_WORDS = 0.9, 5
"""... or if this share of the rows are numbers and the rest is at most so many words."""
SAMPLE_ROWS = 500
"""Rows that a column of text is looked at first."""
MAX_SPELLINGS = 20
"""Different texts in a column of truth values at most: spellings, and words for "missing"."""
SHOWN_WORDS = 6
"""Words that count as missing that are listed."""
TEXT_WORDS, TEXT_SHARE = 5, 0.5
"""Free text: so many words a value on average, and this share of values distinct."""
IDENTIFIER_SHARE, NAMED_SHARE = 0.95, 0.2
"""Text is an identifier above this share of distinct values; above the second if so named."""
NAMED_INTEGER_SHARE = 0.5
"""Integers named like an identifier are one above this share of distinct values."""
DENSE_RANGE = 3
"""Distinct integers are a numbering if they lie in a range of this many times their count."""
NEAR_START, KS_CRITICAL = 7, 1.63
"""Average gaps between 0 and the first number of a sample of rows, at most (of 1,000 samples 1 has more), and the
critical value of the test for even spread at 1 %."""
IDENTIFIER_ROWS = 20
"""With fewer values nothing is called an identifier."""

_ID_TOKENS = {"id", "ids", "pid", "uid", "uuid", "guid", "rowid", "rownum", "rowname", "rownames"}
_ID_NAMES = {"index", "idx", "key", "unnamed: 0", "rownumber", "row_number", "recno", "serial"}
_ID_COMPOUND = re.compile(
    r"(account|article|case|client|customer|device|employee|item|member|object|order|passenger"
    r"|patient|person|product|record|row|sample|session|subject|transaction|user)[_ ]?(id|no|nr)$"
)
_INDEX_NAME = re.compile(
    r"(index|idx|level_\d+|unnamed: ?\d+|__index_level_\d+__|column_[01]|row|rows?[._ ]?(names?|id|no|num|number)|)$"
)
"""A first column without a name, which is how pandas writes an index, is called `column_1` in a file."""
UNNAMED = ("", "column_0", "column_1")
_PERSONAL = {"surname", "lastname", "firstname", "fullname", "email", "phone", "name"}


class Finding(NamedTuple):
    """What was found about a column.

    Attributes:
        kind: one of `Kind`.
        reason: why it is left out, or how it is read where that is not plain.
        missing: number of missing values.
        distinct: number of distinct values that are not missing.
        format: how a column of text, or of compact dates, writes dates (see `popnet.data.tables.date_format`) or
            numbers (see `popnet.data.tables.number_format`); else "".
        nulls: texts that count as missing, besides the null tokens.
        guess: what was read in one of two ways that fit, with the option that reads the other; else "".
    """

    kind: Kind
    reason: str
    missing: int
    distinct: int
    format: str = ""
    nulls: tuple[str, ...] = ()
    guess: str = ""


def find_kind(
    column: pl.Series,
    keep: bool = False,
    reading: ReadingChoices = GUESSED,
    likely_decimal: str = "",
) -> Finding:
    """Decide what a column holds.

    Rules, first match wins (d distinct values of n that are not missing):

    - empty: n = 0; constant: d = 1 and nothing missing.
    - Dates and times, also as text in a common format: datetime.
    - Text of which nearly all distinct values are numbers in one format, and the rest words for "missing" or few other
      words: as numbers, the words missing. Text with a whole number such as 01 is none.
    - Text yes/no, true/false, t/f, y/n: boolean. Text of 5 words a value on average, half or more
      of them distinct: text. Text with d >= 0.95 n, or named like an identifier or a personal name
      and d >= 0.2 n: identifier. Other text: categorical.
    - Numbers, two values: boolean. Whole numbers named like an identifier with d >= n / 2, or all
      distinct, none missing, in a range below 3 n or ascending (a numbering): identifier;
      so named and repeated: categorical. Whole numbers, d <= 12 and n >= 5 d: discrete. Others:
      numeric.

    Identifiers need 20 values at least.

    Args:
        column: ``(N,)`` of plain type, see `read_table`.
        keep: never call it text or an identifier.
        reading: what the user says about how values are read.
        likely_decimal: the decimal sign of other columns, see `number_format.decimal_sign`.
    """
    missing = column.null_count()
    n = len(column) - missing
    if n == 0:
        return Finding("empty", "all values are missing", missing, 0)
    if column.name in reading.categorical:
        return _find_declared(column, reading)
    if column.dtype == pl.String:
        return _find_in_text(column, keep, reading, likely_decimal)
    if column.dtype in (pl.Date, pl.Datetime):
        return _or_constant("datetime", missing, column.drop_nulls().n_unique())
    return _find_number(column, column.name, keep)


def _find_declared(column: pl.Series, reading: ReadingChoices) -> Finding:
    nulls = reading.na_values or ()
    if column.dtype == pl.String and nulls:
        column = column.set(column.is_in(nulls), None)
    missing = column.null_count()
    found = _or_constant("categorical", missing, column.drop_nulls().n_unique())
    return found._replace(nulls=nulls)


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
        if distinct == n and looks_like_index(name):
            unnamed = "it has no name, and is " if name in UNNAMED else ""
            reason = f"{unnamed}the index of a data frame"
            return Finding("identifier", reason, missing, distinct)
        if distinct == n and not missing and numbers_rows(values):
            return Finding("identifier", "it numbers the rows", missing, distinct)
        if distinct == n and not missing and _follows_rows(values):
            reason = "its ascending, evenly spread whole numbers only tell the place of a row"
            return Finding("identifier", reason, missing, distinct)
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


def _follows_rows(values: pl.Series) -> bool:
    """Tell whether whole numbers are as the index of a sample of rows in the order of the table that they are from.

    They ascend, begin near 0, and are spread as evenly as a random sample is: their distance from equal steps is below
    the critical value of Kolmogorov and Smirnov's test at 1 %. A table that is sorted by a price has few low gaps.
    """
    if not values.is_sorted():
        return False
    x, n = values.to_numpy().astype(np.float64), len(values)
    if not 0 <= x[0] <= NEAR_START * (x[-1] - x[0]) / n:
        return False
    even = (np.arange(n) + 0.5) / n
    return float(np.abs(x / x[-1] - even).max()) < KS_CRITICAL / np.sqrt(n)


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
    times = date_format.parse(to_text(values), COMPACT_DATE)
    return COMPACT_DATE if times.null_count() == 0 else ""


def _find_in_text(
    column: pl.Series, keep: bool, reading: ReadingChoices, likely_decimal: str
) -> Finding:
    """Find numbers or dates written as text, or what the text is."""
    values = column.drop_nulls().str.strip_chars()
    head = values.gather_every(max(len(values) // SAMPLE_ROWS, 1)).unique(maintain_order=True)
    shown = head.filter(~is_marker(head))
    number = number_format.find(shown, reading.decimal, reading.thousands, likely_decimal)
    if number is not None and (read := _as_numbers(column, values, number)) is not None:
        found = _find_number(read.numbers, column.name, keep)
        found = found._replace(format=found.format or number.name)
        if number.name and found.kind in USED_KINDS and not read.guess:
            found = found._replace(reason=_as_read(shown, number_format.parse(shown, number.name)))
        return _with_words(found, read.words, read.guess)
    if (dates := _as_dates(values, shown, reading)) is not None:
        missing = column.null_count() + dates.rows
        plain = dates.guess or dates.form in ISO_FORMATS
        reason = "" if plain else _as_read(shown, date_format.parse(shown, dates.form))
        found = _or_constant("datetime", missing, dates.distinct, dates.form, reason)
        return _with_words(found, dates.words, dates.guess)
    if reading.na_values is not None:
        column = column.set(column.is_in(reading.na_values), None)
    found = _find_text(column, column.null_count(), keep)
    return found._replace(nulls=reading.na_values or ())


def _as_read(shown: pl.Series, read: pl.Series) -> str:
    """Return an example of how text is read, the longest one: "'$1,234.50' is read as 1234.5"."""
    known = pl.DataFrame({"text": shown, "value": read}).drop_nulls()
    text, value = known.sort(pl.col("text").str.len_chars(), descending=True, maintain_order=True).row(0)  # fmt: skip
    if isinstance(value, dt.datetime):
        midnight = value.time() == dt.time()
        return f"{text!r} is read as {value:%d %B %Y}" + ("" if midnight else f"{value:, %H:%M:%S}")
    return f"{text!r} is read as {value:.15g}"


class _Numbers(NamedTuple):
    """A column of text read as numbers ``(N,)``, the words among them, and what another format would read."""

    numbers: pl.Series
    words: tuple[str, ...]
    guess: str


def _as_numbers(column: pl.Series, values: pl.Series, found: NumberFormat) -> _Numbers | None:
    """Read text in a format; None if too much of it is none.

    Args:
        column: ``(N,)`` the text.
        values: ``(n,)`` its values without blanks at both ends.
        found: the format of a sample.
    """
    counts = values.value_counts(name="rows")
    distinct = counts[values.name]
    numbers = number_format.parse(distinct, found.name)
    unread = numbers.is_null()
    known = numbers.drop_nulls().fill_nan(None).drop_nulls()
    if len(known) == 0 or has_leading_zeros(distinct):
        return None
    marked = is_marker(distinct)
    words = counts.filter(unread & ~marked)
    if words.height and not _few_words(words, known.n_unique(), len(values)):
        return None
    listed = counts.filter(unread & ~distinct.is_in(NULL_TOKENS))[values.name].sort().to_list()
    values_read, _ = to_numbers(column, tuple(listed), form=found.name)
    return _Numbers(values_read, tuple(listed), other_number(column.name, distinct, found))


def _few_words(words: pl.DataFrame, numbers: int, rows: int) -> bool:
    """Tell whether words among numbers or dates are so few that they stand for missing values.

    Args:
        words: a line for each with its ``rows``.
        numbers: how many different numbers or dates there are.
        rows: n.
    """
    # 12 distinct numbers and "other" are levels; a number with a word for "missing" has more.
    if numbers <= DISCRETE_LEVELS:
        return False
    rare = words["rows"].sum() <= (1 - NUMBER_SHARE) * rows
    # "3 May" or "1.100,50" among others is a value in another format, and no word.
    values = words[:, 0].str.contains(r"\d").any()
    if words.height <= max(1, numbers // NUMBERS_PER_WORD):
        return rare or not values
    return words.height <= STRAY_WORDS and rare


def other_number(name: str, distinct: pl.Series, found: NumberFormat) -> str:
    """Return what is said where another number format fits a column as well; "" if it reads the same."""
    if not found.rival:
        return ""
    ours, theirs = (number_format.parse(distinct, f) for f in found)
    differ = (ours != theirs).fill_null(False)
    if not differ.any():
        return ""
    example = int(differ.arg_max() or 0)
    sign = signs(found.rival).decimal
    return (
        f"column '{name}': '{distinct[example]}' is read as {ours[example]:.15g}; "
        f"--decimal {sign} reads {theirs[example]:.15g}"
    )


class _Dates(NamedTuple):
    """Text read as dates: the format, how many distinct ones, the words among them, their rows, and a guess."""

    form: str
    distinct: int
    words: tuple[str, ...]
    rows: int
    guess: str


def _as_dates(values: pl.Series, shown: pl.Series, reading: ReadingChoices) -> _Dates | None:
    """Find dates in text; None if too much of it is none."""
    if not date_format.find(shown, NUMBER_SHARE, bool(reading.day_first)):
        return None
    counts = values.value_counts(name="rows")
    distinct = counts[values.name]
    real = distinct.filter(~is_marker(distinct))
    form = date_format.find(real, NUMBER_SHARE, bool(reading.day_first))
    if not form:
        return None
    times = date_format.parse(distinct, form)
    unread = counts.filter(times.is_null())
    words = unread.filter(~is_marker(unread[values.name]))
    known = times.drop_nulls().n_unique()
    if words.height and not _few_words(words, known, len(values)):
        return None
    guess = ""
    if reading.day_first is None and (other := date_format.other_order(form, real)):
        ours, theirs = (date_format.parse(real, f) for f in (form, other))
        differ = (ours != theirs).fill_null(False)
        if differ.any():
            i = int(differ.arg_max() or 0)
            guess = (
                f"column '{values.name}': '{real[i]}' is read as {ours[i]:%d %B %Y}; "
                f"--day-first reads {theirs[i]:%d %B %Y}"
            )
    listed = unread.filter(~unread[values.name].is_in(NULL_TOKENS))[values.name].sort().to_list()
    return _Dates(form, known, tuple(listed), int(unread["rows"].sum()), guess)


def _with_words(found: Finding, words: tuple[str, ...], guess: str) -> Finding:
    """Add the words that count as missing and the guess to what was found, if the column is used."""
    if found.kind not in USED_KINDS:
        return found
    if not words:
        return found._replace(guess=guess)
    listed = ", ".join(map(repr, words[:SHOWN_WORDS])) + (", …" if len(words) > SHOWN_WORDS else "")
    verb = "counts" if len(words) == 1 else "count"
    reason = "; ".join(filter(None, [found.reason, f"{listed} {verb} as missing"]))
    return found._replace(nulls=words, reason=reason, guess=guess)


def _find_text(column: pl.Series, missing: int, keep: bool) -> Finding:
    values = column.drop_nulls()
    n, distinct = len(values), values.n_unique()
    if n == 0:
        return Finding("empty", "all values are missing", missing, 0)
    levels = values.unique()
    words = levels.filter(~levels.is_in(NULL_TOKENS))
    if distinct <= MAX_SPELLINGS and truth_pair(words):
        marked = int(values.is_in(NULL_TOKENS).sum())
        return Finding("boolean", "", missing + marked, 2)
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


def looks_like_index(name: str) -> bool:
    """Tell whether a column is named as a data frame's index is where it was written into a file."""
    return bool(_INDEX_NAME.match(name.strip().lower()))


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
