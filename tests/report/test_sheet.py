"""The contact sheet: a PNG whose first row are the images themselves, the same for the same seed."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from popnet.ablation.transformations import contact_sheet as sheet
from popnet.ablation.transformations.catalogue import transformations
from popnet.ablation.transformations.contact_sheet import contact_sheet

POLICY = {"translation": 0.08, "rotation": 12.0, "reflection": 0.5}


def pictures(n: int, *size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, *size), dtype=np.uint8)


def opened(png: bytes) -> np.ndarray:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    with Image.open(io.BytesIO(png)) as image:
        assert image.mode == "RGB"
        return np.asarray(image)


def tile(drawn: np.ndarray, row: int, column: int, columns: int, height: int, width: int) -> np.ndarray:  # fmt: skip
    """Cut an image out, counting columns from the right edge: the labels stand at the left."""
    top = sheet.GAP + row * (height + sheet.GAP)
    left = drawn.shape[1] - (columns - column) * (width + sheet.GAP)
    return drawn[top : top + height, left : left + width]


@pytest.mark.parametrize(
    ("n", "size", "factor"),
    [(9, (28, 28, 1), 3), (4, (20, 31, 3), 3), (2, (100, 60, 3), 1)],
    ids=["grey", "colour", "large"],
)
def test_size_and_originals(n, size, factor):
    images = pictures(n, *size)
    drawn = opened(contact_sheet(images, POLICY, seed=3))
    height, width = size[0] * factor, size[1] * factor
    columns = min(n, 6)
    # 4 that are on or off, the others at three strengths, the originals, three draws of all.
    count = 1 + 3 * (len(transformations(size)) - 4) + 4 + 3
    assert drawn.shape[0] == sheet.GAP + count * (height + sheet.GAP)
    assert columns * (width + sheet.GAP) < drawn.shape[1] < columns * (width + sheet.GAP) + 300
    for k in range(columns):
        found = tile(drawn, 0, k, columns, height, width)
        expected = np.kron(
            np.broadcast_to(images[k], (*size[:2], 3)), np.ones((factor, factor, 1), np.uint8)
        )
        np.testing.assert_array_equal(found, expected)
    gap = drawn[sheet.GAP + height : 2 * sheet.GAP + height]
    assert (gap == 255).all()


def test_every_row_shows_something_else_than_the_originals():
    images = pictures(6, 16, 16, 3)
    drawn = opened(contact_sheet(images, POLICY))
    side = 16 * sheet.enlargement((16, 16))
    count = drawn.shape[0] // (side + sheet.GAP)
    rows = [
        np.stack([tile(drawn, r, k, 6, side, side) for k in range(6)]).astype(int)
        for r in range(count)
    ]
    for a, b in itertools.combinations(range(count), 2):
        assert np.abs(rows[a] - rows[b]).max() > 0, (a, b)


def test_turns_and_reflections_are_shown_as_they_are():
    images = pictures(6, 16, 16, 1)
    drawn = opened(contact_sheet(images, {}))
    side = 16 * sheet.enlargement((16, 16))
    labels = [label for label, _, _ in sheet.rows((16, 16, 1), {}, 0)]
    for label, change in (
        ("reflection", lambda x: x[:, ::-1]),
        ("vertical reflection", lambda x: x[::-1]),
        ("half turn", lambda x: x[::-1, ::-1]),
    ):
        row = 1 + labels.index(label)
        for k in range(6):
            original = tile(drawn, 0, k, 6, side, side)
            np.testing.assert_array_equal(tile(drawn, row, k, 6, side, side), change(original))


def test_strengths_are_half_the_twins_theirs_and_more():
    found = [c for _, c, _ in sheet.rows((28, 28, 1), {}, 0) if "rotation" in c or "elastic_alpha" in c]  # fmt: skip
    assert [c["rotation"] for c in found[:3]] == [6.0, 12.0, 18.0]
    assert len({c["elastic_sigma"] for c in found[3:]}) == 1
    assert found[5]["elastic_alpha"] == pytest.approx(3 * found[3]["elastic_alpha"])


def test_without_a_policy_the_last_rows_are_the_originals():
    images = pictures(3, 16, 16, 1)
    drawn = opened(contact_sheet(images, {}))
    side = 16 * sheet.enlargement((16, 16))
    last = drawn.shape[0] // (side + sheet.GAP) - 1
    for k in range(3):
        np.testing.assert_array_equal(
            tile(drawn, last, k, 3, side, side), tile(drawn, 0, k, 3, side, side)
        )


def test_the_seed_decides():
    images = pictures(3, 16, 16, 1)
    first = contact_sheet(images, POLICY, seed=1)
    assert first == contact_sheet(images, POLICY, seed=1)
    assert first != contact_sheet(images, POLICY, seed=2)
    assert opened(first).shape == opened(contact_sheet(images, POLICY, seed=2)).shape


@pytest.mark.parametrize("side", [1, 8, 20, 28, 32, 40, 53, 64, 96, 300])
def test_small_images_are_enlarged_to_be_seen(side):
    factor = sheet.enlargement((side, side // 2))
    assert factor == 1 or 53 <= side * factor <= 107
    assert factor > 1 or side >= 53
