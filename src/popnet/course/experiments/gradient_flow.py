"""Claim 6: batch normalization makes the gradient depend less on depth and on the weights' scale."""

from __future__ import annotations

import numpy as np

from popnet.course.base import ClaimOutcome, Criterion
from popnet.course.evidence import as_number, holds_for_gain, interval, mean_band
from popnet.course.experiments import passes
from popnet.course.lab import Bench, twins_of_seed
from popnet.course.nets import DEEP, with_activation
from popnet.report.document import Line, Lines, Table
from popnet.spec.recipe import Activation
from popnet.types import Array

ACTIVATIONS: tuple[Activation, ...] = ("sigmoid", "tanh", "relu")
DEPTHS = (2, 20)
SCALES = (0.5, 1.0, 2.0)
MIN_GAIN = 0.1


def orders_of_magnitude(gradients: Array) -> np.ndarray:
    """Return by how many orders of magnitude the first layer's gradients of a shallow and a deep net differ.

    Vanishing and exploding count alike.

    Args:
        gradients: ``(..., 2)``, of the shallow and the deep net.
    """
    logs = np.log10(np.maximum(gradients, 1e-30))
    return np.abs(logs[..., 1] - logs[..., 0])


def gradient_flow(bench: Bench) -> ClaimOutcome:
    """Test claim 6."""
    norms = ("none", "batch")
    recipes = [
        with_activation(DEEP, a).replace(norm=norm, depth=depth, init_scale=scale)
        for a in ACTIVATIONS
        for norm in norms
        for scale in SCALES
        for depth in DEPTHS
    ]
    repeats = bench.table.repeats
    members = [
        m
        for k in range(repeats)
        for m in twins_of_seed(recipes, bench.net_seed("flow", k), bench.table.fold(k))
    ]
    found = passes.gradients(bench, passes.untrained(bench, members))
    first = np.array([g[0] for g in found])
    first = first.reshape(repeats, len(ACTIVATIONS), len(norms), len(SCALES), len(DEPTHS))
    powers = orders_of_magnitude(first)
    signed = np.log10(np.maximum(first[..., 1], 1e-30)) - np.log10(np.maximum(first[..., 0], 1e-30))
    parts: list[Criterion] = []
    lines: list[Line] = []
    rows: list[tuple[str, ...]] = []
    for i, a in enumerate(ACTIVATIONS):
        gain = interval(powers[:, i, 0].mean(1) - powers[:, i, 1].mean(1))
        parts.append(
            Criterion(
                f"with {a}, batch normalization brings the first layer's gradients at 2 and at 20 layers closer "
                "together, in orders of magnitude, on average over initial weights of 0.5, 1 and 2 times the "
                "recommended scale",
                f"with {a}, batch normalization reduces the change from 2 to 20 layers by {as_number(gain, 2)} orders "
                "of magnitude",
                holds_for_gain(gain, MIN_GAIN),
                gain,
            )
        )  # fmt: skip
        for j, norm in enumerate(norms):
            name = f"{a}, {'batch normalization' if norm == 'batch' else 'none'}"
            lines.append(Line(name, SCALES, *mean_band(signed[:, i, j])))
            texts = [as_number(interval(signed[:, i, j, s]), 2) for s in range(len(SCALES))]
            rows.append((name, *texts))
    return ClaimOutcome(
        tuple(parts),
        (
            "The root mean square of the gradient to the first layer's weights before training, in nets of 2 and "
            f"of 20 layers of 32 units, on a batch of up to 256 rows; {repeats} seeds, the same for all. The "
            "paper's claim is that batch normalization reduces \"the dependence of gradients on the scale of the "
            "parameters or of their initial values\", so the initial weights have 0.5, 1 and 2 times the "
            "scale that is recommended for the activation. Orders of magnitude count alike whether the gradient "
            "vanishes or explodes.",
            "The table shows the decimal logarithm of the ratio at each scale: below 0 the gradient vanishes with "
            "depth, above 0 it explodes. Before training, batch normalization makes gradients grow a little with each "
            "layer (Yang et "
            "al. 2019, arXiv:1902.08129), so that at the recommended scale a ReLU net without it may have the "
            "better gradient flow.",
        ),
        (
            Lines(
                tuple(lines), "scale of the initial weights (1: recommended)",
                "orders of magnitude from 2 to 20 layers (0: no change)", log_x=True,
            ),
        ),
        Table(("net", *(f"scale {s:g}" for s in SCALES)), tuple(rows)),
    )  # fmt: skip
