"""Durations as people write them."""

from __future__ import annotations

import re

from popnet.errors import InputError

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    """Return the seconds of ``90``, ``90s``, ``5m``, ``1.5h`` or ``1h30m``.

    Raises:
        InputError: it is no duration.
    """
    compact = re.sub(r"\s", "", text.lower())
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh]?)", compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise InputError(f"'{text}' is no time limit; write for example 90s, 5m or 1h30m.")
    return sum(float(number) * UNITS[unit] for number, unit in parts)
