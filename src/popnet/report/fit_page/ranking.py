"""Which recipes are best, what they are called, and the share of the linear model beside them."""

from __future__ import annotations

from popnet.report.fit_page.facts import BaselineFacts, FitFacts, MemberFacts, RecipeFacts
from popnet.report.fit_page.scores import Scores
from popnet.report.format import is_number

MIN_SHARE = 1e-6
"""A smaller share of the ensemble's weight is rounding."""


def recipes_by_score(facts: FitFacts, scores: Scores) -> list[RecipeFacts]:
    """Return all recipes, best first.

    A recipe is ranked by its score over all folds, as the best fold of many is luck. Those that were not trained on
    all folds stand behind the others, by the mean of what they have.
    """
    own: dict[int, list[float]] = {}
    for m in facts.members:
        if is_number(m.score):
            own.setdefault(m.recipe_id, []).append(m.score)

    def key(recipe: RecipeFacts) -> tuple[int, float, int]:
        values = own.get(recipe.id)
        if is_number(recipe.score):
            part, score = 0, recipe.score
        elif values:
            part, score = 1, sum(values) / len(values)
        else:
            return (2, 0.0, recipe.id)
        return (part, -score if scores.greater else score, recipe.id)

    return sorted(facts.recipes, key=key)


def recipe_name(recipe: RecipeFacts | None, recipe_id: int) -> str:
    """Return how a recipe is called: by its name if it has one, else by its number."""
    return recipe.name if recipe and recipe.name else f"recipe {recipe_id}"


def middle_net(nets: list[MemberFacts]) -> MemberFacts | None:
    """Return a recipe's net of the median score: neither its luckiest fold nor its hardest."""
    scored = [(m.score, m.id, m) for m in nets if is_number(m.score)]
    ranked = sorted(scored, key=lambda item: item[:2])
    return ranked[(len(ranked) - 1) // 2][2] if ranked else None


def linear_share(facts: FitFacts) -> float:
    """Return the linear model's share of the ensemble's weight; 0 if it is no part of it."""
    if facts.linear:
        share = facts.linear.weight
    else:  # what neither nets nor trees hold, the linear model does: nothing else joins an ensemble
        inside = sum(m.weight for m in facts.members) + trees_share(facts)
        share = 1 - inside if is_number(facts.score) else 0.0
    return share if share > MIN_SHARE else 0.0


def trees_share(facts: FitFacts) -> float:
    """Return the boosted trees' share of the ensemble's weight; 0 if they are no part of it."""
    share = facts.trees.weight if facts.trees else 0.0
    return share if share > MIN_SHARE else 0.0


def best_baselines(facts: FitFacts, scores: Scores) -> list[BaselineFacts]:
    """Return the baselines, the strongest first."""
    return scores.best_first(facts.baselines, lambda b: b.metrics.get(scores.name))
