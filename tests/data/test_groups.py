"""A table's rows in groups: every row is in the group that its label names."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl
import pytest

from popnet.data.tables.groups import MAX_LEVELS, MISSING, row_groups
from popnet.data.tables.schema import conform, infer_schema

ROWS = 400


@pytest.fixture(scope="module")
def grouped():
    rng = np.random.default_rng(0)
    age = rng.integers(18, 90, ROWS).astype(float)
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=int(d)) for d in np.arange(ROWS)]
    frame = pl.DataFrame(
        {
            "age": [None if i % 8 == 0 else a for i, a in enumerate(age)],
            "place": rng.choice(["near", "far", "x"], ROWS, p=[0.6, 0.38, 0.02]),
            "member": rng.choice([True, False], ROWS),
            "joined": days,
            "dropped": rng.choice(["a", "b"], ROWS),
            "street": [f"{i} {w} street" for i, w in enumerate(rng.choice(["High", "Low"], ROWS))],
            "town": rng.choice([f"town {i}" for i in range(30)], ROWS),
            "y": rng.choice(["yes", "no"], ROWS),
        }
    )
    schema = infer_schema(frame, "y", drop=("dropped",))
    return frame, {c.name: c for c in row_groups(conform(frame, schema), schema)}


def test_levels_and_truth_values_are_groups_of_their_rows(grouped):
    frame, columns = grouped
    for name in ("place", "dropped", "member"):
        found = columns[name]
        for g, label in enumerate(found.labels):
            rows = frame[name].cast(pl.String).to_numpy() == label
            assert rows.sum() >= 30
            assert np.array_equal(found.groups == g, rows)
    assert set(columns["place"].labels) == {"near", "far"}  # "x" has too few rows
    assert set(columns["dropped"].labels) == {"a", "b"}


def test_numbers_are_cut_into_quarters_and_missing_ones_are_a_group(grouped):
    frame, columns = grouped
    found, age = columns["age"], frame["age"].to_numpy()
    first, *_, last, missing = found.labels
    assert len(found.labels) == 5
    assert missing == MISSING
    assert np.array_equal(found.groups == 4, np.isnan(age))
    assert np.array_equal(found.groups == 0, age < float(first.removeprefix("below ")))
    assert np.array_equal(found.groups == 3, age >= float(last.removesuffix(" or more")))
    counts = np.bincount(found.groups)
    assert max(counts[:4]) < 1.5 * min(counts[:4])


def test_dates_are_cut_by_days(grouped):
    frame, columns = grouped
    found = columns["joined"]
    edge = datetime.date.fromisoformat(found.labels[0].removeprefix("below "))
    assert np.array_equal(found.groups == 0, (frame["joined"] < edge).to_numpy())


def test_what_names_single_rows_is_no_group_and_levels_are_few(grouped):
    _, columns = grouped
    assert "street" not in columns
    assert "y" not in columns
    assert all(len(c.labels) <= MAX_LEVELS + 1 for c in columns.values())
