"""What a claim is, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from popnet.ablation.intervals import Interval
from popnet.report.document import Picture, Table
from popnet.report.format import capital

if TYPE_CHECKING:
    from popnet.course.lab import Bench

Verdict = Literal["holds", "does not hold", "not decided"]

NO_TIME = "skipped: the time limit was reached"


@dataclass(frozen=True)
class Part:
    """One question of a claim.

    Attributes:
        asked: what must be the case, with the number from which on it counts; fixed before anything is trained.
        found: what is the case, with its interval, as a clause of a sentence.
        verdict: of this question.
        value: what was measured, in the unit that the criterion names.
        main: whether the claim stands or falls with it; the others are told beside it.
    """

    asked: str
    found: str
    verdict: Verdict
    value: Interval
    main: bool = True


@dataclass(frozen=True)
class Outcome:
    """What became of a claim.

    Attributes:
        parts: its questions; empty if it could not be tried.
        paragraphs: how it was tried, what else was seen.
        pictures: that show it.
        table: figures, or None.
        reason: why it could not be tried, or "".
        seconds: it took.
    """

    parts: tuple[Part, ...] = ()
    paragraphs: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    table: Table | None = None
    reason: str = ""
    seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """Whether the claim holds: all main parts must."""
        return together([p.verdict for p in self.parts if p.main])

    @property
    def statement(self) -> str:
        """The answer in a sentence, with numbers."""
        clauses = [p.found for p in self.parts if p.main]
        return capital("; ".join(clauses or [self.reason or NO_TIME])) + "."


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict of several: all must hold; one that does not hold decides against them."""
    if "does not hold" in verdicts:
        return "does not hold"
    return "holds" if verdicts and set(verdicts) == {"holds"} else "not decided"


@dataclass(frozen=True)
class Claim:
    """A claim of the course.

    Attributes:
        number: of the list, from 1.
        key: short name, for ``--only``.
        title: the claim in a line.
        says: what the course says, in a sentence or two.
        source: papers that it goes back to, or that dispute it.
        expect: what somebody with other data should expect.
        measure: trains and judges; raises `popnet.course.lab.OutOfTimeError`.
        share: of the time that all claims have, relative to the others.
    """

    number: int
    key: str
    title: str
    says: str
    source: str
    expect: str
    measure: Callable[[Bench], Outcome]
    share: float = 1.0
