"""Axes of dates: ticks at the beginning of years, months, days or hours."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Iterator

from popnet.report.charts.axes import Axis, Tick, axis
from popnet.report.format import number

MOST = 5
"""Ticks at most."""

STEPS: tuple[tuple[str, int, str], ...] = (
    ("hour", 1, "%H:%M"), ("hour", 6, "%d %b %H:%M"), ("day", 1, "%d %b"), ("day", 7, "%d %b"),
    ("month", 1, "%b %Y"), ("month", 3, "%b %Y"), ("month", 6, "%b %Y"), ("year", 1, "%Y"), ("year", 2, "%Y"),
    ("year", 5, "%Y"), ("year", 10, "%Y"), ("year", 25, "%Y"), ("year", 50, "%Y"), ("year", 100, "%Y"),
)  # fmt: skip
"""Distances of ticks, and how they are written."""

HOUR = 3600.0
SECONDS = {"hour": HOUR, "day": 24 * HOUR, "month": 30 * 24 * HOUR, "year": 365 * 24 * HOUR}
LAST = dt.datetime(9999, 1, 1)
EPOCH = dt.datetime(1970, 1, 1)


def time_axis(values: Iterable[float]) -> Axis:
    """Return an axis over seconds since 1970; of times beyond the calendar the ticks are plain numbers."""
    bare = axis(values, padding=0.02)
    span = bare.high - bare.low
    for unit, step, written in STEPS:
        if span / (step * SECONDS[unit]) > MOST + 1:
            continue
        marks = list(_marks(bare.low, unit, step, bare.high))
        if 1 <= len(marks) <= MOST:
            ticks = tuple(Tick(bare.at(_seconds(m)), m.strftime(written)) for m in marks)
            return bare._replace(ticks=ticks)
    return bare


def day(seconds: float) -> str:
    """Return the day of seconds since 1970: ``2024-05-31``."""
    try:
        return (EPOCH + dt.timedelta(seconds=seconds)).date().isoformat()
    except OverflowError:
        return number(seconds)


def _marks(low: float, unit: str, step: int, high: float) -> Iterator[dt.datetime]:
    """Yield the round moments between two."""
    try:
        at, _ = (EPOCH + dt.timedelta(seconds=end) for end in (low, high))
    except OverflowError:
        return
    at = at.replace(minute=0, second=0, microsecond=0)
    if unit != "hour":
        at = at.replace(hour=0)
    for k in itertools.count():
        if unit in ("hour", "day"):
            start = at.replace(hour=at.hour - at.hour % step) if unit == "hour" else at
            found = start + k * step * dt.timedelta(seconds=SECONDS[unit])
        else:
            months = step if unit == "month" else 12 * step
            first = (12 * at.year + at.month - 1) // months * months + k * months
            year, month = divmod(first, 12)
            if not 1 <= year < LAST.year:
                return
            found = dt.datetime(year, month + 1, 1)
        if found > LAST or _seconds(found) > high:
            return
        if _seconds(found) >= low:
            yield found


def _seconds(moment: dt.datetime) -> float:
    return (moment - EPOCH).total_seconds()
