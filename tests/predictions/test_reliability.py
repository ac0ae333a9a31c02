"""Reliability, errors by bins and coverage, against scikit-learn, SciPy and plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.calibration import calibration_curve

from popnet.predictions.reliability import (
    MIN_BIN_ROWS,
    coverage,
    equal_bins,
    error_bins,
    reliability,
)


def test_bins_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    p = rng.random(2000)
    happened = rng.random(2000) < p**1.5
    bins = reliability(happened, p)
    truth, mean = calibration_curve(happened, p, n_bins=10, strategy="quantile")
    assert [b.happened for b in bins] == pytest.approx(truth)
    assert [b.predicted for b in bins] == pytest.approx(mean)
    for b in bins:
        exact = stats.binomtest(round(b.happened * b.rows), b.rows).proportion_ci(method="wilson")
        assert (b.low, b.high) == pytest.approx((exact.low, exact.high))
    assert -1 in {b.off for b in bins}
    assert 1 not in {b.off for b in bins}
    assert {b.off for b in reliability(happened, p, independent=False)} == {0}


def test_right_probabilities_are_seldom_called_wrong():
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(60):
        p = rng.random(400)
        wrong += any(b.off for b in reliability(rng.random(400) < p, p))
    assert wrong <= 8  # 5 % of 60, and three standard deviations


@pytest.mark.parametrize("values", [np.zeros(500), np.repeat([0.0, 1.0], 300), np.arange(25.0)])
def test_equal_values_share_a_bin_and_every_row_has_one(values):
    bins = equal_bins(values)
    assert sorted(np.concatenate(bins).tolist()) == list(range(len(values)))
    assert len(bins) == min(len(set(values)), max(len(values) // MIN_BIN_ROWS, 1))
    assert equal_bins(np.zeros(0)) == []


def test_errors_by_bins_are_means_with_students_intervals():
    rng = np.random.default_rng(3)
    predicted = rng.normal(size=1000)
    true = predicted + rng.normal(size=1000) + np.where(predicted > 1, 1.0, 0.0)
    bins = error_bins(true, predicted)
    assert sum(b.rows for b in bins) == 1000
    last = np.argsort(predicted)[-bins[-1].rows :]
    errors = (true - predicted)[last]
    exact = stats.ttest_1samp(errors, 0).confidence_interval()
    assert (bins[-1].low, bins[-1].high) == pytest.approx((exact.low, exact.high))
    assert (bins[-1].bottom, bins[-1].top) == pytest.approx(np.quantile(errors, [0.05, 0.95]))
    assert bins[-1].off == 1
    assert {b.off for b in bins[:5]} == {0}


def test_coverage_is_the_share_inside():
    true = np.arange(100.0)
    found = coverage(0.9, true, np.full(100, 5.0), np.full(100, 94.0))
    assert (found.promised, found.share, found.width) == (0.9, 0.9, 89.0)
    assert found.low < 0.9 < found.high
