"""Claim 15: dropout must be off at evaluation."""

from __future__ import annotations

import numpy as np

from popnet.course.base import Outcome, Part
from popnet.course.evidence import crossed, gains, mean_band, percents, points
from popnet.course.experiments import passes
from popnet.course.lab import Bench, errors
from popnet.course.nets import ADAM
from popnet.predictions.ensemble import softmax
from popnet.report.document import Line, Lines, Table
from popnet.report.format import fixed
from popnet.types import Array

DROPOUTS = (0.1, 0.25, 0.5, 0.75)
JUDGED = 0.5
PASSES = 20
STEPS = 1000
FACTOR = 2


def disagreement(outputs: Array) -> np.ndarray:
    """Return how often two passes of a net name different classes, ``(...,)``, of outputs ``(..., passes, N, O)``."""
    classes = np.asarray(outputs).argmax(-1)
    return (classes[..., 0, :] != classes[..., 1, :]).mean(-1)


def averaged(outputs: Array, classification: bool) -> np.ndarray:
    """Return the mean over passes ``(..., N, O)`` of probabilities (or values), of outputs ``(..., passes, N, O)``."""
    return (softmax(outputs) if classification else np.asarray(outputs)).mean(-3)


def evaluation(bench: Bench) -> Outcome:
    """Claim 15."""
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
    many = errors(averaged(outputs, bench.classification), table, table.test)
    at = DROPOUTS.index(JUDGED)
    overlap = table.overlap(FACTOR)
    worse = crossed(one[:, at] - off[:, at], overlap)
    mean = crossed(many[:, at] - off[:, at], overlap)
    parts = [
        Part(
            f"the test error of nets with dropout {JUDGED} is higher with dropout left on than with dropout off",
            f"dropout left on at evaluation adds {points(worse)} to the test error",
            gains(worse, bench.least),
            worse,
        ),
        Part(
            f"the mean of {PASSES} passes with dropout on errs more than one pass without",
            f"the mean of {PASSES} such passes adds {points(mean)}",
            gains(mean, bench.least),
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
    told = "A second pass gives other numbers for the same row."
    if bench.classification:
        apart = disagreement(outputs)
        rows.append((
            "two passes name different classes",
            *(f"{fixed(100 * float(apart[:, d].mean()), 1)} %" for d in range(len(DROPOUTS))),
        ))  # fmt: skip
        share = crossed(apart[:, [at]], overlap)
        told = (
            f"Two passes over the same rows name different classes for {percents(share)} of them."
        )
    return Outcome(
        tuple(parts),
        (
            f"ReLU nets of 3 layers of 64 units with dropout in every layer, {epochs} epochs on "
            f"{table.rows(FACTOR)} rows. The same trained nets are evaluated with dropout off, and with dropout on "
            "as in training (kept units are scaled by 1/(1-p) in training, so with dropout off nothing is to be "
            f"scaled). {len(results)} repetitions, {len(table.test)} test rows.",
            f"{told} The mean of many passes is a fair use of it (Gal and Ghahramani 2016, arXiv:1506.02142): "
            "it costs as many passes, and about agrees with the one pass without.",
        ),
        (Lines(lines, "dropout", f"test error, % ({bench.unit})"),),
        Table(("dropout at evaluation", *(f"dropout {p:g}" for p in DROPOUTS)), tuple(rows)),
    )  # fmt: skip
