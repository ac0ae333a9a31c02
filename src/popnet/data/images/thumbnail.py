"""Small pictures of images, as text that a page can hold."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from popnet.types import Array

SIDE = 96
"""Pixels of the longer side, at most."""

LOSSLESS_SIDE = 32
"""Up to so many pixels a side PNG is as small as JPEG, and shows every pixel."""

QUALITY = 80
"""Of JPEG: 2 to 4 KB for a thumbnail."""


def thumbnail(pixels: Array) -> str:
    """Return an image ``(H, W, C)`` uint8, C 1 or 3, as a ``data:`` URL, made smaller if it is larger than `SIDE`."""
    array = np.asarray(pixels)
    image = Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)
    image.thumbnail((SIDE, SIDE))
    kind = "PNG" if max(image.size) <= LOSSLESS_SIDE else "JPEG"
    out = io.BytesIO()
    image.save(out, kind, **({"optimize": True} if kind == "PNG" else {"quality": QUALITY}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(out.getvalue()).decode()}"
