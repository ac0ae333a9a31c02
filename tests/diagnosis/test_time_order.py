"""Order in time: tables of which the future is harder than gaps are named, others are left alone."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from popnet.data.tables.schema import infer_schema
from popnet.diagnosis.tables import time_order
from popnet.fitting.run import prepare
from popnet.options import Options

ROWS = 1200
HOURS = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=i) for i in range(ROWS)]


def wandering(seed: int = 0, n: int = ROWS) -> np.ndarray:
    """Return a random walk with standard deviation 1."""
    walk = np.cumsum(np.random.default_rng(seed).normal(size=n))
    return (walk - walk.mean()) / walk.std()


def table(level: np.ndarray | float, seed: int = 0) -> pl.DataFrame:
    """Return hourly rows whose target is a feature, noise, and a level that may wander."""
    a, b, noise = np.random.default_rng(seed + 100).normal(size=(3, ROWS))
    return pl.DataFrame({"when": HOURS, "a": a, "b": b, "y": a + 0.3 * noise + level})


def found(frame: pl.DataFrame, **roles: str) -> time_order.TimeGap | None:
    return time_order.flattered(frame, infer_schema(frame, "y", **roles))


def named(frame: pl.DataFrame) -> list[str]:
    """Return the columns that may order the rows."""
    return [c.name for c in time_order.time_columns(frame, infer_schema(frame, "y"))]


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_level_that_wanders_is_found_along_the_dates_in_any_order_of_the_file(shuffled: bool):
    frame = table(4 * wandering())
    if shuffled:
        frame = frame.sample(fraction=1.0, shuffle=True, seed=1)
    gap = found(frame)
    assert gap is not None
    assert (gap.column, gap.metric, gap.blocks, gap.rows) == ("when", "RMSE", 10, ROWS)
    # The walk moves on by more than the noise within a stretch.
    assert 0.2 < gap.low < gap.gap < gap.high


def test_classes_are_compared_by_log_loss():
    frame = table(4 * wandering()).with_columns(
        y=pl.when(pl.col("y") > 0).then(pl.lit("up")).otherwise(pl.lit("down"))
    )
    gap = found(frame)
    assert gap is not None
    assert gap.metric == "log-loss"
    assert gap.low > 0.1


def test_rows_that_only_have_dates_are_left_alone():
    gaps = []
    for seed in range(4):
        frame = table(0.0, seed)
        schema = infer_schema(frame, "y")
        gap = time_order.time_gap(frame, schema, schema.column("when"), seed)
        assert gap is not None
        gaps.append(gap)
    # Each is wrong with a probability of 2.5 %.
    assert sum(g.flatters for g in gaps) <= 1
    assert abs(np.mean([g.gap for g in gaps])) < time_order.MIN_GAIN


def test_nothing_is_said_where_rows_are_split_by_time_or_group():
    frame = table(4 * wandering()).with_columns(site=pl.Series(np.arange(ROWS) % 40))
    assert found(frame) is not None
    assert found(frame, time="when") is None
    assert found(frame, group="site") is None


def test_a_table_sorted_by_a_category_or_by_a_measurement_is_not_ordered_in_time():
    rng = np.random.default_rng(0)
    kind = np.repeat(["red", "white"], ROWS // 2)
    price = np.sort(rng.lognormal(3, 1, ROWS))
    frame = pl.DataFrame(
        {"price": price, "age": np.sort(rng.integers(18, 90, ROWS)), "kind": kind, "a": rng.normal(size=ROWS),
         "y": 5 * (kind == "red") + price + rng.normal(size=ROWS)}
    )  # fmt: skip
    assert named(frame) == []
    assert found(frame) is None


def test_numbers_order_rows_if_they_ascend_and_are_times_by_name_or_evenly_spread():
    rng = np.random.default_rng(0)
    columns = {
        "year": np.repeat(np.arange(1990, 2020), 40),  # years, in any order of the rows
        "week": np.repeat(np.arange(100), 12),  # ascend
        "seconds": np.cumsum(rng.exponential(size=ROWS)),
        "t": np.arange(ROWS) / 7 + 1000.5,  # evenly spread, whatever the name
        "month": np.tile(np.arange(1, 13), ROWS // 12),  # come back
        "year_built": np.repeat(np.arange(1990, 2020), 40),  # a property of a house
        "length": np.sort(rng.normal(size=ROWS)),  # no time, and not even
        "born": HOURS,
    }
    frame = pl.DataFrame({**columns, "y": rng.normal(size=ROWS)})
    assert named(frame) == ["year", "week", "seconds", "t"]
    mixed = frame.sample(fraction=1.0, shuffle=True, seed=0)
    assert named(mixed) == ["year"]
    # A sample of the rows of an even axis is uneven, and an axis nevertheless.
    assert named(frame[np.sort(rng.permutation(ROWS)[:500])]) == ["year", "week", "seconds", "t"]


def test_rows_of_one_time_stay_together():
    when = np.repeat(np.arange(6), 50).astype(float)
    parts = time_order._blocks(np.random.default_rng(0).permutation(when))
    assert len(parts) == 4
    for earlier, block in parts:
        assert len(earlier) % 50 == len(block) % 50 == 0
    assert time_order._blocks(np.repeat([0.0, 1.0, 2.0], 100)) != []
    assert len(time_order._blocks(np.repeat([0.0, 1.0, 2.0], 100))) < time_order.MIN_BLOCKS


def test_too_many_classes_are_not_measured():
    frame = table(4 * wandering()).with_columns(
        y=pl.Series([f"class {i % 30}" for i in range(ROWS)])
    )
    assert found(frame) is None


def test_the_finding_names_column_loss_and_remedy():
    frame = table(4 * wandering())
    [finding] = time_order.find(frame, infer_schema(frame, "y"), np.arange(ROWS))
    assert finding.rule == "time_order"
    assert finding.columns == ("when",)
    assert finding.value > finding.threshold
    assert "RMSE" in finding.measured
    assert "--time 'when'" in finding.remedy.words
    assert "fill gaps" in finding.remedy.words


def test_fit_says_so_in_one_note_with_the_option():
    frame = table(4 * wandering())

    def said(**options) -> list[str]:
        notes = prepare(frame, "y", Options(**options)).notes
        return [n for n in notes if "orders the rows in time" in n]

    [note] = said()
    assert note.startswith("'when' orders the rows in time")
    assert note.endswith("if the model is to predict the future, give --time when")
    assert said(time="when") == []
    assert said(time_limit=20) == []  # there is no time for it
    assert prepare(frame, "y", Options()).split == "random"
