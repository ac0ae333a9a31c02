"""The doctor's rules on tables: planted faults are found and named, healthy tables are left alone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from popnet.data import splits
from popnet.data.tables.read import read_table
from popnet.data.tables.schema import infer_schema
from popnet.diagnosis.findings import DoctorFinding
from popnet.diagnosis.limits import Limits
from popnet.diagnosis.tables import columns, leakage, univariate
from popnet.diagnosis.tables.labels import label_noise, suspects

DATA = Path(os.environ.get("POPNET_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(
    not (DATA / "tables").exists(), reason=f"no tables in {DATA} (set POPNET_DATA)"
)
ROWS = 400


def look(frame: pl.DataFrame, target: str = "y", **options) -> list[DoctorFinding]:
    """Return all findings about a table, split at random."""
    keep = options.pop("keep", ())
    schema = infer_schema(frame, target, keep=keep, time=options.pop("split_by", None))
    part = splits.holdout(frame.height, 0.25, 0)
    return columns.find(frame, schema, part.train, part.valid, limits=Limits(workers=1), **options)


def rules(found: list[DoctorFinding]) -> dict[str, DoctorFinding]:
    assert len({f.rule for f in found}) == len(found)
    return {f.rule: f for f in found}


def healthy(seed: int = 0, n: int = ROWS) -> pl.DataFrame:
    """Two classes, columns of all kinds that say something about them, some missing values; nothing wrong."""
    rng = np.random.default_rng(seed)
    a, b, noise = rng.normal(size=(3, n))
    count, kind = rng.poisson(5, n), rng.choice(["low", "middle", "high"], n)
    score = a + 0.5 * (kind == "high") + 0.1 * count + 0.5 * noise
    holes = rng.random(n) < 0.1
    return pl.DataFrame(
        {
            "a": a,
            "b": pl.Series(np.where(holes, np.nan, b)).fill_nan(None),
            "count": count,
            "income": np.round(rng.lognormal(10, 0.5, n)).astype(int),
            "kind": kind,
            "y": np.where(score > np.median(score), "yes", "no"),
        }
    )


def bundled(name: str) -> pl.DataFrame:
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return pl.DataFrame({f"x{i}": X[:, i] for i in range(X.shape[1])} | {"y": y})


# --- healthy tables -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_a_healthy_table_has_no_findings(seed):
    assert look(healthy(seed)) == []


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits"])
def test_bundled_tables_leak_nothing(name):
    """In iris and wine one column tells nearly all classes; that is no leak, for others do as well."""
    found = rules(look(bundled(name)))
    assert set(found) <= {"constant_columns", "duplicate_columns"}
    assert ("constant_columns" in found) == (name == "digits")


# --- leakage ------------------------------------------------------------------------------------


def test_a_column_that_gives_classes_away_is_an_error_that_names_it():
    frame = healthy()
    late = np.where(frame["y"] == "yes", "paid", "open")
    late[::50] = "open"
    found = rules(
        look(frame.with_columns(pl.Series("invoice", late)).select("invoice", *frame.columns))
    )
    assert set(found) == {"target_leakage"}
    leak = found["target_leakage"]
    assert leak.severity == "error"
    assert leak.columns == leak.remedy.drop == ("invoice",)
    assert leak.value > leak.threshold == leakage.SKILL


def test_having_a_value_at_all_may_give_the_target_away():
    frame = healthy()
    rng = np.random.default_rng(1)
    boat = [
        str(v) if y == "yes" else None
        for v, y in zip(rng.integers(0, 20, ROWS), frame["y"], strict=True)
    ]
    found = rules(look(frame.with_columns(boat=pl.Series(boat))))
    assert found["target_leakage"].columns == ("boat",)
    assert "Whether it has a value" in found["target_leakage"].measured
    # A value that a part of one class has: nearly nothing is predicted by it, but what it says is certain.
    body = [v if v is not None and int(v) < 12 else None for v in boat]
    found = rules(look(frame.with_columns(body=pl.Series(body))))
    assert set(found) == {"presence_leakage"}
    assert found["presence_leakage"].columns == ("body",)
    assert "yes" in found["presence_leakage"].measured


def test_a_copy_of_a_leak_does_not_hide_it():
    frame = healthy().with_columns(one=(pl.col("y") == "yes").cast(pl.Int64) * 3 + 1)
    frame = frame.with_columns(two=10.0 - pl.col("one") * 1.5)
    leaks = [f.columns for f in look(frame) if f.rule == "target_leakage"]
    assert leaks == [("one",), ("two",)]


@pytest.mark.parametrize("form", ["log", "noisy", "level"])
def test_a_number_that_gives_a_number_away(form):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, ROWS))
    y = np.exp(a + b + rng.normal(size=ROWS))
    late = {"log": np.log(y), "noisy": y * 1.17 + 0.02 * rng.normal(size=ROWS)}.get(form)
    if late is None:  # a code for each tenth of a narrow target
        y = np.round(rng.uniform(0, 20, ROWS))
        late = pl.Series([f"band {v:.0f}" for v in y])
        y = y + 0.01 * rng.normal(size=ROWS)
    found = rules(look(pl.DataFrame({"a": a, "b": b, "late": late, "y": y})))
    assert found["target_leakage"].columns == ("late",)


def test_an_honest_strong_column_is_no_leak():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, ROWS))
    y = 5 * a + b
    assert look(pl.DataFrame({"a": a, "b": b, "y": y + 0.5 * rng.normal(size=ROWS)})) == []


@pytest.mark.parametrize("factors", [(1, 1), (1, -1), (2.5, 0.5, -1), (1, 1, 1, 1, 1)])
def test_columns_that_add_up_to_the_target_are_named(factors):
    rng = np.random.default_rng(0)
    X = rng.lognormal(size=(ROWS, 9))
    X[:, 8] = X[:, 0] + X[:, 7]  # a detour that the search must not take
    y = X[:, : len(factors)] @ np.array(factors) + 3
    names = [f"x{i}" for i in range(9)]
    frame = pl.DataFrame(dict(zip(names, X.T, strict=True)) | {"y": np.round(y, 4)})
    found = [f for f in look(frame) if f.rule == "target_sum"]
    assert [f.columns for f in found] == [tuple(names[: len(factors)])]
    assert found[0].severity == "error"
    assert found[0].value < leakage.EXACT


def test_a_sum_with_noise_is_none_and_many_terms_are_a_model():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, 8))
    assert leakage.exact_sum(X, X[:, 0] + X[:, 1] + 0.05 * rng.normal(size=ROWS)) is None
    assert leakage.exact_sum(X, X @ np.arange(1, 9)) is None
    holes = X.copy()
    holes[::10, 0] = np.nan
    found = leakage.exact_sum(holes, X[:, 0] - X[:, 3])
    assert found is not None
    assert found.columns == [0, 3]
    np.testing.assert_allclose(found.factors, [1, -1], atol=1e-9)


def test_cells_put_missing_values_apart_and_predictions_do_not_see_their_own_fold():
    frame = pl.DataFrame({"x": [1.0, None, 3.0, 1.0] * 10, "y": [0, 1] * 20})
    column = infer_schema(frame, "y").column("x")
    cells = univariate.cells(frame["x"], column)
    assert cells.total == 3
    np.testing.assert_array_equal(cells.numbers[:4], [0, 2, 1, 0])
    y = np.arange(40) % 2
    # Each row a level of its own: seen rows would be known by heart, unseen ones not at all.
    alone = univariate.Cells(np.arange(40), 41)
    shares = univariate.cross_fitted_proba(alone, y, 2, np.arange(40) % 5)
    np.testing.assert_allclose(shares, 0.5)


# --- columns ------------------------------------------------------------------------------------


def test_identifiers_left_out_are_noted_and_used_ones_warned_of():
    rng = np.random.default_rng(0)
    frame = healthy().with_columns(
        customer_id=pl.Series(rng.permutation(ROWS)),
        counter=pl.Series(np.cumsum(rng.integers(1, 90, ROWS))),
        drawn=pl.Series(rng.choice(90_000_000, ROWS, replace=False) + 10_000_000),
    )
    found = look(frame, keep=["counter"])
    assert [(f.rule, f.severity, f.columns) for f in found] == [
        ("identifiers", "note", ("customer_id",)),
        ("identifiers", "warning", ("counter", "drawn")),
    ]
    kept = look(frame, keep=["customer_id", "counter"])
    assert [f.severity for f in kept] == ["warning"]
    assert set(kept[0].columns) == set(kept[0].remedy.drop) == {"counter", "drawn", "customer_id"}


def test_levels_that_stand_alone_are_noted():
    rng = np.random.default_rng(0)
    ticket = [f"T{v}" for v in rng.integers(0, 700, ROWS)]
    found = rules(look(healthy().with_columns(ticket=pl.Series(ticket))))
    assert set(found) == {"lone_levels"}
    assert found["lone_levels"].columns == ("ticket",)


def test_constant_and_duplicate_columns_are_named():
    frame = healthy().with_columns(pl.lit("x").alias("same"), pl.col("a").alias("again"))
    frame = frame.select(*[c for c in frame.columns if c != "y"], "y")
    found = rules(look(frame))
    assert {r: (f.severity, f.columns) for r, f in found.items()} == {
        "constant_columns": ("note", ("same",)),
        "duplicate_columns": ("note", ("again",)),
    }
    kept = rules(look(frame, keep=["again", "a"]))
    assert kept["duplicate_columns"].severity == "warning"


# --- rows ---------------------------------------------------------------------------------------


def test_rows_on_both_sides_of_the_split_are_counted():
    frame = healthy()
    frame = pl.concat([frame, frame[:40]])
    found = rules(look(frame))
    assert set(found) == {"shared_rows"}
    shared = found["shared_rows"]
    part = splits.holdout(frame.height, 0.25, 0)
    known = set(frame[part.train].iter_rows())
    expected = [int(r) for r in part.valid if frame.row(int(r)) in known]
    assert list(shared.rows) == expected
    assert shared.value == len(expected) / len(part.valid)
    # The same rows with the other class: nobody can tell them apart, but nobody learns them by heart.
    other = frame[ROWS:].with_columns(
        y=pl.when(pl.col("y") == "yes").then(pl.lit("no")).otherwise(pl.lit("yes"))
    )
    found = rules(look(pl.concat([frame[:ROWS], other])))
    assert set(found) == {"conflicting_rows"}


def test_coarse_columns_repeat_themselves_by_chance():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, (600, 4))
    y = (X[:, 0] + rng.random(600) > 1.5).astype(int)
    frame = pl.DataFrame({f"x{i}": X[:, i] for i in range(4)} | {"y": y})
    assert look(frame) == []


def test_a_rare_class_is_to_be_weighed():
    frame = healthy(n=1200)
    rare = frame.filter((pl.col("y") == "no") | (pl.int_range(pl.len()) % 12 == 0))
    found = rules(look(rare))
    assert set(found) == {"class_imbalance"}
    imbalance = found["class_imbalance"]
    assert "yes" in imbalance.measured
    assert imbalance.value > imbalance.threshold
    assert imbalance.remedy.fields == {"class_balance": 1.0}
    few = frame.filter((pl.col("y") == "no") | (pl.int_range(pl.len()) % 200 == 0))
    assert rules(look(few))["class_imbalance"].severity == "warning"


# --- time ---------------------------------------------------------------------------------------


def dated(drift: float) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    n = 600
    day = rng.integers(0, 700, n)
    a = rng.normal(size=n)
    when = pl.Series(np.datetime64("2020-01-01") + day.astype("timedelta64[D]"))
    return pl.DataFrame({"when": when, "a": a, "y": a + drift * day / 700 + rng.normal(size=n)})


@pytest.mark.parametrize("given", [False, True])
def test_a_target_that_drifts(given):
    found = rules(look(dated(2.0), split_by="when" if given else None))
    assert set(found) == {"time_drift"}
    drift = found["time_drift"]
    assert drift.columns[0] == "when"
    assert drift.severity == ("note" if given else "warning")
    assert ("--time" in drift.remedy.words) != given
    assert drift.value > drift.threshold


def test_no_drift_without_one():
    assert look(dated(0.0)) == []


# --- labels -------------------------------------------------------------------------------------


def exchanged(y: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of which a share is exchanged for another class, and which these are."""
    rng = np.random.default_rng(1)
    wrong = rng.random(len(y)) < share
    return np.where(wrong, (y + rng.integers(1, y.max() + 1, len(y))) % (y.max() + 1), y), wrong


