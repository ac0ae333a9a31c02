"""Control variates: what an effect owes to the luck of the base's own seed is taken off."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from popnet import Dataset, Recipe
from popnet.ablation import factors
from popnet.ablation.control_variate import (
    MIN_PAIRS,
    Difference,
    base_nets,
    controlled,
    spread_of,
)
from popnet.ablation.design import design
from popnet.ablation.experiment import DesignCell, Experiment
from popnet.ablation.factors import Factor, Level
from popnet.ablation.intervals import interval
from popnet.data.splits import SplitKeys

BASE = Recipe(depth=1, width=8, epochs=3, numeric_embedding="none", batch_size=32)


def drawn(pairs: int, seed: int = 0, slope: float = 0.8) -> tuple[Difference, Difference]:
    """Return a difference, 0.3 in expectation, that owes a part to a control, with ten rows a pair."""
    rng = np.random.default_rng(seed)
    luck = rng.standard_normal((pairs, 10))
    rows = 0.3 + slope * luck + 0.2 * rng.standard_normal((pairs, 10))
    return Difference(rows.mean(1), rows.ravel()), Difference(luck.mean(1), luck.ravel())


def test_the_mean_is_the_intercept_of_a_line_with_its_standard_error():
    found, control = drawn(12)
    line = stats.linregress(control.values, found.values)
    left = controlled(found, control)
    got = interval(left.values, fitted=left.fitted, leverage=left.leverage)
    assert got.mean == pytest.approx(line.intercept)
    assert got.error == pytest.approx(line.intercept_stderr)
    half = stats.t.ppf(0.975, 10) * line.intercept_stderr
    assert (got.low, got.high) == pytest.approx((line.intercept - half, line.intercept + half))
    assert spread_of(found.values, 0) == pytest.approx(found.values.var(ddof=1))


def test_rows_lose_the_same_as_their_pairs():
    found, control = drawn(12)
    left = controlled(found, control)
    assert left.rows is not None
    np.testing.assert_allclose(left.rows.reshape(12, 10).mean(1), left.values)


def test_few_pairs_and_no_luck_stay_as_they_are():
    found, control = drawn(MIN_PAIRS - 1)
    assert controlled(found, control) is found
    found, control = drawn(MIN_PAIRS)
    assert controlled(found, control) is not found
    still = Difference(np.zeros(MIN_PAIRS), None)
    assert controlled(found, still) is found
    unknown = Difference(np.full(MIN_PAIRS, np.nan), None)
    assert controlled(found, unknown) is found
    assert controlled(unknown, control) is unknown


def test_intervals_are_narrower_and_hold_the_truth_as_often_as_they_say():
    held = narrower = 0
    for seed in range(400):
        found, control = drawn(10, seed)
        left = controlled(found, control)
        plain = interval(found.values)
        got = interval(left.values, fitted=left.fitted, leverage=left.leverage)
        held += got.low <= 0.3 <= got.high
        narrower += got.error < plain.error
    assert 366 <= held <= 394  # 95 %, within three standard errors
    assert narrower > 390


@pytest.mark.parametrize(("levels", "nets"), [(1, 1), (2, 1), (4, 2), (31, 6)])
def test_the_base_has_the_root_of_the_levels(levels, nets):
    assert base_nets(levels) == nets


def test_a_study_takes_off_the_luck_of_the_bases_own_seed():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 4)).astype(np.float32)
    y = (X[:, 0] + rng.standard_normal(200) > 0).astype(int)
    data = Dataset.from_arrays(X, y, "binary")
    pairs = design(np.arange(200), 8, 0, SplitKeys(y))
    tanh = Factor("activation", "relu", (Level("tanh", {"activation": "tanh"}),))
    run = Experiment(data, pairs, BASE, [tanh, factors.named("ensemble", BASE)], workers=1)
    # The ensemble's nets are the base's with other seeds: none is trained for that.
    assert run.base_nets == 4
    assert run.nets_of_a_pair() == 4 + 1
    run.run(range(8))
    level = DesignCell.of(tanh.levels[0])
    own, *others = (
        np.array([run.outcomes[k, DesignCell(seeds=(i,))].loss for k in range(8)]) for i in range(4)
    )
    with_level = np.array([run.outcomes[k, level].loss for k in range(8)])
    line = stats.linregress(own - np.mean(others, 0), own - with_level)
    effect = run.found(0.01, 8).effects[0]
    assert effect.gain.mean == pytest.approx(line.intercept, rel=1e-5)
    assert effect.base_error == pytest.approx(np.mean([own, *others]))
    assert effect.base_error - effect.error == pytest.approx(effect.gain.mean)
