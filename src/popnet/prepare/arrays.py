"""What arrays that an estimator is given hold, and what their columns and classes are called."""

from __future__ import annotations

from typing import Any

import numpy as np

WEIGHT = "__weight__"
"""Name of the column of row weights that an estimator adds to a table."""


def holds_images(X: Any) -> bool:
    """Return whether X is an array of images, ``(N, H, W)`` or ``(N, H, W, C)``."""
    return isinstance(X, np.ndarray) and X.ndim in (3, 4)


def holds_text(array: np.ndarray) -> bool:
    """Return whether any element of an array is text."""
    return any(isinstance(v, str) for v in array.reshape(-1))


def target_names(y: Any, count: int) -> list[str]:
    """Return names for the columns of y: its own, or ``target``, ``target1``, ..."""
    own = getattr(y, "columns", None)
    if own is None and getattr(y, "name", None) is not None:
        own = [y.name]
    if own is not None and len(own) == count:
        return [str(name) for name in own]
    return ["target"] if count == 1 else [f"target{k + 1}" for k in range(count)]


def apart(names: list[str], columns: list[str]) -> list[str]:
    """Return names that are neither columns nor given twice."""
    out: list[str] = []
    for name in names:
        while name in columns or name in out or name == WEIGHT:
            name += "_"
        out.append(name)
    return out


def labels_of(classes: np.ndarray) -> list[Any] | None:
    """Return classes as a model file holds them; None for kinds that it cannot hold, which stay numbers."""
    labels = classes.tolist()
    plain = all(
        type(c) is type(labels[0]) and isinstance(c, bool | int | float | str) for c in labels
    )
    return labels if plain else None
