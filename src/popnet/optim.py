"""Optimizers and learning-rate schedules, chosen by numbers inside a compiled program.

The update rules are optax's. Every optimizer lives in one state of two moments, so that members with different
optimizers share a program; each rule reads and writes the parts that it needs.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from popnet.shape import Numbers
from popnet.types import Array


class OptimizerState(NamedTuple):
    """Moments of the gradient, each a vector like the parameters.

    Attributes:
        count: scalar int32, steps done.
        first: momentum (``sgd``) or the gradient's mean (``adam``, ``adamw``).
        second: the squared gradient's mean (``adam``, ``adamw``, ``rmsprop``).
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


def direction(gradient: Array, state: OptimizerState, n: Numbers) -> tuple[Array, OptimizerState]:
    """Turn a gradient into the direction of a step, before the learning rate.

    Args:
        gradient: ``(P,)``.
        state: moments so far.
        n: the recipe's numbers; ``n.optimizer`` chooses the rule.
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

    # The order is that of `recipe.choices("optimizer")`.
    out, first, second = jax.lax.switch(n.optimizer, [sgd, adam, adam, rmsprop], gradient)
    return out, OptimizerState(count + 1, first, second)


def step(parameters: Array, direction: Array, decayed: Array, rate: Array, decay: Array) -> Array:
    """Take a step, ``w - rate * (direction + decay * w)``, with the decay only where ``decayed`` is 1; all ``(P,)``."""
    return parameters - rate * (direction + decay * decayed * parameters)


def rate(progress: Array, n: Numbers) -> Array:
    """Return the learning rate.

    Args:
        progress: scalar in [0, 1], share of the schedule that is behind.
        n: the recipe's numbers; ``n.schedule`` chooses the course.
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
    ]  # the order is that of `recipe.choices("schedule")`
    return n.learning_rate * jnp.stack(courses)[n.schedule]
