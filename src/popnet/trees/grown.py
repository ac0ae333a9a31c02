"""What a library of boosted trees is asked for, what it gives, and how that becomes a forest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from popnet.trees.forest import Forest
from popnet.types import Array


@dataclass(frozen=True)
class Setting:
    """Hyper-parameters of boosted trees, by scikit-learn's names.

    Attributes:
        learning_rate: share of each tree's step that is taken.
        max_leaf_nodes: leaves of a tree, at most 64.
        min_samples_leaf: rows of a leaf, at least.
        l2_regularization: penalty on the leaves' values.
        max_features: share of the columns that a split is chosen from.
        n_iter_no_change: rounds without a lower loss of the held-out rows after which boosting ends.
        max_iter: most rounds.
    """

    learning_rate: float = 0.06
    max_leaf_nodes: int = 31
    min_samples_leaf: int = 20
    l2_regularization: float = 0.0
    max_features: float = 1.0
    n_iter_no_change: int = 25
    max_iter: int = 1000

    def values(self) -> dict[str, float]:
        """Return them by name."""
        return asdict(self)


class StoppedError(Exception):
    """There is no tree: the time was over before, or boosting was stopped."""


@dataclass(frozen=True)
class Rows:
    """Rows as a library takes them.

    Attributes:
        X: ``(N, D)`` float64: numbers of known levels (NaN for others), then numbers, then flags.
        y: ``(N,)`` class numbers from 0, all of which are there, or numbers.
        weights: ``(N,)``, or None.
    """

    X: Array
    y: Array
    weights: Array | None


@dataclass(frozen=True)
class Job:
    """One model to be boosted, on one core.

    Attributes:
        train: rows to learn from.
        valid: rows that rounds are counted by; there may be none.
        classes: number of classes, 0 of a regression.
        coded: number of columns of levels.
        setting: the hyper-parameters.
        seed: of the choice of columns.
        deadline: moment of ``time.monotonic()`` after which no rounds are begun.
        stopped: says whether to begin no more rounds.
    """

    train: Rows
    valid: Rows
    classes: int
    coded: int
    setting: Setting
    seed: int
    deadline: float
    stopped: Callable[[], bool]


NODE = np.dtype([
    ("is_leaf", np.uint8), ("value", np.float64), ("feature_idx", np.int64), ("num_threshold", np.float64),
    ("missing_go_to_left", np.uint8), ("left", np.uint32), ("right", np.uint32), ("is_categorical", np.uint8),
    ("bitset_idx", np.uint32),
])  # fmt: skip
"""A node of a tree, with scikit-learn's names; children are places among the tree's nodes."""


@dataclass(frozen=True)
class Tree:
    """A tree of one output.

    Attributes:
        output: which of the model's.
        nodes: of `NODE`'s fields, maybe with others; the root first, each node before its left and then its right part.
        sets: ``(q, 8)`` uint32, 256 bits: the known levels that a split of levels sends to the left.
    """

    output: int
    nodes: Array
    sets: Array


@dataclass(frozen=True)
class Grown:
    """A model: ``base`` is what its outputs begin with, one for a regression or two classes, else one a class."""

    base: Array
    trees: Sequence[Tree]


Library = Callable[[Job], Grown]
"""Boosts a job.

Raises:
    StoppedError: there was no time for a tree.
"""


def forest(base: Array, trees: Sequence[Tree], known: Array, levels: Array) -> Forest:
    """Return trees as plain arrays.

    Args:
        base: ``(O,)``, what the outputs begin with.
        trees: their outputs are places in it.
        known, levels: see `Forest`.
    """
    counts = [len(t.nodes) for t in trees]
    nodes = np.concatenate(
        [np.zeros(0, NODE), *(t.nodes[list(NODE.names or ())].astype(NODE) for t in trees)]
    )
    tree = np.repeat(np.arange(len(counts)), counts)
    leaf = nodes["is_leaf"].astype(bool)
    begins = np.concatenate([[0], np.cumsum(counts)]).astype(int)
    ends = [np.concatenate([[0], np.cumsum(some)]) for some in (~leaf, leaf)]
    splits, leaves = (end[begins] for end in ends)
    # A node's number among its tree's splits, or leaves.
    number = np.where(leaf, ends[1][:-1] - leaves[tree], ends[0][:-1] - splits[tree])
    child = np.where(leaf, -1 - number, number)
    inner, own = nodes[~leaf], tree[~leaf]
    left, right = (child[begins[own] + inner[side]] for side in ("left", "right"))
    coded = inner["is_categorical"].astype(bool)
    sets = np.concatenate([np.zeros((0, 8), np.uint32), *(t.sets for t in trees)])
    rows = np.concatenate([[0], np.cumsum([len(t.sets) for t in trees])]).astype(int)[own]
    return Forest(
        base=np.asarray(base, np.float32),
        output=np.array([t.output for t in trees], np.int32),
        splits=splits.astype(np.int32),
        leaves=leaves.astype(np.int32),
        column=inner["feature_idx"].astype(np.int32),
        threshold=_at_most(np.where(coded, 0.0, inner["num_threshold"])),
        left=left.astype(np.int32),
        right=right.astype(np.int32),
        level_set=np.where(coded, rows + inner["bitset_idx"], -1).astype(np.int32),
        unknown_left=inner["missing_go_to_left"].astype(np.uint8),
        sets=np.ascontiguousarray(sets.astype("<u4")).view(np.uint8).reshape(-1, 32),
        known=np.asarray(known, np.int32),
        levels=np.asarray(levels, np.int32),
        value=nodes["value"][leaf].astype(np.float32),
    )  # fmt: skip


def _at_most(threshold: Array) -> Array:
    """Return the largest float32 that are not above: numbers that are compared with them are float32, too."""
    most = np.finfo(np.float32).max
    near = np.clip(threshold, -most, most).astype(np.float32)
    above = near.astype(np.float64) > threshold
    return np.where(above, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)
