"""Races: recipes are compared at rungs, and the worst are not trained on.

On the first fold by successive halving (Jamieson and Talwalkar 2016): many recipes for a few epochs, the better half
of them for twice as many, and so on. Those that get through go on to the other folds, and after each of them a recipe
leaves whose folds say so: by a paired test against the best (as in F-race, Birattari et al. 2002), not by one lucky
fold.

In the search "portfolio" recipes that are known to do well go first, without rungs and tests, each on all folds. They
are good and unlike each other, which is what an ensemble wants. Where the time has no room for a race after them, there
is none (in 60 s on otto, california and wine_quality, races from the start had 1 % more of log-loss or RMSE).

Everything is decided when all runs of a rung have ended: a race goes the same way whatever the number of workers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator

import numpy as np

from popnet.population.members import Result
from popnet.spec.recipe import Recipe
from popnet.tuning.strategies.base import Run

BRACKET = 16
"""Recipes that start side by side, at most."""

ETA = 2
"""One recipe in so many gets through a rung."""

RUNGS = (1 / 4, 1 / 2)
"""Shares of a recipe's epochs after which recipes are compared on the first fold; then at their end."""

SPARE = 0.1
"""Share of the time for a bracket that is left free: what an epoch takes is measured on one or two."""

FINALISTS = 4
"""Recipes of a bracket that get through, at least if there is time for so many: an ensemble wants several."""

MIN_KNOWN = 2
"""Known recipes that there must be time for, or all start in the race."""

LEVEL = 0.05
"""Significance level of the test that takes a recipe out after a fold."""


def starts(trainings: float, folds: int) -> int:
    """Return how many recipes can start in a race that costs as much as so many whole trainings."""
    return math.ceil(BRACKET * trainings / _cost(BRACKET, FINALISTS, folds))


