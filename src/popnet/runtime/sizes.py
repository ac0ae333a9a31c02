"""Amounts of memory as people write and read them."""

from __future__ import annotations

import re

from popnet.errors import InputError

UNITS = {
    "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip


def bytes_of(text: str, what: str = "amount of memory", example: str = "500MB or 4GB") -> float:
    """Return the bytes of ``500MB``, ``4GB``, ``1.5 GiB`` or ``8g``.

    Args:
        text: as people write it.
        what: it is, for the message.
        example: of it.

    Raises:
        InputError: it is no size, or has no unit.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?b?)\s*", text.lower())
    if found is None or found[2] not in UNITS:
        raise InputError(f"'{text}' is no {what}; write for example {example}.")
    return float(found[1]) * UNITS[found[2]]


def words(count: float) -> str:
    """Return bytes for people: ``640 MB``, ``1.5 GB``."""
    if count < 1e9:
        return f"{count / 1e6:.0f} MB"
    return f"{count / 1e9:.3g} GB"
