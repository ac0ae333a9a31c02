"""Claim 4: ReLU units die at large learning rates; leaky ReLU, ELU and maxout units do not."""

from __future__ import annotations

import numpy as np

from popnet.course.base import Outcome, Part
from popnet.course.evidence import above, below, mean_band, of_known, percents
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
CONSTANT = 1e-3
"""A unit is dead if its values on all training rows differ by less."""

DIES = 0.01
"""Share of units from which on an activation is said to die: one in a hundred."""


def dead(ranges: Array) -> float:
    """Return the share of units that give the same for every row, of ranges ``(L, W)``."""
    return float((np.asarray(ranges) < CONSTANT).mean())


def edge(shares: Array) -> int:
    """Return the place of the largest rate at which at least half of an activation's nets stayed finite.

    Args:
        shares: ``(J, rates)``, NaN where a net had diverged.
    """
    stood = np.isfinite(shares).mean(0) >= 0.5
    return int(np.flatnonzero(stood).max(initial=0))


def rise(shares: Array) -> np.ndarray:
    """Return by how much more units are dead at the `edge` than at the smallest rate, ``(J,)``; NaN if not known."""
    return np.asarray(shares)[:, edge(shares)] - np.asarray(shares)[:, 0]


def dying(bench: Bench) -> Outcome:
    """Claim 4."""
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
    shares = np.array([dead(found[id(r)]) if id(r) in found else np.nan for r in flat])
    shares = shares.reshape(len(results), len(ACTIVATIONS), len(RATES))
    overlap = bench.table.overlap(FACTOR)
    parts = []
    for i, (a, name) in enumerate(ACTIVATIONS.items()):
        risen = of_known(rise(shares[:, i]), overlap)
        at = RATES[edge(shares[:, i])]
        than = "more" if a == "relu" else "less"
        parts.append(
            Part(
                f"at the largest learning rate that most {name} nets stand, the share of dead units is {than} than "
                f"{percent(DIES)} above that at the smallest rate",
                f"of {name} units {percents(risen)} more are dead at a rate of {at:g} than at {RATES[0]:g}",
                above(risen, DIES) if a == "relu" else below(risen, DIES),
                risen,
            )
        )
    lines, rows = [], []
    for i, (_, name) in enumerate(ACTIVATIONS.items()):
        lines.append(Line(name, RATES, *mean_band(100 * shares[:, i])))
        diverged = np.isnan(shares[:, i]).sum(0)
        texts = [
            "–" if diverged[j] == len(results)
            else percent(float(np.nanmean(shares[:, i, j]))) + (f", {diverged[j]} diverged" if diverged[j] else "")
            for j in range(len(RATES))
        ]  # fmt: skip
        rows.append((name, *texts))
    return Outcome(
        tuple(parts),
        (
            f"Nets of 3 layers of 64 units without normalization, trained for {epochs} epochs on "
            f"{bench.table.rows(FACTOR)} rows by gradient descent with momentum 0.9. A unit is dead if its values "
            f"on all training rows differ by less than {CONSTANT:g}: it says the same of every row, and learns "
            f"nothing from any. {len(results)} repetitions, each with rows and a seed of its own, the same for all "
            "activations and rates. Nets that diverged are left out, and each activation is judged at the largest rate "
            "at which at least half of its nets did not: dead ReLU nets have no gradient left to diverge with, so they "
            "stand rates that others do not.",
            "A leaky ReLU's slope is nowhere 0, nor is a maxout unit's, so they cannot die as long as their "
            "numbers stay finite; an ELU can come so near to its lower end that nothing changes any more, and its "
            "gradient is 0.",
        ),
        (Lines(tuple(lines), "learning rate", "dead units, %", log_x=True),),
        Table(("activation", *(f"rate {r:g}" for r in RATES)), tuple(rows)),
    )  # fmt: skip
