"""Where the time went."""

from __future__ import annotations

from dataclasses import dataclass

from popnet.report import format
from popnet.report.charts import axes
from popnet.report.fit_page.facts import FitFacts
from popnet.report.format import is_number


@dataclass(frozen=True)
class TimePart:
    """A part of the time: its name, how long it took, and its place in the bar, in per cent."""

    name: str
    text: str
    start: float
    width: float


@dataclass(frozen=True)
class Timing:
    """The parts of the time, and how long compiling took within training."""

    parts: list[TimePart]
    compiling: str


def show(facts: FitFacts) -> Timing:
    """Return the parts of the run's time, which make up the whole, and the time of compiling within training."""
    s = facts.seconds
    # Compiling is a part of training and is summed over threads, so it has no place of its own in the sum.
    parts = [
        (name, max(v, 0.0))
        for name, v in (("reading", s.reading), ("training", s.training))
        if is_number(v)
    ]
    known = sum(v for _, v in parts)
    rest = s.total - known if is_number(s.total) else 0.0
    if rest > 0.005 * known and rest > 0.05:
        parts.append(("everything else", rest))
    places = axes.shares([v for _, v in parts])
    compiled = is_number(s.compiling) and s.compiling > 0
    return Timing(
        parts=[
            TimePart(name, format.duration(v), *place)
            for (name, v), place in zip(parts, places, strict=True)
        ],
        compiling=format.duration(s.compiling) if compiled else "",
    )
