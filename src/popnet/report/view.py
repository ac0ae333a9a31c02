"""From facts to what each section of the page shows: rankings, comparisons, texts of numbers, geometry."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from popnet.report import charts, words
from popnet.report.charts import Axis
from popnet.report.facts import Baseline, Column, Facts, Member, Recipe
from popnet.report.words import MetricWords, decimals, fixed, is_number, metric_words, number

RECIPES_SHOWN = 30
PANELS = 6
COMPARED = 3
COLUMNS_OF_RECIPES = 8
"""Settings that the table of recipes has columns for: more do not fit a page or a sheet of paper."""
IMPORTANT = (
    "depth", "width", "activation", "norm", "dropout", "learning_rate", "weight_decay", "schedule", "ema",
    "embedding_scale", "beta2", "label_smoothing",
)  # fmt: skip
CLASSES_SHOWN = 12
MISSING_SHOWN = 10
NAMED_SHOWN = 20
COLUMNS_SHOWN = 1000
COLUMNS_OPEN = 20
"""A longer table of columns is folded."""
CONFUSED_SHOWN = 3
SMALL_TEST = 200
"""With fewer test rows the page says that the score is rough."""
PATH_POINTS = 240

STRIP_WIDTH, STRIP_HEIGHT = 760.0, 120.0
"""Pixels of the members' picture that dots are dealt on."""
DOT_SIZES = (9.0, 7.5, 6.0, 5.0, 4.0, 3.0)
"""Diameters, of which the largest that fits the height is taken."""

RANGES = {
    "accuracy": (0.0, 1.0),
    "balanced_accuracy": (0.0, 1.0),
    "roc_auc": (0.0, 1.0),
    "r2": (-math.inf, 1.0),
}
"""Metrics that cannot be outside."""
BASELINE_TITLES = {"constant": "Constant prediction", "linear": "Linear model"}
BASELINE_WORDS = {"constant": "the constant prediction", "linear": "the linear model"}


class Scores:
    """How this run's metric is compared and written."""

    def __init__(self, facts: Facts) -> None:
        self.name = facts["metric"]["name"]
        self.greater: bool = facts["metric"]["greater_is_better"]
        self.words: MetricWords = metric_words(self.name)
        low, high = facts.get("interval") or (None, None)
        half = (high - low) / 2 if is_number(low) and is_number(high) else None
        score = facts.get("score")
        if not is_number(score):
            known = [m["score"] for m in facts["members"] if is_number(m["score"])]
            known += [v for b in facts["baselines"] if is_number(v := b["metrics"].get(self.name))]
            score = known[0] if known else None
        self.decimals = decimals(score, half)
        self.title = self.words.title
        self.within = RANGES.get(self.name, (-math.inf, math.inf))

    def text(self, value: object) -> str:
        """Return a score's text."""
        if is_number(value) and (
            abs(value) >= words.PLAIN_HIGH or 0 < abs(value) < 10.0**-self.decimals / 2
        ):
            return number(float(value))
        return fixed(value, self.decimals)

    def gain(self, value: object, over: object) -> float | None:
        """Return how much better ``value`` is; negative if worse."""
        if not (is_number(value) and is_number(over)):
            return None
        return value - over if self.greater else over - value

    def best_first(self, items: Sequence[Any]) -> list[Any]:
        """Return records sorted by their ``score``, best first, missing ones last, then by ``id``."""

        def key(item: Any) -> tuple[bool, float, int]:
            score = item["score"]
            if not is_number(score):
                return (True, 0.0, item["id"])
            return (False, -score if self.greater else score, item["id"])

        return sorted(items, key=key)


class Dot(NamedTuple):
    """A row of a dot picture: places in per cent, None if there is no number."""

    label: str
    text: str
    at: float | None
    low: float | None = None
    high: float | None = None
    strong: bool = False


class DotChart(NamedTuple):
    """Scores below each other on one axis."""

    axis: Axis
    rows: list[Dot]


def dot_chart(
    rows: Sequence[tuple[str, object, bool]], interval: Sequence[object] | None, scores: Scores
) -> DotChart:
    """Return the picture of (label, score, strong) rows; the interval belongs to the strong row."""
    low, high = interval or (None, None)
    values = [v for v in [*(r[1] for r in rows), low, high] if is_number(v)]
    axis = charts.axis(values, about=5, within=scores.within)
    both = is_number(low) and is_number(high)
    dots = [
        Dot(
            label,
            scores.text(value),
            axis.at(value) if is_number(value) else None,
            axis.at(low) if strong and both and is_number(low) else None,
            axis.at(high) if strong and both and is_number(high) else None,
            strong,
        )
        for label, value, strong in rows
    ]
    return DotChart(axis, dots)


