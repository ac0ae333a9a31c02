"""Choose one of several functions by a number inside a compiled program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, TypeVarTuple

from jax import Array

from popnet.runtime import typed_jax

T = TypeVar("T")
Operands = TypeVarTuple("Operands")


def choose(
    index: Array | int, functions: Sequence[Callable[[*Operands], T]], *args: *Operands
) -> T:
    """Return ``functions[index](*args)``; an index that is a Python integer compiles that function only."""
    if isinstance(index, int):
        return functions[index](*args)
    return typed_jax.switch(index, functions, *args)
