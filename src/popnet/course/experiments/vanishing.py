"""Claims 1 to 3: how the first layer's gradient depends on the depth, for sigmoid, tanh and ReLU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from popnet.course.base import Outcome, Part
from popnet.course.evidence import (
    above,
    below,
    gains,
    interval,
    log_band,
    mean_band,
    plain,
    times,
)
from popnet.course.experiments import passes
from popnet.course.lab import Bench, seeded, training_curve
from popnet.course.nets import DEEP, PLAIN, with_activation
from popnet.report.document import Line, Lines, Table
from popnet.report.format import number
from popnet.spec.recipe import Activation, Recipe
from popnet.types import Array

DEPTHS = (2, 5, 10, 20)
VANISHED = -1.0
"""Decimal logarithm of what is left of the first layer's gradient: a gradient has vanished below a tenth."""

OLD = {"init": "lecun_uniform", "init_scale": 3**-0.5}
"""Initial weights that were usual before 2010, uniform between -1/sqrt(n) and 1/sqrt(n)."""

RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
STEPS = 240
FACTOR = 2
MIN_AREA = 0.01

Gradients = dict[tuple[Activation, str], np.ndarray]

HOW = (
    "Nets of 2, 5, 10 and 20 layers of 32 units, without normalization, with the initial weights that are recommended "
    "for their activation (Glorot and Bengio 2010 for sigmoid and tanh, He et al. 2015 for ReLU): the root mean square "
    "of the loss's gradient to the first layer's weights before training, on a batch of up to 256 rows. The same seeds "
    "for all, {n} of them; the interval is Student's over seeds."
)


def first_gradients(bench: Bench) -> Gradients:
    """Return the first layer's gradient by activation and initial weights (``suited`` or ``old``), ``(J, depths)``."""

    def make() -> Gradients:
        kinds: list[tuple[Activation, str]] = [
            ("sigmoid", "suited"), ("tanh", "suited"), ("relu", "suited"), ("sigmoid", "old"), ("tanh", "old"),
        ]  # fmt: skip
        recipes = [_recipe(a, kind, d) for a, kind in kinds for d in DEPTHS]
        members = [
            m
            for k in range(bench.table.repeats)
            for m in seeded(recipes, bench.net_seed("depth", k), bench.table.fold(k))
        ]
        found = passes.gradients(bench, passes.untrained(bench, members))
        first = np.array([g[0] for g in found]).reshape(-1, len(kinds), len(DEPTHS))
        return {kind: first[:, i] for i, kind in enumerate(kinds)}

    return bench.once("first gradients", make)


def _recipe(activation: Activation, kind: str, depth: int) -> Recipe:
    recipe = with_activation(DEEP, activation).replace(depth=depth)
    return recipe.replace(**OLD) if kind == "old" else recipe


def fall(gradients: Array) -> np.ndarray:
    """Return the decimal logarithm of what is left of the gradient at the largest depth, ``(J,)``.

    Args:
        gradients: ``(J, depths)``.
    """
    logs = np.log10(np.maximum(gradients, 1e-30))
    return logs[:, -1] - logs[:, 0]


def areas(curves: Array) -> np.ndarray:
    """Return the mean height of each training curve: small for a net that learns fast."""
    return np.asarray(curves).mean(-1)


def _learning(
    bench: Bench, base: Recipe, activations: Sequence[Activation]
) -> dict[Activation, tuple[float, np.ndarray]]:
    """Return of each activation its best learning rate, and its training curves with it, ``(J, epochs)``."""
    epochs = bench.epochs(STEPS, bench.table.rows(FACTOR))
    recipes = [
        with_activation(base, a).replace(learning_rate=r, epochs=epochs)
        for a in activations
        for r in RATES
    ]
    results = bench.train(bench.twins(recipes, "learning", FACTOR))
    curves = np.array([[training_curve(r, epochs, bench.table.guess) for r in g] for g in results])
    curves = curves.reshape(len(results), len(activations), len(RATES), epochs)
    found = {}
    for i, a in enumerate(activations):
        best = int(areas(curves[:, i]).mean(0).argmin())
        found[a] = RATES[best], curves[:, i, best]
    return found


def _vanishes(bench: Bench, activation: Activation) -> Part:
    left = interval(fall(first_gradients(bench)[activation, "suited"]))
    return Part(
        "at 20 layers less than a tenth is left of the first layer's gradient at 2 layers",
        f"with {activation} the first layer's gradient at 20 layers is {times(left)} times that at 2",
        below(left, VANISHED),
        left,
    )


def _old(bench: Bench, activation: Activation) -> Part:
    left = interval(fall(first_gradients(bench)[activation, "old"]))
    return Part(
        "the same with the initial weights that were usual before 2010, uniform within 1/sqrt(n)",
        f"with the initial weights of before 2010 it is {times(left)} times",
        below(left, VANISHED),
        left,
        main=False,
    )


