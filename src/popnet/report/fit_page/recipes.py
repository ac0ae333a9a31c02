"""The best recipes beside the default, one of them as a file, and what became of all nets."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from popnet.report import format, vocabulary
from popnet.report.fit_page.board import field_value, value_key
from popnet.report.fit_page.facts import Facts, Member, Recipe
from popnet.report.fit_page.fields import foreign
from popnet.report.fit_page.ranking import recipe_name, recipes_by_score
from popnet.report.fit_page.scores import Scores
from popnet.report.format import is_number

COMPARED = 3
NAMED = 20
"""Diverged nets that are named."""


def show(facts: Facts, scores: Scores) -> dict[str, Any]:
    """Return the comparison, the best recipe's TOML, the default's rank, and the counts of statuses."""
    unused = foreign(facts)
    ranked = recipes_by_score(facts, scores)
    known = {r["id"]: r for r in ranked}
    usable = {m["recipe_id"] for m in facts["members"] if is_number(m["score"])}
    compared = [r for r in ranked if r["id"] in usable][:COMPARED]
    best = compared[0] if compared else None
    default = next((r for r in ranked if r["name"] == "default"), None)
    if default and default not in compared:
        compared.append(default)
    statuses = Counter(m["status"] for m in facts["members"])
    order = [*vocabulary.STATUSES, *sorted(set(statuses) - set(vocabulary.STATUSES))]
    diverged = [
        f"net {m['id']} ({format.short(recipe_name(known.get(m['recipe_id']), m['recipe_id']), 40)}, "
        f"fold {m['fold']})"
        for m in facts["members"]
        if m["status"] == "diverged"
    ]
    return {
        "heads": [
            {"name": recipe_name(r, r["id"]), "score": scores.text(r["score"])} for r in compared
        ],
        "rows": [r for r in _differences(compared, default) if r["field"] not in unused],
        # Strengths of 0 stay: left out of a file, they would be searched anew.
        "toml": "".join(
            f"{k} = {json.dumps(v)}\n"
            for k, v in (best["recipe"] if best else {}).items()
            if k not in unused
        ),
        "best_name": recipe_name(best, best["id"]) if best else "",
        "whole": best is not None and is_number(best["score"]),
        "default": default and _standing(default, ranked, scores),
        "statuses": [
            {"name": s, "count": statuses[s], "meaning": vocabulary.STATUSES.get(s, "")}
            for s in order
            if statuses[s]
        ],
        "diverged": diverged[:NAMED],
        "diverged_hidden": max(0, len(diverged) - NAMED),
        "fixes": _advice(facts["members"]),
    }


def _differences(compared: list[Recipe], default: Recipe | None) -> list[dict[str, Any]]:
    """Return a row for each setting in which the compared recipes differ."""
    rows = []
    for f in dict.fromkeys(f for r in compared for f in r["recipe"]):
        if len({value_key(r["recipe"].get(f)) for r in compared}) > 1:
            values = [field_value(f, r["recipe"]) for r in compared]
            usual = value_key(default["recipe"].get(f)) if default else None
            cells = [
                {"text": format.value(v), "changed": usual is not None and usual != value_key(v)}
                for v in values
            ]
            rows.append({"field": f, "cells": cells})
    return rows


def _standing(default: Recipe, ranked: list[Recipe], scores: Scores) -> dict[str, Any]:
    """Return where the default recipe stands among those that were trained on all folds."""
    scored = [r for r in ranked if is_number(r["score"])]
    return {
        "known": default in scored,
        "rank": scored.index(default) + 1 if default in scored else None,
        "of": len(scored),
        "only": len(ranked) == 1,
        "score": scores.text(default["score"]),
        "best": scores.text(ranked[0]["score"]),
        "weight": format.percent(default["weight"]) if default["weight"] > 0 else "",
    }


def _advice(nets: list[Member]) -> str:
    """Return what to do about diverged nets: nothing but a hint, as the others were not disturbed."""
    lost = sum(m["status"] == "diverged" for m in nets)
    others = "; the others were not disturbed" if lost < len(nets) else ""
    return f"A lower learning rate or gradient clipping usually mends it{others}."
