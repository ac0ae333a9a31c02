"""What an ensemble is made of, nets and boosted trees, and their outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from popnet.data.dataset import Features, Images
from popnet.population.predict import Evaluation, Net
from popnet.trees.forest import Forest
from popnet.types import Array

Predictor = Net | Forest
"""A member of an ensemble."""


def outputs(
    predictors: Sequence[Predictor],
    features: Features | Images,
    rows: Array | None = None,
    *,
    views: int = 1,
    specialised: bool = True,
    of_nets: Evaluation | None = None,
) -> np.ndarray:
    """Return outputs (logits, or scaled targets), ``(len(predictors), N, O)`` float32.

    Args:
        predictors: of equal numbers of outputs.
        features: inputs.
        rows: row numbers to predict; default all.
        views, specialised: of nets, see `popnet.population.predict.predict`.
        of_nets: evaluates the nets among them; default one that is made for this call.
    """
    if of_nets is None:
        of_nets = Evaluation([p for p in predictors if isinstance(p, Net)], specialised)
    forests = [p for p in predictors if isinstance(p, Forest)]
    every = of_nets(features, rows, views=views)
    if not forests:
        return every
    found = iter(forest.predict(cast("Features", features), rows) for forest in forests)
    own = iter(every)
    return np.stack([next(own if isinstance(p, Net) else found) for p in predictors])


def as_members(
    predictors: Sequence[Predictor], weights: Array
) -> tuple[tuple[Net, ...], tuple[Forest, ...], np.ndarray]:
    """Return the nets, the trees, and the weights in this order."""
    nets = [i for i, p in enumerate(predictors) if isinstance(p, Net)]
    trees = [i for i, p in enumerate(predictors) if isinstance(p, Forest)]
    return (
        tuple(cast("Net", predictors[i]) for i in nets),
        tuple(cast("Forest", predictors[i]) for i in trees),
        np.asarray(weights)[[*nets, *trees]],
    )
