"""Known recipes under a time limit: each has a net of the first fold; the best of them go on to the other folds.

Which embeddings of numbers suit a table is not known before, and makes more of a difference than all else (RMSE of
california -6 %). A net of each recipe on the same rows tells it, and is no detour: it is one of those that are to be
trained anyway, and joins the ensemble beside the whole ones where the first fold holds out enough rows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator

from popnet.population.members import Result
from popnet.spec.recipe import Recipe
from popnet.tuning.strategies.base import Run

SHARE = 1 / 2
"""Largest share of the time that goes into nets of the first fold."""

MIN_RECIPES = 3
"""Recipes that there must be time to compare."""


def n_screened(trainings: float, known: int) -> int:
    """Return how many known recipes are compared on the first fold in time for trainings; 0 for none.

    Args:
        trainings: whole ones that there is time for.
        known: recipes that are known to do well.
    """
    count = min(known, int(SHARE * trainings))
    return count if count >= MIN_RECIPES else 0


class FirstFoldScreening:
    """Compares the first recipes on the first fold, then trains them on the others, the best first; then the rest.

    Args:
        recipes: where recipes come from, maybe endless.
        folds: of each.
        count: recipes that are compared.
    """

    def __init__(self, recipes: Iterable[Recipe], folds: int, count: int) -> None:
        self._recipes, self._folds, self._count = enumerate(recipes), folds, count
        self._scores: dict[int, float] = {}

    def batches(self) -> Iterator[Iterable[Run]]:
        """Yield the nets that are compared, then all others."""
        compared = list(itertools.islice(self._recipes, self._count))
        yield [Run(i, recipe, 0) for i, recipe in compared]
        order = sorted(compared, key=lambda pair: (self._scores.get(pair[0], math.inf), pair[0]))
        yield itertools.chain(
            (Run(i, r, fold) for i, r in order for fold in range(1, self._folds)),
            (Run(i, r, fold) for i, r in self._recipes for fold in range(self._folds)),
        )

    def tell(self, run: Run, result: Result) -> None:
        """Note the validation score of a net that is compared."""
        if run.fold == 0:
            self._scores[run.recipe_id] = result.score

    def dropped(self) -> set[int]:
        """Return none."""
        return set()
