"""One text at a time as a number or a point in time, by Python alone; `number_format` and `date_format` read columns.

A server of exported models reads rows by this, so that it needs no data frames.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import cache

from popnet.data.tables.formats import (
    APOSTROPHES,
    BLANKS,
    CLOCK,
    CLOCK_PATTERN,
    EITHER_DECIMAL,
    FIRST_YEAR,
    ISO_FORMATS,
    LAST_YEAR,
    MINUS,
    MULTIPLES,
    pattern,
    split,
)
from popnet.data.tables.markers import MARKERS

_PLAIN = re.compile(
    r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf|infinity|nan)", re.IGNORECASE | re.ASCII
)
_EITHER = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?", re.ASCII)

_MONTHS = "january february march april may june july august september october november december"
_DAYS = "monday tuesday wednesday thursday friday saturday sunday"
_EPOCH = dt.datetime(1970, 1, 1)


def is_marker(text: str, nulls: tuple[str, ...]) -> bool:
    """Return whether a text means "missing" among numbers and dates."""
    return text.strip().lower() in MARKERS or text in nulls


def number(text: str, form: str) -> float | None:
    """Return the number that a text without blanks at both ends holds; None if it is none.

    Args:
        text: the text.
        form: a number format, see `popnet.data.tables.formats`.
    """
    if form in ("", EITHER_DECIMAL):
        if form and _EITHER.fullmatch(text):
            text = text.replace(",", ".")
        return float(text) if _PLAIN.fullmatch(text) else None
    tidy = re.sub(MINUS, "-", re.sub(BLANKS, " ", text)).strip()
    if "'" in form:
        tidy = re.sub(APOSTROPHES, "'", tidy)
    if form == CLOCK:
        return _seconds(tidy)
    signs, unit = split(form)
    found = _compiled(pattern(signs, unit)).match(tidy)
    if found is None or (found["open"] is None) != (found["close"] != ")"):
        return None
    digits = found["number"]
    if signs.thousands:
        digits = digits.replace(signs.thousands, "")
    if not _PLAIN.fullmatch(digits := digits.replace(signs.decimal, ".", 1)):
        return None
    value = float(digits) * MULTIPLES.get(found["multiple"] or "", 1.0)
    negative = found["open"] or "-" in (found["sign"], found["second"], found["close"])
    return -value if negative else value


@cache
def _compiled(regex: str) -> re.Pattern[str]:
    return re.compile(regex.removesuffix("$") + r"\Z")


def _seconds(text: str) -> float | None:
    """Return the seconds of a time such as 13:05 or 1:05 PM."""
    found = _compiled(CLOCK_PATTERN).match(text)
    if found is None:
        return None
    sign, hours, minutes, seconds, half = found.groups()
    whole = float(hours)
    if half:
        if whole > 12:
            return None
        whole = whole % 12 + 12 * (half[0].lower() == "p")
    total = 3600 * whole + 60 * float(minutes) + float(seconds or 0)
    return -total if sign == "-" else total


def time(text: str, form: str) -> int | None:
    """Return the microseconds since 1970-01-01 of the point in time that a text holds, in UTC; None if it is none.

    Args:
        text: without blanks at both ends.
        form: strptime formats, joined by ``|``, after which ISO 8601 is tried; "" for that alone.
    """
    for one in (*form.split("|"), *ISO_FORMATS) if form else ISO_FORMATS:
        found = _time(text, one)
        if found is not None:
            return (found - _EPOCH) // dt.timedelta(microseconds=1)
    return None


def _time(text: str, form: str) -> dt.datetime | None:
    months = "%d" not in form
    if "%y" in form and not re.search(r"[-/. ]\d\d( |$)", text):
        return None
    found = _strptime(form).fullmatch(text)
    if found is None:
        return None
    parts = found.groupdict()
    year = int(parts.get("Y") or 0)
    if "y" in parts:
        year = int(parts["y"])
        year += 2000 if year < 70 else 1900
    if not (FIRST_YEAR if months else 1000) <= year <= (LAST_YEAR if months else 9999):
        return None
    month = int(parts["m"]) if "m" in parts else _place(_MONTHS, parts["b"])
    hour = int(parts.get("H") or 0)
    if "p" in parts:
        hour = int(parts["I"]) % 12 + 12 * (parts["p"].lower() == "pm")
        if not 1 <= int(parts["I"]) <= 12:
            return None
    fraction = (parts.get("f") or "")[1:7].ljust(6, "0")
    seconds = int(parts.get("S") or 0)
    if seconds > 60:  # 60 is a leap second
        return None
    try:
        moment = dt.datetime(year, month, int(parts.get("d") or 1), hour, int(parts.get("M") or 0))
        moment += dt.timedelta(seconds=seconds, microseconds=int(fraction))
        if "a" in parts and moment.weekday() != _place(_DAYS, parts["a"]) - 1:
            return None
        return moment - _offset(parts.get("z"))
    except (ValueError, OverflowError):  # there is no such day
        return None


def _place(words: str, start: str) -> int:
    return next(i for i, w in enumerate(words.split(), 1) if w.startswith(start.lower()[:3]))


def _offset(text: str | None) -> dt.timedelta:
    """Return how far a zone such as +01:30 is from UTC."""
    if text is None or text in "Zz":
        return dt.timedelta()
    digits = text[1:].replace(":", "").strip()
    minutes = 60 * int(digits[:2]) + int(digits[2:] or 0)
    return dt.timedelta(minutes=-minutes if text[0] in "-−" else minutes)


@cache
def _strptime(form: str) -> re.Pattern[str]:
    """Return a regular expression for a format, as strptime of polars reads it."""
    months, days = (
        "|".join(w[:3] + (f"(?:{w[3:]})?" if full else "") for w in words.split())
        for words, full in ((_MONTHS, "%B" in form), (_DAYS, False))
    )
    two = r"\s*(?P<{}>\d{{1,2}})"
    parts = {
        "%Y": r"\s*(?P<Y>\d{4})", "%.f": r"(?P<f>\.\d+)?", "%b": f"(?P<b>{months})", "%B": f"(?P<b>{months})",
        "%a": f"(?P<a>{days})", "%p": "(?P<p>am|pm)", "%z": r"\s*(?P<z>[+-]\d\d:?\d\d)",
        "%#z": r"\s*(?P<z>[+-]\d\d:?(?:\d\d)?|Z)", **{f"%{c}": two.format(c) for c in "mdHMSIy"},
    }  # fmt: skip
    tokens = re.findall(r"%\.f|%#z|%[A-Za-z]|\s+|[^%\s]+", form)
    made = [parts.get(t) or (r"\s*" if t.isspace() else re.escape(t)) for t in tokens]
    return re.compile("".join(made), re.IGNORECASE | re.ASCII)
