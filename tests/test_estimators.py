"""The estimators keep scikit-learn's contract, and take frames as people have them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification, make_regression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from popnet import Classifier, InputError, Model, Recipe, Regressor

TINY = Recipe(
    depth=1, width=8, batch_size=32, epochs=20, learning_rate=0.02, norm="none", dropout=0.0,
    weight_decay=0.0, numeric_embedding="none", activation="relu", ema=0.0,
)  # fmt: skip
OPTIONS: dict[str, Any] = {"members": 2, "folds": 2, "recipe": TINY, "workers": 1}

EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a row given twice can fall into two folds and two batches, one row of weight 2 cannot"
    ),
}


def expected(estimator: Any) -> dict[str, str]:
    """Return the checks that cannot hold, each with its reason."""
    return EXPECTED_FAILURES


@parametrize_with_checks(
    [Classifier(**OPTIONS), Regressor(**OPTIONS)], expected_failed_checks=expected
)
@pytest.mark.filterwarnings("ignore")
def test_contract(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def classes() -> tuple[np.ndarray, np.ndarray]:
    return make_classification(160, 4, n_informative=3, n_redundant=0, random_state=0)


def test_score_is_far_above_chance_in_a_pipeline(classes: tuple[np.ndarray, np.ndarray]) -> None:
    scores = cross_val_score(make_pipeline(StandardScaler(), Classifier(**OPTIONS)), *classes, cv=2)
    assert scores.min() > 0.7


def test_grid_search_over_parameters(classes: tuple[np.ndarray, np.ndarray]) -> None:
    search = GridSearchCV(Classifier(**OPTIONS), {"ensemble": ["average", "greedy"]}, cv=2)
    search.fit(*classes)
    assert search.best_params_["ensemble"] in ("average", "greedy")
    assert search.best_score_ > 0.7


def test_clone_keeps_parameters_and_same_seed_gives_same_model(
    classes: tuple[np.ndarray, np.ndarray],
) -> None:
    first = Classifier(**OPTIONS, seed=3)
    second = clone(first)
    assert second.get_params() == first.get_params()
    X, y = classes
    one, two = first.fit(X, y).predict_proba(X), second.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(one.sum(1), 1)


def mixed(n: int = 160) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a frame with a number (some missing) and a colour (some missing) that decides the label."""
    rng = np.random.default_rng(0)
    colour = rng.choice(["red", "green", "blue"], n).astype(object)
    number = rng.normal(size=n)
    y = np.where(colour == "red", "yes", "no")
    number[::7] = np.nan
    colour[::11] = None
    return pd.DataFrame({"number": number, "colour": colour}), y


def test_pandas_and_polars_frames_with_text_and_missing_values_agree() -> None:
    frame, y = mixed()
    net = Classifier(**OPTIONS).fit(frame, y)
    assert list(net.classes_) == ["no", "yes"]
    assert list(net.feature_names_in_) == ["number", "colour"]
    assert net.score(frame, y) > 0.85
    other = Classifier(**OPTIONS).fit(pl.from_pandas(frame), y)
    np.testing.assert_array_equal(
        net.predict_proba(frame), other.predict_proba(pl.from_pandas(frame))
    )


def test_a_saved_estimator_predicts_as_before(tmp_path: Any) -> None:
    frame, y = mixed()
    net = Classifier(**OPTIONS).fit(frame, y)
    model = Model.load(net.save(tmp_path / "model"))
    scores = model.scores(model.encoder.transform(pl.from_pandas(frame)))
    np.testing.assert_array_equal(scores, net.predict_proba(frame))
    assert model.classes == ("no", "yes")
    labelled = pl.from_pandas(frame).with_columns(target=pl.Series(y.tolist()))
    rows, values = model.evaluate(iter([labelled]))
    assert (rows, values["accuracy"]) == (len(y), pytest.approx(net.score(frame, y)))
    assert model.predict_frame(labelled)["target"].to_list() == net.predict(frame).tolist()
    with pytest.raises(InputError, match="holds a model already"):
        net.save(tmp_path / "model")


def test_several_targets() -> None:
    X, y = make_regression(160, 4, n_targets=2, random_state=0)
    net = Regressor(**OPTIONS).fit(X, y)
    assert net.predict(X).shape == y.shape
    assert net.score(X, y) > 0.5