def _best_baselines(facts: Facts, scores: Scores) -> list[Baseline]:
    """Return the baselines, the strongest first."""
    ranked = scores.best_first(
        [
            {"score": b["metrics"].get(scores.name), "id": i}
            for i, b in enumerate(facts["baselines"])
        ]
    )
    return [facts["baselines"][r["id"]] for r in ranked]


def headline(facts: Facts, scores: Scores) -> dict[str, Any]:
    """Return the result in plain words and against the baselines."""
    interval = facts.get("interval") or [None, None]
    low, high = interval
    usable = is_number(facts["score"])
    base = [
        {"name": b["name"], "score": b["metrics"].get(scores.name), "gain": b.get("gain")}
        for b in _best_baselines(facts, scores)
    ]
    nets = any(m["weight"] > 0 for m in facts["members"])
    rows: list[tuple[str, object, bool]] = []
    if usable:
        rows.append(("Ensemble of nets" if nets else "Model that was kept", facts["score"], True))
    rows += [(BASELINE_TITLES.get(str(b["name"]), str(b["name"])), b["score"], False) for b in base]
    best = next((b for b in base if is_number(b["score"])), None)
    verdict, cut = "", None
    if best and usable and nets:
        worst_end, best_end = (low, high) if scores.greater else (high, low)
        beats = scores.gain(worst_end, best["score"])
        loses = scores.gain(best["score"], best_end)
        if paired := _paired(best["gain"]):
            # On the same rows, so what makes a row hard for both falls out.
            beats, loses = paired[1], -paired[2]
        if beats is None or loses is None:
            gain = scores.gain(facts["score"], best["score"]) or 0.0
            verdict = "higher" if gain > 0 else "not_higher"
        else:
            verdict = "better" if beats > 0 else "worse" if loses > 0 else "level"
        cut = (
            _cut(facts["score"], best["score"], scores) if verdict in ("better", "higher") else None
        )
    target = facts["target"]
    return {
        "usable": usable,
        "nets": nets,
        "warnings": facts.get("warnings") or [],
        "interval": is_number(low) and is_number(high),
        "low": scores.text(low),
        "high": scores.text(high),
        "score": scores.text(facts["score"]),
        "chart": dot_chart(rows, interval, scores),
        "verdict": verdict,
        "gain": [words.signed(v, scores.decimals) for v in _paired(best and best["gain"]) or ()],
        "best": best and BASELINE_WORDS.get(best["name"], f"the baseline “{best['name']}”"),
        "best_score": best and scores.text(best["score"]),
        "cut": cut,
        "honest": facts["data"]["test_rows"] > 0,
        "scored_on": facts.get("scored_on") or "on rows that it was trained on: optimistic",
        "small": 0 < facts["data"]["test_rows"] < SMALL_TEST,
        "what": _what(target["task"], len(target["classes"]), len(target["names"])),
        "columns": sum(c["used"] for c in facts["data"]["columns"]),
        "members": len(facts["members"]),
    }


def _paired(gain: object) -> list[float] | None:
    """Return a difference and the ends of its interval, if all three are known."""
    if isinstance(gain, list) and len(gain) == 3 and all(is_number(v) for v in gain):
        return gain
    return None


def _what(task: str, classes: int, targets: int) -> str:
    if task == "multiclass" and classes:
        return f"one of {words.count(classes, 'class', 'classes')}"
    if task == "regression" and targets > 1:
        return words.count(targets, "number")
    return "one of two classes" if task == "binary" else words.TASKS.get(task, task)


def _cut(score: object, base: object, scores: Scores) -> tuple[str, str] | None:
    """Return (share, of what): how much smaller the error is than the baseline's."""
    if not (is_number(score) and is_number(base)):
        return None
    if scores.name == "accuracy":
        score, base, what = 1 - score, 1 - base, "fewer wrong answers"
    elif scores.name == "r2":
        score, base, what = 1 - score, 1 - base, "less variance left unexplained"
    elif scores.words.greater is False:
        what = f"lower {scores.title}"
    else:
        return None
    return (words.percent((base - score) / base), what) if base > 0 else None


