"""From a `Document` to what its page shows: anchors, pictures, and tables that know which columns are numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from popnet.report.charts import curves_plot, forest
from popnet.report.charts.curves_plot import MARKERS, Plot
from popnet.report.charts.forest import Forest
from popnet.report.document import Document, Dots, Picture, Section, Table, Tone
from popnet.report.format import MINUS, MISSING, NARROW

MARKS = (*(f"mark-{i + 1}" for i in range(MARKERS)), "mark-left", "mark-right")
RESERVED = ("contents", "overview", "method", "again", *MARKS)
"""Anchors of the page's own parts."""
PROSE = 28
"""A column with a longer text is not made narrow on a narrow screen."""

_SPACE = rf"[ \u00a0{NARROW}]?"
_NUMBER = rf"[<>≤≥≈~±]?{_SPACE}[+\-{MINUS}]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:[eE][+\-{MINUS}]?\d+)?"
_UNIT = rf"(?:{_SPACE}[^\W\d_]{{0,3}}[%‰°×]?(?:/[^\W\d_]{{1,3}})?)"
_JOINT = rf"(?:{_SPACE}(?:to|of|[±/×:–…]){_SPACE}|, | )"
_QUANTITY = rf"{_NUMBER}{_UNIT}(?:{_JOINT}{_NUMBER}{_UNIT})*"
NUMERIC = re.compile(rf"[(\[]?{_QUANTITY}[)\]]?(?: ?[(\[]{_QUANTITY}[)\]])?", re.IGNORECASE)
"""A number, a range, a number with its interval: ``−0.3``, ``87 %``, ``3 min 4 s``, ``0.1 (−0.2 to 0.4)``."""
EMPTY = {"", MISSING, "-", "—", "n/a", "nan", "none"}
"""Texts that say that there is no value."""


class Cell(NamedTuple):
    """A text of a table; in an overview it may lead to its section and show the section's tone."""

    text: str
    anchor: str = ""
    tone: Tone | None = None


class Grid(NamedTuple):
    """A table whose rows are all as long as its head.

    Attributes:
        head: names of the columns.
        columns: what each holds: ``num`` (it is set to the right), ``prose``, or ``""`` for short texts.
        rows: cells.
    """

    head: list[str]
    columns: list[str]
    rows: list[list[Cell]]


class Part(NamedTuple):
    """A section; its pictures in groups of one kind, each ``(kind, pictures)``."""

    anchor: str
    title: str
    badge: str
    tone: Tone
    paragraphs: tuple[str, ...]
    method: tuple[str, ...]
    pictures: list[tuple[str, list[Forest | Plot]]]
    table: Grid | None


class View(NamedTuple):
    """Everything that the template shows beside the document's own texts; ``drawn``: there are pictures."""

    parts: list[Part]
    overview: Grid | None
    drawn: bool


def show(document: Document) -> View:
    """Return everything that the template shows beside the document's own texts."""
    named = anchors([s.key for s in document.sections])
    parts = [_part(s, a) for s, a in zip(document.sections, named, strict=True)]
    known = {s.title: (a, s) for s, a in zip(document.sections, named, strict=True)}
    known |= {s.key: (a, s) for s, a in zip(document.sections, named, strict=True)}
    return View(
        parts,
        grid(document.overview, known) if document.overview else None,
        any(p.pictures for p in parts),
    )


def anchors(keys: Sequence[str], taken: Sequence[str] = RESERVED) -> list[str]:
    """Return an anchor for each key: its own letters where they can stand in one, and a number where two are alike."""
    used, out = set(taken), list[str]()
    for key in keys:
        base = re.sub(r"[^a-z0-9_.-]+", "-", key.lower()).strip("-") or "section"
        name, count = base, 1
        while name in used:
            count += 1
            name = f"{base}-{count}"
        used.add(name)
        out.append(name)
    return out


def grid(table: Table, known: Mapping[str, tuple[str, Section]] | None = None) -> Grid:
    """Return a table for the page.

    Args:
        table: with rows of any length; short ones are filled up.
        known: anchor and section of each title and key. A row that names a section leads to it, and the text of the
            section's badge has its tone.
    """
    width = max([len(table.head), *map(len, table.rows)])
    rows = [[*row, *[""] * (width - len(row))] for row in table.rows]
    columns = [_kind([row[c] for row in rows]) for c in range(width)]
    head = [*table.head, *[""] * (width - len(table.head))]
    return Grid(head, columns, [_cells(row, known or {}) for row in rows])


def is_numeric(texts: Sequence[str]) -> bool:
    """Say whether a column is one of numbers: all that is there is like a number, and something is there."""
    there = [t.strip() for t in texts if t.strip().lower() not in EMPTY]
    return bool(there) and all(NUMERIC.fullmatch(t) for t in there)


def _kind(texts: Sequence[str]) -> str:
    if is_numeric(texts):
        return "num"
    return "prose" if any(len(t) > PROSE for t in texts) else ""


def _cells(row: Sequence[str], known: Mapping[str, tuple[str, Section]]) -> list[Cell]:
    found = next(((i, *known[text]) for i, text in enumerate(row) if text in known), None)
    if found is None:
        return [Cell(text) for text in row]
    place, anchor, section = found
    return [
        Cell(
            text,
            anchor if i == place else "",
            section.tone if section.badge and text == section.badge else None,
        )
        for i, text in enumerate(row)
    ]


def _part(section: Section, anchor: str) -> Part:
    drawn = [_picture(p) for p in section.pictures]
    return Part(
        anchor,
        section.title,
        section.badge,
        section.tone,
        section.paragraphs,
        section.method,
        [(kind, list(group)) for kind, group in groupby(drawn, key=lambda p: p.kind)],
        grid(section.table) if section.table else None,
    )


def _picture(picture: Picture) -> Forest | Plot:
    return forest.show(picture) if isinstance(picture, Dots) else curves_plot.show(picture)
