"""Tables that are larger than memory: the same rows, encoded the same, as from a table read whole."""

from __future__ import annotations

import json
import pickle

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

from popnet.data.dataset import Dataset, StoredFeatures, stored_type
from popnet.data.row_file import RowFile
from popnet.data.tables import sample as sampling
from popnet.data.tables.encode import fit_encoder
from popnet.data.tables.read import read_table
from popnet.data.tables.sample import frame_bytes, sample_table
from popnet.errors import InputError
from popnet.options import Options
from popnet.population.feed import Arrays
from popnet.population.members import Member
from popnet.population.train import Trainer
from popnet.prepare import large
from popnet.prepare.large import is_large, prepare_large
from popnet.runtime.memory import Memory
from popnet.spec.recipe import Recipe

ROWS = 4_000
NOTHING = lambda done, total: None  # noqa: E731


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, 3))
    colour = rng.choice(["red", "green", "blue"], ROWS)
    y = np.where(x[:, 0] + (colour == "red") > 0, "yes", "no").astype(object)
    y[[5, 17]] = None
    x[rng.random(x.shape) < 0.05] = np.nan
    return pl.DataFrame({
        "a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "colour": colour, "flag": rng.random(ROWS) < 0.3,
        "who": rng.integers(0, 300, ROWS), "when": rng.permutation(ROWS) // 3,
        "weight": rng.integers(0, 4, ROWS).astype(float), "y": y,
    }).with_columns(pl.col("a", "b", "c").fill_nan(None))  # fmt: skip


@pytest.fixture(params=["parquet", "csv", "jsonl"])
def path(request, frame, tmp_path):
    place = tmp_path / f"table.{request.param}"
    write = {"parquet": frame.write_parquet, "csv": frame.write_csv, "jsonl": frame.write_ndjson}
    write[request.param](place)
    return place


def prepared(path, **options):
    drop = tuple({"who", "when", "weight"} - set(options.values()))
    return prepare_large(path, "y", Options(seed=3, drop=drop, **options), Memory(1e12), NOTHING)


def test_every_row_is_encoded_as_from_the_whole_table(path, monkeypatch):
    monkeypatch.setattr(sampling, "BATCH_ROWS", 700)
    monkeypatch.setattr(large, "BATCH_ROWS", 900)
    found = prepared(path)
    whole = read_table(path)
    usable = whole.filter(pl.col("y").is_not_null())
    # All rows were drawn, so that statistics are of all but the test part.
    used = np.flatnonzero(whole["y"].is_not_null().to_numpy())
    encoder = fit_encoder(usable, found.schema, found.train, row_numbers=used + 1)
    assert encoder == found.encoder
    expected = encoder.transform(usable)
    features = found.data.features
    assert isinstance(features, StoredFeatures)
    assert len(found.data) == len(features) == ROWS - 2
    given = features.take(np.arange(ROWS - 2))
    for part in ("numeric", "flags", "codes"):
        np.testing.assert_array_equal(getattr(given, part), getattr(expected, part))
    np.testing.assert_array_equal(found.data.target, encoder.encode_target(usable)[0])
    assert found.schema.rows, found.schema.rows_without_target == (ROWS, 2)
    (fold,) = found.folds
    parts = np.concatenate([found.test, fold.train, fold.valid])
    np.testing.assert_array_equal(np.sort(parts), np.arange(ROWS - 2))
    np.testing.assert_array_equal(np.sort(np.concatenate(fold)), found.train)
    assert abs(len(found.test) - 0.2 * ROWS) <= 2


def test_a_few_drawn_rows_are_enough_for_the_encoder(path, frame, monkeypatch):
    monkeypatch.setattr(large, "MIN_SAMPLE", 500)
    monkeypatch.setattr(large, "MAX_SAMPLE", 500)
    found = prepared(path)
    assert len(found.data) == ROWS - 2
    assert "500 rows drawn at random" in " ".join(found.notes)
    values = found.data.features.take(np.arange(ROWS - 2)).numeric
    assert abs(values.mean()) < 0.2
    assert found.schema.rows == ROWS
    missing = found.schema.column("a").missing
    assert abs(missing - frame["a"].null_count()) < 100


def test_groups_are_not_torn(path, frame):
    found = prepared(path, group="who")
    who = frame.filter(pl.col("y").is_not_null())["who"].to_numpy()
    test, train, valid = who[found.test], who[found.folds[0].train], who[found.folds[0].valid]
    assert len(found.test), len(found.folds[0].valid)
    assert not set(test) & set(train)
    assert not set(test) & set(valid)
    assert not set(valid) & set(train)
    assert found.split == "grouped"
    assert len(set(found.test_groups)) == len(set(test))


def test_the_latest_rows_are_held_out(path, frame):
    found = prepared(path, time="when")
    when = frame.filter(pl.col("y").is_not_null())["when"].to_numpy()
    fold = found.folds[0]
    assert when[fold.train].max() < when[fold.valid].min()
    assert when[fold.valid].max() < when[found.test].min()
    assert found.split == "time-ordered"
    assert (np.diff(found.test_groups[np.argsort(when[found.test], kind="stable")]) >= 0).all()