def test_a_time_limit_may_be_written_as_text_and_is_checked(
    classes: tuple[np.ndarray, np.ndarray],
) -> None:
    with pytest.raises(InputError, match="no time limit"):
        Classifier(time_limit="soon").fit(*classes)
    with pytest.raises(InputError, match="above 0"):
        Classifier(time_limit=-1).fit(*classes)


def test_names_and_labels_of_y_are_the_models() -> None:
    frame, y = mixed()
    net = Classifier(**OPTIONS).fit(frame, pd.Series(y == "yes", name="bought"))
    assert net.model_.schema.target.names == ("bought",)
    assert net.model_.classes == (False, True)
    numbers = pd.DataFrame({"a": frame["number"].fillna(0), "number": frame["number"].fillna(1)})
    two = Regressor(**OPTIONS).fit(frame, numbers)
    assert two.model_.schema.target.names == ("a", "number_")  # a column of X has its name


def test_lists_of_numbers_and_text() -> None:
    frame, y = mixed()
    rows = frame.fillna({"number": 0.0, "colour": "red"}).values.tolist()
    net = Classifier(**OPTIONS).fit(rows, y)
    assert net.score(rows, y) > 0.85
    assert net.score(np.array(rows, dtype=str), y) > 0.85


def test_a_program_ends_cleanly_when_the_limit_was_shorter_than_the_compilation(
    tmp_path: Any,
) -> None:
    code = (
        "import numpy as np; from popnet import Classifier; X = np.random.default_rng(0).random((400, 8)); "
        "Classifier(time_limit=0.5).fit(X, X[:, 0] > 0.5)"
    )
    environment = {**os.environ, "POPNET_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("targets", [1, 2])
def test_intervals_hold_most_of_new_values(targets: int) -> None:
    X, y = make_regression(400, 4, n_targets=targets, noise=20.0, random_state=0)
    model = Regressor(**OPTIONS).fit(X[:300], y[:300])
    low, high = model.predict_interval(X[300:])
    assert low.shape == high.shape == y[300:].shape
    assert 0.8 < np.mean((low <= y[300:]) & (y[300:] <= high)) < 0.98
    found = model.predict(X[300:])
    assert ((low < found) & (found < high)).all()
    values, apart = model.predict(X[300:], return_std=True)
    np.testing.assert_allclose(values, model.predict(X[300:]), rtol=1e-6)
    assert apart.shape == values.shape
    ratio = np.sqrt(((y[300:] - values) ** 2).mean() / (apart**2).mean())
    assert 0.6 < ratio < 1.6
    narrow, _ = model.predict_interval(X[300:], coverage=0.5)
    assert (narrow > low).all()
    with pytest.raises(InputError, match="between 0 and 1"):
        model.predict_interval(X, coverage=1)
    quantiles = model.predict_quantiles(X[300:], levels=(0.05, 0.5, 0.95))
    assert quantiles.shape == (*low.shape, 3)
    np.testing.assert_array_equal(quantiles[..., 0], low)
    np.testing.assert_array_equal(quantiles[..., 2], high)
    assert 0.3 < np.mean(y[300:] < quantiles[..., 1]) < 0.7


# --- images ---------------------------------------------------------------------------------------

NET = Recipe(
    kind="conv", depth=1, width=6, stages=2, batch_size=16, epochs=25, learning_rate=1e-2
)  # fmt: skip


def test_arrays_of_images_are_classified():
    X, y = load_digits(n_class=4, return_X_y=True)
    images, names = X[:300].reshape(-1, 8, 8), np.array(["ape", "bee", "cat", "dog"])[y[:300]]
    model = Classifier(members=2, folds=2, recipe=NET, augment="none")
    model.fit(images[:240], names[:240])
    assert model.score(images[240:], names[240:]) > 0.8
    p = model.predict_proba(images[240:])
    assert p.shape == (60, 4)
    # The range of the values is that of the training: half as bright images are other images.
    assert not np.allclose(p, model.predict_proba(images[240:] / 2))
    with pytest.raises(InputError, match="images"):
        model.predict(X[:5])
    with pytest.raises(InputError, match="sample_weight"):
        model.fit(images, names, sample_weight=np.ones(300))


def test_arrays_of_images_are_regressed(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (200, 8, 8, 3), dtype=np.uint8)
    y = rng.uniform(0, 100, 200)
    images[..., 1] += y[:, None, None].astype(np.uint8)
    model = Regressor(members=2, folds=2, recipe=NET, augment="none")
    model.fit(images[:160], y[:160])
    assert model.score(images[160:], y[160:]) > 0.8
    low, high = model.predict_interval(images[160:])
    assert 0.75 < np.mean((low <= y[160:]) & (y[160:] <= high)) <= 1
    loaded = Model.load(model.save(tmp_path / "m"))
    np.testing.assert_allclose(
        loaded.encoder.decode_target(loaded.scores(loaded.encoder.image.images(images[160:])))[
            :, 0
        ],
        model.predict(images[160:]),
        rtol=1e-6,
    )


def test_an_estimator_is_made_and_cloned_without_jax():
    code = (
        "import sys, popnet\nfrom sklearn.base import clone\n"
        "clone(popnet.Classifier(members=5, search='grid')), clone(popnet.Regressor())\n"
        "assert not {'jax', 'optuna'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_column_of_a_frame_is_used_or_warned_of():
    n = 200
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": rng.permutation(n),
            "customer_id": rng.permutation(n) * 7,
            "comment": [f"a remark of its own, number {i}" for i in range(n)],
            "city": pd.Categorical(rng.integers(0, 12, n)),
            "code": rng.integers(0, 12, n),
        }
    )
    y = frame["a"] / n
    with pytest.warns(UserWarning, match="'comment'"):
        fitted = Regressor(members=2, recipe=TINY, categorical=["code"]).fit(frame, y)
    assert fitted.score(frame, y) > 0.9
    kinds = {c.name: c.kind for c in fitted.model_.schema.features}
    assert kinds.pop("comment") == "categorical"
    assert kinds == {
        "a": "numeric", "customer_id": "numeric", "city": "categorical", "code": "categorical",
    }  # fmt: skip
    by_position = Regressor(members=2, recipe=TINY, categorical=[1]).fit(
        frame[["a", "code"]].to_numpy(), y
    )
    assert [c.kind for c in by_position.model_.schema.columns] == ["numeric", "categorical"]
    for bad in (["none"], [9]):
        with pytest.raises(InputError, match="categorical names"):
            Regressor(categorical=bad).fit(frame, y)


