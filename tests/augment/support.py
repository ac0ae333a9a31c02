"""Strengths and keys that the tests of augmentation share."""

from __future__ import annotations

import numpy as np

from popnet.augment import draws
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Numbers


def strengths(noise: float = 0.0, **fields) -> Numbers:
    return Numbers.of(Recipe(**fields, input_noise=noise))


def image_keys(n: int, key: int = 7) -> np.ndarray:
    return np.asarray(draws.image_keys(np.uint32(key), np.arange(n, dtype=np.int32)))
