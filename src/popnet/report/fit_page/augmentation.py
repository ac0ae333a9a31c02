"""Which transformations of images keep the class: what the twins say about each, and which are used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from popnet.report import format
from popnet.report.charts import axes
from popnet.report.charts.axes import Axis
from popnet.report.fit_page.facts import (
    AugmentationFacts,
    FitFacts,
    TransformationFacts,
    TwinsVerdict,
)
from popnet.report.format import is_number

VERDICTS: tuple[TwinsVerdict, ...] = (
    "helps", "harms", "no effect", "not decided", "not detectable",
)  # fmt: skip
TONES = {"helps": "good", "harms": "bad"}
CONFUSED_SHOWN = 3
QUARTILE_DISTANCES = 3.0
"""Beyond so many a value is not drawn in full, so that one great harm does not hide the rest."""


class Place(NamedTuple):
    """A row of the picture, in per cent; ``beyond`` is -1 or 1 where the dot itself lies outside."""

    at: float | None
    low: float | None
    high: float | None
    beyond: int


@dataclass(frozen=True)
class TransformationRow:
    """A row of the table: a transformation in words, its place in the picture, and its numbers as texts."""

    name: str
    at: float | None
    low: float | None
    high: float | None
    beyond: int
    gain: str
    interval: tuple[str, str]
    sort: float | str
    verdict: str
    tone: str
    confused: list[tuple[str, str, int]]
    used: bool


@dataclass(frozen=True)
class AugmentationSection:
    """The rows, best first, and how they were measured.

    ``summary`` says how many have each verdict, ``by_chance`` how many intervals miss the truth by chance, about.
    """

    axis: Axis
    zero: float
    rows: list[TransformationRow]
    beyond: bool
    classes: bool
    summary: list[tuple[int, str]]
    harmful: list[str]
    by_chance: int
    used: int
    pairs: int
    train: int
    valid: int
    error: str


def show(facts: FitFacts) -> AugmentationSection | None:
    """Return what the section shows; None where no twins were trained."""
    check = facts.augmentation
    if check is None or not check.transformations:
        return None
    classes = facts.target.task != "regression"
    unit = (
        100 if classes else 1
    )  # percentage points of wrong predictions, or the squared error itself
    tried = sorted(check.transformations, key=_gain, reverse=True)
    ends = [unit * v for t in tried for v in (t.gain, t.low, t.high) if is_number(v)]
    limits = axes.robust_limits(ends, QUARTILE_DISTANCES) if ends else ()
    axis = axes.axis([0.0, *limits], about=5)
    places = max((format.decimals(unit * t.gain) for t in tried if is_number(t.gain)), default=2)
    places = 2 if classes else places
    used = used_names(facts, check)
    rows = [_row(t, unit, axis, places, t.name in used) for t in tried]
    counts = [(sum(t.verdict == v for t in tried), v) for v in VERDICTS]
    return AugmentationSection(
        axis=axis,
        zero=axis.at(0.0),
        rows=rows,
        beyond=any(r.beyond for r in rows),
        classes=classes,
        summary=[(n, verdict) for n, verdict in counts if n],
        harmful=[t.words for t in tried if t.verdict == "harms"],
        by_chance=round(0.05 * len(tried)),
        used=sum(r.used for r in rows),
        pairs=check.pairs,
        train=check.train,
        valid=check.valid,
        error=format.percent(check.error) if classes else format.number(check.error),
    )


def used_names(facts: FitFacts, check: AugmentationFacts) -> set[str]:
    """Return the fields of the transformations that the nets use: the user's recipe may overrule the twins."""
    known = [r.recipe for r in facts.recipes]
    names = {t.name for t in check.transformations}
    if not any(names & r.keys() for r in known):
        return names & check.policy.keys()
    return {n for n in names if any(r.get(n) for r in known)}


def _row(
    t: TransformationFacts, unit: float, axis: Axis, places: int, used: bool
) -> TransformationRow:
    place = _place(t, unit, axis)
    confused = t.confused[:CONFUSED_SHOWN] if t.verdict == "harms" else []
    return TransformationRow(
        t.words,
        *place,
        gain=format.signed(_times(t.gain, unit), places),
        interval=(
            format.signed(_times(t.low, unit), places),
            format.signed(_times(t.high, unit), places),
        ),
        sort=_gain(t) * unit if is_number(t.gain) else "",
        verdict=t.verdict,
        tone=TONES.get(t.verdict, ""),
        confused=[(str(c.true), str(c.taken_for), c.more) for c in confused],
        used=used,
    )


def _gain(t: TransformationFacts) -> float:
    return t.gain if is_number(t.gain) else float("-inf")


def _times(value: object, unit: float) -> float | None:
    return unit * value if is_number(value) else None


def _place(t: TransformationFacts, unit: float, axis: Axis) -> Place:
    """Return a row's places; those outside the picture are put at its edge."""
    places = [axis.at(unit * v) if is_number(v) else None for v in (t.gain, t.low, t.high)]
    at, low, high = (None if p is None else min(max(p, 0.0), 100.0) for p in places)
    beyond = 0 if places[0] is None else (places[0] > 100) - (places[0] < 0)
    both = low is not None and high is not None
    return Place(at, low if both else None, high if both else None, beyond)
