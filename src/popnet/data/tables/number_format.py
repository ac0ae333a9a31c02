"""Numbers as people write them: thousands and decimal signs, currencies, units, negatives in brackets, times of day.

A number format is a short text that the schema keeps: how 1234.5 is written, and the unit if there is one, as in
``"1.234,5 EUR"``; ``""`` is a plain number, and `CLOCK` a time of day or a duration, read as seconds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

CLOCK = "HH:MM:SS"

EITHER_DECIMAL = "1234.5 or 1234,5"
"""What models of versions that kept no format read: plain numbers, each with a decimal point or comma."""


class Signs(NamedTuple):
    """The decimal sign, and the sign between groups of three digits ("" for none)."""

    decimal: str
    thousands: str


FORMATS = {
    "1234.5": Signs(".", ""),
    "1,234.5": Signs(".", ","),
    "1 234.5": Signs(".", " "),
    "1'234.5": Signs(".", "'"),
    "1_234.5": Signs(".", "_"),
    "1234,5": Signs(",", ""),
    "1.234,5": Signs(",", "."),
    "1 234,5": Signs(",", " "),
    "1'234,5": Signs(",", "'"),
}
"""How 1234.5 is written; the first that suits most values is taken."""

_CURRENCIES = r"US\$|R\$|A\$|C\$|[$€£¥₩₹₽₺₴₫฿₪₦]|USD|EUR|GBP|CHF|JPY|CNY|KRW|INR|Rs\.?|CAD|AUD|SEK|NOK|DKK|PLN|kr\.?|zł"
_UNIT = r"[^\d\s.,;:()+'_\-][^\d()+'_;:]{0,14}?"
_MULTIPLES = {"K": 1e3, "k": 1e3, "M": 1e6, "B": 1e9, "bn": 1e9, "Mio": 1e6, "Mrd": 1e9}
_EXPONENT = r"(?:[eE][+-]?\d+)?"
_BLANKS = "[\u00a0\u2007\u2009\u202f]"
_APOSTROPHES = "[\u2019\u02bc]"
_MINUS = "[\u2212\u2013\u2012\ufe63\uff0d]"
_CLOCK = r"^([+-]?)(\d{1,4}):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?\s*([AaPp]\.?[Mm]\.?)?$"
_ANY_UNIT = (
    rf"^[(+-]*\s*(?<before>{_CURRENCIES})?\s*[+-]?[\d.,' _\u00a0\u2007\u2009\u202f]*\d"
    rf"[.,]?{_EXPONENT}\s*(?<after>{_UNIT})?\s*[)-]?$"
)

_CLEAR = {
    sign: rf"^\D*(?:0[{sign}]\d+|\d+[{sign}](?:\d{{1,2}}|\d{{4,}})|\d{{1,3}}(?:[{other}' ]\d{{3}})+[{sign}]\d+)\D*$"
    for sign, other in ((",", "."), (".", ","))
}
"""Numbers in which a sign cannot stand between thousands."""

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
    tidy = text.str.replace_all(_BLANKS, " ").str.replace_all(_MINUS, "-").str.strip_chars()
    if "'" in form:
        tidy = tidy.str.replace_all(_APOSTROPHES, "'")
    if form == CLOCK:
        return _seconds(tidy)
    signs, unit = _split(form)
    parts = tidy.str.extract_groups(_pattern(signs, unit)).struct.unnest()
    digits = parts["number"]
    if signs.thousands:
        digits = digits.str.replace_all(signs.thousands, "", literal=True)
    if signs.decimal != ".":
        digits = digits.str.replace(signs.decimal, ".", literal=True)
    size = digits.cast(pl.Float64, strict=False)
    times = parts["multiple"].replace_strict(_MULTIPLES, default=1.0, return_dtype=pl.Float64)
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
        best.sort(key=lambda form: _split(form)[0].decimal != likely_decimal)
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
        tidy = column.str.replace_all(_BLANKS, " ").str.strip_chars()
        numbers = tidy.str.contains(r"^\D*[\d.,' ]+\D*$").sum()
        if len(tidy) and numbers >= MIN_SHARE * len(tidy):
            votes.update(sign for sign, clear in _CLEAR.items() if tidy.str.contains(clear).any())
    return votes.most_common(1)[0][0] if votes else ""


def signs(form: str) -> Signs:
    """Return a format's signs, those of plain numbers for "" and `CLOCK`."""
    return Signs(".", "") if form in ("", CLOCK) else _split(form)[0]


def is_known(form: str) -> bool:
    """Whether a format is one of these, with any unit."""
    plain = ("", CLOCK, EITHER_DECIMAL)
    return form in plain or any(form == n or form.startswith(n + " ") for n in FORMATS)


def unit_of(form: str) -> str:
    """Return a format's unit or currency, "" if it has none."""
    return "" if form in ("", CLOCK, EITHER_DECIMAL) else _split(form)[1]


def _split(form: str) -> tuple[Signs, str]:
    """Return a format's signs and its unit."""
    name = max((n for n in FORMATS if form == n or form.startswith(n + " ")), key=len)
    return FORMATS[name], form[len(name) + 1 :]


def _pattern(signs: Signs, unit: str) -> str:
    decimal, group = re.escape(signs.decimal), re.escape(signs.thousands)
    # Indian numbers have groups of two, 12,34,567; an address such as 192.168.10.100 is none.
    middle = r"\d{2,3}" if signs.thousands == "," else r"\d{3}"
    grouped = (
        rf"[1-9]\d{{0,2}}(?:{group}{middle})*{group}\d{{3}}(?:{decimal}\d*)?|" if group else ""
    )
    number = rf"(?<number>{grouped}(?:\d+(?:{decimal}\d*)?|{decimal}\d+){_EXPONENT})"
    known = [m for m in sorted(_MULTIPLES, key=len, reverse=True) if unit != "B" or m != "B"]
    multiple = rf"(?<multiple>{'|'.join(known)})?"
    own = rf"(?:{re.escape(unit.removesuffix('s'))}s?)?" if unit else ""
    return (
        rf"^(?<open>\()?\s*(?<sign>[+-])?\s*{own}\s*(?<second>[+-])?\s*{number}\s*{multiple}\s*{own}\s*"
        r"(?<close>[)-])?$"
    )


def _seconds(text: pl.Series) -> pl.Series:
    """Return the seconds of times such as 13:05, 1:05 PM or 100:05:30.5; null where a text is none."""
    parts = text.str.extract_groups(_CLOCK).struct.unnest()
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
    tidy = sample.str.replace_all(_MINUS, "-")
    parts = tidy.str.extract_groups(_ANY_UNIT).struct.unnest()
    found = Counter(
        unit for part in ("before", "after") for unit in parts[part].drop_nulls().to_list()
    )
    bytes_ = any(f"{multiple}B" in found for multiple in _MULTIPLES)
    for multiple in _MULTIPLES:
        if not (bytes_ and multiple == "B"):
            found.pop(multiple, None)
    stems = Counter[str]()
    for unit, count in found.items():
        for multiple in sorted(_MULTIPLES, key=len, reverse=True):
            rest = unit.removeprefix(multiple).strip()
            if rest != unit and rest in found:
                unit = rest
                break
        stems[unit] += count
    return max(stems, key=lambda u: (stems[u], len(u))) if stems else ""
