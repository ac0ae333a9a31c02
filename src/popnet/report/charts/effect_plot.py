"""How predictions depend on a column, as a picture: curves with a band over single rows' curves, or bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from popnet.model.effects import ColumnEffect, PairEffect
from popnet.report import format
from popnet.report.charts import axes
from popnet.report.charts.axes import Axis
from popnet.report.charts.curves_plot import band
from popnet.report.charts.time_axis import day, time_axis

CURVES = 20
"""Single rows whose curves are drawn."""

CHARACTER, GAP, MIN_GUTTER = 7, 14, 40
"""Pixels of a letter of a tick, of the room around it, and of the column of ticks at least."""


class EffectLine(NamedTuple):
    """An output's curve: number of its style, from 1, points for SVG, and the outline of its band."""

    series: int
    points: str
    band: str


class EffectPlot(NamedTuple):
    """A column of numbers or dates.

    Attributes:
        column: its name.
        x, y: axes.
        lines: of each output.
        thin: single rows' curves, points for SVG.
        gutter: width in pixels of the column of ticks.
    """

    column: str
    x: Axis
    y: Axis
    lines: list[EffectLine]
    thin: list[str]
    gutter: int


class BarPart(NamedTuple):
    """An output's bar: number of its style, start and width in per cent, ends of its band, and its value."""

    series: int
    start: float
    width: float
    low: float
    high: float
    text: str


class EffectBar(NamedTuple):
    """A category: a bar for each output."""

    label: str
    parts: list[BarPart]


class EffectBars(NamedTuple):
    """A column of categories; bars begin at ``base``, the place of the mean prediction, or of 0 for probabilities."""

    column: str
    axis: Axis
    base: float
    bars: list[EffectBar]


class HeatCell(NamedTuple):
    """A mean prediction: its text, and where it lies between the least and the greatest, 0 to 1."""

    text: str
    share: float


class Heat(NamedTuple):
    """The effect of two columns together: the second's values from left to right."""

    first: str
    second: str
    heads: list[str]
    rows: list[tuple[str, list[HeatCell]]]


def plot(effect: ColumnEffect, outputs: Sequence[int], within: tuple[float, float]) -> EffectPlot:
    """Return the curves of some outputs of a column of numbers or dates; single rows' of one output only.

    Args:
        effect: of the column.
        outputs: places in it.
        within: what a prediction can be.
    """
    xs = [float(v) for v in effect.values]
    whole = all(v == round(v) for v in xs)
    x = time_axis(xs) if effect.kind == "date" else axes.axis(xs, padding=0.02, whole=whole)
    thin = effect.curves[outputs[0]][:CURVES] if len(outputs) == 1 and effect.curves else []
    lows, highs = ([_band(effect, k, sign, within) for k in outputs] for sign in (-1, 1))
    every = [v for k in outputs for v in effect.means[k]] + [
        v for side in (*lows, *highs) for v in side
    ]
    rows = [v for curve in thin for v in curve]
    y = axes.axis(
        every + (list(axes.robust_limits(rows, 1.5)) if rows else []), upward=True, within=within
    )
    longest = max((len(t.text) for t in y.ticks), default=0)

    def points(values: Sequence[float]) -> str:
        return " ".join(axes.lines(xs, list(values), x, y))

    return EffectPlot(
        effect.column, x, y,
        [
            EffectLine(i + 1, points(effect.means[k]), " ".join(band(xs, lows[i], highs[i], x, y)))
            for i, k in enumerate(outputs)
        ],
        [points(curve) for curve in thin],
        max(MIN_GUTTER, GAP + CHARACTER * longest),
    )  # fmt: skip


def bars(
    effect: ColumnEffect, outputs: Sequence[int], within: tuple[float, float], base: float
) -> EffectBars:
    """Return the bars of some outputs of a column of categories; see `plot`."""
    lows, highs = ([_band(effect, k, sign, within) for k in outputs] for sign in (-1, 1))
    values = [v for side in (*lows, *highs) for v in side]
    axis = axes.axis([base, *values], within=within)
    found: list[EffectBar] = []
    for g, label in enumerate(effect.values):
        parts: list[BarPart] = []
        for i, k in enumerate(outputs):
            start, end = sorted((axis.at(base), axis.at(effect.means[k][g])))
            parts.append(
                BarPart(
                    i + 1, start, end - start, axis.at(lows[i][g]), axis.at(highs[i][g]),
                    format.number(effect.means[k][g]),
                )
            )  # fmt: skip
        found.append(EffectBar(str(label), parts))
    return EffectBars(effect.column, axis, axis.at(base), found)


def heat(pair: PairEffect) -> Heat:
    """Return the picture of two columns together."""
    every = [v for row in pair.means for v in row]
    low, span = min(every), max(every) - min(every)
    heads, sides = (
        _labels(kind, values)
        for kind, values in zip(reversed(pair.kinds), reversed(pair.values), strict=True)
    )
    rows = [
        (side, [HeatCell(format.number(v, 3), (v - low) / span if span else 0.0) for v in row])
        for side, row in zip(sides, pair.means, strict=True)
    ]
    return Heat(pair.columns[0], pair.columns[1], heads, rows)


def _labels(kind: str, values: Sequence[float] | Sequence[str]) -> list[str]:
    if kind != "date":
        return [v if isinstance(v, str) else format.number(v, 3) for v in values]
    return [day(float(v)) for v in values]


def _band(effect: ColumnEffect, k: int, sign: int, within: tuple[float, float]) -> list[float]:
    """Return an end of the band of an output: the mean and one standard deviation of the members."""
    low, high = within
    both = zip(effect.means[k], effect.spreads[k], strict=True)
    return [min(max(m + sign * s, low), high) for m, s in both]
