"""Mixup and cutmix of images: what is pasted, what the labels become."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from popnet.augment import mixing, rows

mix = jax.jit(mixing.mix)
COUNT = 5


@pytest.fixture
def batch(images):
    return images.astype(np.float32) + 1


def mixed(batch, key, mixup=0.0, cutmix=0.0):
    x, pairs = mix(batch, np.uint32(key), np.float32(mixup), np.float32(cutmix), np.int32(COUNT))
    return np.asarray(x), jax.device_get(pairs)


def test_off_is_the_batch_bit_for_bit(batch):
    x, pairs = mixed(batch, 0)
    np.testing.assert_array_equal(x, batch)
    assert not pairs.on


@pytest.mark.parametrize("key", range(8))
def test_cutmix_pastes_a_rectangle_whose_area_is_the_labels_share(batch, key):
    x, pairs = mixed(batch, key, cutmix=1.0)
    partner = batch[np.asarray(pairs.partner)]
    np.testing.assert_array_equal(pairs.partner, [4, 3, 2, 1, 0, 5])
    foreign = (x != batch).any(3)[:2]  # images 2 and 5 are their own partners
    inside = foreign.any(0)
    np.testing.assert_array_equal(x[0][inside], partner[0][inside])
    height, width = inside.any(1).sum(), inside.any(0).sum()
    assert inside.sum() == height * width
    assert pairs.share == pytest.approx(1 - inside.mean(), abs=1e-6)
    target = np.asarray(rows.mix(np.eye(6, dtype=np.float32), pairs))
    np.testing.assert_allclose(target.sum(1), 1, rtol=1e-6)
    assert target[0, 4] == pytest.approx(inside.mean(), abs=1e-6)


def test_mixup_blends_images_as_it_blends_labels(batch):
    x, pairs = mixed(batch, 3, mixup=0.4)
    expected = pairs.share * batch + (1 - pairs.share) * batch[np.asarray(pairs.partner)]
    np.testing.assert_allclose(x, expected, rtol=1e-5)
    assert pairs.on


def test_both_take_turns(batch):
    pasted = 0
    for key in range(60):
        x, pairs = mixed(batch, key, mixup=1.0, cutmix=1.0)
        from_either = (x[0] == batch[0]) | (x[0] == batch[4])
        pasted += bool(from_either.all())
        assert pairs.on
    assert 15 < pasted < 45