def metrics(facts: Facts, scores: Scores) -> dict[str, Any]:
    """Return all metrics of the test part, the ensemble beside the baselines."""
    names = list(facts["metrics"])
    baselines = _best_baselines(facts, scores)
    for baseline in baselines:
        names += [n for n in baseline["metrics"] if n not in names]
    names.sort(key=lambda n: n != scores.name)
    rows = []
    for name in names:
        about = metric_words(name)
        greater = scores.greater if name == scores.name else about.greater
        values = [facts["metrics"].get(name), *(b["metrics"].get(name) for b in baselines)]
        finite = [v for v in values if is_number(v)]
        best = None
        if finite and greater is not None and len(set(finite)) > 1:
            best = max(finite) if greater else min(finite)
        places = _places(finite)
        rows.append(
            {
                "title": about.title,
                "meaning": about.meaning,
                "better": None if greater is None else "higher" if greater else "lower",
                "cells": [
                    {"text": _metric_text(v, places), "best": best is not None and v == best}
                    for v in values
                ],
            }
        )
    heads = [BASELINE_TITLES.get(b["name"], b["name"]) for b in baselines]
    return {"heads": ["Ensemble", *heads], "rows": rows}


def _places(values: Sequence[float]) -> int:
    """Return decimals that the smallest value needs, and that show unequal values unequal."""
    places = decimals(min((v for v in values if v), key=abs, default=None))
    different = len(set(values))
    while places < 6 and len({fixed(v, places) for v in values}) < different:
        places += 1
    return places


def _metric_text(value: object, places: int) -> str:
    if is_number(value) and abs(value) >= words.PLAIN_HIGH:
        return number(float(value))
    return fixed(value, places)


def confusion(facts: Facts) -> dict[str, Any] | None:
    """Return the confusion matrix as a heat table: shares of each true class, and the worst mistakes."""
    matrix = facts.get("confusion")
    if not matrix:
        return None
    classes = [str(c) for c in facts["target"]["classes"]]
    rows = []
    for i, counts in enumerate(matrix):
        total = sum(counts)
        cells = [
            {"n": n, "share": round(n / total, 3) if total else 0.0, "right": i == j}
            for j, n in enumerate(counts)
        ]
        found = words.percent(counts[i] / total) if total else words.MISSING
        rows.append({"name": classes[i], "cells": cells, "total": total, "found": found})
    columns = [sum(c) for c in zip(*matrix, strict=True)]
    precise = [
        words.percent(matrix[j][j] / t) if t else words.MISSING for j, t in enumerate(columns)
    ]
    mistakes = [
        (n, classes[i], classes[j])
        for i, counts in enumerate(matrix)
        for j, n in enumerate(counts)
        if i != j and n
    ]
    mistakes.sort(key=lambda m: -m[0])
    return {
        "classes": classes,
        "rows": rows,
        "precise": precise,
        "mistakes": mistakes[:CONFUSED_SHOWN] if len(matrix) > 2 else [],
        "wide": len(matrix) > 8,
    }


def scatter(facts: Facts) -> list[dict[str, Any]]:
    """Return true-against-predicted pictures, one a target; a few far outliers lie outside them."""
    sample = facts.get("predictions")
    if not sample or not sample["true"]:
        return []
    true = [v if isinstance(v, (list, tuple)) else [v] for v in sample["true"]]
    predicted = [v if isinstance(v, (list, tuple)) else [v] for v in sample["predicted"]]
    panels = []
    for t, name in enumerate(facts["target"]["names"][:PANELS]):
        pairs = [
            (a[t], b[t])
            for a, b in zip(true, predicted, strict=True)
            if is_number(a[t]) and is_number(b[t])
        ]
        if not pairs:
            continue
        low, high = charts.robust_limits([v for pair in pairs for v in pair], reach=6)
        inside = [(a, b) for a, b in pairs if low <= a <= high and low <= b <= high]
        x = charts.axis([low, high], about=4)
        y = charts.axis([low, high], about=4, upward=True)
        panels.append(
            {
                "name": name,
                "x": x,
                "y": y,
                "dots": [(x.at(a), y.at(b)) for a, b in inside],
                "outside": len(pairs) - len(inside),
                "shown": len(pairs),
            }
        )
    return panels


