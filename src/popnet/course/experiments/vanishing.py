"""Claims 1 to 3: how the first layer's gradient depends on the depth, for sigmoid, tanh and ReLU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from popnet.course.base import ClaimOutcome, Criterion
from popnet.course.evidence import (
    as_factor,
    as_number,
    holds_above,
    holds_below,
    holds_for_gain,
    interval,
    log_band,
    mean_band,
)
from popnet.course.experiments import passes
from popnet.course.lab import Bench, training_curve, twins_of_seed
from popnet.course.nets import DEEP, PLAIN, with_activation
from popnet.report.document import Line, Lines, Table
from popnet.report.format import number
from popnet.spec.recipe import Activation, Recipe
from popnet.types import Array

DEPTHS = (2, 5, 10, 20)
LOG10_VANISHED = -1.0
"""Decimal logarithm of the ratio of the first layer's gradients below which the gradient has vanished: a tenth."""

PRE_2010_INIT = {"init": "lecun_uniform", "init_scale": 3**-0.5}
"""Initial weights that were usual before 2010, uniform between -1/sqrt(n) and 1/sqrt(n)."""

RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
STEPS = 240
FACTOR = 2
MIN_LOSS_GAIN = 0.01

Weights = Literal["recommended", "pre-2010"]
"""Initial weights: those recommended for the activation, or those that were usual before 2010 (`PRE_2010_INIT`)."""

METHOD = (
    "Nets of 2, 5, 10 and 20 layers of 32 units, without normalization, with the initial weights that are recommended "
    "for their activation (Glorot and Bengio 2010 for sigmoid and tanh, He et al. 2015 for ReLU): the root mean square "
    "of the loss's gradient to the first layer's weights before training, on a batch of up to 256 rows. {n} seeds, "
    "the same for all; the interval is Student's t over seeds."
)


class NetKind(NamedTuple):
    """The kind of net that a gradient was measured in."""

    activation: Activation
    weights: Weights


NETS = (
    NetKind("sigmoid", "recommended"),
    NetKind("tanh", "recommended"),
    NetKind("relu", "recommended"),
    NetKind("sigmoid", "pre-2010"),
    NetKind("tanh", "pre-2010"),
)


@dataclass(frozen=True)
class LearningCurves:
    """How fast nets of an activation learn at their best learning rate.

    Attributes:
        rate: the learning rate whose curves are lowest.
        losses: ``(J, epochs)``, training losses in units of a constant prediction's.
    """

    rate: float
    losses: np.ndarray


def first_gradients(bench: Bench) -> dict[NetKind, np.ndarray]:
    """Return the gradient of the first layer in each kind of net at each depth, ``(J, depths)``."""

    def make() -> dict[NetKind, np.ndarray]:
        recipes = [_recipe(n, d) for n in NETS for d in DEPTHS]
        members = [
            m
            for k in range(bench.table.repeats)
            for m in twins_of_seed(recipes, bench.net_seed("depth", k), bench.table.fold(k))
        ]
        found = passes.gradients(bench, passes.untrained(bench, members))
        first = np.array([g[0] for g in found]).reshape(-1, len(NETS), len(DEPTHS))
        return {n: first[:, i] for i, n in enumerate(NETS)}

    return bench.once("first gradients", make)


def _recipe(kind: NetKind, depth: int) -> Recipe:
    recipe = with_activation(DEEP, kind.activation).replace(depth=depth)
    return recipe.replace(**PRE_2010_INIT) if kind.weights == "pre-2010" else recipe


def log10_gradient_ratio(gradients: Array) -> np.ndarray:
    """Return the decimal logarithm of the gradient at the largest depth over that at the smallest, ``(J,)``.

    Args:
        gradients: ``(J, depths)``.
    """
    logs = np.log10(np.maximum(gradients, 1e-30))
    return logs[:, -1] - logs[:, 0]


def mean_losses(curves: Array) -> np.ndarray:
    """Return the mean loss over each training curve: small for a net that learns fast."""
    return np.asarray(curves).mean(-1)