def members(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    models = [KNeighborsClassifier(15), LogisticRegression(C=0.01, max_iter=500)]
    each = [cross_val_predict(m, X, y, cv=5, method="predict_proba") for m in models]
    return np.stack([np.asarray(p) for p in each])


def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = datasets.load_digits(return_X_y=True)
    return np.asarray(X) / 16, np.asarray(y)


def test_wrong_labels_are_found_and_right_ones_left_alone():
    X, y = digits()
    assert label_noise(members(X, y), y) is None
    z, wrong = exchanged(y, 0.06)
    found = label_noise(members(X, z), z, rows=np.arange(len(y)) + 1000)
    assert found is not None
    assert 0.03 < found.value < 0.09
    assert len(found.rows) == 50
    assert wrong[np.array(found.rows) - 1000].mean() > 0.9


def test_classes_that_overlap_are_no_label_noise():
    """A quarter of the labels contradicts the best prediction there is, and none is wrong."""
    rng = np.random.default_rng(0)
    p = 1 / (1 + np.exp(-1.5 * rng.normal(size=4000)))
    y = (rng.random(4000) < p).astype(int)
    both = np.stack([1 - p, p], 1)[None]
    found = suspects(both, y)
    assert found is not None
    assert found.overall > 0.2
    assert label_noise(both, y) is None
    # The same of plain rows, with a tenth of the labels exchanged.
    plain = np.where(p > 0.5, 0.95, 0.05)
    z = exchanged((p > 0.5).astype(int), 0.1)[0]
    assert label_noise(np.stack([1 - plain, plain], 1)[None], z) is not None


def test_members_without_a_prediction_are_passed_over():
    X, y = digits()
    z = exchanged(y, 0.1)[0]
    one = members(X, z)[:1]
    torn = np.repeat(one, 2, 0)
    torn[0, ::2], torn[1, 1::2] = np.nan, np.nan
    assert label_noise(torn, z) == label_noise(one, z)
    assert label_noise(np.full_like(torn, np.nan), z) is None


# --- real tables --------------------------------------------------------------------------------

KNOWN = {
    "titanic": {
        "target_leakage": {"boat"},
        "presence_leakage": {"body"},
        "identifiers": {"name"},
        "lone_levels": {"ticket"},
    },
    "churn": {"identifiers": {"RowNumber", "CustomerId", "Surname"}},
    "ames_housing": {"identifiers": {"Order", "PID"}},
    "california": {},
    "bank": {},
    "credit_g": {},
    "abalone": {},
    "mushroom": {"constant_columns": {"veil-type"}},
    "penguins": {},
    "wine_quality": {"shared_rows": set()},
}


def real(name: str) -> pl.DataFrame:
    folder = DATA / "tables" / name
    path = folder / "data.csv.gz"
    return read_table(path if path.exists() else folder / "train.csv.gz")


@needs_data
@pytest.mark.parametrize("name", KNOWN)
def test_real_tables(name):
    frame = real(name)
    found = rules(look(frame, frame.columns[-1]))
    assert {rule: set(f.columns) for rule, f in found.items()} == KNOWN[name]


@needs_data
def test_bike_sharing_adds_up_and_drifts():
    frame = real("bike_sharing")[::4]
    found = rules(look(frame, "count"))
    assert set(found) == {"target_sum", "time_drift"}
    assert found["target_sum"].columns == ("casual", "registered")
    assert found["target_sum"].measured.startswith("casual + registered = count")
    assert found["time_drift"].columns[0] == "datetime"


@needs_data
def test_mercedes_has_constant_and_duplicate_columns():
    frame = real("mercedes")
    schema = infer_schema(frame, "y")
    assert len(columns.constant(schema).columns) == 12  # pyright: ignore[reportOptionalMemberAccess]
    copies = columns.duplicate(frame, schema)
    assert copies is not None
    assert {"X37", "X39"} <= set(copies.columns)
    assert copies.severity == "note"
