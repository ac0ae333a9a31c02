"""Optimizers and learning-rate schedules, chosen by numbers inside a compiled program.

The update rules are optax's. Every optimizer lives in one state of two moments, so that members with different
optimizers share a program; each rule reads and writes the parts that it needs. Muon has programs of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from popnet.nn.flat import Matrix
from popnet.recipe import choices
from popnet.shape import Numbers
from popnet.types import Array

SGD = choices("optimizer").index("sgd")
"""Its place among the optimizers."""

MUON_RMS = 0.2
"""Root of the mean square of Muon's steps: that of usual steps of AdamW (Liu et al. 2025, section 2.2)."""

NEWTON_SCHULZ = ((8.0934, -23.6204, 17.4462), (3.6366, -2.7219, 0.5365), (2.6613, -1.9772, 0.4526))
"""Coefficients (of x, x^3, x^5) of the iterations that make a matrix nearly orthogonal: each brings singular values as
near to one as it can (Amsel et al. 2025, arXiv:2505.16932), from 0.01 to 1 at first. Three of them reach what five of
one kind do (Jordan et al. 2024), and make small nets' steps 12 to 25 % shorter."""


class OptimizerState(NamedTuple):
    """Moments of the gradient, each a vector like the parameters.

    Attributes:
        count: scalar int32, steps done.
        first: momentum (``sgd``) or the gradient's mean (``adam``, ``adamw``, ``muon``).
        second: the squared gradient's mean (``adam``, ``adamw``, ``muon``, ``rmsprop``).
    """

    count: Array
    first: Array
    second: Array


def init(size: int) -> OptimizerState:
    """Return the state before the first step: zeros, on the host."""
    return OptimizerState(np.int32(0), np.zeros(size, np.float32), np.zeros(size, np.float32))


def clip(gradient: Array, limit: Array) -> Array:
    """Scale a gradient down to the norm ``limit`` if it is longer; a limit of 0 leaves it (Pascanu et al. 2013)."""

    def scaled(g: Array) -> Array:
        return g * jnp.minimum(1.0, limit / jnp.maximum(jnp.sqrt(g @ g), 1e-30))

    return jax.lax.cond(limit > 0, scaled, lambda g: g, gradient)


def direction(
    gradient: Array, state: OptimizerState, n: Numbers, matrices: Sequence[Matrix] = ()
) -> tuple[Array, OptimizerState]:
    """Turn a gradient into the direction of a step, before the learning rate.

    Args:
        gradient: ``(P,)``.
        state: moments so far.
        n: the recipe's numbers; ``n.optimizer`` chooses the rule.
        matrices: whose steps Muon makes orthogonal, in the order of their places; the rest is Adam's then. Without
            any, Muon is Adam.
    """
    count, first, second = state

    def sgd(g: Array) -> tuple[Array, Array, Array]:
        trace = n.momentum * first + g
        return jnp.where(n.nesterov, n.momentum * trace + g, trace), trace, second

    def adam(g: Array) -> tuple[Array, Array, Array]:
        rule = optax.scale_by_adam(n.beta1, n.beta2, n.optimizer_epsilon)
        out, new = rule.update(g, optax.ScaleByAdamState(count, first, second))
        return out, new.mu, new.nu  # type: ignore[attr-defined]

    def rmsprop(g: Array) -> tuple[Array, Array, Array]:
        rule = optax.scale_by_rms(n.beta2, n.optimizer_epsilon, eps_in_sqrt=False)
        out, new = rule.update(g, optax.ScaleByRmsState(second))
        return out, first, new.nu  # type: ignore[attr-defined]

    if matrices:
        out, first, second = adam(gradient)
        momentum = n.beta1 * first + (1 - n.beta1) * gradient  # Nesterov's
        out = _with_orthogonal(out, momentum, matrices)
    else:
        # The order is that of `recipe.choices("optimizer")`.
        rules = [sgd, adam, adam, rmsprop, adam]
        out, first, second = jax.lax.switch(n.optimizer, rules, gradient)
    return out, OptimizerState(count + 1, first, second)


