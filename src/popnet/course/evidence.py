"""From measurements to intervals and verdicts; how both are written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from popnet.ablation.intervals import Interval as Interval
from popnet.ablation.intervals import interval as interval
from popnet.ablation.row_overlap import RowOverlap
from popnet.course.base import Part, Verdict
from popnet.report.format import fixed, number
from popnet.types import Array

MIN_KNOWN = 3


def crossed(values: Array, overlap: float = 0.0, level: float = 0.95) -> Interval:
    """Return the interval of a mean over repetitions and rows: of other nets on other rows.

    Repetitions have training rows and seeds of their own, and all are judged on the same rows, so the mean varies with
    both, and the variance of each is estimated by the means of the other (see `popnet.ablation.row_overlap`); what is
    neither counts twice, so the interval is a little too wide (Owen 2007, The pigeonhole bootstrap). Student's t has
    the repetitions' degrees of freedom.

    Args:
        values: ``(J, N)``, a number of each repetition and row, such as the difference of two losses.
        overlap: of training rows, see `popnet.ablation.intervals.interval`.
        level: of the interval.
    """
    values = np.asarray(values, float)
    repeats, rows = values.shape
    shared = RowOverlap.of([np.arange(rows)] * repeats)
    return interval(values.mean(1), overlap, shared.common(values.ravel()), level)


def of_known(values: Array, overlap: float = 0.0) -> Interval:
    """Return `popnet.ablation.intervals.interval` of the repetitions ``(J,)`` in which something could be measured.

    Of fewer than `MIN_KNOWN` there is none: its ends are NaN, and nothing is decided by it.
    """
    values = np.asarray(values, float)
    known = values[np.isfinite(values)]
    if len(known) < MIN_KNOWN:
        nan = float("nan")
        return Interval(nan, nan, nan, nan, nan)
    return interval(known, overlap)


def above(found: Interval, threshold: float = 0.0) -> Verdict:
    """Return ``holds`` if the whole interval is above a threshold, ``does not hold`` if all of it is not."""
    if found.low > threshold:
        return "holds"
    return "does not hold" if found.high <= threshold else "not decided"


def below(found: Interval, threshold: float = 0.0) -> Verdict:
    """Return ``holds`` if the whole interval is below a threshold, ``does not hold`` if all of it is not."""
    if found.high < threshold:
        return "holds"
    return "does not hold" if found.low >= threshold else "not decided"


def gains(found: Interval, least: float) -> Verdict:
    """Return ``holds`` if a gain is above 0, ``does not hold`` if it is surely below the least that is worth a word."""
    if found.low > 0:
        return "holds"
    return "does not hold" if found.high < least else "not decided"


def alone(names: Sequence[str], found: Sequence[Interval], least: float) -> tuple[Part, ...]:
    """Return what is told beside a claim about a mean: the same gain of each of its parts alone.

    Args:
        names: of the parts, as ``tanh`` or ``16 trials``.
        found: gains in the error.
        least: see `gains`.
    """
    return tuple(
        Part(
            f"the same with {name} alone",
            f"with {name} {points(e)}",
            gains(e, least),
            e,
            main=False,
        )
        for name, e in zip(names, found, strict=True)
    )


def mean_known(values: Array) -> np.ndarray:
    """Return each repetition's mean ``(J,)`` over what is finite of ``(J, ...)``; NaN where nothing is."""
    flat = np.asarray(values, float).reshape(len(values), -1)
    known = np.isfinite(flat)
    total = np.where(known, flat, 0.0).sum(1)
    return np.where(known.any(1), total / np.maximum(known.sum(1), 1), np.nan)


Band = tuple[list[float], list[float], list[float]]
"""Of a curve: means, and lower and upper ends of their intervals."""


def mean_band(values: Array) -> Band:
    """Return mean and 95 % t-interval over repetitions ``(J, P)`` of each of P points, for a curve.

    Repetitions in which a point could not be measured (NaN) are left out of it; one that is left alone has no interval.
    """
    found: tuple[list[float], ...] = ([], [], [])
    for column in np.asarray(values, float).T:
        known = column[np.isfinite(column)]
        mean = float(known.mean()) if len(known) else float("nan")
        half = 0.0
        if len(known) > 1:
            half = float(stats.t.ppf(0.975, len(known) - 1) * known.std(ddof=1) / len(known) ** 0.5)
        for place, value in zip(found, (mean, mean - half, mean + half), strict=True):
            place.append(value)
    return found[0], found[1], found[2]


def log_band(values: Array) -> Band:
    """Return `mean_band` of logarithms, as plain numbers again."""
    mean, low, high = mean_band(np.log10(np.maximum(values, 1e-30)))
    return [10**v for v in mean], [10**v for v in low], [10**v for v in high]


def points(found: Interval) -> str:
    """Write shares as points: ``2.1 points (1.0 to 3.2)``."""
    mean, low, high = (fixed(100 * v, 1) for v in found[:3])
    return f"{mean} points ({low} to {high})"


def percents(found: Interval) -> str:
    """Write shares as per cent: ``2.1 % (1.0 to 3.2 %)``."""
    mean, low, high = (fixed(100 * v, 1) for v in found[:3])
    return f"{mean} % ({low} to {high} %)"


def plain(found: Interval, digits: int = 3, unit: str = "") -> str:
    """Write numbers: ``0.31 (0.25 to 0.37)``."""
    mean, low, high = (number(float(v), digits) for v in found[:3])
    return f"{mean}{unit and ' ' + unit} ({low} to {high})"


def times(found: Interval, digits: int = 2) -> str:
    """Write an interval of decimal logarithms as factors: ``0.012 (0.010 to 0.015)``."""
    mean, low, high = (number(float(10**v), digits) for v in found[:3])
    return f"{mean} ({low} to {high})"
