"""The table of recipes: the best ones and all that are in the ensemble."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from popnet.report import format
from popnet.report.fit_page.facts import Facts, Recipe
from popnet.report.fit_page.fields import foreign, idle, of_a_kind
from popnet.report.fit_page.ranking import MIN_SHARE, linear_share, recipes_by_score
from popnet.report.fit_page.scores import Scores
from popnet.report.format import is_number

SHOWN = 30
COLUMNS = 5
"""Settings with a column of their own: more do not fit a page or a sheet of paper."""
IMPORTANT = (
    "learning_rate", "kind", "depth", "width", "stages", "patch", "activation", "norm", "dropout",
    "weight_decay",
)  # fmt: skip
"""Settings that get a column first."""


def show(facts: Facts, scores: Scores) -> dict[str, Any]:
    """Return the rows of the recipes and the linear model, and the settings that all recipes share."""
    ranked = recipes_by_score(facts, scores)
    unused = foreign(facts)
    varying = [f for f in varying_fields(ranked) if f not in unused]
    columns = sorted(varying, key=_importance)[:COLUMNS]
    others = [f for f in varying if f not in columns]
    usual = next((r for r in ranked if r["name"] == "default"), None)
    shown = [(i, r) for i, r in enumerate(ranked, 1) if i <= SHOWN or r["weight"] > MIN_SHARE]
    linear = _linear(facts, scores)
    heaviest = max(
        [r["weight"] for r in ranked] + ([linear["weight"]] if linear else []), default=0
    )
    rows = [
        {
            "rank": i,
            "id": r["id"],
            "name": r["name"],
            **_standing(r["score"], r["weight"], heaviest, scores),
            "folds": r["folds"],
            "cells": [_cell(field_value(f, r["recipe"])) for f in columns],
            "others": [
                (f, format.value(v))
                for f in others
                if (v := field_value(f, r["recipe"])) is not None
                and (usual is None or value_key(v) != value_key(usual["recipe"].get(f)))
            ],
        }
        for i, r in shown
    ]  # fmt: skip
    if linear:
        row = {
            "rank": None,
            "id": -1,
            "name": "linear model",
            "folds": None,
            "cells": [],
            "others": [],
        }
        row |= _standing(linear["score"], linear["weight"], heaviest, scores)
        better = [r for _, r in shown if (scores.gain(r["score"], linear["score"]) or 0) > 0]
        rows.insert(len(better) if is_number(linear["score"]) else len(rows), row)
    fixed = (
        [
            (f, format.value(v))
            for f, v in ranked[0]["recipe"].items()
            if f not in varying
            and f not in unused
            and not all(idle(f, r["recipe"]) for r in ranked)
        ]
        if ranked
        else []
    )
    return {
        "columns": columns,
        "others": others,
        "against_default": usual is not None,
        "rows": rows,
        "folds": any(r["folds"] != facts["data"]["folds"] for _, r in shown),
        "total": len(ranked),
        "hidden": len(ranked) - len(shown),
        "more": len(shown) > SHOWN,
        "best": min(SHOWN, len(ranked)),
        "fixed": fixed,
    }  # fmt: skip


def varying_fields(recipes: Sequence[Recipe]) -> list[str]:
    """Return the fields whose values are not the same in all recipes, in the recipes' order."""
    fields = list(dict.fromkeys(f for r in recipes for f in r["recipe"]))
    return [f for f in fields if len({value_key(r["recipe"].get(f)) for r in recipes}) > 1]


def field_value(field: str, recipe: Mapping[str, Any]) -> Any:
    """Return a setting as it is shown: None where the kind of net has no such thing. A strength of 0 is shown."""
    return None if of_a_kind(field) and idle(field, recipe) else recipe.get(field)


def value_key(value: Any) -> str:
    """Return a text by which values of a setting are compared."""
    return json.dumps(value, sort_keys=True, default=str)


def _linear(facts: Facts, scores: Scores) -> Mapping[str, Any] | None:
    """Return the linear model's score and weight if it was a candidate, and if there are recipes beside it."""
    share = linear_share(facts)
    known = facts.get("linear")
    if not facts["recipes"] or not (known or share):
        return None
    return {"score": known and known["score"], "weight": share}


def _standing(score: object, weight: float, heaviest: float, scores: Scores) -> dict[str, Any]:
    """Return the cells of a score and a weight."""
    inside = weight > MIN_SHARE
    return {
        "score": scores.text(score),
        "sort": score if is_number(score) else "",
        "weight": format.percent(weight) if inside else format.MISSING,
        "weight_sort": weight,
        "bar": round(100 * weight / heaviest, 1) if inside else 0,
    }


def _importance(field: str) -> int:
    return IMPORTANT.index(field) if field in IMPORTANT else len(IMPORTANT)


def _cell(value: Any) -> dict[str, Any]:
    numeric = is_number(value)
    return {"text": format.value(value), "numeric": numeric, "sort": value if numeric else ""}
