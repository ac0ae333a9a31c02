"""Claim 9: batch normalization regularises, so that dropout adds less with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from popnet.course.base import ClaimOutcome, Criterion
from popnet.course.evidence import as_points, crossed_interval, holds_for_gain, mean_band
from popnet.course.lab import Bench, twins_of_seeds
from popnet.course.nets import ADAM
from popnet.population.members import Result
from popnet.report.document import Line, Lines, Table
from popnet.report.format import fixed
from popnet.spec.recipe import Recipe
from popnet.types import Array

RATES = (0.001, 0.003, 0.01)
DROPOUTS = (0.0, 0.15, 0.3, 0.5)
JUDGED_DROPOUT = 0.3
STEPS = 400
SEEDS = 5
"""Nets of each kind in a repetition; their mean depends less on initial weights and batches than one net does."""

NORMS = ("none", "batch")


def best_rate(validation: Array) -> int:
    """Return the place of the learning rate with the lowest mean validation error.

    Args:
        validation: ``(J, rates)``.
    """
    return int(np.asarray(validation).mean(0).argmin())


def validation_error(result: Result) -> float:
    """Return the validation error of a net's last epoch; 1 if it diverged."""
    value = float(result.curves["valid_error"][-1]) if result.status != "diverged" else 1.0
    return value if np.isfinite(value) else 1.0


def tuned_errors(
    bench: Bench, recipes: Sequence[Recipe], name: str, kinds: tuple[int, int]
) -> np.ndarray:
    """Train nets of each kind at all `RATES`; return their test errors at the rate that is best on validation rows.

    A user would tune the rate for every net, too; the test rows have no part in it.

    Args:
        bench: trains.
        recipes: of all kinds, the rates of one kind side by side.
        name: of the experiment, for the seeds.
        kinds: numbers of levels of the two factors in which the nets differ.

    Returns:
        ``(*kinds, J, N)``, the mean over `SEEDS` nets.
    """
    results = bench.train([
        twins_of_seeds(bench, recipes, name, bench.table.fold(k), SEEDS)
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


def regularising(bench: Bench) -> ClaimOutcome:
    """Test claim 9."""
    epochs = bench.epochs(STEPS, bench.table.rows())
    recipes = [
        ADAM.replace(norm=norm, learning_rate=rate, dropout=p, epochs=epochs)
        for norm in NORMS
        for p in DROPOUTS
        for rate in RATES
    ]
    chosen = tuned_errors(bench, recipes, "regularising", (len(NORMS), len(DROPOUTS)))
    at = DROPOUTS.index(JUDGED_DROPOUT)
    overlap = bench.table.overlap()
    alone = crossed_interval(chosen[0, 0] - chosen[1, 0], overlap)
    without = crossed_interval(chosen[0, 0] - chosen[0, at], overlap)
    with_it = crossed_interval(chosen[1, 0] - chosen[1, at], overlap)
    less = crossed_interval(
        (chosen[0, 0] - chosen[0, at]) - (chosen[1, 0] - chosen[1, at]), overlap
    )
    parts = (
        Criterion(
            "without dropout, nets with batch normalization have a lower test error than those without",
            f"batch normalization alone lowers the test error by {as_points(alone)}",
            holds_for_gain(alone, bench.min_gain),
            alone,
        ),
        Criterion(
            f"dropout of {JUDGED_DROPOUT} lowers the test error less with batch normalization than without",
            f"dropout lowers it by {as_points(less)} more without batch normalization than with it",
            holds_for_gain(less, bench.min_gain),
            less,
        ),
        Criterion(
            f"dropout of {JUDGED_DROPOUT} lowers the test error of nets without batch normalization",
            f"without batch normalization dropout lowers the test error by {as_points(without)}",
            holds_for_gain(without, bench.min_gain),
            without,
            main=False,
        ),
        Criterion(
            f"dropout of {JUDGED_DROPOUT} still lowers the test error of nets with batch normalization",
            f"with batch normalization dropout lowers the test error by {as_points(with_it)}",
            holds_for_gain(with_it, bench.min_gain),
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
    return ClaimOutcome(
        parts,
        (
            f"ReLU nets of 3 layers of 64 units, {epochs} epochs of AdamW without decay on {bench.table.rows()} "
            "rows; the last epoch's weights are used. The learning rate of each kind of net is the one of "
            f"{', '.join(f'{r:g}' for r in RATES)} with the lowest mean error on validation rows. "
            f"{chosen.shape[2]} repetitions with their own training rows and {SEEDS} seeds each, all evaluated on the "
            f"same {len(bench.table.test)} test rows; the interval allows for other nets and other test rows.",
        ),
        (Lines(lines, "dropout", bench.error_axis),),
        Table(("normalization", *(f"dropout {p:g}" for p in DROPOUTS)), rows),
    )
