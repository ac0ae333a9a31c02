"""A page of evidence: sections of text, pictures and a table each. Study, doctor and claims fill it.

Like the report of a fit it is one HTML file that needs nothing but itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Tone = Literal["good", "bad", "neutral"]


@dataclass(frozen=True)
class Dot:
    """A value with its interval, one row of `Dots`.

    Attributes:
        label: what it is of.
        value: where the dot is; one that is not a number leaves the row without a dot.
        low, high: ends of the interval, or None.
        text: that stands beside it, such as ``0.8 points fewer errors``.
        tone: of the dot.
    """

    label: str
    value: float
    low: float | None
    high: float | None
    text: str
    tone: Tone = "neutral"


@dataclass(frozen=True)
class Dots:
    """Values with intervals, one under the other on one axis.

    Attributes:
        dots: from above.
        axis: what the axis measures, with its unit and which side is better.
        zero: place of the line of reference; None for none.
    """

    dots: tuple[Dot, ...]
    axis: str
    zero: float | None = 0.0


@dataclass(frozen=True)
class Line:
    """A curve.

    Attributes:
        label: of the legend.
        xs, ys: points; a y that is not finite breaks the curve.
        lows, highs: a band around it, or empty.

    Raises:
        ValueError: these are not equally many.
    """

    label: str
    xs: Sequence[float]
    ys: Sequence[float]
    lows: Sequence[float] = ()
    highs: Sequence[float] = ()

    def __post_init__(self) -> None:
        n = len(self.xs)
        if len(self.ys) != n or {len(self.lows), len(self.highs)} not in ({0}, {n}):
            raise ValueError(
                f"the curve {self.label!r} has {n} xs, {len(self.ys)} ys, "
                f"{len(self.lows)} lows and {len(self.highs)} highs"
            )


@dataclass(frozen=True)
class Lines:
    """Curves in one frame; an axis is logarithmic where that is said.

    On a logarithmic axis what is not positive has no place and breaks the curve, but the low end of a band may.
    """

    lines: tuple[Line, ...]
    x: str
    y: str
    log_x: bool = False
    log_y: bool = False


Picture = Dots | Lines


@dataclass(frozen=True)
class Table:
    """A table of texts; columns of numbers are set to the right."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """One question and its answer.

    Attributes:
        key: of its anchor, lower case; of its own in the document.
        title: the question or the claim.
        badge: the answer in a word or two, or "".
        tone: of the badge.
        paragraphs: the answer and what it means.
        pictures: that show it.
        table: its figures, or None.
        method: how this was measured, at the end of the section.
        told: lines for a terminal; none for the first paragraph.
    """

    key: str
    title: str
    badge: str = ""
    tone: Tone = "neutral"
    paragraphs: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    table: Table | None = None
    method: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    """A page.

    Attributes:
        brand: kind of page, as ``popnet study``.
        title: of the page.
        lead: its first paragraphs.
        overview: a table of all answers, or None. A cell that is the title or the key of a section leads there, and
            a cell of that row that is the section's badge has its tone.
        sections: in order.
        command: that makes it again.
        version: of popnet.
        created: date and time.
        method: how it was measured, paragraph by paragraph; folded on the page.
        told: lines for a terminal; none for the first paragraph and the sections' lines.
    """

    brand: str
    title: str
    lead: tuple[str, ...]
    overview: Table | None
    sections: tuple[Section, ...]
    command: str
    version: str
    created: str
    method: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
