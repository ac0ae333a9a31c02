"""What a rule found: what it means, what to do, whether that helps, and how it was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "note"]
"""``error``: the result cannot be trusted, or nothing is learned; ``warning``: it costs accuracy or time; ``note``:
it is worth knowing."""


RecipeChanges = Mapping[str, str | float]
"""New values of a recipe's fields."""


@dataclass(frozen=True)
class Remedy:
    """What to do.

    Attributes:
        words: an imperative sentence.
        fields: new values of the recipe's fields; empty if no change of the recipe can help.
        drop: columns to leave out.
    """

    words: str
    fields: RecipeChanges = field(default_factory=dict[str, str | float])
    drop: tuple[str, ...] = ()


ProofVerdict = Literal["helps", "does harm", "does not help", "shows no gain"]


@dataclass(frozen=True)
class Proof:
    """What training nets with and without the remedy, as twins, has shown.

    Attributes:
        metric: what was compared, an error (smaller is better).
        before, after: its means without and with the remedy.
        gain: ``before - after``.
        low, high: ends of its 95 % interval.
        pairs: of twins.
        verdict: whether the remedy helps.
    """

    metric: str
    before: float
    after: float
    gain: float
    low: float
    high: float
    pairs: int
    verdict: ProofVerdict


@dataclass(frozen=True)
class DoctorFinding:
    """What one rule of the doctor found.

    Attributes:
        rule: its name, as ``dead_units``.
        title: a few words.
        severity: how bad it is; the worst findings are shown first.
        where: layer and epoch, or column, or rows.
        measured: what was measured, a sentence with numbers.
        value, threshold: the number that was compared, and with what.
        source: of the threshold: a paper, a book, or "a convention".
        meaning: one sentence for someone who took one course.
        remedy: what to do.
        proof: whether that helps; None if it was not tested, or cannot be.
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


ORDER: tuple[Severity, ...] = ("error", "warning", "note")


def sorted_by_severity(findings: list[DoctorFinding]) -> list[DoctorFinding]:
    """Return findings, the worst first; those of equal severity in the order given."""
    return sorted(findings, key=lambda f: ORDER.index(f.severity))
