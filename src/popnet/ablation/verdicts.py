"""What a study says of an effect, how many pairs it takes to say it, and what so many pairs can say.

A number of pairs is enough for an effect size if a factor that does nothing is shown to do no more than that (both
one-sided tests of equivalence, Schuirmann 1987), and an effect of that size is found, each with a stated power.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Literal, NamedTuple, get_args

import numpy as np
from scipy import stats

from popnet.ablation.control_variate import spread_of
from popnet.ablation.intervals import Interval
from popnet.ablation.row_overlap import PARTS, RowOverlap
from popnet.types import Array

EffectVerdict = Literal["helps", "harms", "no effect", "not decided", "not detectable"]

EFFECT_VERDICTS: tuple[EffectVerdict, ...] = get_args(EffectVerdict)
"""All of them, in the order in which they are told."""

ALPHA, ALPHA_SMALL = 0.05, 0.001
"""Significance level of the test of an effect; and of one that is certainly below what matters."""

DETECT_SHARE, MIN_DETECT = 0.05, 0.001
"""The effect that matters, unless the user says which: a share of the base's error, at least a tenth of a point."""

NULL_POWER, POWER = 0.98, 0.8
"""How often a factor that does nothing is to be shown to have no effect, and an effect that matters is to be found."""


def verdict_of(found: Interval, corrected_p: float, detect: float, floor: float) -> EffectVerdict:
    """Say what a factor does.

    Args:
        found: the mean gain (positive is better with the level) and its interval.
        corrected_p: p-value, corrected for the number of comparisons.
        detect: smallest effect that matters.
        floor: half width of the interval that would be left with endless pairs (see `Spread.floor`).

    Returns:
        ``helps`` or ``harms``: it is not 0, after the correction, at `ALPHA`, or at `ALPHA_SMALL` if the interval lies
        within -detect to detect; ``no effect``: the interval does, so the effect is at most `Interval.bound`; ``not
        detectable``: with these rows no number of pairs would show that; ``not decided``: more pairs may.
    """
    small = found.bound < detect
    if corrected_p < (ALPHA_SMALL if small else ALPHA):
        return "helps" if found.mean > 0 else "harms"
    if small:
        return "no effect"
    return "not detectable" if floor > detect else "not decided"


def effect_that_matters(base_error: float) -> float:
    """Return the smallest effect that matters, unless the user says which: a share of the error without the factor."""
    return max(MIN_DETECT, DETECT_SHARE * base_error)


def detectable_effect_in_se(comparisons: int, pairs: int | None = None) -> float:
    """Return the effect, in standard errors, that is both found and told from nothing.

    To be told from nothing, the interval of a factor without an effect must lie within the effect, ``t_.975 + z`` with
    z of `NULL_POWER`; to be found, it must stand the first step of Holm's correction, ``t + z`` with z of `POWER`.

    Args:
        comparisons: of the study.
        pairs: whose spread gives the error; None if it is known.
    """
    free = np.inf if pairs is None else pairs - 1
    shown = stats.t.ppf(0.975, free) + stats.norm.ppf((1 + NULL_POWER) / 2)
    found = stats.t.ppf(1 - ALPHA / 2 / comparisons, free) + stats.norm.ppf(POWER)
    return float(max(shown, found))


class Spread(NamedTuple):
    """What makes the mean of paired differences uncertain.

    Attributes:
        pairs: variance of a pair's difference.
        rows: variance of what rows have of their own, of `popnet.ablation.row_overlap.RowOverlap.row_variance`.
        least: what that is at least, by two of its standard errors.
    """

    pairs: float
    rows: float
    least: float

    @classmethod
    def of(cls, values: Array, shared: RowOverlap, fitted: int = 0) -> Spread:
        """Return the spread of some pairs.

        A few pairs may happen to agree; their variance is no less than what the rows of a pair make it, which many
        rows tell.

        Args:
            values: ``(T,)``, the difference of each test.
            shared: rows that at least two pairs are compared on.
            fitted: of the values, see `popnet.ablation.control_variate.Difference`.
        """
        between = spread_of([p.mean() for p in shared.parts(values)], fitted)
        own = shared.row_variance(values)
        return cls(max(between, shared.within(values)), own, shared.row_variance(values, doubt=2.0))

    def error(self, pairs: int, weight: float) -> float:
        """Return the standard error of the mean of so many pairs, their rows of a `RowOverlap.weight`."""
        return float(np.sqrt(self.pairs / pairs + PARTS * weight * self.rows))

    def floor(self, rows: int) -> float:
        """Return the half width of a 95 % interval that at least is left with endless pairs of so many rows."""
        return 1.96 * float(np.sqrt(PARTS * self.least / rows))

    def rows_needed(self, size: float, comparisons: int) -> int:
        """Return the rows below which surely no number of pairs is enough for an effect of that size."""
        return ceil(PARTS * self.least * (detectable_effect_in_se(comparisons) / size) ** 2)

    def pairs_needed(
        self, designs: Iterable[tuple[int, float]], size: float, comparisons: int
    ) -> int | None:
        """Return the pairs that are enough for an effect of that size; None if no design has.

        Args:
            designs: pairs, and `popnet.ablation.row_overlap.RowOverlap.weight`; the fewest pairs first.
            size: of the effect.
            comparisons: of the study.
        """
        for pairs, weight in designs:
            if detectable_effect_in_se(comparisons, pairs) * self.error(pairs, weight) <= size:
                return pairs
        return None


class PairPlan(NamedTuple):
    """How far a study goes.

    Attributes:
        pairs: to train.
        shows: the effect that these are enough for, of every level.
        rows: that would be needed for the effect asked for; 0 if more rows are not what is lacking.
    """

    pairs: int
    shows: float
    rows: int
