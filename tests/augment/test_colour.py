"""Changes of values in place: their formulas, their limits, nothing without strength."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from augment.support import image_keys, strengths
from popnet.augment import colour, erase

STD = np.float32([10, 20, 30])
BACKGROUND = np.float32([1, 2, 3])


@pytest.fixture
def values(images):
    return (images * 0.3 + 80).astype(np.float32)  # far from 0 and 255: nothing is clipped


def test_brightness_is_one_factor_an_image(values):
    got = np.asarray(colour.colour(values, image_keys(6), strengths(brightness=0.3)))
    factors = got / values
    assert np.allclose(factors, factors[:, :1, :1, :1], atol=1e-5)
    each = factors[:, 0, 0, 0]
    assert len(np.unique(each.round(5))) == 6
    assert (np.abs(each - 1) <= 0.3).all()


def test_contrast_keeps_the_mean_and_scales_the_deviations(values):
    got = np.asarray(colour.colour(values, image_keys(6), strengths(contrast=0.4)))
    np.testing.assert_allclose(got.mean((1, 2, 3)), values.mean((1, 2, 3)), rtol=1e-5)
    ratio = got.std((1, 2, 3)) / values.std((1, 2, 3))
    assert (np.abs(ratio - 1) <= 0.4).all()
    assert ratio.std() > 0.02


def test_saturation_keeps_the_grey(values):
    got = np.asarray(colour.colour(values, image_keys(6), strengths(saturation=0.5)))
    grey = np.array(colour.GREY)
    np.testing.assert_allclose(got @ grey, values @ grey, rtol=1e-4)
    assert np.abs(got - values).max() > 1
    one = values[..., :1]
    np.testing.assert_allclose(
        colour.colour(one, image_keys(6), strengths(saturation=0.5)), one, rtol=1e-6
    )


def test_values_stay_within_0_to_255(images):
    x = images.astype(np.float32)
    got = np.asarray(colour.colour(x, image_keys(6), strengths(brightness=1, contrast=1)))
    assert got.min() >= 0
    assert got.max() <= 255


def test_noise_has_the_deviation_asked_for():
    x = np.full((40, 20, 20, 3), 100, np.float32)
    got = np.asarray(colour.noise(x, image_keys(40), strengths(noise=0.5), STD)) - 100
    np.testing.assert_allclose(got.std((0, 1, 2)), 0.5 * STD, rtol=0.05)
    np.testing.assert_allclose(got.mean((0, 1, 2)), 0, atol=0.3)
    assert not np.allclose(got[0], got[1])
    # Every 7th value: a few thousand, of all images, rows and channels.
    some = (got / (0.5 * STD)).ravel()[::7]
    assert stats.kstest(some, stats.norm.cdf).pvalue > 1e-3


def test_one_rectangle_is_erased_and_nothing_else():
    x = np.random.default_rng(0).uniform(10, 250, (200, 20, 30, 3)).astype(np.float32)
    got = np.asarray(erase.erase(x, image_keys(200), strengths(erasing=0.5), BACKGROUND))
    gone = (got != x).any(3)
    np.testing.assert_array_equal(got[gone], np.broadcast_to(BACKGROUND, (gone.sum(), 3)))
    heights, widths = gone.any(2).sum(1), gone.any(1).sum(1)
    np.testing.assert_array_equal(gone.sum((1, 2)), heights * widths)
    assert heights.max() == 10
    assert widths.max() == 15
    assert gone.any((0, 2)).all()  # every line and every column is reached
    assert gone.any((0, 1)).all()


def test_without_strength_the_values_come_back_bit_for_bit(values):
    s = strengths()
    np.testing.assert_array_equal(colour.colour(values, image_keys(6), s), values)
    np.testing.assert_array_equal(colour.noise(values, image_keys(6), s, STD), values)
    np.testing.assert_array_equal(erase.erase(values, image_keys(6), s, BACKGROUND), values)
