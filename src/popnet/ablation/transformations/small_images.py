"""Images made smaller, so that twins of nets train quickly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from popnet.data.dataset import Images

MAX_SIDE = 32


def shrunk(images: Images) -> Images:
    """Return images made smaller by a whole factor, so that their shorter side is at most `MAX_SIDE`."""
    return replace(images, pixels=smaller(images.pixels, MAX_SIDE))


def smaller(pixels: np.ndarray, most: int) -> np.ndarray:
    """Return images ``(N, H, W, C)`` whose shorter side is at most so many pixels; the same array if they are small."""
    step = -(-min(pixels.shape[1:3]) // most)
    return _shrunk(pixels, step) if step > 1 else pixels


def _shrunk(pixels: np.ndarray, step: int) -> np.ndarray:
    """Return images made smaller by a whole factor: means of squares of pixels."""
    n, height, width, channels = pixels.shape
    rows, columns = height // step, width // step
    cut = pixels[:, : rows * step, : columns * step]
    squares = cut.reshape(n, rows, step, columns, step, channels)
    means: np.ndarray = squares.mean((2, 4), dtype=np.float32)
    return means.round().astype(np.uint8)