def ensemble(facts: Facts, scores: Scores) -> dict[str, Any] | None:
    """Return what the ensemble gained over its members, and the path of greedy selection."""
    e = facts.get("ensemble")
    if not e or not is_number(e.get("score")) or not facts["members"]:
        return None
    chosen = [m for m in facts["members"] if m["weight"] > 0]
    rows = [
        ("Ensemble", e["score"], True),
        ("Best of them alone", e["best_member"], False),
        ("Mean of them alone", e["mean_member"], False),
    ]
    inside = sum(m["weight"] for m in chosen)
    over_best = scores.gain(e["score"], e["best_member"])
    return {
        "method": e["method"],
        "on": e["on"],
        "score": scores.text(e["score"]),
        "best": scores.text(e["best_member"]),
        "mean": scores.text(e["mean_member"]),
        "over_best": words.signed(over_best, scores.decimals),
        "over_mean": words.signed(scores.gain(e["score"], e["mean_member"]), scores.decimals),
        "gained": over_best is None or over_best > 0,
        "known": over_best is not None,
        "inside": words.percent(inside),
        "elsewhere": words.percent(1 - inside) if chosen and inside < 1 - 1e-3 else "",
        "chosen": len(chosen),
        "recipes": len({m["recipe_id"] for m in chosen}),
        "chart": dot_chart(rows, None, scores),
        "path": _path(e.get("path") or [], e["best_member"], scores),
    }


def _path(path: Sequence[float | None], best: object, scores: Scores) -> dict[str, Any] | None:
    values = [v for v in path if is_number(v)]
    if len(path) < 2 or not values:
        return None
    places = charts.thin(len(path), PATH_POINTS)
    x = charts.axis([1, len(path)], padding=0.02, about=6)
    x = x._replace(ticks=tuple(t for t in x.ticks if "." not in t.text and t.text != "0"))
    y = charts.axis([*values, *([best] if is_number(best) else [])], about=4, upward=True)
    return {
        "x": x,
        "y": y,
        "lines": charts.lines([i + 1 for i in places], [path[i] for i in places], x, y),
        "best": y.at(best) if is_number(best) else None,
        "first": scores.text(path[0]),
        "last": scores.text(path[-1]),
        "steps": len(path),
    }


def recipe_name(recipe: Recipe | None, recipe_id: int) -> str:
    """Return how a recipe is called: by its name if it has one, else by its number."""
    name = (recipe or {}).get("name")
    return f"{name}" if name else f"recipe {recipe_id}"


def _by_recipe(facts: Facts, scores: Scores) -> list[Recipe]:
    """Return the recipes with a score over all their folds, best first: one net's best fold may be luck."""
    return [r for r in scores.best_first(facts["recipes"]) if is_number(r["score"])]


def members(facts: Facts, scores: Scores) -> dict[str, Any]:
    """Return the picture of all members' scores, those of the ensemble above the others."""
    scored = [m for m in facts["members"] if is_number(m["score"])]
    ranked = scores.best_first(scored)
    known = {r["id"]: r for r in facts["recipes"]}
    out: dict[str, Any] = {
        "total": len(facts["members"]),
        "scored": len(scored),
        "chosen": sum(m["weight"] > 0 for m in scored),
        "outside": 0,
        "bands": [],
        "best": None,
    }
    if not ranked:
        return out
    known_scores = [m["score"] for m in scored if is_number(m["score"])]
    best = next(iter(_by_recipe(facts, scores)), None)
    out["best"] = best and {
        "recipe": recipe_name(best, best["id"]),
        "score": scores.text(best["score"]),
        "folds": best["folds"],
    }
    out["median"] = scores.text(charts.quantile(known_scores, 0.5))
    e = facts.get("ensemble")
    together = e["score"] if e and is_number(e.get("score")) else None
    important = [m["score"] for m in scored if m["weight"] > 0] + [ranked[0]["score"]]
    if together is not None:
        important.append(together)
    low, high = charts.robust_limits(known_scores)
    axis = charts.axis([low, high, *important], about=6, padding=0.04, within=scores.within)
    inside = [m for m in scored if is_number(m["score"]) and axis.low <= m["score"] <= axis.high]
    out["outside"] = len(scored) - len(inside)
    heaviest = max((m["weight"] for m in inside), default=0)
    bands = []
    for title, group in (
        ("In the ensemble", [m for m in inside if m["weight"] > 0]),
        ("Not in the ensemble", [m for m in inside if not m["weight"] > 0]),
    ):
        if group:
            bands.append({"title": title, **_band(group, axis, heaviest, known, scores)})
    out |= {"axis": axis, "bands": bands, "better": "right" if scores.greater else "left"}
    out["ensemble"] = axis.at(together) if together is not None else None
    out["statuses"] = sorted({d["status"] for b in bands for d in b["dots"]})
    return out