def _with_orthogonal(direction: Array, momentum: Array, matrices: Sequence[Matrix]) -> Array:
    """Return a direction ``(P,)`` in which matrices are those of the momentum ``(P,)``, made orthogonal."""
    parts, done = [], 0
    for matrix in matrices:
        m = momentum[matrix.start : matrix.stop].reshape(matrix.rows, matrix.columns)
        scale = MUON_RMS * sqrt(max(m.shape))
        parts += [direction[done : matrix.start], (scale * orthogonal(m)).reshape(-1)]
        done = matrix.stop
    return jnp.concatenate([*parts, direction[done:]])


def orthogonal(matrix: Array) -> Array:
    """Return nearly the orthogonal matrix that is nearest to a matrix, ``(rows, columns)``.

    Singular values of at least a hundredth of its norm are brought to between 0.73 and 1.27 by a few products (smaller
    ones to less), which is enough for Muon (Jordan et al. 2024).
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (jnp.sqrt(jnp.sum(x * x)) + 1e-8)

    def nearer(x: Array, coefficients: Array) -> tuple[Array, None]:
        a, b, c = coefficients
        gram = x @ x.T
        return a * x + (b * gram + c * (gram @ gram)) @ x, None

    x, _ = jax.lax.scan(nearer, x, np.array(NEWTON_SCHULZ, np.float32))
    return x.T if tall else x


def reparametrized(direction: Array, factors: Array, n: Numbers) -> Array:
    """Return the direction ``(P,)`` of weights w that are ``factors`` ``(P,)`` times what is trained, v.

    The gradient by v is factor times that by w, and a step of v moves w by factor times as much: together its square,
    with SGD. The other optimizers do not see how large a gradient is (but for epsilon), which leaves the factor.
    """
    return direction * factors * jnp.where(n.optimizer == SGD, factors, 1.0)


def step(parameters: Array, direction: Array, decayed: Array, rate: Array, decay: Array) -> Array:
    """Take a step, ``w - rate * (direction + decay * w)``, with the decay only where ``decayed`` is 1; all ``(P,)``."""
    return parameters - rate * (direction + decay * decayed * parameters)


class Rates(NamedTuple):
    """What a step is taken with, scalars: the learning rate, the weight decay, and shares of the dropouts."""

    learning: Array
    decay: Array
    dropout: Array


def rates(progress: Array, n: Numbers) -> Rates:
    """Return the rates of a step.

    Args:
        progress: scalar in [0, 1], share of the schedules that is behind.
        n: the recipe's numbers; ``n.schedule`` and the other two choose the courses.
    """
    t = progress
    cosine = 0.5 * (1 + jnp.cos(np.pi * t))
    rising = jnp.maximum(n.warmup, 1e-6)
    after = jnp.clip((t - n.warmup) / (1 - n.warmup), 0.0, 1.0)
    falling = 0.5 * (1 + jnp.cos(np.pi * after))
    courses = [
        jnp.ones_like(t),
        cosine,
        jnp.where(t < n.warmup, t / rising, falling),
        0.5 * (1 - jnp.cos(2 * np.pi * jnp.log2(1 + 15 * t))),
        # Smith and Topin 2019 with cosine arms: from a 25th of the peak up to it and down to nearly 0.
        jnp.where(t < n.warmup, 0.04 + 0.96 * 0.5 * (1 - jnp.cos(np.pi * t / rising)), falling),
        n.step_factor ** jnp.floor(t * (n.steps + 1).astype(jnp.float32)),
        0.5 * (1 + jnp.cos(np.pi * jnp.maximum(2 * t - 1, 0.0))),
    ]  # the order is that of `recipe.choices("schedule")`
    course = jnp.stack(courses)
    return Rates(
        n.learning_rate * course[n.schedule],
        n.decay * course[n.decay_schedule],
        course[n.dropout_schedule],
    )
