"""The metrics that users ask for: each says its tasks, its direction, and what it is computed from.

Classification metrics take class probabilities ``(N, O)``, regression metrics predictions ``(N, T)`` in the
target's own units; all take row weights or None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn import metrics as sk

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
    """

    name: str
    greater_is_better: bool
    tasks: tuple[Task, ...]
    function: Function

    def __call__(self, true: Array, predicted: Array, weights: Array | None = None) -> float:
        """Return the metric of ``true`` (class numbers ``(N,)``, or targets ``(N, T)``) and ``predicted``."""
        return float(self.function(true, predicted, weights))

    def loss(self, true: Array, predicted: Array, weights: Array | None = None) -> float:
        """Return the metric signed so that smaller is better."""
        value = self(true, predicted, weights)
        return -value if self.greater_is_better else value


def _accuracy(true: Array, p: Array, w: Array | None) -> float:
    return float(np.average(p.argmax(1) == true, weights=w))


def _balanced_accuracy(true: Array, p: Array, w: Array | None) -> float:
    hit = (p.argmax(1) == true).astype(float)
    w = np.ones(len(true)) if w is None else w
    total = np.bincount(true, w, p.shape[1])
    right = np.bincount(true, w * hit, p.shape[1])
    return float(np.mean(right[total > 0] / total[total > 0]))


def _log_loss(true: Array, p: Array, w: Array | None) -> float:
    chosen = p[np.arange(len(true)), true] / p.sum(1)
    return float(np.average(-np.log(np.clip(chosen, 1e-12, None)), weights=w))


def _roc_auc(true: Array, p: Array, w: Array | None) -> float:
    """Area under the ROC curve; with several classes the mean over classes of one against the rest."""
    if w is not None:  # a class whose rows all weigh nothing is not there
        true, p, w = true[w > 0], p[w > 0], w[w > 0]
    if p.shape[1] == 2:
        if len(np.unique(true)) < 2:
            return float("nan")
        return float(sk.roc_auc_score(true, p[:, 1], sample_weight=w))
    present = [c for c in range(p.shape[1]) if 0 < np.sum(true == c) < len(true)]
    each = [sk.roc_auc_score(true == c, p[:, c], sample_weight=w) for c in present]
    return float(np.mean(each)) if each else float("nan")


def _rmse(true: Array, predicted: Array, w: Array | None) -> float:
    return float(np.sqrt(np.average(((true - predicted) ** 2).mean(1), weights=w)))


def _mae(true: Array, predicted: Array, w: Array | None) -> float:
    return float(np.average(np.abs(true - predicted).mean(1), weights=w))


def _r2(true: Array, predicted: Array, w: Array | None) -> float:
    mean = np.average(true, axis=0, weights=w)
    rest = np.average((true - predicted) ** 2, axis=0, weights=w)
    total = np.average((true - mean) ** 2, axis=0, weights=w)
    return float(np.mean(1 - rest / np.where(total > 0, total, np.nan)))


CLASSES: tuple[Task, ...] = ("binary", "multiclass")
METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("accuracy", True, CLASSES, _accuracy),
        Metric("balanced_accuracy", True, CLASSES, _balanced_accuracy),
        Metric("log_loss", False, CLASSES, _log_loss),
        Metric("roc_auc", True, CLASSES, _roc_auc),
        Metric("rmse", False, ("regression",), _rmse),
        Metric("mae", False, ("regression",), _mae),
        Metric("r2", True, ("regression",), _r2),
    )
}


def choose(name: str | None, task: Task) -> Metric:
    """Return the metric of a name; by default ``accuracy`` or ``rmse``.

    Raises:
        InputError: no such metric, or one for other tasks.
    """
    if name is None:
        return METRICS["rmse" if task == "regression" else "accuracy"]
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


def interval(
    metric: Metric,
    true: Array,
    predicted: Array,
    weights: Array | None = None,
    *,
    level: float = 0.95,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return a percentile bootstrap interval of a metric over rows (Efron and Tibshirani 1993).

    Up to 1,000 resamples; fewer, but at least 200, where there are very many rows.
    """
    n = len(true)
    draws = int(np.clip(2e7 / n, 200, 1000))
    values = np.empty(draws)
    for i in range(draws):
        index = rng.integers(0, n, n)
        values[i] = metric(
            true[index], predicted[index], None if weights is None else weights[index]
        )
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
