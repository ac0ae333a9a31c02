"""Learning curves of the best recipes, and whether a time limit cut the training short."""

from __future__ import annotations

from typing import Any

from popnet.report import format
from popnet.report.charts import axes
from popnet.report.fit_page.facts import Facts, Member
from popnet.report.fit_page.ranking import middle_net, recipe_name, recipes_by_score
from popnet.report.fit_page.scores import Scores
from popnet.report.format import is_number

PANELS = 6
LOSSES = ("loss", "valid_loss")


def show(facts: Facts, scores: Scores) -> dict[str, Any] | None:
    """Return a net's curves for each of the best recipes; of a single recipe those of every fold."""
    drawable = [
        m
        for m in facts["members"]
        if is_number(m["score"])
        and any(is_number(v) for k in LOSSES for v in m["curves"].get(k, []))
    ]
    if not drawable:
        return None
    ranked = recipes_by_score(facts, scores)
    known = {r["id"]: r for r in ranked}
    nets: list[Member] = []
    if len(ranked) == 1:
        nets = sorted(drawable, key=lambda m: m["fold"])[:PANELS]
    else:
        for recipe in ranked:
            net = middle_net([m for m in drawable if m["recipe_id"] == recipe["id"]])
            if net and len(nets) < PANELS:
                nets.append(net)
    pool = [v for m in nets for k in LOSSES for v in m["curves"].get(k, []) if is_number(v)]
    epochs = max(len(m["curves"].get(k, [])) for m in nets for k in LOSSES)
    low, high = axes.robust_limits(pool, reach=5)
    x = axes.axis([0, max(epochs, 2)], about=4, padding=0, whole=True)
    y = axes.axis([min(low, *pool), high], about=4, upward=True)
    panels = []
    for m in nets:
        keep = m["best_epoch"] - 1
        lines = {}
        for name in LOSSES:
            values = m["curves"].get(name, [])
            places = axes.thin(len(values), axes.CURVE_POINTS, keep)
            lines[name] = axes.lines([i + 1 for i in places], [values[i] for i in places], x, y)
        valid = m["curves"].get("valid_loss", [])
        at_best = valid[keep] if 0 <= keep < len(valid) else None
        panels.append(
            {
                "id": m["id"],
                "name": recipe_name(known.get(m["recipe_id"]), m["recipe_id"]),
                "fold": m["fold"],
                "score": scores.text(m["score"]),
                "epochs": m["epochs"],
                "best_epoch": m["best_epoch"],
                "best_x": x.at(m["best_epoch"]) if 0 < m["best_epoch"] <= x.high else None,
                "best_y": min(max(y.at(at_best), 0), 100) if is_number(at_best) else None,
                **lines,
            }
        )
    return {
        "panels": panels,
        "x": x,
        "y": y,
        "clipped": any(v > y.high for v in pool),
        "recipes": len(ranked),
        "shortened": shortened(facts),
    }


def shortened(facts: Facts) -> dict[str, Any] | None:
    """Return how far a time limit cut the epochs, and how many nets were still improving at the end; None if not.

    A net still improves if its best epoch is its last one.
    """
    nets = [m for m in facts["members"] if is_number(m["score"]) and m["epochs"] > 0]
    wanted = facts.get("wanted_epochs")
    if not facts["time_limit"] or not nets or not wanted:
        return None
    planned = max((e for m in nets if is_number(e := m["recipe"].get("epochs"))), default=wanted)
    if planned >= wanted:
        return None
    late = [m for m in nets if m["best_epoch"] >= m["epochs"]]
    return {
        "epochs": format.count(int(planned), "epoch"),
        "wanted": wanted,
        "late": len(late),
        "nets": len(nets),
        "most": len(late) > len(nets) / 2,
    }
