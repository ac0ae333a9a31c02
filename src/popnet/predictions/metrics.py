"""The metrics that users ask for: each says its tasks, its direction, and what it is computed from.

Classification metrics take class probabilities ``(N, O)``, regression metrics predictions ``(N, T)`` in the
target's own units; all take row weights or None. `METRICS` has those with a name of their own; pinball losses are one
for each quantile, ``pinball_90`` or ``pinball_2.5``, and `named` finds them all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from popnet.errors import InputError, closest
from popnet.types import Task

Function = Callable[[np.ndarray, np.ndarray, np.ndarray | None], float]

BINS = 15
"""Number of bins of the calibration error, as in the paper that proposes it for nets."""

ROUNDING = 1e-6
"""Relative to the largest target: targets are kept standardised, in float32."""


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        name: as users write it.
        greater_is_better: whether a greater value is better.
        tasks: for which it is defined.
        function: ``(true, predicted, weights) -> float``.
        surrogate: name of the metric by which an ensemble is chosen in its place; "" for itself. Accuracy moves
            in steps, and the best of many ensembles by it is often the luckiest: on adult, bank and phoneme ensembles
            chosen by log-loss had the better log-loss on new rows by 1 to 6 %, and no worse accuracy. So do balanced
            accuracy and F1, for which it matters how classes are taken (`popnet.predictions.decisions`): with the most
            probable class, ensembles chosen by themselves were 0.3 to 2.9 points better where a class is rare, but
            with classes taken as it suits them there is no difference (0.1 and 0.0 points, of six tables with two
            splits).
        uses_decision_rule: whether it looks at what is made of predictions to suit it: one class, or a quantile.
        reported_only: nothing can be chosen for it.
        min_target: smallest true value that it is defined for.
        level: of the quantile that it measures, between 0 and 1; None for all but pinball losses.
    """

    name: str
    greater_is_better: bool
    tasks: tuple[Task, ...]
    function: Function
    surrogate: str = ""
    uses_decision_rule: bool = False
    reported_only: bool = False
    min_target: float = -np.inf
    level: float | None = None

    def __call__(
        self, true: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None
    ) -> float:
        """Return the metric of ``true`` (class numbers ``(N,)``, or targets ``(N, T)``) and ``predicted``."""
        return float(self.function(true, predicted, weights))

    def defined(self, true: np.ndarray) -> bool:
        """Return whether no true value is too small for it; what standardising rounds off is forgiven."""
        if self.min_target == -np.inf or not len(true):
            return True
        return bool(np.min(true) >= self.min_target - ROUNDING * np.max(np.abs(true)))

    def loss(
        self, true: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None
    ) -> float:
        """Return the metric signed so that smaller is better."""
        return self.loss_of(self(true, predicted, weights))

    def loss_of(self, value: float) -> float:
        """Return a value of the metric signed so that smaller is better."""
        return -value if self.greater_is_better else value


def _mean(values: np.ndarray, w: np.ndarray | None) -> float:
    """Return the weighted mean; NaN where nothing has weight."""
    if w is None:
        return float(np.mean(values)) if len(values) else float("nan")
    total = float(np.sum(w))
    return float(values @ np.asarray(w, np.float64)) / total if total > 0 else float("nan")


def _accuracy(true: np.ndarray, p: np.ndarray, w: np.ndarray | None) -> float:
    return _mean((p.argmax(1) == true).astype(float), w)


def _balanced_accuracy(true: np.ndarray, p: np.ndarray, w: np.ndarray | None) -> float:
    hit = (p.argmax(1) == true).astype(float)
    w = np.ones(len(true)) if w is None else w
    total = np.bincount(true, w, p.shape[1])
    right = np.bincount(true, w * hit, p.shape[1])
    there = total > 0
    return float(np.mean(right[there] / total[there])) if there.any() else float("nan")


def _log_loss(true: np.ndarray, p: np.ndarray, w: np.ndarray | None) -> float:
    chosen = p[np.arange(len(true)), true] / p.sum(1)
    return _mean(-np.log(np.clip(chosen, 1e-12, None)), w)


def _f1(true: np.ndarray, p: np.ndarray, w: np.ndarray | None) -> float:
    """Return the harmonic mean of precision and recall, of the second of two classes; of several the classes' mean."""
    said = p.argmax(1)
    w = np.ones(len(true)) if w is None else w
    right = np.bincount(true, w * (said == true), p.shape[1])
    both = np.bincount(true, w, p.shape[1]) + np.bincount(said, w, p.shape[1])
    there = both > 0
    there[0] &= p.shape[1] != 2
    return float(np.mean(2 * right[there] / both[there])) if there.any() else float("nan")


