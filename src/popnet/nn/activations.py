"""Activation functions: one table, each entry a pure function of the pre-activations.

``maxout`` is not among them: it takes the maximum over several linear maps, see `popnet.nn.layers.maxout`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


class ActivationNumbers(NamedTuple):
    """What an activation needs beside its input.

    Attributes:
        slope: scalar, slope of leaky ReLU below zero.
        alpha: scalar, ELU's limit.
        learned: ``(W,)``, PReLU's learned slopes.
    """

    slope: Array
    alpha: Array
    learned: Array


Activation = Callable[[Array, ActivationNumbers], Array]


def _negative_exp(z: Array) -> Array:
    """Return exp(z) - 1 up to 0, and 0 above, where the replaced argument keeps the gradient finite."""
    return jnp.expm1(jnp.where(z > 0, 0.0, z))


def sigmoid(z: Array, p: ActivationNumbers) -> Array:
    """Return 1 / (1 + exp(-z)), which saturates on both sides and is not centred on zero."""
    return jax.nn.sigmoid(z)


def tanh(z: Array, p: ActivationNumbers) -> Array:
    """Return tanh(z), which is centred on zero and saturates on both sides."""
    return jnp.tanh(z)


def relu(z: Array, p: ActivationNumbers) -> Array:
    """Return max(0, z), which does not saturate above zero; a unit that is never positive is dead."""
    return jax.nn.relu(z)


def leaky_relu(z: Array, p: ActivationNumbers) -> Array:
    """Return z above zero and slope * z below, so that units cannot die."""
    return jnp.where(z > 0, z, p.slope * z)


def elu(z: Array, p: ActivationNumbers) -> Array:
    """Return z above zero and alpha (exp(z) - 1) below: nearly centred, and saturates softly below."""
    return jnp.where(z > 0, z, p.alpha * _negative_exp(z))


def prelu(z: Array, p: ActivationNumbers) -> Array:
    """Return leaky ReLU with a slope that each unit learns."""
    return jnp.where(z > 0, z, p.learned * z)


def selu(z: Array, p: ActivationNumbers) -> Array:
    """Return ELU, scaled so that mean 0 and variance 1 are a fixed point."""
    return SELU_SCALE * jnp.where(z > 0, z, SELU_ALPHA * _negative_exp(z))


def gelu(z: Array, p: ActivationNumbers) -> Array:
    """Return z Phi(z), in the paper's tanh approximation."""
    return jax.nn.gelu(z, approximate=True)


def silu(z: Array, p: ActivationNumbers) -> Array:
    """Return z sigmoid(z)."""
    return z * jax.nn.sigmoid(z)


def mish(z: Array, p: ActivationNumbers) -> Array:
    """Return z tanh(softplus(z)), as a ratio of polynomials in exp(z): one transcendental function instead of three."""
    return _mish(z)


@jax.custom_jvp
def _mish(z: Array) -> Array:
    e = jnp.exp(jnp.minimum(z, 20.0))
    n = e * (e + 2)
    return jnp.where(z > 20.0, z, z * n / (n + 2))


@_mish.defjvp
def _mish_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    # By hand, as the derivative that JAX finds is so long that the compiler cuts it into four passes over a layer.
    (z,), (dz,) = primals, tangents
    e = jnp.exp(jnp.minimum(z, 20.0))
    q = 1 / (e * (e + 2) + 2)
    slope = 1 - 2 * q + z * (4 * e * (e + 1)) * (q * q)
    return _mish(z), jnp.where(z > 20.0, 1.0, slope) * dz


ACTIVATIONS: dict[str, Activation] = {
    f.__name__: f for f in (sigmoid, tanh, relu, leaky_relu, elu, prelu, selu, gelu, silu, mish)
}  # the order is that of `recipe.choices("activation")`
