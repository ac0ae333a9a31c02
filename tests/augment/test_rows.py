"""Noise and mixup of rows."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from popnet.augment import rows
from popnet.runtime import keys

N = 16
noise = jax.jit(rows.noise)
pairs = jax.jit(rows.pairs, static_argnames="size")
mix = jax.jit(rows.mix)
shares = jax.jit(jax.vmap(lambda k, a: rows.pairs(k, a, np.int32(N), N).share, (0, None)))
ONLY = np.array([1, 1, 0], np.float32)
"""Noise in the first two columns."""
X = np.random.default_rng(0).standard_normal((N, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def _strict_types():
    with jax.numpy_dtype_promotion("strict"):
        yield


# --- noise ---------------------------------------------------------------------------------------


def test_no_noise_gives_the_bits_back():
    x = X.copy()
    x[0] = [np.inf, -0.0, 2e-38]
    out = np.asarray(noise(x, np.uint32(1), np.float32(0), np.ones(3, np.float32)))
    np.testing.assert_array_equal(out.view(np.uint32), x.view(np.uint32))


def test_noise_is_gaussian_and_of_the_given_size():
    x = np.zeros((400, 100), np.float32) + 5
    added = (
        np.asarray(noise(x, keys.key(1, "noise"), np.float32(0.25), np.ones(100, np.float32))) - 5
    )
    assert stats.kstest(added.reshape(-1), stats.norm(0, 0.25).cdf).pvalue > 1e-3


def test_noise_of_another_key_is_another():
    a, b = (np.asarray(noise(X, np.uint32(k), np.float32(1), ONLY)) - X for k in (1, 2))
    assert not np.any(a[:, :2] == b[:, :2])
    assert not np.any(a[:, 2])
    assert not np.any(b[:, 2])


def test_a_table_without_numbers_has_no_noise():
    assert noise(
        np.zeros((N, 0), np.float32), np.uint32(1), np.float32(1), np.zeros(0, np.float32)
    ).shape == (N, 0)


# --- mixup ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 1.0, 2.0])
def test_shares_are_beta_distributed(alpha):
    many = keys.mix(np.arange(4000, dtype=np.uint32))
    drawn = np.float64(shares(many, np.float32(alpha)))
    # Shares nearer to an end than 1e-6 are rounded; they are many with a small alpha.
    drawn = np.clip(drawn, 1e-6, 1 - 1e-6)
    expected = np.clip(stats.beta(alpha, alpha).rvs(4000, random_state=0), 1e-6, 1 - 1e-6)
    assert stats.ks_2samp(drawn, expected).pvalue > 1e-3
    inside = drawn[(drawn > 0.01) & (drawn < 0.99)]
    law = stats.beta(alpha, alpha)
    low, high = law.cdf([0.01, 0.99])
    assert stats.kstest(inside, lambda x: (law.cdf(x) - low) / (high - low)).pvalue > 1e-3


@given(st.integers(1, N))
def test_partners_are_the_real_rows_in_reverse(count):
    partner = np.asarray(pairs(np.uint32(1), np.float32(0.3), np.int32(count), size=N).partner)
    np.testing.assert_array_equal(partner[:count], np.arange(count)[::-1])
    np.testing.assert_array_equal(partner[count:], np.arange(count, N))


@settings(deadline=None, max_examples=25)
@given(st.integers(1, N), st.integers(0, 2**32 - 1))
def test_rows_are_mixed_with_their_partners(count, key):
    p = pairs(np.uint32(key), np.float32(0.4), np.int32(count), size=N)
    s = np.float64(p.share)
    assert 0 <= s <= 1
    got = np.asarray(mix(X, p))
    expected = s * X[:count] + (1 - s) * X[:count][::-1]
    np.testing.assert_allclose(got[:count], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got[:count].mean(0), X[:count].mean(0), rtol=1e-4, atol=1e-5)


def test_labels_are_mixed_like_rows():
    labels = np.eye(3, dtype=np.float32)[np.arange(N) % 3]
    p = pairs(np.uint32(6), np.float32(1), np.int32(N), size=N)
    got = np.asarray(mix(labels, p))
    np.testing.assert_allclose(got.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(got[0], p.share * labels[0] + (1 - p.share) * labels[-1], rtol=1e-6)


def test_no_mixup_gives_the_bits_back():
    p = pairs(np.uint32(1), np.float32(0), np.int32(N), size=N)
    assert not p.on
    assert p.share == 1
    x = X.copy()
    x[0] = [np.inf, -0.0, np.nan]
    np.testing.assert_array_equal(np.asarray(mix(x, p)).view(np.uint32), x.view(np.uint32))
