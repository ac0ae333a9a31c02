"""Boosted trees as a node of `ai.onnx.ml`.

Splits of levels are questions whether a value is in a set, of the numbers that known levels have in a forest's sets;
all others have one number in common. Numbers are compared in float64, which leaves comparisons of float32 as they are,
and leaves' values are summed in float64, as `popnet.trees.forest` does.
"""

from __future__ import annotations

import numpy as np

from popnet.export.columns import Encoded
from popnet.export.graph import Graph, f64, i64
from popnet.trees.forest import MAX_LEVELS, Forest

AT_MOST, MEMBER = 0, 6
"""Modes of a split: whether a value is at most its threshold, or in its set."""

UNKNOWN = MAX_LEVELS + 1
"""The number that levels which are not known have in common."""

NEVER, ALWAYS = -1.0, float(UNKNOWN)
"""Thresholds of splits of levels that send all rows to one side."""

SUM, RAW = 1, 0
"""How the leaves' values are joined, and what is then done to them: nothing."""


def outputs(g: Graph, encoded: Encoded, forest: Forest) -> str:
    """Return a forest's outputs ``(N, O)``, float64."""
    splits = np.diff(forest.splits)
    values = forest.value.astype(np.float64)
    base = forest.base.astype(np.float64)
    stumps = splits == 0  # trees of one leaf, which is everybody's
    np.add.at(base, forest.output[stumps], values[forest.leaves[:-1][stumps]])
    if stumps.all():
        ones = g.op("Mul", _some_column(g, encoded), f64(0.0))
        return g.op("Add", ones, f64(base[None]))
    trees = np.repeat(np.arange(len(splits)), splits)
    ends: list[np.ndarray] = []
    for child in (forest.left, forest.right):
        leaf = child < 0
        place = np.where(leaf, forest.leaves[trees] - 1 - child, forest.splits[trees] + child)
        ends += [place, leaf.astype(int)]
    modes, thresholds, sets = _splits(forest, ends)
    if not sets:
        sets = [np.nan]
    targets = np.repeat(forest.output, np.diff(forest.leaves))
    found = g.op(
        "TreeEnsemble", _matrix(g, encoded, forest), domain="ai.onnx.ml",
        aggregate_function=SUM, post_transform=RAW, n_targets=len(base),
        tree_roots=forest.splits[:-1][~stumps].tolist(),
        nodes_featureids=forest.column.tolist(), nodes_modes=modes, nodes_splits=thresholds,
        nodes_truenodeids=ends[0].tolist(), nodes_trueleafs=ends[1].tolist(),
        nodes_falsenodeids=ends[2].tolist(), nodes_falseleafs=ends[3].tolist(),
        leaf_targetids=targets.tolist(), leaf_weights=values, membership_values=f64(sets),
    )  # fmt: skip
    return g.op("Add", found, f64(base[None]))


def _splits(
    forest: Forest, ends: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Return modes ``(S,)``, thresholds ``(S,)`` and the members of sets, NaN after each.

    A set may be the larger part of a column's levels: the smaller one is listed then, and both children of the split in
    ``ends`` (place and whether it is a leaf, of the left one and of the right one) change places.
    """
    bits = np.unpackbits(forest.sets, axis=1, bitorder="little").astype(bool)
    begins = np.concatenate([[0], np.cumsum(forest.levels)])
    modes = np.full(len(forest.column), AT_MOST, np.uint8)
    thresholds = forest.threshold.astype(np.float64)
    sets: list[float] = []
    for i in np.flatnonzero(forest.level_set >= 0).tolist():
        column = int(forest.column[i])
        known = forest.known[begins[column] : begins[column + 1]]
        there = np.unique(np.where(known < 0, UNKNOWN, known))
        left = np.append(bits[forest.level_set[i]], bool(forest.unknown_left[i]))
        inside = left[there]
        if inside.all() or not inside.any():
            thresholds[i] = ALWAYS if inside.all() else NEVER
            continue
        if 2 * inside.sum() > len(there):
            inside = ~inside
            for one, other in ((0, 2), (1, 3)):
                ends[one][i], ends[other][i] = ends[other][i], ends[one][i]
        modes[i], thresholds[i] = MEMBER, 0.0
        sets += [*there[inside].astype(float).tolist(), np.nan]
    return modes, thresholds, sets


def _matrix(g: Graph, encoded: Encoded, forest: Forest) -> str:
    """Return rows as the node takes them, float64: codes as numbers of known levels, then numbers, then flags."""
    parts: list[str] = []
    if encoded.codes is not None:
        begins = np.concatenate([[0], np.cumsum(forest.levels)])[:-1]
        known = np.where(forest.known < 0, UNKNOWN, forest.known).astype(np.float64)
        place = g.op("Add", encoded.codes, i64(begins))
        parts.append(g.op("Gather", known, place, axis=0))
    parts += [g.cast(p, np.float64) for p in (encoded.numeric, encoded.flags) if p is not None]
    return g.concat(parts, 1)


def _some_column(g: Graph, encoded: Encoded) -> str:
    """Return any column ``(N, 1)``, float64."""
    part = next(p for p in encoded if p is not None)
    return g.cast(g.gather(part, [0], 1), np.float64)
