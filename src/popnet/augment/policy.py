"""All transformations of single images in one: inside a compiled program (`apply`), or alone (`Policy`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from popnet.augment import draws
from popnet.augment.colour import colour, noise
from popnet.augment.erase import erase
from popnet.augment.geometry import geometry
from popnet.augment.strengths import ALL, some
from popnet.data.dataset import border_colour
from popnet.errors import InputError
from popnet.runtime import keys, typed_jax
from popnet.runtime.compiled import CompiledCache, map_over_devices
from popnet.runtime.cpu import CPU_OPTIONS, Device, cores, devices
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Numbers

Images = TypeVar("Images", Array, np.ndarray)

CHUNK_VALUES = 1 << 17
"""Values of the images that are worked on at a time: they stay in a core's cache."""

CALL_GROUPS = 8
"""Groups of so many values that one call of `Policy`'s program takes: a call costs as much as a few small images."""


def apply(images: Array, image_keys: Array, n: Numbers, std: Array, background: Array) -> Array:
    """Return images as a recipe transforms them, float32 in units of the pixels.

    Args:
        images: ``(N, H, W, C)`` uint8 or float32.
        image_keys: ``(N,)`` uint32, one an image, so that each is transformed the same whatever stands beside it.
        n: the recipe's numbers; a strength of 0 is off and costs nothing, all off gives the values back bit for bit.
        std: ``(C,)``, the channels' deviations; the noise is in units of them.
        background: ``(C,)``, the colour beyond the border and of what is erased.
    """
    return _finished(images, image_keys, n, std, background, lambda x: x)


def _finished(
    images: Array,
    image_keys: Array,
    n: Numbers,
    std: Array,
    background: Array,
    finish: Callable[[Array], Array],
) -> Array:
    """Transform images, and put each group that fits the cache into its last form."""

    def chain(images: Array, image_keys: Array) -> Array:
        x = geometry(images, image_keys, n, background)
        x = colour(x, image_keys, n)
        x = noise(x, image_keys, n, std)
        return finish(erase(x, image_keys, n, background))

    return typed_jax.cond(
        some(n, ALL),
        lambda images, image_keys: typed_jax.platform_dependent(
            images, image_keys, cpu=partial(_in_groups, chain), default=chain
        ),
        lambda images, _: finish(images.astype(jnp.float32)),
        images,
        image_keys,
    )


def _group(image: tuple[int, ...]) -> int:
    """Return how many images of a shape stay in a core's cache: a power of two."""
    most = CHUNK_VALUES // math.prod(image)
    return 1 << max(0, most.bit_length() - 1)


