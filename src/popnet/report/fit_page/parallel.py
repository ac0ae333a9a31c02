"""Parallel coordinates: each recipe a line through its settings to its score; and how much each setting explains."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from popnet.report import format
from popnet.report.charts.axes import Tick, robust_limits
from popnet.report.fit_page.board import IMPORTANT, field_value, value_key, varying_fields
from popnet.report.fit_page.facts import FitFacts
from popnet.report.fit_page.fields import foreign
from popnet.report.fit_page.ranking import recipe_name, recipes_by_score
from popnet.report.fit_page.scores import Scores
from popnet.report.format import is_number
from popnet.tuning.importance import spans_decades

MIN_RECIPES, MAX_LINES, AXES, LABELS = 6, 200, 6, 8
"""Recipes from which on there is a picture, lines in it at most, settings with an axis, and names on one axis."""

STEPS = 20
"""Steps of a range on an axis of numbers."""

TOP = 0.1
"""Share of the recipes that are drawn as the best."""

FLOOR = 0.05
"""Settings that explain less are summed up."""


@dataclass(frozen=True)
class SettingAxis:
    """An axis for a setting, or for the score: its name, its ticks, and where a value stands on it, in per cent.

    ``steps`` are the texts of values in equal steps along it, from below.
    """

    name: str
    ticks: list[Tick]
    place: Callable[[object], float]
    steps: list[str]


@dataclass(frozen=True)
class DrawnAxis:
    """An axis at its place across, in per cent.

    ``ends`` are the texts of values in equal steps along it, from below, as JSON: what a range on it says.
    """

    name: str
    ticks: list[Tick]
    at: float
    ends: str


@dataclass(frozen=True)
class RecipeLine:
    """A recipe's line: its number and name, points for SVG, what is said of it; ``tone``: "best", "default" or ""."""

    id: int
    name: str
    points: str
    tip: str
    tone: str


@dataclass(frozen=True)
class ImportanceRow:
    """A setting, the share of the scores' variance that it explains, and its bar in per cent of the largest."""

    field: str
    share: str
    bar: float


@dataclass(frozen=True)
class ParallelPlot:
    """The picture: the ``best`` of the ``shown`` lines lie on top. ``rest``: settings that explain little."""

    axes: list[DrawnAxis]
    lines: list[RecipeLine]
    best: int
    shown: int
    total: int
    importance: list[ImportanceRow]
    rest: int


def show(facts: FitFacts, scores: Scores) -> ParallelPlot | None:
    """Return axes, lines (the best last, so that they lie on top) and importances; None with few recipes."""
    ranked = [(r, r.score) for r in recipes_by_score(facts, scores) if is_number(r.score)]
    explained = facts.importance
    unused = foreign(facts)
    varying = [f for f in varying_fields([r for r, _ in ranked]) if f not in unused]
    if len(ranked) < MIN_RECIPES or not varying:
        return None
    known = [*explained, *IMPORTANT]
    order = sorted(varying, key=lambda f: known.index(f) if f in known else len(known))
    fields = order[:AXES]
    shown = ranked[:MAX_LINES]
    axes = [_axis(f, [field_value(f, r.recipe) for r, _ in shown]) for f in fields]
    low, high = robust_limits([score for _, score in shown])
    ends = [scores.text(v) for v in _steps(low, high, log=False)]
    axes.append(_scale(scores.words.title, low, high, False, ends))
    best = max(1, round(TOP * len(shown)))
    step = 100 / max(len(axes) - 1, 1)
    lines: list[RecipeLine] = []
    for rank, (recipe, score) in reversed(list(enumerate(shown))):
        values = [*(field_value(f, recipe.recipe) for f in fields), score]
        places = [a.place(v) for a, v in zip(axes, values, strict=True)]
        name = recipe_name(recipe, recipe.id)
        said = [f"{f} {format.value(v)}" for f, v in zip(fields, values, strict=False)]
        lines.append(
            RecipeLine(
                recipe.id,
                f"{name}, {scores.text(score)}",
                " ".join(f"{k * step:.4g},{at:g}" for k, at in enumerate(places)),
                f"{name}: {scores.words.title} {scores.text(score)}; {', '.join(said)}",
                "best" if rank < best else "default" if recipe.name == "default" else "",
            )
        )
    return ParallelPlot(
        axes=[
            DrawnAxis(a.name, a.ticks, round(k * step, 2), json.dumps(a.steps, ensure_ascii=False))
            for k, a in enumerate(axes)
        ],
        lines=lines,
        best=best,
        shown=len(shown),
        total=len(ranked),
        importance=[
            ImportanceRow(f, format.percent(v), round(100 * v / max(explained.values()), 1))
            for f, v in explained.items()
            if v >= FLOOR
        ],
        rest=sum(v < FLOOR for v in explained.values()),
    )


def _axis(field: str, values: Sequence[object]) -> SettingAxis:
    """Return an axis for a setting: by its number, its logarithm, or a place for each of its values."""
    numbers = [v for v in values if is_number(v)]
    if len(numbers) == len(values) and len(set(numbers)) > 3:
        log = spans_decades(numbers)
        ends = [format.value(v) for v in _steps(min(numbers), max(numbers), log)]
        return _scale(field, min(numbers), max(numbers), log, ends)
    keys = {value_key(v): v for v in values}

    def rank(key: str) -> tuple[bool, float, str]:
        value = keys[key]
        return (False, value, "") if is_number(value) else (True, 0.0, key)

    order = sorted(keys, key=rank)
    step = 100 / max(len(order) - 1, 1)
    at = {k: round(100 - i * step, 2) for i, k in enumerate(order)}
    names = [Tick(at[k], format.value(keys[k])) for k in order][:LABELS]
    steps = [format.value(keys[k]) for k in order]
    return SettingAxis(field, names, lambda v: at[value_key(v)], steps)


def _steps(low: float, high: float, log: bool) -> list[float]:
    """Return values in equal steps from low to high."""
    if log:
        return [low * (high / low) ** (i / STEPS) for i in range(STEPS + 1)]
    return [low + (high - low) * i / STEPS for i in range(STEPS + 1)]


def _scale(name: str, low: float, high: float, log: bool, ends: Sequence[str]) -> SettingAxis:
    def place(value: object) -> float:
        assert is_number(value)
        value = min(max(value, low), high)
        if high == low:
            return 50.0
        share = (
            math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)
        )
        return round(100 - 100 * share, 2)

    return SettingAxis(name, [Tick(100.0, ends[0]), Tick(0.0, ends[-1])], place, list(ends))
