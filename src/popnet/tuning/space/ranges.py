"""Ranges of hyper-parameters: what values one may have, and how a number from 0 to 1 picks one.

Every range maps the unit interval to values, so that random numbers, quasi-random sequences and evenly spaced points
search it alike. Written as text, as in ``--set learning_rate=log:1e-4:1e-1``::

    0.1:0.5          linear
    log:1e-4:1e-1    logarithmic: each decade alike
    int:1:4          whole numbers, both ends included
    logint:16:512    whole numbers, logarithmic
    relu,elu,maxout  a choice
    0|log:1e-3:0.1   off (0) in half of the draws, else the range; 0 70%|... in 70 % of them
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from popnet.errors import InputError
from popnet.spec.recipe import FieldValue

FORMS = "low:high, log:low:high, int:low:high, logint:low:high, a choice a,b,c, or 0|range"


@dataclass(frozen=True)
class Linear:
    """Numbers from ``low`` to ``high``, all alike."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _ordered(self.low, self.high)

    def at(self, unit: float) -> float:
        """Return the value at a place from 0 to 1."""
        return float(self.low + unit * (self.high - self.low))

    def points(self, count: int) -> list[FieldValue]:
        """Return evenly spaced values, the ends among them."""
        return _unique(self.at(u) for u in _evenly(count))

    def __str__(self) -> str:
        return f"{self.low:g}:{self.high:g}"


@dataclass(frozen=True)
class Log(Linear):
    """Numbers from ``low`` to ``high``, whose logarithms are all alike (Bergstra and Bengio 2012)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(self.low)

    def at(self, unit: float) -> float:
        """Return the value at a place from 0 to 1."""
        value = math.exp(math.log(self.low) + unit * (math.log(self.high) - math.log(self.low)))
        return min(max(value, self.low), self.high)

    def __str__(self) -> str:
        return f"log:{self.low:g}:{self.high:g}"


@dataclass(frozen=True)
class Integer:
    """Whole numbers from ``low`` to ``high``, both included; with ``log``, doublings are all alike."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _ordered(self.low, self.high)
        if self.log:
            _positive(self.low)

    def at(self, unit: float) -> int:
        """Return the value at a place from 0 to 1."""
        # Each whole number owns the interval of half a unit to either side.
        low, high = self.low - 0.5, self.high + 0.5
        value = Log(low, high).at(unit) if self.log else low + unit * (high - low)
        return int(min(max(round(value), self.low), self.high))

    def points(self, count: int) -> list[FieldValue]:
        """Return evenly spaced values, the ends among them; all if there are no more than ``count``."""
        if self.high - self.low < count:
            return list(range(self.low, self.high + 1))
        inner = Log(self.low, self.high) if self.log else Linear(self.low, self.high)
        return _unique(round(inner.at(u)) for u in _evenly(count))

    def __str__(self) -> str:
        return f"{'logint' if self.log else 'int'}:{self.low}:{self.high}"


@dataclass(frozen=True)
class Choice:
    """One of some values; one that is named twice is drawn twice as often."""

    values: tuple[FieldValue, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise InputError("a range must have at least one value; got none.")

    def at(self, unit: float) -> FieldValue:
        """Return the value at a place from 0 to 1."""
        return self.values[min(int(unit * len(self.values)), len(self.values) - 1)]

    def points(self, count: int) -> list[FieldValue]:
        """Return all values, each once, however many."""
        return _unique(self.values)

    def __str__(self) -> str:
        return ",".join(_text(v) for v in self.values)


@dataclass(frozen=True)
class OrZero:
    """0 (off) with some probability, else a value of another range."""

    inside: Linear | Log
    zero: float = 0.5

    def at(self, unit: float) -> float:
        """Return the value at a place from 0 to 1."""
        if unit < self.zero:
            return 0.0
        return self.inside.at((unit - self.zero) / (1 - self.zero))

    def points(self, count: int) -> list[FieldValue]:
        """Return 0 and evenly spaced values."""
        return _unique([0.0, *self.inside.points(max(count - 1, 1))])

    def __str__(self) -> str:
        share = "" if self.zero == 0.5 else f" {100 * self.zero:g}%"
        return f"0{share}|{self.inside}"


Range = Linear | Integer | Choice | OrZero


def parse(text: str) -> Range:
    """Return the range that a text names; see the module for the forms.

    Raises:
        InputError: it is none, empty, reversed, or logarithmic from 0 on.
    """
    text = text.strip()
    if off := re.fullmatch(r"0(?:\s+([\d.]+)%)?\|(.*)", text):
        share, rest = off.groups()
        inside, zero = parse(rest), float(share or 50) / 100
        if not isinstance(inside, Linear) or not 0 < zero < 1:
            raise InputError(
                f"off or a range is 0|low:high, 0|log:low:high, or with a share 0 70%|low:high; got {text!r}."
            )
        return OrZero(inside, zero)
    kind, _, rest = text.partition(":")
    if not rest:
        values = tuple(value(part) for part in text.split(",") if part.strip())
        return Choice(values)
    if kind not in ("log", "int", "logint"):
        kind, rest = "linear", text
    ends = rest.split(":")
    whole = kind in ("int", "logint")
    try:
        low, high = ((int if whole else float)(end) for end in ends)
    except ValueError:
        raise InputError(f"a range is {FORMS}; got {text!r}.") from None
    if kind == "linear":
        return Linear(low, high)
    return Log(low, high) if kind == "log" else Integer(int(low), int(high), kind == "logint")


def to_json(range_: Range) -> dict[str, Any]:
    """Return a range as plain JSON, its numbers in full; see `from_json`."""
    kind = type(range_).__name__
    if isinstance(range_, OrZero):
        return {"kind": kind, "inside": to_json(range_.inside), "zero": range_.zero}
    return {"kind": kind, **dataclasses.asdict(range_)}


def from_json(content: Mapping[str, Any]) -> Range:
    """Return the range that `to_json` wrote."""
    fields = {name: value for name, value in content.items() if name != "kind"}
    if content["kind"] == "OrZero":
        inside = from_json(fields["inside"])
        assert isinstance(inside, Linear)
        return OrZero(inside, fields["zero"])
    if content["kind"] == "Choice":
        return Choice(tuple(fields["values"]))
    return {"Linear": Linear, "Log": Log, "Integer": Integer}[content["kind"]](**fields)


def value(text: str) -> FieldValue:
    """Return a text as a boolean or a number where it is one."""
    text = text.strip()
    if text in ("true", "false"):
        return text == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _text(value: FieldValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _ordered(low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(f"a range must have finite ends; got {low:g} and {high:g}.")
    if low == high:
        raise InputError(f"a range from {low:g} to {high:g} is empty; fix the value instead.")
    if low > high:
        raise InputError(
            f"a range goes from its lower to its upper end; got {low:g} to {high:g}, which is reversed."
        )


def _positive(low: float) -> None:
    if low <= 0:
        raise InputError(f"a logarithmic range must begin above 0; got {low:g}.")


def _evenly(count: int) -> Sequence[float]:
    return [0.5] if count == 1 else [i / (count - 1) for i in range(count)]


def _unique(values: Iterable[FieldValue]) -> list[FieldValue]:
    return list(dict.fromkeys(values))