def bracket(trainings: float | None, folds: int, epochs: int) -> tuple[int, int]:
    """Return how many recipes start side by side and how many of them get through at least, in time for trainings.

    Args:
        trainings: whole ones that there is time for; None for no limit.
        folds: of a recipe.
        epochs: of a whole training.
    """
    if trainings is None:
        return BRACKET, FINALISTS
    finalists = int(np.clip(np.ceil(trainings // folds / 2), 1, FINALISTS))
    size = BRACKET
    while size > finalists and _cost(size, finalists, folds, epochs) > (1 - SPARE) * trainings:
        size -= 1
    return size, finalists


def n_portfolio_first(trainings: float | None, folds: int, known: int) -> int:
    """Return how many of the known recipes are trained first, each on all folds, in time for trainings.

    Args:
        trainings: whole ones that there is time for; None for no limit.
        folds: of a recipe.
        known: recipes that are known to do well.
    """
    time = math.inf if trainings is None else (1 - SPARE) * trainings
    size = int(min(known, time / folds))
    return size if size >= MIN_KNOWN else 0


def has_room(trainings: float | None, folds: int, known: int) -> bool:
    """Return whether there is time for a whole race after so many recipes on all folds."""
    left = math.inf if trainings is None else trainings - known * folds
    return left >= _cost(BRACKET, FINALISTS, folds)


def _cost(size: int, finalists: int, folds: int, epochs: int | None = None) -> float:
    """Return the whole trainings that a bracket costs, if no test over folds takes a recipe out.

    A rung is after whole epochs, which makes a difference where there are few; None for many.
    """
    cost, passed = 0.0, 0.0
    for share in RUNGS:
        until = share if epochs is None else math.ceil(share * epochs) / epochs
        cost += size * (until - passed)
        size, passed = _through(size, finalists), until
    return cost + size * (folds - passed)


def _through(size: int, finalists: int) -> int:
    """Return how many of so many recipes get through a rung: the better half, not fewer than the finalists."""
    return max(min(finalists, size), math.ceil(size / ETA))


class Halving:
    """Successive halving on the first fold, a paired race over the others; bracket after bracket.

    Args:
        recipes: where recipes come from, maybe endless.
        folds: that a recipe is trained on if it gets through.
        size: recipes that start side by side.
        finalists: of them get through at least.
        known: of the first recipes, which are trained without rungs and tests.
    """

    def __init__(
        self, recipes: Iterable[Recipe], folds: int, size: int = BRACKET, finalists: int = FINALISTS, known: int = 0
    ) -> None:  # fmt: skip
        self._known = known
        self._recipes = enumerate(recipes)
        self._folds, self._size, self._finalists = folds, size, finalists
        self._scores: dict[tuple[int, int], float] = {}
        self._ended: set[tuple[int, int]] = set()
        self._dropped: set[int] = set()

    def batches(self) -> Iterator[Iterable[Run]]:
        """Yield the runs of one rung after another."""
        known = list(itertools.islice(self._recipes, self._known))
        if known:
            yield [Run(i, r, fold) for i, r in known for fold in range(self._folds)]
        while alive := dict(itertools.islice(self._recipes, self._size)):
            for share in RUNGS:
                runs = [Run(i, r, 0, math.ceil(share * r.epochs)) for i, r in alive.items()]
                yield from self._open(runs)
                alive = self._halved(alive)
            for fold in range(self._folds):
                if len(alive) == 1:  # nothing is left to decide, so no worker need wait for another
                    ((i, recipe),) = alive.items()
                    yield from self._open([Run(i, recipe, f) for f in range(fold, self._folds)])
                    break
                yield from self._open([Run(i, r, fold) for i, r in alive.items()])
                alive = self._tested(alive, fold + 1)

    def tell(self, run: Run, result: Result) -> None:
        """Note a run's validation score: of its best epoch so far."""
        if result.status != "paused":
            self._ended.add((run.recipe_id, run.fold))
        self._scores[run.recipe_id, run.fold] = result.score

    def dropped(self) -> set[int]:
        """Return the recipes that have left the race."""
        return set(self._dropped)

    def _open(self, runs: list[Run]) -> Iterator[list[Run]]:
        """Yield those runs whose member has not ended by itself yet, as one batch."""
        if left := [r for r in runs if (r.recipe_id, r.fold) not in self._ended]:
            yield left

    def _halved(self, alive: dict[int, Recipe]) -> dict[int, Recipe]:
        """Return the better half by the first fold, not fewer than the finalists."""
        keep = _through(len(alive), self._finalists)
        order = sorted(alive, key=lambda i: (self._scores.get((i, 0), math.inf), i))
        return self._go_on(alive, set(order[:keep]))

    def _tested(self, alive: dict[int, Recipe], folds: int) -> dict[int, Recipe]:
        """Return the recipes that the folds trained so far do not show to be worse than the best."""
        scores = {i: [self._scores.get((i, f), math.inf) for f in range(folds)] for i in alive}
        table = np.array([scores[i] for i in alive])
        worse = significantly_worse(table, self._folds)
        return self._go_on(alive, {i for i, out in zip(alive, worse, strict=True) if not out})

    def _go_on(self, alive: dict[int, Recipe], kept: set[int]) -> dict[int, Recipe]:
        self._dropped |= alive.keys() - kept
        return {i: r for i, r in alive.items() if i in kept}


def significantly_worse(scores: np.ndarray, folds: int, level: float = LEVEL) -> np.ndarray:
    """Say which recipes are worse than the best by a paired one-sided t test over folds.

    The variance heeds that folds share training rows (Nadeau and Bengio 2003), and the level is divided by the number
    of recipes tested (Bonferroni).

    Args:
        scores: ``(recipes, folds so far)``, smaller is better; infinite where a training failed.
        folds: of the whole cross-validation.
        level: of the test.

    Returns:
        ``(recipes,)`` bool. A recipe with a failed fold is worse if another has none; the best never is.
    """
    from scipy import stats

    failed = np.asarray(~np.isfinite(scores).all(1))
    if failed.all():
        return np.zeros(len(scores), bool)
    count = scores.shape[1]
    best = int(np.argmin(np.where(failed[:, None], np.inf, scores).mean(1)))
    if count < 2:
        return failed
    with np.errstate(invalid="ignore", divide="ignore"):
        differences = scores - scores[best]
        spread = differences.std(1, ddof=1) * np.sqrt(1 / count + 1 / max(folds - 1, 1))
        t = differences.mean(1) / spread
    limit = stats.t.ppf(1 - level / max(len(scores) - 1, 1), count - 1)
    return failed | ((t > limit) & (np.arange(len(scores)) != best))