def _in_groups(
    function: Callable[[Array, Array], Array], images: Array, image_keys: Array
) -> Array:
    """Apply a function to groups of images that stay in a core's cache: twice as fast from 64 pixels a side on."""
    n, *image = images.shape
    most = _group(tuple(image))
    size = max(d for d in range(1, min(n, most) + 1) if n % d == 0)
    # Groups of less than half the cache, as of a prime number of small images, would cost more than they save.
    if n <= most or 2 * size < most:
        return function(images, image_keys)

    def grouped(a: Array) -> Array:
        return a.reshape(n // size, size, *a.shape[1:])

    def of_group(group: tuple[Array, Array]) -> Array:
        return function(*group)

    return typed_jax.map_first(of_group, (grouped(images), grouped(image_keys))).reshape(
        images.shape
    )


def _run(
    images: Array, key: Array, first: Array, n: Numbers, std: Array, background: Array
) -> Array:
    each = draws.image_keys(key, first + jax.lax.iota(jnp.int32, images.shape[0]))

    def finish(x: Array) -> Array:
        if images.dtype == jnp.uint8:
            return jnp.round(jnp.clip(x, 0.0, 255.0)).astype(jnp.uint8)
        return x

    return _finished(images, each, n, std, background, finish)


_on_cpu = CompiledCache(_run, compiler_options=CPU_OPTIONS)
_anywhere: Callable[..., Any] = jax.jit(_run)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Transformations of images, to use alone: ``Policy(rotation=15, translation=0.1)(key, images)``.

    Every image draws its own parameters; all of the geometry is one resampling. The fields are those of
    `popnet.Recipe`, with the same meaning, units and defaults (0 is off).

    Args:
        translation, crop, rotation, quarter_turn, half_turn, reflection, vertical_reflection, scaling, zoomed_crop,
        shear, elastic_alpha, elastic_sigma, brightness, contrast, saturation, erasing, fill: see `popnet.Recipe`.
        noise: standard deviation of Gaussian noise, in units of 64 pixel values.
        background: colour beyond the border with ``fill = "constant"``, a number or one a channel; None takes the
            median colour of the borders of the images of a call.
        workers: threads; None for one a core.

    Raises:
        RecipeError: a field has an impossible value.

    Example:
        >>> import numpy as np
        >>> from popnet.augment import Policy
        >>> images = np.zeros((5, 28, 28), np.uint8)
        >>> Policy(rotation=15, elastic_alpha=20)(0, images).shape
        (5, 28, 28)
    """

    translation: float = 0.0
    crop: float = 0.0
    rotation: float = 0.0
    quarter_turn: float = 0.0
    half_turn: float = 0.0
    reflection: float = 0.0
    vertical_reflection: float = 0.0
    scaling: float = 0.0
    zoomed_crop: float = 0.0
    shear: float = 0.0
    elastic_alpha: float = 0.0
    elastic_sigma: float = 4.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    erasing: float = 0.0
    noise: float = 0.0
    fill: Literal["constant", "edge", "reflect"] = "constant"
    background: float | tuple[float, ...] | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        self._recipe()

    def _recipe(self) -> Recipe:
        own = ("noise", "background", "workers")
        fields = {k: v for k, v in asdict(self).items() if k not in own}
        return Recipe(**fields, input_noise=self.noise)

    def __call__(self, key: int | Array, images: Images) -> Images:
        """Return transformed images of the same type, shape and dtype.

        Args:
            key: a number from 0 on, or a uint32 of `popnet.runtime.keys.fold_in`: the same key gives the same images,
                and an image is transformed by its place alone.
            images: ``(N, H, W)``, or ``(N, H, W, C)`` with 1 or 3 channels; uint8, or float32 in units of 0 to 255;
                NumPy or JAX.

        Raises:
            InputError: the images have another shape or dtype.
        """
        if getattr(images, "ndim", 0) not in (3, 4):
            raise InputError(
                f"images must be (N, H, W) or (N, H, W, C); got {getattr(images, 'shape', images)}."
            )
        if str(images.dtype) not in ("uint8", "float32"):
            raise InputError(f"images must be uint8 or float32; got {images.dtype}.")
        x: Any = images[..., None] if images.ndim == 3 else images
        if x.shape[3] not in (1, 3):
            raise InputError(f"images must have 1 or 3 channels; got {x.shape[3]}.")
        if not x.size:
            return images
        bits = keys.key(key, "policy") if isinstance(key, int) else key
        numbers = Numbers.of(self._recipe())
        arguments = (numbers, np.full(x.shape[3], 64, np.float32), self._background(x))
        out: Any
        if isinstance(images, np.ndarray):
            out = _in_chunks(x, np.uint32(bits), arguments, self.workers)
        else:
            out = _anywhere(x, jnp.asarray(bits, jnp.uint32), jnp.int32(0), *arguments)
        return out.reshape(images.shape)

    def _background(self, x: Any) -> np.ndarray:
        channels: int = x.shape[3]
        if self.background is not None:
            return np.broadcast_to(np.asarray(self.background, np.float32), (channels,)).copy()
        if self.fill != "constant" and not self.erasing:
            return np.zeros(channels, np.float32)
        return border_colour(np.asarray(x[:1000]))


def _in_chunks(
    x: np.ndarray, key: np.uint32, arguments: tuple[Any, ...], workers: int | None
) -> np.ndarray:
    """Transform NumPy images on the CPU: chunk by chunk, a thread a core, each chunk in that core's cache."""
    n = len(x)
    # Powers of two: calls with other numbers of images find their program compiled.
    size = min(CALL_GROUPS * _group(x.shape[1:]), 1 << (n - 1).bit_length())
    out = np.empty_like(x)

    def chunk(device: Device, start: int) -> None:
        part = x[start : start + size]
        count = len(part)
        if count < size:
            part = np.concatenate(
                [part, np.broadcast_to(part[:1], (size - count, *part.shape[1:]))]
            )
        call = part, key, np.int32(start), *arguments
        out[start : start + count] = np.asarray(_on_cpu.on(device, *call)(*call))[:count]

    starts = range(0, n, size)
    map_over_devices(chunk, starts, devices(min(workers or cores(), len(starts))))
    return out
