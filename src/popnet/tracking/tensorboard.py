"""Fits as TensorBoard's event files, by tensorboardX, which needs protobuf and NumPy alone."""

from __future__ import annotations

import datetime
import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from popnet.errors import InputError
from popnet.tracking.record import FitLog
from popnet.tracking.tracker import need


@dataclass(frozen=True)
class TensorBoard:
    """Event files in a folder, a subfolder for each run.

    Attributes:
        folder: that ``tensorboard --logdir`` is given.
    """

    folder: Path

    def check(self) -> None:
        """See `popnet.tracking.tracker.Tracker.check`."""
        need(f"tensorboard:{self.folder}", "tensorboardX")
        there = self.folder.resolve()
        while not there.exists():
            there = there.parent
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise InputError(f"--track tensorboard:{self.folder}: {there} cannot be written.")

    def log(self, record: FitLog) -> str:
        """See `popnet.tracking.tracker.Tracker.log`. Scores stand at step 0, curves by epoch."""
        library: Any = importlib.import_module("tensorboardX")
        summaries: Any = importlib.import_module("tensorboardX.summary")
        folder = self._new(record.name)
        with library.SummaryWriter(str(folder)) as writer:
            for name, value in record.scores.items():
                writer.add_scalar(_tag(f"score/{name}"), value, 0)
            for curve in record.curves:
                for epoch, value in enumerate(curve.values, 1):
                    if value is not None:
                        writer.add_scalar(_tag(curve.name), value, epoch)
            rows = [f"| {name} | `{value}` |" for name, value in record.options.items()]
            writer.add_text("options", "\n".join(("| option | value |", "|---|---|", *rows)), 0)
            scores = {_tag(f"score/{name}"): value for name, value in record.scores.items()}
            for summary in summaries.hparams(dict(record.options), scores):
                writer.file_writer.add_summary(summary)
        return str(folder)

    def _new(self, name: str) -> Path:
        """Make a folder that is not there yet."""
        stem = f"{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
        for k in range(1, 1000):
            folder = self.folder / (stem if k == 1 else f"{stem}-{k}")
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                continue
            return folder
        raise OSError(f"{self.folder} holds a thousand runs of this second")


def _tag(name: str) -> str:
    """Return a name as TensorBoard takes it, without blanks."""
    return name.replace(" ", "_")
