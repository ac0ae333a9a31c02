"""The metrics that users ask for: each says its tasks, its direction, and what it is computed from.

Classification metrics take class probabilities ``(N, O)``, regression metrics predictions ``(N, T)`` in the
target's own units; all take row weights or None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from popnet.errors import InputError, closest
from popnet.types import Array, Task

Function = Callable[[Array, Array, Array | None], float]


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        name: as users write it.
        greater_is_better: its direction.
        tasks: where it applies.
        function: ``(true, predicted, weights) -> float``.
        chosen_by: name of the metric that an ensemble is chosen by for this one's sake; "" for itself. Accuracy moves
            in steps, and the best of many ensembles by it is often the luckiest: on adult, bank and phoneme ensembles
            chosen by log-loss had the better log-loss on new rows by 1 to 6 %, and no worse accuracy.
    """

    name: str
    greater_is_better: bool
    tasks: tuple[Task, ...]
    function: Function
    chosen_by: str = ""

    def __call__(self, true: Array, predicted: Array, weights: Array | None = None) -> float:
        """Return the metric of ``true`` (class numbers ``(N,)``, or targets ``(N, T)``) and ``predicted``."""
        return float(self.function(true, predicted, weights))

    def loss(self, true: Array, predicted: Array, weights: Array | None = None) -> float:
        """Return the metric signed so that smaller is better."""
        return self.loss_of(self(true, predicted, weights))

    def loss_of(self, value: float) -> float:
        """Return a value of the metric signed so that smaller is better."""
        return -value if self.greater_is_better else value


def _mean(values: Array, w: Array | None) -> float:
    """Return the weighted mean; NaN where nothing has weight."""
    if w is None:
        return float(np.mean(values)) if len(values) else float("nan")
    total = float(np.sum(w))
    return float(values @ np.asarray(w, np.float64)) / total if total > 0 else float("nan")


def _accuracy(true: Array, p: Array, w: Array | None) -> float:
    return _mean((p.argmax(1) == true).astype(float), w)


def _balanced_accuracy(true: Array, p: Array, w: Array | None) -> float:
    hit = (p.argmax(1) == true).astype(float)
    w = np.ones(len(true)) if w is None else w
    total = np.bincount(true, w, p.shape[1])
    right = np.bincount(true, w * hit, p.shape[1])
    there = total > 0
    return float(np.mean(right[there] / total[there])) if there.any() else float("nan")


def _log_loss(true: Array, p: Array, w: Array | None) -> float:
    chosen = p[np.arange(len(true)), true] / p.sum(1)
    return _mean(-np.log(np.clip(chosen, 1e-12, None)), w)


def _roc_auc(true: Array, p: Array, w: Array | None) -> float:
    """Area under the ROC curve; with several classes the mean over classes of one against the rest."""
    w = np.ones(len(true)) if w is None else np.asarray(w, np.float64)
    classes = range(1, 2) if p.shape[1] == 2 else range(p.shape[1])
    each = [_area(true == c, p[:, c], w) for c in classes]
    there = [area for area in each if np.isfinite(area)]
    return float(np.mean(there)) if there else float("nan")


def _area(positive: Array, score: Array, w: Array) -> float:
    """Return the chance that a positive row scores above a negative one, ties half (Mann and Whitney 1947).

    Written out because selection and intervals need it thousands of times: scikit-learn's takes ten times as long.
    """
    order = np.argsort(score)
    ordered = score[order]
    tied = np.concatenate(
        [[0], np.cumsum(ordered[1:] != ordered[:-1])]
    )  # number of each run of ties
    plus = np.bincount(tied, (w * positive)[order])
    minus = np.bincount(tied, (w * ~positive)[order])
    pairs = plus.sum() * minus.sum()
    below = np.cumsum(minus) - minus
    return float(plus @ (below + minus / 2) / pairs) if pairs > 0 else float("nan")


def _rmse(true: Array, predicted: Array, w: Array | None) -> float:
    return float(np.sqrt(_mean(((true - predicted) ** 2).mean(1), w)))


def _mae(true: Array, predicted: Array, w: Array | None) -> float:
    return _mean(np.abs(true - predicted).mean(1), w)


def _r2(true: Array, predicted: Array, w: Array | None) -> float:
    """Share of the variance that is explained; with several targets their mean."""
    w = np.ones(len(true)) if w is None else np.asarray(w, np.float64)
    if not w.sum() > 0:
        return float("nan")
    mean = np.average(true, axis=0, weights=w)
    rest = np.average((true - predicted) ** 2, axis=0, weights=w)
    total = np.average((true - mean) ** 2, axis=0, weights=w)
    return float(np.mean(1 - rest / np.where(total > 0, total, np.nan)))


CLASSES: tuple[Task, ...] = ("binary", "multiclass")
METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("accuracy", True, CLASSES, _accuracy, chosen_by="log_loss"),
        Metric("balanced_accuracy", True, CLASSES, _balanced_accuracy),
        Metric("log_loss", False, CLASSES, _log_loss),
        Metric("roc_auc", True, CLASSES, _roc_auc),
        Metric("rmse", False, ("regression",), _rmse),
        Metric("mae", False, ("regression",), _mae),
        Metric("r2", True, ("regression",), _r2),
    )
}


def choose(name: str | None, task: Task, targets: int = 1) -> Metric:
    """Return the metric of a name; by default ``accuracy`` or ``rmse``.

    For several regression targets the default is ``r2``: their errors have different units, and a mean of them is the
    error of the largest unit.

    Raises:
        InputError: no such metric, or one for other tasks.
    """
    if name is None:
        name = "accuracy" if task != "regression" else "rmse" if targets == 1 else "r2"
    fitting = [m.name for m in METRICS.values() if task in m.tasks]
    if name not in METRICS:
        raise InputError(
            f"There is no metric '{name}'.{closest(name, fitting)} For this task: {', '.join(fitting)}."
        )
    if task not in METRICS[name].tasks:
        raise InputError(
            f"The metric '{name}' is not for a {task} task; use one of {', '.join(fitting)}."
        )
    return METRICS[name]


def all_of(
    task: Task, true: Array, predicted: Array, weights: Array | None = None
) -> dict[str, float]:
    """Return every metric of a task."""
    return {m.name: m(true, predicted, weights) for m in METRICS.values() if task in m.tasks}
