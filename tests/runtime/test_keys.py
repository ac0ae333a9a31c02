"""Random streams: the hash is a good one, the shuffle is a permutation, streams do not meet."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from popnet.runtime import keys

SOME_KEYS = keys.mix(np.arange(1, 20_001, dtype=np.uint32))


def bits_of(x) -> np.ndarray:
    """Return the 32 bits of each number, ``(..., 32)`` of 0 and 1."""
    return (np.asarray(x)[..., None] >> np.arange(32, dtype=np.uint32)) & 1


# --- host ----------------------------------------------------------------------------------------


def test_generator_is_fixed_by_seed_and_names():
    a = keys.generator(3, "weights", "hidden0").random(4)
    np.testing.assert_array_equal(a, keys.generator(3, "weights", "hidden0").random(4))


@pytest.mark.parametrize(
    "other", [(4, "weights", "hidden0"), (3, "weights", "hidden1"), (3, "weightshidden0"), (3,)]
)
def test_generator_has_another_stream_for_each_seed_and_name(other):
    a, b = keys.generator(3, "weights", "hidden0"), keys.generator(*other)
    assert not np.any(a.random(100) == b.random(100))


def test_generator_is_the_same_everywhere():
    # Written down once: a change of these numbers changes every member of every population.
    assert keys.key(0, "training") == 2163479593
    assert keys.key(2**40, "training") == 1014973680


@given(st.integers(0, 2**63), st.text(max_size=5), st.integers(0, 99))
def test_key_fits_32_bits(seed, name, number):
    assert keys.key(seed, name, number).dtype == np.uint32


# --- the hash ------------------------------------------------------------------------------------


def test_mix_is_one_to_one():
    # A random function of 2^20 numbers would have some 128 collisions.
    x = np.concatenate([np.arange(2**19), 2**32 - 1 - np.arange(2**19)]).astype(np.uint32)
    assert len(np.unique(keys.mix(x))) == len(x)


def test_mix_is_the_same_in_numpy_and_in_jax():
    x = np.arange(0, 2**32, 2**20 - 3, dtype=np.uint32)
    np.testing.assert_array_equal(keys.mix(x), keys.mix(jnp.asarray(x)))


@pytest.mark.parametrize(
    "function",
    [
        keys.mix,
        lambda x: keys.fold_in(x, 7),
        lambda x: keys.fold_in(np.uint32(7), x),
    ],
    ids=["mix", "fold by key", "fold by number"],
)
def test_each_input_bit_changes_each_output_bit_half_of_the_time(function):
    x = SOME_KEYS[:16384]
    changed = [
        bits_of(np.asarray(function(x)) ^ np.asarray(function(x ^ np.uint32(1 << b)))).mean(0)
        for b in range(32)
    ]
    # Standard deviation of each of the 1024 shares is 1/256.
    assert np.abs(np.array(changed) - 0.5).max() < 6 / 256


def test_fold_of_small_numbers_gives_distinct_keys():
    k = np.uint32(12345)
    tree = keys.fold_in(keys.fold_in(k, np.arange(300))[:, None], np.arange(300)[None, :])
    assert len(np.unique(tree)) > 300 * 300 - 10  # one collision is expected among random numbers


def test_folding_does_not_commute():
    k = keys.key(0, "x")
    assert keys.fold_in(keys.fold_in(k, 1), 2) != keys.fold_in(keys.fold_in(k, 2), 1)


@pytest.mark.parametrize("shape", [(65536,), (256, 256), (8, 8192), (16384, 4)])
def test_bits_are_uniform_in_each_byte(shape):
    x = np.asarray(keys.bits(keys.key(1, "bits"), shape)).reshape(-1)
    for shift in (0, 8, 16, 24):
        counts = np.bincount((x >> shift) & 255, minlength=256)
        assert 1e-4 < stats.chisquare(counts).pvalue < 1 - 1e-4


def test_bits_depend_on_place_and_key_alone():
    small, large = (keys.bits(np.uint32(9), s) for s in ((5, 7), (50, 70)))
    np.testing.assert_array_equal(small, large[:5, :7])


def signs(key, shape) -> np.ndarray:
    """Return +-1 by each of the 4 highest bits, ``(4, *shape)``: those that decide a mask."""
    b = bits_of(keys.bits(key, shape))[..., 28:].astype(np.float64)
    return np.moveaxis(2 * b - 1, -1, 0)


@pytest.mark.parametrize("seed", range(3))
def test_rows_columns_and_rectangles_of_bits_are_uncorrelated(seed):
    n, w = 512, 128
    for s in signs(keys.key(seed, "bits"), (n, w)):
        rows, columns = s @ s.T / w, s.T @ s / n
        np.fill_diagonal(rows, 0)
        np.fill_diagonal(columns, 0)
        # Largest of 131,000 (8,100) normal numbers: about 4.5 (3.9) standard deviations.
        assert np.abs(rows).max() < 6 / np.sqrt(w)
        assert np.abs(columns).max() < 5.5 / np.sqrt(n)
        # A hash of row xor column could repeat itself over rectangles.
        rectangles = s[:-1, :-1] * s[1:, :-1] * s[:-1, 1:] * s[1:, 1:]
        assert abs(rectangles.mean()) < 4.5 / np.sqrt(rectangles.size)


def test_masks_of_successive_steps_and_purposes_are_uncorrelated():
    k = keys.key(5, "training")
    steps = [keys.fold_in(k, i) for i in range(24)]
    purposes = [keys.fold_in(s, p) for s in steps[:6] for p in (1, 2, 3, 4)]
    masks = np.stack([signs(x, (64, 64))[3].reshape(-1) for x in steps + purposes])
    correlation = masks @ masks.T / masks.shape[1]
    np.fill_diagonal(correlation, 0)
    assert np.abs(correlation).max() < 5 / 64


# --- distributions -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(40_000,), (200, 200)])
def test_uniform_is_uniform_and_open(shape):
    u = np.asarray(keys.uniform(keys.key(2, "u"), shape)).reshape(-1)
    assert u.dtype == np.float32
    assert u.min() > 0
    assert u.max() < 1
    assert stats.kstest(u, "uniform").pvalue > 1e-3


def test_uniform_never_reaches_its_ends(monkeypatch):
    for extreme in (0, 2**32 - 1):
        monkeypatch.setattr(
            keys, "bits", lambda key, shape, x=extreme: jnp.full(shape, x, jnp.uint32)
        )
        assert 0 < keys.uniform(0, (1,))[0] < 1


def test_normal_is_normal():
    x = np.asarray(keys.normal(keys.key(3, "n"), (300, 200))).reshape(-1)
    assert stats.kstest(x, "norm").pvalue > 1e-3


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.93])
def test_keep_drops_at_the_rate(rate):
    kept = np.asarray(keys.keep(keys.key(4, "k"), (500, 200), rate)).sum()
    if rate == 0:
        assert kept == 100_000
    else:
        assert stats.binomtest(int(kept), 100_000, 1 - rate).pvalue > 1e-3


def test_a_higher_rate_drops_what_a_lower_one_does():
    low, high = (np.asarray(keys.keep(np.uint32(8), (64, 64), r)) for r in (0.2, 0.6))
    assert np.all(low | ~high)
    assert low.sum() > high.sum()


# --- steps ---------------------------------------------------------------------------------------


def test_keys_of_steps_are_those_of_each_by_itself():
    epochs = np.array([7, 7, 7, 9, 9, 9], np.uint32)
    found = keys.StepKeys.of(epochs, 3, 4)
    assert found.dropout.shape == (6, 4)
    for i, epoch in enumerate(epochs):
        step = keys.fold_in(epoch, 16 + i % 3)
        assert found.noise[i] == keys.fold_in(step, keys.NOISE)
        assert found.augment[i] == keys.fold_in(step, keys.AUGMENT)
        for k in range(4):
            assert found.dropout[i, k] == keys.fold_in(keys.fold_in(step, keys.DROPOUT), k)
    every = np.concatenate([found.noise, found.augment, found.dropout.reshape(-1)])
    assert len(np.unique(every)) == len(every)


def test_numpy_and_jax_fold_alike():
    numbers = np.arange(50)
    host = keys.fold_in(np.uint32(12345), numbers)
    assert isinstance(host, np.ndarray)
    np.testing.assert_array_equal(host, jax.jit(keys.fold_in)(np.uint32(12345), numbers))
