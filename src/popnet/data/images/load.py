"""Many image files into one array: size and channels chosen, the broken ones left out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from popnet.data.images.decode import (
    Header,
    UnreadableImage,
    decode,
    is_coloured,
    quiet,
    read_extent,
    read_header,
)
from popnet.data.images.pictures import Pictures, Progress, ReadOptions, Size, counted, some
from popnet.data.images.resize import choose_size, size_note
from popnet.data.images.values import Extent, range_of
from popnet.errors import InputError
from popnet.runtime import memory
from popnet.runtime.parallel import parallel_for

COLOUR_SAMPLE = 200
"""So many images that are not grey by their header are looked at for colour."""


@dataclass(frozen=True)
class Loaded:
    """The images of the readable files.

    Attributes:
        pictures: images, names, broken files and notes; no labels.
        kept: ``(N,)`` int64, which of the files they are.
    """

    pictures: Pictures
    kept: np.ndarray


def load_files(paths: list[Path], names: list[str], wish: ReadOptions, where: object) -> Loaded:
    """Read image files.

    Args:
        paths: the files.
        names: what they are called in messages.
        wish: size, fit, channels, strict, on_progress and workers are used.
        where: the source, for messages.

    Raises:
        InputError: no file can be read, or with ``strict`` one cannot.
    """
    reasons: dict[int, str] = {}
    with quiet():
        size, channels, file_range = wish.size, wish.channels, wish.file_range
        if size is None or channels is None or file_range == "found":
            headers = _headers(paths, reasons, wish)
            if not headers:
                raise InputError(_all_broken(names, reasons, where))
            size = size or choose_size([h.size for h in headers.values()])
            unsure = [paths[i] for i in sorted(headers) if not headers[i].grey]
            channels = channels or _channels(unsure, wish)
            if file_range == "found":
                file_range = _file_range(
                    [paths[i] for i in sorted(headers) if headers[i].deep], wish
                )
        todo = np.asarray([i for i in range(len(paths)) if i not in reasons], np.int64)
        pixels = _allocate(len(todo), size, channels)
        sizes: list[Size | None] = [None] * len(todo)

        def work(position: int) -> None:
            i = int(todo[position])
            try:
                pixels[position], sizes[position] = decode(
                    paths[i], size, wish.fit, channels, file_range
                )
            except UnreadableImage as broken:
                reasons[i] = str(broken)

        parallel_for(len(todo), work, wish.workers, wish.on_progress)
    if len(reasons) == len(paths):
        raise InputError(_all_broken(names, reasons, where))
    broken = [(names[i], reasons[i]) for i in sorted(reasons)]
    if broken and wish.strict:
        raise InputError(
            f"{counted(len(broken), 'file')} of {where} cannot be read: {_listed(broken)}; mend or "
            "remove such files, or leave out strict."
        )
    kept = np.asarray([k for k, s in enumerate(sizes) if s is not None], np.int64)
    if len(kept) < len(pixels):
        for new, old in enumerate(kept):  # in place: there may be no memory for a copy
            pixels[new] = pixels[old]
        pixels = pixels[: len(kept)]
    notes = [size_note([s for s in sizes if s is not None], size, wish.fit)]
    if broken:
        those = "is" if len(broken) == 1 else "are"
        notes.append(
            f"{counted(len(broken), 'file')} cannot be read and {those} left out: {_listed(broken)}"
        )
    if file_range is not None and wish.file_range == "found":
        notes.append(f"of more than 8 bits: {file_range[0]:g} is black, {file_range[1]:g} white")
    pictures = Pictures(
        pixels, names=[names[i] for i in todo[kept]], broken=broken, notes=notes,
        value_range=file_range or (0.0, 255.0), file_range=file_range,
    )  # fmt: skip
    return Loaded(pictures, todo[kept])


def _headers(paths: list[Path], reasons: dict[int, str], wish: ReadOptions) -> dict[int, Header]:
    """Read the headers of the sound files; the others get a reason."""
    headers: dict[int, Header] = {}

    def work(i: int) -> None:
        try:
            headers[i] = read_header(paths[i])
        except UnreadableImage as broken:
            reasons[i] = str(broken)

    # No image is done yet, but the caller hears that something goes on.
    report = wish.on_progress
    still: Progress | None = None if report is None else (lambda _, n: report(0, n))
    parallel_for(len(paths), work, wish.workers, still)
    return headers


def _file_range(deep: list[Path], wish: ReadOptions) -> tuple[float, float] | None:
    """Return what is black and white in all files of more than 8 bits; None without any that can be read."""
    extents: list[Extent | None] = [None] * len(deep)

    def work(i: int) -> None:
        with suppress(UnreadableImage):  # it is told when the pixels are read
            extents[i] = read_extent(deep[i])

    parallel_for(len(deep), work, wish.workers)
    found = [e for e in extents if e is not None]
    return range_of(found) if found else None


def _channels(unsure: list[Path], wish: ReadOptions) -> int:
    """Return 3 if an image of a sample has colour, otherwise 1."""
    n = min(COLOUR_SAMPLE, len(unsure))
    picked: list[Path] = [unsure[i] for i in np.linspace(0, len(unsure) - 1, n).astype(int)]
    coloured: list[bool] = [False] * n

    def work(i: int) -> None:
        coloured[i] = any(coloured) or is_coloured(picked[i])

    parallel_for(n, work, wish.workers)
    return 3 if any(coloured) else 1


def _allocate(n: int, size: Size, channels: int) -> np.ndarray:
    said = InputError(
        f"{n:,} images of {size[1]}x{size[0]} pixels do not fit into memory; choose a smaller size."
    )
    # The system promises more memory than there is, and ends the process when it is used.
    if n * size[0] * size[1] * channels > memory.free():
        raise said
    try:
        return np.empty((n, *size, channels), np.uint8)
    except MemoryError:
        raise said from None


def _listed(broken: Sequence[tuple[str, str]]) -> str:
    return some([f"{name} ({reason})" for name, reason in broken])


def _all_broken(names: list[str], reasons: dict[int, str], where: object) -> str:
    listed = _listed([(names[i], reasons[i]) for i in sorted(reasons)])
    if len(names) == 1:
        return f"the only image of {where} cannot be read: {listed}; give a readable image."
    return (
        f"none of the {len(names):,} image files of {where} can be read: {listed}; give images "
        "that an image viewer opens."
    )
