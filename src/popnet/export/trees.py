"""Boosted trees as a node of `ai.onnx.ml`.

The node knows splits of numbers alone, so each different set of levels becomes a column of 0 and 1 that is split at a
half: a table of a column's codes gives the columns of all its sets at once. (``TreeEnsemble`` has splits of sets since
`ai.onnx.ml` 5, but onnxruntime 1.21 and 1.22 take minutes to load a forest with them, up to 1.23 some rows reach other
leaves, and before 1.21 there is none.) Numbers are compared in float64, which leaves comparisons of float32 as they
are, and leaves' values are summed in float64, as `popnet.trees.forest` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from popnet.export.columns import Encoded
from popnet.export.graph import Graph, f64
from popnet.trees.forest import Forest


def outputs(g: Graph, encoded: Encoded, forest: Forest) -> str:
    """Return a forest's outputs ``(N, O)``, float32."""
    matrix, column, threshold, swapped = _matrix(g, encoded, forest)
    # Of each tree first its splits, then its leaves.
    splits, leaves = np.diff(forest.splits), np.diff(forest.leaves)
    of_split, of_leaf = (np.repeat(np.arange(len(n)), n) for n in (splits, leaves))
    number_of_split = np.arange(len(of_split)) - forest.splits[:-1][of_split]
    number_of_leaf = np.arange(len(of_leaf)) - forest.leaves[:-1][of_leaf] + splits[of_leaf]
    left, right = (
        np.where(c < 0, splits[of_split] - 1 - c, c) for c in (forest.left, forest.right)
    )
    left, right = np.where(swapped, right, left), np.where(swapped, left, right)
    zeros = np.zeros(len(of_leaf), int)
    order = np.argsort(np.concatenate([of_split, of_leaf]), kind="stable")

    def nodes(of_splits: Any, of_leaves: Any) -> np.ndarray:
        return np.concatenate([of_splits, of_leaves])[order]

    return g.op(
        "TreeEnsembleRegressor", matrix, domain="ai.onnx.ml",
        aggregate_function="SUM", post_transform="NONE", n_targets=forest.n_outputs,
        base_values_as_tensor=forest.base.astype(np.float64),
        nodes_treeids=nodes(of_split, of_leaf).tolist(),
        nodes_nodeids=nodes(number_of_split, number_of_leaf).tolist(),
        nodes_modes=[("BRANCH_LEQ", "LEAF")[i] for i in nodes(np.zeros(len(of_split), int), zeros + 1)],
        nodes_featureids=nodes(column, zeros).tolist(),
        nodes_values_as_tensor=nodes(threshold, zeros.astype(np.float64)),
        nodes_truenodeids=nodes(left, zeros).tolist(),
        nodes_falsenodeids=nodes(right, zeros).tolist(),
        target_treeids=of_leaf.tolist(), target_nodeids=number_of_leaf.tolist(),
        target_ids=forest.output[of_leaf].tolist(),
        target_weights_as_tensor=forest.value.astype(np.float64),
    )  # fmt: skip


def _matrix(
    g: Graph, encoded: Encoded, forest: Forest
) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
    """Return rows as the node takes them, and of each split its column, its threshold and whether its sides change.

    Rows are ``(N, D)`` float64: numbers, flags, then 0 or 1 for each set of levels; a set and what it leaves out are
    one column. Of each split are ``(S,)``.
    """
    parts = [g.cast(p, np.float64) for p in (encoded.numeric, encoded.flags) if p is not None]
    codes = len(forest.levels)
    column = forest.column.astype(np.int64) - codes
    threshold = forest.threshold.astype(np.float64)
    swapped = np.zeros(len(column), bool)
    bits = np.unpackbits(forest.sets, axis=1, bitorder="little").astype(bool)
    begins = np.concatenate([[0], np.cumsum(forest.levels)])
    size = encoded.width
    for c in np.unique(forest.column[forest.level_set >= 0]).tolist():
        own = np.flatnonzero(forest.column == c)
        known = forest.known[begins[c] : begins[c + 1]]
        unknown = forest.unknown_left[own].astype(bool)[:, None]
        left = np.where(known < 0, unknown, bits[forest.level_set[own]][:, known])  # (S, codes)
        # What goes where the column's first code goes is 0, and below the threshold.
        swapped[own] = ~left[:, 0]
        sets, place = np.unique(left ^ left[:, :1], axis=0, return_inverse=True)
        threshold[own], column[own] = 0.5, size + place.reshape(-1)
        assert encoded.codes is not None
        code = g.gather(encoded.codes, c, 1)  # (N,)
        table = np.ascontiguousarray(sets.T.astype(np.uint8))
        parts.append(g.cast(g.op("Gather", table, code, axis=0), np.float64))
        size += len(sets)
    if not parts:  # trees of one leaf each, in a table of levels alone
        assert encoded.codes is not None
        parts.append(g.cast(encoded.codes, np.float64))
    return g.concat(parts, 1), column, f64(threshold), swapped
