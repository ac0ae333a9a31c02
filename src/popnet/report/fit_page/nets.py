"""The picture of all nets' scores, those of the ensemble above the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from popnet.report import format, vocabulary
from popnet.report.charts import axes
from popnet.report.charts.axes import Axis
from popnet.report.fit_page.facts import FitFacts, MemberFacts, RecipeFacts
from popnet.report.fit_page.ranking import recipe_name, recipes_by_score
from popnet.report.fit_page.scores import Scores
from popnet.report.format import is_number

STRIP_WIDTH, STRIP_HEIGHT = 760.0, 96.0
"""Pixels that dots are dealt on."""
DOT_SIZES = (9.0, 7.5, 6.0, 5.0, 4.0, 3.0)
"""Diameters, of which the largest that fits is taken."""
SIDEWAYS = 24.0
"""Pixels that a dot may stand beside its score, where very many scores are equal."""


@dataclass(frozen=True)
class NetDot:
    """A net: its place across in per cent and down in pixels, its radius, and what is said of it."""

    x: float
    y: float
    r: float
    tip: str
    chosen: bool
    status: str


@dataclass(frozen=True)
class Band:
    """Nets on one strip; ``aside``: some stand beside their score, ``small``: as small dots."""

    title: str
    dots: list[NetDot]
    height: float
    count: int
    small: bool
    aside: bool


@dataclass(frozen=True)
class BestRecipe:
    """The best recipe over all folds, its score, and of how many it is the best."""

    recipe: str
    score: str
    of: int


@dataclass(frozen=True)
class Strip:
    """The picture, in bands; without an axis where no net has a score. ``ensemble`` is the place of its score."""

    total: int
    scored: int
    axis: Axis | None = None
    bands: list[Band] = field(default_factory=list[Band])
    best: BestRecipe | None = None
    median: str = ""
    outside: int = 0
    better: str = ""
    ensemble: float | None = None
    statuses: list[str] = field(default_factory=list[str])
    aside: bool = False


def show(facts: FitFacts, scores: Scores) -> Strip:
    """Return the dots, and the best recipe over all folds."""
    scored = [(m, m.score) for m in facts.members if is_number(m.score)]
    if not scored:
        return Strip(len(facts.members), 0)
    values = [score for _, score in scored]
    best = next(iter(recipes_by_score(facts, scores)), None)
    together = facts.ensemble.score if facts.ensemble else None
    together = together if is_number(together) else None
    important = [score for m, score in scored if m.weight > 0]
    important += [max(values) if scores.greater else min(values)]
    if together is not None:
        important.append(together)
    low, high = axes.robust_limits(values)
    axis = axes.axis([low, high, *important], about=6, padding=0.04, within=scores.words.within)
    inside = [(m, score) for m, score in scored if axis.low <= score <= axis.high]
    heaviest = max((m.weight for m, _ in inside), default=0)
    names = {r.id: r for r in facts.recipes}
    bands = [
        _band(title, group, axis, heaviest, names, scores)
        for title, group in (
            ("In the ensemble", [item for item in inside if item[0].weight > 0]),
            ("Not in the ensemble", [item for item in inside if not item[0].weight > 0]),
        )
        if group
    ]
    return Strip(
        total=len(facts.members),
        scored=len(scored),
        axis=axis,
        bands=bands,
        best=BestRecipe(recipe_name(best, best.id), scores.text(best.score), len(facts.recipes))
        if best and is_number(best.score)
        else None,
        median=scores.text(axes.quantile(values, 0.5)),
        outside=len(scored) - len(inside),
        better="right" if scores.greater else "left",
        ensemble=axis.at(together) if together is not None else None,
        statuses=sorted({d.status for b in bands for d in b.dots}),
        aside=any(b.aside for b in bands),
    )


def _band(
    title: str,
    group: Sequence[tuple[MemberFacts, float]],
    axis: Axis,
    heaviest: float,
    names: Mapping[int, RecipeFacts],
    scores: Scores,
) -> Band:
    places = [axis.at(score) for _, score in group]
    dealt: list[tuple[float, int]] = []
    diameter = DOT_SIZES[-1]
    for diameter in DOT_SIZES:
        most = int(STRIP_HEIGHT / diameter) // 2
        width = 100 * diameter / STRIP_WIDTH
        dealt = axes.swarm(places, width, most, aside=int(SIDEWAYS / diameter))
        if axes.apart(dealt, width):
            break
    middle = max((abs(level) for _, level in dealt), default=0) * diameter + diameter
    dots: list[NetDot] = []
    for (m, score), (x, level) in zip(group, dealt, strict=True):
        name = recipe_name(names.get(m.recipe_id), m.recipe_id)
        tip = (
            f"net {m.id}: {format.short(name, 40)}, fold {m.fold}, {scores.text(score)}, {m.status}"
        )
        if m.weight > 0:
            tip += f", weight {format.percent(m.weight)}"
        area = m.weight / heaviest if heaviest > 0 else 0.0
        radius = diameter / 2 * (0.5 + 0.42 * area**0.5) if m.weight > 0 else diameter * 0.36
        dots.append(
            NetDot(
                x=round(x, 2),
                y=round(middle + level * diameter, 1),
                r=round(radius, 2),
                tip=tip,
                chosen=m.weight > 0,
                status=m.status if m.status in vocabulary.STATUSES else "finished",
            )
        )
    return Band(
        title=title,
        dots=dots,
        height=round(2 * middle, 1),
        count=len(group),
        small=diameter < 6,
        aside=any(x != place for (x, _), place in zip(dealt, places, strict=True)),
    )
