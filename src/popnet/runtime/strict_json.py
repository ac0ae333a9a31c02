"""JSON that every reader takes: a number that is not finite becomes null."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any, cast


def finite(value: Any) -> Any:
    """Return a tree of mappings, sequences and plain values with None for each number that is not finite.

    NumPy's whole numbers become Python's.
    """
    if isinstance(value, dict):
        return {k: finite(v) for k, v in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in cast("Sequence[Any]", value)]
    if isinstance(value, numbers.Integral) and not isinstance(value, int):
        return int(value)  # NumPy's
    return None if isinstance(value, float) and not math.isfinite(value) else value


def dumps(value: Any, indent: int | None = None) -> str:
    """Return strict JSON."""
    return json.dumps(finite(value), allow_nan=False, indent=indent)
