"""Images from any source: the way into this package."""

from __future__ import annotations

import math
from os import PathLike
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from popnet.data.images.arrays import read_arrays
from popnet.data.images.files import is_image_name
from popnet.data.images.folder import read_class_folders, read_unlabelled
from popnet.data.images.idx import find_idx, is_idx_name, read_idx_images
from popnet.data.images.npz import read_npz
from popnet.data.images.pictures import LARGEST_SIDE, Fit, Pictures, Progress, ReadOptions, Size
from popnet.data.images.table import is_image_table, read_image_table
from popnet.errors import InputError, closest


def is_image_source(source: Any) -> bool:
    """Whether a source holds images, and not a table of features.

    True for a folder (but not a model's), an .npz or IDX file, an image file, a table with a column
    of image paths, and an array of 3 or 4 dimensions; False for all else, and where nothing is.
    """
    if isinstance(source, np.ndarray):
        return source.ndim in (3, 4)
    if not isinstance(source, str | PathLike):
        return False
    path = Path(cast("str | PathLike[str]", source))
    try:
        if path.is_dir():
            return not (path / "model.json").exists()
        if not path.is_file():
            return False
    except (OSError, ValueError):  # a name that is too long, or holds a null character
        return False
    name = path.name
    if name.lower().endswith(".npz") or is_idx_name(name) or is_image_name(name):
        return True
    return is_image_table(path)


def read_images(
    source: Any,
    *,
    size: Size | None = None,
    fit: Fit = "pad",
    channels: int | None = None,
    value_range: tuple[float, float] | None = None,
    target: str | None = None,
    need_labels: bool = True,
    strict: bool = False,
    on_progress: Progress | None = None,
    workers: int | None = None,
    file_range: tuple[float, float] | Literal["found"] | None = "found",
) -> Pictures:
    """Read images into one array.

    Args:
        source: a folder with a subfolder a class (perhaps below train, val and test); a folder with
            MNIST's IDX files, or one such file; an .npz file; a table with a column of image paths;
            an array ``(N, H, W)`` or ``(N, H, W, C)``. Without labels also any folder of images,
            and one image file.
        size: height and width; by default that of the images, or one chosen for them.
        fit: keep the aspect by padding ("pad") or by cutting ("crop"), or do not ("stretch").
        channels: 1 or 3; by default 3 if an image has colour.
        value_range: what is black and white in arrays other than uint8; by default found.
        target: the label column of a table; by default its only other column.
        need_labels: labels are due (to train), or none are read (to predict).
        strict: a file that cannot be read is an error, not left out.
        on_progress: called on this thread now and then with the images done and their number.
        workers: threads that decode, by default one per core.
        file_range: what is black and white in image files of more than 8 bits; found from all of them, or None: by the
            type of each.

    Raises:
        InputError: the source or an option cannot be used.
    """
    _check_options(size, fit, channels, value_range, workers)
    wish = ReadOptions(
        size,
        fit,
        channels,
        value_range,
        target,
        need_labels,
        strict,
        on_progress,
        workers,
        file_range,
    )
    if isinstance(source, np.ndarray):
        return read_arrays([cast("np.ndarray", source)], ["the array"], wish)
    if not isinstance(source, str | PathLike):
        raise InputError(
            f"cannot read images from a {type(source).__name__}; give a folder, a file or an array."
        )
    path = Path(cast("str | PathLike[str]", source))
    kind = _kind(path)
    if kind == "folder":
        if find_idx(path):
            return read_idx_images(path, wish)
        return read_class_folders(path, wish) if need_labels else read_unlabelled(path, wish)
    if kind == "missing":
        raise InputError(f"there is no folder or file {path}; check the path.")
    if is_idx_name(path.name):
        return read_idx_images(path, wish)
    if path.name.lower().endswith(".npz"):
        return read_npz(path, wish)
    if is_image_name(path.name):
        if need_labels:
            raise InputError(
                f"{path} is one image; give a folder with a subfolder of images for each class."
            )
        return read_unlabelled(path, wish)
    return read_image_table(path, wish)


def _kind(path: Path) -> str:
    try:
        return "folder" if path.is_dir() else "file" if path.is_file() else "missing"
    except (OSError, ValueError):
        return "missing"


def _check_options(
    size: Size | None,
    fit: str,
    channels: int | None,
    value_range: tuple[float, float] | None,
    workers: int | None,
) -> None:
    if size is not None and not (
        len(size) == 2
        and all(isinstance(s, int | np.integer) and 1 <= s <= LARGEST_SIDE for s in size)
    ):
        raise InputError(
            f"the image size {size!r} cannot be used; give height and width, each a whole number "
            f"from 1 to {LARGEST_SIDE}."
        )
    fits = ("pad", "crop", "stretch")
    if fit not in fits:
        raise InputError(
            f"there is no fit '{fit}'; use one of {', '.join(fits)}.{closest(str(fit), fits)}"
        )
    if channels not in (None, 1, 3):
        raise InputError(f"images have 1 channel (grey) or 3 (colour), not {channels}; choose one.")
    if value_range is not None and not (
        len(value_range) == 2
        and all(math.isfinite(v) for v in value_range)
        and value_range[0] < value_range[1]
    ):
        raise InputError(
            f"the value range {value_range!r} cannot be used; give the value of black and a larger "
            "one of white."
        )
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}.")


__all__ = ["Pictures", "is_image_source", "read_images"]
