"""A choice by number gives the chosen function's value and gradient, and nothing of the others."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from popnet.nn.branch import branch

FUNCTIONS = [
    lambda x, y: x * y["a"],
    lambda x, y: jnp.sin(x) + 0 * y["a"],
    lambda x, y: y["a"] ** 3,
]


@jax.jit
def chosen(i, x, a):
    def total(x, a):
        return branch(FUNCTIONS, i, x, {"a": a}).sum()

    return branch(FUNCTIONS, i, x, {"a": a}), *jax.grad(total, (0, 1))(x, a)


@pytest.mark.parametrize("i", range(3))
def test_value_and_gradient_are_those_of_the_chosen(i):
    x, a = np.float32([0.5, -1, 2]), np.float32([3, 0.2, -1])
    expected = [(x * a, a, x), (np.sin(x), np.cos(x), 0 * a), (a**3, 0 * x, 3 * a**2)][i]
    for got, e in zip(chosen(np.int32(i), x, a), expected, strict=True):
        np.testing.assert_allclose(got, e, rtol=1e-5)


def test_a_branch_not_taken_cannot_spoil_the_gradient():
    def f(x, i):
        return branch([lambda x: x**2, lambda x: jnp.sqrt(x)], i, x)

    assert jax.grad(f)(jnp.float32(0), np.int32(0)) == 0  # sqrt'(0) is infinite


def test_members_side_by_side_take_their_own_branches():
    x = np.float32([[1, 2, 3]] * 3)
    got = jax.jit(jax.vmap(chosen))(np.arange(3, dtype=np.int32), x, x)[0]
    np.testing.assert_allclose(got, np.stack([x[0] ** 2, np.sin(x[0]), x[0] ** 3]), rtol=1e-5)
