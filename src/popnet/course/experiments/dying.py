"""Claim 4: ReLU units die at large learning rates; leaky ReLU, ELU and maxout units do not."""

from __future__ import annotations

import numpy as np

from popnet.course.base import ClaimOutcome, Criterion
from popnet.course.evidence import as_percent, holds_above, holds_below, known_interval, mean_band
from popnet.course.experiments import passes
from popnet.course.lab import Bench
from popnet.course.nets import PLAIN, with_activation
from popnet.report.document import Line, Lines, Table
from popnet.report.format import percent
from popnet.spec.recipe import Activation
from popnet.types import Array

ACTIVATIONS: dict[Activation, str] = {
    "relu": "ReLU", "leaky_relu": "leaky ReLU", "elu": "ELU", "maxout": "maxout",
}  # fmt: skip
RATES = (0.003, 0.01, 0.03, 0.06, 0.1, 0.2)
STEPS = 300
FACTOR = 2
MIN_RANGE = 1e-3
"""A unit is dead if its values on all training rows differ by less than this."""

MIN_DEAD_SHARE = 0.01
"""Share of units above which an activation counts as dying: one in a hundred."""


def dead_share(ranges: Array) -> float:
    """Return the share of units whose output is the same for every row, given the ranges ``(L, W)``."""
    return float((np.asarray(ranges) < MIN_RANGE).mean())


def largest_stable_rate(shares: Array) -> int:
    """Return the place of the largest rate at which at least half of an activation's nets stayed finite.

    Args:
        shares: ``(J, rates)``, NaN where a net had diverged.
    """
    stood = np.isfinite(shares).mean(0) >= 0.5
    return int(np.flatnonzero(stood).max(initial=0))


def dead_share_increase(shares: Array) -> np.ndarray:
    """Return how much larger the share of dead units is at the `largest_stable_rate` than at the smallest, ``(J,)``.

    It is NaN where it is not known."""
    return np.asarray(shares)[:, largest_stable_rate(shares)] - np.asarray(shares)[:, 0]


def dying(bench: Bench) -> ClaimOutcome:
    """Test claim 4."""
    epochs = bench.epochs(STEPS, bench.table.rows(FACTOR))
    recipes = [
        with_activation(PLAIN, a).replace(learning_rate=r, epochs=epochs)
        for a in ACTIVATIONS
        for r in RATES
    ]
    results = bench.train(bench.twins(recipes, "dying", FACTOR))
    flat = [r for group in results for r in group]
    alive = [r for r in flat if r.status != "diverged"]
    found = dict(zip(map(id, alive), passes.ranges(bench, passes.trained(alive)), strict=True))
    shares = np.array([dead_share(found[id(r)]) if id(r) in found else np.nan for r in flat])
    shares = shares.reshape(len(results), len(ACTIVATIONS), len(RATES))
    overlap = bench.table.overlap(FACTOR)
    parts: list[Criterion] = []
    for i, (a, name) in enumerate(ACTIVATIONS.items()):
        risen = known_interval(dead_share_increase(shares[:, i]), overlap)
        at = RATES[largest_stable_rate(shares[:, i])]
        than = "more" if a == "relu" else "less"
        parts.append(
            Criterion(
                f"at the largest learning rate at which most {name} nets do not diverge, the share of dead units is "
                f"{than} than {percent(MIN_DEAD_SHARE)} above that at the smallest rate",
                f"{as_percent(risen)} more {name} units are dead at a learning rate of {at:g} than at {RATES[0]:g}",
                holds_above(risen, MIN_DEAD_SHARE)
                if a == "relu"
                else holds_below(risen, MIN_DEAD_SHARE),
                risen,
            )
        )
    lines: list[Line] = []
    rows: list[tuple[str, ...]] = []
    for i, (_, name) in enumerate(ACTIVATIONS.items()):
        lines.append(Line(name, RATES, *mean_band(100 * shares[:, i])))
        diverged = np.isnan(shares[:, i]).sum(0)
        texts = [
            "–" if diverged[j] == len(results)
            else percent(float(np.nanmean(shares[:, i, j]))) + (f", {diverged[j]} diverged" if diverged[j] else "")
            for j in range(len(RATES))
        ]  # fmt: skip
        rows.append((name, *texts))
    return ClaimOutcome(
        tuple(parts),
        (
            f"Nets of 3 layers of 64 units without normalization, trained for {epochs} epochs on "
            f"{bench.table.rows(FACTOR)} rows by gradient descent with momentum 0.9. A unit is dead if its values "
            f"on all training rows differ by less than {MIN_RANGE:g}: its output is the same for every row, so "
            f"it contributes nothing. {len(results)} repetitions, each with its own rows and seed, the same for all "
            "activations and rates. Nets that diverged are left out, and each activation is judged at the largest rate "
            "at which at least half of its nets did not: dead ReLU nets have no gradient left to diverge with, so they "
            "tolerate rates at which others diverge.",
            "A leaky ReLU's slope is nowhere 0, nor is a maxout unit's, so they cannot die as long as their "
            "numbers stay finite; an ELU can saturate at its lower bound, where its gradient is 0.",
        ),
        (Lines(tuple(lines), "learning rate", "dead units, %", log_x=True),),
        Table(("activation", *(f"rate {r:g}" for r in RATES)), tuple(rows)),
    )  # fmt: skip
