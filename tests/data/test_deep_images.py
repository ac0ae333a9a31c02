"""Images of more than 8 bits: the range of what was trained on decides what is black and white, then and later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from popnet.data.images.format import ImageFormat
from popnet.data.images.read import read_images

RNG = np.random.default_rng(5)
N, SIDE = 12, 8


def values(low: float, high: float, dtype: type) -> np.ndarray:
    """Return images whose smallest and largest values are in one image each."""
    images = RNG.uniform(low, high, (N, SIDE, SIDE))
    images[3, 0, 0], images[7, 1, 1] = low, high
    return images.astype(dtype) if dtype == np.float32 else np.rint(images).astype(dtype)


def class_folders(root: Path, images: np.ndarray, ending: str) -> Path:
    for i, image in enumerate(images):
        file = root / "ab"[i % 2] / f"{i:02}.{ending}"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
    return root


def table(root: Path, images: np.ndarray, ending: str) -> Path:
    class_folders(root, images, ending)
    lines = [f"{'ab'[i % 2]}/{i:02}.{ending},{'ab'[i % 2]}" for i in range(N)]
    (root / "table.csv").write_text("\n".join(["file,label", *lines]))
    return root / "table.csv"


def npz(root: Path, images: np.ndarray, ending: str) -> Path:
    root.mkdir()
    np.savez(root / "some.npz", images=images, labels=np.arange(N) % 2)
    return root / "some.npz"


def array(root: Path, images: np.ndarray, ending: str) -> np.ndarray:
    return images


def saved(form: ImageFormat) -> ImageFormat:
    return ImageFormat.model_validate_json(form.model_dump_json())


def format_of(source: Path | np.ndarray) -> ImageFormat:
    pictures = read_images(source, need_labels=not isinstance(source, np.ndarray))
    return saved(ImageFormat.of(pictures, np.arange(N)))


@pytest.mark.parametrize(
    ("make", "ending", "low", "high", "dtype", "stands_for"),
    [
        (class_folders, "png", 899, 1210, np.uint16, (899, 1210)),
        (class_folders, "tif", 899, 1210, np.uint16, (899, 1210)),
        (class_folders, "tif", 30_000, 90_000, np.int32, (30_000, 90_000)),
        (class_folders, "tif", -300, 1200.5, np.float32, (-300, 1200.5)),
        (class_folders, "tif", 0.25, 0.75, np.float32, (0, 1)),
        (class_folders, "png", 20, 200, np.uint16, (0, 255)),
        (class_folders, "png", 0, 15, np.uint16, (0, 15)),
        (table, "png", 899, 1210, np.uint16, (899, 1210)),
        (npz, "", 899, 1210, np.uint16, (899, 1210)),
        (npz, "", 2000.5, 2001, np.float32, (2000.5, 2001)),
        (array, "", 899, 1210, np.uint16, (899, 1210)),
        (array, "", 0, 4095, np.uint16, (0, 4095)),
        (array, "", 899, 1210, np.int64, (899, 1210)),
    ],
)
def test_the_range_of_what_was_trained_on_is_that_of_every_later_image(
    tmp_path, make: Callable, ending, low, high, dtype, stands_for
):
    images = values(low, high, dtype)
    source = make(tmp_path / "some", images, ending)
    pictures = read_images(source, need_labels=make is not array)
    assert pictures.value_range == pytest.approx(stands_for)
    black, white = stands_for
    true = np.clip(np.rint((images.astype(float) - black) * (255 / (white - black))), 0, 255)
    order = range(N)
    if make is class_folders:
        order = [*range(0, N, 2), *range(1, N, 2)]
    assert np.abs(pictures.pixels[..., 0] - true[order]).max() <= 1
    form = format_of(source)
    # An image alone, and brighter than any before, is still seen by that range.
    for k, factor in ((0, 1), (7, 1), (3, 2)):
        image = (images[k] * factor).astype(dtype)
        expected = np.clip(np.rint((image.astype(float) - black) * (255 / (white - black))), 0, 255)
        alone = make(tmp_path / f"alone{k}{factor}", np.stack([image] * N), ending)
        got = form.read(alone, labels=make is not array)
        assert np.abs(got.pixels[0, ..., 0] - expected).max() <= 1


@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
def test_files_of_bytes_are_as_they_were(tmp_path, ending):
    images = values(40, 60, np.uint8)
    source = class_folders(tmp_path / "bytes", images, ending)
    pictures = read_images(source)
    assert np.array_equal(pictures.pixels[0, ..., 0], images[0])
    assert (pictures.value_range, pictures.file_range) == ((0, 255), None)
    assert not any("8 bits" in note for note in pictures.notes)
    form = ImageFormat.of(pictures, np.arange(N))
    assert "file_range" not in form.model_dump(mode="json")
    # A file of 16 bits among those that come later is taken by its type.
    deep = class_folders(tmp_path / "deep", images.astype(np.uint16) * 257, "png")
    assert np.array_equal(form.read(deep).pixels[0, ..., 0], images[0])


def test_bytes_among_deep_files_are_final(tmp_path):
    images = values(899, 1210, np.uint16)
    source = class_folders(tmp_path / "mixed", images, "png")
    plain = RNG.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    Image.fromarray(plain).save(source / "a" / "00.png")
    pictures = read_images(source)
    assert np.array_equal(pictures.pixels[0, ..., 0], plain)
    assert pictures.pixels[1:].max() == 255
    assert pictures.file_range == (899, 1210)
    assert any("899 is black, 1210 white" in note for note in pictures.notes)


def test_a_format_of_an_earlier_version_takes_each_file_by_its_type(tmp_path):
    images = values(899, 1210, np.uint16)
    source = class_folders(tmp_path / "some", images, "png")
    fields = format_of(source).model_dump(mode="json")
    del fields["file_range"]
    earlier = ImageFormat.model_validate(fields | {"value_range": (0.0, 255.0)})
    for labels in (False, True):
        got = earlier.read(source, labels=labels).pixels[0, ..., 0]
        assert np.array_equal(got, np.rint(images[0] / 257).astype(np.uint8))


def test_a_model_of_deep_arrays_takes_deep_files_for_the_same(tmp_path):
    images = values(899, 1210, np.uint16)
    form = format_of(images)
    source = class_folders(tmp_path / "some", images, "png")
    expected = form.read(images).pixels
    assert np.array_equal(form.read(source).pixels[0], expected[0])
    back = format_of(source)
    assert np.array_equal(back.read(images).pixels, expected)


def test_a_damaged_deep_file_is_left_out(tmp_path):
    source = class_folders(tmp_path / "some", values(899, 1210, np.uint16), "png")
    file = source / "a" / "00.png"
    file.write_bytes(file.read_bytes()[:-40])
    pictures = read_images(source)
    assert pictures.file_range == (899, 1210)
    assert [name for name, _ in pictures.broken] == ["a/00.png"]
