"""Images: every kind of file and array gives its pixels; every bad one a reason or a sentence."""

from __future__ import annotations

import gzip
import io
import os
import struct
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from PIL import Image

from popnet.data.images.arrays import read_labels
from popnet.data.images.decode import decode, read_header
from popnet.data.images.read import Pictures, is_image_source, read_images
from popnet.data.images.resize import choose_size, fit_image
from popnet.data.images.values import find_range, to_bytes
from popnet.errors import InputError
from popnet.runtime.parallel import parallel_for

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (9, 7), dtype=np.uint8)
RGB = RNG.integers(0, 256, (9, 7, 3), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (9, 7), dtype=np.uint8)
SMOOTH = np.add.outer(np.arange(40), np.arange(60))[..., None] * np.array([1, 2, 2]) % 256
SMOOTH = np.minimum(SMOOTH // 2 + 20, 255).astype(np.uint8)


def save(path: Path, pixels: np.ndarray | Image.Image, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)
    return path


def one(path: Path, **options: Any) -> np.ndarray:
    return read_images(path, need_labels=False, **options).pixels[0]


def sentence(call: Any, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith((".", "?"))
    for word in words:
        assert word in message, message


def folder(root: Path, classes: dict[str, int], shape: tuple[int, ...] = (8, 8)) -> Path:
    """Make class folders; the name of a class may hold a part ("train/cat")."""
    for name, n in classes.items():
        for i in range(n):
            pixels = np.full(shape, (13 * i + 7 * len(name)) % 256, np.uint8)
            save(root / name / f"{i:03}.png", pixels)
    return root


# --- one file ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "gif", "webp"])
def test_grey_is_exact(tmp_path, suffix):
    path = save(tmp_path / f"a.{suffix}", GREY, **({"lossless": True} if suffix == "webp" else {}))
    assert np.array_equal(one(path)[..., 0], GREY)
    assert one(path).shape == (9, 7, 1)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp"])
def test_colour_is_exact(tmp_path, suffix):
    path = save(tmp_path / f"a.{suffix}", RGB, **({"lossless": True} if suffix == "webp" else {}))
    assert np.array_equal(one(path), RGB)
    grey = (RGB @ np.array([0.299, 0.587, 0.114])).round()
    assert np.abs(one(path, channels=1)[..., 0] - grey).max() <= 1


def test_jpeg_is_near(tmp_path):
    path = save(tmp_path / "a.jpg", SMOOTH, quality=95, subsampling=0)
    assert np.abs(one(path).astype(int) - SMOOTH).max() < 12


def over_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    a = alpha[..., None] / 255
    return rgb * a + 255 * (1 - a)


def test_transparency_is_over_white(tmp_path):
    rgba = save(tmp_path / "rgba.png", np.dstack([RGB, ALPHA]))
    assert np.abs(one(rgba) - over_white(RGB, ALPHA)).max() <= 1
    la = save(tmp_path / "la.png", np.dstack([GREY, ALPHA]))
    with Image.open(la) as image:
        assert image.mode == "LA"
    assert one(la).shape == (9, 7, 1)
    assert np.abs(one(la) - over_white(GREY[..., None], ALPHA)).max() <= 1
    keyed = save(
        tmp_path / "key.png",
        np.array([[[1, 2, 3], [40, 50, 60]]], np.uint8),
        transparency=(1, 2, 3),
    )
    assert one(keyed).tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_palettes(tmp_path):
    image = Image.new("P", (2, 2))
    image.putpalette([10, 20, 30, 200, 100, 0, 7, 7, 7])
    image.putdata([0, 1, 2, 1])
    true = [[[10, 20, 30], [200, 100, 0]], [[7, 7, 7], [200, 100, 0]]]
    assert one(save(tmp_path / "p.png", image)).tolist() == true
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image.save(tmp_path / "t.png", transparency=b"\xff\x00\xff")
    true[0][1] = true[1][1] = [255, 255, 255]
    assert one(tmp_path / "t.png").tolist() == true


def test_one_bit(tmp_path):
    bits = GREY > 127
    for suffix in ("png", "tif", "bmp"):
        path = save(tmp_path / f"a.{suffix}", Image.fromarray(bits))
        assert np.array_equal(one(path)[..., 0], bits * 255)


def test_deep_grey(tmp_path):
    deep = RNG.integers(0, 65536, (9, 7)).astype(np.uint16)
    for suffix in ("png", "tif"):
        got = one(save(tmp_path / f"a.{suffix}", deep), file_range=None)[..., 0]
        assert np.array_equal(got, np.rint(deep / 257).astype(np.uint8))
    big_endian = Image.frombytes("I;16B", (7, 9), deep.astype(">u2").tobytes())
    got = one(save(tmp_path / "b.tif", big_endian), file_range=None)[..., 0]
    assert np.array_equal(got, np.rint(deep / 257).astype(np.uint8))
    huge = np.array([[0, 100_000, 200_000]], np.int32)
    assert one(save(tmp_path / "i.tif", huge), file_range=None)[..., 0].tolist() == [[0, 128, 255]]


def test_float_tiff(tmp_path):
    unit = np.array([[0, 0.2, 1]], np.float32)
    assert one(save(tmp_path / "a.tif", unit), file_range=None)[..., 0].tolist() == [[0, 51, 255]]
    assert one(save(tmp_path / "b.tif", unit * 100), file_range=None)[..., 0].tolist() == [
        [0, 20, 100]
    ]
    assert one(save(tmp_path / "c.tif", unit * 1000 - 500), file_range=None)[..., 0].tolist() == [
        [0, 51, 255]
    ]
    bad = save(tmp_path / "d.tif", unit * np.float32(np.nan))
    sentence(lambda: one(bad), "not numbers")


def test_cmyk(tmp_path):
    image = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    for name in ("a.jpg", "a.tif"):
        got = one(save(tmp_path / name, image)).reshape(-1, 3).astype(int)
        assert np.abs(got - [0, 255, 255]).max() <= 3


def test_the_first_frame_of_a_gif(tmp_path):
    frames = [Image.new("L", (6, 4), 10), Image.new("L", (6, 4), 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / "a.gif") as image:
        assert getattr(image, "n_frames", 1) == 2
    assert (one(tmp_path / "a.gif") == 10).all()


UPRIGHT = np.zeros((16, 24), np.uint8)
UPRIGHT[:8, :8], UPRIGHT[:8, 16:], UPRIGHT[8:, :8] = 250, 160, 80
STORED = {  # how a camera stores the upright picture, by the EXIF standard's rows and columns
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.T,
    6: UPRIGHT.T[::-1],
    7: UPRIGHT.T[::-1, ::-1],
    8: UPRIGHT.T[:, ::-1],
}


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("value", STORED)
def test_exif_orientation(tmp_path, value, suffix):
    exif = Image.Exif()
    exif[0x0112] = value
    path = save(tmp_path / f"a.{suffix}", STORED[value], exif=exif)
    got = one(path)[..., 0]
    assert got.shape == UPRIGHT.shape
    assert np.abs(got.astype(int) - UPRIGHT).max() <= 8
    assert read_header(path).size == UPRIGHT.shape


def test_the_content_counts_not_the_suffix(tmp_path):
    Image.fromarray(SMOOTH).save(tmp_path / "real.jpg", quality=90)
    (tmp_path / "a.png").write_bytes((tmp_path / "real.jpg").read_bytes())
    assert np.array_equal(one(tmp_path / "a.png"), one(tmp_path / "real.jpg"))


def test_large_jpeg_is_reduced_well(tmp_path):
    y, x = np.mgrid[:1600, :2400]
    pixels = np.stack([x // 10, y // 8, (x + y) // 16], axis=-1).astype(np.uint8)
    path = save(tmp_path / "a.jpg", pixels, quality=95)
    got = one(path, size=(16, 24)).astype(float)
    means = pixels.reshape(16, 100, 24, 100, 3).mean(axis=(1, 3))
    assert np.abs(got - means)[1:-1, 1:-1].max() < 4
    assert decode(path, (16, 24), "pad", 3)[1] == (1600, 2400)


def png_header(width: int, height: int) -> bytes:
    """Write a black PNG of one bit a pixel; a promise of very many pixels is a small file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def encoded(form: str) -> bytes:
    file = io.BytesIO()
    noise = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, form)
    return file.getvalue()


BROKEN = {
    "empty.png": (b"", "empty file"),
    "short.png": (encoded("PNG")[:5000], "cut short"),
    "short.jpg": (encoded("JPEG")[:2000], "cut short"),
    "short.bmp": (encoded("BMP")[:2000], "cut short"),
    "short.webp": (encoded("WEBP")[:1000], "damaged or of an unknown kind"),
    "short.gif": (encoded("GIF")[:1500], "cut short"),
    "text.png": (b"this is no image\n" * 10, "not an image"),
    "zeros.jpg": (b"\0" * 1000, "not an image"),
    "head.png": (encoded("PNG")[:20], "cut short"),
    "bomb.png": (png_header(20_000, 20_000), "20,000 x 20,000 pixels, more than 100 million"),
    "map.png": (png_header(10_001, 10_000), "10,001 x 10,000 pixels, more than 100 million"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_have_a_reason(tmp_path, name):
    data, reason = BROKEN[name]
    folder(tmp_path, {"a": 6, "b": 6}, (64, 64, 3))
    (tmp_path / "a" / name).write_bytes(data)
    limit = Image.MAX_IMAGE_PIXELS
    got = read_images(tmp_path)
    assert got.broken == [(f"a/{name}", reason)]
    assert f"1 file cannot be read and is left out: a/{name} ({reason})" in got.notes
    assert len(got.pixels) == len(got.labels or []) == len(got.names or []) == 12
    assert limit == Image.MAX_IMAGE_PIXELS
    # No header pass when size and channels are given: the same is found.
    again = read_images(tmp_path, size=(64, 64), channels=1)
    assert again.broken == got.broken
    assert np.array_equal(again.pixels, got.pixels)
    sentence(lambda: read_images(tmp_path, strict=True), "1 file of", name, reason)
    sentence(lambda: one(tmp_path / "a" / name), reason)


def test_broken_images_leave_the_others_in_their_places(tmp_path):
    folder(tmp_path, {"a": 9, "b": 9})
    whole = read_images(tmp_path)
    for name in ("a/000.png", "a/004.png", "b/008.png"):
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[:-25])  # header sound, pixels not
    got = read_images(tmp_path)
    assert [n for n, _ in got.broken] == ["a/000.png", "a/004.png", "b/008.png"]
    kept = [i for i, n in enumerate(whole.names or []) if n in (got.names or [])]
    assert len(kept) == 15
    assert np.array_equal(got.pixels, whole.pixels[kept])
    assert got.labels == [(whole.labels or [])[i] for i in kept]
    sentence(lambda: read_images(tmp_path, strict=True), "3 files of", "b/008.png")


def test_warnings_of_pillow_are_not_shown(tmp_path):
    (tmp_path / "a.png").write_bytes(png_header(9_999, 9_900))  # Pillow warns, and it is cut short
    sentence(lambda: one(tmp_path / "a.png"), "cut short")


# --- size and channels -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "size"),
    [
        ([(28, 28)] * 3, (28, 28)),
        ([(128, 100)] * 3, (128, 100)),
        ([(1, 1)], (1, 1)),
        ([(129, 129)] * 3, (96, 96)),
        ([(480, 640)] * 3, (72, 96)),
        ([(30, 30), (40, 50), (50, 60)], (40, 50)),
        ([(31, 31), (31, 33)], (32, 32)),
        ([(3, 2000), (3, 2001)], (8, 96)),
    ],
)
def test_the_chosen_size(sizes, size):
    assert choose_size(sizes) == size


def test_mixed_sizes_and_a_tiny_one(tmp_path):
    for i in range(6):
        save(tmp_path / "a" / f"{i}.png", np.full((20 + i, 30, 3), 100, np.uint8))
        save(tmp_path / "b" / f"{i}.png", np.full((30, 30 + i, 3), 200, np.uint8))
    save(tmp_path / "b" / "dot.png", np.full((1, 1), 200, np.uint8))
    got = read_images(tmp_path)
    assert got.broken == []
    assert got.pixels.shape == (13, 24, 30, 1)
    assert got.notes == ["13 images of 13 sizes, resized to 30x24 (aspect kept by padding)"]
    assert (got.pixels[:6] == 100).all()  # padding has the colour of the border
    assert (got.pixels[6:] == 200).all()


def test_fits():
    pixels = np.zeros((20, 40), np.uint8)
    pixels[:, :20] = 200
    pixels[[0, -1]] = 50
    wide = Image.fromarray(pixels)
    pad = np.asarray(fit_image(wide, (40, 40), "pad"))
    assert np.array_equal(pad[10:30], pixels)
    assert (pad[:10] == 50).all()
    assert (pad[30:] == 50).all()
    assert np.array_equal(np.asarray(fit_image(wide, (20, 20), "crop")), pixels[:, 10:30])
    stretched = np.asarray(fit_image(wide, (20, 20), "stretch"))
    assert stretched[10, 1] == 200
    assert stretched[10, -2] == 0
    for fit in ("pad", "crop", "stretch"):
        for size in ((1, 1), (3, 50), (97, 2)):
            assert fit_image(Image.fromarray(RGB), size, fit).size == size[::-1]


def test_reducing_averages():
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    small = np.asarray(fit_image(Image.fromarray(board.astype(np.uint8)), (8, 8), "stretch"))
    assert np.abs(small.astype(int) - 127.5).max() < 3


def test_grey_files_of_three_channels_are_grey_and_one_colour_makes_all_colour(tmp_path):
    folder(tmp_path, {"a": 5, "b": 6}, (8, 8, 3))
    assert read_images(tmp_path).pixels.shape == (11, 8, 8, 1)
    save(tmp_path / "a" / "x.png", RGB[:8, :7].repeat(1, 0)[:, [0] * 8])
    mixed = read_images(tmp_path)
    assert mixed.pixels.shape == (12, 8, 8, 3)
    assert np.array_equal(mixed.pixels[5], RGB[:8, [0] * 8])
    assert read_images(tmp_path, channels=1).pixels.shape == (12, 8, 8, 1)
    assert one(tmp_path / "a" / "000.png", channels=3).shape == (8, 8, 3)


# --- class folders -----------------------------------------------------------------------------


def test_class_folders(tmp_path):
    folder(tmp_path, {"dog": 5, "cat": 4, "ant/sub": 2, "emu": 2})
    save(tmp_path / "beside.png", GREY)
    for name in (".hidden.png", "cat/.DS_Store", "dog/Thumbs.db", "__MACOSX/cat/._000.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "cat" / "readme.txt").write_text("hello")
    got = read_images(str(tmp_path))
    assert got.labels == ["ant"] * 2 + ["cat"] * 4 + ["dog"] * 5 + ["emu"] * 2
    assert got.names is not None
    assert got.names[:3] == ["ant/sub/000.png", "ant/sub/001.png", "cat/000.png"]
    assert (got.parts, got.broken, got.label_name) == (None, [], "class")
    assert got.value_range == (0, 255)
    assert got.notes == [
        "13 images of 8x8",
        "1 file is no image by the suffix and ignored: cat/readme.txt",
        "1 image in no class folder, left out: beside.png",
    ]


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Train", "VALID", "Test"), ("train", "validation", "test")]
)
@pytest.mark.parametrize("above", ["", "archive/"])
def test_parts(tmp_path, names, above):
    train, validation, test = (above + name for name in names)
    folder(tmp_path, {f"{train}/a": 4, f"{train}/b": 3, f"{validation}/a": 2, f"{test}/b": 1})
    save(tmp_path / test / "loose.png", GREY)
    got = read_images(tmp_path)
    assert got.parts is not None
    assert got.parts.dtype == np.int8
    by_name = dict(zip(got.names or [], zip(got.parts, got.labels or [], strict=True), strict=True))
    assert by_name == (
        {f"{train}/a/{i:03}.png": (0, "a") for i in range(4)}
        | {f"{train}/b/{i:03}.png": (0, "b") for i in range(3)}
        | {f"{validation}/a/{i:03}.png": (1, "a") for i in range(2)}
        | {f"{test}/b/000.png": (2, "b")}
    )
    assert any("loose.png" in note for note in got.notes)


def test_train_alone_is_no_division_and_train_may_be_a_class(tmp_path):
    folder(tmp_path / "x", {"train/a": 5, "train/b": 5})
    alone = read_images(tmp_path / "x")
    assert (alone.parts, set(alone.labels or [])) == (None, {"a", "b"})
    folder(tmp_path / "y", {"car": 5, "train": 5})
    assert set(read_images(tmp_path / "y").labels or []) == {"car", "train"}


def test_an_archive_in_a_folder_of_its_own(tmp_path):
    folder(tmp_path / "flowers" / "flowers", {"a": 5, "b": 5})
    assert set(read_images(tmp_path).labels or []) == {"a", "b"}


def test_links_are_followed_once_and_within_the_folder(tmp_path):
    folder(tmp_path / "far", {"a": 5})
    folder(tmp_path / "real", {"b": 5, ".kept/a": 5})
    (tmp_path / "here").symlink_to(tmp_path / "real")
    (tmp_path / "here" / "a").symlink_to(tmp_path / "here" / ".kept" / "a")
    (tmp_path / "here" / "b" / "loop").symlink_to(tmp_path / "here")
    assert sorted(set(read_images(tmp_path / "here").labels or [])) == ["a", "b"]
    for link, goal in (("c", "far/a"), ("b/x.png", "far/a/000.png")):
        (tmp_path / "here" / link).symlink_to(tmp_path / goal)
        with pytest.raises(InputError, match=f"{link} is a link that leads out of the folder, to"):
            read_images(tmp_path / "here")
        (tmp_path / "here" / link).unlink()


def test_predicting_needs_no_classes(tmp_path):
    folder(tmp_path, {"b": 1, "a": 2})
    save(tmp_path / "z.png", GREY[:8])
    got = read_images(tmp_path, need_labels=False, size=(8, 8), channels=1)
    assert got.names == ["a/000.png", "a/001.png", "b/000.png", "z.png"]
    assert (got.labels, got.parts) == (None, None)
    single = read_images(tmp_path / "z.png", need_labels=False)
    assert (single.names, single.pixels.shape) == (["z.png"], (1, 8, 7, 1))


FOLDERS = {
    "no subfolders": ({"": 12}, "has images but no subfolders"),
    "no subfolders in train": ({"train": 12, "test": 3}, "has images but no subfolders"),
    "one class": ({"a": 12}, "one class folder only, 'a'"),
    "an empty class": ({"a": 6, "b": 6, "c": 0}, "no readable image", "'c'"),
    "a single image": ({"a": 12, "b": 1}, "one image only", "'b'"),
    "few images": ({"a": 4, "b": 5}, "9 readable images", "10"),
    "a class of the test alone": ({"train/a": 9, "train/b": 9, "test/c": 3}, "'c'", "train"),
    "another case": ({"train/a": 9, "train/cat": 9, "test/Cat": 3}, "'Cat'", "mean 'cat'?"),
    "no train": ({"test/a": 9, "val/b": 9}, "no folder train"),
    "nothing": ({}, "is empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", FOLDERS)
def test_bad_folders(tmp_path, case):
    classes, *words = FOLDERS[case]
    folder(tmp_path, classes)
    for name in classes:
        (tmp_path / name).mkdir(exist_ok=True)
    sentence(lambda: read_images(tmp_path), *words)


def test_bad_folders_of_broken_files(tmp_path):
    folder(tmp_path, {"a": 12, "b": 2})
    for i in range(2):
        (tmp_path / "b" / f"{i:03}.png").write_bytes(b"")
    sentence(lambda: read_images(tmp_path), "no readable image", "'b'")
    for path in tmp_path.rglob("*.png"):
        path.write_bytes(b"")
    sentence(lambda: read_images(tmp_path), "none of the 14", "a/000.png (empty file)")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("x")
    sentence(lambda: read_images(tmp_path / "notes"), "has no images", "a.txt")
    sentence(lambda: read_images(tmp_path / "notes", need_labels=False), "has no images")
    sentence(lambda: read_images(tmp_path / "gone"), "no folder or file")
    sentence(lambda: read_images(tmp_path / "a" / "000.png"), "is one image")


# --- arrays ------------------------------------------------------------------------------------


def ramp(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def test_bytes_are_kept():
    for shape in ((5, 9, 7), (5, 9, 7, 1), (5, 9, 7, 3)):
        array = ramp(*shape)
        got = read_images(array)
        assert np.array_equal(got.pixels, array.reshape(5, 9, 7, -1))
        assert (got.labels, got.names, got.parts) == (None, None, None)
        assert got.value_range == (0, 255)
    # Bytes are final, whatever the range of other arrays.
    assert np.array_equal(read_images(ramp(5, 8, 8), value_range=(0, 1)).pixels.max() > 1, True)


RANGES = {
    "unit": (np.array([0.0, 0.2, 1.0]), (0, 1), [0, 51, 255]),
    "signed": (np.array([-1.0, 0.0, 1.0], np.float32), (-1, 1), [0, 128, 255]),
    "truth": (np.array([False, True]), (0, 1), [0, 255]),
    "ints": (np.array([0, 17, 200]), (0, 255), [0, 17, 200]),
    "few levels": (np.array([0, 8, 16]), (0, 16), [0, 128, 255]),
    "zeros": (np.array([0, 0]), (0, 1), [0, 0]),
    "whole floats": (np.array([0.0, 17.0, 250.0]), (0, 255), [0, 17, 250]),
    "deep": (np.array([0, 257, 65535], np.uint16), (0, 65535), [0, 1, 255]),
    "12 bits": (np.array([899, 1021, 1210], np.uint16), (899, 1210), [0, 100, 255]),
    "shallow uint16": (np.array([0, 99], np.uint16), (0, 255), [0, 99]),
    "others": (np.array([-100, 0, 155]), (-100, 155), [0, 100, 255]),
    "other floats": (np.array([1.5, 2.5, 6.6]), (1.5, 6.6), [0, 50, 255]),
    "constant": (np.array([7.5, 7.5]), (7.5, 8.5), [0, 0]),
}


@pytest.mark.parametrize("case", RANGES)
def test_ranges_of_values(case):
    values, value_range, true = RANGES[case]
    got = read_images(np.tile(values, (3, 2, 1)))
    assert got.value_range == pytest.approx(value_range)
    assert got.pixels[0, 0, :, 0].tolist() == true


def test_a_given_range_is_used_and_doubted():
    array = np.full((3, 4, 4), 0.5)
    got = read_images(array, value_range=(0, 0.5))
    assert (got.pixels == 255).all()
    assert got.value_range == (0, 0.5)
    assert len(got.notes) == 2  # one value only
    assert len(read_images(np.linspace(0, 1, 16).reshape(1, 4, 4), value_range=(0, 255)).notes) == 2
    assert len(read_images(np.linspace(0, 1, 16).reshape(1, 4, 4), value_range=(0, 1)).notes) == 1


bytes_arrays = npst.arrays(np.uint8, npst.array_shapes(min_dims=3, max_dims=3, max_side=6))


@given(
    bytes_arrays,
    st.sampled_from([np.float32, np.float64]),
    st.floats(-100, 100),
    st.floats(1e-3, 1e3),
)
def test_bytes_survive_any_linear_scale(array, dtype, low, width):
    scaled = (low + array.astype(np.float64) / 255 * width).astype(dtype)
    edges = (float(low), float(low + width))
    if dtype == np.float64 or width > 1:
        assert np.array_equal(to_bytes(scaled, edges), array)
    assert np.array_equal(to_bytes(array, edges), array)


@given(
    npst.arrays(
        st.sampled_from([np.float32, np.float64, np.int32, np.uint16]),
        (2, 3, 3),
        elements={"min_value": 0, "max_value": 60_000},
    )
)
def test_the_mapping_is_monotone_and_uses_the_range(array):
    value_range = find_range([array])
    mapped = to_bytes(array, value_range)
    order = np.argsort(array, axis=None)
    assert (np.diff(mapped.reshape(-1)[order].astype(int)) >= 0).all()
    assert value_range[0] <= array.min()
    assert array.max() <= value_range[1]


def test_alpha_of_arrays():
    array = np.dstack([RGB, ALPHA])[None]
    assert np.abs(read_images(array).pixels[0] - over_white(RGB, ALPHA)).max() <= 0.5 + 1e-9
    assert np.array_equal(read_images(array / 255).pixels, read_images(array).pixels)


def test_layouts_and_channels_of_arrays():
    array = ramp(4, 8, 9, 3)
    assert np.array_equal(read_images(array.transpose(0, 3, 1, 2)).pixels, array)
    grey = np.repeat(ramp(4, 8, 9, 1), 3, axis=3)
    assert np.array_equal(read_images(grey).pixels, grey[..., :1])
    assert np.array_equal(read_images(grey[..., :1], channels=3).pixels, grey)
    as_pillow = np.asarray(Image.fromarray(array[0]).convert("L"))
    assert np.array_equal(read_images(array, channels=1).pixels[0, ..., 0], as_pillow)


def test_arrays_are_resized():
    got = read_images(np.full((3, 200, 100, 3), [10, 20, 30], np.uint8))
    assert got.pixels.shape == (3, 96, 48, 3)
    assert (got.pixels == [10, 20, 30]).all()
    assert got.notes == ["3 images of 100x200, resized to 48x96"]


BAD_ARRAYS = {
    "two channels": (np.zeros((3, 8, 8, 2)), "2 channels"),
    "five channels": (np.zeros((3, 8, 8, 5)), "5 channels"),
    "one dimension": (np.zeros(3), "shape"),
    "five dimensions": (np.zeros((3, 8, 8, 3, 1)), "shape"),
    "nothing": (np.zeros((0, 8, 8)), "no images"),
    "no height": (np.zeros((3, 0, 8)), "no images"),
    "text": (np.full((3, 8, 8), "x"), "values"),
    "complex": (np.zeros((3, 8, 8), complex), "values"),
    "features": (np.zeros((150, 4)), "no square image"),
    "not square": (np.zeros((15, 70)), "no square image"),
    "NaN": (np.where(np.arange(3)[:, None, None] == 1, np.nan, np.zeros((3, 8, 8))), "image 1", "NaN"),
    "infinite": (np.full((3, 8, 8), np.inf, np.float32), "image 0", "infinite"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_arrays(case):
    array, *words = BAD_ARRAYS[case]
    sentence(lambda: read_images(array), *words)


BAD_OPTIONS = {
    "size": ({"size": (0, 8)}, "size"),
    "a side": ({"size": (8,)}, "size"),
    "fit": ({"fit": "padd"}, "'pad'?"),
    "channels": ({"channels": 2}, "channel"),
    "range": ({"value_range": (1, 1)}, "range"),
    "workers": ({"workers": 0}, "workers"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options(case):
    options, word = BAD_OPTIONS[case]
    sentence(lambda: read_images(ramp(3, 8, 8), **options), word)
    sentence(lambda: read_images([[1, 2]]), "list")


def test_labels_of_arrays():
    assert read_labels(np.array([2, 0], np.uint8), 2, "y") == [2, 0]
    assert read_labels(np.array([[2], [0]]), 2, "y") == [2, 0]
    assert read_labels(np.array([[0, 0, 1], [1, 0, 0]], np.float32), 2, "y") == [2, 0]
    assert read_labels(np.array([2.0, 0.0]), 2, "y") == [2, 0]
    assert read_labels(np.array(["a", "b"]), 2, "y") == ["a", "b"]
    assert read_labels(np.array([b"a", b"b"]), 2, "y") == ["a", "b"]
    assert all(type(v) is int for v in read_labels(np.array([[2.0], [0.0]]), 2, "y"))
    sentence(lambda: read_labels(np.zeros((2, 3)), 2, "y"), "one-hot")
    sentence(lambda: read_labels(np.zeros((2, 3, 1)), 2, "y"), "shape")
    sentence(lambda: read_labels(np.zeros(3), 2, "y"), "3 labels for 2 images")
    sentence(lambda: read_labels(np.array([np.nan, 1]), 2, "y"), "NaN")


# --- .npz --------------------------------------------------------------------------------------

X, Y = ramp(12, 8, 8), np.arange(12) % 3
NPZ = {
    "keras": ({"x_train": X[:8], "y_train": Y[:8], "x_test": X[8:], "y_test": Y[8:]}, [0, 2], X),
    "medmnist": (
        {
            "train_images": X[:6], "train_labels": Y[:6, None], "val_images": X[6:9],
            "val_labels": Y[6:9, None], "test_images": X[9:], "test_labels": Y[9:, None],
        },
        [0, 1, 2],
        X,
    ),
    "openml": (
        {
            "train_data": X[:8].reshape(8, -1) / 255, "train_target": Y[:8],
            "test_data": X[8:].reshape(4, -1) / 255, "test_target": Y[8:],
        },
        [0, 2],
        X,
    ),
    "images": ({"images": X[..., None], "labels": np.eye(3)[Y]}, None, X),
    "capital": ({"X": X, "y": Y}, None, X),
    "small": ({"x": X, "y": Y, "extra": np.zeros(3)}, None, X),
    "sklearn": ({"data": X.reshape(12, -1), "target": Y}, None, X),
}  # fmt: skip


@pytest.mark.parametrize("case", NPZ)
def test_npz(tmp_path, case):
    arrays, parts, true = NPZ[case]
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **arrays)
    got = read_images(path)
    assert np.array_equal(got.pixels[..., 0], true)
    assert got.labels == Y.tolist()
    assert (None if got.parts is None else np.unique(got.parts).tolist()) == parts
    assert (got.label_name, got.names, got.broken) == ("label", None, [])
    without = {k: v for k, v in arrays.items() if k.lower() in ("x", "images", "data", "x_train")}
    np.savez(path, **without or arrays)
    unlabelled = read_images(path, need_labels=False)
    assert unlabelled.labels is None


def test_flat_colours_in_either_order(tmp_path):
    y, x = np.mgrid[:16, :16]
    smooth = np.stack([x * 9, y * 9 + 90, 240 - x * 5 - y * 5], axis=-1).astype(np.uint8)
    images = np.stack([smooth + np.uint8(i) for i in range(10)])
    for flat in (images.reshape(10, -1), images.transpose(0, 3, 1, 2).reshape(10, -1)):
        np.savez(tmp_path / "a.npz", x=flat)
        got = read_images(tmp_path / "a.npz", need_labels=False)
        assert np.array_equal(got.pixels, images)
        assert "16x16" in got.notes[1]


class Explosive:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_bad_npz(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.npz"

    def refused(*words: str, **arrays: Any) -> None:
        np.savez(path, **arrays)
        sentence(lambda: read_images(path), *words)

    refused("Python objects", x=np.array([Explosive(), 1], object), y=Y)
    assert not (tmp_path / "exploded").exists()
    refused("'a', 'b'", a=X, b=Y)
    refused("no labels 'y'", x=X)
    refused("11 labels for 12 images", x=X, y=Y[:11])
    refused("3 readable images", x=X[:3], y=Y[:3])
    np.savez(path, x=X, y=Y)
    path.write_bytes(path.read_bytes()[:400])
    sentence(lambda: read_images(path), "damaged")
    path.write_bytes(b"")
    sentence(lambda: read_images(path), "damaged")
    with path.open("wb") as file:
        np.save(file, X)
    sentence(lambda: read_images(path), "one array")


# --- IDX ---------------------------------------------------------------------------------------


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    head = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


def write_idx(root: Path, name: str, array: np.ndarray, cut: int = 0) -> Path:
    data = idx(array)[: -cut or None]
    path = root / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize(
    ("pattern", "train", "test"),
    [
        ("{}-{}-idx{}-ubyte", "train", "t10k"),
        ("{}-{}-idx{}-ubyte.gz", "train", "t10k"),
        ("{}-{}.idx{}-ubyte", "train", "test"),
        ("emnist-digits-{}-{}-idx{}-ubyte.gz", "train", "test"),
    ],
)
def test_idx(tmp_path, pattern, train, test):
    for name, rows in ((train, slice(8)), (test, slice(8, 12))):
        write_idx(tmp_path, pattern.format(name, "images", 3), X[rows])
        write_idx(tmp_path, pattern.format(name, "labels", 1), Y[rows].astype(np.uint8))
    got = read_images(tmp_path)
    assert np.array_equal(got.pixels[..., 0], X)
    assert got.labels == Y.tolist()
    assert got.parts is not None
    assert got.parts.tolist() == [0] * 8 + [2] * 4
    assert (got.label_name, got.names) == ("label", None)
    single = tmp_path / pattern.format(train, "images", 3)
    alone = read_images(single, need_labels=False)
    assert (len(alone.pixels), alone.labels, alone.parts) == (8, None, None)
    assert is_image_source(single)


def test_bad_idx(tmp_path):
    name = "train-images-idx3-ubyte"
    labels = tmp_path / "train-labels-idx1-ubyte"
    write_idx(tmp_path, name, X)
    sentence(lambda: read_images(tmp_path), "no labels", "train-labels-idx1-ubyte")
    write_idx(tmp_path, labels.name, Y[:9].astype(np.uint8))
    sentence(lambda: read_images(tmp_path), "9 labels for 12 images")
    write_idx(tmp_path, labels.name, Y.astype(np.uint8))
    write_idx(tmp_path, name, X, cut=100)
    sentence(lambda: read_images(tmp_path), "12 x 8 x 8", "768", "668")
    (tmp_path / name).write_bytes(idx(X) + b"x")
    sentence(lambda: read_images(tmp_path), "there are more")
    (tmp_path / name).write_bytes(idx(X)[:10])
    sentence(lambda: read_images(tmp_path), "cut short")
    (tmp_path / name).write_bytes(b"")
    sentence(lambda: read_images(tmp_path), "empty")
    (tmp_path / name).write_bytes(b"hello world")
    sentence(lambda: read_images(tmp_path), "not an IDX file")
    (tmp_path / name).write_bytes(b"\0\0\x08\x03" + b"\xff" * 12 + b"abc")
    sentence(lambda: read_images(tmp_path), "not whole")
    (tmp_path / name).write_bytes(gzip.compress(idx(X))[:-30])
    sentence(lambda: read_images(tmp_path), "cut short")
    write_idx(tmp_path, name, X.reshape(12, 64))
    sentence(lambda: read_images(tmp_path), "2-d")
    write_idx(tmp_path, name, X)
    write_idx(tmp_path, "b-train-images-idx3-ubyte", X)
    sentence(lambda: read_images(tmp_path), "several sets")


# --- tables ------------------------------------------------------------------------------------


def image_table(root: Path, n: int = 12, name: str = "t.csv", **columns: list[Any]) -> Path:
    for i in range(n):
        save(root / "pictures" / f"{i}.png", np.full((8, 8), 10 * i, np.uint8))
    table = pl.DataFrame({"file": [f"pictures/{i}.png" for i in range(n)]} | columns)
    path = root / name
    table.write_csv(path) if path.suffix == ".csv" else table.write_parquet(path)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_tables(tmp_path, name):
    path = image_table(tmp_path, name=name, price=[i / 2 for i in range(12)])
    got = read_images(path)
    assert got.pixels[:, 0, 0, 0].tolist() == [10 * i for i in range(12)]
    assert got.labels == [i / 2 for i in range(12)]
    assert (got.label_name, got.parts) == ("price", None)
    assert got.names is not None
    assert got.names[1] == "pictures/1.png"
    assert read_images(path, need_labels=False).labels is None


def test_a_table_with_parts_missing_labels_and_missing_files(tmp_path):
    kinds = ["a", "b"] * 6
    where = ["train"] * 8 + ["Val"] * 2 + ["test"] * 2
    path = image_table(tmp_path, kind=[*kinds[:-1], None], Split=where, other=list(range(12)))
    (tmp_path / "pictures" / "3.png").unlink()
    got = read_images(path, target="kind")
    rows = [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]
    assert got.labels == [kinds[i] for i in rows]
    assert got.parts is not None
    assert got.parts.tolist() == [0] * 7 + [1] * 2 + [2]
    assert got.broken == [("pictures/3.png", "no such file")]
    assert "1 row without a value of 'kind', left out" in got.notes
    sentence(lambda: read_images(path, target="kind", strict=True), "pictures/3.png")
    sentence(lambda: read_images(path), "2 columns", "'kind'", "'other'")
    sentence(lambda: read_images(path, target="kin"), "'kind'?")
    sentence(lambda: read_images(path, target="file"), "image paths")


def test_absolute_and_windows_paths(tmp_path):
    image_table(tmp_path)
    names = [str(tmp_path / "pictures" / f"{i}.png") for i in range(6)]
    names += [f"pictures\\{i}.png" for i in range(6, 12)]
    (tmp_path / "deep").mkdir()
    pl.DataFrame({"y": list(range(12)), "f": names}).write_csv(tmp_path / "w.csv")
    assert read_images(tmp_path / "w.csv").labels == list(range(12))


def test_bad_tables(tmp_path):
    path = image_table(tmp_path, y=list(range(12)))
    for i in range(12):
        (tmp_path / "pictures" / f"{i}.png").unlink()
    sentence(lambda: read_images(path), "none of the 12", "pictures/0.png", str(tmp_path))
    sentence(lambda: read_images(image_table(tmp_path)), "no column beside")
    (tmp_path / "n.csv").write_text("a,b\n1,2\n")
    sentence(lambda: read_images(tmp_path / "n.csv"), "no column of image paths")
    sentence(lambda: read_images(image_table(tmp_path, 4, y=[1, 2, 3, 4])), "4 readable images")


# --- what is an image source -------------------------------------------------------------------


def test_is_image_source(tmp_path):
    folder(tmp_path / "f", {"a": 1})
    table = image_table(tmp_path, y=list(range(12)))
    np.savez(tmp_path / "a.npz", x=X)
    for yes in (tmp_path / "f", str(tmp_path / "f"), tmp_path / "a.npz", table, X, X[..., None]):
        assert is_image_source(yes)
    assert is_image_source(tmp_path / "f" / "a" / "000.png")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text("{}")
    (tmp_path / "n.csv").write_text("a,b\nx.png,2\ny,3\n")
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "bad.parquet").write_bytes(b"abc")
    no = [tmp_path / "model", tmp_path / "n.csv", tmp_path / "bad.csv", tmp_path / "bad.parquet"]
    no += [tmp_path / "gone", tmp_path / "gone.npz", "x" * 5000, "a\0b", None, 3, [[1]]]
    for source in [*no, np.zeros((3, 4)), pl.DataFrame({"a": ["x.png"]})]:
        assert not is_image_source(source)


# --- progress and interruption -----------------------------------------------------------------


def test_progress_is_reported_on_this_thread(tmp_path):
    folder(tmp_path, {"a": 10, "b": 10})
    calls = []
    here = threading.get_ident()

    def report(done: int, total: int) -> None:
        assert threading.get_ident() == here
        calls.append((done, total))

    got = read_images(tmp_path, on_progress=report, workers=3)
    assert isinstance(got, Pictures)
    assert calls[0] == (0, 20)
    assert calls[-1] == (20, 20)
    assert calls == sorted(calls)


def test_interruption_ends_the_work():
    done = []
    gate = threading.Event()

    def work(i: int) -> None:
        done.append(i)
        gate.wait(10)

    def interrupt(_: int, total: int) -> None:
        if done:
            gate.set()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        parallel_for(10_000_000, work, 2, interrupt)
    assert len(done) < 10_000_000

    def fail(i: int) -> None:
        if i == 5:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        parallel_for(100, fail, 2)


# --- real files --------------------------------------------------------------------------------

DATA = Path(os.environ.get("POPNET_DATA", Path(__file__).parents[3] / "shared" / "data"))
USPS = DATA / "images" / "usps" / "usps.npz"


@pytest.mark.skipif(not USPS.exists(), reason=f"no {USPS} (set POPNET_DATA)")
def test_usps():
    got = read_images(USPS)
    assert got.pixels.shape == (9298, 16, 16, 1)
    assert got.parts is not None
    assert np.bincount(got.parts).tolist() == [7291, 0, 2007]
    assert set(got.labels or []) == set(range(10))
    assert got.value_range == (0, 1)
    with np.load(USPS) as file:
        first = file["train_data"][0].reshape(16, 16)
    assert np.array_equal(got.pixels[0, ..., 0], np.rint(first * 255).astype(np.uint8))
