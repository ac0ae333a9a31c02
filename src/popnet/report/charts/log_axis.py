"""Logarithmic axes: the same share of width for every factor; ticks at powers of ten, or at 1, 2 and 5 of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from popnet.report.charts.axes import PADDING, Tick, round_values, tick_texts
from popnet.report.format import is_number, number

MIN_TICKS = 3
"""An axis with fewer powers of ten has finer ticks."""
PLAIN = (1e-4, 1e6)
"""An axis with a tick outside writes all of them as powers of ten."""
SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


class LogAxis(NamedTuple):
    """A logarithmic axis from ``low`` (0 %) to ``high`` (100 %), both positive; turned round if ``upward``."""

    low: float
    high: float
    ticks: tuple[Tick, ...] = ()
    upward: bool = False

    def at(self, value: float) -> float:
        """Return the place of a positive value in per cent, two decimals."""
        start = math.log(self.low)
        share = (math.log(value) - start) / (math.log(self.high) - start)
        return round(100 * (1 - share if self.upward else share), 2)


def log_axis(
    values: Iterable[float | None],
    *,
    most: int = 7,
    padding: float = PADDING,
    upward: bool = False,
) -> LogAxis:
    """Return an axis over all values that are finite and positive, with some room on both sides.

    Args:
        values: what has to have a place; what has none is left out.
        most: so many powers of ten at most have a tick.
        padding: free share of the width on either side.
        upward: large values are at the top.
    """
    known = [v for v in values if is_number(v) and v > 0] or [1.0, 10.0]
    low, high = math.log10(min(known)), math.log10(max(known))
    if high - low <= 1e-9:
        # A factor of two to either side: room for at least one of 1, 2 and 5.
        low, high = low - math.log10(2), high + math.log10(2)
    room = padding * (high - low)
    # Numbers end near 1e-308 and 1e308.
    ends = 10.0 ** max(low - room, -307.0), 10.0 ** min(high + room, 308.0)
    bare = LogAxis(min(ends[0], *known), max(ends[1], *known), (), upward)
    marks = log_values(bare.low, bare.high, most)
    ticks = tuple(Tick(bare.at(v), t) for v, t in zip(marks, log_texts(marks), strict=True))
    return bare._replace(ticks=ticks)


def log_values(low: float, high: float, most: int = 7) -> list[float]:
    """Return the values of ticks from ``low`` to ``high``, both positive.

    They are powers of ten, every second or third of them where there are too many; with too few of them 1, 2 and 5
    times each; and round numbers where even these are too few, as on an axis from 0.91 to 0.97.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    powers = [e for e in range(first, last + 1) if _within(10.0**e, low, high)]
    if len(powers) >= MIN_TICKS:
        stride = math.ceil(len(powers) / most)
        # Multiples of the stride, so that 1 is among them if it is on the axis.
        return [10.0**e for e in powers if e % stride == 0]
    fine = [
        v
        for e in range(first, last + 1)
        for v in (float(f"{m}e{e}") for m in (1, 2, 5))
        if _within(v, low, high)
    ]
    if len(fine) >= MIN_TICKS:
        return fine
    even = [v for v in round_values(low, high, 4) if _within(v, low, high)]
    return even if len(even) > len(fine) else fine


def log_texts(values: Sequence[float]) -> list[str]:
    """Return texts of ticks: ``0.01``, ``1,000``, or all as ``10⁻⁶``, ``2·10⁻⁶`` where one is very small or large."""
    exponents = [math.floor(math.log10(v) + 1e-9) for v in values]
    mantissas = [v / 10.0**e for v, e in zip(values, exponents, strict=True)]
    if all(PLAIN[0] * 0.99 <= v <= PLAIN[1] * 1.01 for v in values):
        simple = all(abs(m - round(m)) < 1e-6 for m in mantissas)
        return [number(float(v)) for v in values] if simple else tick_texts(values)
    powers = [f"10{str(e).translate(SUPERSCRIPTS)}" for e in exponents]
    return [
        p if abs(m - 1) < 1e-6 else f"{number(float(m))}·{p}"
        for m, p in zip(mantissas, powers, strict=True)
    ]


def _within(value: float, low: float, high: float) -> bool:
    """Say whether a tick is on the axis; a rounding error beyond its end is no matter."""
    return low * (1 - 1e-9) <= value <= high * (1 + 1e-9)
