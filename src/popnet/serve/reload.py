"""The model that is served; where it is replaced, the new one is taken while the old one still answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from popnet.errors import PopnetError
from popnet.model.folder import MODEL, WEIGHTS
from popnet.serve.served import Served

CHECK_SECONDS = 1.0
"""Between two looks at the folder: two calls of ``stat``, or at the file: one."""

Signature = tuple[tuple[int, int, int] | None, ...]
"""Moment of the last change, number and size of each file; None for one that is not there."""


def signature(path: Path) -> Signature:
    """Return what tells a model, in its folder or file, from the one that replaces it."""

    def one(file: Path) -> tuple[int, int, int] | None:
        try:
            found = file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    return (one(path),) if is_exported(path) else tuple(one(path / n) for n in (MODEL, WEIGHTS))


def is_exported(path: Path) -> bool:
    """Whether a path is that of an ONNX file, and not of a model folder."""
    return path.suffix.lower() == ".onnx" and not path.is_dir()


def load(path: Path) -> Served:
    """Return a model that is ready.

    Raises:
        InputError: it cannot be read.
    """
    # Either brings libraries that the other does without.
    if is_exported(path):
        from popnet.serve.onnx_model import OnnxModel as Kind
    else:
        from popnet.serve.folder_model import FolderModel as Kind
    model = Kind.load(path)
    model.warm()
    return model


class ServedModel:
    """The current model of a folder, or of an ONNX file.

    Args:
        path: of the model.
        on_load: is told whether a model that replaced the first could be loaded.
        seconds: between two looks; None: `look` is called by hand.

    Attributes:
        exported: whether it is an ONNX file.

    Raises:
        InputError: there is no model that can be read.
    """

    def __init__(
        self,
        path: Path,
        on_load: Callable[[bool], None] = lambda good: None,
        seconds: float | None = CHECK_SECONDS,
    ) -> None:
        self._path, self._on_load = path, on_load
        self.exported = is_exported(path)
        self._place = "the file" if self.exported else "the folder"
        self._seen = signature(path)
        self.model = load(path)
        self.loads = 1
        self.problem: str | None = None
        self._end = threading.Event()
        if seconds is not None:
            threading.Thread(
                target=self._watch, args=(seconds,), name="popnet watches", daemon=True
            ).start()

    def close(self) -> None:
        """Look no more."""
        self._end.set()

    def look(self) -> None:
        """Take a new model if there is one; one that cannot be read is said in `problem`, and the old one stays."""
        found = signature(self._path)
        if found == self._seen:
            return
        if None in found:  # also for a moment while a folder is replaced
            self.problem = f"{self._place} has no model any more; the one that was loaded goes on"
            return
        try:
            model = load(self._path)
        except (PopnetError, OSError, ValueError, MemoryError) as error:
            said = str(error).replace(str(self._path), self._place)
            self.problem = f"the new model cannot be used ({said}); the one before goes on"
            self._on_load(False)
        else:
            self.model, self.problem = model, None
            self.loads += 1
            self._on_load(True)
        self._seen = (
            found  # as it was before it was read: what has changed since is seen the next time
        )

    def _watch(self, seconds: float) -> None:
        while not self._end.wait(seconds):
            self.look()
