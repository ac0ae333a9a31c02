"""Values of a wrong type, given in Python: one sentence that names the parameter, before any work."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from popnet import (
    Classifier,
    Dataset,
    Features,
    InputError,
    Model,
    Recipe,
    search,
    train_population,
)
from popnet.options import Options
from popnet.runtime import strict_json

KEPT = Path(__file__).parent / "model" / "kept"
RNG = np.random.default_rng(0)
X, Y = RNG.random((60, 3)), np.arange(60) % 2
RECIPE = Recipe(depth=1, width=4, epochs=1, batch_size=16)
NO_WHOLE = ["5", 2.5, 2.0, True, [3], object(), np.float64(2), math.nan]
NO_NUMBER = ["a", "0.5", [1], object(), True]


def refused(call, name: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    said = str(caught.value)
    assert said.startswith(name), said
    assert "\n" not in said
    assert said.endswith(".")


@pytest.mark.parametrize(
    ("names", "values"),
    [
        (["members", "folds", "workers", "tta", "search_patience"], [*NO_WHOLE, 0, -1]),
        (["seed"], [*NO_WHOLE, None, np.random.default_rng(0)]),
        (["time_limit", "memory_limit", "test_size"], NO_NUMBER),
        (["search", "metric", "storage"], [3, ["random"], object()]),
        (["ensemble", "augment"], [None, 3, "best"]),
        (["recipe"], [{"depth": 1}, "recipe.toml", 3]),
    ],
)
def test_options_name_what_cannot_be_used(names, values):
    for name in names:
        for value in values:
            refused(lambda n=name, v=value: Options(**{n: v}).check(), name)


def test_numbers_of_numpy_are_numbers(tmp_path):
    numbers = {
        "members": np.int64(2),
        "folds": np.int32(2),
        "seed": np.int64(3),
        "workers": np.uint8(1),
    }
    Options(**numbers, test_size=np.float32(0.2), time_limit=np.int64(5)).check()
    fitted = Classifier(**numbers, recipe=RECIPE).fit(X, Y)
    model = Model.load(fitted.save(tmp_path / "m"))
    assert model.facts is not None
    assert model.facts.fit.seed == 3
    same = Classifier(members=2, folds=2, seed=3, workers=1, recipe=RECIPE).fit(X, Y)
    assert np.array_equal(fitted.predict_proba(X), same.predict_proba(X))


def test_json_takes_whole_numbers_of_numpy():
    values = {"a": [np.int64(2), np.uint8(3)], "b": (np.float64(0.5), True, None)}
    assert strict_json.dumps(values) == '{"a": [2, 3], "b": [0.5, true, null]}'


@pytest.mark.parametrize("name", ["members", "seed", "space", "recipe"])
@pytest.mark.parametrize("value", ["5", 2.5])
def test_estimators_name_what_cannot_be_used(name, value):
    refused(lambda: Classifier(**{name: value}).fit(X, Y), name)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("seed", [None, "a", 1.5]),
        ("workers", ["1", 0, 0.5]),
        ("folds", ["5", None, 2.5]),
        ("budget", [None, [1], True, -1]),
        ("strategy", [None, 3, "best"]),
        ("engine", [None, 3]),
        ("recipe", [{"depth": 1}]),
        ("space", [3, "dropout=0:0.5"]),
    ],
)
def test_search_names_what_cannot_be_used(name, values):
    said = {"strategy": "search"}.get(name, name)
    for value in values:
        given = {"budget": 1, "folds": 2, "space": {"epochs": [1]}, name: value}
        refused(lambda g=given: search((X, Y), **g), said)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("seeds", [None, 3, "0", [None], ["a"], [0.5]]),
        ("recipes", [None, 3, RECIPE, [{"depth": 1}]]),
        ("workers", ["1", 0]),
        ("time_limit", ["5m", [1]]),
        ("folds", [3]),
    ],
)
def test_training_names_what_cannot_be_used(name, values):
    data = Dataset(Features.from_numeric(X), Y.astype(np.int32), "classification", 2)
    for value in values:
        given = {"recipes": [RECIPE], "folds": [(np.arange(30), np.arange(30, 60))], name: value}
        refused(lambda g=given: train_population(data, **g), name)


# --- predictions ------------------------------------------------------------------------------------


def table() -> pl.DataFrame:
    rows = pl.read_csv(KEPT / "predictions.csv").height
    x = np.linspace(-1, 1, rows)
    frame = pl.DataFrame({"x": x, "size": -x, "colour": ["red"] * rows, "member": [True] * rows})
    return frame.with_columns(day=pl.date(2025, 1, 1))


def test_frames_of_every_kind_predict_the_same(tmp_path):
    model, frame = Model.load(KEPT), table()
    frame.write_parquet(tmp_path / "t.parquet")
    expected = model.predict_frame(frame, proba=True)
    for other in (
        frame.to_pandas(),
        frame.lazy(),
        tmp_path / "t.parquet",
        str(tmp_path / "t.parquet"),
    ):
        assert model.predict_frame(other, proba=True).equals(expected)


@pytest.mark.parametrize("frame", [None, 3, {"x": [1]}, object()])
def test_what_is_no_table_is_refused(frame):
    refused(lambda: Model.load(KEPT).predict_frame(frame), "cannot read a table from a")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"interval": "0.9"}, "coverage must be a number"),
        ({"interval": [0.9]}, "coverage must be a number"),
        ({"quantiles": 0.5}, "quantiles must be a list"),
        ({"quantiles": "0.5"}, "quantiles must be a list"),
        ({"quantiles": ["0.5"]}, "a quantile must be a number"),
    ],
)
def test_intervals_of_a_wrong_type_are_refused(options, said):
    refused(lambda: Model.load(KEPT).predict_frame(table(), **options), said)
