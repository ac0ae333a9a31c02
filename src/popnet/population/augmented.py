"""Images on their way into a net: augmented in training, seen in other ways at prediction."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from popnet.augment import draws, geometry, mixing, policy, rows
from popnet.nn.inputs import Pixels
from popnet.runtime import keys
from popnet.spec.shape import Numbers


def batch(n: Numbers, images: Pixels, count: Array, key: Array) -> tuple[Array, rows.Pairs]:
    """Augment a batch of images: each by itself, then with each other.

    Args:
        n: the recipe's numbers.
        images: N of them.
        count: scalar, real ones; they come first.
        key: uint32, this step's key of augmentation.

    Returns:
        ``(N, H, W, C)`` float32, standardised, and how the images (and so their targets) are mixed.
    """
    size = images.pixels.shape[0]
    each = draws.image_keys(keys.fold_in(key, 0), jax.lax.iota(jnp.int32, size))
    changed = policy.apply(images.pixels, each, n, images.std, images.background)
    x = images.standardised(changed)
    return mixing.mix(x, keys.fold_in(key, 1), n.mixup, n.cutmix, count)


def view(n: Numbers, images: Pixels, number: Array) -> Array:
    """Return images seen in another way, ``(N, H, W, C)`` float32, standardised: what keeps the class at prediction.

    The first is the mirror image, if the recipe mirrors; others are shifted, turned and so on as the recipe does,
    without morphing, and all images of a view alike: a prediction does not depend on an image's place.

    Args:
        n: the recipe's numbers.
        images: N of them.
        number: scalar int32, of the view, from 1.
    """
    still, each = _as_one(n, number, images.pixels.shape[0])
    seen = geometry.geometry(images.pixels, each, still, images.background)
    mirror = (number == 1) & (n.reflection > 0)
    return images.standardised(jnp.where(mirror, images.pixels[:, :, ::-1], seen))


def view_matrices(n: Numbers, number: Array, height: int, width: int) -> Array:
    """Return how a view that is no mirror image warps all images, ``(1, 2, 3)``: `geometry.affine`."""
    still, each = _as_one(n, number, 1)
    return geometry.affine(each, still, height, width)


def _as_one(n: Numbers, number: Array, images: int) -> tuple[Numbers, Array]:
    """Return a recipe's numbers without morphing, and the key of a view for each of some images, ``(N,)`` uint32."""
    still = n._replace(elastic_alpha=jnp.zeros_like(n.elastic_alpha))
    key = keys.fold_in(jnp.asarray(keys.GOLDEN, jnp.uint32), number)
    return still, jnp.full(images, key)
