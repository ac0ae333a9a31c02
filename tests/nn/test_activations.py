"""Every activation and its derivative against closed forms, and against PyTorch."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from popnet import Recipe
from popnet.nn.activations import ACTIVATIONS, ActivationNumbers
from population import reference

SIZE = 8
EDGES = np.float32([-30, -20, -1e-3, 0, 1e-30, 1e-3, 20, 30])
inputs = hnp.arrays(np.float32, SIZE, elements=st.floats(-30, 30, width=32, allow_subnormal=False))
slopes = st.sampled_from([0.0, 0.01, 0.3, 1.0])
alphas = st.sampled_from([0.1, 1.0, 2.0])


def value_and_slope(name: str):
    """Return a compiled function: values, derivatives by the input and by the learned slopes."""

    def f(z, slope, alpha):
        def one(z, learned):
            return ACTIVATIONS[name](z, ActivationNumbers(slope, alpha, learned))

        value = one(z, slope)
        by_input, by_slope = jax.vmap(jax.grad(one, (0, 1)), (0, None))(z, slope)
        return value, by_input, by_slope

    return jax.jit(f)


ENGINE = {name: value_and_slope(name) for name in ACTIVATIONS}


def check(name, z, slope, alpha, expected):
    got = ENGINE[name](z, np.float32(slope), np.float32(alpha))
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=2e-5, atol=1e-5)


def closed_form(name, z, slope, alpha):
    """Return values and derivatives in double precision."""
    z, slope, alpha = np.float64(z), float(np.float32(slope)), float(np.float32(alpha))
    if name == "prelu":
        below = z <= 0
        return np.where(below, slope * z, z), np.where(below, slope, 1.0), np.where(below, z, 0.0)
    recipe = Recipe(activation=name, leaky_slope=min(slope, 1), elu_alpha=alpha)
    return *reference.activation(z, recipe), np.zeros(SIZE)


@pytest.mark.parametrize("name", ACTIVATIONS)
@settings(deadline=None, max_examples=60)
@given(z=inputs, slope=slopes, alpha=alphas)
def test_values_and_derivatives_are_the_closed_forms(name, z, slope, alpha):
    check(name, z, slope, alpha, closed_form(name, z, slope, alpha))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_derivatives_at_the_edges(name):
    check(name, EDGES, 0.2, 1.0, closed_form(name, EDGES, 0.2, 1.0))


def torch_function(torch, name, slope, alpha):
    f = torch.nn.functional
    return {
        "leaky_relu": lambda z: f.leaky_relu(z, slope),
        "elu": lambda z: f.elu(z, alpha),
        "prelu": lambda z: f.prelu(z, torch.tensor([slope], dtype=z.dtype)),
        "gelu": lambda z: f.gelu(z, approximate="tanh"),
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
    }.get(name) or getattr(f, name)


@pytest.mark.parametrize("name", ACTIVATIONS)
@settings(deadline=None, max_examples=40)
@given(z=inputs | st.just(EDGES), slope=slopes, alpha=alphas)
def test_values_and_derivatives_are_those_of_torch(name, z, slope, alpha):
    torch = pytest.importorskip("torch")
    slope, alpha = float(np.float32(slope)), float(np.float32(alpha))
    x = torch.tensor(np.float64(z), requires_grad=True)
    value = torch_function(torch, name, slope, alpha)(x)
    value.sum().backward()
    got = ENGINE[name](z, np.float32(slope), np.float32(alpha))
    np.testing.assert_allclose(got[0], value.detach().numpy(), rtol=2e-5, atol=1e-5)
    np.testing.assert_allclose(got[1], x.grad.numpy(), rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_large_inputs_give_finite_values_and_derivatives(name):
    z = np.float32([-1e4, -300, -100, -88.8, 88.8, 100, 300, 1e4])
    assert all(np.all(np.isfinite(x)) for x in ENGINE[name](z, np.float32(0.1), np.float32(1)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_is_not_hidden(name):
    value, *_ = ENGINE[name](np.full(SIZE, np.nan, np.float32), np.float32(0.1), np.float32(1))
    assert np.all(np.isnan(value))
