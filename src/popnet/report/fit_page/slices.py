"""For which groups of rows the model is worse than for the others."""

from __future__ import annotations

from dataclasses import dataclass

from popnet.predictions.slices import SliceFound
from popnet.report import format
from popnet.report.charts import forest
from popnet.report.charts.forest import Forest
from popnet.report.document import Dot, Dots
from popnet.report.fit_page.facts import FitFacts, LossName

LOSSES: dict[LossName, str] = {
    "wrong": "share of wrong predictions",
    "absolute": "mean absolute error",
    "scaled": "mean absolute error in standard deviations of each target",
}


@dataclass(frozen=True)
class SliceRow:
    """A group: which rows, how many, the loss there and elsewhere, and the difference with its interval."""

    column: str
    label: str
    rows: int
    share: str
    loss: str
    rest: str
    worse: str
    interval: tuple[str, str]
    sort: float


@dataclass(frozen=True)
class SlicesSection:
    """What the section shows; ``picture`` is None where no group is worse. ``hidden``: groups that are not told."""

    loss: str
    rows: list[SliceRow]
    picture: Forest | None
    hidden: int
    looked: int
    columns: int
    of: int


def show(facts: FitFacts) -> SlicesSection | None:
    """Return the groups that are worse; None if no group was looked at."""
    worse = facts.evidence.worse if facts.evidence else None
    if worse is None or not worse.slices.looked:
        return None
    found, name = worse.slices.found, worse.loss
    rows = [_row(s, name, worse.slices.rows) for s in found]
    unit = 100.0 if name == "wrong" else 1.0
    axis = "difference to all other rows, right is worse" + (
        ": percentage points" if name == "wrong" else ""
    )
    dots = tuple(
        Dot(
            f"{s.column}: {s.label}", unit * s.worse, unit * s.low, unit * s.high,
            f"+{_difference(s.worse, name)}", "bad",
        )
        for s in found
    )  # fmt: skip
    return SlicesSection(
        loss=LOSSES[name],
        rows=rows,
        picture=forest.show(Dots(dots, axis)) if found else None,
        hidden=worse.slices.total - len(found),
        looked=worse.slices.looked,
        columns=worse.slices.columns,
        of=worse.slices.rows,
    )


def _row(s: SliceFound, name: LossName, rows: int) -> SliceRow:
    return SliceRow(
        column=s.column,
        label=s.label,
        rows=s.rows,
        share=format.percent(s.rows / rows),
        loss=_loss(s.loss, name),
        rest=_loss(s.rest, name),
        worse=f"+{_difference(s.worse, name)}",
        interval=(f"+{_difference(s.low, name)}", f"+{_difference(s.high, name)}"),
        sort=s.worse,
    )


def _loss(value: float, name: LossName) -> str:
    return format.percent(value) if name == "wrong" else format.number(value, 3)


def _difference(value: float, name: LossName) -> str:
    return f"{format.fixed(100 * value, 1)} points" if name == "wrong" else format.number(value, 3)
