"""Choose one of several functions by a number inside a compiled program."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from popnet.types import Array, Tree


def branch(
    functions: Sequence[Callable[..., Tree]], index: Array, *args: Tree, constants: tuple[Tree, ...] = ()
) -> Tree:  # fmt: skip
    """Return ``functions[index](*args, *constants)``; all functions return the same shapes.

    A plain ``lax.switch`` under differentiation saves every branch's intermediate arrays, those not taken
    filled with zeros. Here only the arguments are saved and the one branch taken is computed again on the way
    back, which costs a pass over arrays that are still in the cache.

    Args:
        functions: the choices; each differentiable in its float arguments.
        index: scalar int32 in ``[0, len(functions))``, or a boolean for two.
        args: trees of float arrays that the functions take.
        constants: further trees of arrays, of any type, that nothing is differentiated by.
    """

    @jax.custom_vjp
    def call(index: Array, args: tuple[Tree, ...], constants: tuple[Tree, ...]) -> Tree:
        return jax.lax.switch(index, functions, *args, *constants)

    def forward(index: Array, args: tuple, constants: tuple) -> tuple[Tree, Tree]:
        return call(index, args, constants), (index, args, constants)

    def backward(saved: Tree, cotangent: Tree) -> Tree:
        index, args, constants = saved

        def pull(function: Callable[..., Tree]) -> Callable[..., Tree]:
            def run(args: tuple[Tree, ...], constants: tuple[Tree, ...], g: Tree) -> Tree:
                return jax.vjp(lambda *a: function(*a, *constants), *args)[1](g)

            return run

        pulls = [pull(f) for f in functions]
        return None, jax.lax.switch(index, pulls, args, constants, cotangent), None

    call.defvjp(forward, backward)
    return call(jnp.asarray(index, np.int32), args, constants)
