"""Recipes drawn without regard to results: each draw an iterator of recipes, those first that are known to do well."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from popnet.runtime import keys
from popnet.spec.recipe import Recipe
from popnet.tuning.space.space import Space

SOBOL_BLOCK = 64
"""Points that are drawn at once; a power of two, as the sequence wants."""


def random(space: Space, seed: int) -> Iterator[Recipe]:
    """Yield known recipes, then random ones for ever, turning through the shapes (Bergstra and Bengio 2012)."""
    yield from space.known()
    for i in itertools.count(1):
        units = keys.generator(seed, "recipe", i).random(len(space.dimensions))
        yield space.at(units, i % len(space.shapes))


def sobol(space: Space, seed: int) -> Iterator[Recipe]:
    """Yield known recipes, then the points of a scrambled Sobol sequence, which cover the space evenly.

    Sobol 1967; Owen 1995. Each shape has a sequence of its own, so that each is covered.
    """
    from scipy.stats import qmc

    yield from space.known()
    if not space.dimensions:
        yield from (space.at((), shape) for shape in range(1, len(space.shapes)))
        return
    samplers: list[Any] = [
        qmc.Sobol(len(space.dimensions), rng=int(keys.key(seed, "sobol", shape)))
        for shape in range(len(space.shapes))
    ]
    while True:
        blocks: list[list[list[float]]] = [s.random(SOBOL_BLOCK).tolist() for s in samplers]
        for points in zip(*blocks, strict=True):
            yield from (space.at(units, shape) for shape, units in enumerate(points))


def grid(space: Space, seed: int) -> Iterator[Recipe]:
    """Return the default recipe, then every point of the grid, in an order shuffled by the seed."""
    points = [r for r in space.grid() if r != space.base]  # refuses too large a grid at once
    order: list[int] = keys.generator(seed, "grid").permutation(len(points)).tolist()
    return itertools.chain([space.base], (points[i] for i in order))


DRAWS: dict[str, Callable[[Space, int], Iterator[Recipe]]] = {
    "random": random,
    "sobol": sobol,
    "grid": grid,
}
