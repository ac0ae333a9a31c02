"""The picture of all nets' scores, those of the ensemble above the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from popnet.report import format, vocabulary
from popnet.report.charts import axes
from popnet.report.charts.axes import Axis
from popnet.report.fit_page.facts import Facts, Member, Recipe
from popnet.report.fit_page.ranking import recipe_name, recipes_by_score
from popnet.report.fit_page.scores import Scores
from popnet.report.format import is_number

STRIP_WIDTH, STRIP_HEIGHT = 760.0, 96.0
"""Pixels that dots are dealt on."""
DOT_SIZES = (9.0, 7.5, 6.0, 5.0, 4.0, 3.0)
"""Diameters, of which the largest that fits is taken."""
SIDEWAYS = 24.0
"""Pixels that a dot may stand beside its score, where very many scores are equal."""


def show(facts: Facts, scores: Scores) -> dict[str, Any]:
    """Return the dots, and the best recipe over all folds."""
    scored = [m for m in facts["members"] if is_number(m["score"])]
    known = {r["id"]: r for r in facts["recipes"]}
    out: dict[str, Any] = {
        "total": len(facts["members"]),
        "scored": len(scored),
        "outside": 0,
        "bands": [],
        "best": None,
        "aside": False,
    }
    if not scored:
        return out
    values = [m["score"] for m in scored if is_number(m["score"])]
    best = next(iter(recipes_by_score(facts, scores)), None)
    if best and is_number(best["score"]):
        out["best"] = {
            "recipe": recipe_name(best, best["id"]),
            "score": scores.text(best["score"]),
            "of": len(facts["recipes"]),
        }
    out["median"] = scores.text(axes.quantile(values, 0.5))
    e = facts.get("ensemble")
    together = e["score"] if e and is_number(e.get("score")) else None
    important = [m["score"] for m in scored if m["weight"] > 0]
    important += [max(values) if scores.greater else min(values)]
    if together is not None:
        important.append(together)
    low, high = axes.robust_limits(values)
    axis = axes.axis([low, high, *important], about=6, padding=0.04, within=scores.words.within)
    inside = [m for m in scored if is_number(m["score"]) and axis.low <= m["score"] <= axis.high]
    heaviest = max((m["weight"] for m in inside), default=0)
    bands = []
    for title, group in (
        ("In the ensemble", [m for m in inside if m["weight"] > 0]),
        ("Not in the ensemble", [m for m in inside if not m["weight"] > 0]),
    ):
        if group:
            bands.append({"title": title, **_band(group, axis, heaviest, known, scores)})
    return out | {
        "axis": axis,
        "bands": bands,
        "outside": len(scored) - len(inside),
        "better": "right" if scores.greater else "left",
        "ensemble": axis.at(together) if together is not None else None,
        "statuses": sorted({d["status"] for b in bands for d in b["dots"]}),
        "aside": any(b["aside"] for b in bands),
    }


def _band(
    group: Sequence[Member],
    axis: Axis,
    heaviest: float,
    known: Mapping[int, Recipe],
    scores: Scores,
) -> dict[str, Any]:
    places = [axis.at(m["score"]) for m in group if is_number(m["score"])]
    dealt: list[tuple[float, int]] = []
    diameter = DOT_SIZES[-1]
    for diameter in DOT_SIZES:
        most = int(STRIP_HEIGHT / diameter) // 2
        width = 100 * diameter / STRIP_WIDTH
        dealt = axes.swarm(places, width, most, aside=int(SIDEWAYS / diameter))
        if axes.apart(dealt, width):
            break
    middle = max((abs(level) for _, level in dealt), default=0) * diameter + diameter
    dots = []
    for m, (x, level) in zip(group, dealt, strict=True):
        name = recipe_name(known.get(m["recipe_id"]), m["recipe_id"])
        tip = (
            f"net {m['id']}: {format.short(name, 40)}, fold {m['fold']}, {scores.text(m['score'])}"
        )
        tip += f", {m['status']}"
        if m["weight"] > 0:
            tip += f", weight {format.percent(m['weight'])}"
        area = m["weight"] / heaviest if heaviest > 0 else 0.0
        radius = diameter / 2 * (0.5 + 0.42 * area**0.5) if m["weight"] > 0 else diameter * 0.36
        dots.append(
            {
                "x": round(x, 2),
                "y": round(middle + level * diameter, 1),
                "r": round(radius, 2),
                "tip": tip,
                "chosen": m["weight"] > 0,
                "status": m["status"] if m["status"] in vocabulary.STATUSES else "finished",
            }
        )
    return {
        "dots": dots,
        "height": round(2 * middle, 1),
        "count": len(group),
        "small": diameter < 6,
        "aside": any(x != place for (x, _), place in zip(dealt, places, strict=True)),
    }
