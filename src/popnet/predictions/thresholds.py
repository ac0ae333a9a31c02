"""What becomes of the rows of two classes at each threshold: the counts that ROC and precision-recall curves, and the
confusion matrix of any threshold, are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MAX_THRESHOLDS = 200
"""Thresholds that are kept of more, half of them by the rows of either class: curves look the same with all of them."""

DIGITS = 4
"""Significant digits of a threshold, or of what it lacks of 1: what a page shows is what was counted."""


@dataclass(frozen=True)
class ThresholdCounts:
    """Rows that are taken for the second of two classes, by the threshold that their probability is above.

    Attributes:
        thresholds: ascending, from 0; the last one no probability is above.
        found: rows of the second class that are taken for it (true positives), by threshold.
        mistaken: rows of the first class that are taken for the second (false positives), by threshold.
        positives: rows of the second class.
        negatives: rows of the first class.
    """

    thresholds: list[float]
    found: list[int]
    mistaken: list[int]
    positives: int
    negatives: int


def threshold_counts(
    positive: np.ndarray, probability: np.ndarray, keep: Sequence[float] = ()
) -> ThresholdCounts:
    """Count the rows of both classes above each of at most `MAX_THRESHOLDS` thresholds, and above those to keep.

    Args:
        positive: ``(N,)`` booleans, whether a row is of the second class.
        probability: ``(N,)``, of the second class.
        keep: thresholds that are among them, as the one that the model decides by.
    """
    positive, probability = np.asarray(positive, bool), np.asarray(probability, np.float64)
    rounded = _rounded(probability)
    distinct = np.unique(rounded)
    if len(distinct) > MAX_THRESHOLDS:
        shares = np.linspace(0, 1, MAX_THRESHOLDS // 2)
        sides = [rounded[positive], rounded[~positive]]
        distinct = np.concatenate(
            [np.quantile(side, shares, method="nearest") for side in sides if len(side)]
        )
    last = distinct.max(initial=0.0)
    last = 1.0 if (probability > last).any() else float(last)
    thresholds = np.unique(np.concatenate([[0.0, last], distinct, list(keep)]))

    def above(side: np.ndarray) -> list[int]:
        ordered = np.sort(probability[side])
        return (len(ordered) - np.searchsorted(ordered, thresholds, side="right")).tolist()

    return ThresholdCounts(
        thresholds.tolist(),
        above(positive),
        above(~positive),
        int(positive.sum()),
        int((~positive).sum()),
    )


def _rounded(probability: np.ndarray) -> np.ndarray:
    """Return probabilities with `DIGITS` significant digits; near 1 they are digits of the distance from it."""
    rest = np.minimum(probability, 1 - probability)
    power = np.floor(np.log10(np.clip(rest, 1e-12, None)))
    unit = 10.0 ** (power - DIGITS + 1)
    short = np.round(np.round(rest / unit) * unit, 15)
    return np.where(probability > 0.5, np.round(1 - short, 15), short)