def _learning(
    bench: Bench, base: Recipe, activations: Sequence[Activation]
) -> dict[Activation, LearningCurves]:
    """Return the learning curves of nets that differ in their activation, each at its best learning rate."""
    epochs = bench.epochs(STEPS, bench.table.rows(FACTOR))
    recipes = [
        with_activation(base, a).replace(learning_rate=r, epochs=epochs)
        for a in activations
        for r in RATES
    ]
    results = bench.train(bench.twins(recipes, "learning", FACTOR))
    curves = np.array([[training_curve(r, epochs, bench.table.guess) for r in g] for g in results])
    curves = curves.reshape(len(results), len(activations), len(RATES), epochs)
    found: dict[Activation, LearningCurves] = {}
    for i, a in enumerate(activations):
        best = int(mean_losses(curves[:, i]).mean(0).argmin())
        found[a] = LearningCurves(RATES[best], curves[:, i, best])
    return found


def _faster(
    bench: Bench, fast: LearningCurves, slow: LearningCurves, asked: str, found: str, main: bool
) -> Criterion:
    """Return whether nets learn faster than others: the mean over the training loss curves is lower.

    Args:
        bench: that trained them.
        fast, slow: curves of the nets that are said to learn faster, and of the others.
        asked, found: words of the criterion; ``{gain}`` in the latter is the difference.
        main: see `popnet.course.base.Criterion`.
    """
    gain = interval(
        mean_losses(slow.losses) - mean_losses(fast.losses), bench.table.overlap(FACTOR)
    )
    said = found.format(gain=f"{as_number(gain, 2)} of a constant prediction's loss")
    return Criterion(asked, said, holds_for_gain(gain, MIN_LOSS_GAIN), gain, main)


def _learning_picture(learning: Mapping[Activation, LearningCurves], y: str) -> Lines:
    lines = [
        Line(
            f"{name}, rate {c.rate:g}", range(1, c.losses.shape[1] + 1), *mean_band(c.losses)
        )
        for name, c in learning.items()
    ]  # fmt: skip
    return Lines(tuple(lines), "epoch", f"{y} (1: constant prediction)")


def _vanishes(bench: Bench, activation: Activation) -> Criterion:
    ratio = interval(
        log10_gradient_ratio(first_gradients(bench)[NetKind(activation, "recommended")])
    )
    return Criterion(
        "at 20 layers less than a tenth is left of the first layer's gradient at 2 layers",
        f"with {activation} the first layer's gradient at 20 layers is {as_factor(ratio)} times that at 2 layers",
        holds_below(ratio, LOG10_VANISHED),
        ratio,
    )


def _vanishes_with_old_weights(bench: Bench, activation: Activation) -> Criterion:
    ratio = interval(log10_gradient_ratio(first_gradients(bench)[NetKind(activation, "pre-2010")]))
    return Criterion(
        "the same with the initial weights that were usual before 2010, uniform within 1/sqrt(n)",
        f"with the initial weights usual before 2010 it is {as_factor(ratio)} times",
        holds_below(ratio, LOG10_VANISHED),
        ratio,
        main=False,
    )


def _gradient_picture(bench: Bench, nets: Sequence[NetKind]) -> Lines:
    words = {"recommended": "", "pre-2010": ", initial weights usual before 2010"}
    lines = [
        Line(f"{n.activation}{words[n.weights]}", DEPTHS, *log_band(first_gradients(bench)[n]))
        for n in nets
    ]
    return Lines(
        tuple(lines), "hidden layers", "first layer's gradient (root mean square)", log_y=True
    )


def _table(bench: Bench) -> Table:
    rows: list[tuple[str, ...]] = []
    for n, g in first_gradients(bench).items():
        mean = log_band(g)[0]
        per_layer = interval(log10_gradient_ratio(g) / (DEPTHS[-1] - DEPTHS[0]))
        kind = "recommended" if n.weights == "recommended" else "before 2010"
        rows.append((
            n.activation, kind, *(number(float(v), 2) for v in mean), as_factor(per_layer, 3),
        ))  # fmt: skip
    return Table(
        ("activation", "initial weights", *(f"{d} layers" for d in DEPTHS), "factor per layer"),
        tuple(rows),
    )


