"""The compiled engine equals the plain loop, for every entry of every table."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from popnet import Member, Recipe, train_population
from popnet.population import predict, train
from popnet.population.feed import Arrays
from popnet.spec.recipe import choices
from popnet.spec.shape import Shape
from population import reference

BASE = Recipe(depth=2, width=8, batch_size=32, epochs=3, dropout=0, learning_rate=5e-3)
NUMBERS = [
    BASE,
    *[BASE.replace(activation=a, leaky_slope=0.1) for a in choices("activation") if a != "maxout"],
    BASE.replace(activation="elu", elu_alpha=0.5),
    *[
        BASE.replace(norm=n, norm_position=p, norm_momentum=0.3, norm_epsilon=1e-3)
        for n in choices("norm")
        for p in ("before", "after")
    ],
    BASE.replace(optimizer="sgd", learning_rate=0.05, momentum=0.9),
    BASE.replace(optimizer="sgd", learning_rate=0.05, nesterov=False, gradient_clip=0.3),
    BASE.replace(optimizer="adam", beta1=0.8, beta2=0.95),
    BASE.replace(optimizer="adamw", weight_decay=0.3),
    BASE.replace(optimizer="rmsprop", optimizer_epsilon=1e-4, learning_rate=2e-3),
    *[BASE.replace(schedule=s, warmup=0.3, steps=3, step_factor=0.4) for s in choices("schedule")],
    *[BASE.replace(init=i) for i in choices("init")],
    BASE.replace(init_scale=0.1),
    BASE.replace(l1=1e-2),
    BASE.replace(l2=1e-2, monitor="error"),
    BASE.replace(dropout=0.4),
    BASE.replace(input_dropout=0.2, dropout=0.1, norm="layer"),
    BASE.replace(dropout=0.4, input_dropout=0.1, dropout_schedule="flat_cosine"),
    BASE.replace(weight_decay=0.3, decay_schedule="cosine", schedule="flat_cosine"),
    BASE.replace(mixup=0.4),
    BASE.replace(input_noise=0.3),
    BASE.replace(ema=0.9),
    BASE.replace(class_balance=1.0),
    BASE.replace(label_smoothing=0.1, class_balance=0.5),
    BASE.replace(epochs=1),
    BASE.replace(patience=1, min_delta=10, learning_rate=1e-5),
]
SHAPES = [
    BASE.replace(activation="maxout", maxout_pieces=3, dropout=0.1),
    BASE.replace(numeric_embedding="periodic", embedding_size=4, input_noise=0.1, mixup=0.2),
    BASE.replace(
        numeric_embedding="periodic", embedding_size=4, embedding_quantiles=True, mixup=0.2
    ),
    BASE.replace(numeric_embedding="piecewise", embedding_size=5, input_noise=0.1),
    BASE.replace(depth=0, l1=1e-3),
    BASE.replace(optimizer="muon", learning_rate=0.02, weight_decay=0.3),
    BASE.replace(heads=3, dropout=0.2, input_dropout=0.1, mixup=0.2, class_balance=0.5),
    BASE.replace(heads=2, depth=1, norm="layer", optimizer="muon", learning_rate=0.02),
    BASE.replace(input_scale=6.0, numeric_embedding="periodic", embedding_size=4, mixup=0.2),
    BASE.replace(optimizer="muon", depth=0),
    BASE.replace(parametrization="ntk", optimizer="sgd", learning_rate=0.01, gradient_clip=1.0),
    BASE.replace(parametrization="ntk", weight_decay=0.3, l2=1e-3, ema=0.8),
    BASE.replace(parametrization="ntk", optimizer="muon", heads=2),
]
REGRESSION = [
    BASE,
    BASE.replace(mixup=0.4, dropout=0.2, monitor="error"),
    BASE.replace(norm="layer", activation="silu", ema=0.8, input_noise=0.1),
    BASE.replace(heads=3, dropout=0.1, input_scale=6.0),
]


def identity(recipe: Recipe) -> str:
    changed = {k: v for k, v in recipe.model_dump().items() if v != getattr(BASE, k)}
    return "-".join(map(str, changed.values())) or "base"


def members(recipes):
    return pytest.mark.parametrize("i", range(len(recipes)), ids=[identity(r) for r in recipes])


@pytest.fixture(scope="module")
def population(table, folds):
    return train_population(table, recipes=NUMBERS, seeds=[11], folds=folds)


@pytest.fixture(scope="module")
def shapes(table, folds):
    return train_population(table, recipes=SHAPES, seeds=[11], folds=folds)


@pytest.fixture(scope="module")
def regressions(regression, folds):
    return train_population(regression, recipes=REGRESSION, seeds=[11], folds=folds)


def check(result, data, folds, epoch_rows=None):
    train_rows, valid_rows = folds[result.member.fold]
    expected = reference.train_member(result.member, data, data, train_rows, valid_rows, epoch_rows)
    for name in ("status", "epochs", "best_epoch"):
        assert getattr(result, name) == getattr(expected, name), name
    for name, curve in expected.curves.items():
        # One row whose two highest outputs are nearly equal may change its class.
        atol = (
            1.6 / len(valid_rows) if name == "valid_error" and data.task != "regression" else 1e-6
        )
        np.testing.assert_allclose(result.curves[name], curve, rtol=2e-4, atol=atol, err_msg=name)
    np.testing.assert_allclose(result.best_score, expected.best_score, rtol=2e-4, atol=0.02)

    difference = jax.tree.map(
        lambda a, b: np.abs(a - b).max(initial=0) / max(np.abs(b).max(initial=0), 1e-2),
        result.parameters,
        expected.parameters,
    )
    assert max(jax.tree.leaves(difference)) < 2e-4, difference
    if result.member.recipe.norm == "batch":
        place = result.member.recipe.norm_position
        for got, right in zip(result.running, expected.running, strict=True):
            np.testing.assert_allclose(got[place].mean, right[place].mean, rtol=2e-4, atol=1e-4)
            np.testing.assert_allclose(got[place].var, right[place].var, rtol=2e-4, atol=1e-4)


@members(NUMBERS)
@pytest.mark.parametrize("fold", [0, 1])
def test_engine_equals_the_plain_loop(population, table, folds, i, fold):
    check(population[2 * i + fold], table, folds)


@members(SHAPES)
@pytest.mark.parametrize("fold", [0, 1])
def test_engine_equals_the_plain_loop_in_other_shapes(shapes, table, folds, i, fold):
    check(shapes[2 * i + fold], table, folds)


@members(REGRESSION)
@pytest.mark.parametrize("fold", [0, 1])
def test_engine_equals_the_plain_loop_for_two_targets(regressions, regression, folds, i, fold):
    check(regressions[2 * i + fold], regression, folds)


@pytest.mark.parametrize("epoch_rows", [32, 75])
def test_parts_of_a_pass_equal_the_plain_loop(table, folds, epoch_rows):
    recipe = BASE.replace(epochs=7, dropout=0.2)
    arrays = Arrays(table, table, folds, epoch_rows)
    parts = arrays.parts(0, Shape.of(recipe, table))
    assert 1 < parts < recipe.epochs
    trained = dict(train.Trainer(arrays).run(enumerate(Member(recipe, 3, f) for f in (0, 1))))
    for f in (0, 1):
        check(trained[f], table, folds, epoch_rows)


def test_members_learned_something(population, regressions, shapes):
    for r in (population[0], population[1], *regressions, *shapes):
        assert r.curves["loss"][-1] < 0.97 * r.curves["loss"][0]


# --- predictions ---------------------------------------------------------------------------------


def net(result) -> predict.Net:
    return predict.Net(result.member.recipe, result.shape, result.parameters, result.running)


def test_predictions_equal_the_plain_evaluation(population, shapes, table):
    results = [*population.results[:30:3], *shapes]
    rows = np.arange(len(table))[::-1]
    got = predict.predict([net(r) for r in results], table.features, rows)
    assert got.shape == (len(results), len(rows), 3)
    assert got.dtype == np.float32
    for r, outputs in zip(results, got, strict=True):
        # Biases before batch normalization are 0 in the best weights, as at the start.
        expected = reference.evaluate(
            r.parameters, r.running, r.shape, r.member.recipe, table, rows
        )
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)


def test_the_curves_scores_are_those_of_the_predictions(population, table, folds):
    results = [r for r in population if r.best_epoch]
    outputs = predict.predict([net(r) for r in results], table.features)
    for r, o in zip(results, outputs, strict=True):
        rows = folds[r.member.fold][1]
        wrong = o[rows].argmax(1) != table.target[rows]
        error = np.average(wrong, weights=table.weights[rows])
        np.testing.assert_allclose(r.curves["valid_error"][r.best_epoch - 1], error, atol=1e-5)
        p = np.exp(np.float64(o[rows]))
        p = (p / p.sum(1, keepdims=True))[np.arange(len(rows)), table.target[rows]]
        loss = np.average(-np.log(p), weights=table.weights[rows])
        np.testing.assert_allclose(r.curves["valid_loss"][r.best_epoch - 1], loss, rtol=1e-4)
        watched = error if r.member.recipe.monitor == "error" else loss
        np.testing.assert_allclose(r.best_score, watched, rtol=1e-4)
