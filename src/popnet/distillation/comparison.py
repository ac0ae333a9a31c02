"""A student beside its ensemble: the score that is lost, with an interval, on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from popnet.distillation.material import Scored
from popnet.model.facts import EnsembleScores
from popnet.model.model import Model
from popnet.predictions import intervals, metrics
from popnet.runtime import keys


@dataclass(frozen=True)
class Comparison:
    """A student and its ensemble on the same rows.

    Attributes:
        metric: that the ensemble was chosen for.
        student, ensemble: every metric of each.
        interval: of the student's score, 95 %.
        lost: by how much the student is worse, in the metric's unit; below 0 it is better.
        low, high: ends of the 95 % interval of that, by a bootstrap of the rows (Efron and Tibshirani 1993).
        agreement: share of rows with the same class, or R² of the student to the ensemble's numbers.
        rows: their number.
        where: which rows these are.
    """

    metric: str
    student: dict[str, float]
    ensemble: dict[str, float]
    interval: tuple[float, float]
    lost: float
    low: float
    high: float
    agreement: float
    rows: int
    where: str

    def scores(self, task: str) -> EnsembleScores:
        """Return the student's score, beside the ensemble's, as a model folder holds it."""
        return EnsembleScores(
            task=task,
            metric=self.metric,
            score=self.student[self.metric],
            interval=self.interval,
            metrics=dict(self.student),
            baselines={"ensemble": dict(self.ensemble)},
            baseline_gains={"ensemble": (-self.lost, -self.high, -self.low)},
            scored_rows=self.rows,
            scored_on=self.where,
        )


def compare(
    student: Model, ensemble: Model, scored: Scored, seed: int, deadline: float | None = None
) -> Comparison:
    """Compare a student with its ensemble on rows that neither, or only the ensemble, was trained on.

    Args:
        student: a model of one net, without intervals.
        ensemble: its teacher.
        scored: the rows.
        seed: of the bootstrap.
        deadline: moment of ``time.monotonic()`` after which it makes few draws.
    """
    encoder, metric = (
        ensemble.encoder,
        metrics.choose(ensemble.metric, ensemble.encoder.target.task),
    )
    own, theirs = student.scores(scored.features)[None], scored.outputs[None]
    weights, groups = scored.weights, scored.groups
    true, first = encoder.in_units(scored.target, own[0])
    second = encoder.in_units(scored.target, theirs[0])[1]
    agreement = _agreement(student, ensemble, own, theirs, weights)
    if metric.uses_decision_rule:
        first, second = student.decision_outputs(own), ensemble.decision_outputs(theirs)
    draws = intervals.bootstrap(
        metric, true, [first, second], weights, groups, rng=keys.generator(seed, "bootstrap"), deadline=deadline,
    )  # fmt: skip
    sign = -1 if metric.greater_is_better else 1
    low, high = intervals.bounds(sign * (draws[:, 0] - draws[:, 1]))
    return Comparison(
        metric=metric.name,
        student=student.score_outputs(scored.target, own, weights),
        ensemble=ensemble.score_outputs(scored.target, theirs, weights),
        interval=intervals.interval(metric, true, first, draws[:, 0], weights, groups),
        lost=sign * (metric(true, first, weights) - metric(true, second, weights)) + 0.0,  # no -0
        low=low,
        high=high,
        agreement=agreement,
        rows=len(scored.target),
        where=scored.where,
    )


def _agreement(
    student: Model, ensemble: Model, own: np.ndarray, theirs: np.ndarray, weights: np.ndarray | None
) -> float:
    """Return the share of rows with the same class, or R² of the student's numbers to the ensemble's."""
    first, second = student.decision_outputs(own), ensemble.decision_outputs(theirs)
    if ensemble.is_classifier:
        return float(np.average(first.argmax(1) == second.argmax(1), weights=weights))
    return metrics.METRICS["r2"](second, first, weights)
