"""Claim 9: batch normalization regularises, so that dropout adds less with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from popnet.course.base import Outcome, Part
from popnet.course.evidence import crossed, gains, mean_band, points
from popnet.course.lab import Bench, several
from popnet.course.nets import ADAM
from popnet.population.members import Result
from popnet.report.document import Line, Lines, Table
from popnet.report.format import fixed
from popnet.spec.recipe import Recipe
from popnet.types import Array

RATES = (0.001, 0.003, 0.01)
DROPOUTS = (0.0, 0.15, 0.3, 0.5)
JUDGED = 0.3
STEPS = 400
SEEDS = 5
"""Nets of each kind in a repetition; their mean has less of the chance in initial weights and batches."""

NORMS = ("none", "batch")


def best_rate(validation: Array) -> int:
    """Return the place of the learning rate with the lowest mean validation error.

    Args:
        validation: ``(J, rates)``.
    """
    return int(np.asarray(validation).mean(0).argmin())


def validation_error(result: Result) -> float:
    """Return the validation error of a net's last epoch; 1 of one that diverged."""
    value = float(result.curves["valid_error"][-1]) if result.status != "diverged" else 1.0
    return value if np.isfinite(value) else 1.0


def chosen_errors(
    bench: Bench, recipes: Sequence[Recipe], name: str, kinds: tuple[int, int]
) -> np.ndarray:
    """Train nets of each kind at all `RATES`; return the test errors at the rate that is best on validation rows.

    A user would choose the rate anew for every net; it is chosen by rows that do not judge.

    Args:
        bench: trains.
        recipes: of all kinds, the rates of one kind side by side.
        name: of the experiment, for the seeds.
        kinds: numbers of both things that nets differ in.

    Returns:
        ``(*kinds, J, N)``, the mean over `SEEDS` nets.
    """
    results = bench.train([
        several(bench, recipes, name, bench.table.fold(k), SEEDS)
        for k in range(bench.table.repeats)
    ])  # fmt: skip
    shape = len(results), SEEDS, *kinds, len(RATES)
    validation = (
        np.array([[validation_error(r) for r in g] for g in results]).reshape(shape).mean(1)
    )
    test = np.array([bench.errors(g) for g in results]).reshape(*shape, -1).mean(1)
    return np.array([
        [test[:, i, j, best_rate(validation[:, i, j])] for j in range(kinds[1])]
        for i in range(kinds[0])
    ])  # fmt: skip


def regularising(bench: Bench) -> Outcome:
    """Claim 9."""
    epochs = bench.epochs(STEPS, bench.table.rows())
    recipes = [
        ADAM.replace(norm=norm, learning_rate=rate, dropout=p, epochs=epochs)
        for norm in NORMS
        for p in DROPOUTS
        for rate in RATES
    ]
    chosen = chosen_errors(bench, recipes, "regularising", (len(NORMS), len(DROPOUTS)))
    at = DROPOUTS.index(JUDGED)
    overlap = bench.table.overlap()
    alone = crossed(chosen[0, 0] - chosen[1, 0], overlap)
    without = crossed(chosen[0, 0] - chosen[0, at], overlap)
    with_it = crossed(chosen[1, 0] - chosen[1, at], overlap)
    less = crossed((chosen[0, 0] - chosen[0, at]) - (chosen[1, 0] - chosen[1, at]), overlap)
    parts = (
        Part(
            "without dropout, nets with batch normalization have the lower test error",
            f"batch normalization alone takes {points(alone)} off the test error",
            gains(alone, bench.least),
            alone,
        ),
        Part(
            f"dropout of {JUDGED} takes less off the test error with batch normalization than without",
            f"dropout gains {points(less)} more without it than with it",
            gains(less, bench.least),
            less,
        ),
        Part(
            f"dropout of {JUDGED} lowers the test error of nets without batch normalization",
            f"without it dropout takes off {points(without)}",
            gains(without, bench.least),
            without,
            main=False,
        ),
        Part(
            f"dropout of {JUDGED} still lowers the test error of nets with batch normalization",
            f"with it dropout takes off {points(with_it)}",
            gains(with_it, bench.least),
            with_it,
            main=False,
        ),
    )
    names = ("none", "batch normalization")
    lines = tuple(
        Line(name, DROPOUTS, *mean_band(100 * chosen[j].mean(-1).T)) for j, name in enumerate(names)
    )
    rows = tuple(
        (name, *(f"{fixed(100 * float(e), 1)} %" for e in chosen[j].mean((1, 2))))
        for j, name in enumerate(names)
    )
    return Outcome(
        parts,
        (
            f"ReLU nets of 3 layers of 64 units, {epochs} epochs of AdamW without decay on {bench.table.rows()} "
            "rows, the last epoch's weights. Each net has the learning rate of "
            f"{', '.join(f'{r:g}' for r in RATES)} that has the lowest mean error on validation rows. "
            f"{chosen.shape[2]} repetitions with training rows of their own and {SEEDS} seeds each, all judged on the "
            f"same {len(bench.table.test)} test rows; the interval allows for other nets and other rows.",
        ),
        (Lines(lines, "dropout", f"test error, % ({bench.unit})"),),
        Table(("normalization", *(f"dropout {p:g}" for p in DROPOUTS)), rows),
    )
