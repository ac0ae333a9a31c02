"""The temperature of probabilities: closed forms, and no temperature by luck."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from popnet.predictions import ensemble
from popnet.predictions.calibration import temperature, tempered
from popnet.predictions.metrics import METRICS


def drawn(rows: int, seed: int = 0, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return classes that were drawn by probabilities, and these."""
    rng = np.random.default_rng(seed)
    p = ensemble.softmax(2 * rng.standard_normal((rows, classes)))
    return np.array([rng.choice(classes, p=row) for row in p]), p


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.5, 3.0])
def test_the_temperature_undoes_a_power_of_right_probabilities(factor: float) -> None:
    true, right = drawn(20_000)
    wrong = ensemble.softmax(np.log(right) * factor)  # surer than right above 1
    found = temperature(true, wrong)
    assert found == pytest.approx(factor, rel=0.05)
    np.testing.assert_allclose(tempered(wrong, factor), right, atol=1e-3)


def test_right_probabilities_of_few_rows_are_left_alone() -> None:
    assert [temperature(*drawn(100, seed)) for seed in range(20)] == [1.0] * 20


def test_rows_of_no_weight_say_nothing() -> None:
    true, right = drawn(4000)
    timid = ensemble.softmax(np.log(right) * 0.5)
    both = np.concatenate([timid, right[::-1]]), np.concatenate([true, true])
    weights = np.repeat([1.0, 0.0], 4000)
    assert temperature(both[1], both[0], weights) == pytest.approx(temperature(true, timid))
    assert temperature(true, timid, np.zeros(4000)) == 1.0


def test_certain_answers_stay_finite() -> None:
    p = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert np.isfinite(tempered(p, 0.3)).all()
    assert temperature(np.array([0, 1]), p) == 1.0
    assert METRICS["log_loss"](np.array([0, 1]), tempered(p, 0.3)) == pytest.approx(0, abs=1e-6)


@given(st.integers(0, 2**16), st.floats(0.25, 4.0))
def test_order_and_sum_are_kept(seed: int, value: float) -> None:
    _, p = drawn(20, seed)
    found = tempered(p, value)
    np.testing.assert_allclose(found.sum(1), 1)
    np.testing.assert_array_equal(found.argsort(1), p.argsort(1))
