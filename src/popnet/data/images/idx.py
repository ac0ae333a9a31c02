"""IDX files, the format of MNIST: a big-endian header and then the values."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from popnet.data.images.arrays import read_arrays, read_labels
from popnet.data.images.files import check_link
from popnet.data.images.pictures import (
    PART_NAMES,
    TEST,
    TRAIN,
    Pictures,
    ReadOptions,
    check_number,
    own_parts,
)
from popnet.errors import InputError
from popnet.runtime.memory import check_fits

_IMAGES = re.compile(r"^(.*?)[-._]?images[-.]idx3[-.]ubyte(\.gz)?$", re.IGNORECASE)
_LABELS = re.compile(r"^(.*?)[-._]?labels[-.]idx1[-.]ubyte(\.gz)?$", re.IGNORECASE)
_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_PIECE = 1 << 24


def is_idx_name(name: str) -> bool:
    """Whether a file is called like IDX images, such as train-images-idx3-ubyte.gz."""
    return _IMAGES.match(name) is not None


def find_idx(folder: Path) -> list[Path]:
    """List the IDX images of a folder, by prefix; a packed file beside its unpacked twin is not."""
    try:
        found = sorted(p for p in folder.iterdir() if p.is_file() and is_idx_name(p.name))
    except OSError:
        return []
    names = {p.name for p in found}
    return [p for p in found if not (p.suffix == ".gz" and p.stem in names)]


def read_idx_images(source: Path, wish: ReadOptions) -> Pictures:
    """Read a folder of IDX files, or one file of IDX images with its labels beside it.

    Raises:
        InputError: a file is damaged or cut short, the labels are missing or of another number,
            a folder has several sets for one part, fewer than 10 images.
    """
    files = find_idx(source) if source.is_dir() else [source]
    if source.is_dir():
        for file in files:
            check_link(file, source.resolve())
    parts = [_part(p) for p in files]
    if len(files) > 1 and (len(set(parts)) < len(parts) or None in parts):
        raise InputError(
            f"{source} has several sets of IDX images ({', '.join(p.name for p in files)}); put "
            "the files of one set into a folder of their own, or give the path of one file."
        )
    files.sort(key=lambda p: _part(p) or TRAIN)  # the images to train on first
    parts = [_part(p) or TRAIN for p in files]
    arrays = [read_idx(path) for path in files]
    for path, array in zip(files, arrays, strict=True):
        if array.ndim != 3:
            raise InputError(f"{path} is {array.ndim}-d; a file of IDX images is 3-d.")
    pictures = read_arrays(arrays, [str(p) for p in files], wish)
    division = np.repeat(np.asarray(parts, np.int8), [len(a) for a in arrays])
    pictures = replace(pictures, parts=own_parts(division))
    if not wish.need_labels:
        return pictures
    labels: list[Any] = []
    for path, array in zip(files, arrays, strict=True):
        beside = _labels_of(path)
        labels += read_labels(read_idx(beside), len(array), str(beside))
    check_number(len(labels), source)
    return replace(pictures, labels=labels)


def _part(path: Path) -> int | None:
    last = re.split(r"[-._]", _prefix(path, _IMAGES) or "")[-1]
    return TEST if last == "t10k" else PART_NAMES.get(last)


def _labels_of(images: Path) -> Path:
    """Find the labels of a file of images: of the same prefix, with idx1 for idx3, packed or not."""
    prefix = _prefix(images, _IMAGES)
    beside = sorted(p for p in images.parent.iterdir() if _prefix(p, _LABELS) == prefix)
    if not beside:
        raise InputError(
            f"{images} has no labels; there is no file such as {prefix or 'train'}-labels-idx1-ubyte "
            "beside it: add it."
        )
    return beside[0]


def _prefix(path: Path, pattern: re.Pattern[str]) -> str | None:
    match = pattern.match(path.name)
    return match.group(1).lower() if match else None


def read_idx(path: Path) -> np.ndarray:
    """Read an IDX file, plain or gzip-compressed (by content).

    Returns:
        Array of the shape in the header; uint8 for ubyte files.

    Raises:
        InputError: not IDX, damaged, or of another length than the header says.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not packed:
                return _parse(raw, path)
            with gzip.open(raw) as file:
                return _parse(cast(BinaryIO, file), path)
    except EOFError:
        raise InputError(f"{path} is cut short; fetch it again.") from None
    except (OSError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({reason}); fetch it again.") from None


def _parse(file: BinaryIO, path: Path) -> np.ndarray:
    head = file.read(4)
    if not head:
        raise InputError(f"{path} is empty; fetch it again.")
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES or not 1 <= head[3] <= 4:
        raise InputError(f"{path} is not an IDX file; it does not begin like one: fetch it again.")
    sides = file.read(4 * head[3])
    if len(sides) < 4 * head[3]:
        raise InputError(f"{path} is cut short within its header; fetch it again.")
    shape = tuple(int(v) for v in np.frombuffer(sides, ">u4"))
    kind = np.dtype(_TYPES[head[2]])
    due = math.prod(shape) * kind.itemsize
    data = bytearray()
    # In pieces: a false header must not ask for memory that the file does not fill.
    while len(data) <= due and (piece := file.read(min(_PIECE, due + 1 - len(data)))):
        data += piece
        check_fits(len(data), str(path))
    if len(data) != due:
        what = "there are more" if len(data) > due else f"there are {len(data):,}"
        raise InputError(
            f"{path} is not whole: its header says {' x '.join(f'{s:,}' for s in shape)} values, "
            f"which are {due:,} bytes, but {what}; fetch it again."
        )
    return np.frombuffer(bytes(data), kind).reshape(shape).astype(kind.newbyteorder("="))
