"""JSON that every reader takes: a number that is not finite becomes null. And nothing else is taken from others."""

from __future__ import annotations

import json
import math
import numbers
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

MAX_DEPTH = 32
"""Brackets within brackets of text that is read; a model's has 9."""


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


def loads(text: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Return what JSON in UTF-8 says.

    Args:
        text: at most a few hundred MB, all of which is parsed.
        max_depth: brackets within brackets.

    Raises:
        ValueError: it is no JSON, is nested more deeply, has a key twice in an object, or a number that no float64
            holds, NaN and Infinity included.
    """
    if depth(text) > max_depth:
        raise ValueError(f"it is nested more than {max_depth} levels deep")
    return json.loads(
        text.decode("utf-8"),
        object_pairs_hook=unique,
        parse_constant=no_constant,
        parse_float=_finite_float,
        parse_int=_bounded_int,
    )


def depth(text: bytes) -> int:
    """Return how deep the brackets of JSON are nested, those in strings left out."""
    import numpy as np  # the command line starts without it

    # Possessive: else each sign of a string is a place to go back to, which takes 100 bytes.
    bare = re.sub(rb'"(?:[^"\\]++|\\.)*+"?', b"", text, flags=re.DOTALL)
    signs = np.frombuffer(bare, np.uint8)
    opens = ((signs == ord("[")) | (signs == ord("{"))).view(np.int8)
    closes = ((signs == ord("]")) | (signs == ord("}"))).view(np.int8)
    return int(np.cumsum(opens - closes, dtype=np.int32).max(initial=0))


class RefusedJsonError(ValueError):
    """What Python's reader takes, and JSON either does not have or leaves open; the text says what."""


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of its keys and values; raise `RefusedJsonError` for a key that is there twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        shown = twice[:80].encode("utf-8", "replace").decode()
        raise RefusedJsonError(f"the key '{shown}' stands twice in an object")
    return found


def no_constant(word: str) -> Any:
    """Raise `RefusedJsonError` for NaN and Infinity."""
    raise RefusedJsonError(f"{word} is no number of JSON; write null for a missing value")


def _finite_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise RefusedJsonError(f"the number {text[:40]} is too large")
    return value


def _bounded_int(text: str) -> int:
    if len(text) > 300:
        raise RefusedJsonError("a whole number has more than 300 digits")
    return int(text)
