"""Array aliases and the axis letters that every shape in popnet is written with.

M members · N rows (of a table, or of a batch) · F continuous columns · G flags (0/1 columns) ·
C coded (categorical) columns · O outputs (classes or targets) · E epochs · K folds · W width
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

Array = Any
"""A NumPy or JAX array; docstrings give its shape."""

Tree = Any
"""A nested dict/tuple of arrays (a JAX pytree)."""

Floats = np.ndarray[Any, np.dtype[np.float32]]
Task = Literal["binary", "multiclass", "regression"]
