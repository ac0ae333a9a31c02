"""How much memory a run may take, and how much it has taken: measured, not estimated."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from popnet.errors import InputError
from popnet.runtime.sizes import words

SHARE = 0.8
"""Share of the memory free at the start that a run may take by default."""

COMPILING = 400e6
"""Bytes that compiling a program takes while it lasts (measured with jax 0.10: 250 to 350 MB)."""

CGROUP = Path("/sys/fs/cgroup")


def used() -> float:
    """Return the bytes of memory that this process takes now."""
    return float(psutil.Process().memory_info().rss)


def free() -> float:
    """Return the bytes of memory that this process could still take: of the machine, or of its container."""
    return min(float(psutil.virtual_memory().available), _container())


def _container() -> float:
    """Return what the limit of the container leaves (Linux control groups, version 2); infinite without one."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        if limit == "max":
            return float("inf")
        return max(0.0, float(limit) - float((CGROUP / "memory.current").read_text()))
    except (OSError, ValueError):
        return float("inf")


def check_fits(count: float, what: str, copies: float = 2.0) -> None:
    """Raise `InputError` if bytes that a file says or turns out to hold do not fit into the memory that is free.

    Args:
        count: bytes when it is unpacked.
        what: the file, for the message.
        copies: times that it is held while it is read.
    """
    if copies * count > free():
        raise InputError(
            f"{what} holds {words(count)} when it is unpacked, more than fits into the {words(free())} of memory that "
            "are free; give a smaller one."
        )


def give_back() -> None:
    """Hand memory that was freed back to the system, where the C library keeps it otherwise (glibc)."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL("libc.so.6")
        library.malloc_trim  # noqa: B018 - musl has none
    except (OSError, AttributeError):
        return None
    return library


class Memory:
    """A run's memory limit.

    Args:
        limit: bytes of this process, all included; None for what it takes now and `SHARE` of what is free.

    Attributes:
        limit: the same.
    """

    def __init__(self, limit: float | None = None) -> None:
        self.limit = used() + SHARE * free() if limit is None else float(limit)
        self._compiling = 0
        self._change = threading.Condition()

    def left(self) -> float:
        """Return the bytes that may still be taken; below 0 if too many have been."""
        return self.limit - used()

    def room_for(self, count: float) -> bool:
        """Say whether so many bytes may still be taken, if need be when freed memory has been handed back."""
        if self.left() >= count:
            return True
        give_back()
        return self.left() >= count

    @contextmanager
    def compiling(self) -> Generator[None]:
        """Compile a program within this: as many at the same time as there is room for, one at least."""
        with self._change:
            self._change.wait_for(self._may_compile)
            self._compiling += 1
        try:
            # Before it takes some and after, as a compiler leaves much behind.
            self._give_back_if_short()
            yield
        finally:
            self._give_back_if_short()
            with self._change:
                self._compiling -= 1
                self._change.notify_all()

    def _give_back_if_short(self) -> None:
        if self.left() < 2 * COMPILING:
            give_back()

    def _may_compile(self) -> bool:
        # What those that compile now will take is counted whole, for none knows how far they are.
        return not self._compiling or self.room_for(COMPILING * (1 + self._compiling))
