"""A tree of parameters as one vector and back.

Optimizer, averages and best weights treat all parameters alike; on one vector each is one pass and one kernel to
compile instead of one for every array.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from popnet.runtime import typed_jax
from popnet.types import Tree

TreePath = tuple[Any, ...]
"""The keys under which an array stands in a tree, see ``jax.tree_util``."""


class Matrix(NamedTuple):
    """Where a matrix stands in the vector of the parameters, from ``start`` on, row by row."""

    start: int
    rows: int
    columns: int

    @property
    def stop(self) -> int:
        """Return the place after its last element."""
        return self.start + self.rows * self.columns


@dataclass(frozen=True)
class Layout:
    """Where each array of a tree stands in its vector.

    Attributes:
        treedef: the tree's structure.
        shapes: of the arrays, in the tree's order.
        order: places of the arrays in the tree's order, as they stand in the vector.
        size: length of the vector.
        n_first: elements of the arrays that were asked to come first.
    """

    treedef: Any
    shapes: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]
    size: int
    n_first: int

    @classmethod
    def of(cls, tree: Tree, first: Callable[[TreePath], bool] = lambda path: False) -> Layout:
        """Return the layout of a tree of arrays; those whose path in the tree is said to be ``first`` come first."""
        leaves, treedef = typed_jax.flatten_with_path(tree)
        shapes = tuple(tuple(leaf.shape) for _, leaf in leaves)
        chosen = [i for i, (path, _) in enumerate(leaves) if first(path)]
        order = (*chosen, *(i for i in range(len(leaves)) if i not in chosen))
        sizes = [math.prod(s) for s in shapes]
        return cls(treedef, shapes, order, sum(sizes), sum(sizes[i] for i in chosen))

    def join(self, tree: Tree) -> Array:
        """Return a tree's arrays as one vector, ``(size,)``; NumPy for NumPy."""
        leaves = jax.tree.leaves(tree)
        xp: Any = np if all(isinstance(leaf, np.ndarray) for leaf in leaves) else jnp
        parts = [leaves[i].reshape(-1) for i in self.order]
        return xp.concatenate(parts or [xp.zeros(0, np.float32)])

    def split(self, vector: Array | np.ndarray) -> Tree:
        """Return the tree of a vector; the inverse of `join`."""
        leaves: list[Any] = [None] * len(self.shapes)
        start = 0
        for i in self.order:
            stop = start + math.prod(self.shapes[i])
            leaves[i] = vector[start:stop].reshape(self.shapes[i])
            start = stop
        return typed_jax.unflatten(self.treedef, leaves)
