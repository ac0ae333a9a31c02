"""The data that claims are tested on: scikit-learn's digits, or a user's own rows, divided among repetitions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from popnet.ablation.losses import chance
from popnet.ablation.transformations.small_images import smaller
from popnet.data import splits
from popnet.data.dataset import Dataset, Images
from popnet.data.splits import SplitKeys
from popnet.errors import InputError
from popnet.population.feed import Arrays
from popnet.prepare.prepared import Prepared
from popnet.runtime import keys
from popnet.types import Array

FACTORS = (0.5, 1, 2, 4)
"""Numbers of training rows, as multiples of the standard one."""

STANDARD = 100
"""Training rows of a repetition at least, if there are twice as many."""

MAX_POOL, MAX_TEST = 1200, 600
"""Rows to train and to test on, at most; more would take longer and show the same."""

MIN_POOL, MIN_TEST = 40, 20
MAX_SIDE = 16
TEST_SHARE = 1 / 3


@dataclass(eq=False)
class Material:
    """Rows, and how they are divided among repetitions.

    The rows to train on are cut into blocks. A repetition trains on successive blocks, as many as it needs, and the
    next ones are its validation rows; so as long as there are enough blocks, repetitions share no training row. All
    are evaluated on the same test rows.

    Attributes:
        name: of the data.
        data: all rows.
        pool: row numbers to train on.
        test: row numbers to test on.
        repeats: J, repetitions.
        seed: of the blocks.
        split_keys: of all rows; without time.
    """

    name: str
    data: Dataset
    pool: np.ndarray
    test: np.ndarray
    repeats: int
    seed: int = 0
    split_keys: SplitKeys = field(default_factory=SplitKeys)

    def __post_init__(self) -> None:
        if len(self.pool) < MIN_POOL or len(self.test) < MIN_TEST:
            raise InputError(
                f"claims need at least {MIN_POOL + MIN_TEST} rows ({MIN_POOL} to train and {MIN_TEST} to test on); "
                f"these data have {len(self.pool)} and {len(self.test)}."
            )

    @cached_property
    def _blocks(self) -> list[np.ndarray]:
        folds = self.split_keys.folds(self.pool, self.repeats, self.seed)
        rng = keys.generator(self.seed, "claims", "blocks")
        return [rng.permutation(f.valid) for f in folds]

    @cached_property
    def _unit(self) -> int:
        """Blocks of the standard number of training rows."""
        block = len(self.pool) / self.repeats
        wanted = min(STANDARD, len(self.pool) / 2)
        return int(np.clip(np.ceil(wanted / block - 1e-9), 1, self.repeats - 1))

    def _train(self, repeat: int, factor: float) -> np.ndarray:
        count = min(max(1, round(factor * self._unit)), self.repeats - 1)
        rows = np.concatenate([self._blocks[(repeat + b) % self.repeats] for b in range(count)])
        # Fewer rows than a block has: the first ones of its random order.
        most = max(1, round(factor * self._unit * len(self.pool) / self.repeats))
        return np.sort(rows[:most]) if factor < 1 else np.sort(rows)

    def _valid(self, repeat: int, factor: float) -> np.ndarray:
        count = min(max(1, round(factor * self._unit)), self.repeats - 1)
        after = min(self._unit, self.repeats - count)
        rows = [self._blocks[(repeat + count + b) % self.repeats] for b in range(after)]
        return np.sort(np.concatenate(rows))

    @cached_property
    def folds(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Training and validation rows of each repetition for each factor, see `fold`."""
        return [
            (self._train(k, f), self._valid(k, f)) for f in FACTORS for k in range(self.repeats)
        ]

    def fold(self, repeat: int, factor: float = 1) -> int:
        """Return the fold of a repetition with so many times the standard rows."""
        return FACTORS.index(factor) * self.repeats + repeat

    def rows(self, factor: float = 1) -> int:
        """Return the training rows that every repetition has at least."""
        return min(len(self.folds[self.fold(k, factor)][0]) for k in range(self.repeats))

    def overlap(self, factor: float = 1) -> float:
        """Return what shared training rows add to the variance of a mean, see `popnet.ablation.intervals.interval`.

        Two repetitions that have a share r of their rows in common are correlated by about r, so the mean of J of them
        varies by ``s^2 (1/J + r/(1-r))``, s^2 being their sample variance: the reasoning of Nadeau and Bengio (2003).
        """
        sets = [set(self.folds[self.fold(k, factor)][0].tolist()) for k in range(self.repeats)]
        shared = [
            len(a & b) / max(len(a), len(b)) for i, a in enumerate(sets) for b in sets[:i]
        ]  # fmt: skip
        share = min(float(np.mean(shared)), 0.99) if shared else 0.0
        return share / (1 - share)

    @cached_property
    def arrays(self) -> Arrays:
        """The arrays that a trainer takes: the same for all claims, so that nets of one shape share a program."""
        return Arrays(self.data, self.data, self.folds)

    def arrays_with(self, target: Array) -> Arrays:
        """Return the same with another target of the training rows; validation keeps its own."""
        return Arrays(replace(self.data, target=target), self.data, self.folds)

    @cached_property
    def guess(self) -> float:
        """Loss of the best constant prediction on the rows to train on."""
        return chance(self.data, self.pool)


