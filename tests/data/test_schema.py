"""Kinds of columns and tasks: rules on made-up columns, well-known columns of real tables."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from popnet.data.tables.kinds import (
    find_duplicates,
    find_kind,
    looks_like_id,
    looks_personal,
)
from popnet.data.tables.read import read_batches, read_table
from popnet.data.tables.schema import Schema, infer_schema
from popnet.data.tables.target import Target, infer_target
from popnet.errors import InputError

N = 200
RNG = np.random.default_rng(0)
PRICES = RNG.permutation(np.arange(N) * 977 + RNG.integers(0, 900, N))
WORDS = ["the quick brown fox jumps", "over a lazy dog and then", "it goes home to rest"]


def cycle(values):
    return [values[i % len(values)] for i in range(N)]


KINDS = {
    # name, values: kind
    "numeric": ("x", RNG.normal(size=N), "numeric"),
    "prices": ("price", PRICES, "numeric"),
    "sorted prices": ("price", np.sort(PRICES) ** 2, "numeric"),
    "a sorted sample of an index": ("n", np.sort(PRICES), "identifier"),
    "counts": ("count", RNG.integers(0, 1000, N), "numeric"),
    "few": ("x", RNG.integers(0, 7, N), "discrete"),
    "few as floats": ("x", RNG.integers(0, 7, N) * 1.0, "discrete"),
    "too many for rows": ("x", cycle([*range(0, 500, 10)]), "numeric"),
    "0 and 1": ("x", cycle([0, 1]), "boolean"),
    "1 and 2 and missing": ("x", cycle([1, 2, None]), "boolean"),
    "bool": ("x", cycle([True, False]), "boolean"),
    "yes, no": ("x", cycle(["yes", "no"]), "boolean"),
    "T, F": ("x", cycle(["T", "F", None]), "boolean"),
    "0, 1 as text": ("x", cycle(["0", "1"]), "boolean"),
    "two words": ("x", cycle(["male", "female"]), "categorical"),
    "yes and missing": ("x", cycle(["yes", None]), "categorical"),
    "words": ("x", cycle(["a", "b", "c"]), "categorical"),
    "codes named id": ("store_id", cycle([*range(100, 140)]), "categorical"),
    "numbers as text": ("x", [str(v) for v in PRICES], "numeric"),
    "numbers and a word": ("x", [*map(str, PRICES[1:]), "unknown"], "numeric"),
    "levels and a word": (
        "x",
        cycle(["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "x"]),
        "categorical",
    ),
    "ISO dates": ("x", [f"2024-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(N)], "datetime"),
    "ISO times": ("x", [f"2024-01-02T{i % 24:02}:00:00Z" for i in range(N)], "datetime"),
    "dotted dates": ("x", [f"{1 + i % 28}.{1 + i % 12}.2024" for i in range(N)], "datetime"),
    "US dates": ("x", [f"{1 + i % 12}/{1 + i % 28}/2024" for i in range(N)], "datetime"),
    "month names": ("x", [f"{1 + i % 28} Mar 2024" for i in range(N)], "datetime"),
    "compact dates": ("sale_date", [20240101 + i % 28 for i in range(N)], "datetime"),
    "codes, not dates": ("x", cycle(["A-1", "B-2", "C-3"]), "categorical"),
    "free text": ("x", [f"{WORDS[i % 3]} {i}" for i in range(N)], "text"),
    "repeated sentences": ("x", cycle(WORDS), "categorical"),
    "keys": ("x", [f"k{i}" for i in range(N)], "identifier"),
    "surnames": ("Surname", cycle([f"n{i}" for i in range(60)]), "identifier"),
    "many words": ("street", cycle([f"n{i}" for i in range(60)]), "categorical"),
    "row numbers": ("x", np.arange(N), "identifier"),
    "row numbers, falling": ("x", -np.arange(N), "identifier"),
    "row numbers, shuffled": ("x", RNG.permutation(N), "identifier"),
    "row numbers as floats": ("x", np.arange(N) * 1.0, "identifier"),
    "numbers named id": ("CustomerId", PRICES, "identifier"),
    "constant": ("x", [3] * N, "constant"),
    "constant text": ("x", ["a"] * N, "constant"),
    "constant date": ("x", ["2024-01-01"] * N, "constant"),
    "empty": ("x", pl.Series([None] * N, dtype=pl.String), "empty"),
    "empty numbers": ("x", pl.Series([None] * N, dtype=pl.Float64), "empty"),
    "infinities": ("x", cycle([1.5, float("inf"), -float("inf"), 2.0, 1e300]), "numeric"),
}


@pytest.mark.parametrize("case", KINDS)
def test_kinds(case):
    name, values, kind = KINDS[case]
    column = pl.Series(name, values)
    found = find_kind(column)
    assert found.kind == kind
    if not found.nulls:
        assert found.missing == column.null_count()
        assert found.distinct == column.drop_nulls().n_unique()
    if kind in ("text", "identifier", "constant", "empty"):
        assert found.reason


def test_words_among_numbers_are_missing():
    found = find_kind(pl.Series("x", [*map(str, PRICES[2:]), "unknown", "-"]))
    assert found.nulls == ("-", "unknown")
    assert found.missing == 2
    assert "'unknown'" in found.reason


@pytest.mark.parametrize(
    "name", ["id", "ID", "PID", "CustomerId", "customer_id", "userid", "ROW_ID", "id_2", "uuid"]
)
def test_names_of_identifiers(name):
    assert looks_like_id(name)


@pytest.mark.parametrize("name", ["paid", "grid", "humidity", "idle", "width", "acid", "Midday"])
def test_names_of_features(name):
    assert not looks_like_id(name)


def test_personal_names():
    assert all(map(looks_personal, ["Surname", "last_name", "E-Mail", "Phone"]))
    assert not looks_personal("age")


def test_few_rows_hold_no_identifiers():
    assert find_kind(pl.Series("id", ["a", "b", "c"])).kind == "categorical"


def test_duplicates_are_found_across_types():
    columns = [
        pl.Series("a", [1, 2, None]),
        pl.Series("b", [1.0, 2.0, None]),
        pl.Series("c", [1, 2, 3]),
        pl.Series("d", ["x", "y", None]),
        pl.Series("e", ["x", "y", None]),
        pl.Series("f", [2, 1, None]),
        pl.Series("g", [True, False, None]),
        pl.Series("h", [1, 0, None]),
    ]
    assert find_duplicates(columns) == {"b": "a", "e": "d", "h": "g"}


def table(**columns):
    base = {"x": np.linspace(0, 1, N) ** 2, "y": cycle(["a", "b"])}
    return pl.DataFrame(base | columns)


def test_roles_and_what_is_left_out():
    frame = table(w=RNG.random(N), g=cycle([*range(9)]), t=np.arange(N), o=cycle([5, 6]))
    schema = infer_schema(frame, "y", weight="w", group="g", time="t", drop=["o"])
    assert [c.name for c in schema.features] == ["x", "t"]  # a time column stays a feature
    assert schema.column("w").reason == "row weights"
    assert schema.column("g").reason == "groups"
    assert schema.column("o").reason == "left out as asked"
    assert (schema.weight, schema.group, schema.time) == ("w", "g", "t")
    assert Schema.model_validate_json(schema.model_dump_json()) == schema


def test_keep_overrules():
    frame = table(number=np.arange(N), again=np.arange(N))
    assert [c.name for c in infer_schema(frame, "y").features] == ["x"]
    kept = infer_schema(frame, "y", keep=["again"])
    assert [c.name for c in kept.features] == ["x", "again"]


def test_describe_says_what_counts():
    frame = table(e=pl.Series([None] * N, dtype=pl.Float64), z=np.linspace(0, 1, N) ** 2)
    frame = frame.with_columns(y=pl.Series([None, *cycle(["a", "b"])[1:]]))
    lines = "\n".join(infer_schema(frame, "y").describe())
    assert "200 rows" in lines
    assert "binary" in lines
    assert "1 row without a target is left out" in lines
    assert "left out: e (all values are missing)" in lines
    assert "left out: z (the same as 'x')" in lines


TASKS = {
    "text": (cycle(["a", "b", "c"]), "multiclass", ("a", "b", "c")),
    "two texts": (cycle(["b", "a"]), "binary", ("a", "b")),
    "bool": (cycle([True, False]), "binary", (False, True)),
    "0 and 1": (cycle([0, 1]), "binary", (0, 1)),
    "any two numbers": (cycle([7.0, -2.5]), "binary", (-2.5, 7.0)),
    "0 to 2": (cycle([0, 1, 2]), "multiclass", (0, 1, 2)),
    "1 to 3 as floats": (cycle([1.0, 2.0, 3.0]), "multiclass", (1.0, 2.0, 3.0)),
    "-1 to 1": (cycle([-1, 0, 1]), "multiclass", (-1, 0, 1)),
    "scores from 3": (cycle([3, 4, 5, 6, 7]), "regression", ()),
    "with gaps": (cycle([1, 2, 5]), "regression", ()),
    "26 even classes": (np.arange(2600) % 26, "multiclass", tuple(range(26))),
    "28 ages": (
        np.repeat(np.arange(1, 29), [*range(2, 58, 4), *range(58, 2, -4)]),
        "regression",
        (),
    ),
    "floats": (RNG.normal(size=N), "regression", ()),
    "many whole numbers": (PRICES, "regression", ()),
    "numbers as text": ([str(v) for v in PRICES], "regression", ()),
}


@pytest.mark.parametrize("case", TASKS)
def test_tasks(case):
    values, task, classes = TASKS[case]
    found = infer_target(pl.DataFrame({"y": values}), ["y"])
    assert (found.task, found.classes, found.detected) == (task, classes, True)
    assert [type(c) for c in found.classes] == [type(c) for c in classes]
    again = Target.model_validate_json(found.model_dump_json())
    assert [(type(c), c) for c in again.classes] == [(type(c), c) for c in classes]


def test_a_given_task_overrules():
    scores = pl.DataFrame({"y": cycle([3, 4, 5])})
    assert infer_target(scores, ["y"], "multiclass").classes == (3, 4, 5)
    assert infer_target(scores, ["y"], "classification").task == "multiclass"
    labels = pl.DataFrame({"y": cycle([0, 1])})
    assert infer_target(labels, ["y"], "regression").task == "regression"
    assert infer_target(labels, ["y"], "classification").task == "binary"
    assert not infer_target(labels, ["y"], "binary").detected


def test_a_given_task_allows_nearly_as_many_classes_as_rows():
    frame = pl.DataFrame({"y": [f"c{i // 2}" for i in range(32)]})
    assert len(infer_target(frame, ["y"], "multiclass").classes) == 16
    frame = pl.DataFrame({"y": [f"c{i % 16}" for i in range(30)]})
    with pytest.raises(InputError, match=r"identifier; .* give the task multiclass"):
        infer_target(frame, ["y"])
    assert len(infer_target(frame, ["y"], "multiclass", single_rows=True).classes) == 16


NUMBERING = {
    "row numbers": (np.arange(N), True),
    "shuffled, from 1000": (1000 + RNG.permutation(N), True),
    "floats": (np.arange(N) * 1.0, True),
    "text": ([str(i) for i in range(N)], True),
    "one missing": ([None, *range(N - 1)], True),
    "with large gaps": (np.arange(N) * 7, False),
    "one twice": ([5, *range(N - 1)], False),
    "fractions": (np.arange(N) + 0.5, False),
    "prices": (PRICES, False),
}


@pytest.mark.parametrize("case", NUMBERING)
def test_a_target_that_numbers_the_rows_is_said(case):
    values, said = NUMBERING[case]
    schema = infer_schema(table(y=values), "y")
    assert schema.target.task == "regression"
    lines = [line for line in schema.describe() if "numbers the rows" in line]
    assert [line.startswith("the target 'y' ") for line in lines] == [True] * said
    assert Schema.model_validate_json(schema.model_dump_json()) == schema


def test_several_targets_are_a_regression():
    frame = pl.DataFrame({"a": cycle([0, 1]), "b": cycle([1, 2, None])})
    target = infer_target(frame, ["a", "b"])
    assert (target.names, target.task) == (("a", "b"), "regression")
    schema = infer_schema(frame.with_columns(x=pl.Series(RNG.random(N))), ["a", "b"])
    assert schema.rows_without_target == frame["b"].null_count()


def infinite(value):
    return [*np.linspace(0, 1, N - 1), value]


BAD = {
    "no such target": (table(), {"target": "yy"}, ["'yy'", "Did you mean 'y'?"]),
    "no target": (table(), {"target": []}, ["no target"]),
    "missing target": (table(y=pl.Series([None] * N, dtype=pl.Int64)), {}, ["'y'", "missing"]),
    "one class": (table(y=["a"] * N), {}, ["'y'", "one class", "'a'"]),
    "one number": (table(y=[2.5] * N), {"task": "regression"}, ["'y'", "2.5"]),
    "class with one row": (table(y=[*cycle(["a", "b"])[1:], "rare"]), {}, ["'rare'", "2"]),
    "class number with one row": (
        table(y=[*cycle([0, 1])[1:], 2]),
        {},
        ["class 2 with one row", "task regression"],
    ),
    "identifier": (table(y=[f"k{i}" for i in range(N)]), {}, ["identifier", "200 classes"]),
    "numbers as classes": (
        table(y=PRICES),
        {"task": "multiclass"},
        ["one row each", "task regression"],
    ),
    "text for regression": (table(), {"task": "regression"}, ["'y'", "'a'", "row 1", "regression"]),
    "infinite": (table(y=infinite(float("inf"))), {}, ["'y'", "row 200", "inf"]),
    "huge": (table(y=infinite(1e300)), {}, ["'y'", "row 200", "1e+300"]),
    "two rows": (
        table().head(2).with_columns(y=pl.Series([0, 1])),
        {"task": "regression"},
        ["2 rows", "10"],
    ),
    "nine with a target": (
        table(y=[*range(9)] + [None] * (N - 9)),
        {"task": "regression"},
        ["9 rows", "10"],
    ),
    "only constants": (table(x=[1] * N, z=range(N)), {}, ["'x'", "'z'", "learn"]),
    "no other column": (table().select("y"), {}, ["no other column"]),
    "target twice": (table(), {"target": ["x", "x"]}, ["'x'", "twice"]),
    "target dropped": (table(), {"drop": ["y"]}, ["'y'", "target", "drop"]),
    "target is weight": (table(), {"weight": "y"}, ["'y'", "target", "weight"]),
    "no weight column": (table(), {"weight": "z"}, ["'z'", "weight"]),
    "no drop column": (table(), {"drop": ["z"]}, ["'z'", "drop"]),
    "drop is text": (table(), {"drop": "x"}, ["lists"]),
    "unknown task": (table(), {"task": "multiclas"}, ["'multiclass'"]),
    "binary with 3": (table(y=cycle([0, 1, 2])), {"task": "binary"}, ["3 classes"]),
    "classes of several": (table(), {"target": ["x", "y"], "task": "binary"}, ["one target"]),
    "text among several": (table(), {"target": ["x", "y"]}, ["'y'", "'a'"]),
    "dates": (table(y=pl.Series([0] * N).cast(pl.Date)), {}, ["'y'", "dates"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables(case):
    frame, options, words = BAD[case]
    with pytest.raises(InputError) as caught:
        infer_schema(frame, **({"target": "y"} | options))
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith((".", "?"))
    for word in words:
        assert word in message


# --- real tables -------------------------------------------------------------------------------

DATA = Path(os.environ.get("POPNET_DATA", Path(__file__).parents[3] / "shared" / "data"))
TABLES = sorted(p for p in (DATA / "tables").glob("*/*.csv.gz") if p.name != "test.csv.gz")
REGRESSION = {
    "abalone", "ames_housing", "bike_sharing", "california", "cpu_act", "diamonds", "mercedes",
    "wine_quality",
}  # fmt: skip
KNOWN = {
    "churn": {
        "RowNumber": "identifier",
        "CustomerId": "identifier",
        "Surname": "identifier",
        "Balance": "numeric",
        "Geography": "categorical",
        "HasCrCard": "boolean",
        "NumOfProducts": "discrete",
    },
    "titanic": {
        "name": "identifier",
        "pclass": "discrete",
        "sex": "categorical",
        "age": "numeric",
        "fare": "numeric",
        "body": "numeric",
        "boat": "categorical",
    },
    "ames_housing": {
        "Order": "identifier",
        "PID": "identifier",
        "Lot Area": "numeric",
        "Overall Qual": "discrete",
        "Neighborhood": "categorical",
        "Central Air": "boolean",
    },
    "bike_sharing": {"datetime": "datetime", "season": "discrete", "temp": "numeric"},
    "mercedes": {"ID": "identifier", "X0": "categorical", "X11": "constant", "X37": "duplicate"},
    "otto": {"id": "identifier"},
    "covertype": {"Elevation": "numeric", "Wilderness_Area": "categorical"},
}
needs_data = pytest.mark.skipif(not TABLES, reason=f"no tables in {DATA} (set POPNET_DATA)")


@needs_data
@pytest.mark.parametrize("path", TABLES, ids=lambda p: p.parent.name)
def test_real_tables(path):
    name = path.parent.name
    frame = read_table(path)
    schema = infer_schema(frame, frame.columns[-1])
    assert (schema.target.task == "regression") == (name in REGRESSION)
    assert sum(b.height for b in read_batches(path, 100_000)) == frame.height
    kinds = {c.name: c.kind for c in schema.columns}
    assert {n: kinds[n] for n in KNOWN.get(name, {})} == KNOWN.get(name, {})
    if name == "mercedes":
        assert sum(k == "constant" for k in kinds.values()) == 12


@needs_data
def test_real_duplicates_are_those_of_pandas():
    frame = read_table(DATA / "tables" / "mercedes" / "data.csv.gz")
    columns = frame.select(pl.col(pl.Int64)).drop("ID")
    twice = columns.to_pandas(use_pyarrow_extension_array=False).T.duplicated()
    assert set(find_duplicates(columns.get_columns())) == set(twice.index[twice])


@pytest.mark.parametrize(
    ("values", "task", "said"),
    [
        (
            [1, 2, 3, 4, 5, 7] * 20,
            None,
            "6 different whole numbers are taken as numbers; --task multiclass",
        ),
        (
            [3.0, 4.0, 5.0, 9.0] * 20,
            None,
            "4 different whole numbers are taken as numbers; --task multiclass",
        ),
        ([1, 2, 3] * 20, None, "whole numbers are taken as classes; --task regression"),
        (list(range(60)), None, "found from its values"),
        ([0.5, 1.5, 2.5] * 20, None, "found from its values"),
        ([0, 1] * 30, None, "found from its values"),
        ([True, False] * 30, None, "found from its values"),
        (["a", "b", "c"] * 20, None, "found from its values"),
        ([1, 2, 3, 4, 5, 7] * 20, "regression", "as asked"),
        ([1, 2, 3] * 20, "multiclass", "as asked"),
    ],
)
def test_a_task_that_could_be_another_is_said_with_its_option(values, task, said):
    frame = pl.DataFrame({"x": np.arange(len(values)) / 7, "y": values})
    schema = infer_schema(frame, "y", task=task)
    assert any(said in line for line in schema.describe())
    assert any(said in guess for guess in schema.guesses) == ("--task" in said)
    again = type(schema).model_validate_json(schema.model_dump_json())
    assert again == schema
    assert again.guesses == schema.guesses
