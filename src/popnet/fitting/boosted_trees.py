"""Boosted trees of a fit: a baseline, and candidates of its ensemble, fitted by a process beside the nets."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from popnet.data.dataset import Dataset, Features
from popnet.options import Options
from popnet.prepare.prepared import Prepared
from popnet.runtime import keys
from popnet.runtime.clock import Clock
from popnet.runtime.memory import Memory
from popnet.trees import inputs, worker
from popnet.trees.forest import Forest
from popnet.trees.sequence import Part, TreesJob

SHARE, SHORT_SHARE, SHORT_SECONDS = 0.15, 0.6, 6.0
"""Of a time limit that trees may take, on one core; of a short one more, up to so many seconds: nets have to be
compiled first, and trees are what there is until then."""

LATE_SECONDS = 1.0
"""The process may be so late before it is ended."""

MAX_ROWS = 200_000
"""Training rows of a fold that trees are fitted on, at most: a sample of more."""

COPIES, PROCESS_BYTES = 30, 150e6
"""Bytes of memory that a value of the training rows takes (of 8 bytes, once as it is, once on its way there, its bin,
and 4 bytes on both sides), and a process that has read nothing yet."""

MAX_TARGETS = 10
"""Targets of a regression up to which there are trees: each has trees of its own."""

POLL_SECONDS = 0.05


def wanted(table: Prepared, options: Options) -> bool:
    """Return whether a fit has trees: of a table, where no recipe keeps it to nets."""
    if options.trees == "none" or not isinstance(table.data.features, Features):
        return False
    if table.data.task == "regression" and table.data.n_outputs > MAX_TARGETS:
        return False
    chosen = options.trees != "auto"
    return (chosen or options.recipe is None) and inputs.count(table.data.features) > 0


class BoostedTrees:
    """Trees in the making.

    Args:
        table: the data and its folds.
        options: the user's.
        clock: the time limit.
        memory: the memory limit.
        stop: when set, the process is ended.

    Attributes:
        problem: why there are none; None if nothing went wrong.
    """

    def __init__(
        self, table: Prepared, options: Options, clock: Clock, memory: Memory, stop: threading.Event
    ) -> None:
        self._table, self._options, self._stop = table, options, stop
        self._thread: threading.Thread | None = None
        self._found: list[tuple[int, int, Forest]] = []
        self.problem: str | None = None
        limit = options.time_limit
        self._deadline = np.inf
        if limit is not None:
            seconds = max(SHARE * limit, min(SHORT_SECONDS, SHORT_SHARE * limit))
            self._deadline = time.monotonic() + min(seconds, 0.9 * clock.left())
        if not wanted(table, options):
            return
        values = min(len(table.train), MAX_ROWS) * inputs.count(_features(table.data))
        if not memory.room_for(COPIES * values + PROCESS_BYTES):
            self.problem = "there is no memory for boosted trees"
            return
        self._thread = threading.Thread(target=self._run, name="trees", daemon=True)

    def start(self) -> None:
        """Begin."""
        if self._thread is not None:
            self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether trees are still being fitted."""
        return self._thread is not None and self._thread.is_alive()

    def join(self) -> list[tuple[int, int, Forest]]:
        """Wait for the end; return the number of the setting, the fold and the trees of each fit."""
        if self._thread is not None and self.busy:
            self._thread.join()
        return self._found

    def _run(self) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="popnet-trees-") as home:
                folder = Path(home)
                worker.write(folder, self._job())
                self._wait(folder)
                self._found = worker.read(folder)
        except Exception as error:  # nets go on without them
            self.problem = (
                f"boosted trees could not be fitted: {str(error) or type(error).__name__}"
            )

    def _job(self) -> TreesJob:
        """Return the folds' rows, at most `MAX_ROWS` to train on each, in the order of the table."""
        table, seed = self._table, self._options.seed

        def sample(k: int, rows: np.ndarray) -> np.ndarray:
            if len(rows) <= MAX_ROWS:
                return rows
            some = keys.generator(seed, "rows of trees", k).choice(rows, MAX_ROWS, replace=False)
            return np.sort(some)

        folds = [(sample(k, f.train), f.valid) for k, f in enumerate(table.folds)]
        rows = np.unique(np.concatenate([part for fold in folds for part in fold]))
        data = table.data
        weights = None if data.weights is None else np.asarray(data.weights)[rows]
        part = replace(
            data, features=_features(data).take(rows), target=data.target[rows], weights=weights
        )
        parts = [Part(np.searchsorted(rows, t), np.searchsorted(rows, v)) for t, v in folds]
        library = "hist" if self._options.trees == "auto" else self._options.trees
        return TreesJob(part, parts, int(keys.key(seed, "trees")) % 2**31, library, self._deadline)

    def _wait(self, folder: Path) -> None:
        """Run the process until it ends, the time is over or the fit is stopped.

        Raises:
            RuntimeError: it failed.
        """
        # It imports what this process does, and nothing that happens to lie in the current folder (-P).
        path = os.pathsep.join(str(Path(p).resolve()) for p in sys.path if p)
        environment = {
            **os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
        }  # fmt: skip
        with (folder / "errors").open("w+b") as errors:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "popnet.trees.worker", str(folder)], stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL, stderr=errors, env=environment, start_new_session=True,
            )  # fmt: skip
            ended = False
            try:
                while process.poll() is None and not ended:
                    late = time.monotonic() > self._deadline + LATE_SECONDS
                    ended = self._stop.wait(POLL_SECONDS) or late
            finally:
                process.kill()
                process.communicate()
            if process.returncode and not ended:
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip().splitlines()
                raise RuntimeError(said[-1] if said else f"status {process.returncode}")


def _features(data: Dataset) -> Features:
    assert isinstance(data.features, Features)
    return data.features
