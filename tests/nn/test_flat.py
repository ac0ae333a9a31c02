"""A tree as one vector and back."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from popnet.nn.flat import Layout

TREE = {
    "b": [np.arange(6, dtype=np.float32).reshape(2, 3), np.full((), 7, np.float32)],
    "a": (np.zeros((0, 4), np.float32), np.arange(8, 12, dtype=np.float32)),
}


def test_split_undoes_join():
    layout = Layout.of(TREE)
    vector = layout.join(TREE)
    assert vector.shape == (layout.size,) == (11,)
    np.testing.assert_array_equal(vector, [8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 7])
    back = layout.split(vector)
    assert jax.tree.structure(back) == jax.tree.structure(TREE)
    jax.tree.map(np.testing.assert_array_equal, back, TREE)


def test_numpy_stays_on_the_host():
    layout = Layout.of(TREE)
    assert isinstance(layout.join(TREE), np.ndarray)
    assert isinstance(layout.join(jax.tree.map(jnp.asarray, TREE)), jax.Array)


def test_an_empty_tree_is_an_empty_vector():
    layout = Layout.of([])
    assert layout.join([]).shape == (0,)
    assert layout.split(np.zeros(0, np.float32)) == []


def test_layouts_of_equal_trees_are_equal():
    assert Layout.of(TREE) == Layout.of(jax.tree.map(np.copy, TREE))
