"""Geometry of the report's pictures: pure functions from numbers to places; templates draw.

Places are per cent of a picture's width or height, so that a picture fills any screen while its letters and
lines keep their size. Down is positive, as on a screen.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from popnet.report.format import fixed, is_number, number

PADDING = 0.06
"""Free share of an axis on either side of the data."""
CURVE_POINTS = 120
"""A curve is drawn with at most so many points."""


class Tick(NamedTuple):
    """A mark on an axis: its place in per cent and its text."""

    at: float
    text: str


class Axis(NamedTuple):
    """A linear axis from ``low`` (0 %) to ``high`` (100 %), or the other way round if ``upward``."""

    low: float
    high: float
    ticks: tuple[Tick, ...] = ()
    upward: bool = False

    def at(self, value: float) -> float:
        """Return the place of a value in per cent, two decimals."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * (1 - share if self.upward else share), 2)


def quantile(values: Iterable[float], q: float) -> float:
    """Return the linearly interpolated quantile; ``q`` in [0, 1], at least one value."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def robust_limits(
    values: Iterable[float | None], quartile_distances: float = 3.0
) -> tuple[float, float]:
    """Return the smallest and largest value within so many quartile distances of the quartiles.

    With no spread between the quartiles, all values are within.
    """
    finite = [v for v in values if is_number(v)]
    q1, q3 = quantile(finite, 0.25), quantile(finite, 0.75)
    if q1 == q3:
        return min(finite), max(finite)
    room = quartile_distances * (q3 - q1)
    inside = [v for v in finite if q1 - room <= v <= q3 + room]
    return min(inside), max(inside)


def step_of(width: float, about: int) -> float:
    """Return the round step (1, 2 or 5 times a power of ten) that cuts a width into nearest to ``about`` parts."""
    raw = width / max(about, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    return power * min((1, 2, 5, 10), key=lambda f: abs(math.log(f * power / raw)))


def round_values(low: float, high: float, about: int = 5, min_step: float = 0.0) -> list[float]:
    """Return the round numbers from ``low`` to ``high``, about so many, at least ``min_step`` apart."""
    step = max(step_of(high - low, about), min_step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step)))
    return [round(i * step, digits) for i in range(first, last + 1)]


def tick_texts(values: Sequence[float]) -> list[str]:
    """Return texts of equal decimals, as many as tell neighbours apart."""
    if not values:
        return []
    largest = max(abs(v) for v in values)
    gap = min((b - a for a, b in pairwise(values)), default=largest or 1.0)
    if largest >= 1e7 or (0 < largest < 1e-4):
        return [number(float(v), 3) for v in values]
    places = max(0, -math.floor(math.log10(gap) + 1e-9)) if gap > 0 else 0
    return [fixed(v, places) for v in values]


def axis(
    values: Iterable[float | None],
    *,
    about: int = 5,
    padding: float = PADDING,
    upward: bool = False,
    within: tuple[float, float] = (-math.inf, math.inf),
    whole: bool = False,
) -> Axis:
    """Return an axis over all finite values with round ticks, and some room on both sides ``within`` what can be.

    ``whole``: ticks are whole numbers only.
    """
    finite = [v for v in values if is_number(v)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        room = abs(low) * 0.05 or 0.5
        low, high = _between(low - room, low, within), _between(high + room, high, within)
    room = padding * (high - low)
    low, high = _between(low - room, low, within), _between(high + room, high, within)
    bare = Axis(low, high, (), upward)
    marks = round_values(low, high, about, min_step=1.0 if whole else 0.0)
    ticks = tuple(Tick(bare.at(v), t) for v, t in zip(marks, tick_texts(marks), strict=True))
    return bare._replace(ticks=ticks)


def _between(wanted: float, needed: float, within: tuple[float, float]) -> float:
    """Return an end of an axis: no further out than what can be, unless a value lies there."""
    if wanted < needed:
        return max(wanted, min(within[0], needed))
    return min(wanted, max(within[1], needed))


def thin(n: int, most: int = CURVE_POINTS, keep: int | None = None) -> list[int]:
    """Return at most so many evenly spaced places of ``range(n)``: the first, the last, and ``keep``."""
    if n <= most:
        return list(range(n))
    places = {round(i * (n - 1) / (most - 1)) for i in range(most)}
    if keep is not None and 0 <= keep < n and keep not in places:
        inner = places - {0, n - 1}
        if inner:
            places.remove(min(inner, key=lambda i: (abs(i - keep), i)))
        places.add(keep)
    return sorted(places)


def lines(xs: Sequence[float], ys: Sequence[float | None], x: Axis, y: Axis) -> list[str]:
    """Return the points of a curve for SVG, one text for each unbroken part (missing values break it)."""
    parts: list[list[str]] = [[]]
    for a, b in zip(xs, ys, strict=True):
        if is_number(b):
            parts[-1].append(f"{x.at(a):g},{y.at(b):g}")
        elif parts[-1]:
            parts.append([])
    return [" ".join(p if len(p) > 1 else p * 2) for p in parts if p]


def swarm(
    places: Sequence[float], diameter: float, most: int = 1_000_000, aside: int = 0
) -> list[tuple[float, int]]:
    """Return the place of every dot and how many diameters it moves up (-) or down (+), so that none overlap.

    Dots are dealt from left to right, each to the free level nearest to the middle. None goes beyond ``most``
    levels: dots that find no free one stand up to ``aside`` diameters beside their place, and overlap if that is
    not enough.
    """
    dealt = [(place, 0) for place in places]
    taken: dict[int, list[float]] = {}
    columns = sorted(range(-aside, aside + 1), key=lambda c: (abs(c), c))
    for i in sorted(range(len(places)), key=lambda i: (places[i], i)):
        free = next(
            (
                (x, level)
                for x in (places[i] + c * diameter for c in columns)
                for level in _levels(taken, most)
                if _is_free(taken.get(level, []), x, diameter)
            ),
            None,
        )
        x, level = dealt[i] = free or (places[i], 0)
        bisect.insort(taken.setdefault(level, []), x)
    return dealt


def apart(dealt: Sequence[tuple[float, int]], diameter: float) -> bool:
    """Say whether no two dots of a swarm overlap."""
    levels: dict[int, list[float]] = {}
    for x, level in sorted(dealt):
        levels.setdefault(level, []).append(x)
    return all(b - a >= diameter - 1e-6 for xs in levels.values() for a, b in pairwise(xs))


def _levels(taken: Mapping[int, object], most: int) -> Iterable[int]:
    """Yield 0, 1, -1, 2, ... as far as ``most`` allows, and no further than one beyond those in use."""
    furthest = min(most, max((abs(level) for level in taken), default=0) + 1)
    yield 0
    for level in range(1, furthest + 1):
        yield level
        yield -level


def _is_free(xs: Sequence[float], x: float, diameter: float) -> bool:
    at = bisect.bisect_left(xs, x)
    return all(abs(x - near) >= diameter - 1e-9 for near in xs[max(at - 1, 0) : at + 1])


def shares(parts: Sequence[float]) -> list[tuple[float, float]]:
    """Return start and width of every part of a stacked bar, in per cent of their sum."""
    total = sum(parts)
    out: list[tuple[float, float]] = []
    start = 0.0
    for part in parts:
        width = 100 * part / total if total > 0 else 0.0
        out.append((round(start, 2), round(width, 2)))
        start += width
    return out
