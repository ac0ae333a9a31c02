"""Numbers as people write them: thousands and decimal signs, currencies, units, negatives in brackets, times of day.

Formats are those of `popnet.data.tables.formats`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from popnet.data.tables.formats import (
    ANY_UNIT,
    APOSTROPHES,
    BLANKS,
    CLEAR,
    CLOCK,
    CLOCK_PATTERN,
    EITHER_DECIMAL,
    FORMATS,
    MINUS,
    MULTIPLES,
    pattern,
    split,
)

SAMPLE = 500
MIN_SHARE = 0.5
"""Distinct values of a sample that must be numbers at least for a column to be looked at as a whole."""


class NumberFormat(NamedTuple):
    """A format, and a second one that suits a column as well but reads other numbers from it ("" if there is none)."""

    name: str
    rival: str = ""


def parse(text: pl.Series, form: str) -> pl.Series:
    """Return the numbers that texts hold in a format, ``(N,)`` Float64; null where one does not fit.

    Args:
        text: ``(N,)`` String without blanks at both ends.
        form: a number format; "" for plain numbers.
    """
    plain = text.cast(pl.Float64, strict=False)
    if form == "":
        return plain
    if form == EITHER_DECIMAL:
        point = text.str.replace(r"^([+-]?\d+),(\d+(?:[eE][+-]?\d+)?)$", "${1}.${2}")
        return point.cast(pl.Float64, strict=False)
    tidy = text.str.replace_all(BLANKS, " ").str.replace_all(MINUS, "-").str.strip_chars()
    if "'" in form:
        tidy = tidy.str.replace_all(APOSTROPHES, "'")
    if form == CLOCK:
        return _seconds(tidy)
    signs, unit = split(form)
    parts = tidy.str.extract_groups(pattern(signs, unit)).struct.unnest()
    digits = parts["number"]
    if signs.thousands:
        digits = digits.str.replace_all(signs.thousands, "", literal=True)
    if signs.decimal != ".":
        digits = digits.str.replace(signs.decimal, ".", literal=True)
    size = digits.cast(pl.Float64, strict=False)
    times = parts["multiple"].replace_strict(MULTIPLES, default=1.0, return_dtype=pl.Float64)
    signed = [parts[c].fill_null("") for c in ("open", "sign", "second", "close")]
    negative = pl.select(
        ((signed[0] == "(") & (signed[3] == ")"))
        | (signed[1] == "-") | (signed[2] == "-") | (signed[3] == "-")
    ).to_series()  # fmt: skip
    odd = (signed[0] == "(") != (signed[3] == ")")
    values = size * times
    return pl.select(pl.when(odd).then(None).when(negative).then(-values).otherwise(values)).to_series()  # fmt: skip


def find(
    distinct: pl.Series,
    decimal: str | None = None,
    thousands: str | None = None,
    likely_decimal: str = "",
) -> NumberFormat | None:
    """Return the format that most of a column's values have; None if hardly any are numbers.

    Args:
        distinct: different values of a column, String without blanks at both ends and without words for "missing"; a
            sample will do.
        decimal: the decimal sign, if that is known.
        thousands: the sign between groups of three digits, if that is known.
        likely_decimal: the decimal sign that the table has elsewhere: formats with it win where others fit as well.
    """
    sample = distinct.gather_every(max(len(distinct) // SAMPLE, 1))
    if len(sample) == 0:
        return None
    if _fits(sample, CLOCK) >= 0.9 * len(sample):
        return NumberFormat(CLOCK)
    unit = _unit(sample)
    fits: list[tuple[int, str]] = []
    for name, signs in FORMATS.items():
        if decimal not in (None, signs.decimal) or thousands not in (None, signs.thousands):
            continue
        form = f"{name} {unit}" if unit else name
        fits.append((_fits(sample, form), form))
    most = max((n for n, _ in fits), default=0)
    if most < MIN_SHARE * len(sample):
        return None
    best = [form for n, form in fits if n == most]
    if likely_decimal:
        best.sort(key=lambda form: split(form)[0].decimal != likely_decimal)
    chosen = best[0]
    if chosen == "1234.5" and _fits(sample, "") == most:
        chosen = ""
    read = parse(sample, chosen)
    rivals = (f for f in best[1:] if not parse(sample, f).equals(read, null_equal=True))
    return NumberFormat(chosen, next(rivals, ""))


def decimal_sign(columns: Sequence[pl.Series]) -> str:
    """Return the decimal sign that texts show: "," or "." if values are numbers with it alone, else "".

    A number such as 1,342 says nothing: it may have thousands. 1,5 and 0,342 and 1.342,5 do.

    Args:
        columns: each ``(n,)`` String, a sample of the values of a column.
    """
    votes: Counter[str] = Counter()
    for column in columns:
        tidy = column.str.replace_all(BLANKS, " ").str.strip_chars()
        numbers = tidy.str.contains(r"^\D*[\d.,' ]+\D*$").sum()
        if len(tidy) and numbers >= MIN_SHARE * len(tidy):
            votes.update(sign for sign, clear in CLEAR.items() if tidy.str.contains(clear).any())
    return votes.most_common(1)[0][0] if votes else ""


def _seconds(text: pl.Series) -> pl.Series:
    """Return the seconds of times such as 13:05, 1:05 PM or 100:05:30.5; null where a text is none."""
    parts = text.str.extract_groups(CLOCK_PATTERN).struct.unnest()
    parts.columns = ["sign", "hours", "minutes", "seconds", "half"]
    hours, minutes, seconds = (
        parts[c].cast(pl.Float64, strict=False) for c in ("hours", "minutes", "seconds")
    )
    half = parts["half"].str.to_lowercase().str.head(1)
    hours = pl.select(
        pl.when(half.is_null()).then(hours).when(hours > 12).then(None)
        .otherwise(hours % 12 + 12.0 * (half == "p").cast(pl.Float64))
    ).to_series()  # fmt: skip
    total = 3600 * hours + 60 * minutes + seconds.fill_null(0.0)
    return pl.select(pl.when(parts["sign"] == "-").then(-total).otherwise(total)).to_series()


def _fits(text: pl.Series, form: str) -> int:
    return len(text) - parse(text, form).null_count()


def _unit(sample: pl.Series) -> str:
    """Return the one unit or currency that numbers have; "" if they have none, or several."""
    tidy = sample.str.replace_all(MINUS, "-")
    parts = tidy.str.extract_groups(ANY_UNIT).struct.unnest()
    found = Counter(
        unit for part in ("before", "after") for unit in parts[part].drop_nulls().to_list()
    )
    bytes_ = any(f"{multiple}B" in found for multiple in MULTIPLES)
    for multiple in MULTIPLES:
        if not (bytes_ and multiple == "B"):
            found.pop(multiple, None)
    stems = Counter[str]()
    for unit, count in found.items():
        for multiple in sorted(MULTIPLES, key=len, reverse=True):
            rest = unit.removeprefix(multiple).strip()
            if rest != unit and rest in found:
                unit = rest
                break
        stems[unit] += count
    return max(stems, key=lambda u: (stems[u], len(u))) if stems else ""
