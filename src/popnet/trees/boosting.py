"""Boosted trees (Friedman 2001) of encoded rows: what a library grows becomes a forest of the table's columns."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from popnet.data.dataset import Dataset, Features
from popnet.trees import grown, histogram, inputs, lightgbm_trees
from popnet.trees.forest import MAX_LEVELS, Forest
from popnet.trees.grown import Job, Library, Rows, Setting, Tree
from popnet.types import Array

LIBRARIES: dict[str, Library] = {"hist": histogram.boost, "lightgbm": lightgbm_trees.boost}
"""By the names that users choose them by."""

_MODULES = {"hist": "sklearn.ensemble", "lightgbm": "lightgbm"}

NO_CLASS = -20.0
"""Logit of a class that has no training row."""


def _go_on() -> bool:
    """Return that boosting is not stopped."""
    return False


def import_library(name: str) -> None:
    """Import what boosts, which takes a second or two."""
    importlib.import_module(_MODULES[name])


@dataclass(frozen=True)
class Boosting:
    """What boosting trains on, and how long it may take.

    Attributes:
        data: a table.
        setting: the hyper-parameters.
        seed: of the choice of columns.
        deadline: moment of ``time.monotonic()`` after which no rounds are begun; infinite for none.
        stopped: says whether to begin no more rounds; what there is by then is kept.
        library: of `LIBRARIES`.
    """

    data: Dataset
    setting: Setting
    seed: int
    deadline: float = np.inf
    stopped: Callable[[], bool] = _go_on
    library: str = "hist"

    def fit(self, train: Array, valid: Array) -> Forest | None:
        """Return trees fitted on some rows, as many as have the lowest loss on others; on one core.

        Args:
            train: row numbers.
            valid: row numbers that rounds are counted by.

        Returns:
            None if the training rows have one class only.

        Raises:
            StoppedError: the deadline is over, or boosting was stopped, before there is a tree.
        """
        data, features = self.data, self.data.features
        assert isinstance(features, Features)
        known = known_levels(features, train)
        X, V = (_known_only(features, rows, known) for rows in (train, valid))
        every = None if data.weights is None else np.asarray(data.weights, np.float64)
        w, v = (None if every is None else every[rows] for rows in (train, valid))
        job = Job(
            Rows(X, np.zeros(0), w), Rows(V, np.zeros(0), v), 0, len(features.levels), self.setting, self.seed,
            self.deadline, self.stopped,
        )  # fmt: skip
        regression = data.task == "regression"
        found = (self._numbers if regression else self._classes)(job, train, valid)
        if found is None:
            return None
        base, trees = found
        return grown.forest(base, trees, known, np.array(features.levels, np.int32))

    def _numbers(self, job: Job, train: Array, valid: Array) -> tuple[Array, list[Tree]]:
        """Return the base and the trees of a regression: each target has a model of its own."""
        target = np.asarray(self.data.target, np.float64)
        base, trees = np.zeros(self.data.n_outputs), list[Tree]()
        for o in range(self.data.n_outputs):
            now = time.monotonic()
            deadline = now + (self.deadline - now) / (self.data.n_outputs - o)
            part = replace(
                job, deadline=deadline, train=replace(job.train, y=target[train, o]),
                valid=replace(job.valid, y=target[valid, o]),
            )  # fmt: skip
            model = LIBRARIES[self.library](part)
            base[o] = model.base[0]
            trees += [replace(t, output=o) for t in model.trees]
        return base, trees

    def _classes(self, job: Job, train: Array, valid: Array) -> tuple[Array, list[Tree]] | None:
        """Return the base and the trees of a classification; of two classes the second has all trees."""
        y = np.asarray(self.data.target)
        w = job.train.weights
        there = np.unique(y[train] if w is None else y[train][w > 0])
        if len(there) < 2:
            return None

        def of_classes(rows: Rows, labels: Array) -> Rows:
            seen = np.isin(labels, there)
            weights = None if rows.weights is None else rows.weights[seen]
            return Rows(rows.X[seen], np.searchsorted(there, labels[seen]), weights)

        model = LIBRARIES[self.library](
            replace(
                job, classes=len(there), train=of_classes(job.train, y[train]),
                valid=of_classes(job.valid, y[valid]),
            )
        )  # fmt: skip
        outputs = there[1:] if len(there) == 2 else there
        base = np.full(self.data.n_outputs, NO_CLASS)
        base[there] = 0.0
        base[outputs] = model.base
        return base, [replace(t, output=int(outputs[t.output])) for t in model.trees]


def known_levels(features: Features, rows: Array) -> np.ndarray:
    """Return the number of each code's level for trees, ``(codes of all columns,)`` int32.

    The `MAX_LEVELS` - 1 most frequent levels of a column are numbered, in the order of their codes; -1 for the others.
    """
    codes, found = features.take(rows).codes, [np.zeros(0, np.int32)]
    for c, levels in enumerate(features.levels):
        counts = np.bincount(codes[:, c], minlength=levels)
        kept = np.argsort(-counts, kind="stable")[: MAX_LEVELS - 1]
        kept = np.sort(kept[counts[kept] > 0])
        number = np.full(levels, -1, np.int32)
        number[kept] = np.arange(len(kept))
        found.append(number)
    return np.concatenate(found)


def _known_only(features: Features, rows: Array, known: np.ndarray) -> np.ndarray:
    """Return the inputs of some rows for a library, ``(N, D)`` float64: levels by number, NaN for others."""
    X = inputs.matrix(features, rows).astype(np.float64)
    begins = np.concatenate([[0], np.cumsum(features.levels)]).astype(int)
    for c in range(len(features.levels)):
        number = known[begins[c] : begins[c + 1]][X[:, c].astype(int)]
        X[:, c] = np.where(number < 0, np.nan, number)
    return X
