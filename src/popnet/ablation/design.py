"""The design of a study: which rows each pair of twins trains on, stops by, and is compared on.

A pair is a fold of a repeated cross-validation. Of its training rows a fifth decides when training stops, so the rows
that twins are compared on are untouched by both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from popnet.data import splits
from popnet.data.splits import SplitKeys
from popnet.runtime import keys

FOLDS = 5
"""Of a cross-validation; it is repeated with other folds if there are more pairs. Half of a pair's variance and more
comes from which rows happen to be its test rows, so that few large folds show more than many small ones."""

MIN_TEST = 10
"""Rows that a pair is compared on; small tables get fewer folds."""


@dataclass(frozen=True)
class Pair:
    """Rows of a pair of twins.

    Attributes:
        train: rows trained on, ascending but for `subset`.
        valid: rows that early stopping watches.
        test: rows that twins are compared on.
        seed: of initial weights, batches and masks.
    """

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    seed: int

    def subset(self, share: float) -> np.ndarray:
        """Return a share of the training rows, the same rows and more for a larger share."""
        if share >= 1:
            return self.train
        order = keys.generator(self.seed, "subset").permutation(self.train)
        return np.sort(order[: max(2, round(share * len(self.train)))])


def design(rows: np.ndarray, pairs: int, seed: int, split_keys: SplitKeys) -> list[Pair]:
    """Return the rows of so many pairs.

    Args:
        rows: that may be used.
        pairs: how many; repeats of the cross-validation follow from it.
        seed: of all splits and of the twins.
        split_keys: ``stratify``, ``groups`` and ``time`` of all rows, as `popnet.data.splits.folds` takes them.
    """
    found: list[Pair] = []
    most = split_keys.max_folds(rows)
    k = int(np.clip(len(rows) // MIN_TEST, 2, min(FOLDS, max(most, 2))))
    repeat = 0
    while len(found) < pairs:
        repeat_seed = int(keys.key(seed, "repeat", repeat))
        for i, fold in enumerate(split_keys.folds(rows, k, repeat_seed)):
            inner, own = (int(keys.key(repeat_seed, name, i)) for name in ("inner", "twin"))
            found.append(nested(fold, inner, own, split_keys))
        repeat += 1
    return found[:pairs]


def nested(fold: splits.Fold, inner_seed: int, seed: int, split_keys: SplitKeys) -> Pair:
    """Return a fold whose held-out rows early stopping does not watch: a fifth of the training rows is for that.

    Args:
        fold: of a cross-validation.
        inner_seed: of the split of its training rows.
        seed: of its nets.
        split_keys: see `design`.
    """
    inner = split_keys.folds(fold.train, 1, inner_seed)[0]
    return Pair(inner.train, inner.valid, fold.valid, seed)
