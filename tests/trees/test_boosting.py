"""Boosted trees: what they predict is what scikit-learn's own model of the same settings predicts."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from popnet.data.dataset import Dataset, Features
from popnet.predictions.ensemble import softmax
from popnet.trees import inputs
from popnet.trees.boosting import Boosting, known_levels
from popnet.trees.forest import FEW_ROWS, MAX_LEVELS, Forest
from popnet.trees.grown import Setting, StoppedError
from popnet.trees.settings import MAX_RATE, SETTINGS, plan

QUICK = Setting(max_iter=30, learning_rate=0.2, min_samples_leaf=3, n_iter_no_change=30)


def made(
    rows: int, task: str, seed: int = 0, levels: tuple[int, ...] = (4, 9), outputs: int = 3
) -> Dataset:
    """Return a table with three numbers, a flag and coded columns, and a target that depends on all kinds."""
    rng = np.random.default_rng(seed)
    numeric = rng.normal(size=(rows, 3)).astype(np.float32)
    numeric[:, 2] = np.round(numeric[:, 2])
    flags = rng.integers(0, 2, (rows, 1)).astype(np.uint8)
    codes = np.stack([rng.integers(0, n, rows) for n in levels], 1).astype(np.int32)
    signal = (
        numeric[:, 0] * (codes[:, 0] % 2)
        + np.floor(2 * numeric[:, 1])
        + flags[:, 0] * (codes[:, 1] % 3)
    )
    features = Features(numeric, flags, codes, levels)
    noisy = signal + 0.3 * rng.normal(size=rows)
    if task == "regression":
        y = np.stack([noisy, rng.normal(size=rows) + numeric[:, 0]], 1).astype(np.float32)[
            :, :outputs
        ]
        return Dataset(features, y, "regression", y.shape[1])
    edges = np.quantile(noisy, np.linspace(0, 1, outputs + 1)[1:-1])
    return Dataset(
        features, np.searchsorted(edges, noisy).astype(np.int32), "classification", outputs
    )


def reference(
    data: Dataset, setting: Setting, train: np.ndarray, rows: np.ndarray, seed: int
) -> np.ndarray:
    """Return what scikit-learn says of rows when it boosts as many rounds without early stopping."""
    kind = (
        HistGradientBoostingRegressor
        if data.task == "regression"
        else HistGradientBoostingClassifier
    )
    model = kind(
        learning_rate=setting.learning_rate, max_iter=setting.max_iter, max_leaf_nodes=setting.max_leaf_nodes,
        min_samples_leaf=setting.min_samples_leaf, l2_regularization=setting.l2_regularization,
        max_features=setting.max_features, early_stopping=False, random_state=seed,
        categorical_features=list(range(len(data.features.levels))),
    )  # fmt: skip
    X, V = (inputs.matrix(data.features, r).astype(float) for r in (train, rows))
    weights = None if data.weights is None else np.asarray(data.weights)[train]
    if data.task == "regression":
        found = [
            model.fit(X, data.target[train, o], sample_weight=weights).predict(V)
            for o in range(data.n_outputs)
        ]
        return np.stack(found, 1)
    return model.fit(X, data.target[train], sample_weight=weights).predict_proba(V)


def answers(forest: Forest, data: Dataset, rows: np.ndarray) -> np.ndarray:
    outputs = forest.predict(data.features, rows)
    return outputs if data.task == "regression" else softmax(outputs)


@pytest.mark.parametrize(
    ("task", "outputs"), [("classification", 2), ("classification", 4), ("regression", 1), ("regression", 2)]
)  # fmt: skip
@pytest.mark.parametrize(
    "changes", [{}, {"max_leaf_nodes": 64, "max_features": 0.5}, {"l2_regularization": 3.0}]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_predictions_are_scikit_learns(
    task: str, outputs: int, changes: dict[str, float], weighted: bool
):
    data = made(700, task, outputs=outputs)
    if weighted:
        weights = np.random.default_rng(3).uniform(0.2, 2, 700).astype(np.float32)
        data = Dataset(data.features, data.target, data.task, data.n_outputs, weights)
    setting = Setting(**{**QUICK.__dict__, **changes})
    train, nothing, rows = np.arange(500), np.arange(0), np.arange(500, 700)
    forest = Boosting(data, setting, 7).fit(train, nothing)
    assert forest is not None
    np.testing.assert_allclose(
        answers(forest, data, rows), reference(data, setting, train, rows, 7), atol=2e-5
    )


def test_rows_without_order_and_blocks_are_predicted_alike():
    data = made(6000, "classification")
    forest = Boosting(data, QUICK, 0).fit(np.arange(400), np.arange(400, 600))
    assert forest is not None
    every = forest.predict(data.features)
    some = np.random.default_rng(0).permutation(6000)[:2500]
    np.testing.assert_array_equal(forest.predict(data.features, some), every[some])
    for few in (some[:1], some[:FEW_ROWS], some[: FEW_ROWS + 1]):
        np.testing.assert_array_equal(forest.predict(data.features, few), every[few])


def test_boosting_ends_at_the_lowest_held_out_loss():
    data = made(400, "classification", outputs=2)
    train, valid = np.arange(150), np.arange(150, 400)
    long = Setting(max_iter=300, learning_rate=0.3, min_samples_leaf=2, n_iter_no_change=300)
    forest = Boosting(data, long, 0).fit(train, valid)
    assert forest is not None

    def loss(rounds: int) -> float:
        setting = Setting(**{**long.__dict__, "max_iter": rounds})
        p = reference(data, setting, train, valid, 0)
        return float(-np.log(p[np.arange(len(valid)), data.target[valid]]).mean())

    rounds = len(forest.output)
    assert rounds < 300
    assert (
        loss(rounds) <= min(loss(r) for r in (1, rounds // 2, rounds + 3, rounds + 20, 300)) + 1e-9
    )


def test_the_time_being_looked_at_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    data = made(500, "classification")
    setting = Setting(**{**QUICK.__dict__, "max_features": 0.4})
    at_once = Boosting(data, setting, 1).fit(np.arange(300), np.arange(300, 500))
    monkeypatch.setattr("popnet.trees.histogram.FIRST_ROUNDS", 3)
    monkeypatch.setattr("popnet.trees.histogram.ROUNDS", 4)
    monkeypatch.setattr("popnet.trees.histogram.MIN_MORE", 0.0)
    often = Boosting(data, setting, 1).fit(np.arange(300), np.arange(300, 500))
    assert at_once is not None
    assert often is not None
    for name, array in at_once.arrays().items():
        np.testing.assert_array_equal(array, often.arrays()[name])


def test_boosting_that_is_late_or_stopped_has_no_trees():
    data = made(200, "classification")
    with pytest.raises(StoppedError):
        Boosting(data, QUICK, 0, deadline=time.monotonic() - 1).fit(
            np.arange(100), np.arange(100, 200)
        )
    with pytest.raises(StoppedError):
        Boosting(data, QUICK, 0, stopped=lambda: True).fit(np.arange(100), np.arange(100, 200))


def test_classes_that_training_rows_lack_are_improbable():
    data = made(600, "classification", outputs=4)
    train = np.flatnonzero(data.target != 2)[:300]
    valid = np.arange(400, 600)
    assert (data.target[valid] == 2).any()
    forest = Boosting(data, QUICK, 0).fit(train, valid)
    assert forest is not None
    p = answers(forest, data, valid)
    assert p[:, 2].max() < 1e-4
    np.testing.assert_allclose(np.delete(p, 2, 1).sum(1), 1, atol=1e-4)


def test_one_class_has_no_trees():
    data = made(200, "classification", outputs=2)
    assert (
        Boosting(data, QUICK, 0).fit(np.flatnonzero(data.target == 0)[:50], np.arange(100, 150))
        is None
    )


def test_rare_levels_of_many_are_one():
    rng = np.random.default_rng(0)
    codes = np.minimum(rng.geometric(0.01, 5000), 399).astype(np.int32)[:, None]
    features = Features(
        np.zeros((5000, 0), np.float32), np.zeros((5000, 0), np.uint8), codes, (400,)
    )
    data = Dataset(features, (codes % 2).astype(np.float32), "regression", 1)
    known = known_levels(features, np.arange(4000))
    kept = np.flatnonzero(known >= 0)
    counts = np.bincount(codes[:4000, 0], minlength=400)
    assert len(kept) == MAX_LEVELS - 1
    np.testing.assert_array_equal(known[kept], np.arange(len(kept)))
    assert counts[kept].min() >= np.delete(counts, kept).max()
    forest = Boosting(data, QUICK, 0).fit(np.arange(4000), np.arange(4000, 5000))
    assert forest is not None
    predicted = forest.predict(features)[:, 0]
    rare = np.isin(codes[:, 0], np.flatnonzero(known < 0))
    assert len(np.unique(predicted[rare])) == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 64), st.sampled_from(["classification", "regression"]))
def test_arrays_come_back(seed: int, leaves: int, task: str):
    data = made(150, task, seed, outputs=2)
    setting = Setting(max_iter=4, max_leaf_nodes=leaves, min_samples_leaf=1)
    forest = Boosting(data, setting, seed).fit(np.arange(100), np.arange(100, 150))
    assert forest is not None
    again = Forest.of_arrays({k: v.copy() for k, v in forest.arrays().items()})
    np.testing.assert_array_equal(again.predict(data.features), forest.predict(data.features))


def damaged() -> list[tuple[str, object]]:
    return [
        ("column", lambda a: np.full_like(a, -1)),
        ("left", lambda a: np.full_like(a, 10**6)),
        ("left", np.zeros_like),
        ("right", lambda a: np.full_like(a, -100)),
        ("output", lambda a: np.full_like(a, 9)),
        ("value", lambda a: np.full_like(a, np.nan)),
        ("value", lambda a: a[:-1]),
        ("splits", lambda a: a[:-1]),
        ("splits", lambda a: a + 1),
        ("sets", lambda a: a[:, :8]),
        ("level_set", lambda a: np.full_like(a, 10**6)),
        ("known", lambda a: np.full_like(a, 300)),
        ("levels", lambda a: a + 1),
        ("threshold", lambda a: a.astype(np.float64)),
    ]


@pytest.mark.parametrize(("name", "change"), damaged())
def test_damaged_arrays_are_refused(name: str, change):
    data = made(300, "classification")
    forest = Boosting(data, QUICK, 0).fit(np.arange(200), np.arange(200, 300))
    assert forest is not None
    arrays = forest.arrays()
    arrays[name] = change(arrays[name])
    with pytest.raises(ValueError, match=r"tree|split|levels|column"):
        Forest.of_arrays(arrays)


@settings(max_examples=200)
@given(st.floats(0.1, 1e4), st.floats(1e-3, 100), st.integers(1, 10))
def test_a_plan_fits_its_time(seconds: float, each: float, folds: int):
    found = plan(seconds, each, folds)
    rates = {s.learning_rate for s in found.settings}
    assert len(rates) == 1
    rate = rates.pop()
    assert SETTINGS[0].learning_rate <= rate <= MAX_RATE
    assert found.folds in (1, folds)
    assert 1 <= len(found.settings) <= len(SETTINGS)
    more = plan(4 * seconds, each, folds)
    assert more.folds >= found.folds
    assert (more.folds, len(more.settings), -more.settings[0].learning_rate) >= (
        found.folds, len(found.settings), -rate,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("task", "outputs"), [("classification", 2), ("classification", 4), ("regression", 2)]
)
def test_predictions_are_lightgbms(task: str, outputs: int):
    lightgbm = pytest.importorskip("lightgbm", reason="LightGBM is not installed: an extra")
    data = made(900, task, outputs=outputs, levels=(4, 40))
    train, valid, rows = np.arange(500), np.arange(500, 700), np.arange(700, 900)
    forest = Boosting(data, QUICK, 3, library="lightgbm").fit(train, valid)
    assert forest is not None
    kind = lightgbm.LGBMRegressor if task == "regression" else lightgbm.LGBMClassifier
    X = inputs.matrix(data.features, np.arange(900)).astype(float)
    unseen = np.setdiff1d(X[:, 1], X[train, 1])
    X[:, 1] = np.where(np.isin(X[:, 1], unseen), np.nan, X[:, 1])
    found = []
    for o in range(data.n_outputs if task == "regression" else 1):
        y = data.target[:, o] if task == "regression" else data.target
        model = kind(
            n_estimators=30, learning_rate=0.2, num_leaves=31, min_child_samples=3, random_state=3, n_jobs=1,
            verbose=-1, deterministic=True, force_row_wise=True,
        )  # fmt: skip
        model.fit(
            X[train], y[train], eval_X=(X[valid],), eval_y=(y[valid],), categorical_feature=[0, 1],
            callbacks=[lightgbm.early_stopping(30, verbose=False)],
        )  # fmt: skip
        found.append(
            model.predict(X[rows]) if task == "regression" else model.predict_proba(X[rows])
        )
    expected = np.stack(found, 1) if task == "regression" else found[0]
    np.testing.assert_allclose(answers(forest, data, rows), expected, atol=2e-5)
