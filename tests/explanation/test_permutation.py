"""Permutation importance: what is known of a made function is found, as often as an interval promises."""

from __future__ import annotations

import numpy as np
import pytest

from popnet.data.dataset import Features
from popnet.explanation.blocks import Block, exchanged
from popnet.explanation.groups import groups_of
from popnet.explanation.importance import Effort, measure
from popnet.explanation.judged import Judged
from popnet.explanation.statistics import Blocks, Losses, increase
from popnet.predictions import metrics

NONE = slice(0, 0)
SHARES = np.array([0.25, 0.2, 0.15, 0.1, 0.08, 0.07, 0.05, 0.05, 0.03, 0.02])
"""Of the variance that ten columns explain; ten more explain nothing, and three are copies."""

SLOPES = np.concatenate([np.sqrt(SHARES), 0.1 * np.cos(np.arange(10.0)), np.zeros(3)])
"""Of the model: it has learned a little from the columns that say nothing, as models do."""

NOISE = 0.5


def columns(count: int) -> list[Block]:
    return [Block(f"x{i}", "numeric", slice(i, i + 1), NONE, NONE) for i in range(count)]


def made(seed: int, rows: int) -> Judged:
    """Return rows, and the function that predicts them."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 20))
    copies = x[:, [0, 3, 12]] + 0.05 * rng.standard_normal((rows, 3))
    true = x[:, :10] @ np.sqrt(SHARES) + NOISE * rng.standard_normal(rows)
    features = Features.from_numeric(np.concatenate([x, copies], 1))
    return Judged(
        features, true[:, None], lambda f, _: (f.numeric.astype(float) @ SLOPES)[:, None],
        metrics.METRICS["rmse"], "rows given",
    )  # fmt: skip


def test_columns_that_do_nothing_are_not_called_important_and_intervals_hold_the_truth():
    # Of independent columns of variance 1, exchanging one adds 2 b^2 to the error if the target
    # has the same slope b, and nothing to that of noise that the model follows.
    error = NOISE**2 + (SLOPES[10:20] ** 2).sum()
    truth = np.sqrt(error + np.where(np.arange(20) < 10, 2 * SLOPES[:20] ** 2, 0)) - np.sqrt(error)
    runs, held, wrong = 12, 0, 0
    for seed in range(runs):
        found = measure(made(seed, 400), columns(23), Effort(400, 3), seed)
        assert found is not None
        place = {int(g.columns[0][1:]): g for g in found.groups}
        assert [g.columns for g in place.values() if len(g.columns) > 1] == [
            g.columns for g in found.groups if g.columns in (["x0", "x20"], ["x3", "x21"], ["x12", "x22"])
        ]  # fmt: skip
        assert sorted(place) == list(range(20))
        held += sum(place[i].low <= truth[i] <= place[i].high for i in range(20))
        wrong += any(place[i].verdict in ("matters", "harms") for i in range(10, 20))
        assert all(place[i].verdict == "matters" for i in range(5))
        # Their loss hardly changes: most are shown to make no difference.
        assert sum(place[i].verdict == "no effect" for i in range(10, 20)) >= 8
    assert held / (20 * runs) > 0.9
    assert wrong / runs <= 0.05


@pytest.mark.parametrize("name", ["accuracy", "roc_auc", "f1", "log_loss"])
def test_a_metric_of_any_kind_has_an_interval(name):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((500, 3))
    true = (x[:, 0] + 0.5 * x[:, 1] + 0.5 * rng.standard_normal(500) > 0).astype(int)

    def predict(features, _):
        p = 1 / (1 + np.exp(-3 * (features.numeric[:, 0] + 0.5 * features.numeric[:, 1])))
        return np.stack([1 - p, p], 1).astype(float)

    judged = Judged(Features.from_numeric(x), true, predict, metrics.METRICS[name], "rows given")
    found = measure(judged, columns(3), Effort(), 0)
    assert found is not None
    first, second, third = found.groups
    assert (first.columns, second.columns, third.columns) == (["x0"], ["x1"], ["x2"])
    assert first.verdict == second.verdict == "matters"
    assert 0 < second.low < second.increase < second.high < first.increase
    # What the model does not read is known to make no difference, to the last digit.
    assert (third.increase, third.low, third.high, third.verdict) == (0, 0, 0, "no effect")
    value = metrics.METRICS[name](true, predict(judged.features, None))
    assert found.loss == pytest.approx(value if name == "log_loss" else 1 - value)
    assert first.share == pytest.approx(first.increase / found.loss)


def test_no_changed_decision_is_no_proof_of_no_effect():
    """Where probabilities move and no decision does, few rows leave room for a difference."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((60, 1))
    true = np.zeros(60, int)
    judged = Judged(
        Features.from_numeric(x), true,
        lambda f, _: np.stack([0.9 + 0.001 * f.numeric[:, 0], 0.1 - 0.001 * f.numeric[:, 0]], 1),
        metrics.METRICS["accuracy"], "rows given",
    )  # fmt: skip
    found = measure(judged, columns(1), Effort(), 0)
    assert found is not None
    [group] = found.groups
    assert group.increase == 0
    assert group.low < -0.02 < 0.02 < group.high
    assert group.verdict == "not decided"


