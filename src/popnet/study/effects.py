"""What one factor changes: paired differences of twins, with their intervals and a verdict."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from popnet import keys
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
