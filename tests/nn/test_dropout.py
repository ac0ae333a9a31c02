"""Dropout: its rate, its independence, its gradient."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from popnet.nn.dropout import dropout
from popnet.runtime import keys

SHAPE = (96, 64)
apply = jax.jit(dropout)
gradient = jax.jit(jax.grad(lambda x, key, rate, g: (dropout(x, key, rate) * g).sum()))


def mask(seed: int, rate: float) -> np.ndarray:
    """Return what was kept, as booleans."""
    return np.asarray(apply(np.ones(SHAPE, np.float32), np.uint32(seed), np.float32(rate))) != 0


@pytest.mark.parametrize("seed", range(3))
def test_rate_0_gives_the_bits_back(seed):
    x = np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)
    x[0, :4] = [np.inf, -0.0, 2e-38, 3e38]
    out = np.asarray(apply(x, np.uint32(seed), np.float32(0)))
    np.testing.assert_array_equal(out.view(np.uint32), x.view(np.uint32))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.95))
def test_what_is_kept_is_scaled_up_and_the_rest_is_zero(seed, rate):
    x = np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)
    out = np.asarray(apply(x, np.uint32(seed), np.float32(rate)))
    kept = out != 0
    np.testing.assert_allclose(out[kept], x[kept] / (1 - np.float32(rate)), rtol=1e-6)
    assert stats.binomtest(int(kept.sum()), x.size, 1 - rate).pvalue > 1e-6


def test_the_expectation_is_the_input():
    x = np.random.default_rng(0).uniform(1, 2, SHAPE).astype(np.float32)
    outs = [apply(x, keys.fold_in(np.uint32(1), i), np.float32(0.5)) for i in range(400)]
    # Standard deviation of an element's mean is x / 20.
    assert np.abs(np.mean(outs, axis=0) / x - 1).max() < 5.5 / 20


def test_the_gradient_passes_where_the_value_did():
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, *SHAPE)).astype(np.float32)
    got = np.asarray(gradient(x, np.uint32(7), np.float32(0.3), g))
    np.testing.assert_allclose(got, np.where(mask(7, 0.3), g / np.float32(0.7), 0), rtol=1e-6)


def dependence(a: np.ndarray, b: np.ndarray) -> float:
    """Return the p-value of two masks' independence."""
    table = [[(x & y).sum() for y in (b, ~b)] for x in (a, ~a)]
    return stats.chi2_contingency(table).pvalue


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_masks_of_rows_columns_and_keys_are_independent(rate):
    m = mask(3, rate)
    pairs = [(m[1:], m[:-1]), (m[:, 1:], m[:, :-1]), (m[2:], m[:-2]), (m, m[::-1]), (m, m[:, ::-1])]
    pairs += [(m, mask(s, rate)) for s in (2, 4, 5, 3 + 2**31)]
    pairs += [(m, mask(int(keys.fold_in(np.uint32(3), i)), rate)) for i in range(4)]
    assert min(dependence(a, b) for a, b in pairs) > 1e-3


def test_counts_of_rows_and_columns_are_binomial():
    m = np.concatenate([mask(s, 0.5) for s in range(20, 40)])
    for axis, n in ((1, SHAPE[1]), (0, len(m))):
        z = (m.sum(axis) - n / 2) / np.sqrt(n / 4)
        assert stats.chi2(len(z)).sf((z**2).sum()) > 1e-3
        assert stats.chi2(len(z)).cdf((z**2).sum()) > 1e-3  # not too even, either
