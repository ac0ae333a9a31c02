"""Counts by threshold, against scikit-learn and against counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from popnet.predictions.thresholds import MAX_THRESHOLDS, threshold_counts

P = st.lists(
    st.tuples(st.booleans(), st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0])),
    min_size=1,
    max_size=60,
)


@given(P, st.floats(0, 1))
def test_counts_are_those_of_rows_above_each_threshold(rows, chosen):
    positive, p = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    found = threshold_counts(positive, p, [chosen])
    assert chosen in found.thresholds
    assert found.thresholds == sorted(set(found.thresholds))
    assert (found.positives, found.negatives) == (positive.sum(), (~positive).sum())
    for t, right, wrong in zip(found.thresholds, found.found, found.mistaken, strict=True):
        assert right == np.sum(positive & (p > t))
        assert wrong == np.sum(~positive & (p > t))
    assert found.thresholds[0] == 0
    assert found.found[-1] == found.mistaken[-1] == 0


@pytest.mark.parametrize("n", [150, 20_000])
@pytest.mark.parametrize("level", [0.5, 0.002, 0.998])
def test_the_curve_through_the_counts_has_the_area_of_all_rows(n, level):
    """Also where all probabilities are near 0, or near 1."""
    rng = np.random.default_rng(0)
    logit = rng.normal(np.log(level / (1 - level)), 2, n)
    p = 1 / (1 + np.exp(-logit))
    positive = rng.random(n) < 1 / (1 + np.exp(-rng.normal(logit, 2)))
    counts = threshold_counts(positive, p)
    assert len(counts.thresholds) <= MAX_THRESHOLDS + 2
    found = np.array([counts.positives, *counts.found]) / counts.positives
    mistaken = np.array([counts.negatives, *counts.mistaken]) / counts.negatives
    area = metrics.auc(mistaken, found)
    assert area == pytest.approx(metrics.roc_auc_score(positive, p), abs=2e-3)
    i = len(counts.thresholds) // 2
    matrix = metrics.confusion_matrix(positive, p > counts.thresholds[i])
    assert matrix[1, 1] == counts.found[i]
    assert matrix[0, 1] == counts.mistaken[i]