def _band(
    group: Sequence[Member],
    axis: Axis,
    heaviest: float,
    known: Mapping[int, Recipe],
    scores: Scores,
) -> dict[str, Any]:
    places = [axis.at(m["score"]) for m in group if is_number(m["score"])]
    levels: list[int] = []
    diameter = DOT_SIZES[-1]
    for diameter in DOT_SIZES:
        most = int(STRIP_HEIGHT / diameter) // 2
        levels = charts.swarm(places, 100 * diameter / STRIP_WIDTH, most)
        free = charts.swarm(places, 100 * diameter / STRIP_WIDTH)
        if levels == free:
            break
    middle = max((abs(level) for level in levels), default=0) * diameter + diameter
    dots = []
    for m, x, level in zip(group, places, levels, strict=True):
        name = recipe_name(known.get(m["recipe_id"]), m["recipe_id"])
        tip = f"member {m['id']}: {words.short(name, 40)}, fold {m['fold']}, {scores.text(m['score'])}"
        tip += f", {m['status']}"
        if m["weight"] > 0:
            tip += f", weight {words.percent(m['weight'])}"
        area = m["weight"] / heaviest if heaviest > 0 else 0.0
        radius = diameter / 2 * (0.5 + 0.42 * area**0.5) if m["weight"] > 0 else diameter * 0.36
        dots.append(
            {
                "x": x,
                "y": round(middle + level * diameter, 1),
                "r": round(radius, 2),
                "tip": tip,
                "chosen": m["weight"] > 0,
                "status": m["status"] if m["status"] in words.STATUSES else "finished",
            }
        )
    return {
        "dots": dots,
        "height": round(2 * middle, 1),
        "count": len(group),
        "small": diameter < 6,
    }


def varying_fields(recipes: Sequence[Recipe]) -> list[str]:
    """Return the fields whose values are not the same in all recipes, in the recipes' order."""
    fields = list(dict.fromkeys(f for r in recipes for f in r["recipe"]))
    return [f for f in fields if len({_key(r["recipe"].get(f)) for r in recipes}) > 1]


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def leaderboard(facts: Facts, scores: Scores) -> dict[str, Any]:
    """Return the best recipes with the fields in which recipes differ; the others once."""
    ranked: list[Recipe] = scores.best_first(facts["recipes"])
    varying = varying_fields(ranked)
    columns = sorted(varying, key=_importance)[:COLUMNS_OF_RECIPES]
    shown = [(i, r) for i, r in enumerate(ranked, 1) if i <= RECIPES_SHOWN or r["weight"] > 0]
    heaviest = max((r["weight"] for r in ranked), default=0)
    rows = [
        {
            "rank": i,
            "id": r["id"],
            "name": r["name"],
            "score": scores.text(r["score"]),
            "sort": r["score"] if is_number(r["score"]) else "",
            "folds": r["folds"],
            "weight": words.percent(r["weight"]) if r["weight"] > 0 else words.MISSING,
            "weight_sort": r["weight"],
            "bar": round(100 * r["weight"] / heaviest, 1) if heaviest > 0 else 0,
            "cells": [_cell(r["recipe"].get(f)) for f in columns],
        }
        for i, r in shown
    ]
    fixed_fields = []
    if ranked:
        first = ranked[0]["recipe"]
        fixed_fields = [(f, words.value(first[f])) for f in first if f not in varying]
    return {
        "columns": columns,
        "more_columns": [f for f in varying if f not in columns],
        "rows": rows,
        "total": len(ranked),
        "hidden": len(ranked) - len(shown),
        "fixed": fixed_fields,
    }


def _importance(field: str) -> int:
    return IMPORTANT.index(field) if field in IMPORTANT else len(IMPORTANT)


def _cell(value: Any) -> dict[str, Any]:
    numeric = is_number(value)
    return {"text": words.value(value), "numeric": numeric, "sort": value if numeric else ""}


