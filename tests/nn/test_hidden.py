"""Bias, normalization, activation and dropout in one: equal to the parts, written one by one and differentiated."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from popnet.nn import hidden, norm
from popnet.nn.activations import ACTIVATIONS, ActivationNumbers
from popnet.spec.recipe import choices

N, W, REAL = 16, 6, 13
EPSILON = np.float32(1e-3)
SHARE = np.where(np.arange(N) < REAL, np.float32(1 / REAL), 0).astype(np.float32)


def draw(pieces: int = 1):
    """Return z, what is learned, PReLU's slopes, a mask, and a gradient that is 0 beyond the real rows."""
    rng = np.random.default_rng(3)

    def normal(*size: int) -> np.ndarray:
        return rng.standard_normal(size).astype(np.float32)

    z = 2 * normal(N, W * pieces) + 1
    p = hidden.Learned(normal(W * pieces), normal(W * pieces), normal(W * pieces))
    g = normal(N, W)
    g[REAL:] = 0
    return z, p, abs(normal(W)), rng.random((N, W)) < 0.7, g


def plainly(kind: str, activation, z, p, slopes, mask, rate):
    """The same in plain operations, on the real rows; bias left out before batch normalization."""
    z, mask = z[:REAL], mask[:REAL]
    y = z if kind == "batch" else z + p.bias
    if kind != "none":
        axis = 0 if kind == "batch" else 1
        y = (y - y.mean(axis, keepdims=True)) / jnp.sqrt(y.var(axis, keepdims=True) + EPSILON)
        y = y * p.gamma + p.beta
    return jnp.where(mask, activation(y, numbers(slopes)) / (1 - rate), 0)


def numbers(slopes) -> ActivationNumbers:
    return ActivationNumbers(np.float32(0.2), np.float32(0.7), slopes)


@pytest.mark.parametrize("kind", choices("norm"))
@pytest.mark.parametrize("name", [*ACTIVATIONS, "maxout"])
def test_values_and_gradients_are_those_of_the_parts(name, kind):
    pieces = 3 if name == "maxout" else 1
    z, p, slopes, mask, g = draw(pieces)
    rate = np.float32(0.3)
    place = 0 if name == "maxout" else list(ACTIVATIONS).index(name)
    choice = hidden.LayerChoice(
        np.int32(choices("norm").index(kind)), np.int32(place), EPSILON, np.float32(rate)
    )
    activation = ACTIVATIONS.get(name, lambda y, _: y.reshape(REAL, pieces, W).max(1))

    def fused(z, p, slopes):
        h, _ = hidden.hidden(hidden.Kinds(pieces), choice, z, p, numbers(slopes), SHARE, mask)
        return (h * g).sum(), h

    def apart(z, p, slopes):
        h = plainly(kind, activation, z, p, slopes, mask, rate)
        return (h * g[:REAL]).sum(), h

    got = jax.jit(jax.grad(fused, (0, 1, 2), has_aux=True))(z, p, slopes)
    # Operation by operation: compiled as a whole, the gradient of a maximum compares numbers rounded in two ways.
    right = jax.grad(apart, (0, 1, 2), has_aux=True)(z, p, slopes)
    np.testing.assert_allclose(got[1][:REAL], right[1], rtol=1e-4, atol=1e-5)
    for a, b in zip(jax.tree.leaves(got[0]), jax.tree.leaves(right[0]), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("kind", choices("norm"))
def test_evaluation_is_without_dropout_and_by_running_statistics(kind):
    z, p, slopes, _, _ = draw()
    running = norm.Statistics(np.float32(np.arange(W)), np.float32(np.arange(1, W + 1)))
    choice = hidden.LayerChoice(
        np.int32(choices("norm").index(kind)), np.int32(1), EPSILON, np.float32(0.9)
    )
    got = hidden.evaluate(hidden.Kinds(), choice, z, p, numbers(slopes), running)
    y = np.float64(z + p.bias)
    if kind == "batch":
        y = (z - running.mean) / np.sqrt(running.var + EPSILON)
    elif kind == "layer":
        y = (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + EPSILON)
    expected = np.tanh(y if kind == "none" else y * p.gamma + p.beta)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
