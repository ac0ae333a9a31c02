"""How good the model is: on the test part, beside the constant, the linear model and boosted trees, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from popnet.data.dataset import Features, Images
from popnet.fitting.candidates import Candidate, Candidates
from popnet.fitting.selection import MAX_SELECTION_ROWS
from popnet.model import baselines
from popnet.model.facts import EnsembleScores, Score, TruePredicted
from popnet.model.members import as_members
from popnet.model.model import Model
from popnet.population.predict import Net
from popnet.predictions import intervals, metrics
from popnet.predictions.conformal import REPORTED, ends
from popnet.predictions.decisions import decided, proven
from popnet.runtime import keys
from popnet.runtime.clock import Finish
from popnet.types import Array

MAX_CONFUSED = 30
"""Classes up to which the counts of each confusion are shown."""

SHOWN_PREDICTIONS = 1000
"""True and predicted numbers that a chart shows."""


COVERAGES = (0.5, 0.8, REPORTED, 0.95)
"""Of the intervals whose share of true numbers is counted."""


class Scored(NamedTuple):
    """What was scored.

    Attributes:
        true: class numbers ``(N,)`` or targets ``(N, T)`` in their units.
        predicted: probabilities ``(N, O)`` or predictions ``(N, T)``.
        decided: ``(N, O)`` what the predicted class is the largest of; or predictions, of a pinball loss its quantile.
    """

    true: np.ndarray
    predicted: np.ndarray
    decided: np.ndarray


class Scoring:
    """Scores the ensemble and the baselines on the test part; without one, on out-of-fold predictions.

    Args:
        model: to be scored.
        candidates: that it was chosen from.
        held_out: the ensemble's predictions of the pool's rows, see `popnet.fitting.selection.Chosen`.
        finish: the time for it.
        seed: of random choices.

    Attributes:
        honest: whether the rows are the test part.
        out_of_fold: whether they are training rows, each predicted by nets that were not trained on it.
        rows: their numbers.
        groups: of the test part, which of its rows are alike; None if none are.
        weights: of the rows, or None.
        scored: what was scored; None before `scores`.
        ends: standardised low and high ends of intervals ``(N, T)`` of the test rows, by their coverage.
    """

    def __init__(
        self, model: Model, candidates: Candidates, held_out: np.ndarray | None, finish: Finish, seed: int
    ) -> None:  # fmt: skip
        self.model, self.candidates, self.finish, self.seed = model, candidates, finish, seed
        self._held_out = held_out
        self.table = table = candidates.table
        honest = len(table.test) > 0
        self._items = "rows" if table.encoder.image is None else "images"
        self.out_of_fold = not honest and held_out is not None
        self.groups = table.test_groups if honest else None
        if honest:
            self.rows, self._where = table.test, "on {rows} held-out test {items}"
        elif self.out_of_fold:
            self.rows = candidates.rows
            self._where = (
                "on out-of-fold predictions of {rows} training {items}, by which the ensemble was chosen: "
                "slightly optimistic"
            )
        else:
            self.rows = table.train
            self._where = "on the {rows} {items} that it was trained on: optimistic"
        self.honest = honest
        weights = table.data.weights
        self.weights = None if weights is None else np.asarray(weights)[self.rows]
        self.scored: Scored | None = None
        self.ends: dict[float, tuple[np.ndarray, np.ndarray]] = {}

    def scores(self) -> EnsembleScores:
        """Return the score and all that belongs to it."""
        task, target = self.table.schema.target.task, self.table.data.target[self.rows]
        metric, rows, w = self.candidates.metric, self.rows, self.weights
        outputs = self._outputs()
        true, predicted = self.table.encoder.in_units(target, outputs[0])
        scores, decisions = (
            {n: self.table.encoder.in_units(target, s)[1] for n, s in some.items()}
            for some in self._baselines()
        )
        values = self.model.score_outputs(target, outputs, w)
        others = {
            n: metrics.all_of(task, true, p, w, decisions[n], metric) for n, p in scores.items()
        }
        base = decisions if metric.uses_decision_rule else scores
        self.scored = Scored(true, predicted, self.model.decision_outputs(outputs))
        if metric.uses_decision_rule:
            predicted = self.scored.decided
        bounds, gains = self._intervals(true, predicted, base)
        return EnsembleScores(
            task=task,
            metric=metric.name,
            score=values[metric.name],
            interval=bounds,
            metrics=dict(values),
            scored_on=self._where.format(rows=f"{len(rows):,}", items=self._items),
            scored_rows=len(rows),
            baselines={name: dict(found) for name, found in others.items()},
            baseline_gains=gains,
            confusion=self._confusion(true, predicted),
            predictions=self._predictions(true, predicted),
        )

    def _outputs(self) -> np.ndarray:
        """Return what `Model.score_outputs` takes of the rows."""
        features = self.table.data.features
        if self.out_of_fold:
            assert self._held_out is not None
            return self._with_quantile(self._held_out)
        if self.honest:
            return self._with_intervals(features.take(self.rows))
        return self._with_quantile(self.model.scores(features.take(self.rows)))

    def _with_intervals(self, features: Features | Images) -> np.ndarray:
        """Return what `Model.evaluation_outputs` does, and keep the ends of intervals of all `COVERAGES`."""
        model, conformal = self.model, self.model.conformal
        given = [c for c in COVERAGES if conformal is not None and conformal.gives(c)]
        if REPORTED not in given:
            return model.evaluation_outputs(features)
        own = () if model.level is None else (model.level,)
        found = model.bounds(features, None, [*own, *(level for c in given for level in ends(c))])
        first = 1 + len(own)
        for i, c in enumerate(given):
            self.ends[c] = found[first + 2 * i], found[first + 2 * i + 1]
        return np.stack([found[0], *self.ends[REPORTED], *found[1:first]])

    def _with_quantile(self, scores: np.ndarray) -> np.ndarray:
        """Return scores of the rows, and the quantile if the metric wants one.

        Without intervals: they were made from these rows, which cannot measure them.
        """
        if self.model.level is None:
            return scores[None]
        true = self.table.data.target[self.rows]
        return np.stack([scores, decided(self.candidates.metric, true, scores, self.weights)])

    def _baselines(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return the scores of the constant, the linear model and trees on the rows, and what classes they take.

        Out of fold, as the ensemble's, or not.
        """
        table, data, seed = self.table, self.table.data, self.seed
        makers: dict[str, Callable[[Array], Net]] = {
            "constant": lambda train: baselines.constant(data, train)
        }
        known = self.candidates.by_id.get(baselines.LINEAR_ID) if self.out_of_fold else None
        known = known if known and self.candidates.is_complete(known) else None
        if known is None:
            fits = len(table.folds) if self.out_of_fold else 1
            seconds = fits * baselines.linear_seconds(data, len(table.train))
            if self.finish.has_left(0.3, seconds):
                makers["linear"] = lambda train: baselines.linear(data, train, seed)

        def scores(net: Net, rows: Array) -> np.ndarray:
            model = self.model
            one = Model(model.schema, model.encoder, (net,), np.ones(1), "average", model.metric)
            return one.scores(data.features.take(rows))

        def by_rule(net: Net, train: Array, predicted: np.ndarray) -> np.ndarray:
            if not self.candidates.by_rule:
                return predicted
            known = train[:MAX_SELECTION_ROWS]
            w = None if data.weights is None else np.asarray(data.weights)[known]
            rule = proven(self.candidates.metric, data.target[known], scores(net, known), w)
            return predicted if rule is None else rule(predicted)

        found: dict[str, np.ndarray] = {}
        taken: dict[str, np.ndarray] = {}
        every = [(f.train, f.valid) for f in table.folds] if self.out_of_fold else None
        for name, make in makers.items():
            found[name], taken[name] = np.empty((2, len(self.rows), data.n_outputs))
            for train, rows in every or [(table.train, self.rows)]:
                net = make(train)
                places = self.candidates.places(rows) if every else slice(None)
                found[name][places] = scores(net, rows)
                taken[name][places] = by_rule(net, train, found[name][places])
        if known is not None:
            found["linear"], taken["linear"] = self._out_of_fold(known)
        trees = self.candidates.best_trees()
        if trees is not None:
            found["trees"], taken["trees"] = (
                self._out_of_fold(trees) if self.out_of_fold else self._of_all_folds(trees)
            )
        return found, taken

    def _out_of_fold(self, candidate: Candidate) -> tuple[np.ndarray, np.ndarray]:
        """Return a candidate's out-of-fold scores, and what classes it takes by them."""
        found = candidate.predictions.astype(float)
        if not self.candidates.by_rule:
            return found, found
        true = self.table.data.target[self.rows]
        return found, decided(self.candidates.metric, true, found, self.weights)

    def _of_all_folds(self, candidate: Candidate) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean scores of a candidate's members on the rows, and what classes it takes by them."""
        data, model = self.table.data, self.model
        members = list(candidate.members.values())
        nets, trees, weights = as_members(members, np.full(len(members), 1 / len(members)))
        mean = Model(
            model.schema, model.encoder, nets, weights, "average", model.metric, trees=trees
        )
        found = mean.scores(data.features.take(self.rows))
        if not self.candidates.by_rule:
            return found, found
        true, held_out = data.target[self.candidates.rows], candidate.predictions.astype(float)
        rule = proven(self.candidates.metric, true, held_out, self.candidates.pool_weights())
        return found, found if rule is None else rule(found)

    def _intervals(
        self, true: Array, predicted: Array, base: Mapping[str, np.ndarray]
    ) -> tuple[tuple[float, float], dict[str, tuple[Score, Score, Score]]]:
        """Return the score's interval, and by how much the ensemble is better than each baseline, with its interval."""
        metric, w, groups = self.candidates.metric, self.weights, self.groups
        draws = intervals.bootstrap(
            metric, true, [predicted, *base.values()], w, groups,
            rng=keys.generator(self.seed, "bootstrap"), deadline=self.finish.moment(0.3),
        )  # fmt: skip
        bounds = intervals.interval(metric, true, predicted, draws[:, 0], w, groups)
        gains: dict[str, tuple[Score, Score, Score]] = {}
        for k, (name, p) in enumerate(base.items(), 1):
            sign = 1 if metric.greater_is_better else -1
            better = sign * (metric(true, predicted, w) - metric(true, p, w))
            low, high = intervals.bounds(sign * (draws[:, 0] - draws[:, k]))
            gains[name] = better, low, high
        return bounds, gains

    def _confusion(self, true: np.ndarray, predicted: np.ndarray) -> list[list[int]] | None:
        """Return the rows of each true class by predicted class; None for a regression, or very many classes."""
        classes = len(self.model.classes)
        if not self.model.is_classifier or classes > MAX_CONFUSED:
            return None
        counts = np.bincount(true * classes + predicted.argmax(1), minlength=classes**2)
        return counts.reshape(classes, -1).tolist()

    def _predictions(self, true: np.ndarray, predicted: np.ndarray) -> TruePredicted | None:
        """Return some true and predicted numbers; None for classes."""
        if self.model.is_classifier:
            return None
        order = keys.generator(self.seed, "scatter").permutation(len(true))
        some = np.sort(order[:SHOWN_PREDICTIONS])
        one = true.shape[1] == 1  # a number a row, or a list of them
        shown = [(v[some, 0] if one else v[some]).tolist() for v in (true, predicted)]
        return TruePredicted(*shown)
