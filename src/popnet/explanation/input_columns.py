"""Which encoded inputs a column of the table fills, and rows that are mixed of the columns of two.

A column may fill several inputs (a date fills seconds, a year and circles), which always change together. So rows are
mixed after they were encoded, and no text is encoded twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from popnet.data.dataset import Features
from popnet.data.tables.encode import Encoder
from popnet.types import Array


@dataclass(frozen=True)
class InputColumns:
    """The D columns of a table that a model reads.

    Attributes:
        names: D names.
        numeric: ``(F,)`` number of the column that each continuous input comes from.
        flags: ``(G,)`` the same of flags.
        codes: ``(C,)`` the same of codes.
    """

    names: tuple[str, ...]
    numeric: Array
    flags: Array
    codes: Array

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(cls, encoder: Encoder) -> InputColumns:
        """Return the columns that an encoder reads."""
        names = tuple(column.name for column in encoder.columns)
        place = {name: i for i, name in enumerate(names)}
        found = encoder.names
        sources = (found.numeric_sources, found.flag_sources, found.code_sources)
        return cls(names, *(np.array([place[n] for n in part], np.intp) for part in sources))

    def differ(self, a: Features, i: Array, b: Features, j: Array) -> np.ndarray:
        """Return in which columns rows differ once they are encoded, ``(n, D)`` bool.

        Args:
            a, b: rows.
            i, j: ``(n,)`` numbers of rows of each that are compared.
        """
        out = np.zeros((len(i), len(self)), bool)
        for part, columns in self._parts():
            other = getattr(a, part)[i] != getattr(b, part)[j]
            for k, column in enumerate(columns):
                out[:, column] |= other[:, k]
        return out

    def mixed(self, a: Features, i: Array, b: Features, j: Array, taken: Array) -> Features:
        """Return n rows that take some columns from rows of ``a`` and the others from rows of ``b``.

        Args:
            a, b: rows.
            i, j: ``(n,)`` numbers of rows of each.
            taken: ``(n, D)`` bool, the columns that come from ``a``.
        """
        mixed: dict[str, Array] = {
            part: np.where(taken[:, columns], getattr(a, part)[i], getattr(b, part)[j])
            for part, columns in self._parts()
        }
        return replace(b, **mixed)

    def inputs(self, features: Features, column: int) -> np.ndarray:
        """Return all inputs that a column fills, ``(N, inputs)`` float64: numbers, then flags, then codes."""
        parts = [getattr(features, part)[:, columns == column] for part, columns in self._parts()]
        return np.concatenate(parts, axis=1, dtype=np.float64)

    def _parts(self) -> tuple[tuple[str, Array], ...]:
        return ("numeric", self.numeric), ("flags", self.flags), ("codes", self.codes)