@pytest.mark.parametrize("missing", [None, np.nan, float("nan")])
def test_object_arrays_of_text_with_missing_values(missing):
    X = np.array([["a", 1.0], ["b", missing], [missing, 2.0], ["a", 3.0]] * 20, dtype=object)
    y = [0, 1, 1, 0] * 20
    fitted = Classifier(members=2, recipe=TINY).fit(X, y)
    assert fitted.predict_proba(X).shape == (80, 2)
    pipeline = make_pipeline(FunctionTransformer(), Classifier(members=2, recipe=TINY))
    frame = pd.DataFrame(X, columns=["u", "v"])
    assert pipeline.fit(frame.values, y).predict(frame.values).shape == (80,)
    with pytest.raises(ValueError, match="without a label"):
        Classifier().fit(X, np.array([missing, "u", "v", "u"] * 20, dtype=object))


def test_relative_errors_are_learned_on_a_log_scale():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    y = np.exp(2 * X[:, 0] + X[:, 1])

    def error(metric):
        fitted = Regressor(members=2, recipe=TINY, metric=metric).fit(X[:400], y[:400])
        low, high = fitted.predict_interval(X[400:])
        values, apart = fitted.predict(X[400:], return_std=True)
        assert (low < high).all()
        assert (apart > 0).all()
        if metric == "rmsle":
            assert (values > -1).all()
        difference = np.log1p(np.maximum(fitted.predict(X[400:]), 0)) - np.log1p(y[400:])
        return np.sqrt(np.mean(difference**2))

    assert error("rmsle") < 0.7 * error("rmse")


def test_arrays_after_frames_and_nullable_labels():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(80, 2)), columns=["u", "v"])
    truth = pd.Series(frame["u"] > 0, dtype="boolean")
    fitted = Classifier(members=2, recipe=TINY).fit(frame, truth)
    assert fitted.classes_.tolist() == [False, True]
    with pytest.warns(UserWarning, match="valid feature names"):
        found = fitted.predict(frame.to_numpy())
    np.testing.assert_array_equal(found, fitted.predict(frame))
