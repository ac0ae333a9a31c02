"""The policy used alone: types, chunks, threads, what an image depends on."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from augment.support import image_keys, strengths
from popnet.augment import Policy, policy
from popnet.errors import InputError, RecipeError

STD = np.float32([60, 70, 80])
FULL = Policy(
    rotation=20, translation=0.1, reflection=0.5, elastic_alpha=6, elastic_sigma=2, brightness=0.2,
    contrast=0.2, erasing=0.3, noise=0.05,
)  # fmt: skip


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_type_shape_and_dtype_are_kept(images, dtype):
    for x in (images.astype(dtype), images[..., 0].astype(dtype), images[..., :1].astype(dtype)):
        got = FULL(0, x)
        assert isinstance(got, np.ndarray)
        assert (got.shape, got.dtype) == (x.shape, x.dtype)
        on_device = FULL(0, jnp.asarray(x))
        assert not isinstance(on_device, np.ndarray)
        np.testing.assert_allclose(on_device, got, atol=1 if dtype == np.uint8 else 0.05)


def test_nothing_on_gives_the_images_back_bit_for_bit(images):
    np.testing.assert_array_equal(Policy()(0, images), images)


def test_the_key_decides(images):
    np.testing.assert_array_equal(FULL(3, images), FULL(3, images))
    assert not np.array_equal(FULL(3, images), FULL(4, images))
    assert not np.array_equal(*FULL(3, np.repeat(images[:1], 2, 0)))


def test_an_image_does_not_depend_on_chunks_threads_or_neighbours(images, monkeypatch):
    many = np.concatenate([images, images[::-1], images])
    own = Policy(rotation=20, elastic_alpha=6, erasing=0.3, background=(1, 2, 3))
    whole = own(1, many)
    other = many.copy()
    other[1:] = 0
    np.testing.assert_array_equal(own(1, other)[0], whole[0])
    monkeypatch.setattr(policy, "CHUNK_VALUES", 4 * images[0].size)
    monkeypatch.setattr(policy, "CALL_GROUPS", 1)
    np.testing.assert_array_equal(own(1, many), whole)
    one = Policy(rotation=20, elastic_alpha=6, erasing=0.3, background=(1, 2, 3), workers=1)
    np.testing.assert_array_equal(one(1, many), whole)


def test_background_is_found_at_the_borders():
    x = np.full((4, 12, 12, 3), 9, np.uint8)
    x[:, 4:8, 4:8] = 200
    assert (Policy(translation=1.0)(0, x)[..., 0] == 9).any(axis=(1, 2)).all()
    assert (Policy(translation=1.0, background=77)(0, x) == 77).any()


def test_impossible_values_and_images_are_refused(images):
    with pytest.raises(RecipeError, match="rotation"):
        Policy(rotation=400)
    for bad in (images[0, 0], images[..., :2], images.astype(np.int32), "images"):
        with pytest.raises(InputError, match="images must"):
            FULL(0, bad)
    assert FULL(0, images[:0]).shape == (0, 13, 10, 3)


def test_groups_that_fit_the_cache_change_nothing(images, monkeypatch):
    s = strengths(rotation=20, elastic_alpha=6, saturation=0.3, noise=0.1, erasing=0.3)
    nine = np.concatenate([images, images[:3]])

    def run(values):
        monkeypatch.setattr(policy, "CHUNK_VALUES", values)
        return np.asarray(jax.jit(policy.apply)(nine, image_keys(9), s, STD, STD))

    whole = run(9 * nine[0].size)
    assert not np.array_equal(whole, nine)
    # The mean of an image is summed in another order, no more.
    np.testing.assert_allclose(run(3 * nine[0].size), whole, atol=1e-3)
    np.testing.assert_allclose(run(1), whole, atol=1e-3)
