"""Rows with known targets that a model, or each of its folds' parts, is judged on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from popnet.data.dataset import Features
from popnet.data.tables.read import read_table
from popnet.errors import InputError
from popnet.model.model import Model
from popnet.predictions import metrics
from popnet.predictions.decisions import proven
from popnet.predictions.metrics import Metric
from popnet.types import Array

STACKED_ROWS = 65_536
"""Rows that are predicted in one call: bounds the memory of stacked copies of a table."""

Predict = Callable[[Features, Array], np.ndarray]
"""Inputs of some rows, and which of the judged rows each is: what a metric takes of them, ``(N, O)``."""


@dataclass(frozen=True)
class Judged:
    """Rows that predictions are judged on.

    Attributes:
        features: N rows, encoded.
        true: ``(N,)`` class numbers or ``(N, T)`` targets, as the metric takes them.
        predict: predicts these rows, or others in their places.
        metric: judges.
        on: what the rows are, in words.
        weights: ``(N,)`` row weights, or None.
        units: ``(N,)`` whole numbers: rows of one are alike and go together; or None.
    """

    features: Features
    true: Array
    predict: Predict
    metric: Metric
    on: str
    weights: Array | None = None
    units: Array | None = None

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: Array) -> Judged:
        """Return some of the rows."""

        def predict(features: Features, places: Array) -> np.ndarray:
            return self.predict(features, rows[places])

        return replace(
            self,
            features=self.features.take(rows),
            true=self.true[rows],
            predict=predict,
            weights=None if self.weights is None else self.weights[rows],
            units=None if self.units is None else self.units[rows],
        )


def judged(model: Model, data: Any, metric: str | None = None) -> Judged:
    """Return the rows of a table that have a target, to be judged on.

    Args:
        model: of a table.
        data: a path, a pandas or polars frame, with the columns that the model reads and its target.
        metric: that judges; default the model's own.

    Raises:
        InputError: the model takes images, no row has a target, a column is missing or cannot be read, or there is no
            such metric.
    """
    of_table(model)
    frame = read_table(data)
    y, keep = model.encoder.encode_target(frame)
    rows = np.flatnonzero(keep)
    if len(rows) < 2:
        raise InputError("The table has fewer than two rows with a target; importance needs them.")
    features = model.encoder.transform(frame).take(rows)
    weights = None
    if model.schema.weight is not None and model.schema.weight in frame.columns:
        found = model.encoder.weights(frame)
        weights = None if found is None else found[rows]
    judge = metrics.choose(metric or model.metric, model.encoder.target.task)
    true, _ = model.encoder.in_units(y[rows], np.zeros((len(rows), model.encoder.n_outputs)))
    if model.encoder.target.task == "regression":
        metrics.check(judge, true)
    return Judged(
        features, true, lambda x, _: predictions(model, judge, x), judge, "rows given", weights
    )


def of_table(model: Model) -> None:
    """Raise InputError if a model is of images: their pixels are no columns."""
    if model.encoder.image is not None:
        raise InputError(
            "The importance and the effects of columns are of tables; the model takes images."
        )


def predictions(model: Model, metric: Metric, features: Features) -> np.ndarray:
    """Return what a metric takes of a model's predictions of encoded rows, ``(N, O)``, decided as the model decides."""
    if model.is_classifier:
        scores = model.scores(features)
        return model.decided(scores) if metric.uses_decision_rule else np.asarray(scores)
    own = metric.level is not None and metric.level == model.level
    return model.encoder.decode_target(
        model.predict_point(features) if own else model.scores(features)
    )


def out_of_fold(
    parts: list[Model], fold: Array, metric: Metric, features: Features, true: Array, weights: Array | None = None,
    units: Array | None = None,
) -> Judged:  # fmt: skip
    """Return training rows, each of which the members that did not train on it predict.

    Args:
        parts: the model with the members of each fold alone.
        fold: ``(N,)``, the part that did not train on each row.
        metric: judges.
        features, true, weights, units: see `Judged`.
    """
    parts = [replace(part, conformal=None) for part in parts]

    def plain(x: Features, places: Array) -> np.ndarray:
        out = np.empty((len(x), parts[0].encoder.n_outputs))
        mine = fold[places]
        for k, part in enumerate(parts):
            rows = np.flatnonzero(mine == k)
            if len(rows):
                out[rows] = predictions(part, metric, x.take(rows))
        return out

    rule = None
    if metric.level is not None:
        # The fold's members give means; the rule is that of `popnet.fitting.scoring`.
        rule = proven(metric, true, plain(features, np.arange(len(features))), weights)

    def predict(x: Features, places: Array) -> np.ndarray:
        found = plain(x, places)
        return found if rule is None else rule(found)

    return Judged(features, true, predict, metric, "out-of-fold rows", weights, units)


def stacks(rows: int, copies: int) -> Iterator[range]:
    """Yield which of so many copies of rows are predicted in one call."""
    at_once = max(1, STACKED_ROWS // max(rows, 1))
    for start in range(0, copies, at_once):
        yield range(start, min(start + at_once, copies))
