"""Whether the model can be taken at its word: probabilities that come true, intervals that hold, errors by size."""

from __future__ import annotations

from dataclasses import dataclass

from popnet.report import format
from popnet.report.charts import axes
from popnet.report.charts.axes import Axis
from popnet.report.fit_page.facts import FitFacts
from popnet.report.format import is_number


@dataclass(frozen=True)
class PromiseMark:
    """What was promised (across) and what came of it (up), with the ends of its interval, in per cent."""

    x: float
    y: float
    low: float
    high: float
    off: bool
    tip: str


@dataclass(frozen=True)
class Promises:
    """A square picture of promises and what came of them; ``off`` says how many are certainly not kept."""

    x: Axis
    y: Axis
    marks: list[PromiseMark]
    off: int


@dataclass(frozen=True)
class ErrorMark:
    """Errors of rows of similar predictions: places of the mean, of its interval's ends, and of the 5 % and 95 %."""

    x: float
    mean: float
    low: float
    high: float
    bottom: float
    top: float
    off: bool
    tip: str


@dataclass(frozen=True)
class ErrorsPicture:
    """Errors against predictions: marks by bins, dots of single rows, and the place of 0.

    ``band`` is the outline of what nine of ten errors lie in, ``outside`` the number of dots that have no place.
    """

    x: Axis
    y: Axis
    zero: float
    marks: list[ErrorMark]
    band: str
    dots: list[tuple[float, float]]
    outside: int
    off: int


@dataclass(frozen=True)
class CoverageRow:
    """Intervals of one coverage: what they promise, what they contain with its interval, and their width."""

    promised: str
    share: str
    interval: tuple[str, str]
    width: str
    off: bool


@dataclass(frozen=True)
class CalibrationSection:
    """What the section shows: probabilities of classes, or errors and intervals of a number.

    ``what`` names the event whose probabilities are compared. ``error`` is the calibration error.
    """

    what: str
    probabilities: Promises | None
    error: str
    errors: ErrorsPicture | None
    intervals: Promises | None
    coverage: list[CoverageRow]


def show(facts: FitFacts) -> CalibrationSection | None:
    """Return what the section shows; None if nothing is known."""
    seen = facts.evidence
    if seen is None or not (seen.reliability or seen.errors or seen.coverage):
        return None
    binary = facts.target.task == "binary" and len(facts.target.classes) == 2
    rows = [
        CoverageRow(
            format.percent(c.promised),
            format.percent(c.share),
            (format.percent(c.low), format.percent(c.high)),
            format.number(c.width, 3),
            not c.low <= c.promised <= c.high,
        )
        for c in seen.coverage
    ]
    return CalibrationSection(
        what=str(facts.target.classes[1]) if binary else "",
        probabilities=_probabilities(facts),
        error=format.score(facts.metrics.get("ece"), 3),
        errors=_errors(facts),
        intervals=_intervals(facts),
        coverage=rows,
    )


def _square(marks: list[tuple[float, float, float, float, bool, str]]) -> Promises | None:
    """Return the picture of (promised, happened, low, high, off, tip)."""
    if not marks:
        return None
    x = axes.axis([0.0, 1.0], about=5, padding=0)
    y = axes.axis([0.0, 1.0], about=5, padding=0, upward=True)
    return Promises(
        x,
        y,
        [
            PromiseMark(x.at(a), y.at(b), y.at(low), y.at(high), off, tip)
            for a, b, low, high, off, tip in marks
        ],
        sum(off for *_, off, _ in marks),
    )


def _probabilities(facts: FitFacts) -> Promises | None:
    assert facts.evidence is not None
    return _square(
        [
            (
                b.predicted, b.happened, b.low, b.high, b.off != 0,
                f"predicted {format.percent(b.predicted)}, happened {format.percent(b.happened)} "
                f"({format.percent(b.low)} to {format.percent(b.high)}), {format.count(b.rows, 'row')}",
            )
            for b in facts.evidence.reliability
        ]
    )  # fmt: skip


def _intervals(facts: FitFacts) -> Promises | None:
    assert facts.evidence is not None
    return _square(
        [
            (
                c.promised, c.share, c.low, c.high, not c.low <= c.promised <= c.high,
                f"intervals of {format.percent(c.promised)} contain {format.percent(c.share)} of the true values "
                f"({format.percent(c.low)} to {format.percent(c.high)})",
            )
            for c in facts.evidence.coverage
        ]
    )  # fmt: skip


def _errors(facts: FitFacts) -> ErrorsPicture | None:
    assert facts.evidence is not None
    bins = facts.evidence.errors
    if not bins:
        return None
    single = _single(facts)
    limits = axes.robust_limits(
        [*(p for p, _ in single), *(b.predicted for b in bins)], quartile_distances=6
    )
    x = axes.axis(limits, about=5, padding=0.02)
    ends = [v for b in bins for v in (b.bottom, b.top, b.low, b.high)]
    errors = [e for _, e in single] or ends
    low, high = axes.robust_limits(errors, quartile_distances=5)
    y = axes.axis([0.0, min(low, *ends), max(high, *ends)], about=5, upward=True)
    inside = [(p, e) for p, e in single if x.low <= p <= x.high and y.low <= e <= y.high]
    marks = [
        ErrorMark(
            x.at(b.predicted), y.at(b.mean), y.at(b.low), y.at(b.high), y.at(b.bottom), y.at(b.top), b.off != 0,
            f"predicted about {format.number(b.predicted, 3)}: true values are {format.number(abs(b.mean), 3)} "
            f"{'higher' if b.mean > 0 else 'lower'} on average (error {_signed(b.low)} to {_signed(b.high)}); nine of "
            f"ten errors lie between {_signed(b.bottom)} and {_signed(b.top)}",
        )
        for b in bins
    ]  # fmt: skip
    outline = [(m.x, m.top) for m in marks] + [(m.x, m.bottom) for m in reversed(marks)]
    return ErrorsPicture(
        x=x,
        y=y,
        zero=y.at(0.0),
        marks=marks,
        band=" ".join(f"{a:g},{b:g}" for a, b in outline),
        dots=[(x.at(p), y.at(e)) for p, e in inside],
        outside=len(single) - len(inside),
        off=sum(m.off for m in marks),
    )


def _signed(value: float) -> str:
    text = format.number(value, 3)
    return f"+{text}" if value > 0 else text


def _single(facts: FitFacts) -> list[tuple[float, float]]:
    """Return prediction and error of the sampled rows of a single target."""
    sample = facts.predictions
    if sample is None:
        return []
    return [
        (p, t - p)
        for t, p in zip(sample.true, sample.predicted, strict=True)
        if is_number(t) and is_number(p)
    ]
