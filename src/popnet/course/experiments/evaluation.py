"""Claim 15: dropout must be off at evaluation."""

from __future__ import annotations

import numpy as np

from popnet.course.base import ClaimOutcome, Criterion
from popnet.course.evidence import (
    as_percent,
    as_points,
    crossed_interval,
    holds_for_gain,
    mean_band,
)
from popnet.course.experiments import passes
from popnet.course.lab import Bench, errors
from popnet.course.nets import ADAM
from popnet.predictions.ensemble import softmax
from popnet.report.document import Line, Lines, Table
from popnet.report.format import fixed
from popnet.types import Array

DROPOUTS = (0.1, 0.25, 0.5, 0.75)
JUDGED_DROPOUT = 0.5
PASSES = 20
STEPS = 1000
FACTOR = 2


def disagreement(outputs: Array) -> np.ndarray:
    """Return how often two passes predict different classes, ``(...,)``, given outputs ``(..., passes, N, O)``."""
    classes = np.asarray(outputs).argmax(-1)
    return (classes[..., 0, :] != classes[..., 1, :]).mean(-1)


def mean_prediction(outputs: Array, classification: bool) -> np.ndarray:
    """Return the mean over passes ``(..., N, O)`` of probabilities (or values), of outputs ``(..., passes, N, O)``."""
    return (softmax(outputs) if classification else np.asarray(outputs)).mean(-3)


def evaluation(bench: Bench) -> ClaimOutcome:
    """Test claim 15."""
    table = bench.table
    epochs = bench.epochs(STEPS, table.rows(FACTOR))
    recipes = [ADAM.replace(dropout=p, epochs=epochs) for p in DROPOUTS]
    results = bench.train(bench.twins(recipes, "evaluation", FACTOR))
    flat = [r for g in results for r in g]
    shape = len(results), len(DROPOUTS)
    off = bench.errors(flat).reshape(*shape, -1)
    outputs = passes.noisy(bench, passes.trained(flat), PASSES)
    outputs = outputs.reshape(*shape, *outputs.shape[1:])
    one = errors(outputs[:, :, 0], table, table.test)
    many = errors(mean_prediction(outputs, bench.classification), table, table.test)
    at = DROPOUTS.index(JUDGED_DROPOUT)
    overlap = table.overlap(FACTOR)
    worse = crossed_interval(one[:, at] - off[:, at], overlap)
    mean = crossed_interval(many[:, at] - off[:, at], overlap)
    parts = [
        Criterion(
            f"nets with dropout {JUDGED_DROPOUT} have a higher test error with dropout left on than with dropout off",
            f"dropout left on at evaluation raises the test error by {as_points(worse)}",
            holds_for_gain(worse, bench.min_gain),
            worse,
        ),
        Criterion(
            f"the mean of {PASSES} passes with dropout on has a higher error than one pass without",
            f"the mean of {PASSES} such passes raises it by {as_points(mean)}",
            holds_for_gain(mean, bench.min_gain),
            mean,
            main=False,
        ),
    ]
    names = ("off", "on, one pass", f"on, mean of {PASSES} passes")
    each = (off, one, many)
    lines = tuple(
        Line(name, DROPOUTS, *mean_band(100 * e.mean(-1)))
        for name, e in zip(names, each, strict=True)
    )
    rows = [
        (name, *(f"{fixed(100 * float(e[:, d].mean()), 1)} %" for d in range(len(DROPOUTS))))
        for name, e in zip(names, each, strict=True)
    ]
    told = "A second pass gives other predictions for the same row."
    if bench.classification:
        apart = disagreement(outputs)
        rows.append((
            "two passes predict different classes",
            *(f"{fixed(100 * float(apart[:, d].mean()), 1)} %" for d in range(len(DROPOUTS))),
        ))  # fmt: skip
        share = crossed_interval(apart[:, [at]], overlap)
        told = f"Two passes over the same rows predict different classes for {as_percent(share)} of them."
    return ClaimOutcome(
        tuple(parts),
        (
            f"ReLU nets of 3 layers of 64 units with dropout in every layer, {epochs} epochs on "
            f"{table.rows(FACTOR)} rows. The same trained nets are evaluated with dropout off, and with dropout on "
            "as in training (where kept units are scaled by 1/(1-p), so no scaling is needed with dropout "
            f"off). {len(results)} repetitions, {len(table.test)} test rows.",
            f"{told} The mean of many passes is a legitimate use of dropout at evaluation (Gal and Ghahramani "
            "2016, arXiv:1506.02142), at the cost of so many passes.",
        ),
        (Lines(lines, "dropout", bench.error_axis),),
        Table(("dropout at evaluation", *(f"dropout {p:g}" for p in DROPOUTS)), tuple(rows)),
    )  # fmt: skip
