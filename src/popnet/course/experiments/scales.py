"""Claim 8: batch normalization removes the dependence on the scale of the initial weights."""

from __future__ import annotations

import numpy as np

from popnet.course.base import ClaimOutcome, Criterion
from popnet.course.evidence import as_percent, holds_above, interval, mean_band
from popnet.course.lab import Bench
from popnet.course.nets import DEEP
from popnet.report.document import Line, Lines, Table
from popnet.report.format import percent
from popnet.types import Array

SCALES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
RATES = (0.01, 0.03, 0.1)
STEPS = 400
FACTOR = 2
MIN_REDUCTION = 0.9
"""Share of the difference that must be gone for the claim to hold."""


def error_range(errors: Array) -> np.ndarray:
    """Return the error at the worst scale minus that at the best one, ``(...,)``.

    Args:
        errors: ``(..., scales)``.
    """
    return np.asarray(errors).max(-1) - np.asarray(errors).min(-1)


def range_reduction(errors: Array) -> np.ndarray:
    """Return the share of the `error_range` that normalization removes, ``(J,)``.

    Args:
        errors: ``(J, 2, scales)``, without and with normalization.
    """
    spans = error_range(errors)
    return 1 - spans[:, 1] / np.maximum(spans[:, 0], 1e-6)


def scales(bench: Bench) -> ClaimOutcome:
    """Test claim 8."""
    epochs = bench.epochs(STEPS, bench.table.rows(FACTOR))
    norms = ("none", "batch")
    recipes = [
        DEEP.replace(norm=norm, learning_rate=rate, init_scale=scale, epochs=epochs)
        for norm in norms
        for rate in RATES
        for scale in SCALES
    ]
    results = bench.train(bench.twins(recipes, "scales", FACTOR))
    # A squared error is unbounded; one worse than a constant prediction's counts as much.
    rows_errors = np.array([bench.errors(group).mean(1) for group in results])
    errors = np.minimum(rows_errors, 1.0)
    errors = errors.reshape(len(results), len(norms), len(RATES), len(SCALES))
    middle = SCALES.index(1.0)
    best = [int(errors[:, j, :, middle].mean(0).argmin()) for j in range(len(norms))]
    chosen = np.stack([errors[:, j, best[j]] for j in range(len(norms))], 1)
    overlap = bench.table.overlap(FACTOR)
    left = interval(range_reduction(chosen), overlap)
    inner = interval(range_reduction(chosen[..., 1:-1]), overlap)
    part = Criterion(
        f"with batch normalization at least {percent(MIN_REDUCTION)} of the difference in test error between the worst "
        "and the best initial scale is gone",
        f"batch normalization removes {as_percent(left)} of the difference in test error between the worst and the "
        "best initial scale",
        holds_above(left, MIN_REDUCTION),
        left,
    )  # fmt: skip
    beside = Criterion(
        f"the same between scales of {SCALES[1]:g} and {SCALES[-2]:g}",
        f"between scales of {SCALES[1]:g} and {SCALES[-2]:g} it removes {as_percent(inner)}",
        holds_above(inner, MIN_REDUCTION),
        inner,
        main=False,
    )
    names = ("none", "batch normalization")
    lines = tuple(
        Line(
            f"{name}, rate {RATES[best[j]]:g}", SCALES, *mean_band(100 * chosen[:, j])
        )
        for j, name in enumerate(names)
    )  # fmt: skip
    rows = tuple(
        (name, f"{RATES[best[j]]:g}", *(percent(float(e)) for e in chosen[:, j].mean(0)))
        for j, name in enumerate(names)
    )
    return ClaimOutcome(
        (part, beside),
        (
            f"ReLU nets of 10 layers of 32 units, {epochs} epochs on {bench.table.rows(FACTOR)} rows, gradient "
            "descent with momentum 0.9. All initial weights, the output layer's too, are multiplied by a scale "
            "from 0.01 to 10. With and without normalization the learning rate is the one that is best at scale 1 "
            f"({', '.join(f'{r:g}' for r in RATES)} are tried); it is not tuned for the other scales. "
            f"{len(results)} repetitions, the same seeds and rows for all. Each repetition's difference is that of "
            "its own worst and best scale.",
            "Batch normalization makes a layer's output independent of its weights' scale, but not the speed of "
            "learning: gradients are smaller for large weights (van Laarhoven 2017, arXiv:1706.05350).",
        ),
        (Lines(lines, "scale of the initial weights (1: recommended)", "test error, %", log_x=True),),
        Table(("normalization", "learning rate", *(f"scale {s:g}" for s in SCALES)), rows),
    )  # fmt: skip
