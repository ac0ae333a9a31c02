"""The winner's curse: the best of many recipes looks better than it is, because its luck was chosen, too."""

from __future__ import annotations

import numpy as np


def selection_bias(losses: np.ndarray) -> float:
    """Return by how much the best recipe's mean loss over folds is too low, about (Tibshirani and Tibshirani 2009).

    Each fold's own best recipe has a lower loss there than the recipe that is best over all; how much lower, on average
    over folds, is what choosing by one fold's luck gains, and an estimate of what choosing by all gained.

    Args:
        losses: ``(recipes, folds)``, smaller is better; recipes with a loss that is not finite are left out.

    Returns:
        At least 0; add it to the best recipe's mean loss. 0 for one recipe or one fold, where nothing can be said.
    """
    losses = np.asarray(losses, float)
    losses = losses[np.isfinite(losses).all(1)] if losses.size else losses
    if losses.ndim != 2 or losses.shape[0] < 2 or losses.shape[1] < 2:
        return 0.0
    best = int(losses.mean(1).argmin())
    return float((losses[best] - losses.min(0)).mean())
