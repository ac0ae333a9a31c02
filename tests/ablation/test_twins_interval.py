"""Intervals of twins against simulations whose truth is known: they hold it as often as they say, whatever differs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from popnet.ablation.control_variate import Difference
from popnet.ablation.intervals import interval, twins_interval
from popnet.ablation.row_overlap import RowOverlap
from popnet.ablation.transformations.check import gain_of
from popnet.ablation.verdicts import verdict_of

STUDIES = 3000
CHANCE = 1e-3
"""How often a test of a right interval may fail by the luck of its simulation."""


def gains(
    rng: np.random.Generator, pairs: int, truth: float = 0.0, between: float = 0.0, heavy: bool = False, rows: int = 200
) -> list[np.ndarray]:  # fmt: skip
    """Return differences of losses ``(rows,)`` of each pair; where rows differ much, a few are most of the variance."""
    each = rng.choice([-1.0, 0.0, 0.0, 0.0, 1.0], (pairs, rows))
    if heavy:
        each *= np.exp(rng.standard_normal((pairs, rows)))
    return list(truth + between * rng.standard_normal((pairs, 1)) + each)


def of_rows(found: list[np.ndarray]):
    """Return the interval of pairs that are each compared on rows of their own."""
    return gain_of(found, np.split(np.arange(sum(map(len, found))), len(found)))


@pytest.mark.parametrize("pairs", [2, 4, 10])
@pytest.mark.parametrize(
    "spread", [{"between": 0.5}, {"heavy": True}, {"between": 0.5, "heavy": True}, {}],
    ids=["pairs", "rows", "both", "neither"],
)  # fmt: skip
def test_an_interval_holds_the_truth_as_often_as_it_says(pairs, spread):
    rng = np.random.default_rng(pairs)
    found = [of_rows(gains(rng, pairs, truth=0.3, **spread)) for _ in range(STUDIES)]
    held = sum(i.low <= 0.3 <= i.high for i in found)
    assert stats.binomtest(held, STUDIES, 0.95, alternative="less").pvalue > CHANCE
    if "between" in spread:  # nor is it wider than it must be
        assert stats.binomtest(held, STUDIES, 0.96, alternative="greater").pvalue > CHANCE


@pytest.mark.parametrize("pairs", [2, 4, 10])
@pytest.mark.parametrize("between", [0.0, 0.5])
def test_without_an_effect_a_verdict_is_as_rare_as_it_says(pairs, between):
    rng = np.random.default_rng(10 + pairs)
    found = [of_rows(gains(rng, pairs, between=between)) for _ in range(STUDIES)]
    said = [verdict_of(i, i.p, 0.01, 0.0) for i in found]
    wrong = said.count("helps") + said.count("harms")
    assert stats.binomtest(wrong, STUDIES, 0.05, alternative="greater").pvalue > CHANCE
    assert abs(said.count("helps") - said.count("harms")) <= 4 * max(wrong, 1) ** 0.5


def test_a_clear_gain_helps_and_a_clear_loss_harms():
    rng = np.random.default_rng(0)
    for truth, verdict in ((0.5, "helps"), (-0.5, "harms")):
        found = of_rows(gains(rng, 4, truth))
        assert verdict_of(found, found.p, 0.01, 0.0) == verdict
        assert found.low < found.mean < found.high
        assert found.mean == pytest.approx(truth, abs=0.1)


def test_where_pairs_differ_the_interval_is_students():
    found = gains(np.random.default_rng(2), 4, between=0.5)
    means = [g.mean() for g in found]
    low, high = stats.t.interval(0.95, 3, np.mean(means), stats.sem(means))
    got = of_rows(found)
    assert (got.low, got.high) == pytest.approx((low, high))
    assert got.p == pytest.approx(stats.ttest_1samp(means, 0).pvalue)


def test_pairs_that_happen_to_agree_are_as_uncertain_as_their_rows():
    """Two pairs with the same mean: Student's interval would have no width at all."""
    row = np.array([0.0] * 97 + [1.0] * 3)
    got = of_rows([row, row[::-1]])
    half = stats.norm.ppf(0.975) * np.sqrt(row.var(ddof=1) / 100 / 2)
    assert (got.low, got.high) == pytest.approx((0.03 - half, 0.03 + half))
    assert got.p == pytest.approx(2 * stats.norm.sf(0.03 / (half / stats.norm.ppf(0.975))))
    assert interval([0.03, 0.03]).p == 0.0


def test_rows_that_are_tested_again_do_not_narrow_it():
    rng = np.random.default_rng(3)
    rows = np.arange(50)
    of_row = rng.standard_normal(50)
    every = np.concatenate([of_row + 0.01 * rng.standard_normal(50) for _ in range(20)])
    found = Difference(every.reshape(20, 50).mean(1), every)
    got = twins_interval(found, RowOverlap.of([rows] * 20))
    assert got.error**2 > of_row.var(ddof=1) / 50
