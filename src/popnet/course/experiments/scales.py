"""Claim 8: batch normalization takes away the dependence on the initial scale of the weights."""

from __future__ import annotations

import numpy as np

from popnet.course.base import Outcome, Part
from popnet.course.evidence import above, interval, mean_band, percents
from popnet.course.lab import Bench
from popnet.course.nets import DEEP
from popnet.report.document import Line, Lines, Table
from popnet.report.format import percent
from popnet.types import Array

SCALES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
RATES = (0.01, 0.03, 0.1)
STEPS = 400
FACTOR = 2
TAKEN = 0.9
"""Share of the dependence that must be gone, to be taken away."""


def dependence(errors: Array) -> np.ndarray:
    """Return how much the error depends on the scale: that of the worst less that of the best, ``(...,)``.

    Args:
        errors: ``(..., scales)``.
    """
    return np.asarray(errors).max(-1) - np.asarray(errors).min(-1)


def taken(errors: Array) -> np.ndarray:
    """Return the share of the dependence that normalization takes away, ``(J,)``.

    Args:
        errors: ``(J, 2, scales)``, without and with normalization.
    """
    spans = dependence(errors)
    return 1 - spans[:, 1] / np.maximum(spans[:, 0], 1e-6)


def scales(bench: Bench) -> Outcome:
    """Claim 8."""
    epochs = bench.epochs(STEPS, bench.table.rows(FACTOR))
    norms = ("none", "batch")
    recipes = [
        DEEP.replace(norm=norm, learning_rate=rate, init_scale=scale, epochs=epochs)
        for norm in norms
        for rate in RATES
        for scale in SCALES
    ]
    results = bench.train(bench.twins(recipes, "scales", FACTOR))
    # A squared error may be as large as it likes; worse than a guess is as bad as a guess.
    rows_errors = np.array([bench.errors(group).mean(1) for group in results])
    errors = np.minimum(rows_errors, 1.0)
    errors = errors.reshape(len(results), len(norms), len(RATES), len(SCALES))
    middle = SCALES.index(1.0)
    best = [int(errors[:, j, :, middle].mean(0).argmin()) for j in range(len(norms))]
    chosen = np.stack([errors[:, j, best[j]] for j in range(len(norms))], 1)
    overlap = bench.table.overlap(FACTOR)
    left = interval(taken(chosen), overlap)
    inner = interval(taken(chosen[..., 1:-1]), overlap)
    part = Part(
        f"at least {percent(TAKEN)} of the difference between the worst and the best scale's test error are gone",
        f"batch normalization takes away {percents(left)} of the difference between the worst and the best initial "
        "scale",
        above(left, TAKEN),
        left,
    )  # fmt: skip
    beside = Part(
        f"the same between scales of {SCALES[1]:g} and {SCALES[-2]:g}",
        f"between scales of {SCALES[1]:g} and {SCALES[-2]:g} {percents(inner)}",
        above(inner, TAKEN),
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
    return Outcome(
        (part, beside),
        (
            f"ReLU nets of 10 layers of 32 units, {epochs} epochs on {bench.table.rows(FACTOR)} rows, gradient "
            "descent with momentum 0.9. All initial weights, the output layer's too, are multiplied by a scale "
            "from 0.01 to 10. With and without normalization the learning rate is the one that is best at scale 1 "
            f"({', '.join(f'{r:g}' for r in RATES)} are tried); it is not adapted to the other scales. "
            f"{len(results)} repetitions, the same seeds and rows for all. Each repetition's difference is that of "
            "its own worst and best scale.",
            "Batch normalization makes a layer's output independent of its weights' scale, but not the speed of "
            "learning: gradients are smaller for large weights (van Laarhoven 2017, arXiv:1706.05350).",
        ),
        (Lines(lines, "scale of the initial weights (1: recommended)", "test error, %", log_x=True),),
        Table(("normalization", "learning rate", *(f"scale {s:g}" for s in SCALES)), rows),
    )  # fmt: skip
