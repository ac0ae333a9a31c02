"""Twins of the base with other seeds tell how lucky its own was, which is in every effect: a control variate.

The base's loss minus the mean of what it has with further seeds, on the same rows, is 0 in expectation. What a
difference of cells owes to it is found by regression over the pairs and taken off (control variates: Lavenberg and
Welch 1981, Management Science 27). Where a level's net shares its luck with the base's, as an L2 penalty that does
next to nothing, the slope is small and the twins' own difference stays; where training goes its own way from the first
step, the base is in effect the mean of all its nets.

The base is compared with every level, so that a net of it is worth more than one of a level: of k levels it should have
about the square root of k times as many (Dunnett 1955, J. Am. Stat. Assoc. 50).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from popnet.types import Array

MIN_PAIRS = 8
"""Pairs from which on a slope is estimated: of fewer it would cost more than it gains."""


class Difference(NamedTuple):
    """A difference of cells.

    Attributes:
        values: ``(J,)``, of each complete pair.
        rows: ``(T,)``, of each test row of each complete pair; None of what is no mean over rows.
        fitted: coefficients that were estimated from the pairs, beside the mean.
        leverage: what these add to the variance of the mean, in units of that of a pair.
    """

    values: np.ndarray
    rows: np.ndarray | None
    fitted: int = 0
    leverage: float = 0.0


def base_nets(levels: int) -> int:
    """Return how many nets the base should have in a pair, for so many levels against it."""
    return max(1, round(levels**0.5))


def controlled(found: Difference, control: Difference) -> Difference:
    """Return a difference without what it owes to the base's luck.

    The mean of the values is the intercept of a least-squares line over the pairs, and ``fitted`` and ``leverage`` make
    its standard error that of the intercept.

    Args:
        found: the difference.
        control: of the same pairs and rows, 0 in expectation.
    """
    y, x = found.values, control.values
    if len(y) < MIN_PAIRS or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return found
    spread = float(((x - x.mean()) ** 2).sum())
    if spread == 0:
        return found
    slope = float((x - x.mean()) @ y) / spread
    rows = None
    if found.rows is not None and control.rows is not None:
        rows = found.rows - slope * control.rows
    return Difference(y - slope * x, rows, 1, float(x.mean()) ** 2 / spread)


def spread_of(values: Array | Sequence[float], fitted: int) -> float:
    """Return the variance of values, of which so many coefficients were estimated beside the mean."""
    values = np.asarray(values, float)
    return float(values.var(ddof=1) * (len(values) - 1) / (len(values) - 1 - fitted))
