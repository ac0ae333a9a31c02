"""How trees see a table's encoded rows: one column each for codes, numbers and flags."""

from __future__ import annotations

import numpy as np

from popnet.data.dataset import Features
from popnet.types import Array


def count(features: Features) -> int:
    """Return the number of columns that `matrix` has."""
    return len(features.levels) + features.numeric.shape[1] + features.flags.shape[1]


def matrix(features: Features, rows: Array) -> np.ndarray:
    """Return some rows as trees take them, ``(len(rows), C + F + G)`` float32: codes, then numbers, then flags.

    Numbers are scaled, which changes nothing for trees: they split by order.
    """
    some = features.take(rows)
    return np.concatenate([some.codes, some.numeric, some.flags], axis=1, dtype=np.float32)
