"""scikit-learn's histogram-based gradient boosting, on one core, within a time."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from popnet.trees.grown import Grown, Job, StoppedError, Tree

FIRST_ROUNDS, ROUNDS = 10, 100
"""Rounds of boosting after which the time that a round takes is known, and after which the clock is looked at again:
each look bins the data again."""

MIN_MORE = 0.1
"""Boosting goes on if it has time for this share more of the rounds that it had."""


def boost(job: Job) -> Grown:
    """Return the trees of `HistGradientBoostingClassifier` or `HistGradientBoostingRegressor`; see `Library`."""
    model = _boosted(job)
    rounds = model.n_iter_
    if len(model.validation_score_):  # its first is before any round
        rounds = max(1, int(np.argmax(model.validation_score_)))
    trees = [
        Tree(output, tree.nodes, tree.raw_left_cat_bitsets)
        for each in model._predictors[:rounds]
        for output, tree in enumerate(each)
    ]
    return Grown(np.asarray(model._baseline_prediction, np.float64).reshape(-1), trees)


def _boosted(job: Job) -> Any:
    """Return scikit-learn's model, boosted until early stopping ends it, or until the deadline."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    make: Any = HistGradientBoostingClassifier if job.classes else HistGradientBoostingRegressor
    chosen = job.setting.values()
    most = int(chosen.pop("max_iter"))
    held_out = len(job.valid.y) > 0
    model = make(
        **chosen, max_iter=1, early_stopping=held_out, warm_start=True, random_state=job.seed,
        categorical_features=np.arange(job.coded) if job.coded else None,
    )  # fmt: skip
    given: dict[str, Any] = {}
    if held_out:
        valid = job.valid
        given = {"X_val": valid.X, "y_val": valid.y, "sample_weight_val": valid.weights}
    done, rounds = 0, min(FIRST_ROUNDS, most)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while True:
            began = time.monotonic()
            if began > job.deadline or job.stopped():
                if done:
                    return model
                raise StoppedError
            model.set_params(max_iter=done + rounds)
            model.fit(job.train.X, job.train.y, sample_weight=job.train.weights, **given)
            if model.n_iter_ < done + rounds:  # early stopping
                return model
            done += rounds
            now = time.monotonic()
            each = (now - began) / rounds
            possible = (job.deadline - now) / each
            rounds = int(min(ROUNDS, most - done, max(possible, 0)))
            if rounds < max(1.0, MIN_MORE * min(done, ROUNDS, most - done)):
                return model
