"""Gradient boosting of small trees on histograms (Friedman 2001; Ke et al. 2017) by scikit-learn, stopped early."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from popnet.data.dataset import Dataset, Features
from popnet.trees import inputs
from popnet.trees.forest import MAX_LEVELS, Forest
from popnet.types import Array

FIRST_ROUNDS, ROUNDS = 10, 100
"""Rounds of boosting after which the time that a round takes is known, and after which the clock is looked at again."""

MIN_MORE = 0.1
"""Boosting goes on if it has time for this share more of the rounds that it had: each start bins the data again."""

NO_CLASS = -20.0
"""Logit of a class that has no training row."""


@dataclass(frozen=True)
class Setting:
    """Hyper-parameters of boosted trees.

    Attributes:
        learning_rate: share of each tree's step that is taken.
        max_leaf_nodes: leaves of a tree, at most 64.
        min_samples_leaf: rows of a leaf, at least.
        l2_regularization: penalty on the leaves' values.
        max_features: share of the columns that a split is chosen from.
        n_iter_no_change: rounds without a lower loss of the held-out rows after which boosting ends.
        max_iter: most rounds.
    """

    learning_rate: float = 0.06
    max_leaf_nodes: int = 31
    min_samples_leaf: int = 20
    l2_regularization: float = 0.0
    max_features: float = 1.0
    n_iter_no_change: int = 25
    max_iter: int = 1000


class StoppedError(Exception):
    """There is no tree: the time was over before, or boosting was stopped."""


def _go_on() -> bool:
    """Return that boosting is not stopped."""
    return False


@dataclass(frozen=True)
class Boosting:
    """What boosting trains on, and how long it may take.

    Attributes:
        data: a table.
        setting: the hyper-parameters.
        seed: of the choice of columns.
        deadline: moment of ``time.monotonic()`` after which no rounds are begun; infinite for none.
        stopped: says whether to begin no more rounds; what there is by then is kept.
    """

    data: Dataset
    setting: Setting
    seed: int
    deadline: float = np.inf
    stopped: Callable[[], bool] = _go_on

    def fit(self, train: Array, valid: Array) -> Forest | None:
        """Return trees fitted on some rows, as many as have the lowest loss on others; on one core.

        Args:
            train: row numbers.
            valid: row numbers that rounds are counted by.

        Returns:
            None if the training rows have one class only.

        Raises:
            StoppedError: the deadline is over, or boosting was stopped, before there is a tree.
        """
        data = self.data
        assert isinstance(data.features, Features)
        known = known_levels(data.features, train)
        X, V = (_known_only(data.features, rows, known) for rows in (train, valid))
        weights = None if data.weights is None else np.asarray(data.weights)
        w, v = (None if weights is None else weights[rows] for rows in (train, valid))
        levels = np.array(data.features.levels, np.int32)
        empty = _Trees.none(data.n_outputs, known, levels)
        if data.task == "regression":
            y = np.asarray(data.target, np.float64)
            outputs = range(data.n_outputs)
            share = (self.deadline - time.monotonic()) / data.n_outputs
            trees = empty
            for o in outputs:
                deadline = time.monotonic() + share
                model = self._boosted(X, y[train, o], w, V, y[valid, o], v, deadline)
                trees = trees.joined(_read(model, [o]))
            return trees.forest()
        y = np.asarray(data.target)
        classes = np.unique(y[train] if w is None else y[train][w > 0])
        if len(classes) < 2:
            return None
        seen, seen_valid = np.isin(y[train], classes), np.isin(y[valid], classes)
        w, v = (
            None if weights is None else weights[some] for some in (train[seen], valid[seen_valid])
        )
        model = self._boosted(
            X[seen], y[train][seen], w, V[seen_valid], y[valid][seen_valid], v, self.deadline
        )
        base = np.full(data.n_outputs, NO_CLASS, np.float32)
        base[classes] = 0.0
        binary = len(classes) == 2
        return (
            replace(empty, base=base)
            .joined(_read(model, classes[1:] if binary else classes))
            .forest()
        )

    def _boosted(
        self, X: Array, y: Array, w: Array | None, V: Array, v: Array, v_weights: Array | None, deadline: float,
    ) -> Any:  # fmt: skip
        """Return scikit-learn's model, boosted until early stopping ends it, or until the deadline."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        coded = len(self.data.features.levels) if isinstance(self.data.features, Features) else 0
        make: Any = (
            HistGradientBoostingRegressor
            if self.data.task == "regression"
            else HistGradientBoostingClassifier
        )
        chosen = asdict(self.setting)
        most = int(chosen.pop("max_iter"))
        held_out = len(V) > 0
        model: Any = make(
            **chosen, max_iter=1, early_stopping=held_out, warm_start=True, random_state=self.seed,
            categorical_features=np.arange(coded) if coded else None,
        )  # fmt: skip
        given = {"X_val": V, "y_val": v, "sample_weight_val": v_weights} if held_out else {}
        done, rounds = 0, min(FIRST_ROUNDS, most)
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            while True:
                began = time.monotonic()
                if began > deadline or self.stopped():
                    if done:
                        return model
                    raise StoppedError
                model.set_params(max_iter=done + rounds)
                model.fit(X, y, sample_weight=w, **given)
                if model.n_iter_ < done + rounds:  # early stopping
                    return model
                done += rounds
                now = time.monotonic()
                possible = (deadline - now) / ((now - began) / rounds)
                rounds = int(min(ROUNDS, most - done, max(possible, 0)))
                if rounds < max(1.0, MIN_MORE * min(done, ROUNDS, most - done)):
                    return model


