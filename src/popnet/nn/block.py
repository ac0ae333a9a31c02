"""What follows a linear map or a convolution, with its parameters: bias, normalization, activation, dropout."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from popnet.nn import norm
from popnet.nn.activations import ActivationNumbers
from popnet.nn.dropout import dropout, mask
from popnet.nn.hidden import Kinds, LayerChoice, Learned, hidden, preactivation
from popnet.nn.hidden import evaluate as at_evaluation
from popnet.runtime.typed_jax import on_host
from popnet.spec.shape import Form, Numbers
from popnet.types import Tree


class LayerActivations(NamedTuple):
    """A block's values on their way through it, for probes.

    Attributes:
        before: ``(N, pieces * W)``, what the activation takes.
        after: ``(N, W)``, what it gives, or the normalization that follows it.
        statistics: the batch's, as `train` returns them.
    """

    before: Array
    after: Array
    statistics: Tree


def init(w: np.ndarray, width: int, pieces: int, slope: float) -> tuple[Tree, Tree]:
    """Return parameters and running statistics of a block, on the host.

    Args:
        w: ``(fan_in, pieces * width)``, its weights.
        width: units, or channels.
        pieces: linear maps of a maxout unit; 1 for others.
        slope: first value of PReLU's slopes.
    """

    def scales(size: int) -> dict[str, np.ndarray]:
        return {"gamma": np.ones(size, np.float32), "beta": np.zeros(size, np.float32)}

    def statistics(size: int) -> norm.Statistics:
        return norm.Statistics(
            *map(on_host, (np.zeros(size, np.float32), np.ones(size, np.float32)))
        )

    parameters = {
        "w": w,
        "b": np.zeros(width * pieces, np.float32),
        "before": scales(width * pieces),
        "after": scales(width),
        "slope": np.full(width, slope, np.float32),
    }
    return parameters, {"before": statistics(width * pieces), "after": statistics(width)}


def _choice(n: Numbers, rate: Array) -> LayerChoice:
    return LayerChoice(n.norm, n.activation, n.norm_epsilon, rate)


def _kinds(form: Form) -> Kinds:
    return Kinds(form.pieces, norm.NONE if form.after else form.norm, form.activation)


def _learned(p: Tree, n: Numbers) -> tuple[Learned, ActivationNumbers]:
    return (
        Learned(p["b"], p["before"]["gamma"], p["before"]["beta"]),
        ActivationNumbers(n.leaky_slope, n.elu_alpha, p["slope"]),
    )


def train(
    p: Tree, form: Form, n: Numbers, z: Array, share: Array, key: Array | None = None,
    seen: list[LayerActivations] | None = None,
) -> tuple[Array, Tree]:  # fmt: skip
    """Return a block's values in training, ``(N, W)``, and its batch's statistics.

    Args:
        p: from `init`.
        form: of the program.
        n: the recipe's numbers.
        z: ``(N, pieces * W)``, the linear map's values.
        share: ``(N,)``, each row's share in the batch's statistics.
        key: uint32, of the dropout; None for a block without dropout.
        seen: list that the block's values are added to.
    """
    size = (z.shape[0], z.shape[1] // form.pieces)
    # Dropout comes last, so with a normalization after the activation it comes after that.
    if key is not None and not form.after:
        rate, kept = n.dropout, mask(key, size, n.dropout)
    else:
        rate, kept = jnp.zeros_like(n.dropout), jnp.ones(size, bool)
    h, before = hidden(_kinds(form), _choice(n, rate), z, *_learned(p, n), share, kept)
    zeros = jnp.zeros_like(p["after"]["beta"])
    after = norm.Statistics(zeros, zeros)
    if form.after:
        scale, shift = p["after"]["gamma"], p["after"]["beta"]
        h, after = norm.normalize(n.norm, h, share, scale, shift, n.norm_epsilon)
        if key is not None:
            h = dropout(h, key, n.dropout)
    statistics = {"before": before, "after": after}
    if seen is not None:
        y = preactivation(_kinds(form), _choice(n, rate), z, _learned(p, n)[0], share)
        seen.append(LayerActivations(y, h, statistics))
    return h, statistics


def evaluate(p: Tree, running: Tree, form: Form, n: Numbers, z: Array) -> Array:
    """Return a block's values at evaluation, ``(N, W)``: running statistics, no dropout."""
    choice = _choice(n, jnp.zeros_like(n.dropout))
    h = at_evaluation(_kinds(form), choice, z, *_learned(p, n), running["before"])
    if not form.after:
        return h
    scale, shift = p["after"]["gamma"], p["after"]["beta"]
    return norm.apply_running(n.norm, h, running["after"], scale, shift, n.norm_epsilon)
