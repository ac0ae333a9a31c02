"""A boosted ensemble of small decision trees as plain arrays, and its predictions with NumPy.

A row's leaf is found as in QuickScorer (Lucchese et al. 2015): each split that sends the row to the right rules out the
leaves below its left branch, and of the leaves that are left the first is the row's. What the splits of a tree on one
column rule out depends on the column's value alone, so that is one table for each tree and column that it uses, and a
tree takes a few look-ups for all rows at once.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from popnet.data.dataset import Features
from popnet.runtime.parallel import parallel_for
from popnet.trees import inputs
from popnet.types import Array

MAX_LEAVES = 64
"""Of a tree: its leaves are the bits of one number."""

MAX_LEVELS = 255
"""Levels of a column that splits tell apart, as scikit-learn has it; all others are one."""

FEW_ROWS = 256
"""Rows up to which all trees are looked at together, column by column, and not one after the other: 1,000 trees take
0.1 ms for a row instead of 9 ms, and 6 ms instead of 9 ms for so many rows."""

BLOCK_ROWS = 2048
"""Rows that go through the trees together: what they need stays in the cache."""


@dataclass(frozen=True, eq=False)
class Forest:
    """T trees with S splits and L leaves in all; a row's outputs are ``base`` plus the values of its leaves.

    A split sends a row to the left if its number is at most the threshold, or if its level is in the split's set. The
    children of a split follow it; a negative child ``-1 - k`` is the tree's leaf k.

    Attributes:
        base: ``(O,)`` float32, what the outputs begin with.
        output: ``(T,)`` int32, the output that a tree adds to.
        splits: ``(T + 1,)`` int32, where each tree's splits begin among all.
        leaves: ``(T + 1,)`` int32, the same of leaves.
        column: ``(S,)`` int32 of `popnet.trees.inputs.matrix`.
        threshold: ``(S,)`` float32; 0 for levels.
        left, right: ``(S,)`` int32, children as numbers of the tree's own splits, or leaves.
        level_set: ``(S,)`` int32, row of ``sets``; -1 for numbers.
        unknown_left: ``(S,)`` uint8, whether a level that is not known goes to the left.
        sets: ``(Q, 32)`` uint8, 256 bits: whether a known level goes to the left.
        known: ``(levels of all C columns,)`` int32, number of each code's level in sets; -1 for one that is not known.
        levels: ``(C,)`` int32, number of codes of each coded column.
        value: ``(L,)`` float32.
    """

    base: Array
    output: Array
    splits: Array
    leaves: Array
    column: Array
    threshold: Array
    left: Array
    right: Array
    level_set: Array
    unknown_left: Array
    sets: Array
    known: Array
    levels: Array
    value: Array

    def __post_init__(self) -> None:
        counts = len(self.output), len(self.column), len(self.value)
        if not len(self.splits) or not len(self.leaves):
            raise ValueError("the trees' numbers of splits or leaves are not there")
        ends = int(self.splits[-1]), int(self.leaves[-1])
        if (
            len(self.splits) != counts[0] + 1
            or len(self.leaves) != counts[0] + 1
            or ends != counts[1:]
        ):
            raise ValueError("the trees' numbers of splits or leaves do not fit together")
        sizes = np.diff(self.leaves)
        if counts[0] and (sizes.max() > MAX_LEAVES or np.any(np.diff(self.splits) != sizes - 1)):
            raise ValueError("a tree has too many leaves, or other splits than leaves")

    @property
    def n_outputs(self) -> int:
        """O."""
        return len(self.base)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name, as a model folder keeps them."""
        return {f.name: np.ascontiguousarray(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """Return what `arrays` gave.

        Raises:
            KeyError: an array is missing.
            ValueError: they are no forest: sizes or types do not fit, or a number is not finite or out of its range.
        """
        found: dict[str, Any] = {}
        for f in fields(cls):
            array = np.asarray(arrays[f.name])
            if array.dtype != _TYPES[f.name] or array.ndim != (2 if f.name == "sets" else 1):
                raise ValueError(f"{f.name} of trees: {array.dtype} {array.shape}")
            if array.dtype == np.float32 and not np.isfinite(array).all():
                raise ValueError(f"{f.name} of trees: a number is not finite")
            found[f.name] = array
        forest = cls(**found)
        forest.check()
        return forest

    def check(self) -> None:
        """Raise ValueError if these are no trees: prediction would then read what is not there, or go in circles."""
        if not len(self.base) or self.sets.shape[1] != 32:
            raise ValueError("trees have no outputs, or sets of another size")
        if any(len(getattr(self, name)) != len(self.column) for name in _OF_SPLITS):
            raise ValueError("the trees' numbers of splits do not fit together")
        if self.splits[0] != 0 or self.leaves[0] != 0 or np.any(np.diff(self.leaves) < 1):
            raise ValueError("a tree has no leaves")
        self._check_children()
        if np.any((self.output < 0) | (self.output >= len(self.base))) or np.any(self.column < 0):
            raise ValueError("a tree's output or a split's column does not exist")
        of_levels = self.column < len(self.levels)
        if np.any(of_levels != (self.level_set >= 0)) or np.any(self.level_set >= len(self.sets)):
            raise ValueError("a split's set of levels does not exist, or is of a column of numbers")
        known = np.any((self.known < -1) | (self.known > MAX_LEVELS))
        if (
            known
            or np.any(self.levels < 0)
            or int(self.levels.sum(dtype=np.int64)) != len(self.known)
        ):
            raise ValueError("the known levels do not fit the columns")

    def _check_children(self) -> None:
        """Raise ValueError if a split or a leaf has not one parent before it; the first of a tree has none."""
        counts = np.diff(self.splits)
        first_split, first_leaf = (np.repeat(a[:-1], counts) for a in (self.splits, self.leaves))
        own, last = np.arange(len(self.column)) - first_split, np.repeat(counts, counts)
        parents_of_splits = np.zeros(len(self.column), np.int64)
        parents_of_leaves = np.zeros(len(self.value), np.int64)
        for child in (self.left.astype(np.int64), self.right.astype(np.int64)):
            inner = child >= 0
            if np.any(inner & ((child <= own) | (child >= last))) or np.any(-1 - child > last):
                raise ValueError("a child of a split is none of its tree")
            np.add.at(parents_of_splits, (first_split + child)[inner], 1)
            np.add.at(parents_of_leaves, (first_leaf - 1 - child)[~inner], 1)
        roots = self.splits[:-1][counts > 0]
        alone = self.leaves[:-1][counts == 0]
        parents_of_splits[roots] += 1
        parents_of_leaves[alone] += 1
        if np.any(parents_of_splits != 1) or np.any(parents_of_leaves != 1):
            raise ValueError("a split or a leaf has no parent, or two")

    def predict(self, features: Features, rows: Array | None = None) -> np.ndarray:
        """Return outputs (logits, or scaled targets), ``(N, O)`` float32.

        Args:
            features: inputs.
            rows: row numbers to predict; default all.
        """
        rows = np.arange(len(features)) if rows is None else np.asarray(rows)
        out = np.empty((len(rows), self.n_outputs), np.float32)
        scorer = self._scorer

        def block(i: int) -> None:
            part = slice(i * BLOCK_ROWS, (i + 1) * BLOCK_ROWS)
            out[part] = scorer.outputs(inputs.matrix(features, rows[part]))

        parallel_for(-(-len(rows) // BLOCK_ROWS), block)
        return out

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is only kept for speed."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @functools.cached_property
    def _scorer(self) -> _Scorer:
        return _Scorer(self)


_OF_SPLITS = ("threshold", "left", "right", "level_set", "unknown_left")
"""Arrays with a number for each split."""

_TYPES = {
    **dict.fromkeys(("base", "threshold", "value"), np.dtype(np.float32)),
    **dict.fromkeys(
        ("output", "splits", "leaves", "column", "left", "right", "level_set", "known", "levels"),
        np.dtype(np.int32),
    ),
    **dict.fromkeys(("unknown_left", "sets"), np.dtype(np.uint8)),
}


class _Scorer:
    """The look-up tables of a forest.

    Args:
        forest: whose.
    """

    def __init__(self, forest: Forest) -> None:
        self.base = np.asarray(forest.base, np.float64)
        ruled_out = _ruled_out(forest)
        begins = np.concatenate([[0], np.cumsum(forest.levels)])
        self.columns: list[tuple[int, np.ndarray]] = []  # what a value's place is looked up in
        self.users: list[tuple[np.ndarray, np.ndarray]] = []  # trees that use it, and their tables
        tree_of_split = np.repeat(np.arange(len(forest.output)), np.diff(forest.splits))
        tables: list[list[tuple[int, np.ndarray]]] = [[] for _ in forest.output]
        bits = np.unpackbits(forest.sets, axis=1, bitorder="little").astype(bool)
        for place, column in enumerate(np.unique(forest.column).tolist()):
            own = np.flatnonzero(forest.column == column)
            levels = column < len(forest.levels)
            if levels:
                known = forest.known[begins[column] : begins[column + 1]]
                cuts = np.where(known < 0, MAX_LEVELS + 1, known).astype(np.intp)
            else:
                cuts = np.unique(forest.threshold[own])
            self.columns.append((column, cuts))
            trees, number = np.unique(tree_of_split[own], return_inverse=True)
            every = np.full(
                (len(trees), MAX_LEVELS + 2 if levels else len(cuts) + 1), ~np.uint64(0)
            )
            for i, k in zip(own.tolist(), number.tolist(), strict=True):
                if levels:
                    unknown = forest.unknown_left[i : i + 1].astype(bool)
                    left = np.concatenate([bits[forest.level_set[i]], unknown])
                    every[k, ~left] &= ruled_out[i]
                else:
                    above = np.count_nonzero(cuts <= forest.threshold[i])
                    every[k, above:] &= ruled_out[i]
            self.users.append((trees, every))
            for t, table in zip(trees.tolist(), every, strict=True):
                tables[t].append((place, table))
        self.begins = forest.leaves[:-1].astype(np.intp)
        self.values = forest.value.astype(np.float64)
        self.trees = [
            (own, self.values[forest.leaves[t] : forest.leaves[t + 1]], int(forest.output[t]))
            for t, own in enumerate(tables)
        ]
        self.of_output = [np.flatnonzero(forest.output == o) for o in range(len(self.base))]

    def outputs(self, X: np.ndarray) -> np.ndarray:
        """Return the outputs ``(N, O)`` of rows ``(N, D)``."""
        places: list[np.ndarray] = []
        for column, cuts in self.columns:
            values = np.ascontiguousarray(X[:, column])
            if cuts.dtype == np.intp:
                places.append(cuts[values.astype(np.intp)])
            else:
                places.append(np.searchsorted(cuts, values))
        if len(X) <= FEW_ROWS:
            return self._of_few(places, len(X))
        out = np.repeat(self.base[:, None], len(X), axis=1)
        for tables, values, output in self.trees:
            if not tables:
                out[output] += values[0]
                continue
            place, table = tables[0]
            possible = table.take(places[place])
            for place, table in tables[1:]:
                possible &= table.take(places[place])
            out[output] += values.take(_first_bit(possible))
        return out.T

    def _of_few(self, places: list[np.ndarray], rows: int) -> np.ndarray:
        """Return the outputs ``(N, O)`` of a few rows: all trees together, their values summed in the same order."""
        possible = np.full((len(self.begins), rows), ~np.uint64(0))
        for (trees, tables), place in zip(self.users, places, strict=True):
            possible[trees] &= tables[:, place]
        values = self.values.take(self.begins[:, None] + _first_bit(possible))
        out = np.empty((rows, len(self.base)))
        for o, trees in enumerate(self.of_output):
            each = np.concatenate([np.full((1, rows), self.base[o]), values[trees]])
            out[:, o] = np.add.accumulate(each, axis=0)[-1]
        return out


def _first_bit(possible: np.ndarray) -> np.ndarray:
    """Return the place of the lowest bit that is set in each uint64."""
    # It is what a number has in common with its negative; its place is the exponent.
    return ((possible & (~possible + np.uint64(1))).astype(np.float64).view(np.int64) >> 52) - 1023


def _ruled_out(forest: Forest) -> np.ndarray:
    """Return for each split the leaves of its tree that are still possible on its right, ``(S,)`` uint64."""
    below = np.zeros((len(forest.column), 2), np.uint64)
    begins = np.repeat(forest.splits[:-1], np.diff(forest.splits)).tolist()
    children = np.stack([forest.left, forest.right], 1).tolist()
    for i in range(len(children) - 1, -1, -1):
        for side, child in enumerate(children[i]):
            below[i, side] = below[begins[i] + child].sum() if child >= 0 else 1 << (-1 - child)
    return ~below[:, 0]
