"""Functions of JAX, each with the type that JAX's own annotations leave out: what its functions take and return.

They do what those of the same name in ``jax`` and ``jax.lax`` do. With them the type checker follows arrays through
branches, loops and functions with gradients of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, TypeVarTuple, cast

import jax
import numpy as np
from jax import Array

from popnet.types import Tree

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Operands = TypeVarTuple("Operands")

_jax: Any = jax


class CustomVjp(Protocol[P, T_co]):
    """A function whose gradient is written down; see ``jax.custom_vjp``."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Return the function's value."""
        ...

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """Say what the gradient is: ``forward`` returns value and what it saves, ``backward`` takes that."""
        ...


def custom_vjp(function: Callable[P, T], nondiff_argnums: tuple[int, ...] = ()) -> CustomVjp[P, T]:
    """Return a function whose gradient its ``defvjp`` is told; ``nondiff_argnums`` are places of static arguments."""
    return _jax.custom_vjp(function, nondiff_argnums=nondiff_argnums)


def vjp(
    function: Callable[[*Operands], T], *operands: *Operands
) -> Callable[[T], tuple[*Operands]]:
    """Return what takes a gradient by the function's value to the gradients by its operands."""
    return _jax.vjp(function, *operands)[1]


def cond(
    predicate: Array,
    if_true: Callable[[*Operands], T],
    if_false: Callable[[*Operands], T],
    *operands: *Operands,
) -> T:
    """Return one of two functions of the operands, as a scalar bool says."""
    return _jax.lax.cond(predicate, if_true, if_false, *operands)


def switch(index: Array, branches: Sequence[Callable[[*Operands], T]], *operands: *Operands) -> T:
    """Return the function of the operands with this number, a scalar int32."""
    return _jax.lax.switch(index, branches, *operands)


def fori_loop(start: int, stop: Array | int, body: Callable[[Array, T], T], initial: T) -> T:
    """Return the last value of a loop that replaces it by ``body(i, value)``, for i from ``start`` to ``stop - 1``."""
    return _jax.lax.fori_loop(start, stop, body, initial)


def map_first(function: Callable[[S], T], values: S) -> T:
    """Return the function of each part along the first axis, one after another: ``jax.lax.map``."""
    return _jax.lax.map(function, values)


def optimization_barrier(values: T) -> T:
    """Return a tree of arrays as it is; the compiler does not join what comes before and after."""
    return _jax.lax.optimization_barrier(values)


def platform_dependent(
    *operands: *Operands, cpu: Callable[[*Operands], T], default: Callable[[*Operands], T]
) -> T:
    """Return one function of the operands on a CPU, another one elsewhere."""
    return _jax.lax.platform_dependent(*operands, cpu=cpu, default=default)


def tree_map(function: Callable[..., Any], tree: T, *others: T) -> T:
    """Return a tree of the function of each leaf, and of the leaves at the same place of other trees."""
    return _jax.tree.map(function, tree, *others)


def flatten(tree: Tree) -> tuple[list[Any], Hashable]:
    """Return a tree's leaves and its structure."""
    return _jax.tree.flatten(tree)


def flatten_with_path(tree: Tree) -> tuple[list[tuple[tuple[Any, ...], Any]], Hashable]:
    """Return a tree's leaves, each with the keys under which it stands, and the tree's structure."""
    return _jax.tree_util.tree_flatten_with_path(tree)


def unflatten(structure: Hashable, leaves: Sequence[Any]) -> Tree:
    """Return the tree of a structure and its leaves."""
    return _jax.tree.unflatten(structure, leaves)


def dynamic_index_in_dim(values: Array, i: Array) -> Array:
    """Return the part of an array with a number, a scalar int32, along its first axis."""
    return _jax.lax.dynamic_index_in_dim(values, i, keepdims=False)


def dynamic_update_index_in_dim(values: Array, part: Array, i: Array) -> Array:
    """Return an array with its part with a number, a scalar int32, along its first axis replaced."""
    return _jax.lax.dynamic_update_index_in_dim(values, part, i, 0)


def grad_with_aux(
    function: Callable[Concatenate[S, P], tuple[Array, T]],
) -> Callable[Concatenate[S, P], tuple[S, T]]:
    """Return the gradient by the first argument of a function of two results, and the second result."""
    return _jax.grad(function, has_aux=True)


def local_devices(backend: str | None = None) -> list[Any]:
    """Return the devices of this process."""
    return _jax.local_devices(backend=backend)


def on_host(array: np.ndarray | np.generic) -> Array:
    """Return a NumPy array as the type checker takes it for a ``jax.Array``; it stays what it is.

    The records that programs take (a recipe's numbers, a state, a block of rows) are filled with NumPy arrays on the
    host; their fields have the types that the program sees.
    """
    return cast("Any", array)
