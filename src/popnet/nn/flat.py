"""A tree of parameters as one vector and back.

Optimizer, averages and best weights treat all parameters alike; on one vector each is one pass and one kernel to
compile instead of one for every array.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from popnet.types import Array, Tree


class Matrix(NamedTuple):
    """Where a matrix stands in the vector of the parameters, from ``start`` on, row by row."""

    start: int
    rows: int
    columns: int

    @property
    def stop(self) -> int:
        """Place after its last element."""
        return self.start + self.rows * self.columns


@dataclass(frozen=True)
class Layout:
    """Where each array of a tree stands in its vector.

    Attributes:
        treedef: the tree's structure.
        shapes: of the arrays, in the tree's order.
        size: length of the vector.
    """

    treedef: Any
    shapes: tuple[tuple[int, ...], ...]
    size: int

    @classmethod
    def of(cls, tree: Tree) -> Layout:
        """Return the layout of a tree of arrays."""
        leaves, treedef = jax.tree.flatten(tree)
        shapes = tuple(tuple(leaf.shape) for leaf in leaves)
        return cls(treedef, shapes, sum(map(math.prod, shapes)))

    def join(self, tree: Tree) -> Array:
        """Return a tree's arrays as one vector, ``(size,)``; NumPy for NumPy."""
        leaves = jax.tree.leaves(tree)
        xp = np if all(isinstance(leaf, np.ndarray) for leaf in leaves) else jnp
        return xp.concatenate([leaf.reshape(-1) for leaf in leaves] or [xp.zeros(0, np.float32)])

    def split(self, vector: Array) -> Tree:
        """Return the tree of a vector; the inverse of `join`."""
        leaves, start = [], 0
        for shape in self.shapes:
            stop = start + math.prod(shape)
            leaves.append(vector[start:stop].reshape(shape))
            start = stop
        return jax.tree.unflatten(self.treedef, leaves)
