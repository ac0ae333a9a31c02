"""Claim 10: batch normalization belongs before the activation."""

from __future__ import annotations

from popnet.course.base import ClaimOutcome, Criterion
from popnet.course.evidence import as_points, crossed_interval, holds_for_gain, side_criteria
from popnet.course.experiments.regularising import RATES, SEEDS, STEPS, tuned_errors
from popnet.course.lab import Bench
from popnet.course.nets import ADAM, with_activation
from popnet.report.document import Dot, Dots, Table
from popnet.report.format import fixed, signed
from popnet.spec.recipe import Activation

ACTIVATIONS: tuple[Activation, ...] = ("sigmoid", "tanh", "relu")
PLACES = ("before", "after")


def position(bench: Bench) -> ClaimOutcome:
    """Test claim 10."""
    epochs = bench.epochs(STEPS, bench.table.rows())
    recipes = [
        with_activation(ADAM, a).replace(
            norm="batch", norm_position=place, learning_rate=rate, epochs=epochs
        )
        for a in ACTIVATIONS
        for place in PLACES
        for rate in RATES
    ]
    chosen = tuned_errors(bench, recipes, "position", (len(ACTIVATIONS), len(PLACES)))
    gain = chosen[:, 1] - chosen[:, 0]
    overlap = bench.table.overlap()
    mean = crossed_interval(gain.mean(0), overlap)
    each = [crossed_interval(gain[i], overlap) for i in range(len(ACTIVATIONS))]
    part = Criterion(
        "the test error is lower with batch normalization before the activation than after it, on average over "
        "sigmoid, tanh and ReLU",
        f"batch normalization before the activation instead of after it lowers the test error by {as_points(mean)}",
        holds_for_gain(mean, bench.min_gain),
        mean,
    )  # fmt: skip
    beside = side_criteria(ACTIVATIONS, each, bench.min_gain)
    dots = tuple(
        Dot(
            name, 100 * e.mean, 100 * e.low, 100 * e.high, signed(100 * e.mean, 1),
            "good" if e.low > 0 else "bad" if e.high < 0 else "neutral",
        )
        for name, e in zip((*ACTIVATIONS, "all three"), (*each, mean), strict=True)
    )  # fmt: skip
    rows = tuple(
        (a, *(f"{fixed(100 * float(chosen[i, j].mean()), 1)} %" for j in range(len(PLACES))))
        for i, a in enumerate(ACTIVATIONS)
    )
    return ClaimOutcome(
        (part, *beside),
        (
            f"Nets of 3 layers of 64 units, {epochs} epochs of AdamW without decay or dropout on "
            f"{bench.table.rows()} rows, each at the learning rate with the lowest validation error. Twins have the "
            f"same seed, initial weights and rows, and differ only in where the normalization is. {chosen.shape[2]} "
            f"repetitions of {SEEDS} seeds each, judged on {len(bench.table.test)} test rows.",
            "Ioffe and Szegedy 2015 put it before the activation; measurements by others found it as good or "
            "better after ReLU, so papers and libraries differ.",
        ),
        (Dots(dots, f"points of {bench.unit} saved by normalizing before the activation; right: before is better"),),
        Table(("activation", "before", "after"), rows),
    )  # fmt: skip
