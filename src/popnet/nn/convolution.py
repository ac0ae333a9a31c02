"""The 3 x 3 convolution and the pooling between stages, in the forms that compile to fast programs.

Measured on two AVX-512 cores (jax 0.10): XLA's CPU backend runs a convolution at 90 % of its matrix product if it has
the form batch-height-width-channels by height-width-in-out, and about thirty times slower otherwise; outside of loops
it rewrites other forms into that one, inside of loops and branches it does not. The gradients that JAX derives have
other forms, so they are written down here. On an accelerator members are trained side by side, where a convolution
would become a grouped one, which is slow: there it is nine shifted views and one (batched) matrix product.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from popnet.runtime import typed_jax

FEW_CHANNELS = 4
"""Input channels up to which nine shifted views and a product are faster on the CPU, too."""

_FORM = ("NHWC", "HWIO", "NHWC")


SLOW_CHANNELS = 16
"""Where neither input nor output has more channels, XLA takes a library that is up to twice as slow."""


def _direct(x: Array, w: Array) -> Array:
    out = w.shape[3]
    if max(x.shape[3], out) <= SLOW_CHANNELS:
        w = jnp.pad(w, ((0, 0), (0, 0), (0, 0), (0, SLOW_CHANNELS + 1 - out)))
    y = jax.lax.conv_general_dilated(x, w, (1, 1), ((1, 1), (1, 1)), dimension_numbers=_FORM)
    return y[..., :out]


def views(x: Array) -> Array:
    """Return each pixel's 3 x 3 neighbourhood, zeros beyond the border: ``(N, H, W, C)`` to ``(N * H * W, 9 * C)``."""
    n, height, width, channels = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    side_by_side = jnp.concatenate(shifted, axis=-1).reshape(n * height * width, 9 * channels)
    # Without the barrier the compiler gathers the views again inside of the product, element by element.
    return typed_jax.optimization_barrier(side_by_side)


def _by_views(x: Array, w: Array) -> Array:
    return (views(x) @ w).reshape(*x.shape[:3], w.shape[1])


def _forward_cpu(x: Array, w: Array) -> Array:
    channels = x.shape[3]
    if channels <= FEW_CHANNELS:
        return _by_views(x, w)
    return _direct(x, w.reshape(3, 3, channels, -1))


def _turned(w: Array, channels: int) -> Array:
    """Return the kernel that carries gradients back: turned by 180 degrees, in and out exchanged."""
    return w.reshape(3, 3, channels, -1)[::-1, ::-1].transpose(0, 1, 3, 2)


def _backward_cpu(x: Array, w: Array, g: Array) -> tuple[Array, Array]:
    channels, out = x.shape[3], g.shape[3]
    materialise = typed_jax.optimization_barrier
    dx = _direct(g, materialise(_turned(w, channels)))
    if channels <= FEW_CHANNELS:
        return dx, materialise(views(x).T) @ g.reshape(-1, out)
    # The same convolution with images as channels: x's channels are the batch, the gradient is the kernel.
    dw = _direct(materialise(x.transpose(3, 1, 2, 0)), materialise(g.transpose(1, 2, 0, 3)))
    return dx, dw.transpose(1, 2, 0, 3).reshape(9 * channels, out)


def _backward_by_views(x: Array, w: Array, g: Array) -> tuple[Array, Array]:
    channels, out = x.shape[3], g.shape[3]
    dx = _by_views(g, _turned(w, channels).reshape(9 * out, channels))
    return dx, views(x).T @ g.reshape(-1, out)


@typed_jax.custom_vjp
def convolve(x: Array, w: Array) -> Array:
    """Convolve ``x`` ``(N, H, W, C)`` with ``w`` ``(9 * C, D)``: 3 x 3, stride 1, zeros beyond the border.

    Returns:
        ``(N, H, W, D)``. Row ``(3 * i + j) * C + c`` of ``w`` is the weight of channel c at the neighbour i - 1 down
        and j - 1 to the right.
    """
    return typed_jax.platform_dependent(x, w, cpu=_forward_cpu, default=_by_views)


def _forward(x: Array, w: Array) -> tuple[Array, tuple[Array, Array]]:
    return convolve(x, w), (x, w)


def _backward(saved: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    return typed_jax.platform_dependent(*saved, g, cpu=_backward_cpu, default=_backward_by_views)


convolve.defvjp(_forward, _backward)


def patches(x: Array, side: int) -> Array:
    """Put squares of pixels into the channels: ``(N, H, W, C)`` to ``(N, H // side, W // side, side * side * C)``."""
    if side == 1:
        return x
    n, height, width, channels = x.shape
    rows, columns = height // side, width // side
    x = x[:, : rows * side, : columns * side].reshape(n, rows, side, columns, side, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, rows, columns, side * side * channels)


def _quarters(x: Array) -> Array:
    n, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    return x.reshape(n, height // 2, 2, width // 2, 2, channels)


@typed_jax.custom_vjp
def max_pool(x: Array) -> Array:
    """Return the largest of each 2 x 2 pixels, ``(N, H, W, C)`` to ``(N, H // 2, W // 2, C)``; odd edges are left out.

    The gradient goes to the largest; where several are equal, to each of them.
    """
    q = _quarters(x)
    top = jnp.maximum(q[:, :, 0, :, 0], q[:, :, 0, :, 1])
    return jnp.maximum(top, jnp.maximum(q[:, :, 1, :, 0], q[:, :, 1, :, 1]))


def _pool_forward(x: Array) -> tuple[Array, tuple[Array, Array]]:
    largest = max_pool(x)
    return largest, (x, largest)


def _pool_backward(saved: tuple[Array, Array], g: Array) -> tuple[Array]:
    x, largest = saved
    q = _quarters(x)
    where = q == largest[:, :, None, :, None]
    d = jnp.where(where, g[:, :, None, :, None], 0.0)
    height, width = q.shape[1] * 2, q.shape[3] * 2
    d = d.reshape(x.shape[0], height, width, x.shape[3])
    left_out = ((0, 0), (0, x.shape[1] - height), (0, x.shape[2] - width), (0, 0))
    return (jnp.pad(d, left_out),)


max_pool.defvjp(_pool_forward, _pool_backward)
