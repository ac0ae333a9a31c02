"""What a strategy is: it says which recipe is trained on which fold next, and hears how it went."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from popnet.population.members import Result
from popnet.spec.recipe import Recipe


class Run(NamedTuple):
    """A stretch of a member's training: its recipe's number and the recipe, its fold, and the epoch after which it
    pauses (None for its end)."""

    recipe_id: int
    recipe: Recipe
    fold: int
    until: int | None = None


class Strategy(Protocol):
    """Chooses what is trained."""

    def batches(self) -> Iterator[Iterable[Run]]:
        """Yield runs, batch after batch; a batch may be endless, and is drawn from as workers become free."""
        ...

    def tell(self, run: Run, result: Result) -> None:
        """Learn how a run ended."""
        ...

    def dropped(self) -> set[int]:
        """Return the numbers of the recipes that will not be trained on, because others are better."""
        ...


class SequentialStrategy:
    """Trains recipes one after another, each on all folds, whatever the results.

    Args:
        recipes: a sequence, maybe endless.
        folds: of each.
    """

    def __init__(self, recipes: Iterable[Recipe], folds: int) -> None:
        self._recipes, self._folds = recipes, folds

    def batches(self) -> Iterator[Iterable[Run]]:
        """Yield one batch."""
        yield (Run(i, r, fold) for i, r in enumerate(self._recipes) for fold in range(self._folds))

    def tell(self, run: Run, result: Result) -> None:
        """Ignore a result: the order is fixed."""

    def dropped(self) -> set[int]:
        """Return no recipe: all are trained to their end."""
        return set()
