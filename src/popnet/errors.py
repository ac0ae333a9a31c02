"""What popnet raises.

    PopnetError                       everything below
    ├── ForkError (RuntimeError)      the process was forked when threads ran that it would need
    └── InputError (ValueError)       the user's data or options; one sentence that says what, where, what to do
        ├── RecipeError               a recipe's field: unknown, or an impossible value
        └── ModelError                a model folder that is missing, altered or cut short

The command line prints the sentence and ends with exit status 2 for every ``InputError``.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable
from typing import Any


class PopnetError(Exception):
    """Base of all errors that popnet raises on purpose."""


class ForkError(PopnetError, RuntimeError):
    """The process was forked from one in which JAX or polars had run; see `popnet.runtime.fork`."""


class InputError(PopnetError, ValueError):
    """The user's data, options or files cannot be used as they are."""


class RecipeError(InputError):
    """A recipe has an unknown field or an impossible value."""


class ModelError(InputError):
    """A model folder is missing, was altered, or was cut short."""


def closest(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the known name nearest to ``name``, or ``""``."""
    known = list(known)
    by_lower = {k.lower(): k for k in known}
    match = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f" Did you mean '{by_lower[match[0]]}'?" if match else ""


def check_whole(name: str, value: Any, least: int | None = None) -> None:
    """Raise `InputError` if a value is not a whole number (of Python or NumPy), or below the least that it may be."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise InputError(f"{name} must be a whole number; got {value!r}.")
    if least is not None and number < least:
        raise InputError(f"{name} must be at least {least}; got {value}.")


def check_number(name: str, value: Any) -> None:
    """Raise `InputError` if a value is not a number; NaN is one."""
    try:
        number = None if isinstance(value, str | bytes | bool) else float(value)
    except (TypeError, ValueError):
        number = None
    if number is None:
        raise InputError(f"{name} must be a number; got {value!r}.")
