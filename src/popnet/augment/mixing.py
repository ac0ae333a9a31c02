"""Images of a batch mixed with each other: mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from popnet.augment import beta, rows
from popnet.runtime import keys, typed_jax


def mix(
    images: Array, key: Array, mixup_alpha: Array, cutmix_alpha: Array, count: Array
) -> tuple[Array, rows.Pairs]:
    """Mix a batch by one of the two ways; if both are on, each batch by either with probability 1/2.

    Args:
        images: ``(N, H, W, C)`` float32.
        key: uint32.
        mixup_alpha, cutmix_alpha: of the Beta distributions; 0 is off. Both off: images come back bit for bit.
        count: scalar, real images; they come first.

    Returns:
        The images, and how their targets are to be mixed (`rows.mix`).
    """
    both = (mixup_alpha > 0) & (cutmix_alpha > 0)
    coin = keys.uniform(keys.fold_in(key, 0), (1,))[0] < 0.5
    paste = (cutmix_alpha > 0) & (~both | coin)
    pairs = rows.pairs(
        keys.fold_in(key, 1), jnp.where(paste, 0.0, mixup_alpha), count, images.shape[0]
    )
    pasted, pairs = typed_jax.cond(
        paste,
        lambda x: cutmix(x, keys.fold_in(key, 2), cutmix_alpha, pairs),
        lambda x: (x, pairs),
        images,
    )
    blended = typed_jax.cond(paste, lambda x: x, lambda x: rows.mix(x, pairs), pasted)
    return blended, pairs


def cutmix(images: Array, key: Array, alpha: Array, pairs: rows.Pairs) -> tuple[Array, rows.Pairs]:
    """Paste a rectangle of its partner into each image.

    One rectangle a batch: of the image's shape and 1 - share of its area, about a uniform centre, cut off at the
    borders; the share is then that of the pixels that stayed.
    """
    _, height, width, _ = images.shape
    share = beta.symmetric(keys.fold_in(key, 0), alpha)
    u = keys.uniform(keys.fold_in(key, 1), (2,))
    side = jnp.sqrt(1 - share)

    def stretch(place: Array, length: int) -> Array:
        centre, half = place * length, 0.5 * side * length
        position = jax.lax.iota(jnp.float32, length) + 0.5
        return (position > centre - half) & (position < centre + half)

    inside = stretch(u[0], height)[:, None] & stretch(u[1], width)[None, :]
    stays = 1 - inside.mean(dtype=jnp.float32)
    partner = images.at[pairs.partner].get(mode="promise_in_bounds")
    mixed = jnp.where(inside[:, :, None], partner, images)
    return mixed, rows.Pairs(pairs.partner, stays, jnp.asarray(True))