def known_levels(features: Features, rows: Array) -> np.ndarray:
    """Return the number of each code's level for trees, ``(codes of all columns,)`` int32.

    The `MAX_LEVELS` - 1 most frequent levels of a column are numbered, in the order of their codes; -1 for the others.
    """
    codes, found = features.take(rows).codes, [np.zeros(0, np.int32)]
    for c, levels in enumerate(features.levels):
        counts = np.bincount(codes[:, c], minlength=levels)
        kept = np.argsort(-counts, kind="stable")[: MAX_LEVELS - 1]
        kept = np.sort(kept[counts[kept] > 0])
        number = np.full(levels, -1, np.int32)
        number[kept] = np.arange(len(kept))
        found.append(number)
    return np.concatenate(found)


def _known_only(features: Features, rows: Array, known: np.ndarray) -> np.ndarray:
    """Return the inputs of some rows for scikit-learn, ``(N, D)`` float64: levels by number, NaN for others."""
    X = inputs.matrix(features, rows).astype(np.float64)
    begins = np.concatenate([[0], np.cumsum(features.levels)]).astype(int)
    for c in range(len(features.levels)):
        number = known[begins[c] : begins[c + 1]][X[:, c].astype(int)]
        X[:, c] = np.where(number < 0, np.nan, number)
    return X


@dataclass(frozen=True)
class _Trees:
    """Some trees on their way into a forest: nodes in scikit-learn's order, a parent before its left subtree.

    Attributes:
        base: ``(O,)``, what the outputs begin with.
        output: ``(T,)``, of each tree.
        nodes: of each tree, in scikit-learn's type.
        sets: ``(q, 8)`` uint32 of each tree, its splits' sets of levels.
        known, levels: see `Forest`.
    """

    base: np.ndarray
    output: list[int]
    nodes: list[np.ndarray]
    sets: list[np.ndarray]
    known: np.ndarray
    levels: np.ndarray

    @classmethod
    def none(cls, outputs: int, known: np.ndarray, levels: np.ndarray) -> _Trees:
        return cls(np.zeros(outputs, np.float32), [], [], [], known, levels)

    def joined(
        self, read: tuple[np.ndarray, list[int], list[np.ndarray], list[np.ndarray], list[int]]
    ) -> _Trees:
        """Return the trees with those of a model beside them, and its base added to its outputs'."""
        own, output, nodes, sets, of = read
        base = self.base.copy()
        base[of] += own
        return replace(
            self,
            base=base,
            output=self.output + output,
            nodes=self.nodes + nodes,
            sets=self.sets + sets,
        )

    def forest(self) -> Forest:
        """Return the trees as plain arrays."""
        counts = [len(n) for n in self.nodes]
        nodes = np.concatenate([*self.nodes, np.zeros(0, self.nodes[0].dtype)])
        tree = np.repeat(np.arange(len(counts)), counts)
        leaf = nodes["is_leaf"].astype(bool)
        begins = np.concatenate([[0], np.cumsum(counts)])
        ends = [np.concatenate([[0], np.cumsum(some)]) for some in (~leaf, leaf)]
        splits, leaves = (end[begins] for end in ends)
        # A node's number among its tree's splits, or leaves.
        number = np.where(leaf, ends[1][:-1] - leaves[tree], ends[0][:-1] - splits[tree])
        child = np.where(leaf, -1 - number, number)
        inner = nodes[~leaf]
        left, right = (child[begins[tree[~leaf]] + inner[side]] for side in ("left", "right"))
        coded = inner["is_categorical"].astype(bool)
        rows = np.concatenate([[0], np.cumsum([len(s) for s in self.sets])])[tree[~leaf]]
        threshold = np.where(coded, 0.0, inner["num_threshold"])
        return Forest(
            base=self.base.astype(np.float32),
            output=np.array(self.output, np.int32),
            splits=splits.astype(np.int32),
            leaves=leaves.astype(np.int32),
            column=inner["feature_idx"].astype(np.int32),
            threshold=_at_most(threshold),
            left=left.astype(np.int32),
            right=right.astype(np.int32),
            level_set=np.where(coded, rows + inner["bitset_idx"], -1).astype(np.int32),
            unknown_left=inner["missing_go_to_left"].astype(np.uint8),
            sets=np.concatenate([np.zeros((0, 8), np.uint32), *self.sets]).astype("<u4").view(np.uint8).reshape(-1, 32),
            known=self.known.astype(np.int32),
            levels=self.levels,
            value=nodes["value"][leaf].astype(np.float32),
        )  # fmt: skip


def _read(
    model: Any, outputs: Any
) -> tuple[np.ndarray, list[int], list[np.ndarray], list[np.ndarray], list[int]]:
    """Return what `_Trees.joined` takes of a model, up to the round with the lowest held-out loss.

    Args:
        model: scikit-learn's.
        outputs: what each tree of a round adds to.
    """
    of = [int(o) for o in outputs]
    rounds = model.n_iter_
    if len(model.validation_score_):
        rounds = max(1, int(np.argmax(model.validation_score_)))
    trees = [
        (o, tree) for each in model._predictors[:rounds] for o, tree in zip(of, each, strict=True)
    ]
    base = np.asarray(model._baseline_prediction, np.float64).reshape(-1)
    return (
        base,
        [o for o, _ in trees],
        [tree.nodes for _, tree in trees],
        [tree.raw_left_cat_bitsets for _, tree in trees],
        of,
    )


def _at_most(threshold: np.ndarray) -> np.ndarray:
    """Return the largest float32 that are not above: numbers that are compared with them are float32, too."""
    most = np.finfo(np.float32).max
    near = np.clip(threshold, -most, most).astype(np.float32)
    above = near.astype(np.float64) > threshold
    return np.where(above, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)