def calibration_error(
    true: np.ndarray, p: np.ndarray, w: np.ndarray | None = None, bins: int = BINS
) -> float:
    """Return the expected calibration error (Guo et al. 2017): how far the largest probability is from the accuracy,
    as a mean over bins of it."""
    w = np.ones(len(true)) if w is None else np.asarray(w, np.float64)
    sure = p.max(1) / p.sum(1)
    over = w * (sure - (p.argmax(1) == true))
    place = np.minimum((sure * bins).astype(int), bins - 1)
    total = w.sum()
    return float(np.abs(np.bincount(place, over)).sum() / total) if total > 0 else float("nan")


def _roc_auc(true: np.ndarray, p: np.ndarray, w: np.ndarray | None) -> float:
    """Return the area under the ROC curve; with several classes the mean of one class against the rest."""
    return _one_against_rest(_area, true, p, w)


def _average_precision(true: np.ndarray, p: np.ndarray, w: np.ndarray | None) -> float:
    """Return the area under precision over recall, as steps; with several classes the mean of one against the rest."""
    return _one_against_rest(_precision_area, true, p, w)


def _one_against_rest(
    area: Callable[[np.ndarray, np.ndarray, np.ndarray], float],
    true: np.ndarray,
    p: np.ndarray,
    w: np.ndarray | None,
) -> float:
    """Return an area of the second of two classes; of several the mean over those that have one."""
    w = np.ones(len(true)) if w is None else np.asarray(w, np.float64)
    classes = range(1, 2) if p.shape[1] == 2 else range(p.shape[1])
    each = [area(true == c, p[:, c], w) for c in classes]
    there = [value for value in each if np.isfinite(value)]
    return float(np.mean(there)) if there else float("nan")


def _area(positive: np.ndarray, score: np.ndarray, w: np.ndarray) -> float:
    """Return the chance that a positive row scores above a negative one, ties half (Mann and Whitney 1947).

    Written out because selection and intervals need it thousands of times: scikit-learn's takes ten times as long.
    """
    order, tied = _runs(score)
    plus = np.bincount(tied, (w * positive)[order])
    minus = np.bincount(tied, (w * ~positive)[order])
    pairs = plus.sum() * minus.sum()
    below = np.cumsum(minus) - minus
    return float(plus @ (below + minus / 2) / pairs) if pairs > 0 else float("nan")


