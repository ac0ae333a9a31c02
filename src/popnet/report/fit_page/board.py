"""The table of recipes: the best ones and all that are in the ensemble."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from popnet.model.facts import Score
from popnet.report import format
from popnet.report.fit_page.facts import FitFacts, RecipeFacts, RecipeValues
from popnet.report.fit_page.fields import foreign, idle, of_a_kind
from popnet.report.fit_page.ranking import (
    MIN_SHARE,
    linear_share,
    recipes_by_score,
    trees_share,
)  # fmt: skip
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


@dataclass(frozen=True)
class SettingCell:
    """A setting's value as text; a number is sorted by itself."""

    text: str
    numeric: bool
    sort: float | str


@dataclass(frozen=True)
class Standing:
    """A score and a weight as texts, what they are sorted by, and the weight's bar in per cent of the largest."""

    score: str
    sort: float | str
    weight: str
    weight_sort: float
    bar: float


@dataclass(frozen=True)
class BoardRow:
    """A recipe, or boosted trees or the linear model, which have neither rank nor folds nor settings."""

    rank: int | None
    id: int
    name: str
    standing: Standing
    folds: int | None
    cells: list[SettingCell]
    others: list[tuple[str, str]]


@dataclass(frozen=True)
class Board:
    """The table.

    ``columns`` are the settings that have one, ``others`` those that differ besides, which are shown where they are not
    the default's (``against_default``), ``fixed`` those that all recipes share. ``folds`` says whether numbers of folds
    are worth a column, ``more`` whether recipes beyond the ``best`` ones are shown.
    """

    columns: list[str]
    others: list[str]
    against_default: bool
    rows: list[BoardRow]
    folds: bool
    total: int
    hidden: int
    more: bool
    best: int
    fixed: list[tuple[str, str]]


def show(facts: FitFacts, scores: Scores) -> Board:
    """Return the rows of the recipes and of what was no net, and the settings that all recipes share."""
    ranked = recipes_by_score(facts, scores)
    unused = foreign(facts)
    varying = [f for f in varying_fields(ranked) if f not in unused]
    columns = sorted(varying, key=_importance)[:COLUMNS]
    others = [f for f in varying if f not in columns]
    default = next((r for r in ranked if r.name == "default"), None)
    shown = [(i, r) for i, r in enumerate(ranked, 1) if i <= SHOWN or r.weight > MIN_SHARE]
    beside = _others(facts)
    heaviest = max([*(r.weight for r in ranked), *(weight for _, _, weight in beside)], default=0)
    rows = [
        BoardRow(
            rank=i,
            id=r.id,
            name=r.name,
            standing=_standing(r.score, r.weight, heaviest, scores),
            folds=r.folds,
            cells=[_cell(field_value(f, r.recipe)) for f in columns],
            others=[
                (f, format.value(v))
                for f in others
                if (v := field_value(f, r.recipe)) is not None
                and (default is None or value_key(v) != value_key(default.recipe.get(f)))
            ],
        )
        for i, r in shown
    ]
    for k, (name, score, weight) in enumerate(beside):
        standing = _standing(score, weight, heaviest, scores)
        better = [row for row in rows if (scores.gain(_sorted_by(row), score) or 0) > 0]
        rows.insert(
            len(better) if is_number(score) else len(rows),
            BoardRow(None, -1 - k, name, standing, None, [], []),
        )
    return Board(
        columns=columns,
        others=others,
        against_default=default is not None,
        rows=rows,
        folds=any(r.folds != facts.data.folds for _, r in shown),
        total=len(ranked),
        hidden=len(ranked) - len(shown),
        more=len(shown) > SHOWN,
        best=min(SHOWN, len(ranked)),
        fixed=[
            (f, format.value(v))
            for f, v in (ranked[0].recipe if ranked else {}).items()
            if f not in varying and f not in unused and not all(idle(f, r.recipe) for r in ranked)
        ],
    )


def varying_fields(recipes: Sequence[RecipeFacts]) -> list[str]:
    """Return the fields whose values are not the same in all recipes, in the recipes' order."""
    fields = list(dict.fromkeys(f for r in recipes for f in r.recipe))
    return [f for f in fields if len({value_key(r.recipe.get(f)) for r in recipes}) > 1]


def field_value(field: str, recipe: RecipeValues) -> object:
    """Return a setting as it is shown: None where the kind of net has no such thing. A strength of 0 is shown."""
    return None if of_a_kind(field) and idle(field, recipe) else recipe.get(field)


def value_key(value: object) -> str:
    """Return a text by which values of a setting are compared."""
    return json.dumps(value, sort_keys=True, default=str)


def _others(facts: FitFacts) -> list[tuple[str, Score, float]]:
    """Return name, score and weight of candidates that are no nets, if there are recipes beside them."""
    if not facts.recipes:
        return []
    found: list[tuple[str, Score, float]] = []
    if facts.trees:
        found.append(("boosted trees", facts.trees.score, trees_share(facts)))
    if facts.linear or linear_share(facts):
        score = facts.linear.score if facts.linear else None
        found.append(("linear model", score, linear_share(facts)))
    return found


def _sorted_by(row: BoardRow) -> Score:
    """Return a row's score, None if it has none."""
    return row.standing.sort if is_number(row.standing.sort) else None


def _standing(score: object, weight: float, heaviest: float, scores: Scores) -> Standing:
    """Return the cells of a score and a weight."""
    inside = weight > MIN_SHARE
    return Standing(
        score=scores.text(score),
        sort=score if is_number(score) else "",
        weight=format.percent(weight) if inside else format.MISSING,
        weight_sort=weight,
        bar=round(100 * weight / heaviest, 1) if inside else 0,
    )


def _importance(field: str) -> int:
    return IMPORTANT.index(field) if field in IMPORTANT else len(IMPORTANT)


def _cell(value: object) -> SettingCell:
    numeric = is_number(value)
    return SettingCell(format.value(value), numeric, value if numeric else "")
