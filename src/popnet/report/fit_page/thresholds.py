"""Two classes at every threshold: ROC and precision-recall curves, and the counts that a slider shows."""

from __future__ import annotations

import json
from dataclasses import dataclass

from popnet.report import format
from popnet.report.charts import axes
from popnet.report.charts.axes import Axis
from popnet.report.fit_page.facts import Evidence, FitFacts
from popnet.report.format import is_number

Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """A curve with an area: its points for SVG, and the place of the model's own threshold, in per cent."""

    lines: list[str]
    chosen: Point | None
    area: str


@dataclass(frozen=True)
class ThresholdSection:
    """What is shown of two classes.

    Attributes:
        positive: the second class.
        share: its share of the rows: what the precision of guessing is, as text and as a place in per cent.
        roc: found rows of the second class against mistaken rows of the first.
        pr: precision against recall.
        unit: axis of either.
        up: the same, upward.
        counts: as JSON, for the slider: `popnet.predictions.thresholds.ThresholdCounts` and the place of the model's
            threshold among them.
        chosen: the model's threshold.
        last: place of the last threshold.
        place: place of the model's threshold.
    """

    positive: str
    share: tuple[str, float]
    roc: Curve
    pr: Curve
    unit: Axis
    up: Axis
    counts: str
    chosen: str
    last: int
    place: int


def show(facts: FitFacts) -> ThresholdSection | None:
    """Return the curves of two classes; None where nothing is known of them, or one of them has no row."""
    seen = facts.evidence
    if seen is None or seen.thresholds is None or not is_number(seen.threshold):
        return None
    known = seen.thresholds
    if not (known.positives and known.negatives):
        return None
    place = known.thresholds.index(seen.threshold)
    unit = axes.axis([0.0, 1.0], about=5, padding=0)
    up = axes.axis([0.0, 1.0], about=5, padding=0, upward=True)
    found = [n / known.positives for n in known.found]
    mistaken = [n / known.negatives for n in known.mistaken]
    precise = [
        a / (a + b) if a + b else None for a, b in zip(known.found, known.mistaken, strict=True)
    ]
    base = known.positives / (known.positives + known.negatives)
    at = precise[place]
    return ThresholdSection(
        positive=str(facts.target.classes[1]),
        share=(format.percent(base), up.at(base)),
        roc=Curve(
            axes.lines([1.0, *mistaken], [1.0, *found], unit, up),
            (unit.at(mistaken[place]), up.at(found[place])),
            format.score(facts.metrics.get("roc_auc"), 3),
        ),
        pr=Curve(
            axes.lines([1.0, *found], [base, *precise], unit, up),
            None if at is None else (unit.at(found[place]), up.at(at)),
            format.score(facts.metrics.get("average_precision"), 3),
        ),
        unit=unit,
        up=up,
        counts=_counts(seen, place),
        chosen=format.number(seen.threshold),
        last=len(known.thresholds) - 1,
        place=place,
    )


def _counts(seen: Evidence, place: int) -> str:
    known = seen.thresholds
    assert known is not None
    content = {
        "thresholds": known.thresholds,
        "found": known.found,
        "mistaken": known.mistaken,
        "positives": known.positives,
        "negatives": known.negatives,
        "chosen": place,
    }
    return json.dumps(content, separators=(",", ":"))
