"""When a search ends by itself: the ensemble of what was trained is no longer made better by more recipes.

The ensemble is chosen anew, greedily (Caruana et al. 2004), after each recipe that is trained on all folds, and early
stopping's rule is applied to its log-loss, or root mean squared error, of held-out rows: with recipes in the place of
epochs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set as AbstractSet

import numpy as np

from popnet.fitting.candidates import Candidates, some_rows
from popnet.fitting.preview import together

MIN_GAIN = 0.001
"""Share of the loss that counts as better: greedy selection among more recipes gains a little by luck alone."""

ROWS = 5000
"""Of the held-out rows, at most, that the loss is of: it is taken after each recipe while nets are in training."""

STEPS = 25
"""Of each greedy selection."""


class SearchEarlyStopping:
    """Follows the loss of the ensemble as recipes come in.

    Args:
        candidates: what is trained, as it comes.
        patience: recipes that may fail to make the ensemble better: those that are trained on all folds, and those of
            which a fold failed.
        seed: of the choice of rows.
        in_order: whether recipes are looked at in the order of their numbers, whichever ended first, so that a search
            with the same seed ends at the same recipe whatever the number of workers; else as they come.

    Attributes:
        losses: of the ensemble of the first, the first two, ... recipes that were trained on all folds.
        seen: recipes that were looked at.
        last: number of the recipe at which the ensemble had settled; None if it has not yet.
    """

    def __init__(
        self, candidates: Candidates, patience: int, seed: int, in_order: bool = True
    ) -> None:
        self._candidates, self._patience, self._in_order = candidates, patience, in_order
        self._rows = some_rows(len(candidates.rows), ROWS, seed, "settling")
        self._ended: Counter[int] = Counter()
        self._next = 0
        self._best, self._waited = np.inf, 0
        self._waiting: dict[int, np.ndarray | None] = {}
        self._predictions: list[np.ndarray] = []
        self.losses: list[float] = []
        self.seen = 0
        self.last: int | None = None

    def note(self, recipe_id: int, dropped: AbstractSet[int]) -> bool:
        """Take note that a member ended; return whether the ensemble has settled.

        Args:
            recipe_id: number of its recipe.
            dropped: numbers of the recipes that successive halving has dropped, which are looked at no more.
        """
        self._ended[recipe_id] += 1
        if self._ended[recipe_id] == len(self._candidates.table.folds):
            found = self._candidates.by_id.get(recipe_id)
            complete = found is not None and self._candidates.is_complete(found)
            predictions = found.predictions[self._rows].copy() if found and complete else None
            if not self._in_order:
                self._look_at(recipe_id, predictions)
                return self.last is not None
            self._waiting[recipe_id] = predictions  # it may be dropped before its turn
        while self.last is None and (self._next in self._waiting or self._next in dropped):
            if self._next in self._waiting:
                self._look_at(self._next, self._waiting.pop(self._next))
            self._next += 1
        return self.last is not None

    def forgets(self, recipe_id: int) -> bool:
        """Return whether a recipe comes after the one at which the ensemble had settled, and they are in order."""
        return self._in_order and self.last is not None and recipe_id > self.last

    def forget_later(self) -> None:
        """Let go of the candidates that `forgets` says."""
        for found in (self._candidates.by_id, self._candidates.late, self._candidates.scores):
            for i in [i for i in found if self.forgets(i)]:
                del found[i]

    def _look_at(self, recipe_id: int, predictions: np.ndarray | None) -> None:
        """Look at a recipe by its predictions of held-out rows; None if it failed."""
        self.seen += 1
        if predictions is not None:
            self._predictions.append(predictions)
            loss = self._loss()
            self.losses.append(loss)
            if len(self.losses) == 1 or self._best - loss > MIN_GAIN * self._best:
                self._best, self._waited = loss, 0
                return
        self._waited += 1
        if self._waited >= self._patience:
            self.last = recipe_id

    def _loss(self) -> float:
        """Return the held-out loss of the ensemble of all recipes so far."""
        return together(self._candidates, self._predictions, self._rows, STEPS).loss
