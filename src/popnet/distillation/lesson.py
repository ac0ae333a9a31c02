"""What students are taught: an ensemble's predictions of a table's rows, and of rows made up near them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from popnet.data.dataset import Dataset, Features
from popnet.distillation.made_up_rows import joined, made_up
from popnet.distillation.material import Material
from popnet.model.model import Model
from popnet.runtime import keys

VALIDATION_SHARE, MAX_VALIDATION_ROWS = 0.1, 5_000
"""Of the rows of the table, those that tell which epoch and which student is the best."""

MADE_UP, MAX_ROWS = 1.0, 200_000
"""Made-up rows for each row of the table, and most rows that the ensemble predicts."""

TIMED_ROWS = 1_000
"""Rows by which the ensemble is timed; so many are learned from in any case."""


@dataclass(frozen=True)
class Lesson:
    """What students learn.

    Attributes:
        train: rows with what the ensemble predicts of them: those of the table first, then made-up ones.
        valid: other rows of the table, with the same.
        made_up: number of made-up rows.
    """

    train: Dataset
    valid: Dataset
    made_up: int


def prepare(model: Model, material: Material, seed: int, seconds: float) -> Lesson:
    """Return what students learn: the ensemble's predictions of rows of the table and of made-up rows.

    Of a classification these are probabilities (soft targets, Hinton et al. 2015, arXiv:1503.02531), of a regression
    standardised numbers. Where the ensemble is slow, fewer rows are made up, and then fewer of the table's are taken.

    Args:
        model: the ensemble.
        material: its rows.
        seed: of what is drawn.
        seconds: that predicting may take.
    """
    rng = keys.generator(seed, "distil")
    features, weights = material.features, material.weights
    most = min(MAX_ROWS, int(seconds / _row_seconds(model, features)))
    order = rng.permutation(len(features))[: max(most, TIMED_ROWS)]
    held = min(max(1, round(VALIDATION_SHARE * len(order))), MAX_VALIDATION_ROWS)
    rows, valid = np.sort(order[held:]), np.sort(order[:held])
    of_table = features.take(rows)
    count = max(0, min(round(MADE_UP * len(rows)), most - len(order)))
    more, base = made_up(of_table, model.encoder.names, count, rng)
    own, own_valid = (None if weights is None else weights[some] for some in (rows, valid))
    if own is not None:
        own = np.concatenate([own, own[base]])
    return Lesson(
        _taught(model, joined([of_table, more]), own),
        _taught(model, features.take(valid), own_valid),
        count,
    )


def _taught(model: Model, features: Features, weights: np.ndarray | None) -> Dataset:
    """Return rows with an ensemble's predictions as their targets."""
    task = "classification" if model.is_classifier else "regression"
    target = model.scores(features).astype(np.float32)
    taken = model.encoder.combine(features)
    return Dataset(taken, target, task, model.encoder.n_outputs, weights)


def _row_seconds(model: Model, features: Features) -> float:
    """Return about how long an ensemble takes for each of many rows."""
    some = features.take(np.arange(min(TIMED_ROWS, len(features))))
    model.scores(some)  # loads its programs
    began = time.perf_counter()
    model.scores(some)
    return max(time.perf_counter() - began, 1e-6) / len(some)
