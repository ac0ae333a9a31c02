"""Candidates for the ensemble: recipes with their nets by fold, and how they score on the rows that folds hold out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from popnet.model.members import Predictor, outputs
from popnet.predictions import ensemble
from popnet.predictions.decisions import by_rule, decided
from popnet.predictions.metrics import Metric
from popnet.prepare.prepared import Prepared
from popnet.runtime import keys
from popnet.types import Array

PILOT_ID = -2
"""Number of the recipe of the first net that timed an epoch; that of the next is one less, and so on."""

TREES_ID = -100
"""Number of the first setting of boosted trees among the recipes; that of the next is one less, and so on."""


def is_net(recipe_id: int) -> bool:
    """Return whether a candidate is a recipe of the search: neither trees, nor the linear model, nor of a pilot."""
    return recipe_id >= 0


def is_trees(recipe_id: int) -> bool:
    """Return whether a candidate is boosted trees."""
    return recipe_id <= TREES_ID


def some_rows(n: int, most: int, seed: int, purpose: str) -> np.ndarray:
    """Return the places of all of n rows, or of a sample of very many; each purpose has a sample of its own."""
    if n <= most:
        return np.arange(n)
    return np.sort(keys.generator(seed, purpose).choice(n, most, replace=False))


@dataclass
class Candidate:
    """A recipe on its way into the ensemble: its members by fold, and their predictions of held-out rows.

    Attributes:
        recipe_id: number of the recipe; 0 is the default one, -1 the linear model
            (`popnet.model.baselines.LINEAR_ID`), from `PILOT_ID` down nets that timed an epoch, from `TREES_ID` down
            boosted trees.
        predictions: ``(P, O)`` of the pool's rows (see `Candidates`), NaN where no fold has been predicted yet.
        members: nets or trees, by fold.
        ids: numbers of the members in the population, by fold; -1 for what is none of them.
    """

    recipe_id: int
    predictions: np.ndarray
    members: dict[int, Predictor] = field(default_factory=dict[int, Predictor])
    ids: dict[int, int] = field(default_factory=dict[int, int])

    def take(self, fold: int, member: int, net: Predictor, places: Array, scores: Array) -> None:
        """Take a fold's member in, and its predictions of the pool's rows at ``places``."""
        self.members[fold], self.ids[fold] = net, member
        self.predictions[places] = scores


class Candidates:
    """All candidates of a fit. They come in member by member.

    Args:
        table: the data and its folds.
        metric: what candidates are compared by.
        views: of each image that a prediction is the mean of.
        votes: whether members vote, so that no class is taken as it suits the metric.

    Attributes:
        specialised: whether nets are predicted with by programs of one activation each, as their trainer's are.
        by_rule: whether classes, or quantiles, are taken as it suits the metric (`popnet.predictions.decisions`).
        by_id: candidates by the number of their recipe: nets of their best epochs.
        late: the same recipes with the nets of their last epochs, where one of them is not its best one.
        rows: the pool: ``(P,)`` numbers of the rows that some fold holds out.
        scores: the metric on the pool, of the recipes that are trained on all folds.
        member_scores: the metric on the rows that a member's fold holds out, by the member's number.
    """

    def __init__(
        self, table: Prepared, metric: Metric, views: int = 1, votes: bool = False
    ) -> None:
        self.table, self.metric, self.views = table, metric, views
        self.by_rule = by_rule(metric) and not votes
        self.specialised = True
        self.by_id: dict[int, Candidate] = {}
        self.late: dict[int, Candidate] = {}
        self.rows = np.unique(np.concatenate([f.valid for f in table.folds]))
        self.scores: dict[int, float] = {}
        self.member_scores: dict[int, float] = {}

    def add(
        self, recipe_id: int, fold: int, member: int, net: Predictor, last: Predictor | None = None
    ) -> None:
        """Take a trained net, or trees, in, and predict what its fold holds out.

        Args:
            recipe_id: its recipe's number.
            fold: its.
            member: its number in the population, -1 if it is none of them.
            net: itself.
            last: as it was after its last epoch, if that was not its best.
        """
        data, rows = self.table.data, self.table.folds[fold].valid
        kept = [net] if last is None else [net, last]
        found = outputs(kept, data.features, rows, views=self.views, specialised=self.specialised)
        scores, place = self._scores(found), self.places(rows)
        if last is not None and recipe_id not in self.late:
            # Until now the recipe's last epochs were its best ones.
            so_far = self.by_id.get(recipe_id) or self._empty(recipe_id)
            self.late[recipe_id] = Candidate(
                recipe_id, so_far.predictions.copy(), dict(so_far.members), dict(so_far.ids)
            )
        if recipe_id not in self.by_id:
            self.by_id[recipe_id] = self._empty(recipe_id)
        candidate = self.by_id[recipe_id]
        candidate.take(fold, member, net, place, scores[0])
        if recipe_id in self.late:
            self.late[recipe_id].take(fold, member, kept[-1], place, scores[-1])
        scores = scores[0]
        weights = None if data.weights is None else np.asarray(data.weights)[rows]
        true, predicted = self.table.encoder.in_units(data.target[rows], scores)
        if member >= 0:
            self.member_scores[member] = self.score(true, predicted, weights)
        if self.is_complete(candidate):
            self.scores[recipe_id] = self.score(
                *self.truth(candidate.predictions), self.pool_weights()
            )

    def places(self, rows: Array) -> np.ndarray:
        """Return where some of the pool's rows stand in it."""
        return np.searchsorted(self.rows, np.asarray(rows))

    def score(self, true: Array, predicted: Array, weights: Array | None) -> float:
        """Return the metric of predictions, of which decisions are made as it suits the metric."""
        if self.by_rule:
            predicted = decided(self.metric, true, predicted, weights)
        return self.metric(true, predicted, weights)

    def is_complete(self, candidate: Candidate) -> bool:
        """Return whether a candidate is trained on all folds."""
        return len(candidate.members) == len(self.table.folds)

    def complete(self) -> list[Candidate]:
        """Return the candidates that are trained on all folds."""
        return [c for c in self.by_id.values() if self.is_complete(c)]

    def best_score(self) -> float | None:
        """Return the best score of a recipe; None if none is trained on all folds."""
        if not self.scores:
            return None
        values = self.scores.values()
        return max(values) if self.metric.greater_is_better else min(values)

    def best_trees(self) -> Candidate | None:
        """Return the best boosted trees that are fitted on all folds, None if there are none."""
        found = [i for i in self.scored() if is_trees(i)]
        if not found:
            return None
        return self.by_id[min(found, key=lambda i: (self.metric.loss_of(self.scores[i]), -i))]

    def scored(self) -> list[int]:
        """Return the numbers of the candidates that have a score and are still there."""
        return [c for c in self.scores if c in self.by_id]

    def drop_worst(self) -> Candidate:
        """Forget the worst of the candidates with a score; returns it."""
        worst = min if self.metric.greater_is_better else max
        recipe_id = worst(self.scored(), key=lambda c: (self.scores[c], c))
        self.late.pop(recipe_id, None)
        return self.by_id.pop(recipe_id)

    def renumber(self, place: Mapping[int, int]) -> None:
        """Give members new numbers, and put candidates into the order of their recipes."""
        self.member_scores = {place[i]: v for i, v in self.member_scores.items() if i in place}
        self.by_id, self.late = (
            {c: found[c] for c in sorted(found)} for found in (self.by_id, self.late)
        )
        for candidate in [*self.by_id.values(), *self.late.values()]:
            candidate.ids = {fold: place.get(i, i) for fold, i in sorted(candidate.ids.items())}

    def truth(self, predictions: Array) -> tuple[np.ndarray, np.ndarray]:
        """Return the pool's true values, and predictions ``(P, O)`` of it, as metrics take them."""
        return self.table.encoder.in_units(self.table.data.target[self.rows], predictions)

    def comparable(self, values: Array) -> np.ndarray:
        """Return values ``(N, O)`` as squared errors of several targets can be compared; classes' as they are."""
        scales = self.table.encoder.scales
        if not scales:
            return np.asarray(values)
        return np.stack([s.standardise(values[:, i]) for i, s in enumerate(scales)], 1)

    def pool_weights(self) -> np.ndarray | None:
        """Return the pool's row weights, None if there are none."""
        weights = self.table.data.weights
        return None if weights is None else np.asarray(weights)[self.rows]

    def _empty(self, recipe_id: int) -> Candidate:
        shape = len(self.rows), self.table.data.n_outputs
        return Candidate(recipe_id, np.full(shape, np.nan, np.float32))

    def _scores(self, found: Array) -> np.ndarray:
        if self.table.data.task == "classification":
            return ensemble.softmax(found)
        return self.table.encoder.within_range(found)
