"""The rows and the recipe that a study compares on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from popnet.ablation.transformations import check, small_images
from popnet.data.dataset import Dataset, Images
from popnet.prepare.prepared import Prepared
from popnet.runtime import keys
from popnet.spec.recipe import Recipe
from popnet.tuning.space.table_space import default_space

MAX_ROWS, MAX_IMAGES = 10_000, 2_000
"""Rows (images) of a study, unless asked otherwise: hundreds of nets are to be trained."""


def sample(
    prepared: Prepared, rows: int | None, seed: int
) -> tuple[Dataset, np.ndarray, list[str]]:
    """Return the data, smaller images, the rows of the study, and lines about what was left out."""
    data, usable = prepared.data, np.asarray(prepared.train)
    notes: list[str] = []
    most = rows or (MAX_IMAGES if isinstance(data.features, Images) else MAX_ROWS)
    if len(usable) > most:
        total = len(usable)
        picked = keys.generator(seed, "study").permutation(usable)[:most]
        usable = np.sort(picked)
        notes.append(f"a random {most:,} of the {total:,} rows are used (--rows takes more)")
    if isinstance(data.features, Images):
        small = small_images.shrunk(data.features)
        if small.size != data.features.size:
            notes.append(f"images are reduced to {small.size[0]} x {small.size[1]} pixels")
            data = replace(data, features=small)
    return data, usable, notes


def base_recipe(data: Dataset, rows: int, own: Recipe | None) -> Recipe:
    """Return the recipe that twins differ from: the default net of a fit, with a user's own fields."""
    if isinstance(data.features, Images):
        fields = {} if own is None else own.model_dump(exclude_unset=True)
        return check.twin_recipe(data.features.size, int(0.7 * rows)).replace(**fields)
    return default_space(data, int(0.7 * rows), own, 1).base
