"""Claim 5: a layer's inputs drift while the layers before it learn; batch normalization keeps them stable."""

from __future__ import annotations

import numpy as np

from popnet.course.base import ClaimOutcome, Criterion
from popnet.course.evidence import (
    as_factor,
    holds_above,
    holds_below,
    known_interval,
    log_band,
    mean_known,
)
from popnet.course.lab import Bench
from popnet.course.nets import PLAIN, with_activation
from popnet.population.members import Probes
from popnet.report.document import Line, Lines, Table
from popnet.report.format import number
from popnet.spec.recipe import Activation

ACTIVATIONS: tuple[Activation, ...] = ("sigmoid", "tanh", "relu")
RATES = (0.01, 0.03, 0.1)
STEPS = 480
FACTOR = 4
MIN_PATH = 0.5
"""Standard deviations that a unit's mean must move during a training to count as drift."""

LOG10_HALF = np.log10(0.5)
"""With batch normalization the means must move less than half as far."""


def mean_path_length(probes: Probes) -> float:
    """Return how far the means of the hidden units' inputs move after the first epoch, in standard deviations.

    The units' absolute movements are summed over epochs and averaged over layers; NaN without a probe after it.
    """
    drift = np.asarray(probes.layers["drift"], float)[:, :-1]
    epochs = np.asarray(probes.epochs, float)
    steps = np.diff(epochs, prepend=epochs[0])
    known = np.isfinite(drift).all(1)
    if not known.any():
        return float("nan")
    return float((drift[known] * steps[known, None]).sum(0).mean())


def drift(bench: Bench) -> ClaimOutcome:
    """Test claim 5."""
    epochs = bench.epochs(STEPS, bench.table.rows(FACTOR))
    norms = ("none", "batch")
    recipes = [
        with_activation(PLAIN, a).replace(norm=norm, learning_rate=rate, epochs=epochs)
        for a in ACTIVATIONS
        for norm in norms
        for rate in RATES
    ]
    # A net is probed once more when it ends, so the whole training is one segment.
    results = bench.train(bench.twins(recipes, "drift", FACTOR), last=False, probed=True)
    shape = len(results), len(ACTIVATIONS), len(norms), len(RATES)
    paths = np.array([
        [mean_path_length(r.probes) if r.probes is not None and r.status != "diverged" else np.nan for r in g]
        for g in results
    ]).reshape(shape)  # fmt: skip
    losses = np.array([
        [min(float(r.curves["loss"][-1]) / bench.table.guess, 1.0) if r.status != "diverged" else 1.0 for r in g]
        for g in results
    ]).reshape(shape)  # fmt: skip
    # A rate at which either twin diverged says nothing about either.
    paths = np.where(np.isfinite(paths).all(2, keepdims=True), paths, np.nan)
    logs = np.log10(np.maximum(paths, 1e-6))
    overlap = bench.table.overlap(FACTOR)
    moved = known_interval(mean_known(logs[:, :, 0]), overlap)
    ratio = known_interval(mean_known(logs[:, :, 1] - logs[:, :, 0]), overlap)
    parts = (
        Criterion(
            f"without normalization the means of the units' inputs move by more than {MIN_PATH} standard deviations "
            "after the first epoch",
            f"without normalization the means of the units' inputs move by {as_factor(moved)} standard deviations",
            holds_above(moved, float(np.log10(MIN_PATH))),
            moved,
        ),
        Criterion(
            "with batch normalization they move less than half as far",
            f"with batch normalization {as_factor(ratio)} times as far",
            holds_below(ratio, float(LOG10_HALF)),
            ratio,
        ),
    )  # fmt: skip
    lines: list[Line] = []
    rows: list[tuple[str, ...]] = []
    for j, norm in enumerate(norms):
        for i, a in enumerate(ACTIVATIONS):
            name = f"{a}, {'batch normalization' if norm == 'batch' else 'none'}"
            lines.append(Line(name, RATES, *log_band(paths[:, i, j])))
            spread = known_interval(mean_known(logs[:, i, j]), overlap)
            rows.append((name, as_factor(spread), number(float(losses[:, i, j].mean()), 2)))
    return ClaimOutcome(
        parts,
        (
            f"Nets of 3 layers of 64 units, {epochs} epochs on {bench.table.rows(FACTOR)} rows, gradient descent "
            f"with momentum 0.9, learning rates {', '.join(f'{r:g}' for r in RATES)}, three activations. A few "
            "hundred rows, always the same, are passed through the net several times during training: how far has "
            "the mean of each unit's input (before its activation) moved, in standard deviations over these rows? "
            "These distances are summed over the training. Twins with and without normalization have the same seed, "
            "rows and rate.",
            "That the means hardly move follows from how batch normalization is defined: only its learned shift can "
            "move them. Whether this is why nets learn better with it is disputed: Santurkar et al. 2018 found "
            "that nets with batch normalization learn as well if noise makes their layers' inputs drift, and that "
            "it smooths the loss instead.",
        ),
        (Lines(tuple(lines), "learning rate", "path length of the units' means, standard deviations", True, True),),
        Table(("net", "path length, standard deviations", "final training loss (1: constant prediction)"), tuple(rows)),
    )  # fmt: skip
