"""`Dots` as a picture: values with their intervals below each other on one axis."""

from __future__ import annotations

import math
from typing import NamedTuple

from popnet.report.charts import axes
from popnet.report.charts.axes import Axis
from popnet.report.document import Dots, Tone
from popnet.report.format import is_number, number

QUARTILE_DISTANCES = 3.0
"""Beyond so many a value is not drawn in full, so that one great effect does not hide the rest."""
MIN_INTERVALS = 4
"""With so few values all are drawn in full: there is no telling which of them is far off."""


class Row(NamedTuple):
    """A row in per cent of the width.

    Attributes:
        label, text, tone: as in `Dot`.
        at: place of the dot; None if it has none.
        low, high: ends of the whisker, both or none; none also where all of it lies outside the picture.
        beyond: -1 or 1 where the value itself lies left or right of the picture.
        cut_low, cut_high: the whisker goes on to the left, to the right.
    """

    label: str
    text: str
    tone: Tone
    at: float | None
    low: float | None
    high: float | None
    beyond: int
    cut_low: bool
    cut_high: bool


class Forest(NamedTuple):
    """The whole picture; ``zero`` is the place of the line of reference, ``zero_text`` its value if no tick says it."""

    kind: str
    axis: Axis
    name: str
    zero: float | None
    zero_text: str
    rows: list[Row]
    cut: bool


def show(dots: Dots) -> Forest:
    """Return the picture: one axis for all dots, what is far off at its edge."""
    triples = [_numbers(d.value, d.low, d.high) for d in dots.dots]
    axis = _axis(triples, dots.zero)
    rows = [
        Row(d.label, d.text, d.tone, *_places(triple, axis))
        for d, triple in zip(dots.dots, triples, strict=True)
    ]
    zero = axis.at(dots.zero) if is_number(dots.zero) else None
    said = zero is None or any(abs(t.at - zero) < 0.05 for t in axis.ticks)
    return Forest(
        "forest",
        axis,
        dots.axis,
        zero,
        "" if said else number(dots.zero),
        rows,
        any(r.beyond or r.cut_low or r.cut_high for r in rows),
    )


def _numbers(value: float, low: float | None, high: float | None) -> tuple[float, float, float]:
    """Return a value and the ends of its interval in order, as floats; NaN for what is missing."""
    middle = float(value)
    ends = [math.nan if v is None else float(v) for v in (low, high)]
    if any(math.isnan(v) for v in ends):
        return middle, math.nan, math.nan
    return middle, min(ends), max(ends)


def _axis(triples: list[tuple[float, float, float]], zero: float | None) -> Axis:
    """Return the axis of all that is not far off; the line of reference is always on it."""
    known = [v for triple in triples for v in triple if is_number(v)]
    limits: tuple[float, ...] = ()
    if known:
        few = sum(is_number(t[0]) for t in triples) <= MIN_INTERVALS
        limits = (min(known), max(known)) if few else axes.robust_limits(known, QUARTILE_DISTANCES)
    return axes.axis([zero, *limits] if is_number(zero) else limits)


def _places(
    triple: tuple[float, float, float], axis: Axis
) -> tuple[float | None, float | None, float | None, int, bool, bool]:
    """Return what follows the tone in `Row`."""
    value, low, high = triple
    beyond = (value > axis.high) - (value < axis.low)
    at = None if math.isnan(value) else _clamped(value, axis)
    if not (low <= axis.high and high >= axis.low):
        return at, None, None, beyond, False, False
    return at, _clamped(low, axis), _clamped(high, axis), beyond, low < axis.low, high > axis.high


def _clamped(value: float, axis: Axis) -> float:
    """Return a place; that of a value outside the picture is its edge."""
    return axis.at(min(max(value, axis.low), axis.high))
