"""Beta(alpha, alpha) numbers inside a compiled program, for any alpha."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from popnet.runtime import keys

TRIES = 64


def symmetric(key: Array, alpha: Array) -> Array:
    """Return one number from Beta(alpha, alpha), float32 in [0, 1]; ``alpha`` over 0."""
    # Johnk 1964: u^(1/a) / (u^(1/a) + v^(1/a)), given that the sum is at most 1, is Beta(a, a) for any a.
    # Logarithms keep small alpha from underflowing; 64 tries leave a chance of failure near 0 for a <= 1,
    # and a failure takes the last try.
    u = keys.uniform(keys.fold_in(key, 0), (TRIES,))
    v = keys.uniform(keys.fold_in(key, 1), (TRIES,))
    log_x, log_y = jnp.log(u) / alpha, jnp.log(v) / alpha
    accepted = jnp.argmax(jnp.logaddexp(log_x, log_y) <= 0)
    return jax.nn.sigmoid(log_x[accepted] - log_y[accepted])
