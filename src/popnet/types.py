"""Array aliases and the axis letters that every shape in popnet is written with.

M members · N rows (of a table, or of a batch) · F continuous columns · G flags (0/1 columns) ·
C coded (categorical) columns · O outputs (classes or targets) · E epochs · K folds · W width
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
"""A NumPy array on the host; inside programs arrays are ``jax.Array``. Docstrings give shapes."""

Floats = npt.NDArray[np.float32]

Tree = Any
"""Arrays in nested dictionaries, lists and tuples (a pytree), for which JAX has no type either."""

Task = Literal["binary", "multiclass", "regression"]
