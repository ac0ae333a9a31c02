"""How far rows lie apart, in columns that all weigh the same.

The squared difference of two rows in a column is divided by its mean over pairs of background rows; a distance is the
root of the mean over columns. So two background rows are 1 apart, about, and a number that is 1.4 standard deviations
off counts as much as another level of a category whose levels are many (Gower 1971 and Wilson and Martinez 1997 mix
numbers and levels likewise).
"""

from __future__ import annotations

import numpy as np

from popnet.data.dataset import Features
from popnet.explanation.input_columns import InputColumns
from popnet.types import Array

MAX_ENTRIES = 1 << 22
"""Pairs of rows that are compared at once."""


class Distances:
    """Distances of encoded rows.

    Args:
        blocks: the columns.
        background: N rows, which say how much differences usually are.
    """

    def __init__(self, blocks: InputColumns, background: Features) -> None:
        self._numeric = [np.flatnonzero(blocks.numeric == c) for c in range(len(blocks))]
        self._flags = [np.flatnonzero(blocks.flags == c) for c in range(len(blocks))]
        # A number that also has a code is compared as a number.
        self._codes = [
            np.flatnonzero(blocks.codes == c) if not len(self._numeric[c]) else np.zeros(0, np.intp)
            for c in range(len(blocks))
        ]
        self._usual = np.array([self._mean(background, c) for c in range(len(blocks))])

    def _mean(self, background: Features, column: int) -> float:
        """Return the mean squared difference of two background rows in a column; 1 if all are equal in it."""
        numbers = np.asarray(background.numeric[:, self._numeric[column]], np.float64)
        flags = np.asarray(background.flags[:, self._flags[column]], np.float64)
        mean = 2 * float(numbers.var(0).sum() + flags.var(0).sum())
        for k in self._codes[column]:
            shares = np.bincount(background.codes[:, k]) / len(background)
            mean += 1 - float(np.square(shares).sum())
        return mean if mean > 0 else 1.0

    def in_column(self, column: int, a: Features, i: Array, b: Features, j: Array) -> np.ndarray:
        """Return what one column adds to squared distances of rows i of ``a`` and j of ``b``, which broadcast."""
        square = np.zeros(np.broadcast_shapes(np.shape(i), np.shape(j)), np.float32)
        for k in self._numeric[column]:
            square += np.square(a.numeric[i, k] - b.numeric[j, k])
        for k in self._flags[column]:
            square += a.flags[i, k] != b.flags[j, k]
        for k in self._codes[column]:
            square += a.codes[i, k] != b.codes[j, k]
        return square / np.float32(self._usual[column] * len(self._usual))

    def squared(self, a: Features, i: Array, b: Features) -> np.ndarray:
        """Return squared distances of rows i of ``a`` to all rows of ``b``, ``(len(i), N)`` float32."""
        every = np.arange(len(b))[None, :]
        out = np.zeros((len(i), len(b)), np.float32)
        for column in range(len(self._usual)):
            out += self.in_column(column, a, np.asarray(i)[:, None], b, every)
        return out

    def nearest(
        self, a: Features, b: Features, count: int, left_out: Array | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest rows of ``b`` to each row of ``a``, ``(len(a), count)``, and their distances.

        Args:
            a, b: rows.
            count: of the nearest; of fewer rows all.
            left_out: ``(len(a),)`` a row of ``b`` that does not count for each, as the row itself; -1 for none.
        """
        count = min(count, len(b) - (left_out is not None))
        found = np.zeros((len(a), count), np.intp)
        distance = np.zeros((len(a), count))
        size = max(1, MAX_ENTRIES // len(b))
        for start in range(0, len(a), size):
            rows = np.arange(start, min(start + size, len(a)))
            square = self.squared(a, rows, b)
            if left_out is not None:
                own = left_out[rows]
                square[np.flatnonzero(own >= 0), own[own >= 0]] = np.inf
            some = np.argpartition(square, count - 1, axis=1)[:, :count]
            there = np.take_along_axis(square, some, 1)
            order = np.lexsort((some, there), axis=1)
            found[rows] = np.take_along_axis(some, order, 1)
            distance[rows] = np.sqrt(np.take_along_axis(there, order, 1))
        return found, distance
