"""Augmentation of table rows inside a training step: Gaussian noise and mixup."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from popnet.augment import beta
from popnet.runtime import keys, typed_jax


class Pairs(NamedTuple):
    """How the rows of a batch are mixed.

    Attributes:
        partner: ``(N,)`` int32, the row that each row is mixed with.
        share: scalar in [0, 1], what a row keeps of itself; 1 is no mixing.
        on: scalar bool, whether anything is mixed.
    """

    partner: Array
    share: Array
    on: Array


def noise(x: Array, key: Array, std: Array, where: Array) -> Array:
    """Add Gaussian noise to some columns of ``x`` ``(N, R)``; a standard deviation of 0 gives ``x`` back bit for bit.

    Args:
        x: rows.
        key: uint32.
        std: scalar, the noise's standard deviation.
        where: ``(R,)``, 1 for columns that it is added to, 0 for others.
    """

    def noisy(x: Array) -> Array:
        return x + std * where * keys.normal(key, x.shape)

    return typed_jax.cond(std > 0, noisy, lambda x: x, x) if x.size else x


def reversed_pairs(share: Array, count: Array, size: int) -> Pairs:
    """Return a batch's mixup (Zhang et al. 2018) with a drawn share: each row with the one at the mirrored place.

    Batches are shuffled already, so a fixed pairing of their places is a random one of rows.

    Args:
        share: scalar, what a row keeps of itself; 1 is no mixing.
        count: scalar int32, real rows of the batch; they come first.
        size: N, rows with padding.
    """
    place = jax.lax.iota(jnp.int32, size)
    partner = jnp.where(place < count, count - 1 - place, place)
    return Pairs(partner, share, share < 1)


def pairs(key: Array, alpha: Array, count: Array, size: int) -> Pairs:
    """Draw a batch's mixup inside a program: one share from Beta(alpha, alpha), partners of `reversed_pairs`.

    Args:
        key: uint32.
        alpha: scalar; 0 is off.
        count: scalar, real rows of the batch; they come first.
        size: N, rows with padding.
    """
    on = alpha > 0
    share = typed_jax.cond(on, lambda: beta.symmetric(key, alpha), lambda: jnp.float32(1))
    return reversed_pairs(share, count, size)._replace(on=on)


def mix(x: Array, p: Pairs) -> Array:
    """Return ``share * x + (1 - share) * x[partner]`` for ``x`` ``(N, ...)``."""
    return typed_jax.cond(
        p.on,
        lambda x: p.share * x + (1 - p.share) * x.at[p.partner].get(mode="promise_in_bounds"),
        lambda x: x,
        x,
    )
