"""The learning curves of the whole population in one picture, those of the ensemble's nets before the others."""

from __future__ import annotations

from dataclasses import dataclass

from popnet.report import format
from popnet.report.charts import axes
from popnet.report.charts.axes import Axis
from popnet.report.fit_page.facts import FitFacts, MemberFacts
from popnet.report.fit_page.ranking import recipe_name
from popnet.report.fit_page.scores import Scores
from popnet.report.format import is_number

MAX_NETS = 120
"""Nets that are drawn, those of the ensemble first, then the best."""

POINTS = 40
"""A net's curve has at most so many points."""

MIN_NETS = 3
"""With fewer the picture says no more than the panels do."""


@dataclass(frozen=True)
class NetCurve:
    """A net's validation loss by epoch: points for SVG, what the net is called, and whether the ensemble has it."""

    name: str
    points: list[str]
    chosen: bool


@dataclass(frozen=True)
class PopulationPicture:
    """The picture: curves in the order of drawing, the ensemble's last, so that they lie on top."""

    x: Axis
    y: Axis
    curves: list[NetCurve]
    chosen: int
    total: int
    clipped: bool


def show(facts: FitFacts, scores: Scores) -> PopulationPicture | None:
    """Return the picture; None where few nets have a curve."""
    known = [m for m in facts.members if sum(map(is_number, m.curves.valid_loss)) > 1]
    if len(known) < MIN_NETS:
        return None
    ranked = scores.best_first(known, lambda m: m.score)
    ranked.sort(key=lambda m: not m.weight > 0)
    shown = ranked[:MAX_NETS]
    pool = [v for m in shown for v in m.curves.valid_loss if is_number(v)]
    low, high = axes.robust_limits(pool, quartile_distances=4)
    longest = max(len(m.curves.valid_loss) for m in shown)
    x = axes.axis([0, longest], about=6, padding=0, whole=True)
    y = axes.axis([min(low, *pool), high], about=5, upward=True)
    names = {r.id: r for r in facts.recipes}

    def curve(m: MemberFacts) -> NetCurve:
        values = m.curves.valid_loss
        places = axes.thin(len(values), POINTS, m.best_epoch - 1)
        name = recipe_name(names.get(m.recipe_id), m.recipe_id)
        share = f", {format.percent(m.weight)} of the ensemble" if m.weight > 0 else ""
        return NetCurve(
            f"{name}, fold {m.fold}{share}",
            axes.lines([i + 1 for i in places], [values[i] for i in places], x, y),
            m.weight > 0,
        )

    return PopulationPicture(
        x=x,
        y=y,
        curves=[curve(m) for m in reversed(shown)],
        chosen=sum(m.weight > 0 for m in shown),
        total=len(known),
        clipped=any(v > y.high for v in pool),
    )
