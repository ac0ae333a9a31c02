"""Random brightness, contrast and saturation of images, and noise: changes of values that stay in place.

Images are ``(N, H, W, C)`` float32 in units of the pixels, 0 to 255.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from popnet.augment import draws
from popnet.augment.strengths import some
from popnet.runtime import typed_jax
from popnet.spec.recipe import COLOUR
from popnet.spec.shape import Numbers

GREY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the grey of a colour (ITU-R BT.601)."""


def colour(images: Array, image_keys: Array, n: Numbers) -> Array:
    """Return images with another brightness, contrast and saturation each, clipped to 0..255.

    Without any strength the values come back bit for bit.

    Args:
        images: ``(N, H, W, C)``.
        image_keys: ``(N,)`` uint32, of `draws.image_keys`.
        n: the recipe's numbers; saturation is for three channels.
    """

    def changed(x: Array) -> Array:
        u = 2 * draws.uniforms(image_keys, draws.COLOUR, 3)[:, :, None, None, None] - 1
        x = x * (1 + n.brightness * u[:, 0])
        mean = x.mean((1, 2, 3), keepdims=True)
        x = mean + (x - mean) * (1 + n.contrast * u[:, 1])
        if x.shape[3] == 3:
            grey = sum(np.float32(share) * x[..., i : i + 1] for i, share in enumerate(GREY))
            x = grey + (x - grey) * (1 + n.saturation * u[:, 2])
        return jnp.clip(x, 0.0, 255.0)

    return typed_jax.cond(some(n, COLOUR), changed, lambda x: x, images)


def noise(images: Array, image_keys: Array, n: Numbers, std: Array) -> Array:
    """Add Gaussian noise of ``n.input_noise`` times each channel's deviation ``std`` ``(C,)`` (Bishop 1995)."""

    def noisy(x: Array) -> Array:
        count, height, width, channels = x.shape
        drawn = draws.normal_fields(image_keys, draws.NOISE, height, width * channels)
        return x + drawn.reshape(count, height, width, channels) * (n.input_noise * std)

    return typed_jax.cond(jnp.asarray(n.input_noise) > 0, noisy, lambda x: x, images)
