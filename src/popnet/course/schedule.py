"""Test claims one after the other, each with its share of the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from popnet.course.base import NO_TIME, CheckedClaim, Claim, ClaimOutcome
from popnet.course.lab import Bench, OutOfTimeError
from popnet.course.registry import chosen

STOPPED = "skipped: the run was interrupted"


def run(
    bench: Bench,
    only: Sequence[str] = (),
    *,
    deadline: float | None = None,
    on_claim: Callable[[int, int, Claim], None] = lambda done, total, claim: None,
) -> list[CheckedClaim]:
    """Test claims.

    The remaining time is divided among the remaining claims by their shares: a claim that needs less leaves more to
    those after it, and one that is not finished in time is not decided.

    Args:
        bench: data and workers.
        only: keys or numbers of claims; all by default.
        deadline: moment of ``time.monotonic()`` at which all end; None for never.
        on_claim: called before each with the claims done, their number, and the claim.

    Raises:
        InputError: there is no such claim.
    """
    claims = chosen(only)
    found: list[CheckedClaim] = []
    for i, claim in enumerate(claims):
        on_claim(i, len(claims), claim)
        began = time.monotonic()
        if deadline is not None:
            share = claim.share / sum(c.share for c in claims[i:])
            bench.deadline = began + share * max(0.0, deadline - began)
        try:
            bench.check()
            outcome = claim.measure(bench)
        except OutOfTimeError:
            outcome = ClaimOutcome(reason=STOPPED if bench.stop.is_set() else NO_TIME)
        found.append(CheckedClaim(claim, replace(outcome, seconds=time.monotonic() - began)))
    return found
