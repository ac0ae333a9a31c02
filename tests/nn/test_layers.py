"""The linear map with its own gradient, and maxout, against NumPy."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from popnet.nn import layers


@jax.jit
def linear(x, w, g):
    """Return the product and its gradients for a gradient g of the output."""
    out, back = jax.vjp(layers.linear, x, w)
    return out, *back(g)


@pytest.mark.parametrize("outputs", [1, 3, layers.NARROW, layers.NARROW + 1, 20])
@pytest.mark.parametrize("inputs", [0, 1, 7])
def test_linear_and_its_gradient(outputs, inputs):
    rng = np.random.default_rng(outputs)
    x, w = rng.standard_normal((33, inputs)), rng.standard_normal((inputs, outputs))
    g = rng.standard_normal((33, outputs))
    got = linear(*map(np.float32, (x, w, g)))
    for a, e in zip(got, (x @ w, g @ w.T, x.T @ g), strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("outputs", [2, 20])
def test_linear_for_several_members(outputs):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((3, 9, 4)), rng.standard_normal((3, 4, outputs))
    g = rng.standard_normal((3, 9, outputs))
    got = jax.vmap(linear)(*map(np.float32, (x, w, g)))
    expected = (x @ w, g @ w.transpose(0, 2, 1), x.transpose(0, 2, 1) @ g)
    for a, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-4, atol=1e-5)


@jax.jit
def maxout(z, g):
    out, back = jax.vjp(lambda z: layers.maxout(z, z.shape[1] // 2), z)
    return out, back(g)[0]


@settings(deadline=None)
@given(
    hnp.arrays(
        np.float32, (4, 6), elements=st.floats(-5, 5, width=32, allow_subnormal=False), unique=True
    ),
    hnp.arrays(np.float32, (4, 2), elements=st.floats(-5, 5, width=32, allow_subnormal=False)),
)
def test_maxout_is_the_largest_of_k_maps(z, g):
    # Three maps of two units: columns 0 1, 2 3, 4 5.
    maps = np.stack([z[:, 0:2], z[:, 2:4], z[:, 4:6]])
    out, gradient = maxout(z, g)
    np.testing.assert_array_equal(out, maps.max(0))
    winner = np.where(np.arange(3)[:, None, None] == maps.argmax(0), g, 0)
    np.testing.assert_array_equal(gradient, np.concatenate(winner, axis=1))


def test_maxout_of_linear_maps_is_convex_in_its_input():
    rng = np.random.default_rng(0)
    w = rng.standard_normal((5, 12)).astype(np.float32)
    a, b = rng.standard_normal((2, 50, 5)).astype(np.float32)

    def f(x):
        return np.asarray(layers.maxout(x @ w, 4))

    assert np.all(f((a + b) / 2) <= (f(a) + f(b)) / 2 + 1e-5)
