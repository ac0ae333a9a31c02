"""What a claim is, and what testing it found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from popnet.ablation.intervals import Interval
from popnet.report.document import Picture, Table
from popnet.report.format import capital

if TYPE_CHECKING:
    from popnet.course.lab import Bench

ClaimVerdict = Literal["holds", "does not hold", "not decided"]

NO_TIME = "skipped: the time limit was reached"


@dataclass(frozen=True)
class Criterion:
    """One criterion of a claim, and what was found.

    Attributes:
        asked: what must be the case, with its threshold; fixed before anything is trained.
        found: what is the case, with its interval, as a clause of a sentence.
        verdict: of this criterion alone.
        value: what was measured, in the unit that the criterion names.
        main: whether the claim depends on it; the others are shown beside it.
    """

    asked: str
    found: str
    verdict: ClaimVerdict
    value: Interval
    main: bool = True


@dataclass(frozen=True)
class ClaimOutcome:
    """What testing a claim found.

    Attributes:
        criteria: of it; empty if it could not be tested.
        method: how it was tested, and what else is known about it.
        pictures: of the measurements.
        table: of the measurements, or None.
        reason: why it could not be tested, or "".
        seconds: it took.
    """

    criteria: tuple[Criterion, ...] = ()
    method: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    table: Table | None = None
    reason: str = ""
    seconds: float = 0.0

    @property
    def verdict(self) -> ClaimVerdict:
        """Whether the claim holds: all main criteria must."""
        return joint_verdict([p.verdict for p in self.criteria if p.main])

    @property
    def statement(self) -> str:
        """The answer in a sentence, with numbers."""
        clauses = [p.found for p in self.criteria if p.main]
        return capital("; ".join(clauses or [self.reason or NO_TIME])) + "."


def joint_verdict(verdicts: Sequence[ClaimVerdict]) -> ClaimVerdict:
    """Return the verdict of several criteria: all must hold; one that does not hold decides against the claim."""
    if "does not hold" in verdicts:
        return "does not hold"
    return "holds" if verdicts and set(verdicts) == {"holds"} else "not decided"


@dataclass(frozen=True)
class Claim:
    """A claim of the course.

    Attributes:
        number: its place in the course, from 1.
        key: short name, for ``--only``.
        title: the claim in a line.
        says: what the course says, in a sentence or two.
        source: papers that make the claim, or dispute it.
        expect: what to expect with other data.
        measure: trains and evaluates nets; raises `popnet.course.lab.OutOfTimeError`.
        share: of the time for all claims, relative to the others.
    """

    number: int
    key: str
    title: str
    says: str
    source: str
    expect: str
    measure: Callable[[Bench], ClaimOutcome]
    share: float = 1.0


class CheckedClaim(NamedTuple):
    """A claim, and what testing it found."""

    claim: Claim
    outcome: ClaimOutcome
