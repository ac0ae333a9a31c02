"""Covered parts of images: the parts that a known function looks at are found."""

from __future__ import annotations

import numpy as np
import pytest

from popnet.data.dataset import Images
from popnet.explanation.occlusion import HEAT, occlusion, overlay

SIZE = 16


def images(n: int = 3, channels: int = 1) -> Images:
    rng = np.random.default_rng(0)
    pixels = rng.integers(100, 256, (n, SIZE, SIZE, channels)).astype(np.uint8)
    colour = np.zeros(channels, np.float32)
    return Images(pixels, colour, np.ones(channels, np.float32), colour)


def looks_at(row: int, column: int):
    """Return a function whose first probability is the mean brightness of a block of 2 times 2 pixels."""

    def predict(seen: Images) -> np.ndarray:
        p = seen.pixels[:, row : row + 2, column : column + 2].mean((1, 2, 3)) / 255
        return np.stack([p, 1 - p], 1)

    return predict


@pytest.mark.parametrize(("row", "column"), [(0, 0), (6, 10), (14, 14)])
def test_the_part_that_decides_is_found(row, column):
    seen = images()
    falls = occlusion(looks_at(row, column), seen, np.zeros(3, int))
    assert falls.shape == (3, 8, 8)
    before = looks_at(row, column)(seen)[:, 0]
    for one, p in zip(falls, before, strict=True):
        assert one.max() == pytest.approx(p)  # all that it sees is black then
        places = np.argwhere(one > 0)
        assert [row // 2, column // 2] in places.tolist()
        assert np.abs(places - [row // 2, column // 2]).max() <= 1
    other = occlusion(looks_at(row, column), seen, np.ones(3, int))
    np.testing.assert_allclose(other, -falls, atol=1e-12)


def test_few_pixels_are_covered_one_by_one():
    seen = images()
    small = Images(seen.pixels[:, :5, :4], seen.mean, seen.std, seen.background)
    falls = occlusion(lambda i: np.ones((len(i), 1)), small, np.zeros(3, int))
    assert falls.shape == (3, 4, 4)
    assert not falls.any()


@pytest.mark.parametrize("channels", [1, 3])
def test_only_what_matters_is_coloured(channels):
    pixels = images(1, channels).pixels[0]
    falls = np.zeros((8, 8))
    falls[2, 5], falls[0, 0] = 0.4, -0.3
    shown = overlay(pixels, falls)
    plain = np.broadcast_to(pixels, (SIZE, SIZE, 3))
    changed = (shown != plain).any(-1)
    assert changed[4:6, 10:12].all()
    assert changed.sum() == 4
    towards = np.abs(shown[4, 10].astype(int) - HEAT) <= np.abs(plain[4, 10].astype(int) - HEAT)
    assert towards.all()
