"""Parallel coordinates: each recipe a line through its settings to its score; and how much each setting explains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from popnet.report import format
from popnet.report.charts.axes import robust_limits
from popnet.report.fit_page.board import IMPORTANT, field_value, value_key, varying_fields
from popnet.report.fit_page.facts import Facts
from popnet.report.fit_page.fields import foreign
from popnet.report.fit_page.ranking import recipes_by_score
from popnet.report.fit_page.scores import Scores
from popnet.report.format import is_number
from popnet.tuning.importance import spans_decades

MIN_RECIPES, MAX_LINES, AXES, LABELS = 6, 200, 6, 8
"""Recipes from which on there is a picture, lines in it at most, settings with an axis, and names on one axis."""

TOP = 0.1
"""Share of the recipes that are drawn as the best."""

FLOOR = 0.05
"""Settings that explain less are summed up."""


def show(facts: Facts, scores: Scores) -> dict[str, Any] | None:
    """Return axes, lines (the best last, so that they lie on top) and importances; None with few recipes."""
    ranked = [r for r in recipes_by_score(facts, scores) if is_number(r["score"])]
    explained: Mapping[str, float] = facts.get("importance") or {}
    unused = foreign(facts)
    varying = [f for f in varying_fields(ranked) if f not in unused]
    if len(ranked) < MIN_RECIPES or not varying:
        return None
    known = [*explained, *IMPORTANT]
    order = sorted(varying, key=lambda f: known.index(f) if f in known else len(known))
    fields = order[:AXES]
    shown = ranked[:MAX_LINES]
    axes = [_axis(f, [field_value(f, r["recipe"]) for r in shown]) for f in fields]
    low, high = robust_limits([r["score"] for r in shown])
    axes.append(_scale(scores.words.title, low, high, False, [scores.text(low), scores.text(high)]))
    best = max(1, round(TOP * len(shown)))
    lines = []
    for rank, recipe in enumerate(shown):
        values = [field_value(f, recipe["recipe"]) for f in fields]
        places = [a["place"](v) for a, v in zip(axes, [*values, recipe["score"]], strict=True)]
        lines.append(
            {"places": places, "best": rank < best, "default": recipe["name"] == "default"}
        )
    step = 100 / max(len(axes) - 1, 1)
    return {
        "axes": [{**a, "at": round(k * step, 2)} for k, a in enumerate(axes)],
        "segments": [
            {
                "x1": round(k * step, 2), "x2": round((k + 1) * step, 2), "y1": a, "y2": b,
                "tone": "best" if line["best"] else "default" if line["default"] else "",
            }
            for line in reversed(lines)
            for k, (a, b) in enumerate(zip(line["places"], line["places"][1:], strict=False))
        ],
        "best": best,
        "shown": len(shown),
        "total": len(ranked),
        "importance": [
            {"field": f, "share": format.percent(v), "bar": round(100 * v / max(explained.values()), 1)}
            for f, v in explained.items()
            if v >= FLOOR
        ],
        "rest": sum(v < FLOOR for v in explained.values()),
    }  # fmt: skip


def _axis(field: str, values: Sequence[Any]) -> dict[str, Any]:
    """Return an axis for a setting: by its number, its logarithm, or a place for each of its values."""
    numbers = [v for v in values if is_number(v) and not isinstance(v, bool)]
    if len(numbers) == len(values) and len(set(numbers)) > 3:
        log = spans_decades(numbers)
        ends = [format.value(min(numbers)), format.value(max(numbers))]
        return _scale(field, min(numbers), max(numbers), log, ends)
    keys = {value_key(v): v for v in values}
    order = sorted(
        keys, key=lambda k: (not is_number(keys[k]), keys[k] if is_number(keys[k]) else k)
    )
    step = 100 / max(len(order) - 1, 1)
    at = {k: round(100 - i * step, 2) for i, k in enumerate(order)}
    names = [{"at": at[k], "text": format.value(keys[k])} for k in order][:LABELS]
    return {"name": field, "ticks": names, "place": lambda v: at[value_key(v)]}


def _scale(name: str, low: float, high: float, log: bool, ends: Sequence[str]) -> dict[str, Any]:
    def place(value: float) -> float:
        value = min(max(value, low), high)
        if high == low:
            return 50.0
        share = (
            math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)
        )
        return round(100 - 100 * share, 2)

    ticks = [{"at": 100.0, "text": ends[0]}, {"at": 0.0, "text": ends[1]}]
    return {"name": name, "ticks": ticks, "place": place}
