"""What came of the claims, as a page and as plain JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from popnet.course.base import Claim, Outcome, Verdict
from popnet.report.document import Document, Section, Table, Tone
from popnet.report.format import duration

TONES: dict[Verdict, Tone] = {"holds": "good", "does not hold": "bad", "not decided": "neutral"}

Tried = tuple[Claim, Outcome]

METHOD = (
    "What must be the case for a claim to hold was fixed before anything was trained, and stands beside each "
    "figure. A claim holds if the 95 % interval of everything that it asks lies on the right side; it does not "
    "hold if that of anything lies on the wrong side, or leaves room only for less than is worth a word; else it "
    "is not decided. Intervals are of repetitions with training rows and seeds of their own, paired where nets "
    "differ in one thing only; where test rows are counted they allow for other test rows, too. About one interval "
    "in twenty misses by chance."
)
LIMITS = (
    "These are small nets on few rows, so that all fits into minutes. A claim that does not hold here may hold for "
    "other nets or data, and the other way round; each section says what to expect."
)


def document(
    found: Sequence[Tried],
    name: str,
    notes: Sequence[str],
    command: str,
    version: str,
    created: str,
) -> Document:
    """Return the page of claims.

    Args:
        found: claims and what came of them.
        name: of the data.
        notes: lines for people.
        command: that makes the page again.
        version: of popnet.
        created: date and time.
    """
    counts = {v: sum(o.verdict == v for _, o in found) for v in TONES}
    told = ", ".join(f"{n} {'hold' if v == 'holds' and n != 1 else v}" for v, n in counts.items())
    told = told.replace("does not hold", "do not hold") if counts["does not hold"] != 1 else told
    overview = Table(
        ("", "claim", "verdict", "what was found", "time"),
        tuple((str(c.number), c.title, o.verdict, o.statement, duration(o.seconds)) for c, o in found),
    )  # fmt: skip
    return Document(
        "popnet claims", f"The course, tried: {name}",
        (f"Of {len(found)} claims about neural nets: {told}.", METHOD, LIMITS, *notes),
        overview, tuple(_section(c, o) for c, o in found), command, version, created,
    )  # fmt: skip


def _section(claim: Claim, outcome: Outcome) -> Section:
    asked = [
        f"{'Asked' if p.main else 'Beside it'}: {p.asked}. Found: {p.found}: {p.verdict}."
        for p in outcome.parts
    ]
    return Section(
        claim.key, f"{claim.number}. {claim.title}", outcome.verdict, TONES[outcome.verdict],
        (
            f"The course: {claim.says} ({claim.source})",
            outcome.statement,
            *asked,
            *outcome.paragraphs,
            f"With other data: {claim.expect}",
        ),
        outcome.pictures, outcome.table, (outcome.statement,),
    )  # fmt: skip


def record(found: Sequence[Tried]) -> list[dict[str, Any]]:
    """Return claims as plain JSON."""
    return [
        {
            "number": c.number, "key": c.key, "title": c.title, "source": c.source, "verdict": o.verdict,
            "statement": o.statement, "seconds": round(o.seconds, 3),
            "parts": [
                {
                    "asked": p.asked, "found": p.found, "verdict": p.verdict, "main": p.main,
                    **{name: _finite(getattr(p.value, name)) for name in ("mean", "low", "high")},
                }
                for p in o.parts
            ],
        }
        for c, o in found
    ]  # fmt: skip


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
