"""The model that is served; where its folder is replaced, the new one is taken while the old one still answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from popnet.data.dataset import Features, Images
from popnet.errors import PopnetError
from popnet.model.folder import MODEL, WEIGHTS
from popnet.model.model import Model

CHECK_SECONDS = 1.0
"""Between two looks at the folder: two calls of ``stat``."""

Signature = tuple[tuple[int, int, int] | None, ...]
"""Moment of the last change, number and size of each file; None for one that is not there."""


def signature(folder: Path) -> Signature:
    """Return what tells a folder's model from the one that replaces it."""

    def one(name: str) -> tuple[int, int, int] | None:
        try:
            found = (folder / name).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    return tuple(map(one, (MODEL, WEIGHTS)))


def warm(model: Model) -> None:
    """Predict one row, so that all programs are compiled; batches are padded, so that no other is needed."""
    model.predict_features(empty_row(model))


def empty_row(model: Model) -> Features | Images:
    """Return one encoded row with nothing in it."""
    encoder = model.encoder
    if encoder.image is not None:
        return encoder.image.images(np.zeros((1, *encoder.image.size), np.uint8))
    numeric, flags, codes, *_ = encoder.names
    return Features(
        np.zeros((1, len(numeric)), np.float32),
        np.zeros((1, len(flags)), np.uint8),
        np.zeros((1, len(codes)), np.int32),
        encoder.levels,
        encoder.knots,
    )


class ServedModel:
    """The current model of a folder.

    Args:
        folder: of the model.
        on_load: is told whether a model that replaced the first could be loaded.
        seconds: between looks at the folder; None: `look` is called by hand.

    Raises:
        ModelError: the folder holds no model that can be read.
    """

    def __init__(
        self,
        folder: Path,
        on_load: Callable[[bool], None] = lambda good: None,
        seconds: float | None = CHECK_SECONDS,
    ) -> None:
        self._folder, self._on_load = folder, on_load
        self._seen = signature(folder)
        self.model = Model.load(folder)
        warm(self.model)
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
        found = signature(self._folder)
        if found == self._seen:
            return
        if None in found:  # also for a moment while a folder is replaced
            self.problem = "the folder has no model any more; the one that was loaded goes on"
            return
        try:
            model = Model.load(self._folder)
            warm(model)
        except (PopnetError, OSError, ValueError, MemoryError) as error:
            said = str(error).replace(str(self._folder), "the folder")
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
