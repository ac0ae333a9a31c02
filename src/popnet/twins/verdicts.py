"""What a study says of an effect, and how many pairs it takes to say it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import stats

from popnet.twins.effects import Interval
from popnet.twins.shared import Shared
from popnet.types import Array

Said = Literal["helps", "harms", "no effect", "not decided", "not detectable"]

LEVEL = 0.05
"""Of Holm's test over all comparisons of a study."""


def verdict(found: Interval, corrected_p: float, detect: float, floor: float) -> Said:
    """Say what a factor does.

    Args:
        found: the mean gain (positive is better with the level) and its interval.
        corrected_p: p-value, corrected for the number of comparisons.
        detect: smallest effect that matters.
        floor: half width of the interval that would be left with endless pairs (see `floor_of`).

    Returns:
        ``helps`` or ``harms``: it is not 0, after the correction; ``no effect``: the interval lies within -detect to
        detect; ``not detectable``: with these rows no number of pairs would show an effect of that size; ``not
        decided``: more pairs may.
    """
    if corrected_p < LEVEL:
        return "helps" if found.mean > 0 else "harms"
    if -detect < found.low and found.high < detect:
        return "no effect"
    return "not detectable" if floor > detect else "not decided"


def floor_of(own: float, rows: int) -> float:
    """Return the half width of a 95 % interval that is left with endless pairs: the rows are no more for that.

    Args:
        own: variance of what rows have of their own, of `popnet.twins.shared.Shared.own`.
        rows: that can be tested.
    """
    return 1.96 * float(np.sqrt(own / rows))


def pairs_needed(
    values: Array, between: float, designs: Sequence[Shared], detect: float
) -> int | None:
    """Return the pairs after which a 95 % interval's half width is ``detect``; None if no design has enough.

    Args:
        values: ``(J,)``, paired differences of a pilot.
        between: variance between rows, of `popnet.twins.shared.Shared.between`.
        designs: what would be tested, the fewest pairs first.
        detect: half width asked for.
    """
    variance = float(np.var(values, ddof=1))
    for shared in designs:
        t = float(stats.t.ppf(0.975, shared.pairs - 1))
        if t * np.sqrt(variance / shared.pairs + between * shared.weight) <= detect:
            return shared.pairs
    return None
