"""Confidence intervals of paired differences: Student's over pairs of twins, and what their test rows add to it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from popnet.ablation.control_variate import Difference, spread_of
from popnet.ablation.row_overlap import RowOverlap
from popnet.types import Array


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
    leverage: float = 0.0,
    least: float = 0.0,
) -> Interval:
    """Return the t-interval of the mean of paired differences.

    The variance of the mean is taken as ``s^2 (1/J + overlap + leverage) + common``. Without the last three it is
    Student's, of independent differences; pairs that share rows vary less than their mean does.

    Args:
        values: ``(J,)``, at least two.
        overlap: what shared rows add as a share of ``s^2``, if no more is known of them: of test rows
            `popnet.ablation.row_overlap.RowOverlap.overlap`, of training rows
            `popnet.course.material.Material.overlap`.
        common: what shared rows add by their own measurements, see ``repeated_variance`` and ``common`` of
            `popnet.ablation.row_overlap.RowOverlap`.
        level: of the interval.
        fitted, leverage: of differences that something was taken off, see `popnet.ablation.control_variate.Difference`.
        least: a part of the variance of the mean that is known from more than the pairs. The interval is no narrower
            than a normal one of this variance, so that a few pairs that happen to agree do not pass for certainty.
    """
    values = np.asarray(values, float)
    pairs, mean = len(values), float(values.mean())
    free = pairs - 1 - fitted
    error = float(np.sqrt(spread_of(values, fitted) * (1 / pairs + overlap + leverage) + common))
    known = float(np.sqrt(least))
    if error == known == 0:
        return Interval(mean, mean, mean, 0.0, float(mean == 0))
    tail = (1 + level) / 2
    half = max(float(stats.t.ppf(tail, free)) * error, float(stats.norm.ppf(tail)) * known)
    p = max(
        float(2 * stats.t.sf(abs(mean) / error, free)) if error else 0.0,
        float(2 * stats.norm.sf(abs(mean) / known)) if known else 0.0,
    )
    return Interval(mean, mean - half, mean + half, max(error, known), p)


def twins_interval(found: Difference, shared: RowOverlap) -> Interval:
    """Return the 95 % interval of a difference of twins, the one that studies and checks of transformations use.

    It is Student's over the pairs. To the variance is added what rows that several pairs are tested on have in common,
    and it is no less than what the test rows alone make it.

    Args:
        found: the difference, of at least two pairs.
        shared: the rows that these pairs are tested on.
    """
    fitted, leverage = found.fitted, found.leverage
    if found.rows is None:
        return interval(found.values, shared.overlap, fitted=fitted, leverage=leverage)
    common = shared.repeated_variance(found.rows)
    least = shared.within(found.rows) / shared.pairs + common
    return interval(found.values, common=common, fitted=fitted, leverage=leverage, least=least)


def holm(p: Array) -> np.ndarray:
    """Return p-values corrected for their number (Holm 1979), ``(m,)``, in the order given."""
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    out = np.empty(len(p))
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(p) else steps
    return out