def learning_curves(facts: Facts, scores: Scores) -> dict[str, Any] | None:
    """Return learning curves of the best members, each of another recipe as far as there are so many."""
    known = {r["id"]: r for r in facts["recipes"]}
    ranked = [
        m
        for m in scores.best_first(facts["members"])
        if is_number(m["score"])
        and any(is_number(v) for k in ("loss", "valid_loss") for v in m["curves"].get(k, []))
    ]
    if not ranked:
        return None
    place = {r["id"]: i for i, r in enumerate(_by_recipe(facts, scores))}
    last = len(place)
    ranked.sort(key=lambda m: (place.get(m["recipe_id"], last), m["fold"]))
    firsts, seen = [], set()
    for m in ranked:
        if m["recipe_id"] not in seen:
            seen.add(m["recipe_id"])
            firsts.append(m)
    others = [m for m in ranked if m not in firsts]
    chosen = (firsts + others)[:PANELS]
    shortened = facts["time_limit"] is not None and _still_improving(facts)
    pool = [
        v
        for m in chosen
        for k in ("loss", "valid_loss")
        for v in m["curves"].get(k, [])
        if is_number(v)
    ]
    epochs = max(len(m["curves"].get(k, [])) for m in chosen for k in ("loss", "valid_loss"))
    low, high = charts.robust_limits(pool, reach=5)
    x = charts.axis([0, max(epochs, 2)], about=4, padding=0)
    y = charts.axis([min(low, *pool), high], about=4, upward=True)
    panels = []
    for m in chosen:
        keep = m["best_epoch"] - 1
        curves = {}
        for name in ("loss", "valid_loss"):
            values = m["curves"].get(name, [])
            places = charts.thin(len(values), charts.CURVE_POINTS, keep)
            curves[name] = charts.lines([i + 1 for i in places], [values[i] for i in places], x, y)
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
                "loss": curves["loss"],
                "valid_loss": curves["valid_loss"],
            }
        )
    return {
        "panels": panels,
        "x": x,
        "y": y,
        "clipped": any(v > y.high for v in pool),
        "one_each": len(firsts) >= len(chosen) and len(chosen) > 1,
        "shortened": shortened,
    }


def _still_improving(facts: Facts) -> bool:
    """Tell whether most nets were best in one of their last epochs: a longer training would have gone on."""
    through = [m for m in facts["members"] if m["status"] == "finished" and m["epochs"]]
    late = [m for m in through if m["best_epoch"] >= 0.9 * m["epochs"]]
    return len(late) > len(facts["members"]) / 2


def recipes(facts: Facts, scores: Scores) -> dict[str, Any]:
    """Return the recipes of the best members beside the default, and what became of all members."""
    ranked: list[Recipe] = scores.best_first(facts["recipes"])
    known = {r["id"]: r for r in ranked}
    leaders = _by_recipe(facts, scores)[:COMPARED]
    chosen: list[tuple[str, str, Mapping[str, Any]]] = [
        (recipe_name(r, r["id"]), scores.text(r["score"]), r["recipe"]) for r in leaders
    ]
    best = chosen[0][2] if chosen else None
    default = next((r for r in ranked if r["name"] == "default"), None)
    if default and default not in leaders:
        chosen.append(("default", scores.text(default["score"]), default["recipe"]))
    fields = [
        f
        for f in dict.fromkeys(f for c in chosen for f in c[2])
        if len({_key(c[2].get(f)) for c in chosen}) > 1
    ]
    rows = []
    for f in fields:
        usual = _key(default["recipe"].get(f)) if default else None
        rows.append(
            {
                "field": f,
                "cells": [
                    {"text": words.value(c[2].get(f)), "changed": usual is not None and usual != _key(c[2].get(f))}
                    for c in chosen
                ],
            }
        )  # fmt: skip
    about_default = None
    if default:
        about_default = {
            "rank": ranked.index(default) + 1,
            "of": len(ranked),
            "score": scores.text(default["score"]),
            "known": is_number(default["score"]),
            "best": scores.text(ranked[0]["score"]),
            "weight": words.percent(default["weight"]) if default["weight"] > 0 else "",
        }
    counts = Counter(m["status"] for m in facts["members"])
    order = [*words.STATUSES, *sorted(set(counts) - set(words.STATUSES))]
    diverged = [
        f"member {m['id']} ({words.short(recipe_name(known.get(m['recipe_id']), m['recipe_id']), 40)}, "
        f"fold {m['fold']})"
        for m in facts["members"]
        if m["status"] == "diverged"
    ]
    return {
        "heads": [{"name": c[0], "score": c[1]} for c in chosen],
        "rows": rows,
        "toml": "".join(f"{k} = {json.dumps(v)}\n" for k, v in best.items()) if best else "",
        "best_name": chosen[0][0] if best else "",
        "default": about_default,
        "statuses": [
            {"name": s, "count": counts[s], "meaning": words.STATUSES.get(s, "")}
            for s in order
            if counts[s]
        ],
        "diverged": diverged[:NAMED_SHOWN],
        "diverged_hidden": max(0, len(diverged) - NAMED_SHOWN),
    }


