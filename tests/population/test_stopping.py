"""Early stopping against a plain model of it, over random courses of scores."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from popnet import Recipe
from popnet.population import stopping
from popnet.population.members import STATUSES

# Few different values, so that ties and steps of exactly min_delta are common.
scores = st.lists(
    st.sampled_from([0.25, 0.5, 0.75, 1.0, 1.25, 3.0, np.nan, np.inf]), min_size=1, max_size=25
)


def model(scores, patience, min_delta, epochs):
    """Return status, epochs done, best epoch and best score, in the words of the documentation."""
    best, best_epoch, reference, waited = np.inf, 0, np.inf, 0
    for epoch, score in enumerate(scores, start=1):
        if not np.isfinite(score):
            return "diverged", epoch, best_epoch, best
        if score < best:
            best, best_epoch = score, epoch
        waited += 1
        if score < reference - min_delta:
            reference, waited = score, 0
        if waited >= patience:
            return "stopped", epoch, best_epoch, best
        if epoch >= epochs:
            return "finished", epoch, best_epoch, best
    return "running", len(scores), best_epoch, best


@given(scores, st.integers(1, 6), st.sampled_from([0.0, 0.1, 0.25, 0.6]), st.integers(1, 25))
@example([1.0, 0.5, 0.25], 1, 0.25, 25)
@example([1.0, 0.75, 0.5, 0.25], 2, 0.3, 25)
@example([np.nan], 1, 0.0, 1)
def test_early_stopping(scores, patience, min_delta, epochs):
    recipe = Recipe(patience=patience, min_delta=min_delta, epochs=epochs)
    best = stopping.init(np.zeros(2, np.float32), np.zeros(1, np.float32))
    status, epoch = "running", 0
    for score in scores:
        epoch += 1
        weights = np.full(2, epoch, np.float32), np.full(1, -epoch, np.float32)
        healthy = bool(np.isfinite(score))
        best, place = stopping.update(best, score, healthy, epoch, lambda w=weights: w, recipe)
        status = STATUSES[place]
        if status != "running":
            break
    expected = model(scores, patience, min_delta, epochs)
    assert (status, epoch, int(best.epoch), float(best.score)) == expected
    assert np.all(best.weights == expected[2])
    assert np.all(best.running == -expected[2])
