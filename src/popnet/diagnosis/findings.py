"""What a rule found: measured, where, what it means, what to do, and the proof that it helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
"""``error``: the result cannot be trusted or nothing is learned; ``warning``: it costs accuracy or time; ``note``."""


@dataclass(frozen=True)
class Remedy:
    """What to do.

    Attributes:
        words: for people, an imperative sentence.
        fields: of the recipe that it changes; empty if it is nothing that a recipe can do.
        drop: columns that it leaves out.
    """

    words: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    drop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proof:
    """The remedy trained as twins.

    Attributes:
        metric: what was compared, an error (smaller is better).
        before, after: its means without and with the remedy.
        gain: ``before - after``.
        low, high: ends of its 95 % interval.
        pairs: of twins.
        verdict: for people.
    """

    metric: str
    before: float
    after: float
    gain: float
    low: float
    high: float
    pairs: int
    verdict: str


@dataclass(frozen=True)
class DoctorFinding:
    """One rule that fired.

    Attributes:
        rule: its name, as ``dead_units``.
        title: for people, a few words.
        severity: how bad it is; findings are shown the worst first.
        where: layer and epoch, or column, or rows, for people.
        measured: what was measured, a sentence with numbers.
        value, threshold: the number that was compared, and with what.
        source: of the threshold: a paper, a book, or "a convention".
        meaning: one sentence for someone who took one course.
        remedy: what to do.
        proof: whether it helps; None if it was not tried, or cannot be.
        columns: of the table, if it is about some.
        rows: of the table (from 0), if it is about some.
    """

    rule: str
    title: str
    severity: Severity
    where: str
    measured: str
    value: float
    threshold: float
    source: str
    meaning: str
    remedy: Remedy
    proof: Proof | None = None
    columns: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return the finding as plain JSON."""
        return asdict(self)


ORDER: tuple[Severity, ...] = ("error", "warning", "note")


def sorted_by_severity(findings: list[DoctorFinding]) -> list[DoctorFinding]:
    """Return findings, the worst first; those of equal severity in the order given."""
    return sorted(findings, key=lambda f: ORDER.index(f.severity))
