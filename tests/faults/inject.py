"""Faults of writing, made where Python asks the operating system: each change of a file below a folder is counted, and
one of them fails."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from popnet.model import folder as folders
from popnet.runtime import atomic_file

Fault = Callable[[], BaseException]

FULL: Fault = lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: E731
DENIED: Fault = lambda: PermissionError(errno.EACCES, os.strerror(errno.EACCES))  # noqa: E731
INTERRUPT: Fault = KeyboardInterrupt
MEMORY: Fault = MemoryError


class _File:
    """A file that is open for writing, whose writes and flushes are counted."""

    def __init__(self, file: Any, count: Callable[[str], None]) -> None:
        self._file, self._count = file, count

    def write(self, data: Any) -> int:
        self._count("write")
        return self._file.write(data)

    def flush(self) -> None:
        if not self._file.closed:
            self._count("flush")
        self._file.flush()

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def faults(
    folder: Path,
    place: int | None = None,
    fault: Fault | None = None,
    *,
    removals: bool = False,
) -> Iterator[list[str]]:
    """Count what changes files below a folder: opening for writing, writes, flushes, moves, new folders.

    Args:
        folder: only paths below it count.
        place: number of the change that fails before it is done, from 0; None: none does.
        fault: makes what it fails with; or ends the process.
        removals: also count the beginning of a removal (where permissions are changed).

    Yields:
        The names of the changes so far.
    """
    done: list[str] = []
    originals = {
        (builtins, "open"): builtins.open, (io, "open"): io.open, (os, "fsync"): os.fsync,
        (os, "replace"): os.replace, (os, "rename"): os.rename, (os, "mkdir"): os.mkdir,
        (atomic_file, "exchange"): atomic_file.exchange, (folders, "exchange"): folders.exchange,
    }  # fmt: skip
    if removals:
        originals[os, "chmod"] = os.chmod
    root = str(folder.resolve())

    def count(name: str) -> None:
        done.append(name)
        if len(done) - 1 == place:
            assert fault is not None
            raise fault()

    def below(path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and str(Path(path).absolute()).startswith(root)

    def opened(path: Any, mode: str = "r", *more: Any, **options: Any) -> Any:
        real = originals[io, "open"]
        if not below(path) or not set(mode) & set("wax+"):
            return real(path, mode, *more, **options)
        count("open")
        return _File(real(path, mode, *more, **options), count)

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:

        def call(path: Any, *more: Any, **options: Any) -> Any:
            if name == "fsync" or below(path):
                count(name)
            return real(path, *more, **options)

        return call

    for (module, name), real in originals.items():
        setattr(module, name, opened if name == "open" else counted(name, real))
    try:
        yield done
    finally:
        for (module, name), real in originals.items():
            setattr(module, name, real)


def content(folder: Path) -> dict[str, bytes | None]:
    """Return all files below a folder with what they hold; None for folders."""
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
        for p in sorted(folder.rglob("*"))
    }
