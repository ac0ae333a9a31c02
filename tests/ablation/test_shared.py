"""Rows that pairs share: how often they are tested, and intervals against simulations whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from popnet.ablation.intervals import interval
from popnet.ablation.row_overlap import RowOverlap


def dealt(rng: np.random.Generator, rows: int, folds: int, pairs: int) -> list[np.ndarray]:
    """Return the test rows of a repeated cross-validation."""
    repeats = -(-pairs // folds)
    every = [f for _ in range(repeats) for f in np.array_split(rng.permutation(rows), folds)]
    return every[:pairs]


def test_one_cross_validation_tests_a_row_once():
    shared = RowOverlap.of(dealt(np.random.default_rng(0), 60, 10, 10))
    assert (shared.repeats, shared.rows, shared.weight, shared.overlap) == (1.0, 60.0, 0.0, 0.0)
    assert shared.row_variance(np.arange(60.0)) == 0.0
    assert shared.row_mean_variance(np.arange(60.0)) == pytest.approx(np.arange(60).var(ddof=1))


def test_three_repeats_test_a_row_three_times():
    shared = RowOverlap.of(dealt(np.random.default_rng(0), 60, 10, 30))
    assert shared.repeats == pytest.approx(3)
    assert shared.rows == pytest.approx(60)
    assert shared.weight == pytest.approx((1 - 1 / 3) * 30 / 29 / 60)
    # Nadeau and Bengio's test rows over training rows, 1/9, of what is repeated.
    assert shared.overlap == pytest.approx((1 - 1 / 3) / 9)


def test_rows_that_are_tested_unevenly_count_as_fewer():
    shared = RowOverlap.of([[0, 1], [2, 3], [0, 1]])
    assert shared.repeats == pytest.approx((2 * 4 + 2 * 1) / 6)
    assert shared.rows == pytest.approx(6**2 / (2 * 4 + 2 * 1))


def test_pairs_on_the_same_rows_leave_the_rows_whole_variance():
    shared = RowOverlap.of([np.arange(7)] * 4)
    assert shared.repeats == 4
    assert shared.weight == pytest.approx(1 / 7)


def test_rows_of_their_own_have_the_covariance_of_two_tests():
    values = np.array([[1.0, 2.0, 6.0], [3.0, 2.0, 4.0]])
    shared = RowOverlap.of([np.arange(3)] * 2)
    assert shared.row_variance(values.ravel()) == pytest.approx(
        np.cov(values[0], values[1], ddof=0)[0, 1]
    )
    assert shared.row_variance([1, 2, 3, 3, 2, 1]) == 0.0  # never below
    products = (values[0] - 3) * (values[1] - 3)
    error = np.sqrt(((products - products.mean()) ** 2).sum()) / 3
    assert shared.row_variance(values.ravel(), doubt=0.5) == pytest.approx(
        products.mean() - error / 2
    )
    assert shared.row_variance(values.ravel(), doubt=9.0) == 0.0
    assert shared.row_mean_variance(values.ravel()) == pytest.approx(
        np.var([2.0, 2.0, 5.0], ddof=1)
    )
    apart = RowOverlap.of([[4, 0], [4, 9]])  # the rows' means are 2, 5 and 7
    assert apart.row_mean_variance([1, 5, 3, 7]) == pytest.approx(np.var([2.0, 5.0, 7.0], ddof=1))


def test_of_one_cross_validation_the_interval_is_students():
    rng = np.random.default_rng(1)
    rows = dealt(rng, 50, 5, 5)
    values = [rng.standard_normal(len(r)) for r in rows]
    means = np.array([v.mean() for v in values])
    shared = RowOverlap.of(rows)
    low, high = stats.t.interval(0.95, 4, means.mean(), stats.sem(means))
    every = np.concatenate(values)
    for options in (
        {"common": shared.common(every)}, {"common": shared.repeated_variance(every)}, {"overlap": shared.overlap}
    ):  # fmt: skip
        found = interval(means, **options)
        assert (found.low, found.high) == pytest.approx((low, high))


@pytest.mark.parametrize("pairs", [12, 30, 60])
def test_of_a_factor_that_does_nothing_rows_add_next_to_nothing(pairs):
    """Two seeds: a row's difference has either sign alike, so that the interval is Student's, not wider."""
    rng = np.random.default_rng(5)
    squares, most, means = [], [], []
    for _ in range(300):
        spread = np.exp(0.5 * rng.standard_normal(400))  # some rows vary more than others
        rows = dealt(rng, 400, 10, pairs)
        values = [
            0.02 * rng.standard_normal() + spread[r] * rng.standard_normal(len(r)) for r in rows
        ]
        gains, every = np.array([v.mean() for v in values]), np.concatenate(values)
        shared = RowOverlap.of(rows)
        squares.append(interval(gains, common=shared.repeated_variance(every)).error ** 2)
        most.append(interval(gains, common=shared.common(every)).error ** 2)
        means.append(gains.mean())
    assert 0.8 * np.var(means) <= np.mean(squares) <= 1.25 * np.var(means)
    if pairs >= 30:
        assert np.mean(most) > 1.4 * np.var(means)


@pytest.mark.parametrize("pairs", [4, 10, 12, 30])
@pytest.mark.parametrize("spreads", [(1.0, 0.0, 0.0), (1.0, 0.1, 1.0), (0.0, 0.1, 1.0)])
def test_intervals_hold_the_truth_whatever_rows_and_pairs_have_of_their_own(pairs, spreads):
    row, pair, rest = spreads
    rng = np.random.default_rng(3)
    truth, studies = 0.3, 400
    held, students, squares, alone, means = 0, 0, [], [], []
    for _ in range(studies):
        own = row * rng.standard_normal(120)
        rows = dealt(rng, 120, 10, pairs)
        values = [
            truth + own[r] + pair * rng.standard_normal() + rest * rng.standard_normal(len(r))
            for r in rows
        ]
        gains = np.array([v.mean() for v in values])
        shared, every = RowOverlap.of(rows), np.concatenate(values)
        found = interval(gains, common=shared.common(every))
        held += found.low <= truth <= found.high
        students += interval(gains).low <= truth <= interval(gains).high
        squares.append(found.error**2)
        alone.append(interval(gains, common=shared.weight * shared.row_variance(every)).error ** 2)
        means.append(found.mean)
    assert held / studies > 0.92
    assert np.mean(alone) == pytest.approx(np.var(means), rel=0.2)
    # The rest is taken for the rows' own in part: too wide an interval, but where there is no rest.
    assert 0.98 * np.mean(alone) <= np.mean(squares) <= 1.8 * np.mean(alone)
    if rest == 0:
        assert np.mean(squares) == pytest.approx(np.var(means), rel=0.2)
    if pairs == 30 and row > rest:
        assert students / studies < 0.85  # more repeats are not more rows


def test_what_is_no_mean_over_rows_has_an_interval_that_is_no_narrower_than_the_truth_needs():
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(400):
        own = rng.standard_normal(120)
        rows = dealt(rng, 120, 10, 30)
        gains = np.array([own[r].mean() for r in rows])
        found = interval(gains, overlap=RowOverlap.of(rows).overlap)
        held += found.low <= 0 <= found.high
    assert held / 400 > 0.92
