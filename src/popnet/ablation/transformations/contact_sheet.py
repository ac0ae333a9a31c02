"""The contact sheet: what transformations do to some images, as one PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from popnet.ablation.transformations.catalogue import ImageTransformation, transformations
from popnet.augment import Policy
from popnet.runtime import keys
from popnet.types import Array

SHOWN = 6
"""Images of a sheet, at most; each has a column."""

STRENGTHS = (0.5, 1.0, 1.5)
"""Parts of what twins try, a row for each."""

DRAWS = 3
"""Rows of the whole policy."""

PROBABILITIES = ("reflection", "vertical_reflection", "quarter_turn", "half_turn")
"""Fields that say how often; they have one row, in which it is always."""

SIDE, GAP, LETTERS = 80, 4, 14
"""Pixels: of an image's longer side, about; between images; of the labels' font."""

Row = tuple[str, dict[str, float], int]
"""Label, fields of the policy, key."""


def contact_sheet(images: Array, fields: Mapping[str, float], *, seed: int = 0) -> bytes:
    """Return a PNG: the originals, each transformation at several strengths, and the whole policy drawn a few times.

    Args:
        images: ``(N, H, W, C)`` uint8, C is 1 or 3; the first six are shown.
        fields: of the policy, named as in the recipe; those left out are off.
        seed: of what is drawn.
    """
    shown = np.asarray(images[:SHOWN])
    off = Policy(fill="edge" if shown.shape[3] == 3 else "constant")  # as `base_recipe` has it
    labels, lines = ["originals"], [shown]
    for label, changes, key in rows(tuple(shown.shape[1:]), fields, seed):
        labels.append(label)
        lines.append(np.asarray(replace(off, **changes)(key, shown)))
    return _png(labels, lines)


def rows(image: tuple[int, int, int], fields: Mapping[str, float], seed: int) -> list[Row]:
    """Return the rows below the originals, for images of a height, width and number of channels.

    The rows of one transformation have one key: the same draw, stronger and stronger.
    """
    found: list[Row] = []
    for t in transformations(image):
        key = int(keys.key(seed, "sheet", t.name))
        if t.name in PROBABILITIES:
            found.append((t.name.replace("_", " "), {t.name: 1.0}, key))
        else:
            found += [(_label(t, s), _stronger(t, s), key) for s in STRENGTHS]
    name = "all that are used" if fields else "none is used"
    found += [
        (f"{name}, draw {k + 1}", dict(fields), int(keys.key(seed, "sheet", "policy", k)))
        for k in range(DRAWS)
    ]
    return found


def _stronger(t: ImageTransformation, strength: float) -> dict[str, float]:
    """Return the fields at a strength; the width of the morphing's Gaussian stays, which is its kind."""
    return {k: v if k == "elastic_sigma" else v * strength for k, v in t.fields.items()}


def _label(t: ImageTransformation, strength: float) -> str:
    return f"{t.name.replace('_', ' ')} {t.fields[t.name] * strength:.3g}"


def _png(labels: list[str], lines: list[np.ndarray]) -> bytes:
    """Draw lines of images ``(n, H, W, C)`` below each other on white, labels at their left."""
    from PIL import Image, ImageDraw, ImageFont

    factor = enlargement(lines[0].shape[1:3])
    n, height, width = (s * f for s, f in zip(lines[0].shape, (1, factor, factor), strict=False))
    font = ImageFont.load_default(size=LETTERS)
    left = round(max(font.getlength(text) for text in labels)) + 3 * GAP
    size = (left + n * (width + GAP), GAP + len(lines) * (height + GAP))
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for i, (label, line) in enumerate(zip(labels, lines, strict=True)):
        top = GAP + i * (height + GAP)
        draw.text((GAP, top + height / 2), label, fill="black", font=font, anchor="lm")
        colours = np.broadcast_to(line, (*line.shape[:3], 3))
        large = colours.repeat(factor, 1).repeat(factor, 2)
        for k in range(n):
            sheet.paste(Image.fromarray(large[k]), (left + k * (width + GAP), top))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def enlargement(size: tuple[int, ...]) -> int:
    """Return the whole factor that brings an image of a height and width to about 80 pixels; 1 for large ones."""
    return max(1, round(SIDE / max(size)))
