"""Records in a temporary file, for what is larger than memory: written one after another, read in any order."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import weakref
from itertools import pairwise

import numpy as np

from popnet.errors import InputError
from popnet.types import Array


class RowFile:
    """A structured array that grows by rows on disk.

    It is read with plain reads and not through a memory map: systems map stretches of megabytes for a row, and count
    them as memory of this process. The file has no name (on Windows it is deleted when it is closed): nothing is left
    behind, however the process ends. It lies where `tempfile` puts it; ``TMPDIR`` chooses another place.

    Args:
        dtype: of a row.

    Raises:
        InputError: there is no place for it.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it lives as long as this object
        except OSError as error:
            raise InputError(
                f"There is no folder to keep encoded rows in while they are trained on ({error.strerror}); set TMPDIR "
                "to one that can be written, or give a greater --memory-limit."
            ) from None
        weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()
        self._rows = 0
        self._digest = hashlib.sha256()

    def __len__(self) -> int:
        return self._rows

    def append(self, rows: np.ndarray) -> None:
        """Write rows ``(n,)`` at the end.

        Raises:
            InputError: the disk is full.
        """
        left = np.ascontiguousarray(rows, self.dtype).view(np.uint8).data
        self._digest.update(left)
        try:
            while left.nbytes:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise InputError(
                f"The encoded rows do not fit into the folder for temporary files, {tempfile.gettempdir()} "
                f"({error.strerror}); make room there, set TMPDIR to another folder, or give a greater --memory-limit."
            ) from None
        self._rows += len(rows)

    def digest(self) -> bytes:
        """Return a digest of all that was written."""
        return self._digest.digest()

    def read(self, rows: Array) -> np.ndarray:
        """Return rows by their numbers, ``(n,)``; each stretch of consecutive numbers is read at once."""
        wanted, place = np.unique(np.asarray(rows), return_inverse=True)
        if not len(wanted):
            return np.empty(0, self.dtype)
        found = np.empty(len(wanted), self.dtype)
        size = self.dtype.itemsize
        data = found.view(np.uint8).reshape(-1).data
        breaks = np.flatnonzero(np.diff(wanted) != 1) + 1
        for start, stop in pairwise([0, *breaks, len(wanted)]):
            self._read_into(data[start * size : stop * size], int(wanted[start]) * size)
        return found[place.reshape(-1)]

    def _read_into(self, out: memoryview, offset: int) -> None:
        while out.nbytes:
            if hasattr(os, "preadv"):
                count = os.preadv(self._file.fileno(), [out], offset)
            else:
                with self._lock:
                    self._file.seek(offset)
                    count = self._file.readinto(out)
            if not count:
                raise OSError("a temporary file of encoded rows is shorter than it was")
            out, offset = out[count:], offset + count
