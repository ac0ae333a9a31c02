"""Search strategies: each an iterator of recipes, the default recipe first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from popnet import keys
from popnet.recipe import Recipe
from popnet.search.space import Space

Strategy = Literal["random", "grid"]


def random(space: Space, seed: int) -> Iterator[Recipe]:
    """Yield the default recipe, then random ones for ever, turning through the shapes (Bergstra and Bengio 2012)."""
    yield space.base
    i = 1
    while True:
        yield space.draw(keys.generator(seed, "recipe", i), i % len(space.shapes))
        i += 1


def grid(space: Space, seed: int) -> Iterator[Recipe]:
    """Yield the default recipe, then every point of the grid, in an order shuffled by the seed."""
    yield space.base
    points = [r for r in space.grid() if r != space.base]
    for i in keys.generator(seed, "grid").permutation(len(points)):
        yield points[i]


STRATEGIES: dict[str, Callable[[Space, int], Iterator[Recipe]]] = {"random": random, "grid": grid}
