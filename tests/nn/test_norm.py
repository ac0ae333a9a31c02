"""Normalization against closed forms and PyTorch: values, gradients, running statistics, ragged batches."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popnet.nn import norm

N, W = 24, 6
EPSILON = np.float32(1e-3)
KINDS = {"none": norm.NONE, "batch": norm.BATCH, "layer": norm.LAYER}


@jax.jit
def normalize(kind, x, share, gamma, beta, g):
    """Return values, statistics, and gradients for a gradient g of the values."""

    def f(x, gamma, beta):
        return norm.normalize(kind, x, share, gamma, beta, EPSILON)

    out, back, statistics = jax.vjp(f, x, gamma, beta, has_aux=True)
    return out, statistics, *back(g)


@jax.jit
def evaluate(kind, x, mean, var, gamma, beta):
    return norm.apply_running(kind, x, norm.Statistics(mean, var), gamma, beta, EPSILON)


update = jax.jit(norm.update_running)


def share_of(n: int) -> np.ndarray:
    return np.where(np.arange(N) < n, np.float32(1) / n, 0).astype(np.float32)


def draw(seed: int, n: int = N):
    """Return inputs, scale, shift, and a gradient that is 0 beyond the first n rows."""
    rng = np.random.default_rng(seed)
    x = 3 * rng.standard_normal((N, W)) + rng.standard_normal(W)
    g = rng.standard_normal((N, W))
    g[n:] = 0
    return [a.astype(np.float32) for a in (x, rng.standard_normal(W), rng.standard_normal(W), g)]


def centred_and_scaled(x, axis):
    x = np.float64(x)
    return (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + EPSILON)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), st.integers(1, N), st.sampled_from(sorted(KINDS)))
def test_training_values_and_statistics(seed, n, kind):
    x, gamma, beta, g = draw(seed, n)
    out, statistics, *_ = normalize(KINDS[kind], x, share_of(n), gamma, beta, g)
    expected = np.float64(x[:n])
    if kind != "none":
        expected = centred_and_scaled(x[:n], 0 if kind == "batch" else 1) * gamma + beta
    np.testing.assert_allclose(out[:n], expected, rtol=1e-3, atol=1e-4)
    if kind == "batch":
        np.testing.assert_allclose(statistics.mean, x[:n].mean(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(statistics.var, x[:n].var(0), rtol=1e-4, atol=1e-5)
    else:
        assert not np.any(statistics.mean)
        assert not np.any(statistics.var)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_by_differences(kind):
    n = 19
    x, gamma, beta, g = draw(1, n)
    _, _, dx, d_gamma, d_beta = normalize(KINDS[kind], x, share_of(n), gamma, beta, g)

    def total(x, gamma, beta):
        y = x[:n]
        if kind != "none":
            y = centred_and_scaled(y, 0 if kind == "batch" else 1) * gamma + beta
        return (y * g[:n]).sum()

    arguments = [np.float64(a) for a in (x, gamma, beta)]
    for i, got in enumerate((dx, d_gamma, d_beta)):
        for place in np.ndindex(got.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = [a.copy() for a in arguments]
                moved[i][place] += step
                ends.append(total(*moved))
            np.testing.assert_allclose(got[place], (ends[0] - ends[1]) / 2e-5, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 17, 23])
def test_rows_that_fill_up_a_batch_do_not_matter_to_the_bit(kind, n):
    x, gamma, beta, g = draw(2, n)
    other = x.copy()
    other[n:] = 1e6 * np.random.default_rng(9).standard_normal((N - n, W))
    a, b = (normalize(KINDS[kind], v, share_of(n), gamma, beta, g) for v in (x, other))
    for got, same in zip(a[2:] + tuple(a[1]), b[2:] + tuple(b[1]), strict=True):
        np.testing.assert_array_equal(got, same)
    np.testing.assert_array_equal(a[0][:n], b[0][:n])


def test_statistics_are_no_part_of_the_objective():
    x, gamma, beta, _ = draw(3)

    def f(x):
        statistics = norm.normalize(norm.BATCH, x, share_of(N), gamma, beta, EPSILON)[1]
        return statistics.mean.sum() + statistics.var.sum()

    assert not np.any(jax.jit(jax.grad(f))(x))


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_uses_the_running_statistics(kind):
    x, gamma, beta, _ = draw(4)
    mean, var = np.float32(np.arange(W)), np.float32(np.arange(1, W + 1))
    got = evaluate(KINDS[kind], x, mean, var, gamma, beta)
    expected = {
        "none": x,
        "batch": (x - mean) / np.sqrt(var + EPSILON) * gamma + beta,
        "layer": centred_and_scaled(x, 1) * gamma + beta,
    }[kind]
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_running_variance_is_unbiased():
    means_and_variances = np.float32([1, 2, 3, 4])
    batch = np.float32([5, 6, 7, 8])
    is_variance = np.float32([0, 0, 1, 1])
    got = update(means_and_variances, batch, is_variance, np.float32(1 / 4), np.float32(0.25))
    np.testing.assert_allclose(
        got, 0.75 * means_and_variances + 0.25 * batch * [1, 1, 1.25, 1.25], rtol=1e-6
    )


# --- PyTorch -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [N, 17, 2])
@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_against_torch(kind, n):
    torch = pytest.importorskip("torch")
    x, gamma, beta, g = draw(5, n)
    layer = (
        torch.nn.BatchNorm1d(W, eps=float(EPSILON))
        if kind == "batch"
        else torch.nn.LayerNorm(W, eps=float(EPSILON))
    ).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(gamma))
        layer.bias.copy_(torch.tensor(beta))
    t = torch.tensor(np.float64(x[:n]), requires_grad=True)
    out = layer(t)
    (out * torch.tensor(g[:n])).sum().backward()
    got, _, dx, d_gamma, d_beta = normalize(KINDS[kind], x, share_of(n), gamma, beta, g)
    for a, e in ((got[:n], out.detach()), (dx[:n], t.grad)):
        np.testing.assert_allclose(a, e.numpy(), rtol=1e-3, atol=1e-4)
    for a, e in ((d_gamma, layer.weight.grad), (d_beta, layer.bias.grad)):
        np.testing.assert_allclose(a, e.numpy(), rtol=1e-3, atol=1e-4)


def test_running_statistics_and_evaluation_against_torch():
    torch = pytest.importorskip("torch")
    layer = torch.nn.BatchNorm1d(W, eps=float(EPSILON), momentum=0.2).double()
    running = jnp.concatenate([jnp.zeros(W), jnp.ones(W)])
    is_variance = np.repeat(np.float32([0, 1]), W)
    ones, zeros = np.ones(W, np.float32), np.zeros(W, np.float32)
    for seed, n in enumerate((N, 23, 24, 3, 17)):
        x, *_ = draw(seed)
        layer(torch.tensor(np.float64(x[:n])))
        _, statistics, *_ = normalize(norm.BATCH, x, share_of(n), ones, zeros, x)
        batch = jnp.concatenate(statistics)
        running = update(running, batch, is_variance, np.float32(1 / (n - 1)), np.float32(0.2))
    np.testing.assert_allclose(running[:W], layer.running_mean.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(running[W:], layer.running_var.numpy(), rtol=1e-4, atol=1e-5)
    layer.eval()
    x, *_ = draw(9)
    got = evaluate(norm.BATCH, x, running[:W], running[W:], ones, zeros)
    expected = layer(torch.tensor(np.float64(x))).detach().numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
