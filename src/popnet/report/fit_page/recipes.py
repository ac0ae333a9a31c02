"""The best recipes beside the default, one of them as a file, and what became of all nets."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from popnet.report import format, vocabulary
from popnet.report.fit_page.board import field_value, value_key
from popnet.report.fit_page.facts import FitFacts, MemberFacts, RecipeFacts
from popnet.report.fit_page.fields import foreign
from popnet.report.fit_page.ranking import recipe_name, recipes_by_score
from popnet.report.fit_page.scores import Scores
from popnet.report.format import is_number

COMPARED = 3
NAMED = 20
"""Diverged nets that are named."""


@dataclass(frozen=True)
class RecipeHead:
    """A column of the comparison: a recipe and its score."""

    name: str
    score: str


@dataclass(frozen=True)
class ComparedCell:
    """A setting's value; ``changed``: it is not the default's."""

    text: str
    changed: bool


@dataclass(frozen=True)
class ComparedRow:
    """A setting in which the compared recipes differ."""

    field: str
    cells: list[ComparedCell]


@dataclass(frozen=True)
class DefaultStanding:
    """Where the default recipe stands among those that were trained on all folds; ``only``: no other was trained."""

    known: bool
    rank: int | None
    of: int
    only: bool
    score: str
    best: str
    weight: str


@dataclass(frozen=True)
class StatusRow:
    """A status, the number of nets that have it, and what it means."""

    name: str
    count: int
    meaning: str


@dataclass(frozen=True)
class RecipesSection:
    """The comparison, the best recipe as TOML (``whole``: it was trained on all folds), and the nets' statuses."""

    heads: list[RecipeHead]
    rows: list[ComparedRow]
    toml: str
    best_name: str
    whole: bool
    default: DefaultStanding | None
    statuses: list[StatusRow]
    diverged: list[str]
    diverged_hidden: int
    fixes: str


def show(facts: FitFacts, scores: Scores) -> RecipesSection:
    """Return the comparison, the best recipe's TOML, the default's rank, and the counts of statuses."""
    unused = foreign(facts)
    ranked = recipes_by_score(facts, scores)
    known = {r.id: r for r in ranked}
    usable = {m.recipe_id for m in facts.members if is_number(m.score)}
    compared = [r for r in ranked if r.id in usable][:COMPARED]
    best = compared[0] if compared else None
    default = next((r for r in ranked if r.name == "default"), None)
    if default and default not in compared:
        compared.append(default)
    statuses: Counter[str] = Counter(m.status for m in facts.members)
    order = [*vocabulary.STATUSES, *sorted(set(statuses) - set(vocabulary.STATUSES))]
    diverged = [
        f"net {m.id} ({format.short(recipe_name(known.get(m.recipe_id), m.recipe_id), 40)}, fold {m.fold})"
        for m in facts.members
        if m.status == "diverged"
    ]
    return RecipesSection(
        heads=[RecipeHead(recipe_name(r, r.id), scores.text(r.score)) for r in compared],
        rows=[r for r in _differences(compared, default) if r.field not in unused],
        # Strengths of 0 stay: left out of a file, they would be searched anew.
        toml="".join(
            f"{k} = {json.dumps(v)}\n"
            for k, v in (best.recipe if best else {}).items()
            if k not in unused
        ),
        best_name=recipe_name(best, best.id) if best else "",
        whole=best is not None and is_number(best.score),
        default=default and _standing(default, ranked, scores),
        statuses=[
            StatusRow(s, statuses[s], vocabulary.STATUSES.get(s, "")) for s in order if statuses[s]
        ],
        diverged=diverged[:NAMED],
        diverged_hidden=max(0, len(diverged) - NAMED),
        fixes=_advice(facts.members),
    )


def _differences(compared: list[RecipeFacts], default: RecipeFacts | None) -> list[ComparedRow]:
    """Return a row for each setting in which the compared recipes differ."""
    rows: list[ComparedRow] = []
    for f in dict.fromkeys(f for r in compared for f in r.recipe):
        if len({value_key(r.recipe.get(f)) for r in compared}) > 1:
            values = [field_value(f, r.recipe) for r in compared]
            usual = value_key(default.recipe.get(f)) if default else None
            cells = [
                ComparedCell(format.value(v), usual is not None and usual != value_key(v))
                for v in values
            ]
            rows.append(ComparedRow(f, cells))
    return rows


def _standing(default: RecipeFacts, ranked: list[RecipeFacts], scores: Scores) -> DefaultStanding:
    """Return where the default recipe stands among those that were trained on all folds."""
    scored = [r for r in ranked if is_number(r.score)]
    return DefaultStanding(
        known=default in scored,
        rank=scored.index(default) + 1 if default in scored else None,
        of=len(scored),
        only=len(ranked) == 1,
        score=scores.text(default.score),
        best=scores.text(ranked[0].score),
        weight=format.percent(default.weight) if default.weight > 0 else "",
    )


def _advice(nets: list[MemberFacts]) -> str:
    """Return what to do about diverged nets: nothing but a hint, as the others were not disturbed."""
    lost = sum(m.status == "diverged" for m in nets)
    others = "; the others were not disturbed" if lost < len(nets) else ""
    return f"A lower learning rate or gradient clipping usually mends it{others}."
