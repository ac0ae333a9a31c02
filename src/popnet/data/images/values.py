"""Numbers of any range as bytes: which values stand for black and white, and the mapping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from popnet.errors import InputError

FEW_LEVELS = 16
"""Whole numbers up to this have their own largest value for white (scans of 4 bits)."""
_SLICE = 1024


def check_values(array: np.ndarray, where: str) -> None:
    """Raise an InputError if an array of images holds other than finite numbers."""
    if array.dtype.kind not in "biuf":
        raise InputError(f"{where} holds {array.dtype} values; give numbers, best of type uint8.")
    if array.dtype.kind != "f":
        return
    for start in range(0, len(array), _SLICE):
        part = array[start : start + _SLICE]
        bad = ~np.isfinite(part).reshape(len(part), -1).all(axis=1)
        if bad.any():
            raise InputError(
                f"image {start + int(bad.argmax())} of {where} (counted from 0) holds NaN or an "
                "infinite value; correct or drop such images."
            )


class Extent(NamedTuple):
    """What there is to know of some values to find the range that they are of.

    Attributes:
        low, high: the smallest and the largest.
        is_float: their type has fractions.
        is_whole: none of them is a fraction.
    """

    low: float
    high: float
    is_float: bool
    is_whole: bool

    @classmethod
    def of(cls, array: np.ndarray) -> Extent:
        """Return the extent of an array with at least one value, all finite."""
        return cls(
            float(array.min()), float(array.max()), array.dtype.kind == "f", _whole(array)
        )  # fmt: skip


def find_range(arrays: Sequence[np.ndarray]) -> tuple[float, float]:
    """Find which values stand for black and white in arrays, parts of one source; see `range_of`."""
    # Bytes are final.
    return range_of([Extent.of(a) for a in arrays if a.dtype != np.uint8])


def range_of(extents: Sequence[Extent]) -> tuple[float, float]:
    """Find which values stand for black and white.

    Args:
        extents: of the parts of one source that are not bytes.

    Returns:
        (0, 255) without any, and for whole numbers within that are more than 16; (0, 1) or (-1, 1) for fractions
        within, and for truth values; (0, largest) for other whole numbers up to 16; otherwise smallest and largest
        value: cameras and scanners of 10, 12 or 14 bits use little of what 16 bits can hold.
    """
    if not extents:
        return 0.0, 255.0
    low, high = min(e.low for e in extents), max(e.high for e in extents)
    if any(e.is_float for e in extents):
        if low >= 0 and high <= 1:
            return 0.0, 1.0
        if low >= -1 and high <= 1:
            return -1.0, 1.0
    if low >= 0 and high <= 255 and all(e.is_whole for e in extents):
        if high > FEW_LEVELS:
            return 0.0, 255.0
        return 0.0, high or 1.0
    return (low, high) if low < high else (low, low + 1)


def _whole(array: np.ndarray) -> bool:
    if array.dtype.kind != "f":
        return True
    slices = (array[i : i + _SLICE] for i in range(0, len(array), _SLICE))
    return all(bool((np.rint(s) == s).all()) for s in slices)


def to_bytes(array: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Map values linearly so that the range becomes 0..255; round, and clip what lies beyond.

    An array of uint8 is returned as it is, whatever the range: its bytes are final.
    """
    if array.dtype == np.uint8:
        return array
    low, high = value_range
    out = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), _SLICE):  # few floats at a time
        part = array[start : start + _SLICE].astype(np.float64)
        out[start : start + _SLICE] = np.clip(np.rint((part - low) * (255 / (high - low))), 0, 255)
    return out


def over_white(pixels: np.ndarray) -> np.ndarray:
    """Lay ``(N, H, W, 4)`` uint8 with alpha over white; return ``(N, H, W, 3)`` uint8."""
    out = np.empty((*pixels.shape[:3], 3), np.uint8)
    for start in range(0, len(pixels), _SLICE):
        part = pixels[start : start + _SLICE].astype(np.uint32)
        alpha = part[..., 3:]
        out[start : start + _SLICE] = (part[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return out


def to_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Give ``(N, H, W, 1 or 3)`` uint8 the number of channels; grey as Pillow weights it."""
    if pixels.shape[3] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=3)
    out = np.empty((*pixels.shape[:3], 1), np.uint8)
    weights = np.asarray([19595, 38470, 7471], np.uint32)
    for start in range(0, len(pixels), _SLICE):
        mixed = pixels[start : start + _SLICE].astype(np.uint32) @ weights
        out[start : start + _SLICE, ..., 0] = (mixed + 0x8000) >> 16
    return out
