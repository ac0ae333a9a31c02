"""What the ensemble gained over its candidates, and the path of greedy selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from popnet.report import format
from popnet.report.charts import axes
from popnet.report.charts.axes import Axis
from popnet.report.fit_page.facts import FitFacts
from popnet.report.fit_page.ranking import linear_share, recipe_name, recipes_by_score
from popnet.report.fit_page.scores import DotChart, Scores, dot_chart
from popnet.report.fit_page.shares import made_of
from popnet.report.format import is_number

PATH_POINTS = 240


@dataclass(frozen=True)
class PathChart:
    """The score after each greedy step: points for SVG, and the place of the best candidate in per cent."""

    x: Axis
    y: Axis
    lines: list[str]
    best: float | None
    first: str
    last: str
    steps: int


@dataclass(frozen=True)
class EnsembleSection:
    """The ensemble beside its best and its mean candidate.

    Candidates are recipes, scored over all folds, and boosted trees and the linear model where they were some
    (``others``); ``made_of`` says what was chosen. ``nets_alone`` is the score of an ensemble without trees, ``trees``
    the best trees' alone. ``known``: there is a difference to the best one; ``gained``: it is no loss.
    ``cooled``: the temperature is below 1. Texts are empty where there is nothing to say.
    """

    method: str
    on: str
    score: str
    best: str
    best_name: str
    corrected: str
    mean: str
    over_best: str
    over_mean: str
    gained: bool
    known: bool
    others: str
    nets_alone: str
    trees: str
    cooled: bool
    temperature: str
    late: str
    made_of: str
    chart: DotChart
    path: PathChart | None


def show(facts: FitFacts, scores: Scores) -> EnsembleSection | None:
    """Return the ensemble beside its candidates; None where nothing was combined."""
    e = facts.ensemble
    if e is None or not is_number(e.score):
        return None
    if not any(is_number(m.score) for m in facts.members):
        return None  # a simple model alone: three times the same number says nothing
    others = [
        name
        for name, there in (
            ("boosted trees", facts.trees is not None),
            ("the linear model", facts.linear is not None or linear_share(facts) > 0),
        )
        if there
    ]
    over_best = scores.gain(e.score, e.best_member)
    over_mean = scores.gain(e.score, e.mean_member)
    rows = [
        ("Ensemble", e.score, True),
        ("Best of them alone", e.best_member, False),
        ("Mean of them all", e.mean_member, False),
    ]
    return EnsembleSection(
        method=e.method,
        on=e.on,
        score=scores.text(e.score),
        best=scores.text(e.best_member),
        best_name=_best_name(facts, scores, e.best_member),
        corrected=scores.text(e.best_corrected) if is_number(e.best_corrected) else "",
        mean=scores.text(e.mean_member),
        over_best=scores.difference(over_best),
        over_mean=scores.difference(over_mean),
        gained=over_best is None or over_best > 0,
        known=over_best is not None,
        others=" and ".join(others),
        nets_alone=scores.text(e.nets_alone) if is_number(e.nets_alone) else "",
        trees=scores.text(facts.trees.score)
        if facts.trees and is_number(facts.trees.score)
        else "",
        cooled=e.temperature < 1,
        temperature="" if e.temperature == 1 else format.fixed(e.temperature, 2),
        late=format.percent(e.late) if e.late else "",
        made_of=made_of(facts),
        chart=dot_chart(rows, None, scores),
        path=_path(e.path, e.best_member, scores),
    )


def _best_name(facts: FitFacts, scores: Scores, best: object) -> str:
    """Return the name of the best candidate: a recipe, boosted trees, the linear model; empty if none has its score."""
    first = next(iter(recipes_by_score(facts, scores)), None)
    if first and scores.gain(first.score, best) == 0:
        return recipe_name(first, first.id)
    for other, words in ((facts.linear, "the linear model"), (facts.trees, "boosted trees")):
        if other and scores.gain(other.score, best) == 0:
            return words
    return ""


def _path(path: Sequence[float | None], best: object, scores: Scores) -> PathChart | None:
    values = [v for v in path if is_number(v)]
    if len(path) < 2 or not values:
        return None
    places = axes.thin(len(path), PATH_POINTS)
    x = axes.axis([1, len(path)], padding=0.02, about=6, whole=True)
    y = axes.axis(
        [*values, *([best] if is_number(best) else [])],
        about=4, upward=True, within=scores.words.within,
    )  # fmt: skip
    return PathChart(
        x=x,
        y=y,
        lines=axes.lines([i + 1 for i in places], [path[i] for i in places], x, y),
        best=y.at(best) if is_number(best) else None,
        first=scores.text(path[0]),
        last=scores.text(path[-1]),
        steps=len(path),
    )
