"""What reading gives: images of one size with their labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from popnet.errors import InputError

Fit = Literal["pad", "crop", "stretch"]
"""How an image of another shape becomes the one size: keep its aspect by padding or by cutting, or
do not keep it."""

Size = tuple[int, int]
"""Height and width in pixels."""

LARGEST_SIDE = 4096
"""Pixels that images are read with, in height or width, at most."""

Progress = Callable[[int, int], None]
"""Called with the images done and their number."""

TRAIN, VALIDATION, TEST = 0, 1, 2
PART_NAMES = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
"""What folders and values of a split column are called, in lower case."""

MIN_IMAGES = 10
"""With fewer there is nothing to train on."""


@dataclass(frozen=True)
class Pictures:
    """Images of one size.

    Attributes:
        pixels: ``(N, H, W, C)`` uint8, C is 1 (grey) or 3 (red, green, blue).
        labels: N labels (text for class folders, the column's values for a table, numbers for
            arrays); None if there are none.
        parts: ``(N,)`` int8, 0 train, 1 validation, 2 test; None if the source has no parts.
        names: N file names relative to the source; None for arrays.
        broken: name and reason of the files left out.
        notes: short lines for people: what was done and what was left out.
        value_range: what 0 and 255 stand for in the source.
        file_range: the same of image files of more than 8 bits; None if there are none.
        label_name: "class" for folders, the column's name for a table, otherwise "label".
    """

    pixels: np.ndarray
    labels: list[Any] | None = None
    parts: np.ndarray | None = None
    names: list[str] | None = None
    broken: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    notes: list[str] = field(default_factory=list[str])
    value_range: tuple[float, float] = (0.0, 255.0)
    file_range: tuple[float, float] | None = None
    label_name: str = "label"


@dataclass(frozen=True)
class ReadOptions:
    """What the caller asks of the images; the fields are those of `read.read_images`."""

    size: Size | None = None
    fit: Fit = "pad"
    channels: int | None = None
    value_range: tuple[float, float] | None = None
    target: str | None = None
    need_labels: bool = True
    strict: bool = False
    on_progress: Progress | None = None
    workers: int | None = None
    file_range: tuple[float, float] | Literal["found"] | None = "found"


def own_parts(parts: np.ndarray) -> np.ndarray | None:
    """Return the parts, or None if all images are of one part: that is no division."""
    return parts if len(np.unique(parts)) > 1 else None


def check_number(n: int, where: object) -> None:
    """Raise an InputError if there are too few images to train on."""
    if n < MIN_IMAGES:
        raise InputError(
            f"{where} has {n} readable image{'s' if n != 1 else ''} with a label, and at least "
            f"{MIN_IMAGES} are needed; add images."
        )


def some(names: list[str], most: int = 3) -> str:
    """Write at most ``most`` of the names, then an ellipsis."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def counted(n: int, what: str) -> str:
    """Write a number with its noun: "1 file", "2,000 files"."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
