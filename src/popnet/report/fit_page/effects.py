"""How predictions depend on the most important columns."""

from __future__ import annotations

import math
from dataclasses import dataclass

from popnet.model.effects import ColumnEffect, EffectsOfColumns
from popnet.report import format
from popnet.report.charts.effect_plot import EffectBars, EffectPlot, Heat, bars, heat, plot

MAX_TARGETS = 3
"""Targets of a regression that are drawn."""

MIN_INTERACTION = 0.01
"""Share of the variance of two columns' joint effect below which the picture of both together says nothing more."""


@dataclass(frozen=True)
class EffectPanel:
    """A column's picture, or one for each target; one of ``plot`` and ``bars`` is None.

    Attributes:
        column: its name.
        what: what is predicted.
        plot: of numbers and dates.
        bars: of categories.
    """

    column: str
    what: str
    plot: EffectPlot | None
    bars: EffectBars | None


@dataclass(frozen=True)
class PairPanel:
    """Two columns together: the picture, what is predicted, and the share of the variance that is their interaction."""

    heat: Heat
    what: str
    interaction: str


@dataclass(frozen=True)
class EffectsSection:
    """What the section shows.

    Attributes:
        panels: of each column.
        outputs: names of the classes, by the numbers of their styles; none where one thing is predicted.
        classes: whether they are probabilities of classes.
        thin: whether curves of single rows are drawn.
        rows: that predictions are averaged over.
        pair: the two columns that interact most, if they do.
    """

    panels: list[EffectPanel]
    outputs: list[str]
    classes: bool
    thin: bool
    rows: int
    pair: PairPanel | None


def show(found: EffectsOfColumns | None) -> EffectsSection | None:
    """Return what the section shows; None where there is nothing."""
    if found is None or not found.columns:
        return None
    within = (0.0, 1.0) if found.classes else (-math.inf, math.inf)
    together = [list(range(len(found.outputs)))]
    if not found.classes:
        together = [[k] for k in range(min(len(found.outputs), MAX_TARGETS))]
    panels = [
        _panel(effect, outputs, within, _what(found, outputs), found.classes)
        for effect in found.columns
        for outputs in together
    ]
    several = found.classes and len(found.outputs) > 1
    return EffectsSection(
        panels,
        found.outputs if several else [],
        found.classes,
        any(p.plot is not None and p.plot.thin for p in panels),
        found.rows,
        _pair(found),
    )


def _panel(
    effect: ColumnEffect, outputs: list[int], within: tuple[float, float], what: str, classes: bool
) -> EffectPanel:  # fmt: skip
    if effect.kind != "category":
        return EffectPanel(effect.column, what, plot(effect, outputs, within), None)
    middle = effect.means[outputs[0]]
    base = 0.0 if classes else sum(middle) / max(len(middle), 1)
    return EffectPanel(effect.column, what, None, bars(effect, outputs, within, base))


def _pair(found: EffectsOfColumns) -> PairPanel | None:
    pair = found.pair
    if pair is None or pair.interaction < MIN_INTERACTION:
        return None
    return PairPanel(heat(pair), _what(found, [pair.output]), format.percent(pair.interaction))


def _what(found: EffectsOfColumns, outputs: list[int]) -> str:
    if len(outputs) > 1:
        return "probability"
    name = found.outputs[outputs[0]]
    return f"probability of {name}" if found.classes else f"predicted {name}"
