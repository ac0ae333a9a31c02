"""Random erasing: a rectangle of each image becomes background (DeVries and Taylor 2017; Zhong et al. 2020)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from popnet.augment import draws
from popnet.runtime import typed_jax
from popnet.spec.shape import Numbers


def erase(images: Array, image_keys: Array, n: Numbers, background: Array) -> Array:
    """Return images with a rectangle set to the background.

    Its height and width are uniform from 0 to ``n.erasing`` of the image's, its place is uniform within the image. A
    strength of 0 gives the values back bit for bit.

    Args:
        images: ``(N, H, W, C)`` float32.
        image_keys: ``(N,)`` uint32, of `draws.image_keys`.
        n: the recipe's numbers.
        background: ``(C,)``.
    """
    _, height, width, _ = images.shape

    def erased(x: Array) -> Array:
        u = draws.uniforms(image_keys, draws.ERASE, 4)
        down = _within(u[:, 0], u[:, 1], n.erasing, height)
        across = _within(u[:, 2], u[:, 3], n.erasing, width)
        inside = down[:, :, None, None] & across[:, None, :, None]
        return jnp.where(inside, background, x)

    return typed_jax.cond(jnp.asarray(n.erasing) > 0, erased, lambda x: x, images)


def _within(length: Array, place: Array, most: Array, side: int) -> Array:
    """Return ``(N, side)``, which pixels of an axis a stretch of a random length at a random place covers."""
    pixels = jnp.round(length * most * side)
    start = jnp.floor(place * (side - pixels + 1))
    position = jax.lax.iota(jnp.float32, side)
    return (position >= start[:, None]) & (position < (start + pixels)[:, None])
