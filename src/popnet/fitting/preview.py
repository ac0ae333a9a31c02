"""How good the ensemble would be if training ended now, for people who watch it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from popnet.fitting.candidates import Candidates, some_rows
from popnet.predictions import ensemble
from popnet.predictions.metrics import METRICS, Metric

ROWS, RECIPES, STEPS = 2000, 30, 15
"""Of the held-out rows, of the recipes (the best ones) and of the greedy selection, at most: nets are in training."""


def ensemble_score(candidates: Candidates, seed: int) -> float | None:
    """Return the metric of the ensemble of what was trained so far, on some of the rows that it is chosen by.

    Args:
        candidates: that were trained.
        seed: of the choice of rows.

    Returns:
        None if no recipe was trained on all folds.
    """
    scored = [i for i in candidates.scored() if candidates.is_complete(candidates.by_id[i])]
    if not scored:
        return None
    sign = -1 if candidates.metric.greater_is_better else 1
    best = sorted(scored, key=lambda i: sign * candidates.scores[i])[:RECIPES]
    rows = some_rows(len(candidates.rows), ROWS, seed, "preview")
    found = together(candidates, [candidates.by_id[i].predictions[rows] for i in best], rows, STEPS)
    units = candidates.table.encoder.in_units(found.true, found.predicted)
    return candidates.score(*units, found.weights)


class Together(NamedTuple):
    """The ensemble of some recipes on held-out rows.

    Attributes:
        true: class numbers ``(N,)``, or standardised targets ``(N, T)``.
        predicted: ``(N, O)``.
        weights: of the rows, or None.
        metric: that it was chosen by: the log-loss, or the root mean squared error.
    """

    true: np.ndarray
    predicted: np.ndarray
    weights: np.ndarray | None
    metric: Metric

    @property
    def loss(self) -> float:
        """The loss that it was chosen by."""
        return self.metric.loss(self.true, self.predicted, self.weights)


def together(
    candidates: Candidates, predictions: Sequence[np.ndarray], rows: np.ndarray, steps: int
) -> Together:
    """Return the greedy ensemble of recipes by their predictions of some of the pool's rows.

    Args:
        candidates: whose pool of held-out rows it is.
        predictions: of each recipe, ``(N, O)``.
        rows: ``(N,)`` places in the pool.
        steps: of the selection, at most.
    """
    data, weights = candidates.table.data, candidates.pool_weights()
    weights = None if weights is None else weights[rows]
    true = data.target[candidates.rows[rows]]
    metric = METRICS["log_loss" if data.task == "classification" else "rmse"]
    every = np.stack(predictions)
    chosen = ensemble.greedy(every, true, metric, weights, steps=steps)
    return Together(true, ensemble.combine(every, chosen.weights), weights, metric)
