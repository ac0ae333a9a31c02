"""Decision rules: which class, or which number, to predict so that the metric that was asked for is best.

Accuracy is best served by the most probable class; balanced accuracy and F1 are not, where classes are rare. For
probabilities that are right, the best class of a row is the one with the largest ``gain * probability - cost``, and
the classes' gains and costs follow from the probabilities of many rows alone (Dembczynski et al. 2017, *Consistency
analysis for binary classification revisited*; Narasimhan et al. 2015, *Consistent multiclass algorithms for complex
performance measures*). No label is looked at, so nothing is fitted to the luck of those that there are; thresholds
that were best on the labels of the same rows did no better on new ones (0.0 points of balanced accuracy, 0.1 of F1, on
six tables), and either did better than the most probable class, by 1 to 14 points and by 0 to 7.

A pinball loss wants a quantile. A model makes it of the usual errors of rows like the one to be predicted
(`popnet.predictions.conformal`); where there are only predictions, as while recipes are compared, all are moved by the
same amount.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from popnet.predictions.metrics import Metric

MAX_ROUNDS = 50
"""Most rounds of the search for the gains and costs of several classes."""

RAREST = 1e-6
"""Share below which a class counts as no rarer."""


@dataclass(frozen=True)
class Decision:
    """A rule: the class with the largest ``gain * probability - cost``.

    Attributes:
        gains: of each class.
        costs: of each class.
    """

    gains: tuple[float, ...]
    costs: tuple[float, ...]

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """Return ``(N, O)``: what makes each class the one to take where it is largest, of probabilities likewise."""
        return np.asarray(probabilities) * np.array(self.gains) - np.array(self.costs)

    @property
    def threshold(self) -> float | None:
        """Return the probability of the second of two classes above which it is taken; None with several classes."""
        if len(self.gains) != 2:
            return None
        (gain, other), (cost, other_cost) = self.gains, self.costs
        return (gain + other_cost - cost) / (gain + other)

    def to_json(self) -> dict[str, list[float]]:
        """Return it as plain JSON."""
        return {"gains": list(self.gains), "costs": list(self.costs)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], classes: int) -> Self:
        """Return what `to_json` was of.

        Raises:
            ValueError: it is not of so many classes.
        """
        gains, costs = (tuple(map(float, content[name])) for name in ("gains", "costs"))
        if not (len(gains) == len(costs) == classes and np.isfinite([*gains, *costs]).all()):
            raise ValueError(f"a decision of {len(gains)} classes, or one that is not finite")
        return cls(gains, costs)


@dataclass(frozen=True)
class Shift:
    """A rule for numbers: all are moved by the same amount.

    Attributes:
        amounts: for each target.
    """

    amounts: tuple[float, ...]

    def __call__(self, predicted: np.ndarray) -> np.ndarray:
        """Return predictions ``(N, T)`` moved."""
        return np.asarray(predicted) + np.array(self.amounts)


def by_rule(metric: Metric) -> bool:
    """Return whether something else than the most probable class, or the number itself, may suit a metric."""
    return metric.name in RULES or metric.level is not None


def suited(
    metric: Metric, probabilities: np.ndarray, weights: np.ndarray | None = None
) -> Decision | None:
    """Return the rule that suits a metric best, as far as probabilities tell; None for the most probable class.

    Args:
        metric: any.
        probabilities: ``(N, O)``, of rows like those to be decided.
        weights: ``(N,)`` row weights.
    """
    find = RULES.get(metric.name)
    if find is None:
        return None
    p = np.asarray(probabilities, np.float64)
    w = np.ones(len(p)) if weights is None else np.asarray(weights, np.float64)
    there = np.isfinite(p).all(1)
    p, w = p[there], w[there]
    if not w.sum() > 0:
        return None
    gains, costs = find(p, w / w.sum())
    return Decision(tuple(gains.tolist()), tuple(costs.tolist()))


def proven(
    metric: Metric, true: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None
) -> Decision | Shift | None:
    """Return the rule that suits a metric, if it does better than none on rows with labels.

    It does not where probabilities are not right, as those of nets that were trained with weighted classes.

    Args:
        metric: any.
        true: ``(N,)`` class numbers, or targets.
        predicted: ``(N, O)``, as the metric takes it.
        weights: ``(N,)`` row weights.
    """
    rule = suited(metric, predicted, weights)
    if metric.level is not None:
        rule = _shift(metric.level, np.asarray(true) - predicted, weights)
    if rule is None:
        return None
    plain, better = (metric(true, p, weights) for p in (predicted, rule(predicted)))
    return rule if metric.loss_of(better) < metric.loss_of(plain) else None


def _shift(level: float, errors: np.ndarray, weights: np.ndarray | None) -> Shift | None:
    """Return what quantiles of errors ``(N, T)`` move predictions by; None if no row counts."""
    w = np.ones(len(errors)) if weights is None else np.asarray(weights, np.float64)
    kept = np.isfinite(errors).all(1) & (w > 0)
    if not kept.any():
        return None
    amounts: list[float] = []
    for e in errors[kept].T:
        order = np.argsort(e)
        share = np.cumsum(w[kept][order])
        amounts.append(float(e[order][np.searchsorted(share, level * share[-1] * (1 - 1e-12))]))
    return Shift(tuple(amounts))


def decided(
    metric: Metric, true: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return predictions as a metric is to judge them: by the rule that suits it, if it is `proven`."""
    rule = proven(metric, true, predicted, weights)
    return predicted if rule is None else rule(predicted)


