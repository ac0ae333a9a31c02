"""NumPy's .npz files, under the names that images have in them."""

from __future__ import annotations

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from popnet.data.images.arrays import read_arrays, read_labels
from popnet.data.images.pictures import (
    TEST,
    TRAIN,
    VALIDATION,
    Pictures,
    ReadOptions,
    check_number,
    own_parts,
)
from popnet.errors import InputError
from popnet.runtime.memory import check_fits

_SCHEMES = (
    (
        ("x_train", "y_train", TRAIN),
        ("x_val", "y_val", VALIDATION),
        ("x_valid", "y_valid", VALIDATION),
        ("x_test", "y_test", TEST),
    ),
    (
        ("train_images", "train_labels", TRAIN),
        ("val_images", "val_labels", VALIDATION),
        ("test_images", "test_labels", TEST),
    ),
    (
        ("train_data", "train_target", TRAIN),
        ("val_data", "val_target", VALIDATION),
        ("test_data", "test_target", TEST),
    ),
    (("images", "labels", TRAIN),),
    (("x", "y", TRAIN),),
    (("data", "target", TRAIN),),
)
"""Names of images and labels and their part, whatever their case; the first that fits counts."""

_NONE = np.empty(0)


def read_npz(path: Path, wish: ReadOptions) -> Pictures:
    """Read the images of an .npz file, with the parts that its names tell.

    Raises:
        InputError: damaged, holds Python objects, lacks known names or labels; see `read_arrays`
            and `read_labels`; fewer than 10 images.
    """
    arrays = _load(path)
    found = _find(path, arrays)
    images = [arrays[image] for image, _, _ in found]
    pictures = read_arrays(images, [f"'{image}' of {path}" for image, _, _ in found], wish)
    division = np.repeat(
        np.asarray([part for _, _, part in found], np.int8), [len(a) for a in images]
    )
    pictures = replace(pictures, parts=own_parts(division))
    if not wish.need_labels:
        return pictures
    labels: list[Any] = []
    for (image, label, _), array in zip(found, images, strict=True):
        if label not in arrays:
            raise InputError(
                f"{path} has '{image}' but no labels '{label}'; it holds {_names(arrays)}: add them."
            )
        labels += read_labels(arrays[label], len(array), f"'{label}' of {path}")
    check_number(len(labels), path)
    return replace(pictures, labels=labels)


def _load(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays, by names in lower case; those that are no images may be unreadable."""
    known = {name for scheme in _SCHEMES for image, label, _ in scheme for name in (image, label)}
    try:
        with path.open("rb") as raw:
            file = np.load(raw, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise InputError(f"{path} holds one array without a name; save it with np.savez.")
            names = {name.lower(): name for name in file.files}
            _check_sizes(path, {n for lower, n in names.items() if lower in known})
            return {lower: file[names[lower]] if lower in known else _NONE for lower in names}
    except InputError:
        raise
    except MemoryError:
        raise InputError(
            f"{path} says that it holds more than there is memory for; make it again."
        ) from None
    # Besides what NumPy raises: an unknown compression, a password, damage within a compressed stream.
    except (ArithmeticError, EOFError, LookupError, OSError, RuntimeError, SyntaxError, TypeError, ValueError,
            lzma.LZMAError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error) as error:  # fmt: skip
        if "allow_pickle" in str(error) and zipfile.is_zipfile(path):
            raise InputError(
                f"{path} holds an array of Python objects, which could run code when read; save "
                "it as an array of numbers (images of one size)."
            ) from None
        raise InputError(f"{path} is not an .npz file, or is damaged; make it again.") from None


def _check_sizes(path: Path, wanted: set[str]) -> None:
    """Raise an InputError before an array is unpacked that does not fit into memory, or is not what its header says."""
    with zipfile.ZipFile(path) as archive:
        entries = [e for e in archive.infolist() if e.filename.removesuffix(".npy") in wanted]
        # A zip file cannot give more than it says: the rest is not unpacked.
        check_fits(sum(entry.file_size for entry in entries), str(path))
        for entry in entries:
            with archive.open(entry) as file:
                shape, kind = _header(file)
                if math.prod(shape) * kind.itemsize > entry.file_size:
                    raise InputError(
                        f"{path} is damaged: '{entry.filename}' says that it holds {' x '.join(map(str, shape))} "
                        "values, and is shorter; make it again."
                    )


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and type that an array's header tells."""
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError("an unknown version")
    shape, _, kind = read[version](file)
    return shape, kind


def _find(path: Path, arrays: Mapping[str, np.ndarray]) -> list[tuple[str, str, int]]:
    for scheme in _SCHEMES:
        found = [entry for entry in scheme if entry[0] in arrays]
        # Labels "y" beside features "x_test" alone are no training data.
        if any(part == TRAIN for _, _, part in found):
            return found
    raise InputError(
        f"{path} holds {_names(arrays)}, none of which are known for images; name them x_train and "
        "y_train (x_test and y_test), or images and labels."
    )


def _names(arrays: Mapping[str, np.ndarray]) -> str:
    return ", ".join(f"'{name}'" for name in list(arrays)[:12]) or "nothing"
