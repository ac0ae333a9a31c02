"""`Lines` as a picture: curves in one frame, told apart by colour, dash and marker."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from popnet.report.charts import axes
from popnet.report.charts.axes import Axis
from popnet.report.charts.log_axis import LogAxis, log_axis
from popnet.report.document import Line, Lines
from popnet.report.format import is_number

COLOURS, DASHES, MARKERS = 6, 4, 5
"""How many of each the style sheet knows; together they make 24 different curves."""
ALL_MARKED = 16
"""A curve of more points is marked at a few of them only."""
FEW_MARKS = 6
DENSE = 400
"""A piece of more points is drawn with fewer."""
COLUMN = 0.5
"""Per cent of the width in which a dense curve keeps four points."""
MIN_VALUES = 20
"""With fewer values none is left out of the picture."""
EXTREME = 20.0
"""A few far values are left out if they would make the picture so many times as high."""
FAR = 1000.0
"""Per cent outside the frame where a curve's way is no longer followed exactly."""
CHARACTER, GAP, MIN_GUTTER = 7, 14, 40
"""Pixels of a letter of a tick, of the room around it, and of the column of ticks at least."""

Scale = Axis | LogAxis
Point = tuple[float, float]


class Curve(NamedTuple):
    """A curve in per cent of the frame.

    Attributes:
        label: of the legend.
        colour, dash, marker: numbers of the styles, from 1.
        parts: points of each unbroken part, for SVG.
        marks: places of markers.
        bands: outline of each unbroken part of the band, for SVG.
    """

    label: str
    colour: int
    dash: int
    marker: int
    parts: list[str]
    marks: list[Point]
    bands: list[str]


class Plot(NamedTuple):
    """The whole picture.

    Attributes:
        kind: ``plot``.
        x, y: axes.
        x_name, y_name: what they measure.
        log_x, log_y: which are logarithmic.
        curves: in order; none if there is not a single point.
        gutter: width in pixels of the column of ticks.
        outside: points lie above or below the frame.
        unplaced: values have no place on a logarithmic axis.
    """

    kind: str
    x: Scale
    y: Scale
    x_name: str
    y_name: str
    log_x: bool
    log_y: bool
    curves: list[Curve]
    gutter: int
    outside: bool
    unplaced: bool


def show(lines: Lines) -> Plot:
    """Return the picture: axes over all curves and bands, and each curve's places."""
    sides = [_floats(line) for line in lines.lines]
    xs = [v for x, *_ in sides for v in x]
    ys = [v for _, *others in sides for values in others for v in values]
    x = _x_axis(xs, lines.log_x)
    y = _y_axis(ys, lines.log_y)
    curves = [
        _curve(i, line.label, *side, x, y)
        for i, (line, side) in enumerate(zip(lines.lines, sides, strict=True))
    ]
    longest = max((len(t.text) for t in y.ticks), default=0)
    return Plot(
        "plot",
        x,
        y,
        lines.x,
        lines.y,
        lines.log_x,
        lines.log_y,
        curves if any(c.parts for c in curves) else [],
        max(MIN_GUTTER, GAP + CHARACTER * longest),
        any(is_number(v) and not y.low <= v <= y.high for v in ys if _has_place(v, y)),
        any(is_number(v) and not _has_place(v, s) for vs, s in ((xs, x), (ys, y)) for v in vs),
    )


