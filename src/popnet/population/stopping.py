"""Early stopping of one member: patience, the best weights, divergence (Prechelt 1998)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from popnet.population.members import DIVERGED, FINISHED, RUNNING, STOPPED
from popnet.spec.recipe import Recipe


class Best(NamedTuple):
    """The best epoch so far, on the host.

    Attributes:
        score: its validation score; infinite before the first.
        epoch: its number from 1; 0 before the first.
        reference: the score that the next must undercut by ``min_delta``.
        waited: epochs since one did.
        weights: ``(P,)``, those that were evaluated then.
        running: ``(R,)``, the running statistics with them.
    """

    score: np.float64
    epoch: np.int32
    reference: np.float64
    waited: np.int32
    weights: np.ndarray
    running: np.ndarray


def init(weights: np.ndarray, running: np.ndarray) -> Best:
    """Return the state before the first epoch."""
    infinite = np.float64(np.inf)
    return Best(infinite, np.int32(0), infinite, np.int32(0), weights, running)


def update(
    best: Best, score: float, healthy: bool, epoch: int,
    weights: Callable[[], tuple[np.ndarray, np.ndarray]], recipe: Recipe,
) -> tuple[Best, int]:  # fmt: skip
    """Return the best epoch so far and the member's status after one more epoch.

    Any better score has its weights kept; only one better by more than ``min_delta`` renews the patience.

    Args:
        best: so far.
        score: validation score of this epoch, smaller is better.
        healthy: whether training and validation losses are finite.
        epoch: this epoch's number from 1.
        weights: gives copies of the weights and running statistics that were evaluated.
        recipe: the member's.

    Returns:
        The new best and the member's status.
    """
    renewed = healthy and score < best.reference - recipe.min_delta
    waited = 0 if renewed else int(best.waited) + 1
    new = best._replace(waited=np.int32(waited))
    if renewed:
        new = new._replace(reference=np.float64(score))
    if healthy and score < best.score:
        kept, running = weights()
        new = new._replace(
            score=np.float64(score), epoch=np.int32(epoch), weights=kept, running=running
        )
    if not healthy:
        return new, DIVERGED
    if waited >= recipe.patience:
        return new, STOPPED
    return new, FINISHED if epoch >= recipe.epochs else RUNNING
