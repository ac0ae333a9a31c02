"""Files that are there whole or not at all, and whether one can be written before the work that fills it.

All that popnet writes for people to keep is written here; temporary files are not.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from popnet.errors import InputError

AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Of Linux's renameat2(2)."""


@contextmanager
def atomic_file(path: Path) -> Generator[IO[bytes]]:
    """Yield a file to write; it takes the path's place, flushed to the disk, when the block ends well.

    Raises:
        InputError: it cannot be written; nothing half-written is left, and an earlier file stays.
    """
    part = _beside(path)
    try:
        try:
            with part.open("wb") as file:
                yield file
                _sync(file)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}. Choose a folder that exists and has room."
        ) from None


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file, on the disk before its name is.

    Raises:
        InputError: see `atomic_file`.
    """
    with atomic_file(Path(path)) as file:
        file.write(data)


def write_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files that belong together into a folder: each beside its place first, and all are moved at the end.

    Raises:
        OSError: one cannot be written; earlier files stay.
    """
    parts = {folder / name: _beside(folder / name) for name in files}
    replaced: list[Path] = []
    try:
        for part, data in zip(parts.values(), files.values(), strict=True):
            with part.open("wb") as file:
                file.write(data)
                _sync(file)
        for path, part in parts.items():
            if exchange(part, path):
                replaced.append(path)
            else:
                part.replace(path)
    except BaseException:  # an interrupt, too
        for path in replaced:
            exchange(parts[path], path)
        raise
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def exchange(one: Path, other: Path) -> bool:
    """Let two files or folders change places in one step, so that neither place is ever empty.

    Returns:
        Whether that was done; False where the system or the file system cannot do it (only Linux can).
    """
    if not sys.platform.startswith("linux"):
        return False
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:  # an old C library
        return False
    ends = (AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other))
    return call(*ends, RENAME_EXCHANGE) == 0


def check_output_file(option: str, path: Path, endings: tuple[str, ...]) -> None:
    """Refuse a file that could not be written, before the work.

    Args:
        option: how the file was named, for the message.
        path: of the file.
        endings: it may have, in small letters.

    Raises:
        InputError: another ending, no such folder, a folder in the file's place, or no right to write.
    """
    if not path.name.lower().endswith(endings):
        raise InputError(f"{option} {path} must end in {' or '.join(endings)}.")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise InputError(f"{option} {path}: there is no folder {path.parent}; make it first.")
    if path.is_dir():
        raise InputError(f"{option} {path} is a folder; give the name of a file.")
    if not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise InputError(f"{option} {path} cannot be written; choose another place.")


def _beside(path: Path) -> Path:
    """Return the place of a file while it is being written."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _sync(file: IO[bytes]) -> None:
    """Have all that was written on the disk."""
    file.flush()
    os.fsync(file.fileno())
