"""Where a model looks: how much less likely a class is when a part of an image is covered (Zeiler and Fergus 2014)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from popnet.data.dataset import Images
from popnet.types import Array

CELLS = 8
"""Cells a side, at most: 64 predictions of an image."""

HEAT = (235, 120, 20)
"""Colour of what matters, as red, green and blue: it stands out from grey images and on both of the page's grounds."""

OPACITY = 0.65
"""Of the colour where a class depends on a part the most."""


def occlusion(
    predict: Callable[[Images], Array], images: Images, classes: Array, cells: int = CELLS
) -> np.ndarray:
    """Return by how much a class's probability falls when a cell of an image is covered, ``(N, G, G)``.

    A cell is covered with half a cell around it, by the mean colour of the training images.

    Args:
        predict: returns probabilities ``(N, C)`` of images.
        images: N of them.
        classes: ``(N,)`` number of the class of each that is looked at.
        cells: a side, at most; G is less for images of fewer pixels.
    """
    height, width, _ = images.size
    count = min(cells, height, width)
    rows, columns = (_edges(n, count) for n in (height, width))
    colour = np.clip(np.round(images.mean), 0, 255).astype(np.uint8)
    found = np.empty((len(images), count, count))
    for i, c in enumerate(np.asarray(classes).tolist()):
        covered = np.repeat(np.asarray(images.pixels[i : i + 1]), count * count + 1, 0)
        for k in range(count * count):
            (top, bottom), (left, right) = rows[k // count], columns[k % count]
            covered[k + 1, top:bottom, left:right] = colour
        p = np.asarray(predict(replace(images, pixels=covered)))[:, c]
        found[i] = (p[0] - p[1:]).reshape(count, count)
    return found


def overlay(pixels: Array, falls: np.ndarray) -> np.ndarray:
    """Return an image ``(H, W, 3)`` uint8 on which the parts that a class depends on are coloured.

    Args:
        pixels: ``(H, W, C)`` uint8.
        falls: ``(G, G)`` of `occlusion`; what is below 0 stays as it is.
    """
    height, width = map(int, pixels.shape[:2])
    heat = np.clip(falls / max(float(falls.max()), 1e-6), 0, 1)
    cells = len(heat)
    down, across = np.arange(height) * cells // height, np.arange(width) * cells // width
    share = OPACITY * heat[down][:, across, None]
    plain = np.broadcast_to(np.asarray(pixels, np.float64), (height, width, 3))
    return np.round((1 - share) * plain + share * np.array(HEAT)).astype(np.uint8)


def _edges(length: int, count: int) -> list[tuple[int, int]]:
    """Return where each cell of an axis begins and ends, half a cell around it included."""
    size = length / count
    return [
        (
            max(0, round((k - 0.5) * size)),
            min(length, max(round((k + 1.5) * size), round(k * size) + 1)),
        )
        for k in range(count)
    ]
