"""One seed -> a named stream of random bits per member, epoch, step and purpose.

Two generators, and nobody else in popnet makes random numbers:

* on the host, ``generator(seed, *names)``: NumPy's Philox, for splits, recipes, initial weights and shuffles;
* inside compiled programs, ``fold_in`` and ``bits``: a counter-based 32-bit hash. It costs nothing measurable
  where JAX's own generators cost more than the net, and being integer arithmetic it gives the same bits on
  every device and alone or in a population.

All functions here take NumPy arrays as well as JAX arrays. The keys of a whole epoch's steps are made on the host.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple, TypeVar, overload

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from popnet.runtime.typed_jax import on_host

Bits = TypeVar("Bits", Array, np.ndarray)

GOLDEN = 0x9E3779B9

# Purposes inside a training step; each has its own stream.
DROPOUT, NOISE, AUGMENT = 2, 3, 5


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return the host's generator for a seed and a purpose, e.g. ``generator(seed, "weights", layer)``."""
    text = "\x1f".join([str(int(seed)), *map(str, names)]).encode()
    digest = hashlib.blake2b(text, digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def key(seed: int, *names: str | int) -> np.uint32:
    """Return the 32-bit key with which a compiled program starts its own streams."""
    return np.uint32(generator(seed, *names).integers(0, 2**32, dtype=np.uint64))


def mix(x: Bits) -> Bits:
    """Mix 32-bit integers so that every input bit changes every output bit with probability 1/2.

    The finaliser "lowbias32" found by Chris Wellons' hash prospector (bias 0.17, a bijection).
    """
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(0x7FEB352D)
    x = x ^ (x >> np.uint32(15))
    x = x * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


@overload
def fold_in(key: Array, number: Array | np.ndarray | int) -> Array: ...
@overload
def fold_in(key: np.ndarray | np.uint32, number: np.ndarray | int) -> np.ndarray: ...
def fold_in(key: Any, number: Any) -> Any:
    """Derive the key of a sub-stream; ``key`` uint32, ``number`` a non-negative integer. NumPy for NumPy."""
    on_device = isinstance(key, jax.Array) or isinstance(number, jax.Array)
    xp: Any = jnp if on_device else np
    with np.errstate(over="ignore"):  # products are meant modulo 2^32
        number = xp.asarray(number).astype(np.uint32) + np.uint32(1)
        return mix(xp.asarray(key, np.uint32) ^ mix(number * np.uint32(GOLDEN)))


class StepKeys(NamedTuple):
    """The keys of one training step, uint32; of several steps with those as the first axis.

    Attributes:
        noise: of the inputs' noise.
        augment: of images' transformations.
        dropout: ``(L,)``, of the first layer's inputs, then of each layer that drops.
    """

    noise: Array
    augment: Array
    dropout: Array

    @classmethod
    def of(cls, epoch: np.ndarray, steps: int, dropouts: int) -> StepKeys:
        """Return the keys of the steps of some epochs, on the host.

        Args:
            epoch: the key of each step's epoch, uint32.
            steps: of an epoch.
            dropouts: L.
        """
        places = np.arange(len(epoch)) % steps
        every = fold_in(epoch, 16 + places)
        dropout = fold_in(fold_in(every, DROPOUT)[:, None], np.arange(dropouts))
        return cls(*map(on_host, (fold_in(every, NOISE), fold_in(every, AUGMENT), dropout)))


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
    u, v = uniform(fold_in(key, 0), shape), uniform(fold_in(key, 1), shape)
    return jnp.sqrt(-2 * jnp.log(u)) * jnp.cos(np.float32(2 * np.pi) * v)


def keep(key: Array, shape: tuple[int, ...], rate: Array) -> Array:
    """Return booleans that are False with probability ``rate`` (a number in [0, 1), to 2^-24)."""
    threshold = (jnp.asarray(rate, jnp.float32) * np.float32(2**24)).astype(jnp.uint32)
    return (bits(key, shape) >> np.uint32(8)) >= threshold
