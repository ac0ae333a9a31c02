"""What things are called on pages: metrics, statuses, splits, tasks."""

from __future__ import annotations

import math
from typing import NamedTuple

from popnet.predictions.metrics import named

ANY = (-math.inf, math.inf)


SHARE = (0.0, 1.0)


POSITIVE = (0.0, math.inf)


class MetricWords(NamedTuple):
    """How a metric is called and explained.

    Attributes:
        title: its name.
        meaning: what it is, in words.
        greater: larger is better (None: not known).
        within: the smallest and the largest value that it can have.
    """

    title: str
    meaning: str
    greater: bool | None
    within: tuple[float, float] = ANY


METRICS = {
    "accuracy": MetricWords("accuracy", "share of predictions that are right", True, SHARE),
    "balanced_accuracy": MetricWords(
        "balanced accuracy",
        "mean over the classes of the share found: rare classes count alike",
        True,
        SHARE,
    ),
    "f1": MetricWords(
        "F1",
        "precision and recall in one: of the second of two classes, or the mean over several",
        True,
        SHARE,
    ),
    "log_loss": MetricWords(
        "log-loss",
        "penalty on the probabilities: small if the true class was thought likely",
        False,
        POSITIVE,
    ),
    "roc_auc": MetricWords(
        "ROC AUC",
        "chance that a case of a class is ranked above a case of another: 0.5 is guessing",
        True,
        SHARE,
    ),
    "average_precision": MetricWords(
        "average precision",
        "area under precision over recall: guessing has the class' share of rows",
        True,
        SHARE,
    ),
    "ece": MetricWords(
        "calibration error",
        "mean distance between the probability of the predicted class and how often it is right, in 15 bins",
        False,
        SHARE,
    ),
    "rmse": MetricWords(
        "RMSE",
        "typical size of an error in the target's unit; large errors count more",
        False,
        POSITIVE,
    ),
    "mae": MetricWords("MAE", "mean size of an error in the target's unit", False, POSITIVE),
    "rmsle": MetricWords(
        "RMSLE",
        "typical error of the logarithm of 1 + the value: about the relative error",
        False,
        POSITIVE,
    ),
    "r2": MetricWords(
        "R²",
        "share of the target's variance that is explained: 1 is perfect",
        True,
        (-math.inf, 1.0),
    ),
    "coverage_90": MetricWords(
        "coverage of 90 % intervals",
        "share of true values within their intervals (predict --interval 0.9): near 0.9 they keep their promise",
        None,
        SHARE,
    ),
    "width_90": MetricWords(
        "width of 90 % intervals", "their mean width in the target's unit", None, POSITIVE
    ),
}


STATUSES = {
    "finished": "trained for all its epochs",
    "stopped": "ended early, as its validation score had stopped improving; its best epoch was kept",
    "dropped": "ended early, as other recipes did better in the search (successive halving)",
    "interrupted": "cut short by the time limit or by the user; its best epoch so far was kept",
    "diverged": "its loss was no longer a number; it is not used",
}


SPLITS = {
    "random": "drawn at random",
    "stratified": "drawn at random, with the same share of every class",
    "grouped": "drawn by groups: rows of one group are never on both sides",
    "time-ordered": "the latest rows",
    "given": "the one that the data came with",
}


TASKS = {"binary": "two classes", "multiclass": "several classes", "regression": "a number"}


def metric_words(name: str) -> MetricWords:
    """Return the words of a metric; an unknown one is called by its name."""
    if name in METRICS:
        return METRICS[name]
    metric = named(name)
    if metric is None or metric.level is None:
        return MetricWords(name.replace("_", " "), "", None)
    percent, rest = f"{100 * metric.level:g} %", f"{100 * (1 - metric.level):g} %"
    return MetricWords(
        f"pinball loss at {percent}",
        f"mean error of the quantile that {percent} of true values should be below, of which too low counts {percent} "
        f"and too high {rest}",
        False,
        POSITIVE,
    )
