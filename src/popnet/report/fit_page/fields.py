"""Which settings of a recipe say something: tables know no convolutions, images no periodic columns."""

from __future__ import annotations

from popnet.report.fit_page.facts import FitFacts, RecipeValues
from popnet.spec.recipe import COLOUR, GEOMETRY, NEEDS

STRENGTHS = (*GEOMETRY, *COLOUR, "erasing", "cutmix")
"""Transformations of images; 0 is off."""
CONVOLUTIONAL = tuple(
    f for f, needs in NEEDS.items() if "kind" in needs and "mlp" not in needs["kind"]
)
IMAGES = ("kind", *CONVOLUTIONAL, *STRENGTHS, "elastic_sigma", "fill")
"""Fields that say nothing about a net of a table."""
TABLES = ("numeric_embedding", *(f for f, needs in NEEDS.items() if "numeric_embedding" in needs))
"""Fields that say nothing about a net of images."""


def of_images(facts: FitFacts) -> bool:
    """Say whether the fit is one of images."""
    return any(c.kind == "image" for c in facts.data.columns)


def foreign(facts: FitFacts) -> frozenset[str]:
    """Return the fields that are of no use for this kind of data."""
    return frozenset(TABLES if of_images(facts) else IMAGES)


def of_a_kind(field: str) -> bool:
    """Say whether a field is of some kinds of nets alone."""
    return "kind" in NEEDS.get(field, {})


def idle(field: str, recipe: RecipeValues) -> bool:
    """Say whether a field has no effect in a recipe, as stages of a net that has none, and a strength of 0."""
    if of_a_kind(field):
        return recipe.get("kind", "mlp") not in NEEDS[field]["kind"]
    if field in STRENGTHS:
        return recipe.get(field) == 0
    if field == "elastic_sigma":
        return not recipe.get("elastic_alpha")
    return field == "fill" and not any(recipe.get(f) for f in GEOMETRY)