def digits(repeats: int, seed: int) -> tuple[Material, Material]:
    """Return scikit-learn's 1,797 handwritten digits, as a table of 64 pixels and as images of 8 x 8 pixels."""
    from sklearn.datasets import load_digits

    pixels, target = (np.asarray(x) for x in cast("tuple[Any, Any]", load_digits(return_X_y=True)))
    part = splits.holdout(len(target), TEST_SHARE, seed, stratify=target)
    # Round numbers, near mean and deviation of all pixels: nothing is taken from the rows themselves.
    table = Dataset.from_arrays((pixels - 5) / 6, target, "classification")
    grey = np.round(pixels.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    images = Dataset(Images.measured(grey, part.train), table.target, "classification", 10)
    split_keys = SplitKeys(target)
    return (
        Material("digits, as a table of 64 pixels", table, part.train, part.valid, repeats, seed, split_keys),
        Material("digits, 8 x 8 pixels", images, part.train, part.valid, repeats, seed, split_keys),
    )  # fmt: skip


def user_material(
    name: str, prepared: Prepared, repeats: int, seed: int
) -> tuple[Material, Material | None]:
    """Return a user's rows, as a table and, if they are images, as images too (made smaller).

    Args:
        name: of the data.
        prepared: with a test part.
        repeats: J.
        seed: of the sample, where there are more rows than claims take.
    """
    rng = keys.generator(seed, "claims", "sample")
    pool = np.sort(rng.permutation(prepared.train)[:MAX_POOL])
    test = np.sort(rng.permutation(prepared.test)[:MAX_TEST])
    kept = np.sort(np.concatenate([pool, test]))
    pool, test = np.searchsorted(kept, pool), np.searchsorted(kept, test)
    split_keys = replace(prepared.split_keys, time=None).take(kept)
    data = prepared.data
    weights = None if data.weights is None else data.weights[kept]
    features, target = data.features.take(kept), data.target[kept]
    repeats = min(repeats, len(pool) // 4) if len(pool) >= MIN_POOL else repeats
    if not isinstance(features, Images):
        table = Dataset(features, target, data.task, data.n_outputs, weights)
        return Material(name, table, pool, test, repeats, seed, split_keys), None
    images = Images.measured(smaller(features.pixels, MAX_SIDE), pool)
    values = (images.pixels - images.mean) * (1 / images.std)
    flat = Dataset.from_arrays(values.reshape(len(kept), -1), target, data.task, weights)
    flat = replace(flat, n_outputs=data.n_outputs)
    return (
        Material(name, flat, pool, test, repeats, seed, split_keys),
        Material(
            name, Dataset(images, target, data.task, data.n_outputs, weights), pool, test, repeats, seed, split_keys
        ),
    )  # fmt: skip
