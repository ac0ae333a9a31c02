"""Optimizers and learning-rate schedules, chosen by numbers inside a compiled program.

All optimizers but Muon are one formula with other numbers, which the host works out for each step (`StepRule`), so that
members with different ones share a program and a step is a few passes over the parameters. Muon has its own programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from popnet.nn.flat import Matrix
from popnet.runtime import typed_jax
from popnet.runtime.typed_jax import on_host
from popnet.spec.recipe import Recipe, choices
from popnet.spec.shape import Numbers

SGD = choices("optimizer").index("sgd")
"""Its place among the optimizers."""

MUON_RMS = 0.2
"""Root of the mean square of Muon's steps: that of usual steps of AdamW (Liu et al. 2025, section 2.2)."""

NEWTON_SCHULZ = ((8.0934, -23.6204, 17.4462), (3.6366, -2.7219, 0.5365), (2.6613, -1.9772, 0.4526))
"""Coefficients (of x, x^3, x^5) of the iterations that make a matrix nearly orthogonal: each brings singular values as
near to one as it can (Amsel et al. 2025, arXiv:2505.16932), from 0.01 to 1 at first. Three of them reach what five of
one kind do (Jordan et al. 2024), and make small nets' steps 12 to 25 % shorter."""


class StepRule(NamedTuple):
    """An optimizer's step as numbers: with gradient g and moments f and s,

    ``f = first_keep f + first_take g``, ``s = second_keep s + second_take g^2``, and the direction
    ``(of_first f + of_gradient g) / (sqrt(second_scale s) + epsilon)``; without the division where ``divides`` is 0.
    """

    first_keep: Array
    first_take: Array
    second_keep: Array
    second_take: Array
    of_first: Array
    of_gradient: Array
    second_scale: Array
    divides: Array


def rule(recipe: Recipe, step: np.ndarray) -> StepRule:
    """Return the rule of a recipe's optimizer for steps with these numbers, from 1; ``(S,)`` each, on the host.

    SGD with momentum, also Nesterov's (Sutskever et al. 2013); Adam (Kingma and Ba 2015), which AdamW and Muon are
    here, too; RMSprop (Tieleman and Hinton 2012).
    """
    r, t = recipe, np.asarray(step, np.float64)
    if r.optimizer == "sgd":
        ahead = r.momentum if r.nesterov else 1.0
        values = r.momentum, 1.0, 1.0, 0.0, ahead, float(r.nesterov), 0.0, 0.0
    elif r.optimizer == "rmsprop":
        values = 1.0, 0.0, r.beta2, 1 - r.beta2, 0.0, 1.0, 1.0, 1.0
    else:
        values = (
            r.beta1, 1 - r.beta1, r.beta2, 1 - r.beta2,
            1 / (1 - r.beta1**t), 0.0, 1 / (1 - r.beta2**t), 1.0,
        )  # fmt: skip
    return StepRule(*map(on_host, (np.broadcast_to(v, t.shape) for v in values)))


def clip_factor(gradient: Array, limit: Array) -> Array:
    """Return what takes a gradient ``(P,)`` down to the norm ``limit`` if it is longer, at most 1; a limit of 0 is none
    (Pascanu et al. 2013)."""

    def factor(g: Array) -> Array:
        return jnp.minimum(1.0, limit / jnp.maximum(jnp.sqrt(column_sums(g * g).sum()), 1e-30))

    return typed_jax.cond(limit > 0, factor, lambda _: jnp.float32(1), gradient)


SUMMED = 128
"""Length of what `column_sums` gives."""


