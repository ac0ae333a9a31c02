"""What follows a hidden layer's linear map: bias, normalization, activation, dropout, in one pass over memory.

Each of them by itself reads and writes the whole layer, and between choices made by number the compiler cannot join
them. So the choice of the activation holds the formula of all of them, and its gradient is written down here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from popnet.nn import layers, norm
from popnet.nn.activations import ACTIVATIONS, Activation, ActivationNumbers
from popnet.nn.branch import choose
from popnet.nn.dropout import masked
from popnet.runtime import typed_jax


class Kinds(NamedTuple):
    """What a program is compiled for.

    Attributes:
        pieces: k, linear maps of a maxout unit; 1 for the activations of the table.
        norm: place in `norm.NORMS`, or None: the program has all of them and a recipe's number chooses.
        activation: place in `ACTIVATIONS`, or None likewise.
    """

    pieces: int = 1
    norm: int | None = None
    activation: int | None = None

    def norm_of(self, choice: LayerChoice) -> Array | int:
        """Return which normalization is done, as `norm.moments` takes it."""
        return choice.norm if self.norm is None else self.norm

    def activation_of(self, choice: LayerChoice) -> Array | int:
        """Return which activation is applied, as `choose` takes it."""
        if self.pieces > 1:
            return 0
        return choice.activation if self.activation is None else self.activation


class LayerChoice(NamedTuple):
    """What a recipe does after a linear map; a program that is compiled for one kind ignores the numbers of it.

    Attributes:
        norm: scalar int32, place in `norm.NORMS`.
        activation: scalar int32, place in `ACTIVATIONS`.
        epsilon: scalar, of the normalization.
        rate: scalar, of the dropout.
    """

    norm: Array
    activation: Array
    epsilon: Array
    rate: Array


class Learned(NamedTuple):
    """What a hidden layer learns beside its weights; `ActivationNumbers` has PReLU's slopes."""

    bias: Array
    gamma: Array
    beta: Array


def _activations(pieces: int) -> list[Activation]:
    if pieces > 1:
        return [lambda y, numbers: layers.maxout(y, pieces)]
    return list(ACTIVATIONS.values())


def hidden(
    kinds: Kinds, choice: LayerChoice, z: Array, p: Learned, numbers: ActivationNumbers, share: Array, mask: Array
) -> tuple[Array, norm.Statistics]:  # fmt: skip
    """Return a hidden layer's values in training, ``(N, W)``, and its batch's statistics.

    Args:
        kinds: what the program is compiled for.
        choice: normalization (before the activation), activation, dropout.
        z: ``(N, k * W)``, the linear map.
        p: bias, scale and shift, ``(k * W,)`` each.
        numbers: the activation's.
        share: ``(N,)``, each row's share in the batch's statistics.
        mask: ``(N, W)`` booleans, which units are kept.
    """
    return _hidden(kinds, choice, z, p, numbers, share, mask)


class _Saved(NamedTuple):
    """What the way back takes from the way there."""

    choice: LayerChoice
    z: Array
    moments: norm.Moments
    gamma: Array
    beta: Array
    numbers: ActivationNumbers
    share: Array
    mask: Array


def _forward(
    kinds: Kinds, choice: LayerChoice, z: Array, p: Learned, numbers: ActivationNumbers, share: Array, mask: Array
) -> tuple[tuple[Array, norm.Statistics], _Saved]:  # fmt: skip
    m, statistics = norm.moments(kinds.norm_of(choice), z, p.bias, share, choice.epsilon)
    gamma, beta = norm.learned(kinds.norm_of(choice), p.gamma, p.beta)

    def values(
        activation: Activation,
    ) -> Callable[[Array, norm.Moments, Array, Array], Array]:
        def run(z: Array, m: norm.Moments, gamma: Array, beta: Array) -> Array:
            return masked(activation(norm.scaled(z, m, gamma, beta), numbers), mask, choice.rate)

        return run

    branches = [values(a) for a in _activations(kinds.pieces)]
    h = choose(kinds.activation_of(choice), branches, z, m, gamma, beta)
    return (h, statistics), _Saved(choice, z, m, gamma, beta, numbers, share, mask)


def _backward(
    kinds: Kinds, saved: _Saved, cotangent: tuple[Array, norm.Statistics]
) -> tuple[None, Array, Learned, ActivationNumbers, None, None]:
    choice, z, m, gamma, beta, numbers, share, mask = saved
    # Behind a barrier the activation is computed again, in one pass: its parts would be passes and arrays of their own
    # if the compiler took them from the way there.
    z, cotangent = typed_jax.optimization_barrier((z, cotangent))

    def pull(
        activation: Activation,
    ) -> Callable[[Array, norm.Moments, Array], tuple[Array, Array]]:
        def run(z: Array, m: norm.Moments, g: Array) -> tuple[Array, Array]:
            def values(y: Array, slopes: Array) -> Array:
                return activation(y, numbers._replace(learned=slopes))

            y = norm.scaled(z, m, gamma, beta)
            pullback = typed_jax.vjp(values, y, numbers.learned)
            return pullback(masked(g, mask, choice.rate))

        return run

    g, d_slopes = choose(
        kinds.activation_of(choice),
        [pull(a) for a in _activations(kinds.pieces)],
        z,
        m,
        cotangent[0],
    )
    d = norm.backward(kinds.norm_of(choice), g, z, m, share, gamma)
    zero = jnp.zeros_like(numbers.slope)
    return (
        None, d.z, Learned(d.bias, d.gamma, d.beta), ActivationNumbers(zero, zero, d_slopes), None, None,
    )  # fmt: skip


def _values(
    kinds: Kinds, choice: LayerChoice, z: Array, p: Learned, numbers: ActivationNumbers, share: Array, mask: Array
) -> tuple[Array, norm.Statistics]:  # fmt: skip
    return _forward(kinds, choice, z, p, numbers, share, mask)[0]


_hidden = typed_jax.custom_vjp(_values, nondiff_argnums=(0,))
_hidden.defvjp(_forward, _backward)


def preactivation(kinds: Kinds, choice: LayerChoice, z: Array, p: Learned, share: Array) -> Array:
    """Return what the activation takes in training, ``(N, k * W)``: a pass of its own, only for probes."""
    m, _ = norm.moments(kinds.norm_of(choice), z, p.bias, share, choice.epsilon)
    return norm.scaled(z, m, *norm.learned(kinds.norm_of(choice), p.gamma, p.beta))


def evaluate(
    kinds: Kinds, choice: LayerChoice, z: Array, p: Learned, numbers: ActivationNumbers, running: norm.Statistics
) -> Array:  # fmt: skip
    """Return a hidden layer's values at evaluation, ``(N, W)``: running statistics, no dropout."""
    m = norm.running_moments(kinds.norm_of(choice), z, p.bias, running, choice.epsilon)
    gamma, beta = norm.learned(kinds.norm_of(choice), p.gamma, p.beta)

    def values(activation: Activation) -> Callable[[Array, norm.Moments], Array]:
        return lambda z, m: activation(norm.scaled(z, m, gamma, beta), numbers)

    return choose(
        kinds.activation_of(choice), [values(a) for a in _activations(kinds.pieces)], z, m
    )
