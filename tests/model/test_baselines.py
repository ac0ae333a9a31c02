"""The constant and the linear model, held as nets, predict what scikit-learn's models predict."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from popnet import Dataset, Features
from popnet.model import baselines
from popnet.population.predict import predict
from popnet.predictions.ensemble import softmax

TRAIN, REST = np.arange(150), np.arange(150, 240)


def outputs(net, data: Dataset, rows: np.ndarray) -> np.ndarray:
    return predict([net], data.features, rows, workers=1)[0]


def unembedded(features: Features) -> np.ndarray:
    """Return numbers, flags and the one-hot column, as `features` of conftest has them."""
    hot = features.codes[:, :1] == np.arange(3)
    return np.concatenate([features.numeric, features.flags, hot], axis=1)


def test_constant_model_predicts_the_weighted_class_shares(table):
    p = softmax(outputs(baselines.constant(table, TRAIN), table, REST))
    weights = np.asarray(table.weights)[TRAIN]
    shares = np.bincount(table.target[TRAIN], weights) / weights.sum()
    np.testing.assert_allclose(p, np.tile(shares, (len(REST), 1)), atol=1e-3)


def test_constant_model_predicts_the_mean_target(regression):
    found = outputs(baselines.constant(regression, TRAIN), regression, REST)
    expected = np.tile(regression.target[TRAIN].mean(0), (len(REST), 1))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_constant_model_gives_a_class_without_rows_almost_nothing(table):
    rows = TRAIN[table.target[TRAIN] != 2]
    p = softmax(outputs(baselines.constant(table, rows), table, REST))
    assert (p[:, 2] > 0).all()
    assert (p[:, 2] < 1e-4).all()


def test_linear_model_is_logistic_regression(table):
    found = softmax(outputs(baselines.linear(table, TRAIN, 0), table, REST))
    X = unembedded(table.features)
    weights = np.asarray(table.weights)[TRAIN]
    model = LogisticRegression(max_iter=1000).fit(X[TRAIN], table.target[TRAIN], weights)
    np.testing.assert_allclose(found, model.predict_proba(X[REST]), atol=2e-3)


@pytest.mark.parametrize("classes", [(0, 1), (0, 2), (1, 2)])
def test_linear_model_of_two_classes_that_are_there(table, classes):
    rows = TRAIN[np.isin(table.target[TRAIN], classes)]
    found = softmax(outputs(baselines.linear(table, rows, 0), table, REST))
    X = unembedded(table.features)
    weights = np.asarray(table.weights)[rows]
    model = LogisticRegression(max_iter=1000).fit(X[rows], table.target[rows], weights)
    np.testing.assert_allclose(found[:, list(classes)], model.predict_proba(X[REST]), atol=2e-3)


def test_linear_model_of_one_class_is_the_constant(table):
    rows = TRAIN[table.target[TRAIN] == 1]
    p = softmax(outputs(baselines.linear(table, rows, 0), table, REST))
    assert (p[:, 1] > 0.99).all()


def test_linear_model_is_ridge_regression(regression):
    found = outputs(baselines.linear(regression, TRAIN, 0), regression, REST)
    X = unembedded(regression.features)
    expected = Ridge(alpha=1.0).fit(X[TRAIN], regression.target[TRAIN]).predict(X[REST])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_columns_with_many_levels_are_zeros(features):
    X = baselines.dense(features, REST)
    np.testing.assert_allclose(X[:, :9], unembedded(features)[REST])
    assert X.shape[1] > 9
    assert not X[:, 9:].any()


def test_linear_model_of_very_many_rows_takes_a_sample_that_the_seed_determines(
    regression, monkeypatch
):
    monkeypatch.setattr(baselines, "MAX_ROWS", 60)
    one, same, other = (
        outputs(baselines.linear(regression, TRAIN, s), regression, REST) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
