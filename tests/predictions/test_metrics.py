"""The metrics agree with scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from popnet.errors import InputError
from popnet.predictions import metrics

ROWS = 200


def probabilities(rng: np.random.Generator, classes: int) -> np.ndarray:
    return rng.dirichlet(np.ones(classes), ROWS)


@pytest.fixture(params=["equal weights", "weights"])
def weights(request: pytest.FixtureRequest) -> np.ndarray | None:
    if request.param == "equal weights":
        return None
    return np.random.default_rng(9).uniform(0, 3, ROWS)


def calibration_error(true, p, weights) -> float:
    """The calibration error as the paper writes it, a bin after the other."""
    w = np.ones(ROWS) if weights is None else weights
    sure, right = p.max(1), p.argmax(1) == true
    error = 0.0
    for low in range(15):
        inside = (sure >= low / 15) & (sure < (low + 1) / 15)
        if inside.any():
            accuracy = np.average(right[inside], weights=w[inside])
            confidence = np.average(sure[inside], weights=w[inside])
            error += w[inside].sum() / w.sum() * abs(accuracy - confidence)
    return error


@pytest.mark.parametrize("classes", [2, 4])
def test_classification_metrics_are_scikit_learns(classes, weights):
    rng = np.random.default_rng(classes)
    true, p = rng.integers(0, classes, ROWS), probabilities(rng, classes)
    hard = p.argmax(1)
    positive = range(1, 2) if classes == 2 else range(classes)

    def one_against_rest(metric):
        return np.mean([metric(true == c, p[:, c], sample_weight=weights) for c in positive])

    average = "binary" if classes == 2 else "macro"
    expected = {
        "accuracy": sk.accuracy_score(true, hard, sample_weight=weights),
        "balanced_accuracy": sk.balanced_accuracy_score(true, hard, sample_weight=weights),
        "f1": sk.f1_score(true, hard, average=average, sample_weight=weights),
        "log_loss": sk.log_loss(true, p, sample_weight=weights),
        "roc_auc": one_against_rest(sk.roc_auc_score),
        "average_precision": one_against_rest(sk.average_precision_score),
        "ece": calibration_error(true, p, weights),
    }
    found = metrics.all_of("binary" if classes == 2 else "multiclass", true, p, weights)
    assert found == pytest.approx(expected)


def test_area_under_the_curve_of_several_classes_is_scikit_learns_mean_of_one_against_the_rest():
    rng = np.random.default_rng(3)
    true, p = rng.integers(0, 3, ROWS), probabilities(rng, 3)
    expected = sk.roc_auc_score(true, p, multi_class="ovr", average="macro")
    assert metrics.METRICS["roc_auc"](true, p) == pytest.approx(expected)


@pytest.mark.parametrize("targets", [1, 3])
def test_regression_metrics_are_scikit_learns(targets, weights):
    rng = np.random.default_rng(targets)
    true = rng.standard_normal((ROWS, targets)) * [1.0, 5.0, 0.1][:targets]
    predicted = true + 0.3 * rng.standard_normal((ROWS, targets))
    expected = {
        "rmse": np.sqrt(sk.mean_squared_error(true, predicted, sample_weight=weights)),
        "mae": sk.mean_absolute_error(true, predicted, sample_weight=weights),
        "r2": sk.r2_score(true, predicted, sample_weight=weights),
    }
    assert metrics.all_of("regression", true, predicted, weights) == pytest.approx(expected)
    true, predicted = np.abs(true), np.maximum(predicted, -0.5)
    found = metrics.all_of("regression", true, predicted, weights)
    squared = sk.mean_squared_log_error(true, np.maximum(predicted, 0), sample_weight=weights)
    if targets == 1:
        assert found["rmsle"] == pytest.approx(np.sqrt(squared))
    assert found["rmsle"] ** 2 == pytest.approx(squared)


def test_weights_count_like_repeated_rows():
    rng = np.random.default_rng(5)
    true, p, times = rng.integers(0, 3, 40), rng.dirichlet(np.ones(3), 40), rng.integers(1, 4, 40)
    repeated = np.repeat(np.arange(40), times)
    weighted = metrics.all_of("multiclass", true, p, times.astype(float))
    assert weighted == pytest.approx(metrics.all_of("multiclass", true[repeated], p[repeated]))


@pytest.mark.parametrize("metric", metrics.METRICS.values(), ids=lambda m: m.name)
def test_loss_is_smaller_for_better_predictions(metric):
    rng = np.random.default_rng(6)
    if "regression" in metric.tasks:
        true = np.abs(rng.standard_normal((ROWS, 1)))
        good, bad = true + 0.1, true + rng.standard_normal((ROWS, 1))
    else:
        true = rng.integers(0, 2, ROWS)
        bad = probabilities(rng, 2)
        good = 0.7 * np.eye(2)[true] + 0.3 * bad
    assert metric.loss(true, good) < metric.loss(true, bad)
    assert metric.greater_is_better == (metric(true, good) > metric(true, bad))


def test_ranking_of_one_class_only_is_undefined():
    p = np.array([[0.2, 0.8], [0.6, 0.4]])
    assert np.isnan(metrics.METRICS["roc_auc"](np.array([1, 1]), p))


def test_ranking_ignores_rows_that_weigh_nothing():
    """Also where only one class is left: undefined, without a warning."""
    rng = np.random.default_rng(4)
    true, p = rng.integers(0, 3, ROWS), probabilities(rng, 3)
    auc = metrics.METRICS["roc_auc"]
    assert np.isnan(auc(true % 2, p[:, :2], (true % 2).astype(float)))
    heavy = (true != 2).astype(float)
    kept = true != 2
    assert auc(true, p, heavy) == pytest.approx(auc(true[kept], p[kept]))


def test_certain_and_wrong_costs_much_but_not_infinitely_much():
    p = np.array([[1.0, 0.0]])
    assert 20 < metrics.METRICS["log_loss"](np.array([1]), p) < 100


@pytest.mark.parametrize(
    ("task", "name"), [("binary", "accuracy"), ("multiclass", "accuracy"), ("regression", "rmse")]
)
def test_default_metric(task, name):
    assert metrics.choose(None, task).name == name


@pytest.mark.parametrize(
    ("name", "task", "said"),
    [
        ("acuracy", "binary", "'accuracy'"),
        ("rmse", "binary", "'rmse' is not for a binary task"),
        ("log_loss", "regression", "'log_loss' is not for a regression task"),
    ],
)
def test_unfit_metrics_are_refused_by_name(name, task, said):
    with pytest.raises(InputError, match=said):
        metrics.choose(name, task)


def test_the_calibration_error_is_reported_but_nothing_is_chosen_by_it():
    assert "ece" in metrics.all_of("binary", np.array([0, 1]), np.full((2, 2), 0.5))
    with pytest.raises(InputError, match=r"nothing is chosen by it; use one of accuracy, .*f1"):
        metrics.choose("ece", "binary")
    with pytest.raises(InputError) as said:
        metrics.choose("acuracy", "binary")
    assert "ece" not in str(said.value)


def test_the_squared_log_error_is_for_targets_of_nothing_or_more():
    metric = metrics.METRICS["rmsle"]
    metrics.check(metric, np.array([[0.0], [-1e-9], [3.0]]))  # rounding is forgiven
    assert metric(np.array([[0.0]]), np.array([[-5.0]])) == 0
    with pytest.raises(
        InputError, match=r"'rmsle' needs targets of 0 or more, but there is -0\.5;"
    ):
        metrics.check(metric, np.array([[2.0], [-0.5]]))
    metrics.check(metrics.METRICS["rmse"], np.array([[-2.0]]))
    assert "rmsle" not in metrics.all_of("regression", np.array([[-1.0]]), np.array([[1.0]]))


@pytest.mark.parametrize("classes", [2, 3, 40])
def test_perfect_confidence_that_is_right_has_no_calibration_error(classes):
    true = np.random.default_rng(classes).integers(0, classes, ROWS)
    assert metrics.METRICS["ece"](true, np.eye(classes)[true]) == 0
    wrong = np.eye(classes)[(true + 1) % classes]
    assert metrics.METRICS["ece"](true, wrong) == 1


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(2, 6))
def test_the_calibration_error_is_at_most_that_of_all_rows_apart(seed, rows, classes):
    """And at least that of all together: what is over-sure and what is under-sure cancels within a bin alone."""
    rng = np.random.default_rng(seed)
    true, p = rng.integers(0, classes, rows), rng.dirichlet(np.ones(classes), rows)
    over = p.max(1) - (p.argmax(1) == true)
    found = metrics.METRICS["ece"](true, p)
    assert abs(over.mean()) - 1e-12 <= found <= np.abs(over).mean() + 1e-12


def test_a_class_that_is_neither_there_nor_said_does_not_count():
    true, p = np.array([0, 1, 1]), np.eye(3)[[0, 1, 0]]
    expected = sk.f1_score(true, p.argmax(1), average="macro")
    assert metrics.METRICS["f1"](true, p) == pytest.approx(expected)
    assert np.isnan(metrics.METRICS["f1"](np.array([0, 0]), np.eye(2)[[0, 0]]))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(2, 4))
def test_areas_with_ties_and_weights_are_scikit_learns(seed, rows, levels):
    rng = np.random.default_rng(seed)
    true = np.r_[0, 1, rng.integers(0, 2, rows)]
    p = np.stack([1 - (score := rng.integers(0, levels, rows + 2) / levels), score], 1)
    w = rng.uniform(0.1, 2, rows + 2)
    expected = sk.roc_auc_score(true, p[:, 1], sample_weight=w)
    assert metrics.METRICS["roc_auc"](true, p, w) == pytest.approx(expected)
    expected = sk.average_precision_score(true, p[:, 1], sample_weight=w)
    assert metrics.METRICS["average_precision"](true, p, w) == pytest.approx(expected)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(2, 5))
def test_f1_with_weights_is_scikit_learns(seed, rows, classes):
    rng = np.random.default_rng(seed)
    true, p = np.r_[0, 1, rng.integers(0, classes, rows)], rng.dirichlet(np.ones(classes), rows + 2)
    w = rng.uniform(0.1, 2, rows + 2)
    average = "binary" if classes == 2 else "macro"
    expected = sk.f1_score(true, p.argmax(1), average=average, sample_weight=w)
    assert metrics.METRICS["f1"](true, p, w) == pytest.approx(expected)


@pytest.mark.parametrize("metric", metrics.METRICS.values(), ids=list(metrics.METRICS))
def test_a_metric_of_rows_that_weigh_nothing_is_not_a_number(metric):
    regression = "regression" in metric.tasks
    true = np.zeros((3, 1)) if regression else np.array([0, 1, 1])
    assert np.isnan(metric(true, np.full((3, 1 if regression else 2), 0.5), np.zeros(3)))


def test_several_targets_of_different_units_are_judged_by_what_is_explained():
    assert metrics.choose(None, "regression", 2).name == "r2"
    assert metrics.choose(None, "regression").name == "rmse"


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("percent", ["2.5", "50", "90"])
def test_pinball_losses_are_scikit_learns(percent, weighted, targets):
    rng = np.random.default_rng(0)
    true, predicted = rng.normal(size=(2, 40, targets))
    weights = rng.integers(0, 3, 40).astype(float) if weighted else None
    metric = metrics.named(f"pinball_{percent}")
    assert metric is not None
    assert metric is metrics.choose(metric.name, "regression")
    expected = sk.mean_pinball_loss(
        true, predicted, alpha=float(percent) / 100, sample_weight=weights
    )
    assert metric(true, predicted, weights) == pytest.approx(expected)
    decided = predicted + 1
    found = metrics.all_of("regression", true, predicted, weights, decided, metric)
    assert found[metric.name] == pytest.approx(metric(true, decided, weights))
    assert found["rmse"] == pytest.approx(metrics.METRICS["rmse"](true, predicted, weights))


@pytest.mark.parametrize(
    "name", ["pinball_0", "pinball_100", "pinball_", "pinball_-3", "pinball_x", "pinball_99.99996"]
)
def test_what_is_no_percentage_of_a_quantile_is_refused(name):
    assert metrics.named(name) is None
    with pytest.raises(InputError, match=r"pinball_90 \(or of another quantile\)"):
        metrics.choose(name, "regression")
    with pytest.raises(InputError, match="not for a binary task"):
        metrics.choose("pinball_90", "binary")


@settings(deadline=None)
@given(st.integers(1, 999_999))
def test_a_quantiles_name_names_it(millionths):
    metric = metrics.named(f"pinball_{millionths / 10_000:.4f}")
    assert metric is not None
    assert metric.level == pytest.approx(millionths / 1e6, abs=1e-12)
    again = metrics.named(metric.name)
    assert again is not None
    assert (again.name, again.level) == (metric.name, metric.level)
