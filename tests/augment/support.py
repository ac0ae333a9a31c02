"""Strengths and keys that the tests of augmentation share."""

from __future__ import annotations

import numpy as np

from popnet.augment import draws
from popnet.augment.strengths import Strengths, recipe_field
from popnet.recipe import Recipe


def strengths(**fields) -> Strengths:
    return Strengths.of(Recipe(**{recipe_field(k): v for k, v in fields.items()}))


def image_keys(n: int, key: int = 7) -> np.ndarray:
    return np.asarray(draws.image_keys(np.uint32(key), np.arange(n, dtype=np.int32)))
