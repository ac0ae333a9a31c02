"""Covariate shift: found and named where it was planted, and not found between halves of one table."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from popnet.data.tables.read import read_table
from popnet.data.tables.schema import infer_schema
from popnet.diagnosis.limits import Limits
from popnet.diagnosis.tables import shift as shifts
from popnet.diagnosis.tables import univariate
from popnet.diagnosis.tables.shift import finding, shift
from popnet.errors import InputError

DATA = Path(os.environ.get("POPNET_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(
    not (DATA / "tables").exists(), reason=f"no tables in {DATA} (set POPNET_DATA)"
)
ROWS = 300


def table(seed: int) -> pl.DataFrame:
    """Return rows of one distribution: columns of all kinds, two of them alike, an identifier and a target."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, ROWS))
    holes = rng.random(ROWS) < 0.1
    return pl.DataFrame(
        {
            "id": rng.permutation(ROWS),
            "a": a,
            "b": a + b,
            "c": pl.Series(np.where(holes, np.nan, rng.lognormal(size=ROWS))).fill_nan(None),
            "level": rng.choice(["red", "green", "blue"], ROWS),
            "truth": rng.random(ROWS) < 0.4,
            "y": np.where(rng.random(ROWS) < 0.5, "yes", "no"),
        }
    )


OLD = table(0)
SCHEMA = infer_schema(OLD, "y")


def against(new: pl.DataFrame, deadline: float | None = None, **options) -> shifts.CovariateShift:
    limits = Limits(deadline=deadline, workers=1)
    return shift(OLD, new, SCHEMA, limits=limits, **options)


def test_random_samples_do_not_differ():
    """Twenty pairs: no more than one may be called a shift, and nearly all intervals hold 0.5."""
    found = [against(table(seed), seed=seed) for seed in range(1, 21)]
    assert sum(f.shifted for f in found) <= 1
    assert sum(f.low <= 0.5 <= f.high for f in found) >= 19
    quiet = next(f for f in found if not f.shifted)
    assert finding(quiet) is None
    assert quiet.verdict.startswith("no shift")


SHIFTS = {
    "mean": (pl.col("a") + 1, "a", "mean"),
    "spread": (pl.col("c").log() * 3, "c", "5th to 95th percentile"),
    "levels": (pl.when(pl.col("a") > 0).then(pl.lit("violet")).otherwise("level"), "level", "'violet' 0 % →"),
    "unseen": (pl.when(pl.col("a") > 0).then(pl.lit("violet")).otherwise("level"), "level", "never seen"),
    "missing": (pl.when(pl.int_range(pl.len()) % 3 > 0).then("b"), "b", "missing 0 % → 33 %"),
    "truth": (pl.col("a") < 1, "truth", "1 4"),
}  # fmt: skip


@pytest.mark.parametrize("case", SHIFTS)
def test_a_planted_shift_is_found_and_its_column_named(case):
    change, name, words = SHIFTS[case]
    found = against(table(1).with_columns(change.alias(name)))
    assert found.shifted
    assert found.low > 0.5
    assert found.columns[0].name == name
    assert found.columns[0].is_shifted
    assert words in found.columns[0].words
    said = finding(found)
    assert said is not None
    assert said.columns[0] == name
    assert words in said.measured


def test_a_shift_that_no_single_column_shows():
    """``a`` and ``b`` no longer go together; each by itself is as it was."""
    new = table(1)
    order = np.random.default_rng(0).permutation(ROWS)
    found = against(new.with_columns(b=new["b"].gather(order)))
    assert found.shifted
    assert {found.columns[0].name, found.columns[1].name} == {"a", "b"}
    assert max(c.auc for c in found.columns) < 0.6 < found.auc
    assert min(c.importance for c in found.columns[:2]) > shifts.column_shift.LOSS


def test_identifiers_targets_and_columns_left_out_are_not_compared():
    new = table(1).with_columns(pl.col("id") + 10_000, pl.lit("yes").alias("y"), pl.col("a") + 3)
    found = against(new, leave_out=["a", "b"])
    assert not found.shifted
    assert {c.name for c in found.columns} == {"c", "level", "truth"}


def test_columns_of_another_type_are_cast_and_lacking_ones_told():
    new = (
        table(1)
        .drop("y", "c")
        .with_columns(pl.col("a").cast(pl.String), pl.lit("?").alias("extra"))
    )
    found = against(new)
    assert found.lacking == ("c",)
    assert not found.shifted
    assert "mean" in next(c for c in found.columns if c.name == "a").words


@pytest.mark.parametrize(
    ("new", "word"),
    [(table(1)[:10], "10 rows"), (table(1).select("y", "id"), "no feature in common")],
)
def test_what_cannot_be_compared_is_refused(new, word):
    with pytest.raises(InputError, match=word):
        against(new)


def test_a_shift_without_time_is_not_measured():
    found = against(table(1), deadline=time.monotonic() - 1)
    assert np.isnan(found.auc)
    assert not found.shifted
    assert "not measured" in found.verdict


def test_it_repeats_with_its_seed():
    first, second = (against(table(3), seed=4) for _ in range(2))
    assert (first.auc, first.low) == (second.auc, second.low)
    assert first.columns == second.columns


def test_area_and_variance():
    """All pairs counted; the variance that of many samples."""
    rng = np.random.default_rng(0)
    side = np.repeat([0, 1], [60, 40])
    samples = [np.round(rng.normal(size=100) + side, 1) for _ in range(400)]
    areas = [univariate.roc_auc(side, s) for s in samples]
    variances = [shifts.auc_variance(side, s) for s in samples]
    s = samples[0]
    pairs = (s[60:, None] > s[None, :60]) + (s[60:, None] == s[None, :60]) / 2
    assert areas[0] == pytest.approx(pairs.mean())
    spread = np.std(areas)
    assert np.sqrt(np.mean(variances)) == pytest.approx(spread, rel=0.15)


# --- real tables --------------------------------------------------------------------------------


def real(name: str) -> pl.DataFrame:
    return read_table(DATA / "tables" / name / "data.csv.gz")


@needs_data
@pytest.mark.parametrize(
    ("name", "target", "late", "column"),
    [
        ("churn", "Exited", pl.col("Geography") == "Germany", "Geography"),
        ("ames_housing", "SalePrice", pl.col("Yr Sold") >= 2009, "Yr Sold"),
    ],
)
def test_a_real_table_split_by_a_column(name, target, late, column):
    frame = real(name)[::2]
    schema = infer_schema(frame, target)
    found = shift(
        frame.filter(~late), frame.filter(late).drop(target), schema, limits=Limits(workers=1)
    )
    assert found.auc > 0.95
    assert found.columns[0].name == column


@needs_data
def test_random_halves_of_a_real_table_do_not_differ():
    frame = real("titanic")
    schema = infer_schema(frame, "survived")
    shifted = 0
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(frame.height)
        old, new = frame[order[:654]], frame[order[654:]]
        shifted += shift(old, new, schema, seed=seed, limits=Limits(workers=1)).shifted
    assert shifted <= 1