def column_sums(vector: Array) -> Array:
    """Return `SUMMED` sums over parts of a vector: a matrix product is one pass, where a sum is several kernels."""
    rows = -(-vector.shape[0] // SUMMED)
    matrix = jnp.pad(vector, (0, rows * SUMMED - vector.shape[0])).reshape(rows, SUMMED)
    return jnp.ones(rows, vector.dtype) @ matrix


class GradientMoments(NamedTuple):
    """GradientMoments of the gradient, each a vector like the parameters.

    Attributes:
        first: momentum (``sgd``) or the gradient's mean (``adam``, ``adamw``, ``muon``).
        second: the squared gradient's mean (``adam``, ``adamw``, ``muon``, ``rmsprop``).
    """

    first: Array
    second: Array


def init(size: int) -> GradientMoments:
    """Return the moments before the first step: zeros, on the host."""
    return GradientMoments(*map(on_host, (np.zeros(size, np.float32), np.zeros(size, np.float32))))


def direction(
    gradient: Array, moments: GradientMoments, r: StepRule, n: Numbers,
    matrices: Sequence[Matrix] = (), fan_in: Array | float = 0.0,
) -> tuple[Array, GradientMoments]:  # fmt: skip
    """Turn a gradient into the direction of a step, before the learning rate.

    Args:
        gradient: ``(P,)``.
        moments: so far.
        r: this step's rule.
        n: the recipe's numbers.
        matrices: whose steps Muon makes orthogonal, in the order of their places; the rest is Adam's then. Without
            any, Muon is Adam.
        fan_in: scalar, rows of the first of them that are no padding.
    """
    first = r.first_keep * moments.first + r.first_take * gradient
    second = r.second_keep * moments.second + r.second_take * gradient * gradient
    out = r.of_first * first + r.of_gradient * gradient
    out = jnp.where(
        r.divides > 0, out / (jnp.sqrt(r.second_scale * second) + n.optimizer_epsilon), out
    )
    if matrices:
        momentum = n.beta1 * first + (1 - n.beta1) * gradient  # Nesterov's
        out = _with_orthogonal(out, momentum, matrices, fan_in)
    return out, GradientMoments(first, second)


def _with_orthogonal(
    direction: Array, momentum: Array, matrices: Sequence[Matrix], fan_in: Array | float
) -> Array:
    """Return a direction ``(P,)`` in which matrices are those of the momentum ``(P,)``, made orthogonal."""
    parts: list[Array] = []
    done = 0
    for (rows, columns), group in groupby(matrices, lambda m: (m.rows, m.columns)):
        # Equal ones that stand side by side go through one program, one after another.
        some = list(group)
        size = rows * columns
        if any(b.start != a.stop for a, b in pairwise(some)):
            raise ValueError("Matrices of equal size do not stand side by side.")
        m = momentum[some[0].start : some[-1].stop].reshape(len(some), rows, columns)
        if some[0] is matrices[0]:
            scales = jnp.full(len(some), max(rows, columns), jnp.float32)
            scales = scales.at[0].set(jnp.maximum(fan_in, columns))
        else:
            scales = on_host(np.full(len(some), max(rows, columns), np.float32))

        def scaled(pair: tuple[Array, Array]) -> Array:
            matrix, longest = pair
            return MUON_RMS * jnp.sqrt(longest) * orthogonal(matrix)

        made = (
            scaled((m[0], scales[0]))
            if len(some) == 1
            else typed_jax.map_first(scaled, (m, scales))
        )
        parts += [direction[done : some[0].start], made.reshape(len(some) * size)]
        done = some[-1].stop
    return jnp.concatenate([*parts, direction[done:]])


def orthogonal(matrix: Array) -> Array:
    """Return nearly the orthogonal matrix that is nearest to a matrix, ``(rows, columns)``.

    Singular values of at least a hundredth of its norm are brought to between 0.73 and 1.27 by a few products (smaller
    ones to less), which is enough for Muon (Jordan et al. 2024).
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    norm = jnp.sqrt((jnp.ones(x.shape[0], x.dtype) @ (x * x)).sum())
    x = x / (norm + 1e-8)

    def nearer(x: Array, coefficients: Array) -> tuple[Array, None]:
        a, b, c = coefficients
        gram = x @ x.T
        return a * x + (b * gram + c * (gram @ gram)) @ x, None

    coefficients = on_host(np.array(NEWTON_SCHULZ, np.float32))
    x, _ = jax.lax.scan(nearer, x, coefficients)
    return x.T if tall else x


def reparametrized(direction: Array, factors: Array, n: Numbers) -> Array:
    """Return the direction ``(P,)`` of weights w that are ``factors`` ``(P,)`` times what is trained, v.

    The gradient by v is factor times that by w, and a step of v moves w by factor times as much: together its square,
    with SGD. The other optimizers do not see how large a gradient is (but for epsilon), which leaves the factor.
    """
    return direction * factors * jnp.where(n.optimizer == SGD, factors, 1.0)


def step(parameters: Array, direction: Array, n_weights: int, rate: Array, decay: Array) -> Array:
    """Take a step, ``w - rate * (direction + decay * w)``, with the decay only for the first ``n_weights``."""
    decayed = jnp.where(jnp.arange(parameters.shape[0]) < n_weights, decay, 0.0)
    return parameters - rate * (direction + decayed * parameters)


def course(recipe: Recipe, schedule: str, progress: np.ndarray) -> np.ndarray:
    """Return what a schedule multiplies a rate by, ``(S,)``, on the host.

    Args:
        recipe: gives ``warmup``, ``step_factor`` and ``steps``.
        schedule: which.
        progress: ``(S,)`` in [0, 1], share of the schedule that is behind.
    """
    t, w = np.asarray(progress, np.float64), recipe.warmup
    falling = 0.5 * (1 + np.cos(np.pi * np.clip((t - w) / (1 - w), 0, 1)))
    rising = t / max(w, 1e-6)
    match schedule:
        case "constant":
            return np.ones_like(t)
        case "cosine":
            return 0.5 * (1 + np.cos(np.pi * t))
        case "warmup_cosine":
            return np.where(t < w, rising, falling)
        case "coslog":
            return 0.5 * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * t)))
        case "one_cycle":
            # Smith and Topin 2019 with cosine arms: from a 25th of the peak up to it and down to nearly 0.
            return np.where(t < w, 0.04 + 0.96 * 0.5 * (1 - np.cos(np.pi * rising)), falling)
        case "step":
            # A share that a division has rounded down belongs to the next stretch.
            return recipe.step_factor ** np.floor(t * (recipe.steps + 1) + 1e-6)
        case "flat_cosine":
            return 0.5 * (1 + np.cos(np.pi * np.maximum(2 * t - 1, 0)))
        case _:
            raise ValueError(f"no schedule {schedule!r}")
