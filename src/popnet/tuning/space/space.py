"""The search space: a default recipe, and for each hyper-parameter that is searched its range and its condition."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from popnet.errors import InputError
from popnet.spec.recipe import NEEDS, Fields, FieldValue, Recipe
from popnet.tuning.space import ranges
from popnet.tuning.space.ranges import Range

MAX_GRID = 100_000
"""Recipes of a grid, at most."""

GRID_POINTS = 3
"""Values of a continuous range in a grid."""


@dataclass(frozen=True)
class Dimension:
    """One hyper-parameter that is searched.

    Attributes:
        field: of a recipe.
        range: its values.
        when: fields and their values, with which alone it is searched; otherwise it keeps the default recipe's value.
            What it needs to have an effect at all (`popnet.spec.recipe.NEEDS`) is understood.
        source: where the range comes from.
    """

    field: str
    range: Range
    when: Mapping[str, tuple[FieldValue, ...]] = dataclasses.field(
        default_factory=dict[str, tuple[FieldValue, ...]]
    )
    source: str = ""

    @property
    def needs(self) -> dict[str, tuple[FieldValue, ...]]:
        """Return all its conditions, with those without which the field has no effect."""
        return {**NEEDS.get(self.field, {}), **self.when}

    def holds(self, recipe: Mapping[str, FieldValue]) -> bool:
        """Say whether it is searched in a recipe with these fields."""
        return all(recipe[f] in values for f, values in self.needs.items())


@dataclass(frozen=True)
class Space:
    """Where recipes are drawn from.

    Attributes:
        base: the default recipe for this data, always the first; fields that are not searched keep its values.
        dimensions: what is searched; a condition's field stands before those that depend on it.
        shapes: changes of structure that the search turns through; few, because each costs a compilation.
        axes: fields of the grid and their values; None takes those of `dimensions`.
        portfolio: changes of recipes that are known to do well, which a search tries after the default recipe.
    """

    base: Recipe
    dimensions: tuple[Dimension, ...]
    shapes: tuple[Fields, ...] = ({},)
    axes: Mapping[str, Sequence[FieldValue]] | None = None
    portfolio: tuple[Fields, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "dimensions", _ordered(self.dimensions))

    def at(self, units: Iterable[float], shape: int = 0) -> Recipe:
        """Return the recipe at a place of the unit cube.

        Args:
            units: a number from 0 to 1 for each dimension.
            shape: place in `shapes`.
        """
        changes: Fields = dict(self.shapes[shape])
        for dimension, unit in zip(self.dimensions, units, strict=True):
            changes[dimension.field] = dimension.range.at(float(unit))
        return self.recipe(changes)

    def recipe(self, changes: Mapping[str, FieldValue]) -> Recipe:
        """Return the default recipe with changes, less those whose condition does not hold."""
        changes, base = dict(changes), self.base.model_dump()
        for dimension in self.dimensions:
            if dimension.field in changes and not dimension.holds({**base, **changes}):
                del changes[dimension.field]
        kept = self.base.model_dump(exclude_unset=True)
        if changes.get("optimizer", self.base.optimizer) == "adam":
            kept.pop("weight_decay", None)
        return Recipe(**{**kept, **changes})

    def known(self) -> list[Recipe]:
        """Return the recipes that are tried first: the default one and the portfolio, each once."""
        return list(dict.fromkeys([self.base, *map(self.recipe, self.portfolio)]))

    def shape_of(self, recipe: Recipe) -> int | None:
        """Return the place in `shapes` of a recipe's structure; None if it is none of them."""
        searched = {d.field for d in self.dimensions}
        for place, shape in enumerate(self.shapes):
            same = (
                getattr(recipe, f) == shape.get(f, getattr(self.base, f))
                for f in Recipe.structure_fields
                if f not in searched
            )
            if all(same):
                return place
        return None

    def grid_axes(self) -> Mapping[str, Sequence[FieldValue]]:
        """Return the values that a grid has of each field."""
        return _axes(self.dimensions) if self.axes is None else self.axes

    def grid_size(self) -> int:
        """Return the number of points of the full factorial; conditions may make some of them equal."""
        return len(self.shapes) * math.prod(len(v) for v in self.grid_axes().values())

    def grid(self) -> Iterator[Recipe]:
        """Yield the full factorial, each recipe once.

        Raises:
            InputError: it has more than `MAX_GRID` points.
        """
        axes = self.grid_axes()
        if (size := self.grid_size()) > MAX_GRID:
            counts = {"structures": len(self.shapes), **{k: len(v) for k, v in axes.items()}}
            sizes = " x ".join(f"{name} {count}" for name, count in counts.items() if count > 1)
            raise InputError(
                f"The grid has {size:,} recipes ({sizes}); at most {MAX_GRID:,} can be trained. Set fewer ranges, "
                "or search at random."
            )
        seen: set[str] = set()
        for shape in self.shapes:
            for values in itertools.product(*axes.values()):
                recipe = self.recipe({**shape, **dict(zip(axes, values, strict=True))})
                if (key := recipe.to_json()) not in seen:
                    seen.add(key)
                    yield recipe

    def having(self, own: Sequence[Dimension]) -> Space:
        """Return the space with a user's own ranges in place of its, or beside them. A grid is of those alone.

        There is no portfolio then: its recipes may lie outside of them.

        Raises:
            InputError: conditions depend on each other in a circle.
        """
        if not own:
            return self
        names = {d.field for d in own}
        others = tuple(d for d in self.dimensions if d.field not in names)
        shapes = tuple(s for s in self.shapes if not s.keys() & names) or ({},)
        return replace(
            self, dimensions=(*others, *own), shapes=shapes, axes=_axes(own), portfolio=()
        )

    def without(self, fixed: frozenset[str]) -> Space:
        """Return the space in which some fields keep the default recipe's values."""
        return replace(
            self,
            dimensions=tuple(d for d in self.dimensions if d.field not in fixed),
            shapes=tuple(s for s in self.shapes if not s.keys() & fixed),
            axes=None
            if self.axes is None
            else {name: values for name, values in self.axes.items() if name not in fixed},
            portfolio=tuple(
                {f: v for f, v in changes.items() if f not in fixed} for changes in self.portfolio
            ),
        )

    def fixes(self, *names: str) -> bool:
        """Return whether all recipes have the default one's values of some fields."""
        searched = {d.field for d in self.dimensions}.union(
            *self.shapes, *self.portfolio, self.axes or ()
        )
        return searched.isdisjoint(names)

    def to_json(self) -> dict[str, Any]:
        """Return the space as plain JSON; see `from_json`."""
        return {
            "base": self.base.model_dump(exclude_unset=True),
            "dimensions": [
                {
                    "field": d.field, "range": ranges.to_json(d.range), "source": d.source,
                    "when": {f: list(values) for f, values in d.when.items()},
                }
                for d in self.dimensions
            ],
            "shapes": list(self.shapes),
            "axes": None if self.axes is None else {f: list(v) for f, v in self.axes.items()},
            "portfolio": list(self.portfolio),
        }  # fmt: skip

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Space:
        """Return the space that `to_json` wrote."""
        dimensions = tuple(
            Dimension(
                d["field"], ranges.from_json(d["range"]),
                {f: tuple(values) for f, values in d["when"].items()}, d["source"],
            )
            for d in content["dimensions"]
        )  # fmt: skip
        return cls(
            Recipe(**content["base"]), dimensions, tuple(content["shapes"]), content["axes"],
            tuple(content["portfolio"]),
        )  # fmt: skip


def refuse_fixed(recipe: Recipe | None, own: Iterable[Dimension]) -> None:
    """Raise `InputError` if a field is set in a recipe, so kept, and has a range of the user's, too."""
    kept: set[str] = set() if recipe is None else recipe.model_fields_set
    for dimension in own:
        if dimension.field in kept:
            raise InputError(f"'{dimension.field}' is fixed and has a range, too; leave one out.")


def _axes(dimensions: Iterable[Dimension]) -> dict[str, list[FieldValue]]:
    return {d.field: d.range.points(GRID_POINTS) for d in dimensions}


def _ordered(dimensions: Sequence[Dimension]) -> tuple[Dimension, ...]:
    """Return dimensions so that each stands after those it depends on, else in their order."""
    waiting = list(dimensions)
    found: list[Dimension] = []
    while waiting:
        names = {d.field for d in waiting}
        free = [d for d in waiting if not names & d.needs.keys() - {d.field}]
        if not free:
            circle = ", ".join(sorted(names))
            raise InputError(f"The conditions of {circle} depend on each other in a circle.")
        found += free
        waiting = [d for d in waiting if d not in free]
    return tuple(found)
