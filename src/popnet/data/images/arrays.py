"""Images that are arrays already: layout, values, channels, size; and their labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from popnet.data.images.decode import GREY_TOLERANCE
from popnet.data.images.load import COLOUR_SAMPLE
from popnet.data.images.pictures import Pictures, ReadOptions
from popnet.data.images.resize import choose_size, fit_image, size_note
from popnet.data.images.values import (
    check_values,
    find_range,
    over_white,
    to_bytes,
    to_channels,
)
from popnet.errors import InputError
from popnet.runtime.parallel import parallel_for

SMALLEST_FLAT = 8
"""Rows of fewer than 8 x 8 values are no images but the features of a table."""


def read_arrays(arrays: Sequence[np.ndarray], where: Sequence[str], wish: ReadOptions) -> Pictures:
    """Join arrays of images.

    Args:
        arrays: each ``(N, H, W)``, ``(N, H, W, C)``, ``(N, C, H, W)`` or flat ``(N, H * H * C)``
            with C 1 or 3, or 4 (over white); of any type of number.
        where: what each is called in messages.
        wish: size, fit, channels, value_range, on_progress and workers are used.

    Returns:
        Images without labels and names, in the order of the arrays.

    Raises:
        InputError: no such layout, no images, or values that are not finite numbers.
    """
    notes: list[str] = []
    images: list[np.ndarray] = []
    for array, name in zip(arrays, where, strict=True):
        check_values(array, name)
        images.append(_lay_out(array, name, notes))
    value_range = wish.value_range or find_range(images)
    if wish.value_range:
        notes += _range_note(images, wish.value_range)
    # Bytes are final; a source of bytes and of other numbers has the range of the others.
    if all(a.dtype == np.uint8 for a in images):
        value_range = (0.0, 255.0)
    blocks = [to_bytes(a, value_range) for a in images]
    blocks = [over_white(b) if b.shape[3] == 4 else b for b in blocks]
    channels = wish.channels or (3 if any(_coloured(b) for b in blocks) else 1)
    blocks = [to_channels(b, channels) for b in blocks]
    sizes = [(b.shape[1], b.shape[2]) for b in blocks for _ in range(len(b))]
    size = wish.size or choose_size(sizes)
    notes.insert(0, size_note(sizes, size, wish.fit))
    if set(sizes) == {size}:
        pixels = np.ascontiguousarray(blocks[0]) if len(blocks) == 1 else np.concatenate(blocks)
    else:
        flat = [image for block in blocks for image in block]
        pixels = np.empty((len(flat), *size, channels), np.uint8)

        def work(i: int) -> None:
            image = Image.fromarray(flat[i][..., 0] if channels == 1 else flat[i])
            pixels[i] = np.asarray(fit_image(image, size, wish.fit)).reshape(*size, channels)

        parallel_for(len(flat), work, wish.workers, wish.on_progress)
    return Pictures(pixels, notes=notes, value_range=(float(value_range[0]), float(value_range[1])))


def _lay_out(array: np.ndarray, where: str, notes: list[str]) -> np.ndarray:
    """Return a view as ``(N, H, W, C)``."""
    shape = " x ".join(map(str, array.shape))
    if array.size == 0:
        raise InputError(f"{where} has no images (its shape is {shape}); give at least one.")
    if array.ndim == 2:
        return _unflatten(array, where, notes)
    if array.ndim == 3:
        return array[..., None]
    if array.ndim == 4 and array.shape[3] in (1, 3, 4):
        return array
    if array.ndim == 4 and array.shape[1] in (1, 3):
        return array.transpose(0, 2, 3, 1)
    if array.ndim == 4:
        raise InputError(
            f"{where} has the shape {shape}, so {array.shape[3]} channels; images have 1 (grey), "
            "3 (red, green, blue) or 4 (with alpha): choose such channels."
        )
    raise InputError(
        f"{where} has the shape {shape}; give images as (number, height, width) or (number, "
        "height, width, channels)."
    )


def _unflatten(array: np.ndarray, where: str, notes: list[str]) -> np.ndarray:
    n, values = array.shape
    side = math.isqrt(values)
    if side * side == values and side >= SMALLEST_FLAT:
        return array.reshape(n, side, side, 1)
    side = math.isqrt(values // 3)
    if 3 * side * side == values and side >= SMALLEST_FLAT:
        planes = array.reshape(n, 3, side, side).transpose(0, 2, 3, 1)
        mixed = array.reshape(n, side, side, 3)
        # Neighbouring pixels are alike, so the wrong order of the values looks rough.
        by_planes = _roughness(planes) <= _roughness(mixed)
        order = "one channel after the other" if by_planes else "the channels of a pixel together"
        notes.append(f"rows of {values:,} values are read as {side}x{side} colours, {order}")
        return planes if by_planes else mixed
    raise InputError(
        f"{where} has rows of {values:,} values, which are no square image of 1 or 3 channels with "
        f"sides of at least {SMALLEST_FLAT}; give images as (number, height, width)."
    )


def _roughness(images: np.ndarray) -> float:
    sample = images[:: max(1, len(images) // 100)].astype(np.float64)
    return float(np.abs(np.diff(sample, axis=1)).mean() + np.abs(np.diff(sample, axis=2)).mean())


def _range_note(images: Sequence[np.ndarray], value_range: tuple[float, float]) -> list[str]:
    """Point out values that use next to nothing of the range that was given."""
    others = [a for a in images if a.dtype != np.uint8]
    if not others:
        return []
    low, high = min(float(a.min()) for a in others), max(float(a.max()) for a in others)
    width = value_range[1] - value_range[0]
    if high - low > 0.02 * width and low < value_range[1] and high > value_range[0]:
        return []
    return [
        f"the values run from {low:g} to {high:g}, though {value_range[0]:g} stands for black and "
        f"{value_range[1]:g} for white: are they of another scale?"
    ]


def _coloured(block: np.ndarray) -> bool:
    """Whether an image of a sample has channels that differ."""
    if block.shape[3] == 1:
        return False
    sample = block[:: max(1, len(block) // COLOUR_SAMPLE)]
    return bool((sample.max(axis=3) - sample.min(axis=3) > GREY_TOLERANCE).any())


def read_labels(array: np.ndarray, n: int, where: str) -> list[Any]:
    """Make a list of N labels of an array.

    Args:
        array: ``(N,)``, ``(N, 1)`` or one-hot ``(N, K)``; numbers or text.
        n: number of images.
        where: what it is called in messages.

    Returns:
        Whole numbers as int, other numbers as float, text as str.

    Raises:
        InputError: another shape or number, or a value that is missing or neither number nor text.
    """
    shape = " x ".join(map(str, array.shape))
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    elif array.ndim == 2 and array.dtype.kind in "biuf":
        ones = (array != 0).sum(axis=1)
        if not ((ones == 1).all() and (array.max(axis=1) == 1).all()):
            raise InputError(
                f"{where} has the shape {shape} and its rows are not one-hot (a single 1 among "
                "zeros); give one label an image."
            )
        array = array.argmax(axis=1)
    if array.ndim != 1:
        raise InputError(f"{where} has the shape {shape}; give one label an image.")
    if len(array) != n:
        raise InputError(f"{where} has {len(array):,} labels for {n:,} images; give as many.")
    if array.dtype.kind in "biu":
        return [int(v) for v in array]
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise InputError(f"{where} has labels that are NaN or infinite; drop such images.")
        whole = bool((np.rint(array) == array).all())
        return [int(v) if whole else float(v) for v in array]
    if array.dtype.kind == "S":
        return [v.decode("utf-8", "replace") for v in array]
    if array.dtype.kind == "U":
        return [str(v) for v in array]
    raise InputError(f"{where} holds {array.dtype} values; give labels as numbers or text.")
