"""What testing the claims found, as a page and as plain JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence

from popnet.course.base import CheckedClaim, Claim, ClaimOutcome, ClaimVerdict
from popnet.report.document import Document, Section, Table, Tone
from popnet.report.format import capital, duration

TONES: dict[ClaimVerdict, Tone] = {
    "holds": "good",
    "does not hold": "bad",
    "not decided": "neutral",
}

INTERVALS = "Parentheses give 95 % intervals."

METHOD = (
    "The criteria of each claim, with their thresholds, were fixed before anything was trained. A claim holds if the "
    "95 % intervals of all its criteria lie on the right side of their thresholds. It does not hold if one interval "
    "lies on the wrong side, or leaves room only for a gain that is too small to matter. Otherwise it is not decided.",
    "Intervals are over repetitions, each with its own training rows and seed, and paired where nets differ in one "
    "thing only; errors on test rows also allow for other test rows. About one interval in twenty misses the true "
    "value by chance.",
    "These are small nets on few rows, so that all fits into minutes. A claim that does not hold here may hold for "
    "other nets or data, and the other way round; each section says what to expect.",
)


def document(
    found: Sequence[CheckedClaim],
    name: str,
    notes: Sequence[str],
    command: str,
    version: str,
    created: str,
) -> Document:
    """Return the page of claims.

    Args:
        found: claims and their outcomes.
        name: of the data.
        notes: remarks on the data.
        command, version, created: see `popnet.report.document.Document`.
    """
    counts = {v: sum(o.verdict == v for _, o in found) for v in TONES}
    told = ", ".join(f"{n} {'hold' if v == 'holds' and n != 1 else v}" for v, n in counts.items())
    told = told.replace("does not hold", "do not hold") if counts["does not hold"] != 1 else told
    overview = Table(
        ("", "claim", "verdict", "what was found", "time"),
        tuple((str(c.number), c.title, o.verdict, o.statement, duration(o.seconds)) for c, o in found),
    )  # fmt: skip
    method = Section("method", "How the claims were tested", paragraphs=METHOD)
    return Document(
        "popnet claims", f"Claims about neural nets, tested on {name}",
        (f"Of {len(found)} claims about neural nets: {told}. {INTERVALS}", *(f"{capital(n)}." for n in notes)),
        overview, (*(_section(c, o) for c, o in found), method), command, version, created,
    )  # fmt: skip


def _section(claim: Claim, outcome: ClaimOutcome) -> Section:
    criteria = [
        f"{'Criterion' if c.main else 'Not required, but of interest'}: {c.asked}. "
        f"Found: {c.found}. This {c.verdict if c.verdict != 'not decided' else 'is not decided'}."
        for c in outcome.criteria
    ]
    return Section(
        claim.key, f"{claim.number}. {claim.title}", outcome.verdict, TONES[outcome.verdict],
        (
            outcome.statement,
            f"What courses say: {claim.says} ({claim.source})",
            f"What to expect with other data: {claim.expect}",
        ),
        outcome.pictures, outcome.table, (*criteria, *outcome.method), (outcome.statement,),
    )  # fmt: skip


def record(found: Sequence[CheckedClaim]) -> list[dict[str, object]]:
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
                for p in o.criteria
            ],
        }
        for c, o in found
    ]  # fmt: skip


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
