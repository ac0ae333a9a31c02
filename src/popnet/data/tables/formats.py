"""How numbers and dates are written, as formats that a schema keeps; nothing here knows data frames.

A number format is a short text: how 1234.5 is written, and the unit if there is one, as in ``"1.234,5 EUR"``; ``""`` is
a plain number, and `CLOCK` a time of day or a duration, read as seconds. A date format is strptime's.
"""

from __future__ import annotations

import re
from typing import NamedTuple

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

CURRENCIES = r"US\$|R\$|A\$|C\$|[$€£¥₩₹₽₺₴₫฿₪₦]|USD|EUR|GBP|CHF|JPY|CNY|KRW|INR|Rs\.?|CAD|AUD|SEK|NOK|DKK|PLN|kr\.?|zł"
UNIT = r"[^\d\s.,;:()+'_\-][^\d()+'_;:]{0,14}?"
MULTIPLES = {"K": 1e3, "k": 1e3, "M": 1e6, "B": 1e9, "bn": 1e9, "Mio": 1e6, "Mrd": 1e9}
EXPONENT = r"(?:[eE][+-]?\d+)?"
BLANKS = "[\u00a0\u2007\u2009\u202f]"
APOSTROPHES = "[\u2019\u02bc]"
MINUS = "[\u2212\u2013\u2012\ufe63\uff0d]"
CLOCK_PATTERN = r"^([+-]?)(\d{1,4}):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?\s*([AaPp]\.?[Mm]\.?)?$"
ANY_UNIT = (
    rf"^[(+-]*\s*(?P<before>{CURRENCIES})?\s*[+-]?[\d.,' _\u00a0\u2007\u2009\u202f]*\d"
    rf"[.,]?{EXPONENT}\s*(?P<after>{UNIT})?\s*[)-]?$"
)

CLEAR = {
    sign: rf"^\D*(?:0[{sign}]\d+|\d+[{sign}](?:\d{{1,2}}|\d{{4,}})|\d{{1,3}}(?:[{other}' ]\d{{3}})+[{sign}]\d+)\D*$"
    for sign, other in ((",", "."), (".", ","))
}
"""Numbers in which a sign cannot stand between thousands."""

ISO_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
)
FIRST_YEAR, LAST_YEAR = 1600, 2200
"""Years of dates that name a month only."""


def signs(form: str) -> Signs:
    """Return a format's signs, those of plain numbers for "" and `CLOCK`."""
    return Signs(".", "") if form in ("", CLOCK) else split(form)[0]


def is_known(form: str) -> bool:
    """Whether a format is one of these, with any unit."""
    plain = ("", CLOCK, EITHER_DECIMAL)
    return form in plain or any(form == n or form.startswith(n + " ") for n in FORMATS)


def unit_of(form: str) -> str:
    """Return a format's unit or currency, "" if it has none."""
    return "" if form in ("", CLOCK, EITHER_DECIMAL) else split(form)[1]


def split(form: str) -> tuple[Signs, str]:
    """Return a format's signs and its unit."""
    name = max((n for n in FORMATS if form == n or form.startswith(n + " ")), key=len)
    return FORMATS[name], form[len(name) + 1 :]


def pattern(signs: Signs, unit: str) -> str:
    """Return a regular expression, of Python and of Rust, of numbers with these signs and this unit."""
    decimal, group = re.escape(signs.decimal), re.escape(signs.thousands)
    # Indian numbers have groups of two, 12,34,567; an address such as 192.168.10.100 is none.
    middle = r"\d{2,3}" if signs.thousands == "," else r"\d{3}"
    grouped = (
        rf"[1-9]\d{{0,2}}(?:{group}{middle})*{group}\d{{3}}(?:{decimal}\d*)?|" if group else ""
    )
    number = rf"(?P<number>{grouped}(?:\d+(?:{decimal}\d*)?|{decimal}\d+){EXPONENT})"
    known = [m for m in sorted(MULTIPLES, key=len, reverse=True) if unit != "B" or m != "B"]
    multiple = rf"(?P<multiple>{'|'.join(known)})?"
    own = rf"(?:{re.escape(unit.removesuffix('s'))}s?)?" if unit else ""
    return (
        rf"^(?P<open>\()?\s*(?P<sign>[+-])?\s*{own}\s*(?P<second>[+-])?\s*{number}\s*{multiple}\s*{own}\s*"
        r"(?P<close>[)-])?$"
    )
