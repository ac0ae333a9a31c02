"""What one factor changes: paired differences of twins, with their intervals and a verdict."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

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


class Interval(NamedTuple):
    """A mean with the ends of its interval, its standard error, and the p-value of its being 0."""

    mean: float
    low: float
    high: float
    error: float
    p: float


def interval(values: Array, overlap: float = 0.0, level: float = 0.95) -> Interval:
    """Return the t-interval of the mean of paired differences.

    Differences of cross-validation share training rows, so they vary less than those of independent samples would. The
    variance of their mean is taken as ``s^2 (1/J + overlap)`` with ``overlap = n_test / n_train`` (Nadeau and Bengio
    2003, Inference for the generalization error); 0 for independent ones.

    Args:
        values: ``(J,)``, at least two.
        overlap: test rows over training rows of a difference.
        level: of the interval.
    """
    values = np.asarray(values, float)
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    error = spread * float(np.sqrt(1 / len(values) + overlap))
    if error == 0:
        return Interval(mean, mean, mean, 0.0, float(mean == 0))
    t = float(stats.t.ppf((1 + level) / 2, len(values) - 1))
    p = float(2 * stats.t.sf(abs(mean) / error, len(values) - 1))
    return Interval(mean, mean - t * error, mean + t * error, error, p)


def holm(p: Array) -> np.ndarray:
    """Return p-values corrected for their number (Holm 1979), ``(m,)``, in the order given."""
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    out = np.empty(len(p))
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(p) else steps
    return out
