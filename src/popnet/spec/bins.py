"""The bins of piecewise-linear embeddings: which of a column's knots bound them."""

from __future__ import annotations

import numpy as np

Bounds = tuple[int, ...]
"""Numbers of the knots that bound a column's bins; none for a column without bins."""


def bounds(knots: np.ndarray, size: int) -> tuple[Bounds, ...]:
    """Return which knots bound the bins of each column.

    Args:
        knots: ``(F, K)``, ascending values of each column.
        size: most bins of a column; those between equal knots fall away.
    """
    last = knots.shape[1] - 1
    if last < 1:
        return ((),) * len(knots)
    even = np.linspace(0.0, float(last), min(size, last) + 1)
    places = np.unique(np.round(even).astype(int)).tolist()

    def of(column: list[float]) -> Bounds:
        smallest = 1e-6 * max(column[-1] - column[0], 1e-30)
        kept = [0]
        for place in places[1:]:
            if column[place] - column[kept[-1]] > smallest:
                kept.append(place)
        return tuple(kept) if len(kept) > 1 else ()

    # As lists: each net of a run asks for its bounds, and NumPy's numbers are slow one by one.
    return tuple(of(column) for column in np.asarray(knots, np.float64).tolist())


def count(bounds: tuple[Bounds, ...]) -> int:
    """Return the number of all columns' bins."""
    return sum(len(b[1:]) for b in bounds)
