"""Losses and penalties against closed forms; gradients against finite differences."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import log_softmax

from popnet.population import losses, penalties

numbers = st.floats(-50, 50, width=32, allow_subnormal=False)
matrices = hnp.arrays(np.float32, (4, 3), elements=numbers)
cross_entropy = jax.jit(losses.cross_entropy)
squared_error = jax.jit(losses.squared_error)
d_cross_entropy = jax.jit(jax.grad(lambda z, p: losses.cross_entropy(z, p).sum()))
d_squared_error = jax.jit(jax.grad(lambda o, t: losses.squared_error(o, t).sum()))
smooth = jax.jit(losses.smooth)


@partial(jax.jit, static_argnums=1)
def penalty(w, n_weights, l1, l2):
    """Return the penalty of the first weights, and its gradient."""
    parts = penalties.penalty(w, n_weights, l1, l2)
    return parts.sum(), penalties.pull(w, n_weights, l1, l2)


PROBABILITIES = np.array([[1, 0, 0], [0.2, 0.3, 0.5], [0, 0.9, 0.1], [1 / 3] * 3], np.float32)


def slope(function, x: np.ndarray, step: float) -> np.ndarray:
    """Return the gradient of a scalar function by central differences."""
    out = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        d = np.zeros(x.shape)
        d[place] = step
        out[place] = (function(x + d) - function(x - d)) / (2 * step)
    return out


@settings(deadline=None)
@given(matrices)
def test_cross_entropy_and_its_gradient(logits):
    expected = -(PROBABILITIES * log_softmax(np.float64(logits), axis=1)).sum(1)
    np.testing.assert_allclose(cross_entropy(logits, PROBABILITIES), expected, rtol=1e-5, atol=1e-5)
    gradient = d_cross_entropy(logits, PROBABILITIES)
    softmax = np.exp(log_softmax(np.float64(logits), axis=1))
    np.testing.assert_allclose(gradient, softmax - PROBABILITIES, atol=1e-5)


def test_cross_entropy_of_huge_logits_is_finite():
    logits = jnp.array([[1e30, -1e30, 0.0]])
    assert losses.cross_entropy(logits, jnp.array([[1.0, 0, 0]]))[0] == 0
    assert np.isfinite(losses.cross_entropy(logits, jnp.array([[0.0, 1, 0]]))[0])


@settings(deadline=None)
@given(matrices, matrices)
def test_squared_error_is_the_mean_over_targets(outputs, target):
    difference = np.float64(outputs) - target
    np.testing.assert_allclose(
        squared_error(outputs, target), (difference**2).mean(1), rtol=1e-5, atol=1e-5
    )
    gradient = d_squared_error(outputs, target)
    np.testing.assert_allclose(gradient, 2 * difference / 3, rtol=1e-5, atol=1e-5)


def test_one_hot_is_the_unit_matrix_by_rows():
    target = np.array([2, 0, 1, 1], np.int32)
    np.testing.assert_array_equal(losses.one_hot(target, 4), np.eye(4)[target])


@given(st.floats(0, 0.99))
def test_smoothing_spreads_its_share_evenly(smoothing):
    out = np.asarray(smooth(PROBABILITIES, np.float32(smoothing), np.float32(3)))
    np.testing.assert_allclose(out.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(out[0], [1 - smoothing * 2 / 3, *[smoothing / 3] * 2], atol=1e-6)
    np.testing.assert_allclose(out[3], 1 / 3, rtol=1e-5)


def test_classes_that_are_padding_have_no_share_of_the_smoothing():
    padded = np.pad(PROBABILITIES, ((0, 0), (0, 5)))
    out = np.asarray(smooth(padded, np.float32(0.3), np.float32(3)))
    np.testing.assert_array_equal(out[:, 3:], 0)
    expected = smooth(PROBABILITIES, np.float32(0.3), np.float32(3))
    np.testing.assert_allclose(out[:, :3], expected, rtol=1e-6)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_scores_on_the_host_are_the_means_of_the_losses(task):
    rng = np.random.default_rng(0)
    outputs = (3 * rng.standard_normal((50, 3))).astype(np.float32)
    weight = rng.uniform(0.5, 2, 50).astype(np.float32)
    if task == "regression":
        target = rng.standard_normal((50, 3)).astype(np.float32)
        each = losses.squared_error(outputs, target)
    else:
        target = rng.integers(0, 3, 50).astype(np.int32)
        each = losses.cross_entropy(outputs, losses.one_hot(target, 3))
    loss, error = losses.scores(outputs, target, weight, task)
    assert loss == pytest.approx(np.average(each, weights=weight), rel=1e-5)
    wrong = losses.error(outputs, target, task)
    assert error == pytest.approx(np.average(wrong, weights=weight), rel=1e-5)


def test_error_counts_wrong_classes():
    outputs = np.array([[3.0, 1, 2], [0, 1, 2], [0, 9, 2]], np.float32)
    got = losses.error(outputs, np.array([0, 1, 1], np.int32), "classification")
    np.testing.assert_array_equal(got, [0, 1, 0])


def test_error_of_regression_is_the_mean_distance():
    got = losses.error(np.array([[3.0, -1]]), np.array([[1.0, 0]]), "regression")
    np.testing.assert_allclose(got, [1.5])


# --- penalties -----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(
    hnp.arrays(np.float32, 6, elements=st.floats(-3, 3, width=32, allow_subnormal=False)),
    st.integers(0, 6),
    st.sampled_from([0.0, 1e-4, 0.5]),
    st.sampled_from([0.0, 1e-3, 2.0]),
)
def test_penalty_is_the_sum_over_the_weights_that_come_first(w, first, l1, l2):
    mask = np.arange(6) < first
    chosen = np.float64(w)[mask]
    value, gradient = penalty(w, first, np.float32(l1), np.float32(l2))
    expected = l1 * np.abs(chosen).sum() + l2 * (chosen**2).sum()
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-30)
    known = np.where(w == 0, np.nan, l1 * np.sign(w) + 2 * l2 * w) * mask
    defined = ~np.isnan(known)  # at 0 any slope in [-l1, l1] would do
    np.testing.assert_allclose(np.asarray(gradient)[defined], known[defined], rtol=1e-5)
    assert np.all(np.abs(np.asarray(gradient)[~defined]) <= l1)


@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.2), (0.3, 0.2)])
def test_gradient_of_the_penalty_by_differences(l1, l2):
    w = np.array([1.5, -2, 0.25, -0.5])

    def value(x):
        return float(penalty(np.float32(x), 3, np.float32(l1), np.float32(l2))[0])

    _, gradient = penalty(np.float32(w), 3, np.float32(l1), np.float32(l2))
    np.testing.assert_allclose(gradient, slope(value, w, 2**-6), atol=1e-4)


def test_no_penalty_is_exactly_nothing():
    value, gradient = penalty(np.ones(5, np.float32), 5, np.float32(0), np.float32(0))
    assert value == 0
    assert not np.any(gradient)
