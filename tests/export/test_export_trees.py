"""Trees as a graph: every row reaches the leaf that it reaches in popnet."""

from __future__ import annotations

import numpy as np
import pytest

from popnet.data.dataset import Features
from popnet.export import trees
from popnet.export.columns import Encoded
from popnet.export.graph import Graph
from popnet.export.run import session
from popnet.trees.forest import MAX_LEVELS, Forest

LEVELS = (5, 300)
NUMBERS = 3


def drawn(seed: int, count: int = 20, leaves: int = 12, outputs: int = 2) -> Forest:
    """Return a forest of trees of any form, with splits of numbers and of levels; some have one leaf."""
    rng = np.random.default_rng(seed)
    sizes = [1 if t % 5 == 0 else int(rng.integers(2, leaves + 1)) for t in range(count)]
    left: list[int] = []
    right: list[int] = []
    for size in sizes:
        # Leaves that are open, each a place among the children; a split closes one and opens two.
        children: list[list[int | None]] = []
        while len(children) < size - 1:
            if children:
                free = [(i, s) for i, c in enumerate(children) for s in (0, 1) if c[s] is None]
                i, s = free[rng.integers(len(free))]
                children[i][s] = len(children)
            children.append([None, None])
        leaf = 0
        for c in children:
            for s in (0, 1):
                if c[s] is None:
                    c[s] = -1 - leaf
                    leaf += 1
        # In popnet's trees leaves are numbered from left to right.
        order: list[int] = []

        def walk(
            i: int, children: list[list[int | None]] = children, order: list[int] = order
        ) -> None:
            for child in children[i]:
                assert child is not None
                if child >= 0:
                    walk(child)
                else:
                    order.append(-1 - child)

        if children:
            walk(0)
        rank = {old: new for new, old in enumerate(order)}
        for c in children:
            one, other = (v if v is None or v >= 0 else -1 - rank[-1 - v] for v in c)
            assert one is not None
            assert other is not None
            left.append(one)
            right.append(other)
    splits = np.array([s - 1 for s in sizes])
    total = int(splits.sum())
    column = rng.integers(0, len(LEVELS) + NUMBERS, total).astype(np.int32)
    coded = column < len(LEVELS)
    sets = rng.integers(0, 256, (int(coded.sum()), 32)).astype(np.uint8)
    sets[::9] = 0
    sets[1::9] = 255
    sets[2::9, 1:] = 0
    known = [np.arange(-1, n - 1) for n in LEVELS]
    known[1] = np.where(known[1] >= MAX_LEVELS, -1, known[1])
    number = np.full(total, -1)
    number[coded] = np.arange(coded.sum())
    return Forest(
        base=rng.standard_normal(outputs).astype(np.float32),
        output=rng.integers(0, outputs, count).astype(np.int32),
        splits=np.concatenate([[0], np.cumsum(splits)]).astype(np.int32),
        leaves=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32),
        column=column,
        threshold=np.where(coded, 0, rng.integers(-2, 3, total) / 2).astype(np.float32),
        left=np.array(left, np.int32),
        right=np.array(right, np.int32),
        level_set=number.astype(np.int32),
        unknown_left=rng.integers(0, 2, total).astype(np.uint8),
        sets=sets,
        known=np.concatenate(known).astype(np.int32),
        levels=np.array(LEVELS, np.int32),
        value=rng.standard_normal(sum(sizes)).astype(np.float32),
    )  # fmt: skip


def rows(seed: int, count: int = 500) -> Features:
    rng = np.random.default_rng(seed)
    numeric = (rng.integers(-3, 4, (count, NUMBERS)) / 2).astype(np.float32)
    numeric[::3] = np.nextafter(numeric[::3], np.float32(9))
    codes = np.stack([rng.integers(0, n, count) for n in LEVELS], 1).astype(np.int32)
    return Features(numeric, np.zeros((count, 0), np.uint8), codes, LEVELS)


def of_graph(forest: Forest, features: Features) -> np.ndarray:
    g = Graph()
    g.add_input("numeric", np.float32)
    g.add_input("codes", np.int64)
    for value, columns in zip(g.inputs, (NUMBERS, len(LEVELS)), strict=True):
        value.type.tensor_type.shape.dim[1].dim_value = columns
    found = trees.outputs(g, Encoded("numeric", None, "codes", NUMBERS), forest)
    g.add_output("out", found, np.float32, forest.n_outputs)
    own = session(g.model(18, {}).SerializeToString(), 1)
    given = {"numeric": features.numeric, "codes": features.codes.astype(np.int64)}
    return own.run(None, given)[0]


@pytest.mark.parametrize("seed", range(12))
def test_drawn_forests(seed):
    forest, features = drawn(seed), rows(seed)
    forest.check()
    expected = forest.predict(features)
    assert len(np.unique(expected[:, 0])) > 20
    np.testing.assert_array_equal(of_graph(forest, features), expected)


def test_trees_of_one_leaf_each():
    forest = drawn(0, count=4, leaves=2)
    one = Forest(**{
        **forest.arrays(),
        **{k: forest.arrays()[k][:0] for k in ("column", "threshold", "left", "right", "level_set", "unknown_left")},
        "splits": np.zeros(3, np.int32), "leaves": np.arange(3, dtype=np.int32),
        "output": np.array([0, 1], np.int32), "value": np.array([2.0, 3.0], np.float32),
    })  # fmt: skip
    features = rows(0, 4)
    np.testing.assert_array_equal(of_graph(one, features), one.predict(features))