def test_rows_of_weight_0_are_left_out(path, frame):
    found = prepared(path, weight="weight")
    weight = frame.filter(pl.col("y").is_not_null(), pl.col("weight") > 0)["weight"].to_numpy()
    np.testing.assert_allclose(found.data.weights, weight / weight.mean(), rtol=1e-5)
    zero = ROWS - 2 - len(weight)
    assert f"{zero:,} rows of weight 0 are left out" in found.notes


def test_a_bad_value_is_named_with_its_row(frame, tmp_path):
    place = tmp_path / "table.csv"
    text = frame.write_csv().splitlines()
    cells = text[3_001].split(",")
    text[3_001] = ",".join(["oops", *cells[1:]])
    place.write_text("\n".join(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "MIN_SAMPLE", 100)
        patch.setattr(large, "MAX_SAMPLE", 100)
        with pytest.raises(InputError, match=r"'a'.*row 3,?001.*oops"):
            prepared(place)


def test_cross_validation_needs_the_table_in_memory(path):
    with pytest.raises(InputError, match="--folds"):
        prepared(path, folds=5)


def test_no_class_is_lost_by_drawing_rows(tmp_path):
    y = np.array(["common"] * 9_000 + ["rare"] * 7)
    pl.DataFrame({"x": np.arange(9_007.0), "y": y}).write_parquet(tmp_path / "t.parquet")
    drawn = sample_table(tmp_path / "t.parquet", 500, ["y"], 0)
    assert len(drawn.numbers) == drawn.frame.height == 500
    assert drawn.rows == 9_007
    assert (drawn.frame["y"] == "rare").sum() == 7
    np.testing.assert_array_equal(drawn.frame["x"].to_numpy(), drawn.numbers)
    assert (np.diff(drawn.numbers) > 0).all()


def test_rows_are_drawn_evenly(tmp_path, monkeypatch):
    monkeypatch.setattr(sampling, "BATCH_ROWS", 1_000)
    pl.DataFrame({"x": np.arange(10_000.0)}).write_parquet(tmp_path / "t.parquet")
    counts = np.zeros(10)
    for seed in range(20):
        counts += np.bincount(sample_table(tmp_path / "t.parquet", 500, [], seed).numbers // 1_000)
    # 1,000 draws a tenth of the table; their spread is about 27.
    assert np.abs(counts - 1_000).max() < 150


def test_only_what_would_not_fit_is_large(path, frame):
    size = frame_bytes(path)
    assert size is not None
    assert 0.2 < size / frame.estimated_size() < 5
    assert not is_large(path, Memory(1e12))
    assert is_large(path, Memory(1.0))
    assert not is_large(frame, Memory(1.0))


def test_a_net_of_stored_rows_is_that_of_rows_in_memory(table, folds):
    f = table.features
    file = RowFile(stored_type(f.numeric.shape[1], f.flags.shape[1], f.codes.shape[1]))
    records = np.empty(len(f), file.dtype)
    for part in ("numeric", "flags", "codes"):
        records[part] = getattr(f, part)
    file.append(records)
    stored = Dataset(
        StoredFeatures(file, f.levels, f.knots),
        table.target,
        table.task,
        table.n_outputs,
        table.weights,
    )
    recipes = [
        Recipe(epochs=3, width=8),
        Recipe(epochs=3, width=8, numeric_embedding="periodic", embedding_quantiles=True),
    ]
    for recipe in recipes:
        curves = []
        for data in (table, stored):
            trainer = Trainer(Arrays(data, data, folds), workers=1)
            ((_, result),) = trainer.run([(0, Member(recipe, 0, 0))])
            curves.append(result.curves["valid_loss"])
        np.testing.assert_array_equal(*curves)
    for part in ("numeric", "flags", "codes"):
        copied = pickle.loads(pickle.dumps(stored.features))
        np.testing.assert_array_equal(getattr(copied, part), getattr(f, part))


def test_fit_a_table_that_is_larger_than_memory(run, frame, tmp_path, monkeypatch):
    monkeypatch.setattr(large, "COPIES", 1e12)
    place = tmp_path / "t.parquet"
    frame.drop("who", "when", "weight").write_parquet(place)
    out, _ = run(
        "fit",
        place,
        "--target",
        "y",
        "--members",
        1,
        "--out",
        tmp_path / "m",
        "--json",
        "--seed",
        1,
    )
    found = json.loads(out)
    assert found["score"] > 0.85
    assert any("does not fit into" in note for note in found["notes"])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.data())
def test_any_rows_of_a_file_are_those_of_the_array(n, data):
    rng = np.random.default_rng(n)
    dtype = stored_type(3, 1, 2)
    rows = np.frombuffer(rng.bytes(n * dtype.itemsize), dtype)
    file = RowFile(dtype)
    cut = data.draw(st.integers(0, n))
    file.append(rows[:cut])
    file.append(rows[cut:])
    assert len(file) == n
    wanted = np.array(data.draw(st.lists(st.integers(0, n - 1), max_size=60)), int)
    assert file.read(wanted).tobytes() == rows[wanted].tobytes()
