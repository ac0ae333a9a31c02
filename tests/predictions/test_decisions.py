"""Decisions: against every rule there is, closed forms, and what a fit does with a rare class."""

from __future__ import annotations

import itertools
import re
import threading
import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_classification
from sklearn.metrics import balanced_accuracy_score, f1_score, mean_pinball_loss

from popnet import Classifier, Recipe, Regressor
from popnet.errors import InputError
from popnet.fitting.run import fit
from popnet.model.model import Model
from popnet.options import Options
from popnet.population.program import Program
from popnet.predictions.decisions import Decision, decided, proven, sentence, suited
from popnet.predictions.metrics import METRICS, pinball
from popnet.report.describe import describe
from popnet.report.fit_page.facts import from_json
from popnet.report.html import render

F1, BALANCED = METRICS["f1"], METRICS["balanced_accuracy"]


def drawn(seed: int, rows: int, classes: int) -> np.ndarray:
    """Return probabilities ``(rows, classes)`` of classes of which the later ones are rare."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet(3.0 ** -np.arange(classes), rows)


@settings(deadline=None)
@given(st.integers(0, 999), st.integers(1, 12))
def test_no_threshold_has_a_better_expected_f1(seed, rows):
    p = drawn(seed, rows, 2)

    def expected(taken: np.ndarray) -> float:
        return 2 * (taken @ p[:, 1]) / (taken.sum() + p[:, 1].sum())

    rule = suited(F1, p)
    assert rule is not None
    best = max(expected(p[:, 1] >= t) for t in p[:, 1])
    assert expected(rule(p).argmax(1)) == pytest.approx(best, abs=1e-4)
    assert rule.threshold == pytest.approx(best / 2, abs=1e-4)  # Lipton et al. 2014


@pytest.mark.parametrize("seed", range(4))
def test_of_three_classes_hardly_a_decision_has_a_better_expected_f1(seed):
    p = drawn(seed, 7, 3)

    def expected(taken: np.ndarray) -> float:
        right = [p[taken == c, c].sum() for c in range(3)]
        return float(np.mean(2 * np.array(right) / (p.sum(0) + np.bincount(taken, minlength=3))))

    best = max(expected(np.array(t)) for t in itertools.product(range(3), repeat=7))
    rule = suited(F1, p)
    assert rule is not None
    assert expected(rule(p).argmax(1)) > best - 0.02


def test_balanced_accuracy_takes_what_is_likelier_than_usual():
    p = np.array(
        [[0.9, 0.1], [0.8, 0.2], [0.97, 0.03], [0.93, 0.07]]
    )  # the second class has 0.1 of all
    rule = suited(BALANCED, p)
    assert rule is not None
    assert rule.threshold == pytest.approx(0.1)
    np.testing.assert_array_equal(rule(p).argmax(1)[1:], [1, 0, 0])


def test_labels_that_follow_the_probabilities_are_served_better_by_the_rule():
    p = drawn(0, 20_000, 4)
    rng = np.random.default_rng(1)
    true = (rng.random((len(p), 1)) < p.cumsum(1)).argmax(1)
    for metric in (F1, BALANCED):
        assert metric(true, decided(metric, true, p)) > metric(true, p) + 0.02


def test_rows_of_weight_count_like_repeated_ones():
    p, weights = drawn(2, 50, 3), np.random.default_rng(0).integers(0, 4, 50)
    for metric in (F1, BALANCED):
        heavy, often = suited(metric, p, weights), suited(metric, np.repeat(p, weights, 0))
        assert heavy is not None
        assert often is not None
        np.testing.assert_allclose(heavy.gains, often.gains, rtol=1e-9)
        np.testing.assert_allclose(heavy.costs, often.costs, rtol=1e-9)


def test_other_metrics_take_the_most_probable_class():
    p = drawn(0, 9, 2)
    for name in ("accuracy", "log_loss", "roc_auc", "average_precision"):
        assert suited(METRICS[name], p) is None
        assert decided(METRICS[name], np.zeros(9, int), p) is p
    assert suited(F1, p, np.zeros(9)) is None


def test_a_rule_that_probabilities_mislead_is_not_taken():
    """As those of nets that weigh rare classes more: the most probable class is the best one already."""
    p = drawn(0, 20_000, 2)
    true = (np.random.default_rng(1).random(len(p)) < p[:, 1]).astype(int)
    tilted = p / p.mean(0)
    tilted /= tilted.sum(1, keepdims=True)
    assert proven(BALANCED, true, p) == suited(BALANCED, p)
    rule = suited(BALANCED, tilted)
    assert rule is not None
    assert BALANCED(true, rule(tilted)) < BALANCED(true, tilted) - 0.001
    assert proven(BALANCED, true, tilted) is None
    assert decided(BALANCED, true, tilted) is tilted


def test_rows_without_probabilities_say_nothing():
    p = drawn(0, 40, 3)
    holed = np.concatenate([p, np.full((5, 3), np.nan)])
    for metric in (F1, BALANCED):
        assert suited(metric, holed) == suited(metric, p)
        assert suited(metric, holed[40:]) is None


def test_what_is_said_and_kept_of_a_rule():
    rule = Decision((0.0, 1.0), (0.0, 0.25))
    assert rule.threshold == 0.25
    assert (
        sentence(rule, "f1", ["no", "yes"])
        == "yes is predicted from a probability of 0.25 on (threshold tuned for f1)"
    )
    several = Decision((1.0, 5.0, 2.0), (0.0, 0.0, 0.0))
    said = sentence(several, "f1", "abc")
    assert said.startswith("class thresholds are tuned for f1")
    assert "(lowest threshold: b)" in said
    assert Decision.from_json(rule.to_json(), 2) == rule
    with pytest.raises(ValueError, match="3 classes"):
        Decision.from_json(several.to_json(), 2)


def test_a_fit_for_balanced_accuracy_finds_the_rare_class(tmp_path):
    X, y = make_classification(
        1200, 6, n_informative=4, weights=[0.92], flip_y=0.03, class_sep=0.4, random_state=0
    )
    labels = np.array(["often", "rare"])[y]
    recipe = Recipe(depth=1, width=16, epochs=20, batch_size=64)
    scores = {}
    for metric in ("accuracy", "balanced_accuracy"):
        net = Classifier(members=4, folds=2, recipe=recipe, metric=metric, test_size=0.2)
        net.fit(X[:800], labels[:800])
        scores[metric] = balanced_accuracy_score(labels[800:], net.predict(X[800:]))
    assert scores["balanced_accuracy"] > scores["accuracy"] + 0.04
    model = net.model_
    assert model.decision is not None
    assert model.decision.threshold is not None
    assert model.decision.threshold < 0.3
    assert any(note.startswith("rare is predicted from") for note in net.facts_["notes"])
    # What is saved decides alike, and what it says of itself is what its predictions score.
    again = Model.load(net.save(tmp_path / "model"))
    assert again.decision == model.decision
    frame = pl.DataFrame({f"x{i}": X[800:, i] for i in range(6)})
    said = again.predict_frame(frame)["target"].to_numpy()
    np.testing.assert_array_equal(said, net.predict(X[800:]))
    _, values = again.evaluate(iter([frame.with_columns(target=pl.Series(labels[800:]))]))
    assert values["balanced_accuracy"] == pytest.approx(scores["balanced_accuracy"])
    assert values["f1"] == pytest.approx(f1_score(labels[800:], said, pos_label="rare"))
    assert values["accuracy"] == pytest.approx(np.mean(said == labels[800:]))


@pytest.mark.parametrize(("method", "by_rule"), [("greedy", True), ("vote", False)])
def test_of_several_classes_the_rare_ones_are_taken_sooner_but_by_no_vote(method, by_rule):
    X, y = make_classification(
        1500, 6, n_informative=4, n_classes=3, n_clusters_per_class=1, weights=[0.85, 0.1], class_sep=0.5,
        flip_y=0.05, random_state=1,
    )  # fmt: skip
    recipe = Recipe(depth=1, width=16, epochs=20, batch_size=64)
    net = Classifier(members=4, folds=2, recipe=recipe, metric="balanced_accuracy", ensemble=method)
    net.fit(X[:1000], y[:1000])
    p, said = net.predict_proba(X[1000:]), net.predict(X[1000:])
    assert (net.model_.decision is not None) == by_rule
    rare = (said > 0).mean() - (p.argmax(1) > 0).mean()
    assert rare > 0.02 if by_rule else rare == 0
    facts = net.facts_
    assert facts["score"] == pytest.approx(facts["metrics"]["balanced_accuracy"])


@settings(deadline=None)
@given(st.integers(0, 999), st.integers(1, 30), st.floats(0.01, 0.99))
def test_no_other_shift_has_a_smaller_pinball_loss(seed, rows, level):
    rng = np.random.default_rng(seed)
    true, predicted = rng.normal(size=(2, rows, 1))
    weights = rng.integers(0, 3, rows).astype(float)
    weights[0] = 1
    metric = pinball(level)
    least = min(metric(true, predicted + e, weights) for e in true - predicted)
    assert metric(true, decided(metric, true, predicted, weights), weights) <= least + 1e-12


def test_a_fit_for_a_pinball_loss_predicts_quantiles(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(1500, 2))
    y = 3 * X[:, 0] + (0.1 + X[:, 1]) * rng.standard_exponential(1500)
    train, new = slice(900), slice(900, None)
    recipe = Recipe(depth=1, width=16, epochs=25, batch_size=64, learning_rate=0.01)
    model = Regressor(members=6, folds=3, recipe=recipe, metric="pinball_90", test_size=0.2)
    model.fit(X[train], y[train])
    found = model.predict(X[new])
    assert found == pytest.approx(model.predict_quantiles(X[new], [0.9])[:, 0])
    assert (y[new] < found).mean() == pytest.approx(0.9, abs=0.04)

    def loss(quantile: np.ndarray) -> float:
        return mean_pinball_loss(y[new], quantile, alpha=0.9)

    means = model.predict(X[new], return_std=True)[0]
    assert loss(found) < 0.9 * loss(np.full(600, np.quantile(y[train], 0.9)))
    assert loss(found) < 0.8 * loss(means)

    facts = model.facts_
    assert facts["metric"] == {"name": "pinball_90", "greater_is_better": False}
    low, high = facts["interval"]
    assert low < facts["score"] == facts["metrics"]["pinball_90"] < high
    assert {b["name"]: b["gain"][0] > 0 for b in facts["baselines"]} == {
        "constant": True,
        "linear": True,
    }
    assert any("quantiles, which 90 % of true values are below" in n for n in facts["notes"])

    again = Model.load(model.save(tmp_path / "model"))
    frame = pl.DataFrame({"x0": X[new, 0], "x1": X[new, 1]})
    columns = again.predict_frame(frame, interval=0.8, quantiles=(0.5,))
    assert columns.columns == ["target", "target_low", "target_high", "target_q50"]
    np.testing.assert_allclose(columns["target"], found, rtol=1e-5)
    np.testing.assert_allclose(columns["target_high"], found, rtol=1e-5)
    np.testing.assert_allclose(again.predict_frame(frame)["target"], found, rtol=1e-5)
    rows, values = again.evaluate(iter([frame.with_columns(target=y[new])]))
    assert (rows, values["pinball_90"]) == (600, pytest.approx(loss(found), rel=1e-5))
    assert values["rmse"] == pytest.approx(np.sqrt(((y[new] - means) ** 2).mean()), rel=1e-5)


def test_out_of_fold_a_pinball_loss_is_of_quantiles_too():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(120, 1))
    y = X[:, 0] + rng.normal(size=120)
    recipe = Recipe(depth=1, width=8, epochs=5)
    facts = Regressor(members=3, folds=3, recipe=recipe, metric="pinball_10").fit(X, y).facts_
    assert facts["score"] < 0.25  # of means half their mean error of about .8, at least
    with pytest.raises(InputError, match="120 held-out rows are too few"):
        Regressor(members=3, folds=3, recipe=recipe, metric="pinball_99.9").fit(X, y)


def test_two_targets_and_row_weights_have_quantiles_too(tmp_path):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(400, 2))
    y = X + rng.standard_exponential((400, 2)) * [1, 10]
    recipe = Recipe(depth=1, width=16, epochs=10, learning_rate=0.01)
    model = Regressor(members=4, folds=2, recipe=recipe, metric="pinball_75", test_size=0.25)
    weights = rng.integers(0, 3, 400).astype(float)
    model.fit(X, y, sample_weight=weights)
    assert model.predict(X) == pytest.approx(model.predict_quantiles(X, [0.75])[..., 0])
    again = Model.load(model.save(tmp_path / "model"))
    frame = pl.DataFrame({"x0": X[:, 0], "x1": X[:, 1], "target1": y[:, 0], "target2": y[:, 1]})
    rows, values = again.evaluate(iter([frame]))
    loss = mean_pinball_loss(y, model.predict(X), alpha=0.75)
    assert (rows, values["pinball_75"]) == (400, pytest.approx(loss, rel=1e-5))
    assert any(
        line.startswith("decision   predictions of target1, target2") for line in describe(again)
    )
    assert re.search(r"Pinball loss at 75\W+ is the mean error", render(from_json(model.facts_)))


def test_the_loss_at_an_intervals_end_is_that_of_the_interval():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(300, 1))
    y = X[:, 0] + rng.normal(size=300)
    recipe = Recipe(depth=1, width=8, epochs=5)
    model = Regressor(members=4, folds=2, recipe=recipe, metric="pinball_95", test_size=0.3).fit(
        X, y
    )
    facts = model.facts_
    assert facts["score"] == pytest.approx(facts["metrics"]["pinball_95"])
    assert {"pinball_5", "coverage_90"} <= set(facts["metrics"])


def test_what_a_quantile_needs_is_known_before_training():
    """Ordered by time only the nets of the last fold are kept, so only its rows are held out."""
    rng = np.random.default_rng(4)
    frame = pl.DataFrame(
        {"when": np.arange(120), "x": rng.normal(size=120), "y": rng.normal(size=120)}
    )
    recipe = Recipe(depth=1, width=8, epochs=3)
    options = Options(
        members=4, folds=2, recipe=recipe, metric="pinball_98", time="when", test_size=0.2
    )
    with pytest.raises(InputError, match="32 held-out rows are too few"):
        fit(frame, "y", options)
    assert fit(frame, "y", replace(options, metric="pinball_90")).model.level == 0.9


def test_without_held_out_errors_means_are_predicted_and_scored(monkeypatch):
    monkeypatch.setattr(Program, "compile", lambda *_: time.sleep(3))
    rng = np.random.default_rng(5)
    frame = pl.DataFrame({"x": rng.normal(size=200), "y": rng.normal(size=200)})
    options = Options(metric="pinball_90", time_limit=1.0, test_size=0.0)
    found = fit(frame, "y", options)
    assert found.model.level is None
    assert any("the model predicts means" in w for w in found.facts.warnings)
    loss = mean_pinball_loss(frame["y"], found.model.predict_frame(frame)["y"], alpha=0.9)
    assert found.facts.score == pytest.approx(loss, rel=1e-5)
    for thread in threading.enumerate():
        if thread.name == "popnet worker":
            thread.join(60)
