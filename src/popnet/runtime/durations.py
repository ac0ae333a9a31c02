"""Durations as people write them."""

from __future__ import annotations

import re

from popnet.errors import InputError

UNITS = {"": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str, what: str = "time limit", example: str = "90s, 5m or 1h30m") -> float:
    """Return the seconds of ``90``, ``90s``, ``5m``, ``1.5h``, ``1h30m`` or ``0.2ms``.

    Args:
        text: as people write it.
        what: it is, for the message.
        example: of it.

    Raises:
        InputError: it is no duration.
    """
    compact = re.sub(r"\s", "", text.lower())
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smh]?)", compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise InputError(f"'{text}' is no {what}; write for example {example}.")
    return sum(float(number) * UNITS[unit] for number, unit in parts)