def test_rows_of_a_unit_vary_together():
    """Rows that are given ten times over say no more than they did once."""
    rng = np.random.default_rng(3)
    x = np.repeat(rng.standard_normal((80, 2)), 10, axis=0)
    true = x[:, :1] + np.repeat(rng.standard_normal((80, 1)), 10, axis=0)
    judged = [
        Judged(
            Features.from_numeric(x),
            true,
            lambda f, _: f.numeric[:, :1].astype(float),
            metrics.METRICS["rmse"],
            "rows given",
            units=units,
        )
        for units in (None, np.repeat(np.arange(80), 10))
    ]
    widths = []
    for some in judged:
        found = measure(some, columns(2), Effort(), 0)
        assert found is not None
        widths.append(found.groups[0].high - found.groups[0].low)
    assert widths[1] > 2 * widths[0]


def test_every_value_is_given_once_and_none_stays():
    rng = np.random.default_rng(0)
    blocks = Blocks.deal(100, None, rng)
    for shift in blocks.shifts(5, rng):
        donors = blocks.donors(shift, rng)
        assert sorted(donors) == list(range(100))
        assert not np.any(donors == np.arange(100))
    units = np.repeat(np.arange(7), 5)
    together = Blocks.deal(35, units, rng).number.reshape(7, 5)
    assert (together == together[:, :1]).all()


def test_an_increase_is_the_mean_over_repeats():
    base = Losses(1.0, np.linspace(0.9, 1.1, 10))
    more = [Losses(1.5, np.linspace(1.4, 1.6, 10)), Losses(2.5, np.linspace(2.6, 2.4, 10))]
    found = increase(base, more, [1, 4])
    assert found.mean == pytest.approx(1.0)
    assert found.low < 1.0 < found.high
    few = increase(Losses(1.0, np.ones(3)), [Losses(2.0, np.ones(3))], [1])
    assert np.isnan(few.low)


def test_only_the_columns_asked_for_change():
    rng = np.random.default_rng(0)
    features = Features(
        rng.standard_normal((30, 3)).astype(np.float32),
        rng.integers(0, 2, (30, 2)).astype(np.uint8),
        rng.integers(0, 5, (30, 2)).astype(np.int32),
        (5, 5),
    )
    block = Block("a", "discrete", slice(1, 2), slice(0, 1), slice(1, 2))
    rows = rng.permutation(30)
    other = exchanged(features, [block], features, rows)
    np.testing.assert_array_equal(other.numeric[:, 1], features.numeric[rows, 1])
    np.testing.assert_array_equal(other.flags[:, 0], features.flags[rows, 0])
    np.testing.assert_array_equal(other.codes[:, 1], features.codes[rows, 1])
    np.testing.assert_array_equal(other.numeric[:, [0, 2]], features.numeric[:, [0, 2]])
    np.testing.assert_array_equal(other.codes[:, 0], features.codes[:, 0])


def test_columns_that_say_the_same_are_one_group():
    rng = np.random.default_rng(0)
    n = 900
    x = rng.standard_normal(n)
    city, row = rng.integers(0, 20, n), np.arange(n)
    numeric = np.stack([x, np.exp(x), rng.standard_normal(n), np.abs(x + 5) ** -2, x**2], 1)
    codes = np.stack([city, city % 4, rng.integers(0, 4, n), row], 1)
    numeric[:, 3] = rng.standard_normal(n)  # nothing to do with x
    features = Features(
        numeric.astype(np.float32),
        np.zeros((n, 0), np.uint8),
        codes.astype(np.int32),
        (20, 4, 4, n),
    )
    blocks = columns(5) + [
        Block(name, "categorical", NONE, NONE, slice(i, i + 1))
        for i, name in enumerate(["city", "country", "other", "row"])
    ]
    found = [
        [blocks[i].name for i in group]
        for group in groups_of(features, blocks, np.random.default_rng(0))
    ]
    # x4 is a function of x0, and x1 of it, but not they of x4: any two of a group say the same.
    assert ["city", "country"] in found
    assert ["other"] in found
    assert ["row"] in found
    assert ["x2"] in found
    assert ["x3"] in found
    assert any({"x0", "x1"} <= set(group) for group in found)
    assert sum(map(len, found)) == 9
