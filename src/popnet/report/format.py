"""Numbers as people read them, and the words for metrics, statuses and splits."""

from __future__ import annotations

import math
import re
from pathlib import PurePath
from typing import TypeGuard

MISSING = "–"
MINUS = "\N{MINUS SIGN}"
NARROW = "\N{NARROW NO-BREAK SPACE}"
SIGNIFICANT = 4
"""Digits of a number that stands alone."""
MAX_NINES = 6
"""Decimals at most of a score that is nearly 1: below them it is cut, not rounded."""
PLAIN_LOW, PLAIN_HIGH = 1e-5, 1e9
"""Numbers outside are written with an exponent."""


def is_number(value: object) -> TypeGuard[float]:
    """Say whether this is a finite number (truth values are none)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def fixed(value: object, decimals: int) -> str:
    """Return a number with so many decimals, thousands separated: ``16,281.50``; a dash for none."""
    if not is_number(value):
        return MISSING
    text = f"{abs(value):,.{decimals}f}"
    return MINUS + text if value < 0 and text.strip("0.,") else text


def number(value: object, digits: int = SIGNIFICANT) -> str:
    """Return a number with so many significant digits; whole numbers in full, a dash for none."""
    if not is_number(value):
        return MISSING
    if isinstance(value, int):
        return fixed(value, 0) if abs(value) < 1e15 else number(float(value), digits)
    if value == 0.0:
        return "0"
    if not PLAIN_LOW <= abs(value) < PLAIN_HIGH:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        return f"{mantissa}e{int(exponent)}".replace("-", MINUS)
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = fixed(value, decimals)
    return text.rstrip("0").rstrip(".") if "." in text else text


def score(value: object, decimals: int) -> str:
    """Return a score with so many decimals; more where it would be rounded up to a perfect 1 or down to nothing."""
    if not is_number(value):
        return MISSING
    if abs(value) >= PLAIN_HIGH or 0 < abs(value) < 10.0**-decimals / 2:
        return number(float(value))
    if decimals > 0 and abs(value) < 1:
        most = max(decimals, MAX_NINES)
        while decimals < most and abs(round(value, decimals)) >= 1:
            decimals += 1
        if abs(round(value, decimals)) >= 1:
            value = math.copysign(1 - 10.0**-decimals, value)
    return fixed(value, decimals)


def signed(value: object, decimals: int) -> str:
    """Return a difference with its sign."""
    text = fixed(value, decimals)
    return f"+{text}" if is_number(value) and value > 0 and text.strip("0.,") else text


def decimals(value: object, half_width: object = None) -> int:
    """Return how many decimals a score needs: as its interval's half width tells, at least 3 digits."""
    if not is_number(value) or value == 0:
        return 3
    needed = 2 - math.floor(math.log10(abs(value)))
    if abs(value) <= 1:
        needed = 3 if abs(value) >= 0.01 else needed
    if is_number(half_width) and half_width > 0:
        needed = max(needed, -math.floor(math.log10(half_width)))
    return min(max(needed, 0), 8)


def percent(share: object) -> str:
    """Return a share as per cent: ``87 %``, below 10 % with one decimal."""
    if not is_number(share):
        return MISSING
    value = 100 * share
    if 0 < abs(value) < 0.1:
        return f"<{NARROW}0.1{NARROW}%"
    if 99.5 <= value < 100 or (value != round(value) and abs(value) < 10):
        return f"{fixed(value, 1)}{NARROW}%"
    return f"{fixed(value, 0)}{NARROW}%"


def duration(seconds: object) -> str:
    """Return a time in its natural units: ``0.42 s``, ``12.3 s``, ``3 min 4 s``, ``1 h 2 min``."""
    if not is_number(seconds):
        return MISSING
    if seconds < 60:
        return f"{number(float(seconds), 3 if seconds >= 0.1 else 1)}{NARROW}s"
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    if hours:
        return f"{hours:,}{NARROW}h {minutes}{NARROW}min"
    return f"{minutes}{NARROW}min {rest}{NARROW}s" if rest else f"{minutes}{NARROW}min"


def count(n: int, singular: str, plural: str | None = None) -> str:
    """Return ``1 row``, ``16,281 rows``."""
    return f"{fixed(n, 0)} {singular if n == 1 else plural or singular + 's'}"


def value(x: object) -> str:
    """Return a recipe's value as a person writes it."""
    if isinstance(x, bool):
        return "yes" if x else "no"
    if x is None:
        return MISSING
    return number(x, 3) if isinstance(x, (int, float)) else str(x)


def short(text: object, most: int = 60) -> str:
    """Return a text of at most so many letters, its middle left out."""
    text = str(text)
    if len(text) <= most:
        return text
    tail = (most - 1) // 3
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"


def name_of(source: object) -> str:
    """Return what data is called on a page: the last two parts of its path, or "data" if it came in memory."""
    if not isinstance(source, str | PurePath):
        return "data"
    return "/".join(PurePath(source).parts[-2:])


def capital(text: str) -> str:
    """Return a text with its first letter large and the others as they are."""
    return text[:1].upper() + text[1:]


def enumeration(parts: list[str]) -> str:
    """Return ``a, b and c``."""
    return (
        parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
    )


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """Replace what an HTML file cannot hold: control characters and halves of surrogate pairs."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
