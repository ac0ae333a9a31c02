"""Columns made of two others are added where they help on rows that had no part in the choice, and only there."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from popnet import Recipe
from popnet.fitting.combined_columns import find, wanted, with_combined_columns
from popnet.fitting.run import prepare
from popnet.options import Options
from popnet.runtime.progress import Progress

ROWS = 1500
RNG = np.random.default_rng(0)
COLUMNS = {
    "a": RNG.lognormal(0, 0.7, ROWS), "b": RNG.lognormal(0, 0.7, ROWS),
    "c": RNG.normal(0, 1, ROWS), "d": RNG.normal(0, 1, ROWS),
}  # fmt: skip
NOISE = RNG.normal(0, 0.3, ROWS)
TARGETS = {
    "ratio": 5 * np.sin(2 * np.log(COLUMNS["a"] / COLUMNS["b"])) + NOISE,
    "product": 3 * COLUMNS["c"] * COLUMNS["d"] + NOISE,
    "difference": 5 * np.sin(2 * (COLUMNS["c"] - COLUMNS["d"])) + NOISE,
    "sum": 5 * np.sin(2 * (COLUMNS["c"] + COLUMNS["d"])) + NOISE,
}


def table(y: np.ndarray, more: dict[str, np.ndarray] | None = None, **options):
    frame = pl.DataFrame({**COLUMNS, **(more or {}), "y": y})
    return prepare(frame, "y", Options(test_size=0, **options))


@pytest.mark.parametrize("operation", TARGETS)
def test_what_a_target_was_made_of_is_found(operation):
    found = find(table(TARGETS[operation]), 0)
    assert found is not None
    first = found.combinations[0]
    assert first.operation == operation
    assert {first.first, first.second} == ({"a", "b"} if operation == "ratio" else {"c", "d"})
    assert found.gain > 0.1
    assert found.error < found.gain / 2


def test_what_two_classes_were_made_of_is_found():
    found = find(table(np.where(COLUMNS["a"] / COLUMNS["b"] > 1.3, "up", "down")), 0)
    assert found is not None
    assert found.combinations[0].operation in ("ratio", "difference")
    assert {found.combinations[0].first, found.combinations[0].second} == {"a", "b"}


@pytest.mark.parametrize("seed", range(3))
def test_noise_and_sums_of_columns_effects_have_none(seed):
    rng = np.random.default_rng(seed)
    assert find(table(rng.normal(0, 1, ROWS)), seed) is None
    steps = (COLUMNS["a"] > 4) + 2.0 * (COLUMNS["d"] > 0) + rng.normal(0, 0.5, ROWS)
    assert find(table(steps), seed) is None


def test_the_seed_alone_decides():
    y = TARGETS["ratio"]
    assert find(table(y), 3) == find(table(y), 3)


@pytest.mark.parametrize("split", ["group", "time", "weight"])
def test_splits_and_weights_are_kept_to(split):
    more = {split: RNG.integers(0, 40, ROWS).astype(float) + 1}
    found = find(table(TARGETS["ratio"], more, **{split: split}), 0)
    assert found is not None
    assert {found.combinations[0].first, found.combinations[0].second} == {"a", "b"}


def test_a_fit_gets_them_and_says_so():
    notes: list[Progress] = []
    before = table(TARGETS["product"])
    after = with_combined_columns(before, Options(), notes.append)
    assert after.encoder.member_numbers[4] in ("c * d", "d * c")
    assert after.data.features.numeric.shape[1] == 4 + len(after.encoder.combinations)
    assert after.data.features.knots.shape[0] == after.data.features.numeric.shape[1]
    (said,) = set(after.notes) - set(before.notes)
    assert after.encoder.member_numbers[4] in said
    assert "--without combinations" in said
    assert [p.stage for p in notes] == ["combining columns"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, True),
        ({"combinations": False}, False),
        ({"recipe": Recipe(width=8)}, False),
        ({"time_limit": 60.0}, True),
        ({"time_limit": 20.0}, False),
    ],
)
def test_who_gets_them(options, expected):
    assert wanted(table(TARGETS["sum"]), Options(**options)) is expected


def test_few_rows_get_none():
    frame = pl.DataFrame({**COLUMNS, "y": TARGETS["sum"]}).head(900)
    assert not wanted(prepare(frame, "y", Options()), Options())
