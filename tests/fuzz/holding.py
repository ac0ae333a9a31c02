"""What every target holds to, whatever it is given: an error of the project or none, and little memory."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from popnet.errors import PopnetError

MAX_MESSAGE = 4000
"""Characters of an error's sentence: a stranger's text must not fill a terminal or a log."""

MAX_GROWTH = 600 << 20
"""Bytes by which one input may raise the peak of memory; inputs are of some KB."""


class Excess(Exception):  # noqa: N818 - a finding
    """An input took too much memory."""


@contextmanager
def holding() -> Iterator[None]:
    """Let errors of the project pass if they are sentences; everything else comes out, as a finding."""
    before = _peak()
    try:
        yield
    except PopnetError as error:
        said = str(error)
        assert said.strip(), "an error without a sentence"
        assert len(said) <= MAX_MESSAGE, f"a sentence of {len(said)} characters: {said[:200]}"
    if (grown := _peak() - before) > MAX_GROWTH:
        raise Excess(f"{grown / 1e6:,.0f} MB")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@cache
def folder() -> Path:
    """Return this process' folder for files, in memory where that is possible."""
    memory = Path("/dev/shm")
    kept = tempfile.TemporaryDirectory(
        prefix="popnet-fuzz", dir=memory if memory.is_dir() else None
    )
    _KEPT.append(kept)
    return Path(kept.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []
"""Folders that are removed when the process ends."""


class Bytes:
    """Numbers and pieces taken from the front of an input; zeros where it has ended."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        """Return the next bytes, fewer at the end."""
        found = self._data[self._at : self._at + count]
        self._at += count
        return found

    def number(self, below: int, width: int = 2) -> int:
        """Return a whole number from 0 to ``below - 1``."""
        return int.from_bytes(self.take(width), "little") % below

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(len(self._data))
