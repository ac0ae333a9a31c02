"""From measurements to intervals and verdicts; how both are written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from popnet.ablation.intervals import Interval as Interval
from popnet.ablation.intervals import interval as interval
from popnet.ablation.row_overlap import RowOverlap
from popnet.course.base import ClaimVerdict, Criterion
from popnet.report.format import fixed, number
from popnet.types import Array

MIN_KNOWN = 3


def crossed_interval(values: Array, overlap: float = 0.0, level: float = 0.95) -> Interval:
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


def known_interval(values: Array, overlap: float = 0.0) -> Interval:
    """Return `popnet.ablation.intervals.interval` of the repetitions ``(J,)`` in which something could be measured.

    Of fewer than `MIN_KNOWN` there is none: its ends are NaN, and nothing is decided by it.
    """
    values = np.asarray(values, float)
    known = values[np.isfinite(values)]
    if len(known) < MIN_KNOWN:
        nan = float("nan")
        return Interval(nan, nan, nan, nan, nan)
    return interval(known, overlap)


def holds_above(found: Interval, threshold: float = 0.0) -> ClaimVerdict:
    """Return ``holds`` if the whole interval is above a threshold, ``does not hold`` if all of it is not."""
    if found.low > threshold:
        return "holds"
    return "does not hold" if found.high <= threshold else "not decided"


def holds_below(found: Interval, threshold: float = 0.0) -> ClaimVerdict:
    """Return ``holds`` if the whole interval is below a threshold, ``does not hold`` if all of it is not."""
    if found.high < threshold:
        return "holds"
    return "does not hold" if found.low >= threshold else "not decided"


def holds_for_gain(found: Interval, min_gain: float) -> ClaimVerdict:
    """Return ``holds`` if a gain is above 0, ``does not hold`` if its interval lies below the smallest that matters."""
    if found.low > 0:
        return "holds"
    return "does not hold" if found.high < min_gain else "not decided"


def side_criteria(
    names: Sequence[str], found: Sequence[Interval], min_gain: float
) -> tuple[Criterion, ...]:
    """Return criteria that are shown beside one about a mean gain: the gain of each case alone.

    Args:
        names: of the cases, as ``tanh`` or ``16 trials``.
        found: gains in the error.
        min_gain: see `holds_for_gain`.
    """
    return tuple(
        Criterion(
            f"the same with {name} alone",
            f"with {name} by {as_points(e)}",
            holds_for_gain(e, min_gain),
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


def as_points(found: Interval) -> str:
    """Write shares as points: ``2.1 points (1.0 to 3.2)``."""
    mean, low, high = (fixed(100 * v, 1) for v in found[:3])
    return f"{mean} points ({low} to {high})"


def as_percent(found: Interval) -> str:
    """Write shares as per cent: ``2.1 % (1.0 to 3.2 %)``."""
    mean, low, high = (fixed(100 * v, 1) for v in found[:3])
    return f"{mean} % ({low} to {high} %)"


def as_number(found: Interval, digits: int = 3, unit: str = "") -> str:
    """Write numbers: ``0.31 (0.25 to 0.37)``."""
    mean, low, high = (number(float(v), digits) for v in found[:3])
    return f"{mean}{unit and ' ' + unit} ({low} to {high})"


def as_factor(found: Interval, digits: int = 2) -> str:
    """Write an interval of decimal logarithms as factors: ``0.012 (0.010 to 0.015)``."""
    mean, low, high = (number(float(10**v), digits) for v in found[:3])
    return f"{mean} ({low} to {high})"
