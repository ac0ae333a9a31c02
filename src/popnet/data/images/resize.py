"""An image of any shape brought to one size, and the choice of that size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from popnet.data.images.pictures import Fit, Size

LARGEST_KEPT, LARGEST_CHOSEN, SMALLEST_CHOSEN = 128, 96, 8
"""Images of one size with sides up to the first keep it; a chosen size has sides from the third to
the second."""

_FITS = {
    "pad": "aspect kept by padding",
    "crop": "aspect kept by cutting the edges",
    "stretch": "aspect not kept",
}


def fit_image(image: Image.Image, size: Size, fit: Fit) -> Image.Image:
    """Bring an image of mode L or RGB to a height and width; reducing averages.

    Padding has the median colour of the image's border.
    """
    height, width = size
    if image.size == (width, height):
        return image
    if fit == "stretch":
        return _scale(image, width, height)
    if fit == "crop":
        scale = max(width / image.width, height / image.height)
        cut_x = (image.width - width / scale) / 2
        cut_y = (image.height - height / scale) / 2
        box = (max(cut_x, 0.0), max(cut_y, 0.0))
        return _scale(image, width, height, (*box, image.width - box[0], image.height - box[1]))
    scale = min(width / image.width, height / image.height)
    inner = _scale(
        image,
        min(width, max(1, round(image.width * scale))),
        min(height, max(1, round(image.height * scale))),
    )
    if inner.size == (width, height):
        return inner
    colour = _border_colour(inner)
    canvas = Image.new(image.mode, (width, height), colour)
    canvas.paste(inner, ((width - inner.width) // 2, (height - inner.height) // 2))
    return canvas


def _scale(
    image: Image.Image,
    width: int,
    height: int,
    box: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    # Pillow's bilinear filter widens as it reduces, so it averages; the gap makes that fast.
    return image.resize((width, height), Image.Resampling.BILINEAR, box, reducing_gap=2.0)


def _border_colour(image: Image.Image) -> float | tuple[float, ...]:
    pixels = np.asarray(image).reshape(image.height, image.width, -1)
    sides = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    colour = np.median(np.concatenate(sides), axis=0)
    return int(colour[0]) if len(colour) == 1 else tuple(int(v) for v in colour)


def choose_size(sizes: Sequence[Size]) -> Size:
    """Choose one height and width for images of these sizes.

    The common size if there is one with sides of at most 128; otherwise the median height and
    width, scaled down to sides of at most 96, in even numbers of at least 8.
    """
    first = sizes[0]
    if len(set(sizes)) == 1 and max(first) <= LARGEST_KEPT:
        return first
    height, width = np.median(np.asarray(sizes, np.float64), axis=0)
    scale = min(1.0, LARGEST_CHOSEN / max(height, width))
    return _even(height * scale), _even(width * scale)


def _even(side: float) -> int:
    return max(SMALLEST_CHOSEN, 2 * round(side / 2))


def size_note(sizes: Sequence[Size], size: Size, fit: Fit) -> str:
    """Say in one line how many images there were, of what sizes, and what became of them."""
    distinct = set(sizes)
    what = f"{len(sizes):,} image{'s' if len(sizes) != 1 else ''}"
    of = f"{len(distinct):,} sizes" if len(distinct) > 1 else show_size(next(iter(distinct)))
    if distinct == {size}:
        return f"{what} of {of}"
    # Equal aspects need no padding and no cutting.
    same_aspect = all(h * size[1] == w * size[0] for h, w in distinct)
    how = "" if same_aspect else f" ({_FITS[fit]})"
    return f"{what} of {of}, resized to {show_size(size)}{how}"


def show_size(size: Size) -> str:
    """Write a size for people, width before height as image viewers do."""
    return f"{size[1]}x{size[0]}"
