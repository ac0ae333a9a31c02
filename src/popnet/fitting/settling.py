"""When a search ends by itself: the ensemble of what was trained is no longer made better by more recipes.

The ensemble is chosen anew after each recipe that is through with all folds, as it will be at the end (Caruana et al.
2004), and early stopping's rule is applied to its held-out loss: with recipes in the place of epochs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set as AbstractSet

import numpy as np

from popnet import ensemble, keys
from popnet.fitting.candidates import Candidate, Candidates
from popnet.metrics import METRICS

LEAST_GAIN = 0.001
"""Share of the loss that counts as better: greedy selection among more recipes gains a little by luck alone."""

ROWS = 5000
"""Of the held-out rows, at most, that the loss is of: it is taken after each recipe while nets are in training."""

STEPS = 25
"""Of each greedy selection."""


class Settling:
    """Follows the loss of the ensemble as recipes come in.

    Recipes are looked at in the order of their numbers, whichever ended first, so that a search with the same seed ends
    at the same recipe whatever the number of workers.

    Args:
        candidates: what is trained, as it comes.
        patience: recipes through with all folds that may fail to make the ensemble better.
        seed: of the choice of rows.

    Attributes:
        losses: of the ensemble of the first, the first two, ... recipes that were through with all folds.
        last: number of the recipe at which the ensemble had settled; None if it has not yet.
    """

    def __init__(self, candidates: Candidates, patience: int, seed: int) -> None:
        self._candidates, self._patience = candidates, patience
        self._rows = np.arange(len(candidates.rows))
        if len(self._rows) > ROWS:
            draw = keys.generator(seed, "settling")
            self._rows = np.sort(draw.choice(self._rows, ROWS, replace=False))
        self._ended: Counter[int] = Counter()
        self._next = 0
        self._best, self._waited = np.inf, 0
        self._predictions: list[np.ndarray] = []
        self.losses: list[float] = []
        self.last: int | None = None

    def note(self, recipe_id: int, dropped: AbstractSet[int]) -> bool:
        """Take note that a member ended; return whether the ensemble has settled.

        Args:
            recipe_id: number of its recipe.
            dropped: numbers of the recipes that a race has taken out.
        """
        self._ended[recipe_id] += 1
        folds = len(self._candidates.table.folds)
        while self.last is None and (self._ended[self._next] >= folds or self._next in dropped):
            candidate = self._candidates.by_id.get(self._next)
            if candidate is not None and self._candidates.is_complete(candidate):
                self.losses.append(self._loss_with(candidate))
                self._wait()
            self._next += 1
        return self.last is not None

    def forget_later(self) -> None:
        """Let go of the recipes that come after the one at which the ensemble had settled."""
        assert self.last is not None
        for found in (self._candidates.by_id, self._candidates.late, self._candidates.scores):
            for i in [i for i in found if i > self.last]:
                del found[i]

    def _wait(self) -> None:
        loss = self.losses[-1]
        if len(self.losses) == 1 or self._best - loss > LEAST_GAIN * self._best:
            self._best, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited >= self._patience:
            self.last = self._next

    def _loss_with(self, candidate: Candidate) -> float:
        """Return the held-out loss of the ensemble of all recipes so far and one more: 0 is the best there is."""
        metric = self._candidates.metric
        judge = METRICS[metric.chosen_by or metric.name]
        true, predicted = self._candidates.truth(candidate.predictions)
        self._predictions.append(np.asarray(predicted[self._rows], np.float32))
        true, weights = true[self._rows], self._candidates.pool_weights()
        weights = None if weights is None else weights[self._rows]
        every = np.stack(self._predictions)
        chosen = ensemble.greedy(every, true, metric, weights, steps=STEPS)
        loss = judge.loss(true, ensemble.combine(every, chosen.weights), weights)
        return 1 + loss if judge.greater_is_better else loss
