"""Learning curves of the best recipes, and whether a time limit cut the training short."""

from __future__ import annotations

from dataclasses import dataclass

from popnet.model.facts import Score
from popnet.report import format
from popnet.report.charts import axes
from popnet.report.charts.axes import Axis
from popnet.report.fit_page.facts import FitFacts, MemberFacts
from popnet.report.fit_page.ranking import middle_net, recipe_name, recipes_by_score
from popnet.report.fit_page.scores import Scores
from popnet.report.format import is_number

PANELS = 6


@dataclass(frozen=True)
class CurvePanel:
    """A net's curves: points for SVG, and the place of the best epoch in per cent."""

    id: int
    name: str
    fold: int
    score: str
    epochs: int
    best_epoch: int
    best_x: float | None
    best_y: float | None
    loss: list[str]
    valid_loss: list[str]


@dataclass(frozen=True)
class Shortened:
    """How far a time limit cut the epochs: ``late`` of ``nets`` were still improving; ``most``: more than half."""

    epochs: str
    wanted: int
    late: int
    nets: int
    most: bool


@dataclass(frozen=True)
class CurvesSection:
    """Panels on the same axes; ``clipped``: losses lie above them; ``recipes``: of the whole fit."""

    panels: list[CurvePanel]
    x: Axis
    y: Axis
    clipped: bool
    recipes: int
    shortened: Shortened | None


def show(facts: FitFacts, scores: Scores) -> CurvesSection | None:
    """Return a net's curves for each of the best recipes; of a single recipe those of every fold."""
    drawable = [
        m for m in facts.members if is_number(m.score) and any(is_number(v) for v in _losses(m))
    ]
    if not drawable:
        return None
    ranked = recipes_by_score(facts, scores)
    known = {r.id: r for r in ranked}
    nets: list[MemberFacts] = []
    if len(ranked) == 1:
        nets = sorted(drawable, key=lambda m: m.fold)[:PANELS]
    else:
        for recipe in ranked:
            net = middle_net([m for m in drawable if m.recipe_id == recipe.id])
            if net and len(nets) < PANELS:
                nets.append(net)
    pool = [v for m in nets for v in _losses(m) if is_number(v)]
    epochs = max(len(c) for m in nets for c in (m.curves.loss, m.curves.valid_loss))
    low, high = axes.robust_limits(pool, quartile_distances=5)
    x = axes.axis([0, max(epochs, 2)], about=4, padding=0, whole=True)
    y = axes.axis([min(low, *pool), high], about=4, upward=True)
    return CurvesSection(
        panels=[
            _panel(m, recipe_name(known.get(m.recipe_id), m.recipe_id), x, y, scores) for m in nets
        ],
        x=x,
        y=y,
        clipped=any(v > y.high for v in pool),
        recipes=len(ranked),
        shortened=shortened(facts),
    )


def _losses(net: MemberFacts) -> list[Score]:
    return [*net.curves.loss, *net.curves.valid_loss]


def _panel(m: MemberFacts, name: str, x: Axis, y: Axis, scores: Scores) -> CurvePanel:
    keep, valid = m.best_epoch - 1, m.curves.valid_loss
    at_best = valid[keep] if 0 <= keep < len(valid) else None

    def points(values: list[Score]) -> list[str]:
        places = axes.thin(len(values), axes.CURVE_POINTS, keep)
        return axes.lines([i + 1 for i in places], [values[i] for i in places], x, y)

    return CurvePanel(
        id=m.id,
        name=name,
        fold=m.fold,
        score=scores.text(m.score),
        epochs=m.epochs,
        best_epoch=m.best_epoch,
        best_x=x.at(m.best_epoch) if 0 < m.best_epoch <= x.high else None,
        best_y=min(max(y.at(at_best), 0), 100) if is_number(at_best) else None,
        loss=points(m.curves.loss),
        valid_loss=points(valid),
    )


def shortened(facts: FitFacts) -> Shortened | None:
    """Return how far a time limit cut the epochs, and how many nets were still improving at the end; None if not.

    A net still improves if its best epoch is its last one.
    """
    nets = [m for m in facts.members if is_number(m.score) and m.epochs > 0]
    wanted = facts.wanted_epochs
    if not facts.time_limit or not nets or not wanted:
        return None
    planned = max((e for m in nets if is_number(e := m.recipe.get("epochs"))), default=wanted)
    if planned >= wanted:
        return None
    late = [m for m in nets if m.best_epoch >= m.epochs]
    return Shortened(
        epochs=format.count(int(planned), "epoch"),
        wanted=wanted,
        late=len(late),
        nets=len(nets),
        most=len(late) > len(nets) / 2,
    )
