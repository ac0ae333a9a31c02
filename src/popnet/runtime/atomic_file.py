"""Files that are there whole or not at all, and whether one can be written before the work that fills it."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from popnet.errors import InputError


@contextmanager
def atomic_path(path: Path) -> Generator[Path]:
    """Yield a path beside the file's own; what is written there takes the file's place when the block ends well.

    Raises:
        InputError: it cannot be written; nothing half-written is left, and an earlier file stays.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            yield part
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
        InputError: see `atomic_path`.
    """
    with atomic_path(Path(path)) as part, part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


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
