"""Boosted trees of a fit: a baseline, and candidates of its ensemble. They are fitted on a core beside the nets."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np

from popnet.data.dataset import Features
from popnet.options import Options
from popnet.prepare.prepared import Prepared
from popnet.runtime import keys
from popnet.runtime.clock import Clock
from popnet.runtime.memory import Memory
from popnet.trees import inputs, settings
from popnet.trees.boosting import Boosting, import_library
from popnet.trees.forest import Forest
from popnet.trees.grown import StoppedError

SHARE, SHORT_SHARE, SHORT_SECONDS = 0.15, 0.6, 6.0
"""Of a time limit that trees may take, on one core; of a short one more, up to so many seconds: nets have to be
compiled first, and trees are what there is until then."""

UNLIMITED_SECONDS = 120.0
"""About what trees may take where a fit has no time limit."""

TIMED_ROUNDS, SAFE = 8, 0.8
"""Rounds by which it is found out what one takes, and the share of the time that is planned by that."""

MAX_ROWS = 200_000
"""Training rows of a fold that trees are fitted on, at most: a sample of more."""

COPIES = 24
"""Bytes of memory that a value of the training rows takes: of 8 bytes, once as it is, once on its way there, and its
bin."""

MAX_TARGETS = 10
"""Targets of a regression up to which there are trees: each has trees of its own."""


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
        stop: when set, no more rounds are begun.

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
        values = min(table.fold_rows, MAX_ROWS) * inputs.count(_features(table))
        if not memory.room_for(COPIES * values):
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
        if self._thread is not None and self._thread.is_alive():
            self._thread.join()
        return self._found

    def _run(self) -> None:
        try:
            self._fit()
        except StoppedError:
            pass
        except Exception as error:  # nets go on without them
            self.problem = f"boosted trees could not be fitted: {error}"

    def _fit(self) -> None:
        table, seed = self._table, int(keys.key(self._options.seed, "trees")) % 2**31
        library = "hist" if self._options.trees == "auto" else self._options.trees
        boosting = Boosting(
            table.data, settings.SETTINGS[0], seed, stopped=self._stop.is_set, library=library
        )
        folds = len(table.folds)
        if self._options.time_limit is None:
            each = settings.round_seconds(table.data, min(table.fold_rows, MAX_ROWS))
            plan = settings.plan(UNLIMITED_SECONDS, each, folds)
            for k, setting in enumerate(plan.settings):
                self._boost(replace(boosting, setting=setting), k, plan.folds)
            return
        each = self._timed(boosting)
        plan = settings.plan(SAFE * (self._deadline - time.monotonic()), each, folds)
        rate = plan.settings[0].learning_rate
        for k, setting in enumerate(settings.SETTINGS):
            began = time.monotonic()
            self._boost(
                replace(boosting, setting=replace(setting, learning_rate=rate)), k, plan.folds
            )
            now = time.monotonic()
            if self._deadline - now < now - began:
                return

    def _timed(self, boosting: Boosting) -> float:
        """Return what a round of boosting takes now, while nets are compiled beside it."""
        few = replace(boosting.setting, max_iter=TIMED_ROUNDS)
        part = self._table.folds[0]
        import_library(boosting.library)
        began = time.monotonic()
        replace(boosting, setting=few, deadline=self._deadline).fit(
            self._sample(part.train), part.valid
        )
        return (time.monotonic() - began) / TIMED_ROUNDS

    def _boost(self, boosting: Boosting, setting: int, folds: int) -> None:
        """Boost on some folds, and keep the trees."""
        for fold in range(folds):
            now = time.monotonic()
            deadline = now + (self._deadline - now) / (folds - fold)
            part = self._table.folds[fold]
            forest = replace(boosting, deadline=deadline).fit(self._sample(part.train), part.valid)
            if forest is not None:
                self._found.append((setting, fold, forest))

    def _sample(self, rows: np.ndarray) -> np.ndarray:
        if len(rows) <= MAX_ROWS:
            return rows
        return np.sort(
            keys.generator(self._options.seed, "trees' rows").choice(rows, MAX_ROWS, replace=False)
        )


def _features(table: Prepared) -> Features:
    assert isinstance(table.data.features, Features)
    return table.data.features
