"""Choose one of several functions by a number inside a compiled program."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from popnet.types import Array, Tree


def choose(index: Array | int, functions: Sequence[Callable[..., Tree]], *args: Tree) -> Tree:
    """Return ``functions[index](*args)``; an index that is a Python integer compiles that function only."""
    if isinstance(index, int):
        return functions[index](*args)
    return jax.lax.switch(index, functions, *args)


def branch(functions: Sequence[Callable[..., Tree]], index: Array, *args: Tree) -> Tree:
    """Return ``functions[index](*args)``; all functions return the same shapes.

    A plain ``lax.switch`` under differentiation saves every branch's intermediate arrays, those not taken
    filled with zeros. Here only the arguments are saved and the one branch taken is computed again on the way
    back, which costs a pass over arrays that are still in the cache.

    Args:
        functions: the choices; each differentiable in its float arguments.
        index: scalar int32 in ``[0, len(functions))``.
        args: trees of arrays that the functions take.
    """

    @jax.custom_vjp
    def call(index: Array, args: tuple[Tree, ...]) -> Tree:
        return jax.lax.switch(index, functions, *args)

    def forward(index: Array, args: tuple[Tree, ...]) -> tuple[Tree, Tree]:
        return call(index, args), (index, args)

    def backward(saved: Tree, cotangent: Tree) -> Tree:
        index, args = saved

        def pull(function: Callable[..., Tree]) -> Callable[..., Tree]:
            return lambda args, g: jax.vjp(function, *args)[1](g)

        return None, jax.lax.switch(index, [pull(f) for f in functions], args, cotangent)

    call.defvjp(forward, backward)
    return call(jnp.asarray(index, np.int32), args)
