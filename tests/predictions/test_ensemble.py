"""Combining members: against plain loops, and what holds whatever the members are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from popnet.predictions import ensemble
from popnet.predictions.metrics import METRICS

ROWS = 60


def classifiers(seed: int, members: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions ``(M, N, O)`` that know a little of the truth, and the truth ``(N,)``."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, ROWS)
    logits = rng.standard_normal((members, ROWS, classes)) + 0.8 * np.eye(classes)[true]
    return ensemble.softmax(logits), true


def regressors(seed: int, members: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    true = rng.standard_normal((ROWS, 2))
    return true + rng.standard_normal((members, ROWS, 2)), true


def test_softmax_of_huge_logits_is_finite_and_sums_to_one():
    p = ensemble.softmax(np.array([[1e4, 0.0, -1e4], [3.0, 3.0, 3.0]]))
    np.testing.assert_allclose(p, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]])


@pytest.mark.parametrize("method", ["greedy", "average"])
def test_average_is_the_weighted_mean(method):
    predictions, _ = classifiers(0, 3)
    weights = np.array([0.5, 0.2, 0.3])
    expected = np.zeros((ROWS, 3))
    for member, weight in zip(predictions, weights, strict=True):
        expected += weight * member
    np.testing.assert_allclose(ensemble.combine(predictions, weights, method), expected)


def test_vote_is_the_majority():
    predictions, _ = classifiers(1, 5)
    combined = ensemble.combine(predictions, ensemble.equal(5).weights, "vote")
    for n in range(ROWS):
        votes = [int(p[n].argmax()) for p in predictions]
        np.testing.assert_allclose(combined[n], [votes.count(c) / 5 for c in range(3)])


def test_vote_is_not_the_average():
    """Two lukewarm votes outvote one that is certain."""
    predictions = np.array([[[0.6, 0.4]], [[0.6, 0.4]], [[0.0, 1.0]]])
    equal = ensemble.equal(3).weights
    assert ensemble.combine(predictions, equal, "vote")[0].argmax() == 0
    assert ensemble.combine(predictions, equal, "average")[0].argmax() == 1


def test_equal_weights():
    np.testing.assert_allclose(ensemble.equal(4).weights, 0.25)


def plain_greedy(predictions, true, metric, steps, weights=None):
    """Caruana's selection by its definition: every step tries every member."""
    chosen: list[int] = []
    best, best_chosen = np.inf, []
    for _ in range(steps):
        losses = [
            metric.loss(true, np.mean([predictions[i] for i in [*chosen, m]], axis=0), weights)
            for m in range(len(predictions))
        ]
        chosen.append(int(np.argmin(losses)))
        if min(losses) < best - 1e-12:
            best, best_chosen = min(losses), list(chosen)
    return np.bincount(best_chosen, minlength=len(predictions)) / len(best_chosen)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["log_loss", "rmse", "mae", "r2"])
def test_greedy_selection_is_its_definition(name, weighted, seed):
    make = classifiers if name == "log_loss" else regressors
    predictions, true = make(seed, 5)
    weights = np.random.default_rng(seed).exponential(size=ROWS) if weighted else None
    found = ensemble.greedy(predictions, true, METRICS[name], weights, steps=12, patience=12)
    expected = plain_greedy(predictions, true, METRICS[name], 12, weights)
    np.testing.assert_allclose(found.weights, expected)


def test_greedy_selection_comes_near_the_best_weights_there_are():
    """Against all weights in steps of a twentieth."""
    predictions, true = regressors(3, 3)
    rmse = METRICS["rmse"]
    grid = [
        np.array([a, b, 20 - a - b]) / 20
        for a, b in itertools.product(range(21), repeat=2)
        if a + b <= 20
    ]
    least = min(rmse(true, ensemble.combine(predictions, w)) for w in grid)
    found = ensemble.greedy(predictions, true, rmse).weights
    assert rmse(true, ensemble.combine(predictions, found)) <= 1.005 * least


def test_log_loss_decides_between_members_of_equal_accuracy():
    true = np.array([0, 1])
    timid = np.array([[0.6, 0.4], [0.4, 0.6]])
    sure = np.array([[0.9, 0.1], [0.1, 0.9]])
    found = ensemble.greedy(np.stack([timid, sure, timid]), true, METRICS["accuracy"])
    assert found.weights.tolist() == [0, 1, 0]


def test_row_weights_decide():
    """Each member knows one half of the rows; by log-loss the best shares are the weights of the halves."""
    true = np.repeat([0, 1], 10)
    left, right = np.eye(2)[np.zeros(20, int)], np.eye(2)[np.ones(20, int)]
    predictions = np.stack([left, right])
    weights = np.repeat([1.0, 9.0], 10)
    metric = METRICS["accuracy"]
    assert ensemble.greedy(predictions, true, metric, weights).weights.tolist() == [0.1, 0.9]
    assert ensemble.greedy(predictions, true, metric, weights[::-1]).weights.tolist() == [0.9, 0.1]


def test_path_tells_the_metric_after_each_step_that_was_kept():
    predictions, true = regressors(1, 4)
    found = ensemble.greedy(predictions, true, METRICS["r2"])
    together = METRICS["r2"](true, ensemble.combine(predictions, found.weights))
    assert found.path[-1] == pytest.approx(together)
    assert found.path[-1] == max(found.path)


def test_a_member_that_is_not_a_number_is_never_chosen():
    predictions, true = regressors(2, 3)
    predictions[1] = np.nan
    found = ensemble.greedy(predictions, true, METRICS["rmse"])
    assert found.weights[1] == 0
    assert found.weights.sum() == pytest.approx(1)


seeds = st.integers(0, 2**16)
members = st.integers(1, 6)
names = st.sampled_from(["accuracy", "log_loss", "balanced_accuracy", "rmse", "r2"])


def case(name: str, seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    return (regressors if name in ("rmse", "r2") else classifiers)(seed, count)


@given(seeds, members, names)
def test_greedy_is_never_worse_than_the_best_member_and_weights_are_shares(seed, count, name):
    predictions, true = case(name, seed, count)
    metric = METRICS[name]
    found = ensemble.greedy(predictions, true, metric)
    judge = METRICS[metric.surrogate or name]
    together = judge.loss(true, ensemble.combine(predictions, found.weights))
    assert together <= min(judge.loss(true, p) for p in predictions) + 1e-9
    assert (found.weights >= 0).all()
    assert found.weights.sum() == pytest.approx(1)


@given(seeds, members, names, st.randoms(use_true_random=False))
def test_permuting_members_permutes_their_weights(seed, count, name, random):
    predictions, true = case(name, seed, count)
    order = list(range(count))
    random.shuffle(order)
    before = ensemble.greedy(predictions, true, METRICS[name]).weights
    after = ensemble.greedy(predictions[order], true, METRICS[name]).weights
    np.testing.assert_allclose(after, before[order])


@given(seeds, members, st.sampled_from(["greedy", "average", "vote"]))
def test_combined_probabilities_are_probabilities(seed, count, method):
    predictions, _ = classifiers(seed, count)
    weights = np.random.default_rng(seed).dirichlet(np.ones(count))
    combined = ensemble.combine(predictions, weights, method)
    assert (combined >= 0).all()
    np.testing.assert_allclose(combined.sum(1), 1)
