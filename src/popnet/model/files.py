"""The files of a model folder as they are read: what a stranger may have put there is refused before it is opened."""

from __future__ import annotations

from pathlib import Path

from popnet.errors import ModelError
from popnet.runtime import memory
from popnet.runtime.sizes import words

COPIES = 4
"""Times its size that a file takes while it is read: its bytes, what they say, and the model."""


def read(folder: Path, name: str) -> bytes:
    """Return the bytes of one of a folder's files.

    Raises:
        ModelError: it is not there or cannot be read, is a link that leads out of the folder, no file (a pipe, a
            device), or larger than the memory that is free.
    """
    path = folder / name
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve()):
            raise ModelError(
                f"{path} is a link that leads out of the folder, to {path.resolve()}; copy the file into it."
            )
        if not path.is_file():
            raise ModelError(f"{path} is no file; copy the folder again.")
        size = path.stat().st_size
        if COPIES * size > memory.free():
            raise ModelError(
                f"{path} has {words(size)}, more than fits into the {words(memory.free())} of memory that are free."
            )
        return path.read_bytes()
    except (
        OSError,
        RuntimeError,
    ) as error:  # a RuntimeError: links in a circle, before Python 3.13
        reason = getattr(error, "strerror", None) or "its links lead in a circle"
        raise ModelError(f"{path} cannot be read: {reason}.") from None
