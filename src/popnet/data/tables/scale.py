"""The robust scale of a numeric column, and the quantiles that cut it into bins."""

from __future__ import annotations

from typing import cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

LIMIT = 3.0
"""Bound of scaled numbers: z / sqrt(1 + (z / LIMIT)^2), near z for small z."""


KNOTS, KNOT_ROWS = 49, 50_000
"""Quantiles that are kept of a column, and of how many rows, about, they are taken."""


MIN_DISTINCT = 32
"""Different values below which a column is better off without bins (letter's columns have 16, and a log-loss 15 % worse
with them)."""


FAR = 1e6
"""Scaled numbers beyond are all taken as this one; in float32 they are at the bound long before."""


FURTHEST = 1e150
"""Training values beyond are taken as this far, so that differences of quantiles stay finite."""


class Scale(BaseModel):
    """Robust centre and scale of a numeric column: (x - centre) / scale, then bounded.

    Attributes:
        centre, scale: see `fit_scale`.
        knots: `KNOTS` scaled values, see `fit_knots`; none in models of former versions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    centre: float = Field(allow_inf_nan=False)
    scale: float = Field(gt=0, allow_inf_nan=False)
    knots: tuple[float, ...] = ()

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Scale ``(N,)`` float64 to within ±`LIMIT`; infinities go to the bounds, NaN to 0."""
        with np.errstate(over="ignore"):
            z = (values - self.centre) / self.scale
        # A clip first: the square of 1e300 would be infinite, and the quotient 0.
        np.clip(z, -FAR, FAR, out=z)
        z /= np.sqrt(1.0 + np.square(z / LIMIT))
        return np.nan_to_num(z, copy=False, nan=0.0)


def fit_scale(values: np.ndarray) -> Scale | None:
    """Fit centre and scale to ``(N,)`` float64; None if there are no two different finite values.

    The centre is the median, the scale the distance of the quartiles. If that is 0 (more than half
    of the values are equal): half the distance of the 1st and 99th percentile, and if that is 0
    too, half the range.
    """
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return None
    values = np.clip(values, -FURTHEST, FURTHEST)
    low, q01, q25, median, q75, q99, high = np.quantile(
        values, [0, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0]
    )
    for scale in (q75 - q25, (q99 - q01) / 2, (high - low) / 2):
        if scale > 0:
            found = Scale(centre=float(median), scale=float(scale))
            some = values[:: -(-len(values) // KNOT_ROWS)]
            knots = fit_knots(found.apply(np.concatenate([some, [low, high]])))
            return found.model_copy(update={"knots": tuple(map(float, knots))})
    return None


def fit_knots(values: np.ndarray) -> np.ndarray:
    """Return `KNOTS` values that cut a column into bins, ``(KNOTS,)`` float32, ascending.

    They are quantiles where a value that occurs n times counts sqrt(n) times: of a column where nearly all values are
    0, plain ones would leave hardly a bin for the others. Up to `KNOTS` different values are all there; fewer than
    `MIN_DISTINCT` give no bins: all knots are equal.
    """
    distinct, counts = np.unique(values.astype(np.float32), return_counts=True)
    if len(distinct) < MIN_DISTINCT:
        return np.zeros(KNOTS, np.float32)
    if len(distinct) <= KNOTS:
        return distinct[np.round(np.linspace(0, len(distinct) - 1, KNOTS)).astype(int)]
    reached = np.cumsum(np.sqrt(counts))
    wanted = cast("np.ndarray", np.linspace(reached[0], reached[-1], KNOTS))
    place = np.interp(wanted, reached, np.arange(len(reached)))
    return distinct[np.round(place).astype(int)]