def _balanced_accuracy(p: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return gains and costs: a row of a class counts by how rare the class is."""
    gains: np.ndarray = 1 / np.maximum(w @ p, RAREST)
    return gains, np.zeros(len(gains))


def _f1(p: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return gains and costs for the F1 of the second of two classes, or the mean over several.

    Of two, the best threshold is half the best F1 (Lipton et al. 2014). Of several, the gain and the cost of a class
    are how much its F1 grows by a row of it, and shrinks by a row that is taken for it; both are found in rounds.
    """
    total = w @ p
    if p.shape[1] == 2:
        order = np.argsort(-p[:, 1], kind="stable")
        right, taken = np.cumsum((w * p[:, 1])[order]), np.cumsum(w[order])
        best = float((2 * right / (taken + total[1] + RAREST)).max())
        return np.array([0.0, 1.0]), np.array([0.0, best / 2])
    classes = p.shape[1]
    rule = found = np.ones(classes), np.zeros(classes)
    best = -np.inf
    for start in (rule, (1 / np.maximum(total, RAREST), rule[1])):
        rule = start
        for _ in range(MAX_ROUNDS):
            taken = (p * rule[0] - rule[1]).argmax(1)
            size = total + np.bincount(taken, w, classes) + RAREST
            right = np.bincount(taken, w * p[np.arange(len(p)), taken], classes)
            if (expected := float((2 * right / size).mean())) > best:
                found, best = rule, expected
            after = 2 / size, 2 * right / size**2
            if np.array_equal(after, rule):
                break
            rule = after
    return found


DecisionGains = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

RULES: Mapping[str, DecisionGains] = {"balanced_accuracy": _balanced_accuracy, "f1": _f1}
"""Gains and costs by the metric, of probabilities ``(N, O)`` and row weights that sum to 1."""


def quantile_sentence(level: float, targets: Sequence[str]) -> str:
    """Return in a sentence what is predicted for a pinball loss."""
    percent = f"{100 * level:g} %"
    return f"predictions of {', '.join(targets)} are quantiles, which {percent} of true values are below"


def sentence(decision: Decision, metric: str, classes: Sequence[Any]) -> str:
    """Return a rule in a sentence."""
    if (threshold := decision.threshold) is not None:
        return f"{classes[1]} is predicted from a probability of {threshold:.3g} on (threshold tuned for {metric})"
    sooner = classes[int(np.argmax(decision.gains))]
    return (
        f"class thresholds are tuned for {metric}: rare classes are predicted before they are the most probable one "
        f"(lowest threshold: {sooner})"
    )