def _runs(score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of scores, and the number of the run of equal ones that each belongs to in it."""
    order = np.argsort(score)
    ordered = score[order]
    return order, np.concatenate([[0], np.cumsum(ordered[1:] != ordered[:-1])])


def _precision_area(positive: np.ndarray, score: np.ndarray, w: np.ndarray) -> float:
    """Return the mean over positive rows of the precision among the rows that score no less; NaN without one.

    Written out for the same reason as `_area`.
    """
    order, tied = _runs(-score)
    plus = np.bincount(tied, (w * positive)[order])
    above = np.cumsum(np.bincount(tied, w[order]))
    precision = np.cumsum(plus) / np.where(above > 0, above, 1.0)
    return float(plus @ precision / plus.sum()) if plus.sum() > 0 else float("nan")


def _rmse(true: np.ndarray, predicted: np.ndarray, w: np.ndarray | None) -> float:
    return float(np.sqrt(_mean(((true - predicted) ** 2).mean(1), w)))


def _mae(true: np.ndarray, predicted: np.ndarray, w: np.ndarray | None) -> float:
    return _mean(np.abs(true - predicted).mean(1), w)


def _rmsle(true: np.ndarray, predicted: np.ndarray, w: np.ndarray | None) -> float:
    """Return the root mean squared error of log(1 + value), about a relative error; predictions below 0 count as 0."""
    apart = np.log1p(np.maximum(true, 0)) - np.log1p(np.maximum(predicted, 0))
    return float(np.sqrt(_mean((apart**2).mean(1), w)))


def _r2(true: np.ndarray, predicted: np.ndarray, w: np.ndarray | None) -> float:
    """Return the share of the variance that is explained; with several targets their mean."""
    w = np.ones(len(true)) if w is None else np.asarray(w, np.float64)
    if not w.sum() > 0:
        return float("nan")
    mean = np.average(true, axis=0, weights=w)
    rest = np.average((true - predicted) ** 2, axis=0, weights=w)
    total = np.average((true - mean) ** 2, axis=0, weights=w)
    return float(np.mean(1 - rest / np.where(total > 0, total, np.nan)))


def pinball_loss(
    true: np.ndarray, quantile: np.ndarray, w: np.ndarray | None, level: float
) -> float:
    """Return the mean of what a quantile is too low by, times its level, or too high by, times ``1 - level``.

    Koenker and Bassett 1978. It is smallest for the value that true values are below so often as ``level`` says.
    """
    above = np.asarray(true, np.float64) - quantile
    return _mean(np.where(above > 0, level * above, (level - 1) * above).mean(1), w)


PINBALL = "pinball_"
"""What names of pinball losses begin with; the quantile's percentage follows."""


@cache
def pinball(level: float) -> Metric:
    """Return the pinball loss of a quantile, which is called by its percentage.

    Its ensemble is chosen by the root mean squared error: a quantile is made of predictions and of the usual size of
    their errors (`popnet.predictions.conformal`), and both are the better the smaller these are.

    Args:
        level: of the quantile, between 0 and 1.
    """

    def function(true: np.ndarray, predicted: np.ndarray, w: np.ndarray | None) -> float:
        return pinball_loss(true, predicted, w, level)

    name = f"{PINBALL}{100 * level:g}"
    return Metric(
        name,
        False,
        ("regression",),
        function,
        surrogate="rmse",
        uses_decision_rule=True,
        level=level,
    )


def named(name: str) -> Metric | None:
    """Return the metric of a name; None if there is none. A quantile's percentage has six digits at most."""
    found = re.fullmatch(PINBALL + r"(\d{1,2}(\.\d{1,4})?)", name)
    if found:
        percent = float(found[1])
        return pinball(percent / 100) if percent > 0 else None
    return METRICS.get(name)


CLASSES: tuple[Task, ...] = ("binary", "multiclass")
METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("accuracy", True, CLASSES, _accuracy, surrogate="log_loss", uses_decision_rule=True),
        Metric(
            "balanced_accuracy",
            True,
            CLASSES,
            _balanced_accuracy,
            surrogate="log_loss",
            uses_decision_rule=True,
        ),
        Metric("f1", True, CLASSES, _f1, surrogate="log_loss", uses_decision_rule=True),
        Metric("log_loss", False, CLASSES, _log_loss),
        Metric("roc_auc", True, CLASSES, _roc_auc),
        Metric("average_precision", True, CLASSES, _average_precision),
        # A constant can have none, so nothing is chosen for it.
        Metric("ece", False, CLASSES, calibration_error, reported_only=True),
        Metric("rmse", False, ("regression",), _rmse),
        Metric("mae", False, ("regression",), _mae),
        Metric("rmsle", False, ("regression",), _rmsle, min_target=0.0),
        Metric("r2", True, ("regression",), _r2),
    )
}


def choose(name: str | None, task: Task, targets: int = 1) -> Metric:
    """Return the metric of a name; by default ``accuracy`` or ``rmse``.

    For several regression targets the default is ``r2``: their errors have different units, and a mean of them is the
    error of the largest unit.

    Raises:
        InputError: no such metric, one for other tasks, or one that is only reported.
    """
    if name is None:
        name = "accuracy" if task != "regression" else "rmse" if targets == 1 else "r2"
    fitting = [m.name for m in METRICS.values() if task in m.tasks and not m.reported_only]
    if task == "regression":
        fitting.append(pinball(0.9).name)
    listed = ", ".join(fitting) + (" (or of another quantile)" if task == "regression" else "")
    metric = named(name)
    if metric is None:
        raise InputError(
            f"There is no metric '{name}'.{closest(name, fitting)} For this task: {listed}."
        )
    if task not in metric.tasks:
        raise InputError(f"The metric '{name}' is not for a {task} task; use one of {listed}.")
    if metric.reported_only:
        raise InputError(
            f"The metric '{name}' is reported, but nothing is chosen by it; use one of {listed}."
        )
    return metric


def check(metric: Metric, true: np.ndarray) -> None:
    """Refuse targets that a metric is not defined for.

    Raises:
        InputError: a target is below the metric's ``min_target``.
    """
    if not metric.defined(true):
        raise InputError(
            f"The metric '{metric.name}' needs targets of {metric.min_target:g} or more, but there is "
            f"{np.min(true):.5g}; choose another metric."
        )


def all_of(
    task: Task,
    true: np.ndarray,
    predicted: np.ndarray,
    weights: np.ndarray | None = None,
    decided: np.ndarray | None = None,
    asked: Metric | None = None,
) -> dict[str, float]:
    """Return every metric of a task that is defined for these targets.

    Args:
        task, true, predicted, weights: see `Metric`.
        decided: ``(N, O)``, what metrics that look at what is decided take in place of ``predicted``.
        asked: one more, if it is none of `METRICS`.
    """
    every = METRICS if asked is None else {**METRICS, asked.name: asked}
    return {
        m.name: m(
            true, predicted if decided is None or not m.uses_decision_rule else decided, weights
        )
        for m in every.values()
        if task in m.tasks and m.defined(true)
    }
