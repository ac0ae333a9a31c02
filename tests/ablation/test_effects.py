"""Effects of twins: means, intervals that cover the truth, verdicts."""

from __future__ import annotations

import numpy as np
import pytest

from popnet.ablation.effects import effect


def pairs(rng, mean, between, rows=400, count=5):
    return [
        rng.choice([-1.0, 0.0, 0.0, 0.0, 1.0], rows) + mean + between * rng.standard_normal()
        for _ in range(count)
    ]


def test_a_clear_gain_helps_and_a_clear_loss_harms():
    rng = np.random.default_rng(0)
    found = effect(pairs(rng, 0.5, 0.02), 0)
    assert found.verdict == "helps"
    assert found.low < found.mean < found.high
    assert found.mean == pytest.approx(0.5, abs=0.1)
    assert effect(pairs(rng, -0.5, 0.02), 0).verdict == "harms"


def test_without_an_effect_a_verdict_is_rare():
    rng = np.random.default_rng(1)
    verdicts = [effect(pairs(rng, 0.0, 0.02), k).verdict for k in range(200)]
    assert verdicts.count("nothing measurable") > 160


def test_twins_that_disagree_widen_the_interval():
    rng = np.random.default_rng(2)
    agree, disagree = (effect(pairs(rng, 0.1, b), 0) for b in (0.0, 0.3))
    assert disagree.high - disagree.low > 2 * (agree.high - agree.low)


def test_the_seed_decides():
    gains = pairs(np.random.default_rng(3), 0.1, 0.1)
    assert effect(gains, 4) == effect(gains, 4)