def style(i: int) -> tuple[int, int, int]:
    """Return colour, dash and marker of the i-th curve, each from 1."""
    return i % COLOURS + 1, (i + i // COLOURS) % DASHES + 1, i % MARKERS + 1


def runs(xs: Sequence[float], ys: Sequence[float], x: Scale, y: Scale) -> list[list[Point]]:
    """Return the places of each unbroken part: what has no place on an axis breaks the curve."""
    parts: list[list[Point]] = [[]]
    for a, b in zip(xs, ys, strict=True):
        if _has_place(a, x) and _has_place(b, y):
            parts[-1].append((x.at(a), _near(y.at(b))))
        elif parts[-1]:
            parts.append([])
    return [p for p in parts if p]


def thinned(points: Sequence[Point]) -> list[Point]:
    """Return a dense part with four points for each narrow column: first, lowest, highest and last.

    On a screen it looks the same, and no spike is lost, however short.
    """
    if len(points) <= DENSE:
        return list(points)
    kept: list[Point] = []
    for _, column in groupby(points, key=lambda p: math.floor(p[0] / COLUMN)):
        inside = list(column)
        order = range(len(inside))
        places = {
            0,
            min(order, key=lambda i: inside[i][1]),
            max(order, key=lambda i: inside[i][1]),
            len(inside) - 1,
        }
        kept += [inside[i] for i in sorted(places)]
    return kept


def band(
    xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], x: Scale, y: Scale
) -> list[str]:
    """Return the outline of each unbroken part of a band, highs first, then back along the lows.

    A low end that is not positive reaches the bottom of a logarithmic axis.
    """
    floor = y.low if isinstance(y, LogAxis) else -math.inf
    bottoms = [v if math.isnan(v) else max(v, floor) for v in lows]
    both = [_has_place(b, y) and _has_place(t, y) for b, t in zip(bottoms, highs, strict=True)]
    tops = [t if ok else math.nan for t, ok in zip(highs, both, strict=True)]
    feet = [b if ok else math.nan for b, ok in zip(bottoms, both, strict=True)]
    upper, lower = runs(xs, tops, x, y), runs(xs, feet, x, y)
    return [
        _text([*thinned(above), *reversed(thinned(below))])
        for above, below in zip(upper, lower, strict=True)
        if len(above) > 1
    ]


def _floats(line: Line) -> tuple[list[float], list[float], list[float], list[float]]:
    """Return a line's numbers as Python's own, whatever array they came in."""
    xs, ys, lows, highs = (
        [float(v) for v in vs] for vs in (line.xs, line.ys, line.lows, line.highs)
    )
    return xs, ys, lows, highs


def _x_axis(values: Sequence[float], log: bool) -> Scale:
    if log:
        return log_axis(values, padding=0.02)
    whole = all(v == round(v) for v in values if is_number(v))
    return axes.axis(values, about=6, padding=0.02, whole=whole)


def _y_axis(values: Sequence[float], log: bool) -> Scale:
    if log:
        return log_axis(values, most=6, upward=True)
    known = [v for v in values if is_number(v)]
    if len(known) >= MIN_VALUES:
        low, high = axes.robust_limits(known, quartile_distances=5)
        if 0 < EXTREME * (high - low) < max(known) - min(known):
            known = [low, high]
    return axes.axis(known, about=5, upward=True)


def _curve(
    i: int,
    label: str,
    xs: list[float],
    ys: list[float],
    lows: list[float],
    highs: list[float],
    x: Scale,
    y: Scale,
) -> Curve:
    parts = runs(xs, ys, x, y)
    return Curve(
        label,
        *style(i),
        [_text(thinned(p)) for p in parts],
        _marks(parts),
        band(xs, lows, highs, x, y) if lows and highs else [],
    )


def _marks(parts: Sequence[Sequence[Point]]) -> list[Point]:
    """Return where markers stand: at every point, or at a few, and at all that have no neighbour."""
    points = [p for part in parts for p in part]
    alone = {part[0] for part in parts if len(part) == 1}
    few = points
    if len(points) > ALL_MARKED:
        few = _spread(points)
    marked = dict.fromkeys([*few, *sorted(alone)])
    return [(a, b) for a, b in marked if 0 <= b <= 100]


def _spread(points: Sequence[Point]) -> list[Point]:
    """Return the points nearest to evenly spaced places of the width, so that they are even on any axis."""
    first, last = min(p[0] for p in points), max(p[0] for p in points)
    width = last - first
    aims = [first + width * k / (FEW_MARKS - 1) for k in range(FEW_MARKS)]
    return [min(points, key=lambda p: abs(p[0] - aim)) for aim in aims]


def _text(points: Sequence[Point]) -> str:
    """Return points for SVG, without those that the last one hides; a single one twice, so that it is a dot."""
    kept = [points[0], *(b for a, b in pairwise(points) if a != b)]
    return " ".join(f"{a:g},{b:g}" for a, b in (kept if len(kept) > 1 else kept * 2))


def _has_place(value: float, scale: Scale) -> bool:
    return math.isfinite(value) and (value > 0 or not isinstance(scale, LogAxis))


def _near(place: float) -> float:
    """Return a place not so far outside that a browser's numbers would lose it."""
    return min(max(place, -FAR), 100 + FAR)
