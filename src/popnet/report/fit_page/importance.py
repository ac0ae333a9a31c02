"""Which columns matter to the model: bars with intervals, verdicts, and the sentences that say it in short."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from popnet.model.facts import ColumnImportance, GroupImportance
from popnet.report import format
from popnet.report.charts import axes
from popnet.report.charts.axes import Axis
from popnet.report.document import Tone
from popnet.report.format import is_number
from popnet.report.vocabulary import metric_words

SHOWN = 20
"""Groups of columns that the picture shows."""

NAMED = 5
"""Columns that a line names."""

VERDICTS = {
    "matters": "matters", "harms": "harms", "no effect": "makes no difference", "not decided": "not decided",
}  # fmt: skip

TONES: dict[str, Tone] = {"matters": "good", "harms": "bad"}


@dataclass(frozen=True)
class ImportanceRow:
    """A group of columns.

    Attributes:
        label: their names.
        others: further columns of the group.
        start, width: of the bar, in per cent of the picture.
        low, high: ends of the interval, both or none.
        increase, interval: in the metric's unit.
        share: of the model's loss.
        verdict, tone: what is said of it.
    """

    label: str
    others: list[str]
    start: float
    width: float
    low: float | None
    high: float | None
    increase: str
    interval: tuple[str, str] | None
    share: str
    verdict: str
    tone: str


@dataclass(frozen=True)
class ImportanceSection:
    """What the section shows.

    Attributes:
        axis: of the increases.
        zero: its place of 0.
        rows: the most important groups.
        more: groups beside these.
        first: names of the columns that matter, the most important first, at most `NAMED`.
        mattering: groups that matter.
        idle, undecided: columns that make no difference, and of which it is not decided.
        alike: groups of several columns.
        loss: of the model, and its name.
        title: the name of the loss.
        detect: the smallest increase that matters.
        rows_used, rows_there: rows that it was measured on, and that there were.
        on: what these are.
        repeats: of each group.
        retrained: whether nets were trained anew.
    """

    axis: Axis
    zero: float
    rows: list[ImportanceRow]
    more: int
    first: list[str]
    mattering: int
    idle: list[str]
    undecided: list[str]
    alike: list[list[str]]
    loss: str
    title: str
    detect: str
    rows_used: int
    rows_there: int
    on: str
    repeats: int
    retrained: bool


def show(found: ColumnImportance | None) -> ImportanceSection | None:
    """Return what the section shows; None where importance was not measured."""
    if found is None or not found.groups:
        return None
    shown = found.groups[:SHOWN]
    numbers = [v for g in shown for v in (g.increase, g.low, g.high) if is_number(v)]
    axis = axes.axis([0.0, *numbers])
    places = _places(found)
    by: dict[str, list[str]] = {}
    for g in found.groups:
        by.setdefault(g.verdict, []).extend(g.columns)
    return ImportanceSection(
        axis=axis,
        zero=axis.at(0.0),
        rows=[_row(g, axis, places) for g in shown],
        more=len(found.groups) - len(shown),
        first=_first(found.groups),
        mattering=sum(g.verdict == "matters" for g in found.groups),
        idle=by.get("no effect", []),
        undecided=by.get("not decided", []),
        alike=[g.columns for g in found.groups if len(g.columns) > 1],
        loss=format.number(found.loss),
        title=loss_name(found.metric),
        detect=format.number(found.detect, 2),
        rows_used=found.rows,
        rows_there=found.available,
        on=found.on,
        repeats=found.repeats,
        retrained=found.retrained,
    )


def loss_name(metric: str) -> str:
    """Return what the loss of a metric is called: ``1 - accuracy``, ``RMSE``."""
    words = metric_words(metric)
    if metric == "accuracy":
        return "share of wrong predictions"
    return f"1 {format.MINUS} {words.title}" if words.greater else words.title


def line(found: ColumnImportance) -> str:
    """Return the columns that matter most, in a line for a terminal."""
    return f"columns that matter most: {brief(found)}"


def brief(found: ColumnImportance) -> str:
    """Return the columns that matter most, and how many make no difference or are not decided."""
    first = _first(found.groups)
    counts = {v: sum(g.verdict == v for g in found.groups) for v in VERDICTS}
    if not first:
        rest = "none surely"
    else:
        more = counts["matters"] - len(first)
        rest = ", ".join(first) + (f" and {more} more" if more > 0 else "")
    others = [
        f"{counts[v]} {words}"
        for v, words in (("no effect", "make no difference"), ("not decided", "not decided"))
        if counts[v]
    ]
    return rest + (f" ({', '.join(others)})" if others else "")


def lines(found: ColumnImportance) -> list[str]:
    """Return all groups of columns as a table for a terminal, and how they were measured."""
    places = _places(found)
    names = [" + ".join(g.columns) for g in found.groups]
    width = max(map(len, names), default=0)
    told = [
        f"  {name:<{width}}  {format.signed(g.increase, places):>8}  {_interval(g, places):<20}  "
        f"{_share(g):>7}  {VERDICTS[g.verdict]}"
        for name, g in zip(names, found.groups, strict=True)
    ]
    some = (
        f"{found.rows:,} of {found.available:,}"
        if found.rows < found.available
        else f"{found.rows:,}"
    )
    how = (
        f"nets trained anew without a column, on {some} {found.on}"
        if found.retrained
        else f"values exchanged {found.repeats} times among {some} {found.on}"
    )
    return [
        f"Increase of the loss ({loss_name(found.metric)}, {format.number(found.loss)}) without what a column "
        "says, its 95 % interval, share of the loss:",
        *told,
        f"Measured with {how}; {format.number(found.detect, 2)} is the smallest increase that matters.",
    ]  # fmt: skip


def _first(groups: Sequence[GroupImportance]) -> list[str]:
    return [" + ".join(g.columns) for g in groups if g.verdict == "matters"][:NAMED]


def _places(found: ColumnImportance) -> int:
    """Return decimals with which increases are told apart: two digits of the smallest that matters."""
    detect = found.detect
    if not is_number(detect) or detect <= 0:
        return 4
    return min(max(1 - math.floor(math.log10(detect)), 0), 8)


def _interval(g: GroupImportance, places: int) -> str:
    if not (is_number(g.low) and is_number(g.high)):
        return ""
    return f"({format.signed(g.low, places)} to {format.signed(g.high, places)})"


def _share(g: GroupImportance) -> str:
    return format.percent(g.share)


def _row(g: GroupImportance, axis: Axis, places: int) -> ImportanceRow:
    increase = g.increase if is_number(g.increase) else 0.0
    ends = sorted((axis.at(0.0), axis.at(increase)))
    low, high = (axis.at(v) if is_number(v) else None for v in (g.low, g.high))
    both = low is not None and high is not None
    return ImportanceRow(
        g.columns[0],
        g.columns[1:],
        ends[0],
        ends[1] - ends[0],
        low if both else None,
        high if both else None,
        format.signed(g.increase, places),
        (format.signed(g.low, places), format.signed(g.high, places)) if both else None,
        _share(g),
        VERDICTS[g.verdict],
        TONES.get(g.verdict, ""),
    )
