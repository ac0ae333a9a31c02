"""The convolution and the pooling, against plain loops and the gradients that JAX derives of the plain formula."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate

from popnet.nn import convolution

SIZES = [(2, 6, 5, 1, 3), (3, 5, 7, 3, 4), (2, 4, 4, 6, 5), (1, 1, 1, 8, 2), (2, 3, 1, 5, 5)]
PATHS = {
    "cpu": (convolution._forward_cpu, convolution._backward_cpu),
    "views": (convolution._by_views, convolution._backward_by_views),
}


def draw(n, height, width, channels, out, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, height, width, channels)).astype(np.float32)
    w = rng.standard_normal((9 * channels, out)).astype(np.float32)
    return x, w, rng.standard_normal((n, height, width, out)).astype(np.float32)


def by_scipy(x, w):
    """Each image, channel by channel, with scipy's correlation."""
    n, height, width, channels = x.shape
    kernels = w.reshape(3, 3, channels, -1).astype(np.float64)
    out = np.zeros((n, height, width, kernels.shape[3]))
    for i in range(n):
        for c in range(channels):
            for d in range(kernels.shape[3]):
                image = x[i, :, :, c].astype(np.float64)
                out[i, :, :, d] += correlate(image, kernels[:, :, c, d], mode="constant")
    return out


def plainly(x, w):
    """The same by the definition, for gradients."""
    _, height, width, channels = x.shape
    kernels = w.reshape(3, 3, channels, -1)
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return sum(
        jnp.einsum("nhwc,cd->nhwd", padded[:, i : i + height, j : j + width], kernels[i, j])
        for i in range(3)
        for j in range(3)
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", PATHS)
def test_both_forms_are_the_convolution_and_its_gradients(path, size):
    x, w, g = draw(*size)
    forward, backward = PATHS[path]
    np.testing.assert_allclose(forward(x, w), by_scipy(x, w), rtol=1e-4, atol=1e-4)
    dx, dw = jax.vjp(plainly, x, w)[1](g)
    got_dx, got_dw = backward(jnp.asarray(x), jnp.asarray(w), jnp.asarray(g))
    np.testing.assert_allclose(got_dx, dx, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(got_dw, dw, rtol=1e-4, atol=1e-4)


def test_the_gradient_is_used_inside_of_loops_too():
    x, w, _ = draw(2, 6, 6, 5, 5)

    def loss(convolve, x, w):
        return jax.lax.fori_loop(0, 1, lambda _, w: w - jax.grad(
            lambda w: (convolve(x, w) ** 2).sum())(w), w)  # fmt: skip

    got = jax.jit(lambda x, w: loss(convolution.convolve, x, w))(x, w)
    np.testing.assert_allclose(got, loss(plainly, x, w), rtol=1e-3, atol=1e-2)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 3), st.integers(2, 7), st.integers(2, 7), st.integers(1, 3), st.integers(0, 99)
)
def test_pooling_takes_the_largest_and_sends_the_gradient_there(n, height, width, channels, seed):
    x = np.random.default_rng(seed).standard_normal((n, height, width, channels)).astype(np.float32)
    got, pull = jax.vjp(convolution.max_pool, x)
    rows, columns = height // 2, width // 2
    assert got.shape == (n, rows, columns, channels)
    expected = np.zeros_like(x)
    for i in range(rows):
        for j in range(columns):
            square = x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].reshape(n, 4, channels)
            np.testing.assert_array_equal(got[:, i, j], square.max(1))
            first = square.argmax(1)
            for k in range(n):
                for c in range(channels):
                    a, b = divmod(int(first[k, c]), 2)
                    expected[k, 2 * i + a, 2 * j + b, c] = 1 + i
    g = np.broadcast_to(1 + np.arange(rows, dtype=np.float32)[:, None, None], got.shape)
    np.testing.assert_array_equal(pull(jnp.asarray(g))[0], expected)


def test_patches_keep_every_pixel_of_whole_squares():
    x = np.arange(2 * 5 * 6 * 2, dtype=np.float32).reshape(2, 5, 6, 2)
    got = np.asarray(convolution.patches(jnp.asarray(x), 2))
    assert got.shape == (2, 2, 3, 8)
    np.testing.assert_array_equal(got[1, 1, 2].reshape(2, 2, 2), x[1, 2:4, 4:6])
    assert convolution.patches(x, 1) is x
