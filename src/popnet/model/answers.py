"""Predictions as people get them: a column for each target, and those of probabilities, intervals and quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from popnet.data.dataset import Features, Images
from popnet.errors import InputError
from popnet.model.summary import NO_PROBABILITIES

if TYPE_CHECKING:
    from popnet.model.model import Model


def columns_of(
    model: Model,
    features: Features | Images,
    proba: bool,
    interval: float | None,
    quantiles: Sequence[float],
) -> list[pl.Series]:
    """Return what a model predicts of encoded rows, as columns of a table.

    Args:
        model: it.
        features: the rows.
        proba: whether to add a column for each class's probability.
        interval: coverage of intervals, or None.
        quantiles: levels.

    Raises:
        InputError: the model has no probabilities, or two columns would have the same name.
    """
    names = model.encoder.target.names
    if interval is None and not len(quantiles):
        scores, *more = (model.predict_point(features),)
    elif model.level is not None:
        _, *more, scores = model.bounds(features, interval, [*quantiles, model.level])
    else:
        scores, *more = model.bounds(features, interval, quantiles)
    if model.is_classifier:
        labels = np.array(model.classes, dtype=object)[model.decided(scores).argmax(1)]
        columns = [pl.Series(names[0], labels.tolist())]
        if proba:
            columns += [
                pl.Series(f"probability_{c}", scores[:, k]) for k, c in enumerate(model.classes)
            ]
    else:
        if proba:
            raise InputError(NO_PROBABILITIES)
        values = [model.encoder.decode_target(v) for v in (scores, *more)]
        endings = ["", *(() if interval is None else ("_low", "_high"))]
        endings += [f"_q{100 * level:g}" for level in quantiles]
        columns = [
            pl.Series(f"{name}{end}", v[:, k])
            for k, name in enumerate(names)
            for v, end in zip(values, endings, strict=True)
        ]
    if len({c.name for c in columns}) < len(columns):
        raise InputError(
            "Two columns would have the same name: a quantile is given twice, or a target is named like a column of "
            "probabilities or of another target's interval; rename that target and fit again."
        )
    return columns
