"""Periodic features and codes, against NumPy."""

from __future__ import annotations

import jax
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from popnet.nn import embeddings
from popnet.spec import bins

cos2pi = jax.jit(embeddings.cos2pi)
slope = jax.jit(jax.vmap(jax.grad(embeddings.cos2pi)))
periodic = jax.jit(embeddings.periodic)


@settings(deadline=None)
@given(hnp.arrays(np.float32, 16, elements=st.floats(-1000, 1000, width=32, allow_subnormal=False)))
def test_cos2pi_and_its_derivative(t):
    angle = 2 * np.pi * np.float64(t)
    np.testing.assert_allclose(cos2pi(t), np.cos(angle), atol=3e-6)
    np.testing.assert_allclose(slope(t), -2 * np.pi * np.sin(angle), atol=2e-5)


def test_cos2pi_over_whole_periods_and_at_the_seams():
    t = np.concatenate([np.linspace(-2, 2, 16001), np.arange(-8, 9) / 8]).astype(np.float32)
    angle = 2 * np.pi * np.float64(t)
    np.testing.assert_allclose(cos2pi(t), np.cos(angle), atol=3e-6)
    np.testing.assert_allclose(slope(t), -2 * np.pi * np.sin(angle), atol=2e-5)


def test_periodic_features_stand_by_column():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, 3)).astype(np.float32)
    w, b = rng.standard_normal((2, 3, 4)).astype(np.float32)
    expected = [[np.cos(2 * np.pi * (x[i, f] * w[f] + b[f])) for f in range(3)] for i in range(5)]
    found = periodic(np.repeat(x, 4, axis=1).T, w.reshape(-1, 1), b.reshape(-1, 1))
    np.testing.assert_allclose(found.T, np.reshape(expected, (5, 12)), atol=1e-5)


def test_quantiles_of_training_values_are_normal():
    rng = np.random.default_rng(0)
    values = rng.exponential(size=(20_000, 2)).astype(np.float32)
    values[:, 1] = 3 * values[:, 1] - 7
    knots = np.quantile(values, np.linspace(0, 1, 49), axis=0).T.astype(np.float32)
    found = np.asarray(embeddings.quantiles(values, knots))
    true = stats.norm.ppf(stats.expon.cdf(values[:, 0].astype(np.float64)))
    middle = np.abs(true) < 2
    np.testing.assert_allclose(found[middle, 0], true[middle], atol=0.05)
    far = embeddings.quantiles(np.array([[-1e6, 1e6]], np.float32), knots)
    np.testing.assert_allclose(far, stats.norm.ppf([[0.005, 0.995]]), rtol=1e-4)


def test_quantiles_of_repeated_values_are_in_the_middle_of_them():
    knots = np.array([[0, 0, 0, 1, 2], [4, 4, 4, 4, 4]], np.float32)
    x = np.array([[0, 5], [0.5, 4], [1, 3], [1.5, 4]], np.float32)
    found = np.asarray(embeddings.quantiles(x, knots))
    # Two of four bins are at 0.
    np.testing.assert_allclose(found[:, 0], stats.norm.ppf([0.25, 0.625, 0.75, 0.875]), rtol=1e-5)
    np.testing.assert_array_equal(found[:, 1], x[:, 1])
    np.testing.assert_array_equal(embeddings.quantiles(x, np.zeros((2, 0), np.float32)), x)


def test_fewer_bins_take_every_other_knot():
    knots = np.arange(9, dtype=np.float32)[None]
    assert bins.bounds(knots, 4) == ((0, 2, 4, 6, 8),)
    assert bins.bounds(knots, 100) == (tuple(range(9)),)
    assert bins.bounds(np.zeros((2, 0), np.float32), 4) == ((), ())


@given(hnp.arrays(np.float32, (2, 7), elements=st.floats(-100, 100, width=32)), st.integers(1, 10))
def test_bins_of_any_knots_rise(knots, size):
    knots = np.sort(knots, axis=1)
    bounds = bins.bounds(knots, size)
    assert all(len(b) != 1 and len(b) - 1 <= size for b in bounds)
    assert all(np.all(np.diff(k[list(b)]) > 0) for k, b in zip(knots, bounds, strict=True))


@given(
    hnp.arrays(np.float32, (1, 9), elements=st.floats(-100, 100, width=32)),
    hnp.arrays(np.float32, 30, elements=st.floats(-150, 150, width=32)),
)
def test_quantiles_never_fall_and_are_finite(knots, x):
    knots, x = np.sort(knots, axis=1), np.sort(x)[:, None]
    found = embeddings.quantiles(x, knots)
    assert np.all(np.isfinite(found))
    assert np.all(np.diff(found[:, 0]) >= 0)
