"""Claim 5: what a layer takes drifts while the layers before it learn; batch normalization stills it."""

from __future__ import annotations

import numpy as np

from popnet.course.base import Outcome, Part
from popnet.course.evidence import above, below, log_band, mean_known, of_known, times
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
MOVES = 0.5
"""Standard deviations that a unit's mean must wander in a training, to be said to drift."""

STILLED = np.log10(0.5)
"""What is stilled drifts less than half as far."""


def path(probes: Probes) -> float:
    """Return how far the means of what hidden layers take wander after the first epoch, in standard deviations.

    The sum over epochs of the units' absolute movements, the mean over layers; NaN if there was no look after it.
    """
    drift = np.asarray(probes.layers["drift"], float)[:, :-1]
    epochs = np.asarray(probes.epochs, float)
    steps = np.diff(epochs, prepend=epochs[0])
    known = np.isfinite(drift).all(1)
    if not known.any():
        return float("nan")
    return float((drift[known] * steps[known, None]).sum(0).mean())


def drift(bench: Bench) -> Outcome:
    """Claim 5."""
    epochs = bench.epochs(STEPS, bench.table.rows(FACTOR))
    norms = ("none", "batch")
    recipes = [
        with_activation(PLAIN, a).replace(norm=norm, learning_rate=rate, epochs=epochs)
        for a in ACTIVATIONS
        for norm in norms
        for rate in RATES
    ]
    # What has ended is looked at once more, so the whole training is one leg.
    results = bench.train(bench.twins(recipes, "drift", FACTOR), last=False, probed=True)
    shape = len(results), len(ACTIVATIONS), len(norms), len(RATES)
    paths = np.array([
        [path(r.probes) if r.probes is not None and r.status != "diverged" else np.nan for r in g]
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
    moved = of_known(mean_known(logs[:, :, 0]), overlap)
    ratio = of_known(mean_known(logs[:, :, 1] - logs[:, :, 0]), overlap)
    parts = (
        Part(
            f"without normalization the units' means wander by more than {MOVES} standard deviations after the "
            "first epoch",
            f"without normalization the means of what the units take wander by {times(moved)} standard deviations",
            above(moved, float(np.log10(MOVES))),
            moved,
        ),
        Part(
            "with batch normalization they wander less than half as far",
            f"with batch normalization {times(ratio)} times as far",
            below(ratio, float(STILLED)),
            ratio,
        ),
    )  # fmt: skip
    lines, rows = [], []
    for j, norm in enumerate(norms):
        for i, a in enumerate(ACTIVATIONS):
            name = f"{a}, {'batch normalization' if norm == 'batch' else 'none'}"
            lines.append(Line(name, RATES, *log_band(paths[:, i, j])))
            spread = of_known(mean_known(logs[:, i, j]), overlap)
            rows.append((name, times(spread), number(float(losses[:, i, j].mean()), 2)))
    return Outcome(
        parts,
        (
            f"Nets of 3 layers of 64 units, {epochs} epochs on {bench.table.rows(FACTOR)} rows, gradient descent "
            f"with momentum 0.9, learning rates {', '.join(f'{r:g}' for r in RATES)}, three activations. A few "
            "hundred rows, always the same, are passed through the net now and then: how far has the mean of what "
            "each unit's activation takes moved, in standard deviations over these rows? The sum over the training "
            "is the length of its way. Twins with and without normalization have the same seed, rows and rate.",
            "That the means stand still follows from what batch normalization does: only its learned shift can "
            "move them. Whether this is why nets learn better with it is disputed: Santurkar et al. 2018 found "
            "that nets with batch normalization learn as well if noise makes their layers' inputs drift, and that "
            "it smooths the loss instead.",
        ),
        (Lines(tuple(lines), "learning rate", "way of the units' means, standard deviations", True, True),),
        Table(("net", "way of the means, standard deviations", "training loss at the end (1: guessing)"), tuple(rows)),
    )  # fmt: skip