def data(facts: Facts) -> dict[str, Any]:
    """Return the table's counts, kinds of columns, what was left out, and what is missing."""
    d, target = facts["data"], facts["target"]
    columns: list[Column] = d["columns"]
    kinds = Counter(c["kind"] for c in columns)
    used = Counter(c["kind"] for c in columns if c["used"])
    most = max(kinds.values(), default=1)
    with_missing = sorted(
        (c for c in columns if c["missing"]), key=lambda c: (-c["missing"], c["name"])
    )
    rows = max(d["rows"], 1)
    counts = target.get("class_counts") or []
    classes = [
        {
            "name": str(name),
            "count": n,
            "share": words.percent(n / max(sum(counts), 1)),
            "bar": round(100 * n / max(counts), 1) if max(counts) else 0,
        }
        for name, n in zip(target["classes"], counts, strict=False)
    ]
    classes_shown = classes
    if len(classes) > 30:
        classes_shown = sorted(classes, key=lambda c: -c["count"])[:CLASSES_SHOWN]
    return {
        "kinds": [
            {"name": k, "count": n, "used": used[k], "bar": round(100 * n / most, 1)}
            for k, n in sorted(kinds.items(), key=lambda kn: (-kn[1], kn[0]))
        ],
        "left_out": [c for c in columns if not c["used"]][:COLUMNS_SHOWN],
        "missing": [
            {
                "name": c["name"],
                "count": c["missing"],
                "share": words.percent(c["missing"] / rows),
                "bar": round(min(100 * c["missing"] / rows, 100), 1),
            }
            for c in with_missing[:MISSING_SHOWN]
        ],
        "missing_total": len(with_missing),
        "columns": columns[:COLUMNS_SHOWN],
        "columns_total": len(columns),
        "columns_hidden": max(0, len(columns) - COLUMNS_SHOWN),
        "open": len(columns) <= COLUMNS_OPEN,
        "used": sum(c["used"] for c in columns),
        "classes": classes_shown,
        "classes_hidden": len(classes) - len(classes_shown),
        "what": _what(target["task"], len(target["classes"]), len(target["names"])),
        "split": words.SPLITS.get(d["split"], d["split"]),
    }


def making(facts: Facts) -> dict[str, Any]:
    """Return where the time went."""
    s = facts["seconds"]
    # Compilation is a part of training, and summed over the cores: it has no place in the bar.
    parts = [(k, s[k]) for k in ("reading", "training") if is_number(s.get(k))]
    rest = s["total"] - sum(v for _, v in parts) if is_number(s["total"]) else 0.0
    if rest > 0.005 * sum(v for _, v in parts) and rest > 0.05:
        parts.append(("everything else", rest))
    parts = [(k, max(v, 0.0)) for k, v in parts]
    return {
        "parts": [
            {"name": k, "text": words.duration(v), "start": start, "width": width}
            for (k, v), (start, width) in zip(
                parts, charts.shares([v for _, v in parts]), strict=True
            )
        ],
        "compiling": words.duration(s.get("compiling")),
        "members_seconds": sum(m["seconds"] for m in facts["members"] if is_number(m["seconds"])),
    }


def sections(facts: Facts) -> dict[str, Any]:
    """Return everything that the template shows beside the facts themselves."""
    scores = Scores(facts)
    return {
        "metric": scores.words,
        "better": "higher" if scores.greater else "lower",
        "head": headline(facts, scores),
        "test": metrics(facts, scores),
        "confusion": confusion(facts),
        "scatter": scatter(facts),
        "together": ensemble(facts, scores),
        "strip": members(facts, scores),
        "board": leaderboard(facts, scores),
        "curves": learning_curves(facts, scores),
        "best": recipes(facts, scores),
        "table": data(facts),
        "made": making(facts),
    }