def _picture(bench: Bench, activations: Sequence[tuple[Activation, str]]) -> Lines:
    words = {"suited": "", "old": ", initial weights of before 2010"}
    lines = []
    for a, kind in activations:
        mean, low, high = log_band(first_gradients(bench)[a, kind])
        lines.append(Line(f"{a}{words[kind]}", DEPTHS, mean, low, high))
    return Lines(
        tuple(lines), "hidden layers", "first layer's gradient (root mean square)", log_y=True
    )


def _table(bench: Bench) -> Table:
    found = first_gradients(bench)
    rows = []
    for (a, kind), g in found.items():
        mean = log_band(g)[0]
        left = interval(fall(g) / (DEPTHS[-1] - DEPTHS[0]))
        kind = "recommended" if kind == "suited" else "before 2010"
        rows.append((a, kind, *(number(float(v), 2) for v in mean), times(left, 3)))
    return Table(
        ("activation", "initial weights", *(f"{d} layers" for d in DEPTHS), "factor a layer"),
        tuple(rows),
    )


def _how(bench: Bench) -> str:
    return HOW.format(n=bench.table.repeats)


def sigmoid(bench: Bench) -> Outcome:
    """Claim 1."""
    return Outcome(
        (_vanishes(bench, "sigmoid"), _old(bench, "sigmoid")),
        (
            _how(bench),
            "A sigmoid's slope is at most a quarter, so each layer that the gradient passes takes three quarters "
            "of it or more, unless the weights are large.",
        ),
        (_picture(bench, [("sigmoid", "suited"), ("sigmoid", "old"), ("relu", "suited")]),),
        _table(bench),
    )  # fmt: skip


def tanh(bench: Bench) -> Outcome:
    """Claim 2."""
    learnt = bench.once("learning", lambda: _learning(bench, PLAIN, ("sigmoid", "tanh")))
    (rate_s, sigmoid_curves), (rate_t, tanh_curves) = learnt["sigmoid"], learnt["tanh"]
    gain = interval(areas(sigmoid_curves) - areas(tanh_curves), bench.table.overlap(FACTOR))
    faster = Part(
        "the training loss, averaged over the whole training, is lower than sigmoid's, each at its best learning rate",
        f"tanh's mean training loss is {plain(gain, 2)} of a guess's loss lower than sigmoid's",
        gains(gain, MIN_AREA),
        gain,
    )
    epochs = sigmoid_curves.shape[1]
    lines = [
        Line(f"{name}, rate {rate:g}", range(1, epochs + 1), *mean_band(curves))
        for name, (rate, curves) in learnt.items()
    ]
    return Outcome(
        (faster, _vanishes(bench, "tanh"), _old(bench, "tanh")),
        (
            f"How fast: nets of 3 layers of 64 units on {bench.table.rows(FACTOR)} rows, gradient descent with "
            f"momentum 0.9 for {epochs} epochs, five learning rates from {RATES[0]} to {RATES[-1]}; of each "
            f"activation the rate whose curves are lowest ({rate_s:g} for sigmoid, {rate_t:g} for tanh). Twins have "
            "the same seed and rows. The loss is in units of that of the best constant prediction.",
            "Whether it vanishes: " + _how(bench),
        ),
        (
            Lines(tuple(lines), "epoch", "training loss (1: guessing)"),
            _picture(bench, [("sigmoid", "suited"), ("tanh", "suited"), ("tanh", "old")]),
        ),
        _table(bench),
    )  # fmt: skip


def relu(bench: Bench) -> Outcome:
    """Claim 3."""
    left = interval(fall(first_gradients(bench)["relu", "suited"]))
    stays = Part(
        "at 20 layers more than a tenth is left of the first layer's gradient at 2 layers",
        f"with ReLU the first layer's gradient at 20 layers is {times(left)} times that at 2",
        above(left, VANISHED),
        left,
    )
    learnt = bench.once("deep learning", lambda: _learning(bench, DEEP, ("sigmoid", "relu")))
    gain = interval(
        areas(learnt["sigmoid"][1]) - areas(learnt["relu"][1]), bench.table.overlap(FACTOR)
    )
    learns = Part(
        "a net of 10 ReLU layers learns faster than one of 10 sigmoid layers, each at its best learning rate",
        f"the mean training loss of 10 ReLU layers is {plain(gain, 2)} of a guess's loss lower than that of 10 sigmoid "
        "layers",
        gains(gain, MIN_AREA),
        gain,
        main=False,
    )  # fmt: skip
    epochs = learnt["relu"][1].shape[1]
    lines = [
        Line(f"{name}, rate {rate:g}", range(1, epochs + 1), *mean_band(curves))
        for name, (rate, curves) in learnt.items()
    ]
    return Outcome(
        (stays, learns),
        (
            _how(bench),
            "He et al. chose their initial weights so that a ReLU net neither shrinks nor swells its signal; with "
            "other scales the gradient of deep ReLU nets vanishes or explodes as well (claim 6).",
        ),
        (
            _picture(bench, [("relu", "suited"), ("tanh", "suited"), ("sigmoid", "suited")]),
            Lines(tuple(lines), "epoch", "training loss, 10 layers (1: guessing)"),
        ),
        _table(bench),
    )
