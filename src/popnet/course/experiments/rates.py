"""Claim 7: batch normalization widens the range of learning rates that train."""

from __future__ import annotations

import numpy as np

from popnet.course.base import ClaimOutcome, Criterion
from popnet.course.evidence import as_number, holds_for_gain, interval, mean_band
from popnet.course.lab import Bench, training_curve
from popnet.course.nets import DEEP, with_activation
from popnet.report.document import Line, Lines, Table
from popnet.spec.recipe import Activation
from popnet.types import Array

ACTIVATIONS: tuple[Activation, ...] = ("sigmoid", "tanh", "relu")
RATES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
LOG10_STEP = 0.5
"""Orders of magnitude between two rates, about."""

STEPS = 240
FACTOR = 2
MAX_TRAINED_LOSS = 0.5
"""A net has trained if its loss is below this share of a constant prediction's."""

MIN_GAIN = 0.25


def trainable_range(losses: Array) -> np.ndarray:
    """Return over how many orders of magnitude of the learning rate nets train, ``(...,)``.

    Args:
        losses: ``(..., rates)``, final training losses, in units of a constant prediction's.
    """
    return LOG10_STEP * (np.asarray(losses) < MAX_TRAINED_LOSS).sum(-1)


def rates(bench: Bench) -> ClaimOutcome:
    """Test claim 7."""
    epochs = bench.epochs(STEPS, bench.table.rows(FACTOR))
    norms = ("none", "batch")
    recipes = [
        with_activation(DEEP, a).replace(norm=norm, learning_rate=rate, epochs=epochs)
        for a in ACTIVATIONS
        for norm in norms
        for rate in RATES
    ]
    results = bench.train(bench.twins(recipes, "rates", FACTOR))
    ends = np.array([
        [training_curve(r, epochs, bench.table.guess)[-1] for r in group] for group in results
    ])  # fmt: skip
    ends = np.minimum(ends, 1.0).reshape(len(results), len(ACTIVATIONS), len(norms), len(RATES))
    widths = trainable_range(ends)
    overlap = bench.table.overlap(FACTOR)
    parts: list[Criterion] = []
    lines: list[Line] = []
    rows: list[tuple[str, ...]] = []
    for i, a in enumerate(ACTIVATIONS):
        gain = interval(widths[:, i, 1] - widths[:, i, 0], overlap)
        parts.append(
            Criterion(
                f"with {a}, nets with batch normalization train over a wider range of learning rates, in orders of "
                "magnitude",
                f"with {a}, batch normalization widens the range by {as_number(gain, 2)} orders of magnitude",
                holds_for_gain(gain, MIN_GAIN),
                gain,
            )
        )
        for j, norm in enumerate(norms):
            name = f"{a}, {'batch normalization' if norm == 'batch' else 'none'}"
            lines.append(Line(name, RATES, *mean_band(ends[:, i, j])))
            share = (ends[:, i, j] < MAX_TRAINED_LOSS).mean(0)
            fit = [f"{r:g}" for r, s in zip(RATES, share, strict=True) if s > 0.5]
            span = f"{fit[0]} to {fit[-1]}" if fit else "none"
            rows.append((name, as_number(interval(widths[:, i, j], overlap), 2), span))
    return ClaimOutcome(
        tuple(parts),
        (
            f"Nets of 10 layers of 32 units, {epochs} epochs on {bench.table.rows(FACTOR)} rows, gradient descent "
            f"with momentum 0.9, {len(RATES)} learning rates from {RATES[0]:g} to {RATES[-1]:g}, about {LOG10_STEP} "
            f"orders of magnitude apart. A net has trained if its final training loss is below {MAX_TRAINED_LOSS:g} of "
            "the best constant prediction's. Twins with and without normalization have the same seed, rows and initial "
            f"weights; {len(results)} repetitions.",
        ),
        (Lines(tuple(lines), "learning rate", "final training loss (1: constant prediction)", log_x=True),),
        Table(("net", "range of rates that train, orders of magnitude", "rates at which most nets train"), tuple(rows)),
    )  # fmt: skip
