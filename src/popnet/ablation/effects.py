"""What one factor changes: paired differences of twins, with their intervals and a verdict."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from popnet.ablation.control_variate import spread_of
from popnet.runtime import keys
from popnet.types import Array

Verdict = Literal["helps", "harms", "nothing measurable"]

DRAWS = 2000
"""Bootstrap samples of an interval."""


class Effect(NamedTuple):
    """A mean paired difference of losses, without the factor minus with it: positive is better with it.

    Attributes:
        mean: in the losses' unit.
        low, high: ends of its 95 % interval.
        verdict: ``helps`` or ``harms`` if the interval leaves out 0.
    """

    mean: float
    low: float
    high: float
    verdict: Verdict


def effect(gains: list[Array], seed: int) -> Effect:
    """Return the effect of a factor.

    The interval is a bootstrap of both levels: pairs of twins are drawn, and of each pair rows, so that neither few
    seeds nor few rows pass for certainty.

    Args:
        gains: of each pair of twins ``(rows,)``, the loss of the twin without the factor minus that of the one with it.
        seed: of the bootstrap.
    """
    rng = keys.generator(seed, "effect")
    pairs, sums = len(gains), np.zeros(DRAWS)
    # Rows of a pair are resampled by the central limit: there are hundreds of them, of pairs only a few.
    means = np.array([np.mean(g) for g in gains])
    errors = np.array([np.std(g) / np.sqrt(len(g)) for g in gains])
    for _ in range(pairs):
        chosen = rng.integers(0, pairs, DRAWS)
        sums += means[chosen] + errors[chosen] * rng.standard_normal(DRAWS)
    low, high = np.percentile(sums / pairs, [2.5, 97.5])
    verdict: Verdict = "helps" if low > 0 else "harms" if high < 0 else "nothing measurable"
    return Effect(float(means.mean()), float(low), float(high), verdict)


class Interval(NamedTuple):
    """A mean with the ends of its interval, its standard error, and the p-value of its being 0."""

    mean: float
    low: float
    high: float
    error: float
    p: float

    @property
    def bound(self) -> float:
        """What the interval shows that the size of the effect does not exceed."""
        return max(-self.low, self.high)


def interval(
    values: Array,
    overlap: float = 0.0,
    common: float = 0.0,
    level: float = 0.95,
    *,
    fitted: int = 0,
    lean: float = 0.0,
) -> Interval:
    """Return the t-interval of the mean of paired differences.

    The variance of the mean is taken as ``s^2 (1/J + overlap + lean) + common``. Without the last three it is
    Student's, of independent differences; pairs that share rows vary less than their mean does.

    Args:
        values: ``(J,)``, at least two.
        overlap: what shared rows add as a share of ``s^2``, if no more is known of them: of test rows
            `popnet.ablation.row_overlap.Shared.overlap`, of training rows `popnet.course.material.Material.overlap`.
        common: what shared rows add by their own measurements, see `popnet.ablation.row_overlap.Shared.again` and
            ``common``.
        level: of the interval.
        fitted, lean: of differences that something was taken off, see `popnet.ablation.control_variate.Measured`.
    """
    values = np.asarray(values, float)
    pairs, mean = len(values), float(values.mean())
    free = pairs - 1 - fitted
    error = float(np.sqrt(spread_of(values, fitted) * (1 / pairs + overlap + lean) + common))
    if error == 0:
        return Interval(mean, mean, mean, 0.0, float(mean == 0))
    t = float(stats.t.ppf((1 + level) / 2, free))
    p = float(2 * stats.t.sf(abs(mean) / error, free))
    return Interval(mean, mean - t * error, mean + t * error, error, p)


def holm(p: Array) -> np.ndarray:
    """Return p-values corrected for their number (Holm 1979), ``(m,)``, in the order given."""
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    out = np.empty(len(p))
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(p) else steps
    return out
