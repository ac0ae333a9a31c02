"""What is said of values that are unlike those of the training rows; nothing here knows data frames."""

from __future__ import annotations

from popnet.data.tables.scale import LIMIT


def show(value: object) -> str:
    """Write a value for a message: text in quotes, cut after 40 characters."""
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:39] + "…")
    return str(value)


def neither(name: str, n: int, pair: tuple[float, float], example: object, taken: str) -> str:
    """Say that n values of a column are none of its two."""
    return f"column '{name}': {_values(n)} neither {pair[0]:g} nor {pair[1]:g}, e.g. {show(example)}; taken as {taken}"


def not_as_trained(name: str, n: int, wanted: str, example: object) -> str:
    """Say that n texts of a column are not in the format that training had."""
    return f"column '{name}': {_values(n)} not {wanted} as training had them, e.g. {show(example)}; taken as missing"


def missing(name: str, n: int, then: str = "") -> str:
    """Say that n values are missing in a column where training had all, and what is done then."""
    line = f"column '{name}': {n} missing value{'s' if n > 1 else ''}, training had none"
    return f"{line}; {then}" if then else line


def without_unit(name: str, unit: str) -> str:
    """Say that a column comes as numbers where training had text with a unit: 0.14 may be meant for 14 %."""
    return (
        f"column '{name}': numbers without the unit {unit!r} that training had; taken as they are"
    )


def infinite(name: str, n: int) -> str:
    """Say that n numbers are infinite."""
    what = "1 infinite value" if n == 1 else f"{n} infinite values"
    return f"column '{name}': {what}, taken as ±{LIMIT:g} after scaling"


def far(name: str, n: int, example: float) -> str:
    """Say that n numbers are far from those of training."""
    return f"column '{name}': {_values(n)} far outside the training's usual range, e.g. {example:g}; taken as the bound"


def unseen(name: str, n: int, example: object) -> str:
    """Say that n values are levels that have no code."""
    which = "a level" if n == 1 else "levels"
    return (
        f"column '{name}': {_values(n)} {which} that training did not have or had rarely, e.g. "
        f"{show(example)}; taken as 'other'"
    )


def _values(n: int) -> str:
    return "1 value is" if n == 1 else f"{n} values are"
