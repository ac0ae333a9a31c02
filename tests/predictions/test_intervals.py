"""Intervals cover what they should: rows, groups of rows, shares."""

from __future__ import annotations

import time

import numpy as np
import pytest

from popnet.predictions import intervals, metrics

ROWS = 200


def interval(metric, true, predicted, weights=None, groups=None, level=0.95, seed=0):
    rng = np.random.default_rng(seed)
    draws = intervals.bootstrap(metric, true, [predicted], weights, groups, rng=rng)
    return intervals.interval(metric, true, predicted, draws[:, 0], weights, groups, level)


@pytest.mark.parametrize("name", ["accuracy", "mae"])
def test_interval_covers_the_truth_as_often_as_it_says(name):
    """Sixty samples of 200 rows: a 90 % interval covers the known value 54 times, give or take 3 deviations."""
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(60):
        if name == "accuracy":
            truth = 0.8
            true = rng.integers(0, 2, ROWS)
            hit = rng.random(ROWS) < truth
            predicted = np.eye(2)[np.where(hit, true, 1 - true)]
        else:
            truth = 1.0
            true = np.zeros((ROWS, 1))
            predicted = rng.exponential(truth, (ROWS, 1))
        low, high = interval(metrics.METRICS[name], true, predicted, level=0.9, seed=8)
        covered += low <= truth <= high
    assert 47 <= covered <= 59


def test_interval_is_narrower_with_more_rows_and_repeats_with_its_generator():
    rng = np.random.default_rng(0)
    true = rng.standard_normal((1600, 1))
    predicted = true + rng.standard_normal((1600, 1))
    metric = metrics.METRICS["rmse"]

    def width(rows: int) -> float:
        low, high = interval(metric, true[:rows], predicted[:rows], seed=1)
        assert low < metric(true[:rows], predicted[:rows]) < high
        return high - low

    assert width(1600) < 0.7 * width(100)
    assert width(100) == width(100)


def test_interval_heeds_weights():
    true, predicted = np.zeros((100, 1)), np.ones((100, 1))
    predicted[50:] = 3.0
    weights = np.repeat([1.0, 0.0], 50)
    found = interval(metrics.METRICS["mae"], true, predicted, weights, seed=0)
    assert found == pytest.approx((1.0, 1.0))


def test_groups_are_drawn_as_a_whole():
    """Rows of a group are alike: forty rows of twelve groups are twelve observations, not 480."""
    rng = np.random.default_rng(3)
    covered = {"rows": 0, "groups": 0}
    groups = np.repeat(np.arange(12), 40)
    for _ in range(60):
        share = rng.beta(8, 2, 12)
        hit = rng.random(480) < share[groups]
        true = np.zeros(480, int)
        predicted = np.eye(2)[np.where(hit, 0, 1)]
        for name, by in (("rows", None), ("groups", groups)):
            low, high = interval(
                metrics.METRICS["accuracy"],
                true,
                predicted,
                groups=by,
                seed=4,
            )
            covered[name] += low <= 0.8 <= high
    assert covered["rows"] < 48 < covered["groups"]


def test_all_right_of_few_rows_is_not_certain():
    true, predicted = np.zeros(69, int), np.eye(2)[np.zeros(69, int)]
    low, high = interval(metrics.METRICS["accuracy"], true, predicted, seed=0)
    assert (low, high) == (pytest.approx(0.9473, abs=1e-3), 1.0)  # 69 / (69 + 1.96^2)


def test_two_models_are_compared_on_the_same_rows():
    rng = np.random.default_rng(5)
    true = rng.standard_normal((300, 1))
    a = true + rng.standard_normal((300, 1))
    draws = intervals.bootstrap(metrics.METRICS["rmse"], true, [a, a + 0.01], rng=rng)
    apart = draws[:, 0].max() - draws[:, 0].min()
    together = np.ptp(draws[:, 1] - draws[:, 0])
    assert together < apart / 20


def test_a_deadline_leaves_few_draws():
    true = np.zeros((50, 1))
    draws = intervals.bootstrap(
        metrics.METRICS["mae"],
        true,
        [true + 1],
        rng=np.random.default_rng(0),
        deadline=time.monotonic() - 1,
    )
    assert draws.shape == (intervals.MIN_DRAWS // 10, 1)
