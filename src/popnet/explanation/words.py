"""An explanation in words: what a terminal shows, and what the page says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from popnet.explanation.records import Change, Explanation, Neighbour
from popnet.report import format

SHOWN = 8
"""Columns that a terminal lists of a row."""

MAX_VALUE = 40
"""Letters of a value."""


def shown(value: Any) -> str:
    """Return a value of a table as it stands there; long numbers and texts are shortened."""
    if value is None:
        return "missing"
    return format.short(f"{value:.6g}" if isinstance(value, float) else value, MAX_VALUE)


def amount(value: float, unit: float) -> str:
    """Return an answer, or a part of one, with as many decimals as its unit's size asks for."""
    return format.fixed(value, places(unit))


def places(unit: float) -> int:
    """Return decimals for numbers of a size: a part is told to a thousandth or so of the whole."""
    return format.decimals(unit)


def scale(explanation: Explanation, classes: bool) -> float:
    """Return the size of what is explained, which says how many decimals are told."""
    if classes:
        return 1.0
    return max(abs(explanation.answer), abs(explanation.base))


def headline(e: Explanation, classes: bool) -> str:
    """Return the prediction of a row, how sure it is, and the mean answer, in a line."""
    size = scale(e, classes)
    if classes:
        said = f"{e.prediction} with probability {amount(e.answer, size)}"
        if e.prediction != e.explained:
            said = f"{e.prediction}; probability of {e.explained} {amount(e.answer, size)}"
        return f"{said} (mean of the background {amount(e.base, size)})"
    between = ""
    if e.interval is not None:
        low, high = (amount(end, size) for end in e.interval)
        between = f", 90 % interval {low} to {high}"
    return f"{e.explained} {amount(e.answer, size)}{between} (mean of the background {amount(e.base, size)})"


def change_sentence(change: Change, e: Explanation, classes: bool) -> str:
    """Return a change, and the answer after it, in a sentence."""
    size = scale(e, classes)
    parts = [f"{c.column} {shown(c.before)} → {shown(c.after)}" for c in change.columns]
    after = amount(change.answer, size)
    if classes:
        after = f"{change.prediction} (probability of {e.explained} {after})"
    else:
        after += ", outside the interval"
    return f"with {format.enumeration(parts)} it would be {after}"


def no_change(e: Explanation, classes: bool) -> str:
    """Return that no change was found."""
    if classes:
        return "no change of one or two columns to values of background rows was found that changes the class"
    if e.interval is None:
        return "the model has no intervals that a change could leave"
    return "no change of one or two columns to values of background rows was found that leaves the interval"


def warnings(e: Explanation, classes: bool) -> list[str]:
    """Return what makes the answer less trustworthy, a sentence each."""
    found: list[str] = []
    if e.disagreement is not None and e.disagreement.unusual:
        spread = amount(e.disagreement.spread, scale(e, classes))
        share = _most(e.disagreement.share_below)
        found.append(
            f"the members disagree more than on {share} of the background rows (standard deviation {spread})"
        )
    if e.novelty.unusual:
        share = _most(e.novelty.share_below)
        found.append(
            f"the row is further from all background rows than {share} of them are from each other"
        )
    return found


def _most(share: float) -> str:
    """Return a share of rows, in whole per cent, never rounded up."""
    return f"{int(100 * share)} %"


def neighbour_text(n: Neighbour) -> str:
    """Return a background row's number, its distance and its target."""
    known = ", ".join(f"{name} {shown(value)}" for name, value in n.target.items())
    return f"row {n.row:,} ({f'{known}, ' if known else ''}distance {n.distance:.2f})"


def lines(explanations: Sequence[Explanation], classes: bool) -> list[str]:
    """Return what a terminal shows of some rows, a block each."""
    found: list[str] = []
    for e in explanations:
        found += block(e, classes)
    return found


def block(e: Explanation, classes: bool) -> list[str]:
    """Return what a terminal shows of a row."""
    size = scale(e, classes)
    first = [f"row {e.row:,}: {headline(e, classes)}"]
    top = e.contributions[:SHOWN]
    labels = [format.short(f"{c.column} = {shown(c.value)}", 48) for c in top]
    wide = max(map(len, labels), default=0)
    for label, c in zip(labels, top, strict=True):
        error = f" ± {amount(c.standard_error, size)}" if c.standard_error else ""
        first.append(
            f"  {format.signed(c.shapley, places(size)):>10}{error}  {label:<{wide}}".rstrip()
        )
    rest = e.contributions[SHOWN:]
    if rest:
        total = sum(c.shapley for c in rest)
        first.append(
            f"  {format.signed(total, places(size)):>10}  {format.count(len(rest), 'other column')}"
        )
    said = no_change(e, classes) if e.change is None else change_sentence(e.change, e, classes)
    first.append(f"  change   {said}")
    if e.nearest:
        first.append(f"  nearest  {'; '.join(neighbour_text(n) for n in e.nearest[:3])}")
    first += [f"  note     {text}" for text in warnings(e, classes)]
    return [*first, ""]
