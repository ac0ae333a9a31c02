"""How good the ensemble would be if training ended now, for people who watch it."""

from __future__ import annotations

import numpy as np

from popnet.fitting.candidates import Candidates, some_rows
from popnet.predictions import ensemble
from popnet.predictions.metrics import METRICS

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
    data, weights = candidates.table.data, candidates.pool_weights()
    weights = None if weights is None else weights[rows]
    every = np.stack([candidates.by_id[i].predictions[rows] for i in best])
    true = data.target[candidates.rows[rows]]
    loss = METRICS["log_loss" if data.task == "classification" else "rmse"]
    chosen = ensemble.greedy(every, true, loss, weights, steps=STEPS)
    together = ensemble.combine(every, chosen.weights)
    return candidates.score(*candidates.table.encoder.in_units(true, together), weights)
