"""Random geometry of images: everything is composed into one field of coordinates and one bilinear resampling.

Images are ``(N, H, W, C)``. Positions are (y, x) in pixels, 0 at the centre of the first pixel. A field says for each
pixel of the result where in the input its value is taken from.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from popnet.augment import draws
from popnet.augment.strengths import MIRRORS, some
from popnet.runtime import typed_jax
from popnet.spec.recipe import GEOMETRY, choices
from popnet.spec.shape import Numbers

NODES = 48
"""Most nodes a side of the noise that elastic distortions are smoothed from."""

CONSTANT, REFLECT = choices("fill").index("constant"), choices("fill").index("reflect")


class Warp(NamedTuple):
    """How the images of a batch are warped.

    Attributes:
        matrices: ``(N, 2, 3)``, of `affine`.
        image_keys: ``(N,)`` uint32.
        smoothers: of `smoothers`, the same for all images.
    """

    matrices: Array
    image_keys: Array
    smoothers: tuple[Array, Array]


def geometry(images: Array, image_keys: Array, n: Numbers, background: Array) -> Array:
    """Return images bent, turned and shifted at random, float32 ``(N, H, W, C)``.

    Without any strength the values come back bit for bit, and nothing is computed.

    Args:
        images: ``(N, H, W, C)`` uint8 or float32.
        image_keys: ``(N,)`` uint32, of `draws.image_keys`.
        n: the recipe's numbers.
        background: ``(C,)``, in units of the pixels.
    """
    _, height, width, _ = images.shape
    others = tuple(name for name in GEOMETRY if name not in MIRRORS)

    def changed(images: Array) -> Array:
        warp = draw_warp(image_keys, n, height, width)
        return typed_jax.cond(
            some(n, others),
            lambda images: bend(images, warp, n, background),
            lambda images: mirrored(images, warp.matrices).astype(jnp.float32),
            images,
        )

    return typed_jax.cond(
        some(n, GEOMETRY), changed, lambda images: images.astype(jnp.float32), images
    )


def mirrored(images: Array, matrices: Array) -> Array:
    """Return images as matrices of `affine` that only mirror have them: without a look at neighbours, and faster."""
    for axis in (0, 1):
        turned = matrices[:, axis, axis] < 0
        images = jnp.where(turned[:, None, None, None], jnp.flip(images, axis + 1), images)
    return images


def draw_warp(image_keys: Array, n: Numbers, height: int, width: int) -> Warp:
    """Draw how each image is warped."""
    return Warp(affine(image_keys, n, height, width), image_keys, smoothers(n, height, width))


def bend(images: Array, warp: Warp, n: Numbers, background: Array) -> Array:
    """Return images resampled as a warp says, ``(N, H, W, C)`` float32."""
    _, height, width, _ = images.shape

    def with_elastic(warp: Warp) -> Array:
        return coordinates(warp.matrices, height, width) + elastic(
            warp.image_keys, n, warp.smoothers
        )

    at = typed_jax.cond(
        jnp.asarray(n.elastic_alpha) > 0,
        with_elastic,
        lambda warp: coordinates(warp.matrices, height, width),
        warp,
    )
    return resample(images, at, n.fill, background)


# --- affine ----------------------------------------------------------------------------------------


def affine(image_keys: Array, n: Numbers, height: int, width: int) -> Array:
    """Return ``(N, 2, 3)`` matrices [A | t]: input (y, x) = A @ output (y, x) + t, drawn for each image.

    Seen from the result: the image is shifted, then turned and mirrored, scaled, sheared and rotated about its centre,
    and last placed into the crop. Turns by quarters and reflections are exact: matrices of 0, 1 and -1.
    """
    u = draws.uniforms(image_keys, draws.AFFINE, 16)
    shift_y, shift_x, crop_y, crop_x, rotation, quarter, right, half = u[:, :8].T
    reflection, vertical, scale, share, ratio, offset_y, offset_x, shear = u[:, 8:].T
    sides = np.array([height, width], np.float32)

    shift = n.translation * sides * (2 * jnp.stack([shift_y, shift_x], 1) - 1)
    padding = jnp.round(n.crop * sides)
    shift += jnp.floor(jnp.stack([crop_y, crop_x], 1) * (2 * padding + 1)) - padding

    sign = jnp.where(half < n.half_turn, -1.0, 1.0).astype(jnp.float32)
    sign_y = jnp.where(vertical < n.vertical_reflection, -sign, sign)
    sign_x = jnp.where(reflection < n.reflection, -sign, sign)
    turned = quarter < n.quarter_turn
    turn = jnp.where(right < 0.5, 1.0, -1.0).astype(jnp.float32)
    zero = jnp.zeros_like(sign)
    a = _matrix(
        jnp.where(turned, zero, sign_y),
        jnp.where(turned, turn * sign_y, zero),
        jnp.where(turned, -turn * sign_x, zero),
        jnp.where(turned, zero, sign_x),
    )
    factor = jnp.exp(-(2 * scale - 1) * jnp.log1p(n.scaling))
    slope = jnp.tan((2 * shear - 1) * n.shear * np.float32(np.pi / 180))
    angle = (2 * rotation - 1) * n.rotation * np.float32(np.pi / 180)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    a = _product(_matrix(factor, zero, zero, factor), a)
    a = _product(_matrix(zero + 1, zero, slope, zero + 1), a)
    a = _product(_matrix(cos, -sin, sin, cos), a)

    area = 1 - n.zoomed_crop * share
    stretch = jnp.exp((2 * ratio - 1) * jnp.log1p(n.zoomed_crop / 3))
    kept = jnp.stack([jnp.sqrt(area * stretch), jnp.sqrt(area / stretch)], 1)
    kept = jnp.minimum(kept, 1.0)
    offset = (jnp.stack([offset_y, offset_x], 1) - 0.5) * (1 - kept) * sides
    a = kept[:, :, None] * a

    centre = (sides - 1) / 2
    t = centre + offset - jnp.sum(a * (centre + shift)[:, None, :], 2)
    return jnp.concatenate([a, t[:, :, None]], 2)


def coordinates(matrices: Array, height: int, width: int) -> Array:
    """Return ``(N, 2, H, W)``: where matrices ``(N, 2, 3)`` send each pixel (y, x) of the result."""
    y = np.arange(height, dtype=np.float32)[:, None]
    x = np.arange(width, dtype=np.float32)
    m = matrices[:, :, :, None, None]
    return m[:, :, 0] * y + m[:, :, 1] * x + m[:, :, 2]


def _matrix(a: Array, b: Array, c: Array, d: Array) -> Array:
    return jnp.stack([jnp.stack([a, b], 1), jnp.stack([c, d], 1)], 1)


def _product(a: Array, b: Array) -> Array:
    """Return ``a @ b`` of ``(N, 2, 2)``, in full precision on every device."""
    return jnp.sum(a[:, :, :, None] * b[:, None], 2)


# --- elastic ---------------------------------------------------------------------------------------


def elastic(image_keys: Array, n: Numbers, smooth: tuple[Array, Array]) -> Array:
    """Return ``(N, 2, H, W)`` displacements in pixels: smoothed white noise times alpha (Simard et al. 2003).

    ``smooth`` are the matrices of `smoothers`; rows and columns are smoothed by one product each.
    """
    down, across = smooth
    (height, rows), (width, columns) = down.shape, across.shape
    count = image_keys.shape[0]
    noise = 2 * draws.uniform_fields(image_keys, draws.ELASTIC, 2 * rows, columns) - 1
    half = (noise.reshape(-1, columns) @ across.T).reshape(2 * count, rows, width)
    # A matrix for each image, though all are the same: XLA's product of the two is faster on a CPU than with one.
    each = jnp.broadcast_to(down, (2 * count, height, rows))
    whole = jax.lax.dot_general(each, half, (((2,), (1,)), ((0,), (0,))))
    return n.elastic_alpha * whole.reshape(count, 2, height, width)


def smoothers(n: Numbers, height: int, width: int) -> tuple[Array, Array]:
    """Return the Gaussian matrices ``(H, nodes)`` and ``(W, nodes)`` of elastic distortions; zeros while these are
    off."""

    def zeros() -> tuple[Array, Array]:
        shapes = [(side, min(side, NODES)) for side in (height, width)]
        return jnp.zeros(shapes[0], jnp.float32), jnp.zeros(shapes[1], jnp.float32)

    sigma = jnp.asarray(n.elastic_sigma)
    return typed_jax.cond(
        jnp.asarray(n.elastic_alpha) > 0,
        lambda: (smoother(sigma, height), smoother(sigma, width)),
        zeros,
    )


def smoother(sigma: Array, side: int) -> Array:
    """Return the matrix ``(side, nodes)`` that smooths noise along one axis with a Gaussian of ``sigma`` pixels.

    Up to 48 pixels there is a node at each pixel and a row holds the normalised kernel, cut off at the borders. A
    longer side has 48 nodes spread over it, with a Gaussian about each; rows are scaled so that the field's standard
    deviation is that of noise at every pixel. Its Gaussian is then at least 0.6 of the nodes' distance wide.
    """
    nodes = min(side, NODES)
    pitch = (side - 1) / (nodes - 1) if nodes > 1 else 1.0
    pixel = np.arange(side, dtype=np.float32)
    distance = pixel[:, None] - np.arange(nodes, dtype=np.float32) * np.float32(pitch)
    if side <= NODES:
        return jnp.exp(-0.5 * jnp.square(distance / sigma)) / _kernel_sum(sigma)
    weight = jnp.exp(-0.5 * jnp.square(distance / jnp.maximum(sigma, 0.6 * pitch)))
    # The sum of the squared kernel over the pixels within the borders, as an integral.
    ends = jax.lax.erf((side - 0.5 - pixel) / sigma) + jax.lax.erf((pixel + 0.5) / sigma)
    power = ends * (0.5 * np.sqrt(np.pi)).astype(np.float32) * sigma
    power = power / jnp.square(_kernel_sum(sigma))
    return weight * jnp.sqrt(power / jnp.sum(jnp.square(weight), 1))[:, None]


def _kernel_sum(sigma: Array) -> Array:
    """Return the sum of exp(-k^2 / (2 sigma^2)) over all integers k."""
    k = np.arange(1, 7, dtype=np.float32)
    few = 1 + 2 * jnp.sum(jnp.exp(-0.5 * jnp.square(k / sigma)))
    # The integral; from sigma = 1 on it is the sum to 1e-8.
    return jnp.where(sigma < 1, few, sigma * np.float32(np.sqrt(2 * np.pi)))


# --- resampling ------------------------------------------------------------------------------------


def resample(images: Array, at: Array, fill: Array, background: Array) -> Array:
    """Return the images' values at given positions, bilinear between pixels, float32.

    Beyond the border: ``constant`` goes over to the background within one pixel (``grid-constant`` in scipy.ndimage),
    ``edge`` repeats the last pixel (``nearest``), ``reflect`` mirrors about the pixels' outer edge (``reflect``).

    Args:
        images: ``(N, H, W, C)`` uint8 or float32.
        at: ``(N, 2, h, w)`` float32, positions (y, x).
        fill: int32, a place in ``choices("fill")``.
        background: ``(C,)``, in units of the pixels; rounded if these are uint8.
    """
    n, height, width, channels = images.shape
    size = at.shape[2:]
    small = images.dtype == jnp.uint8
    if small:
        table, stride, rows = _squares(images, fill, background), width + 1, height + 1
    else:
        table, stride, rows = _framed(images, fill, background), width + 2, height + 2
    # The branches also keep XLA from computing table and places anew for each value: 6 times as fast on a CPU.
    place, down, right = typed_jax.cond(
        jnp.asarray(fill) == REFLECT,
        lambda y, x: cells(
            mirrored_positions(y, height), mirrored_positions(x, width), height, width, stride
        ),
        lambda y, x: cells(y, x, height, width, stride),
        at[:, 0].reshape(n, -1),
        at[:, 1].reshape(n, -1),
    )
    place = place + jax.lax.iota(jnp.int32, n)[:, None] * (rows * stride)
    flat = table.reshape(-1, channels)

    def take(offset: int) -> Array:
        return flat.at[place + offset].get(mode="promise_in_bounds")

    if small:
        square = take(0)
        # By way of int32: processors have an instruction for that conversion.
        a, b, c, d = (
            ((square >> np.uint32(8 * i)) & np.uint32(255)).astype(jnp.int32).astype(jnp.float32)
            for i in range(4)
        )
    else:
        a, b, c, d = take(0), take(1), take(stride), take(stride + 1)
    down, right = down[..., None], right[..., None]
    upper, lower = a + right * (b - a), c + right * (d - c)
    return (upper + down * (lower - upper)).reshape(n, *size, channels)


def mirrored_positions(position: Array, side: int) -> Array:
    """Mirror positions about the outer edges -1/2 and side - 1/2 into the image; those within it stay bit for bit."""
    turns = (position + 0.5) / (2 * side)
    inside = jnp.abs(turns - jnp.round(turns)) * (2 * side) - 0.5
    return jnp.where((position < -0.5) | (position > side - 0.5), inside, position)


def cells(y: Array, x: Array, height: int, width: int, stride: int) -> tuple[Array, Array, Array]:
    """Return the place, in a framed image of rows of ``stride``, of the pixel up and left of each position, and what
    share of a pixel the position lies below and to the right of it."""
    y, x = jnp.clip(y, -1.0, height) + 1, jnp.clip(x, -1.0, width) + 1
    row, column = jnp.minimum(jnp.floor(y), height), jnp.minimum(jnp.floor(x), width)
    return (row * stride + column).astype(jnp.int32), y - row, x - column


def _frame(images: Array, axis: int, border: Array) -> Array:
    """Put one line of ``border`` on both sides of an axis."""
    shape = tuple(1 if i == axis else side for i, side in enumerate(images.shape))
    line = jnp.broadcast_to(border.astype(images.dtype), shape)
    return jnp.concatenate([line, images, line], axis)


def _edge(images: Array, axis: int) -> Array:
    """Repeat the outer lines of an axis."""
    widths = [(1, 1) if i == axis else (0, 0) for i in range(images.ndim)]
    return jnp.pad(images, widths, mode="edge")


def _squares(images: Array, fill: Array, background: Array) -> Array:
    """Return ``(N, H + 1, W + 1, C)`` uint32, four neighbours of a framed uint8 image in each, upper left lowest.

    One look into memory then gives all that a bilinear value needs.
    """

    def sideways(x: Array) -> Array:
        x = x.astype(jnp.uint32)
        return x[:, :, :-1] | (x[:, :, 1:] << np.uint32(8))

    def downwards(x: Array) -> Array:
        return x[:, :-1] | (x[:, 1:] << np.uint32(16))

    border = jnp.clip(jnp.round(background), 0, 255).astype(jnp.uint32)
    return typed_jax.cond(
        jnp.asarray(fill) == CONSTANT,
        lambda images: downwards(
            _frame(sideways(_frame(images, 2, border)), 1, border | (border << np.uint32(8)))
        ),
        # A mirror image's first line outside is the border's own line too.
        lambda images: downwards(_edge(sideways(_edge(images, 2)), 1)),
        images,
    )


def _framed(images: Array, fill: Array, background: Array) -> Array:
    """Return ``(N, H + 2, W + 2, C)`` float32: the image with one line around it."""
    return typed_jax.cond(
        jnp.asarray(fill) == CONSTANT,
        lambda images: _frame(_frame(images, 2, background), 1, background),
        lambda images: _edge(_edge(images, 2), 1),
        images.astype(jnp.float32),
    )
