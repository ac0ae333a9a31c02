"""Effects and importance of a fitted model against scikit-learn's, and effects against closed forms."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.inspection import partial_dependence, permutation_importance

import popnet
from popnet import InputError, Recipe, Regressor
from popnet.explanation.effects import interaction
from popnet.explanation.retrained import retrained_importance
from popnet.report.charts.time_axis import time_axis

ROWS = 300


def make_frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size, age = rng.standard_normal((2, ROWS))
    rooms = rng.integers(1, 6, ROWS).astype(float)
    built = pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 1500, ROWS), unit="D")
    town = rng.choice(["a", "b", "c"], ROWS)
    turned = (rooms - 3) * np.where(town == "a", 1.0, -1.0)
    price = 100 + 10 * (size + turned + 0.3 * rng.standard_normal(ROWS))
    return pd.DataFrame(
        {"size": size, "age": age, "rooms": rooms, "built": built, "town": town, "price": price}
    )


FRAME = make_frame()
X = FRAME.drop(columns="price")


@pytest.fixture(scope="module")
def regressor() -> Regressor:
    recipe = Recipe(depth=1, width=16, batch_size=32, epochs=80, learning_rate=0.02, norm="none")
    found = Regressor(members=2, folds=2, recipe=recipe, workers=1)
    return found.fit(X, FRAME["price"])


def test_importance_is_that_of_scikit_learn(regressor):
    # With 24 repeats each row gets a value of each other block once: next to nothing is left to chance.
    found = popnet.importance(regressor.model_, FRAME, repeats=24)
    theirs = permutation_importance(
        regressor, X, FRAME["price"], scoring="neg_root_mean_squared_error", n_repeats=10,
        random_state=0,
    )  # fmt: skip
    mine = {g.columns[0]: g.increase for g in found.groups}
    names = list(X.columns)
    assert sorted(mine) == sorted(names)
    wanted = theirs.importances_mean
    errors = theirs.importances_std / np.sqrt(10)
    for name, value, error in zip(names, wanted, errors, strict=True):
        # scikit-learn leaves a row its own value now and then; here blocks of 12 rows never do.
        assert mine[name] == pytest.approx(value, rel=0.05, abs=5 * error + 0.01)
    assert found.loss == pytest.approx(
        np.sqrt(np.mean((regressor.predict(X) - FRAME["price"]) ** 2)), rel=1e-4
    )
    assert (found.rows, found.on, found.metric) == (ROWS, "rows given", "rmse")
    assert found.to_dict()["groups"][0]["columns"] == found.groups[0].columns


def test_effects_are_those_of_scikit_learn(regressor):
    found = popnet.effects(regressor.model_, X, ["rooms", "size", "town", "built"], rows=ROWS)
    rooms, size, town, built = found.columns
    theirs = partial_dependence(regressor, X, ["rooms"], kind="both")
    assert rooms.values == theirs["grid_values"][0].tolist()
    np.testing.assert_allclose(rooms.means, theirs["average"], rtol=1e-4)
    # Rows are drawn at random: the curves are some of theirs.
    every = theirs["individual"][0]
    for curve in rooms.curves[0]:
        assert np.abs(every - curve).max(1).min() < 1e-2
    for effect in (size, town, built):
        values = [dt.datetime(1970, 1, 1) + dt.timedelta(seconds=v) for v in built.values]
        grid = values if effect is built else effect.values
        for value, mean in list(zip(grid, effect.means[0], strict=True))[::7]:
            predicted = regressor.predict(X.assign(**{effect.column: value}))
            assert mean == pytest.approx(predicted.mean(), rel=1e-4)
    assert (town.kind, built.kind, size.kind) == ("category", "date", "number")
    assert set(town.values) == {"a", "b", "c"}
    assert town.curves == []
    assert len(size.values) == 20
    # The band is the spread of the members, here four nets (and linear models) of two folds.
    assert all(s >= 0 for s in size.spreads[0])
    assert max(size.spreads[0]) > 0
    # More rooms cost more in one town, and less in the others.
    assert found.pair is not None
    assert found.pair.columns == ("rooms", "town")
    assert 0.3 < found.pair.interaction < 1


def test_columns_are_those_that_the_model_reads(regressor):
    found = popnet.importance(regressor.model_, FRAME, columns=["town"], repeats=1, metric="mae")
    assert [g.columns for g in found.groups] == [["town"]]
    assert found.metric == "mae"
    for call in (popnet.importance, popnet.effects):
        with pytest.raises(InputError, match="no column 'twon'"):
            call(regressor.model_, FRAME, columns=["twon"])
    with pytest.raises(InputError, match="lacks the target column 'price'"):
        popnet.importance(regressor.model_, pl.from_pandas(X))


def test_an_interaction_is_what_is_no_sum():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(6), rng.standard_normal(5)
    p, q = np.full(6, 1 / 6), rng.dirichlet(np.ones(5))
    own, whole = interaction(a[:, None] + b[None, :], p, q)
    assert own == pytest.approx(0, abs=1e-12)
    assert whole == pytest.approx(a.var() + q @ (b - q @ b) ** 2)
    a, b = a - p @ a, b - q @ b
    own, whole = interaction(a[:, None] * b[None, :], p, q)
    assert own == pytest.approx(whole)
    assert own == pytest.approx((p @ a**2) * (q @ b**2))


@pytest.mark.parametrize(
    ("first", "last", "wanted"),
    [
        ("2015-03-02", "2019-06-01", ["2016", "2017", "2018", "2019"]),
        ("2024-01-15", "2024-04-20", ["Feb 2024", "Mar 2024", "Apr 2024"]),
        ("2024-05-01T06:10", "2024-05-01T10:30", ["07:00", "08:00", "09:00", "10:00"]),
        ("1900-01-01", "2000-01-01", ["1900", "1925", "1950", "1975", "2000"]),
    ],
)
def test_an_axis_of_dates_has_round_ticks(first, last, wanted):
    ends = [
        (dt.datetime.fromisoformat(d) - dt.datetime(1970, 1, 1)).total_seconds()
        for d in (first, last)
    ]
    axis = time_axis(ends)
    assert [t.text for t in axis.ticks] == wanted
    assert [t.at for t in axis.ticks] == sorted(t.at for t in axis.ticks)
    assert all(0 <= t.at <= 100 for t in axis.ticks)


def test_times_beyond_the_calendar_have_an_axis():
    assert time_axis([-1e14, 1e14]).ticks


def test_nets_trained_anew_miss_what_only_a_column_says(regressor):
    found = retrained_importance(
        regressor.model_, FRAME, columns=["size", "age"], pairs=5, workers=1
    )
    size, age = found.groups
    # Size has a variance of 1 of the price's, which is that of the rest and 1.
    share = np.var(FRAME["size"]) / (np.var(FRAME["price"]) / 100)
    assert size.columns == ["size"]
    assert size.low < share < size.high
    assert size.verdict == "matters"
    assert abs(age.increase) < share / 4
    assert age.verdict in ("no effect", "not decided")
    assert (found.retrained, found.metric, found.rows, found.repeats) == (True, "r2", ROWS, 5)
    with pytest.raises(InputError, match="give more time"):
        retrained_importance(regressor.model_, FRAME, columns=["age"], pairs=3, time_limit=0)