def _method(bench: Bench) -> str:
    return METHOD.format(n=bench.table.repeats)


def sigmoid(bench: Bench) -> ClaimOutcome:
    """Test claim 1."""
    return ClaimOutcome(
        (_vanishes(bench, "sigmoid"), _vanishes_with_old_weights(bench, "sigmoid")),
        (
            _method(bench),
            "A sigmoid's slope is at most a quarter, so each layer removes three quarters of the gradient "
            "or more, unless the weights are large.",
        ),
        (
            _gradient_picture(
                bench,
                [
                    NetKind("sigmoid", "recommended"),
                    NetKind("sigmoid", "pre-2010"),
                    NetKind("relu", "recommended"),
                ],
            ),
        ),
        _table(bench),
    )


def tanh(bench: Bench) -> ClaimOutcome:
    """Test claim 2."""
    learning = bench.once("learning", lambda: _learning(bench, PLAIN, ("sigmoid", "tanh")))
    slow, fast = learning["sigmoid"], learning["tanh"]
    faster = _faster(
        bench, fast, slow,
        "the training loss, averaged over the whole training, is lower than sigmoid's, each at its best learning rate",
        "tanh's mean training loss is lower than sigmoid's by {gain}",
        main=True,
    )  # fmt: skip
    return ClaimOutcome(
        (faster, _vanishes(bench, "tanh"), _vanishes_with_old_weights(bench, "tanh")),
        (
            f"How fast: nets of 3 layers of 64 units on {bench.table.rows(FACTOR)} rows, gradient descent with "
            f"momentum 0.9 for {slow.losses.shape[1]} epochs, five learning rates from {RATES[0]} to {RATES[-1]}; for "
            f"each activation the rate whose curves are lowest is used ({slow.rate:g} for sigmoid, {fast.rate:g} for "
            "tanh). Twins have the same seed and rows. The loss is in units of that of the best constant prediction.",
            "Whether it vanishes: " + _method(bench),
        ),
        (
            _learning_picture(learning, "training loss"),
            _gradient_picture(
                bench,
                [NetKind("sigmoid", "recommended"), NetKind("tanh", "recommended"), NetKind("tanh", "pre-2010")],
            ),
        ),
        _table(bench),
    )  # fmt: skip


def relu(bench: Bench) -> ClaimOutcome:
    """Test claim 3."""
    ratio = interval(log10_gradient_ratio(first_gradients(bench)[NetKind("relu", "recommended")]))
    stays = Criterion(
        "at 20 layers more than a tenth is left of the first layer's gradient at 2 layers",
        f"with ReLU the first layer's gradient at 20 layers is {as_factor(ratio)} times that at 2 layers",
        holds_above(ratio, LOG10_VANISHED),
        ratio,
    )
    learning = bench.once("deep learning", lambda: _learning(bench, DEEP, ("sigmoid", "relu")))
    learns = _faster(
        bench, learning["relu"], learning["sigmoid"],
        "a net of 10 ReLU layers learns faster than one of 10 sigmoid layers, each at its best learning rate",
        "the mean training loss of 10 ReLU layers is lower than that of 10 sigmoid layers by {gain}",
        main=False,
    )  # fmt: skip
    return ClaimOutcome(
        (stays, learns),
        (
            _method(bench),
            "He et al. chose their initial weights so that the signal neither shrinks nor grows in a ReLU net; with "
            "other scales the gradient of deep ReLU nets vanishes or explodes, too (claim 6).",
        ),
        (
            _gradient_picture(
                bench, [NetKind(a, "recommended") for a in ("relu", "tanh", "sigmoid")]
            ),
            _learning_picture(learning, "training loss, 10 layers"),
        ),
        _table(bench),
    )
