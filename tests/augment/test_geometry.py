"""Geometry in one resampling, against scipy.ndimage and what turns and shifts must do."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from augment.support import image_keys, strengths
from popnet.augment import draws, geometry
from popnet.spec.recipe import choices

MODES = {"constant": "grid-constant", "edge": "nearest", "reflect": "reflect"}
BLACK = np.zeros(3, np.float32)
run = jax.jit(geometry.geometry)
resample = jax.jit(geometry.resample)
affine = jax.jit(geometry.affine, static_argnums=(2, 3))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("fill", MODES)
def test_resampling_is_that_of_scipy(images, fill, dtype):
    rng = np.random.default_rng(1)
    at = rng.uniform(-8, 20, (6, 2, 9, 11)).astype(np.float32)
    at[0] = np.round(at[0])
    background = np.float32([40, 0, 200])
    place = np.int32(choices("fill").index(fill))
    got = np.asarray(resample(images.astype(dtype), at, place, background))
    for i in range(6):
        for c in range(3):
            expected = ndimage.map_coordinates(
                images[i, :, :, c].astype(np.float64), at[i].astype(np.float64), order=1,
                mode=MODES[fill], cval=float(background[c]),
            )  # fmt: skip
            np.testing.assert_allclose(got[i, :, :, c] / 255, expected / 255, atol=1e-4)


@pytest.mark.parametrize("fill", MODES)
def test_affine_maps_are_those_of_scipy(images, fill):
    s = strengths(
        rotation=40, scaling=0.3, shear=20, translation=0.2, zoomed_crop=0.3, reflection=0.5, fill=fill
    )  # fmt: skip
    keys = image_keys(6)
    got = np.asarray(run(images, keys, s, BLACK))
    matrices = np.asarray(affine(keys, s, 13, 10), np.float64)
    for i, m in enumerate(matrices):
        for c in range(3):
            expected = ndimage.affine_transform(
                images[i, :, :, c].astype(np.float64), m[:, :2], m[:, 2], order=1, mode=MODES[fill]
            )
            np.testing.assert_allclose(got[i, :, :, c] / 255, expected / 255, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_no_strength_gives_the_images_back_bit_for_bit(images, dtype):
    x = images.astype(dtype)
    np.testing.assert_array_equal(run(x, image_keys(6), strengths(), BLACK), images)


def always(x, **fields):
    """Transform square images with probabilities of 1."""
    return np.asarray(run(x, image_keys(len(x)), strengths(**fields), BLACK))


def test_reflections_and_turns_are_exact(images):
    square = images[:, :10]
    np.testing.assert_array_equal(always(images, reflection=1), images[:, :, ::-1])
    np.testing.assert_array_equal(always(images, vertical_reflection=1), images[:, ::-1])
    np.testing.assert_array_equal(always(images, half_turn=1), images[:, ::-1, ::-1])
    quarter = always(square, quarter_turn=1)
    turned = [np.rot90(square, k, (1, 2)) for k in (1, 3)]
    sides = [any(np.array_equal(q, t[i]) for t in turned) for i, q in enumerate(quarter)]
    assert all(sides)
    assert any(np.array_equal(q, turned[0][i]) for i, q in enumerate(quarter))
    assert any(np.array_equal(q, turned[1][i]) for i, q in enumerate(quarter))
    four = square.astype(np.float32)
    for _ in range(4):  # the same keys: each image is turned the same way again
        four = always(four, quarter_turn=1)
    np.testing.assert_array_equal(four, square)


def test_a_shift_there_and_back_keeps_what_stayed_inside(images):
    at = geometry.coordinates(np.float32([[[1, 0, 2], [0, 1, -3]]] * 6), 13, 10)
    back = geometry.coordinates(np.float32([[[1, 0, -2], [0, 1, 3]]] * 6), 13, 10)
    place = np.int32(0)
    there = resample(images, at, place, BLACK)
    np.testing.assert_array_equal(resample(there, back, place, BLACK)[:, 2:, :7], images[:, 2:, :7])


def test_a_crop_shifts_by_whole_pixels_within_its_padding(images):
    many = np.repeat(images[:1], 300, 0)
    m = np.asarray(affine(image_keys(300), strengths(crop=0.2), 13, 10))
    np.testing.assert_array_equal(m[:, :, :2], np.broadcast_to(np.eye(2), (300, 2, 2)))
    shifts = m[:, :, 2]
    np.testing.assert_allclose(shifts, np.round(shifts), atol=1e-5)
    assert set(np.round(shifts[:, 0]).astype(int)) == set(range(-3, 4))
    assert set(np.round(shifts[:, 1]).astype(int)) == set(range(-2, 3))
    assert np.isin(always(many, crop=0.2), [0, *images[0].ravel()]).all()


@settings(max_examples=25, deadline=None)
@given(
    rotation=st.floats(0, 180), scaling=st.floats(0, 1), translation=st.floats(0, 0.5),
    key=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_parameters_stay_within_their_limits(rotation, scaling, translation, key):
    s = strengths(rotation=rotation, scaling=scaling, translation=translation)
    m = np.asarray(affine(image_keys(64, key), s, 21, 21), np.float64)
    factors = np.sqrt(np.linalg.det(m[:, :, :2]))
    assert (factors <= (1 + scaling) * 1.0001).all()
    assert (factors >= 1 / (1 + scaling) * 0.9999).all()
    angles = np.degrees(np.arctan2(m[:, 1, 0], m[:, 0, 0]))
    assert (np.abs(angles) <= rotation + 1e-2).all()
    # The centre of the result comes from at most a shift away of the image's centre, in its own scale.
    centre = m[:, :, :2] @ np.array([10, 10]) + m[:, :, 2]
    reach = np.sqrt(2) * translation * 21 * factors
    assert (np.linalg.norm(centre - 10, axis=1) <= reach + 1e-2).all()


def test_parameters_differ_between_images_and_follow_from_the_key():
    s = strengths(rotation=30)
    m = np.asarray(affine(image_keys(50), s, 9, 9))
    assert len(np.unique(m[:, 0, 0])) == 50
    np.testing.assert_array_equal(m, affine(image_keys(50), s, 9, 9))
    assert not np.array_equal(m, affine(image_keys(50, 8), s, 9, 9))


def test_elastic_fields_are_noise_smoothed_as_scipy_does():
    s = strengths(elastic_alpha=8, elastic_sigma=2.5)
    keys = image_keys(3)
    field = np.asarray(geometry.elastic(keys, s, geometry.smoothers(s, 20, 17)))
    noise = (
        2 * np.asarray(draws.uniform_fields(keys, draws.ELASTIC, 40, 17)).reshape(3, 2, 20, 17) - 1
    )
    for i in range(3):
        for axis in range(2):
            expected = 8 * ndimage.gaussian_filter(
                noise[i, axis], 2.5, mode="constant", truncate=20
            )
            np.testing.assert_allclose(field[i, axis], expected, atol=2e-4)


@pytest.mark.parametrize("side", [40, 120])
def test_elastic_fields_are_as_strong_on_large_images(side):
    sigma, alpha = side / 7, 100.0
    s = strengths(elastic_alpha=alpha, elastic_sigma=sigma)
    field = np.asarray(geometry.elastic(image_keys(200), s, geometry.smoothers(s, side, side)))
    inner = field[:, :, side // 2, side // 2]
    # White noise of variance 1/3 through a normalised Gaussian in two dimensions.
    expected = alpha * np.sqrt(1 / 3) / (2 * sigma * np.sqrt(np.pi))
    assert inner.std() == pytest.approx(expected, rel=0.12)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_mirroring_without_resampling_is_what_resampling_gives(images, dtype):
    x = images[:, :10].astype(dtype)
    s = strengths(reflection=0.5, vertical_reflection=0.5, half_turn=0.5)
    keys = image_keys(6)
    got = np.asarray(run(x, keys, s, BLACK))
    plan = geometry.draw_warp(keys, s, 10, 10)
    np.testing.assert_array_equal(got, geometry.bend(x, plan, s, BLACK))
    assert len({(a[0, 0], a[1, 1]) for a in np.asarray(plan.matrices)}) > 2
