"""Simple models that a net has to beat: the constant prediction and a linear model, both held as nets without
hidden layers, so that they are predicted, saved and compared like any other."""

from __future__ import annotations

import warnings
from typing import Any, cast

import numpy as np

from popnet.data.dataset import Dataset, Features, Images
from popnet.nn import mlp
from popnet.population.predict import Net
from popnet.runtime import keys
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Shape, embedding_size, split_levels
from popnet.types import Array

ITERATIONS = 100
SECONDS_A_PRODUCT = 1.5e-9
"""Measured on seven tables: from 0.4e-9 (otto) to 3e-9 (default_credit)."""

MAX_ROWS = 50_000
"""Rows that the linear model is fitted on, at most; it needs no more."""

HURRIED_ROWS = 5_000
"""The same where a fit's time is over and there is nothing else."""

MAX_PIXELS = 10_000_000
"""Values of images that the linear model is fitted on, at most: rows times values of an image."""

LINEAR_ID = -1
"""Number of the linear model among the recipes of a fit, which count from 0."""

LINEAR = Recipe(depth=0, norm="none", dropout=0.0)


def dense(features: Features | Images, rows: Array) -> np.ndarray:
    """Return a net's inputs without periodic features, ``(len(rows), D)``; columns with many levels are zeros."""
    if isinstance(features, Images):
        values = (features.pixels[rows] - features.mean) * (1 / features.std)
        return values.reshape(len(rows), -1).astype(np.float32)
    one_hot, embedded = split_levels(features.levels)
    some = features.take(rows)
    parts = [some.numeric, some.flags.astype(np.float32)]
    for c in one_hot:
        parts.append((some.codes[:, c][:, None] == np.arange(some.levels[c])).astype(np.float32))
    width = sum(embedding_size(features.levels[c]) for c in embedded)
    return np.concatenate([*parts, np.zeros((len(rows), width), np.float32)], axis=1)


def constant(data: Dataset, rows: Array) -> Net:
    """Return the net that predicts the class shares, or the mean target, of some rows."""
    weights = _weights(data, rows)
    if data.task == "regression":
        bias = np.average(data.target[rows], axis=0, weights=weights)
    else:
        counts = np.bincount(data.target[rows], weights, data.n_outputs)
        bias = np.log((counts + 1e-3) / (counts + 1e-3).sum())
    return _net(data, np.zeros((mlp.input_size(Shape.of(LINEAR, data)), data.n_outputs)), bias)


def linear(data: Dataset, rows: Array, seed: int, most: int = MAX_ROWS) -> Net:
    """Return ridge or logistic regression, fitted on some rows (at most `MAX_ROWS`, or ``most``, of them)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge

    most = min(most, _most_rows(data))
    if len(rows) > most:
        rows = keys.generator(seed, "linear").choice(rows, most, replace=False)
    X, y, weights = dense(data.features, rows), data.target[rows], _weights(data, rows)
    if data.task == "regression":
        model = cast("Any", Ridge(alpha=1.0).fit(X, y, sample_weight=weights))
        return _net(data, np.atleast_2d(model.coef_).T, np.atleast_1d(model.intercept_))
    if len(np.unique(y)) < 2:
        return constant(data, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a baseline may stop early
        classifier = LogisticRegression(C=1.0, max_iter=ITERATIONS)
        model = cast("Any", classifier.fit(X, y, sample_weight=weights))
    w = np.zeros((X.shape[1], data.n_outputs))
    bias = np.full(data.n_outputs, -20.0)  # a class without rows gets no share
    if len(model.classes_) == 2:
        w[:, model.classes_[1]], bias[model.classes_] = model.coef_[0], (0.0, model.intercept_[0])
    else:
        w[:, model.classes_], bias[model.classes_] = model.coef_.T, model.intercept_
    return _net(data, w, bias)


def linear_seconds(data: Dataset, rows: int) -> float:
    """Return about how long `linear` takes on so many rows, rather too much than too little."""
    rows, size = min(rows, _most_rows(data)), mlp.input_size(Shape.of(LINEAR, data))
    if data.task == "regression":
        return SECONDS_A_PRODUCT * rows * size * size
    outputs = data.n_outputs if data.n_outputs > 2 else 1
    return SECONDS_A_PRODUCT * 2 * ITERATIONS * rows * size * outputs


def _most_rows(data: Dataset) -> int:
    if isinstance(data.features, Images):
        return min(MAX_ROWS, max(200, MAX_PIXELS // int(np.prod(data.features.size))))
    return MAX_ROWS


def _weights(data: Dataset, rows: Array) -> np.ndarray | None:
    return None if data.weights is None else np.asarray(data.weights)[rows]


def _net(data: Dataset, w: Array, bias: Array) -> Net:
    shape = Shape.of(LINEAR, data)
    parameters, running = mlp.init(LINEAR, shape, 0)
    parameters["output"] = {"w": np.asarray(w, np.float32), "b": np.asarray(bias, np.float32)}
    return Net(LINEAR, shape, parameters, running)
