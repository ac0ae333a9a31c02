"""Which files of a folder are images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from popnet.errors import InputError

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff",
)  # fmt: skip
_IGNORED = {"__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir"}
"""What systems leave behind; hidden files are ignored as well."""


class Below(NamedTuple):
    """What lies below a folder; each as the parts of its path from there, sorted.

    Attributes:
        images: files with the suffix of an image.
        others: other files.
        folders: folders.
    """

    images: list[tuple[str, ...]]
    others: list[tuple[str, ...]]
    folders: list[tuple[str, ...]]


def is_image_name(name: str) -> bool:
    """Whether a file's name ends like that of an image."""
    return name.lower().endswith(SUFFIXES)


def files_below(root: Path) -> Below:
    """List what lies below a folder, but not what is hidden or left behind by a system.

    Raises:
        InputError: a folder cannot be opened.
    """
    below = Below([], [], [])
    _list(root, (), below, set())
    for names in below:
        names.sort()
    return below


def _list(folder: Path, above: tuple[str, ...], below: Below, seen: set[str]) -> None:
    real = os.path.realpath(folder)
    if real in seen:  # a link to a folder that was met already
        return
    seen.add(real)
    try:
        with os.scandir(folder) as entries:
            found = [(e.name, e.is_dir(), e.is_file()) for e in entries if not _ignored(e.name)]
    except OSError as error:
        raise InputError(
            f"the folder {folder} cannot be opened ({error.strerror or error}); check its "
            "permissions."
        ) from None
    for name, is_folder, is_file in sorted(found):
        path = (*above, name)
        if is_folder:
            below.folders.append(path)
            _list(folder / name, path, below, seen)
        elif is_file:
            (below.images if is_image_name(name) else below.others).append(path)


def _ignored(name: str) -> bool:
    return name.startswith(".") or name in _IGNORED


def show_name(path: tuple[str, ...]) -> str:
    """Write a path from the source for people; a name that is not UTF-8 stays printable."""
    return "/".join(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
