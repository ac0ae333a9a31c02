"""Early stopping of one member: patience, the best weights, divergence (Prechelt 1998)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from popnet.population.members import DIVERGED, FINISHED, RUNNING, STOPPED
from popnet.shape import Numbers
from popnet.types import Array, Tree


class Best(NamedTuple):
    """The best epoch so far.

    Attributes:
        score: scalar, its validation score; infinite before the first.
        epoch: scalar int32, its number from 1; 0 before the first.
        reference: scalar, the score that the next must undercut by ``min_delta``.
        waited: scalar int32, epochs since one did.
        weights: the trees that were evaluated then.
    """

    score: Array
    epoch: Array
    reference: Array
    waited: Array
    weights: Tree


def init(weights: Tree) -> Best:
    """Return the state before the first epoch."""
    infinite = np.float32(np.inf)
    return Best(infinite, np.int32(0), infinite, np.int32(0), weights)


def update(
    best: Best, score: Array, healthy: Array, epoch: Array, weights: Tree, n: Numbers
) -> tuple[Best, Array]:
    """Judge an epoch.

    Any better score has its weights kept; only one better by more than ``min_delta`` renews the patience.

    Args:
        best: so far.
        score: scalar, validation score of this epoch, smaller is better.
        healthy: scalar bool, whether training and validation losses are finite.
        epoch: scalar int32, this epoch's number from 1.
        weights: trees that were evaluated.
        n: the recipe's numbers.

    Returns:
        The new best and the member's status.
    """
    better = healthy & (score < best.score)
    renewed = healthy & (score < best.reference - n.min_delta)
    waited = jnp.where(renewed, 0, best.waited + 1)
    kept = jax.lax.cond(better, lambda: weights, lambda: best.weights)
    new = Best(
        jnp.where(better, score, best.score),
        jnp.where(better, epoch, best.epoch),
        jnp.where(renewed, score, best.reference),
        waited,
        kept,
    )
    status = jnp.where(
        ~healthy,
        DIVERGED,
        jnp.where(waited >= n.patience, STOPPED, jnp.where(epoch >= n.epochs, FINISHED, RUNNING)),
    )
    return new, status.astype(jnp.int32)
