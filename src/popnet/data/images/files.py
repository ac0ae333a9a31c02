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
        InputError: a folder cannot be opened, or holds a link that leads out of the root.
    """
    below = Below([], [], [])
    _list(root, (), below, set(), Path(os.path.realpath(root)))
    for names in below:
        names.sort()
    return below


def check_link(path: Path, root: Path) -> None:
    """Raise an InputError for a link that leads out of a folder, by which a stranger would have other files read.

    Args:
        path: of a file or folder.
        root: the folder, without links itself.
    """
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(root):
        raise InputError(
            f"{path} is a link that leads out of the folder, to {real}; copy there what it leads to."
        )


def _list(folder: Path, above: tuple[str, ...], below: Below, seen: set[str], root: Path) -> None:
    real = os.path.realpath(folder)
    if real in seen:  # a link to a folder that was met already
        return
    seen.add(real)
    try:
        with os.scandir(folder) as entries:
            known = [e for e in entries if not _ignored(e.name)]
            found = [(e.name, e.is_dir(), e.is_file()) for e in known]
            links = sorted(e.name for e in known if e.is_symlink())
    except OSError as error:
        raise InputError(
            f"the folder {folder} cannot be opened ({error.strerror or error}); check its "
            "permissions."
        ) from None
    for name in links:
        check_link(folder / name, root)
    for name, is_folder, is_file in sorted(found):
        path = (*above, name)
        if is_folder:
            below.folders.append(path)
            _list(folder / name, path, below, seen, root)
        elif is_file:
            (below.images if is_image_name(name) else below.others).append(path)


def _ignored(name: str) -> bool:
    return name.startswith(".") or name in _IGNORED


def show_name(path: tuple[str, ...]) -> str:
    """Write a path from the source for people; a name that is not UTF-8 stays printable."""
    return "/".join(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
