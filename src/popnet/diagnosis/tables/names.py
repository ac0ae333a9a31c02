"""How findings write columns' names."""

from __future__ import annotations

from collections.abc import Sequence


def quoted(names: Sequence[str], most: int = 8) -> str:
    """Return names as ``'a', 'b' and 3 more``."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(f"'{n}'" for n in names[:most]) + more


def where(names: Sequence[str]) -> str:
    """Return the place of a finding about columns, as ``columns 'a', 'b'``."""
    return f"{'columns' if len(names) > 1 else 'column'} {quoted(names)}"
