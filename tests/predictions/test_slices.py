"""Groups that a model is worse for: Welch's statistic, groups that are alike, and how often nothing is found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from popnet.predictions.slices import MAX_FOUND, MIN_ROWS, SliceColumn, worse_slices


def column(groups, name="c"):
    groups = np.asarray(groups)
    return SliceColumn(name, groups, [f"level {g}" for g in range(groups.max() + 1)])


def test_a_difference_has_the_interval_of_welch():
    """One group alone is looked at, and its losses vary more than those of all rows."""
    rng = np.random.default_rng(0)
    groups = np.where(rng.random(5000) < 0.4, 0, -1)
    losses = rng.normal(size=5000) + (groups == 0) * (0.3 + rng.normal(size=5000))
    found = worse_slices(losses, [column(groups)])
    assert (found.looked, found.total, found.columns, found.rows) == (1, 1, 1, 5000)
    one = found.found[0]
    test = stats.ttest_ind(losses[groups == 0], losses[groups < 0], equal_var=False)
    exact = test.confidence_interval()
    assert one.worse == pytest.approx(losses[groups == 0].mean() - losses[groups < 0].mean())
    # Degrees of freedom are those of the smaller side: no fewer than Welch's by much here, and never more.
    assert (one.low, one.high) == pytest.approx((exact.low, exact.high), rel=2e-3)
    assert one.high - one.low >= exact.high - exact.low


def test_weights_count_as_rows_would():
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 2, 4000)
    losses = rng.normal(size=4000) + groups
    weights = rng.integers(0, 3, 4000)
    weighted = worse_slices(losses, [column(groups)], weights.astype(float))
    again = np.repeat(np.arange(4000), weights)
    # Copies of a row belong together: they are no more evidence than the row.
    repeated = worse_slices(losses[again], [column(groups[again])], together=again)
    for a, b in zip(weighted.found, repeated.found, strict=True):
        assert (a.loss, a.rest, a.low, a.high) == pytest.approx((b.loss, b.rest, b.low, b.high))
    assert weighted.found[0].rows == np.sum((groups == 1) & (weights > 0))


@pytest.mark.parametrize("together", [False, True])
def test_equal_models_are_seldom_called_worse_for_some(together):
    """Of rows that are alike in groups, too; losses are wrong predictions, of which small groups have few."""
    rng = np.random.default_rng(2)
    runs, wrong = 150, 0
    for _ in range(runs):
        units = np.repeat(np.arange(250), 4) if together else np.arange(1000)
        of_unit = rng.random(len(units)) < 0.12
        losses = of_unit[units].astype(float)
        columns = [
            column(rng.integers(0, 12, 1000)[units] if together else rng.integers(0, 12, 1000), str(i))
            for i in range(6)
        ]  # fmt: skip
        wrong += worse_slices(losses, columns, None, units if together else None).total > 0
    assert wrong <= 0.05 * runs + 3 * np.sqrt(0.05 * 0.95 * runs)


def test_small_groups_are_not_looked_at_and_the_worst_come_first():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(21), [MIN_ROWS - 1, *[200] * 20])
    losses = rng.normal(0, 0.1, len(groups)) + groups * 1.0
    losses[groups == 0] += 100
    found = worse_slices(losses, [column(groups)])
    assert found.looked == 20
    assert len(found.found) == min(found.total, MAX_FOUND)
    assert found.found[0].label == "level 20"
    assert worse_slices(losses, []).looked == 0
    assert worse_slices(losses[:5], [column(groups[:5])]).found == []
