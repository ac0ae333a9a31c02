"""One seed -> a named stream of random bits per member, epoch, step and purpose.

Two generators, and nobody else in popnet makes random numbers:

* on the host, ``generator(seed, *names)``: NumPy's Philox, for splits, recipes and initial weights;
* inside compiled programs, ``fold`` and ``bits``: a counter-based 32-bit hash. It costs nothing measurable
  where JAX's own generators cost more than the net, and being integer arithmetic it gives the same bits on
  every device and alone or in a population. ``permute`` builds a shuffle on it without sorting.

All functions here take NumPy arrays as well as JAX arrays.
"""

from __future__ import annotations

import hashlib

import jax
import jax.numpy as jnp
import numpy as np

from popnet.types import Array

GOLDEN = 0x9E3779B9

# Purposes inside a training step; each has its own stream.
SHUFFLE, DROPOUT, NOISE, MIXUP, AUGMENT, PROBE = 1, 2, 3, 4, 5, 6


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return the host's generator for a seed and a purpose, e.g. ``generator(seed, "weights", layer)``."""
    text = "\x1f".join([str(int(seed)), *map(str, names)]).encode()
    digest = hashlib.blake2b(text, digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def key(seed: int, *names: str | int) -> np.uint32:
    """Return the 32-bit key with which a compiled program starts its own streams."""
    return np.uint32(generator(seed, *names).integers(0, 2**32, dtype=np.uint64))


def mix(x: Array) -> Array:
    """Mix 32-bit integers so that every input bit changes every output bit with probability 1/2.

    The finaliser "lowbias32" found by Chris Wellons' hash prospector (bias 0.17, a bijection).
    """
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(0x7FEB352D)
    x = x ^ (x >> np.uint32(15))
    x = x * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def fold(key: Array, number: Array | int) -> Array:
    """Derive the key of a sub-stream; ``key`` uint32, ``number`` a non-negative integer."""
    number = jnp.asarray(number).astype(jnp.uint32) + np.uint32(1)
    return mix(jnp.asarray(key, jnp.uint32) ^ mix(number * np.uint32(GOLDEN)))


def bits(key: Array, shape: tuple[int, ...]) -> Array:
    """Return uint32 bits of a shape ``(N,)`` or ``(N, W)``, a hash of each element's place.

    In two dimensions rows and columns are hashed by themselves, and each element finishes the mix of its row's and
    its column's hash: the long part of the work is done N + W times instead of N * W times.
    """
    key = jnp.asarray(key, jnp.uint32)
    rows = mix(jax.lax.iota(jnp.uint32, shape[0]) * np.uint32(GOLDEN) + key)
    if len(shape) == 1:
        return rows
    columns = mix(
        jax.lax.iota(jnp.uint32, shape[1]) * np.uint32(GOLDEN) + mix(key ^ np.uint32(GOLDEN))
    )
    x = (rows[:, None] ^ columns[None, :]) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def uniform(key: Array, shape: tuple[int, ...]) -> Array:
    """Return float32 numbers in (0, 1), with 23 bits, never exactly 0 or 1."""
    places = (bits(key, shape) >> np.uint32(9)).astype(jnp.float32)
    return (places + np.float32(0.5)) * np.float32(2**-23)


def normal(key: Array, shape: tuple[int, ...]) -> Array:
    """Return standard normal float32 numbers (Box and Muller 1958)."""
    u, v = uniform(fold(key, 0), shape), uniform(fold(key, 1), shape)
    return jnp.sqrt(-2 * jnp.log(u)) * jnp.cos(np.float32(2 * np.pi) * v)


def keep(key: Array, shape: tuple[int, ...], rate: Array) -> Array:
    """Return booleans that are False with probability ``rate`` (a number in [0, 1), to 2^-24)."""
    threshold = (jnp.asarray(rate, jnp.float32) * np.float32(2**24)).astype(jnp.uint32)
    return (bits(key, shape) >> np.uint32(8)) >= threshold


def permute(key: Array, n: Array, length: int) -> Array:
    """Return the first ``length`` places of a pseudo-random permutation of 0..n-1, int32 ``(length,)``.

    A Feistel network over a grid of rows x columns with just over n cells, and "cycle walking": a place that falls
    outside is sent through again (Black and Rogaway 2002). No sort and no state, so an epoch's shuffle costs
    about a nanosecond a row. Places from ``n`` on repeat place 0's value; callers never read them.

    Args:
        key: uint32.
        n: number of rows, 1 to 2**30; may be traced.
        length: number of places to return, at least ``n``.
    """
    n = jnp.asarray(n, jnp.uint32)
    # Columns are a power of two, near the root of n, so that no round divides; rows are just enough.
    # At least 16 x 16: a smaller network reaches only some of the permutations.
    shift = jnp.maximum((np.uint32(33) - jax.lax.clz(n)) // np.uint32(2), np.uint32(4))
    columns = np.uint32(1) << shift
    rows = jnp.maximum((n + columns - np.uint32(1)) >> shift, np.uint32(16))
    keys = [fold(key, r) for r in range(6)]

    def rounds(x: Array) -> Array:
        row, column = x >> shift, x & (columns - np.uint32(1))
        for r in range(0, 6, 2):
            # Both factors are under 2^16, so the product fits 32 bits and spreads evenly over 0..rows-1.
            row = row + (((mix(column + keys[r]) >> np.uint32(16)) * rows) >> np.uint32(16))
            row = jnp.where(row >= rows, row - rows, row)
            column = (column + mix(row + keys[r + 1])) & (columns - np.uint32(1))
        return (row << shift) | column

    places = jax.lax.iota(jnp.uint32, length)
    start = rounds(jnp.where(places < n, places, np.uint32(0)))
    walked = jax.lax.while_loop(
        lambda x: jnp.any(x >= n), lambda x: jnp.where(x >= n, rounds(x), x), start
    )
    return walked.astype(jnp.int32)
