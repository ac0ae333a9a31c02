"""The model folder: what is saved is what predicts; what was altered is refused; writing is all or nothing."""

from __future__ import annotations

import errno
import json
import pickletools
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from popnet import Model, ModelError, Recipe
from popnet.errors import InputError
from popnet.fitting.run import Options, fit, prepare
from popnet.model import folder as folders
from popnet.model.folder import check_output, write_folder
from popnet.model.saving import FORMAT, WITH_COMBINATIONS, WITH_TREES, _digest
from popnet.report.describe import describe
from popnet.trees.boosting import Boosting
from popnet.trees.grown import Setting

RECIPE = Recipe(depth=1, width=8, batch_size=32, epochs=3, norm="batch", heads=2, input_scale=6.0)
OPTIONS = Options(members=4, folds=2, recipe=RECIPE)


def make_table(rows: int = 120) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    size, age = rng.standard_normal((2, rows))
    colour = rng.choice(["red", "green", "blue"], rows)
    score = size + (colour == "red") + 0.2 * rng.standard_normal(rows)
    return pl.DataFrame(
        {
            "size": size,
            "age": age,
            "colour": colour,
            "weight": np.round(rng.uniform(0.5, 2, rows), 2),
            "bought": np.where(score > 0.3, "yes", "no"),
            "score": 100 + 10 * score,
            "other": -score + age,
        }
    )


TABLE = make_table()
UNSEEN = make_table(50).with_columns(pl.col("size") * 1.5 - 0.2)
TARGETS = {"classes": "bought", "numbers": ["score", "other"]}
AND_TREES = {f"{name}, trees": target for name, target in TARGETS.items()}


@pytest.fixture(scope="module", params=[*TARGETS, *AND_TREES])
def model(request: pytest.FixtureRequest) -> Model:
    """A model with nets and linear models, of classes and of two numbers; and the same with boosted trees."""
    drop = {"bought": ("score", "other"), "score": ("bought",)}
    target = (TARGETS | AND_TREES)[request.param]
    first = target if isinstance(target, str) else target[0]
    options = Options(
        **{**OPTIONS.__dict__, "drop": drop[first], "weight": "weight", "ensemble": "average"}
    )
    found = fit(TABLE, target, options).model
    if request.param in TARGETS:
        return found
    table = prepare(TABLE, target, options)
    boosting = Boosting(table.data, Setting(max_iter=20, min_samples_leaf=5), 0)
    trees = [boosting.fit(f.train, f.valid) for f in table.folds]
    count = len(found.nets) + len(trees)
    conformal = found.conformal
    if conformal is not None:
        conformal = replace(conformal, folds=(*conformal.folds, *range(len(trees))))
    return replace(
        found, trees=tuple(trees), weights=np.full(count, 1 / count), conformal=conformal
    )


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> Path:
    write_folder(tmp_path / "model", model, {"report.html": b"<html>"})
    return tmp_path / "model"


# --- saving and loading -----------------------------------------------------------------------------


def test_the_ensemble_has_nets_with_hidden_layers(model):
    assert {n.recipe.depth for n in model.nets} == {0, 1}
    assert model.weights.sum() == pytest.approx(1)


def test_loaded_predicts_as_saved_to_the_bit(model, folder):
    loaded = Model.load(folder)
    for table in (TABLE, UNSEEN):
        features = model.encoder.transform(table)
        found = loaded.scores(loaded.encoder.transform(table))
        np.testing.assert_array_equal(found, model.scores(features))
    assert loaded.predict_frame(UNSEEN).equals(model.predict_frame(UNSEEN))


def test_loaded_knows_what_was_saved(model, folder):
    loaded = Model.load(folder)
    assert loaded.schema == model.schema
    assert loaded.encoder == model.encoder
    assert loaded.classes == model.classes
    assert (loaded.method, loaded.metric) == (model.method, model.metric)
    assert [n.recipe for n in loaded.nets] == [n.recipe for n in model.nets]
    assert [n.shape for n in loaded.nets] == [n.shape for n in model.nets]
    np.testing.assert_array_equal(loaded.weights, model.weights)
    assert describe(loaded) == describe(model)


def test_saved_again_it_is_the_same_folder(model, folder, tmp_path):
    write_folder(tmp_path / "again", Model.load(folder))
    for name in ("model.json", "weights.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_nothing_is_pickled(folder):
    """Two files that hold data alone: JSON, and safetensors, which is a JSON header and numbers."""
    assert {p.name for p in folder.iterdir()} == {
        "model.json",
        "weights.safetensors",
        "report.html",
    }
    content = json.loads((folder / "model.json").read_bytes())
    assert content["format"] == (WITH_TREES if content.get("trees") else FORMAT)
    data = (folder / "weights.safetensors").read_bytes()
    header = int.from_bytes(data[:8], "little")
    entries = json.loads(data[8 : 8 + header])
    assert {e["dtype"] for e in entries.values()} <= {"F32", "I32", "U8"}
    assert 8 + header + max(e["data_offsets"][1] for e in entries.values()) == len(data)
    for path in folder.iterdir():
        with pytest.raises(ValueError, match=r".*"):
            list(pickletools.genops(path.read_bytes()))


def test_predictions_have_the_targets_names_and_probabilities_sum_to_one(model):
    found = model.predict_frame(UNSEEN)
    assert found.columns == list(model.schema.target.names)
    assert found.height == 50
    if not model.is_classifier:
        with pytest.raises(InputError, match="Probabilities are for classification"):
            model.predict_frame(UNSEEN, proba=True)
        return
    found = model.predict_frame(UNSEEN, proba=True)
    assert found.columns == ["bought", "probability_no", "probability_yes"]
    np.testing.assert_allclose(found["probability_no"] + found["probability_yes"], 1)
    likely = found["probability_yes"] > found["probability_no"]
    assert ((found["bought"] == "yes") == likely).all()


def test_intervals_of_what_was_loaded_are_those_of_what_was_saved(model, folder):
    loaded = Model.load(folder)
    if model.is_classifier:
        with pytest.raises(InputError, match="Intervals and quantiles are for regression"):
            loaded.predict_frame(UNSEEN, interval=0.9)
        return
    found = loaded.predict_frame(UNSEEN, interval=0.9)
    assert found.columns == ["score", "score_low", "score_high", "other", "other_low", "other_high"]
    assert found.equals(model.predict_frame(UNSEEN, interval=0.9))
    assert found.select("score", "other").equals(model.predict_frame(UNSEEN))
    for name in ("score", "other"):
        assert (found[f"{name}_low"] < found[f"{name}_high"]).all()
        assert (found[f"{name}_high"] - found[f"{name}_low"]).n_unique() > 40
    for coverage in (0.0, 1.0, -1.0, 90.0, float("nan")):
        with pytest.raises(InputError, match="must be between 0 and 1"):
            loaded.predict_frame(UNSEEN, interval=coverage)
    with pytest.raises(InputError, match=r"96 held-out rows .* 99 %; ask for 97.9 % or less"):
        loaded.predict_frame(UNSEEN, interval=0.99)


def test_a_model_of_an_older_popnet_predicts_but_has_no_intervals(model, folder):
    path = folder / "model.json"
    content = json.loads(path.read_bytes())
    del content["intervals"], content["sha256"]
    content["sha256"] = _digest(content)
    path.write_text(json.dumps(content))
    old = Model.load(folder)
    assert old.predict_frame(UNSEEN).equals(model.predict_frame(UNSEEN))
    assert "coverage_90" not in old.evaluate(iter([TABLE]))[1]
    if not model.is_classifier:
        with pytest.raises(InputError, match="an older popnet fitted it"):
            old.predict_frame(UNSEEN, interval=0.9)


def test_a_target_called_as_anothers_interval_is_refused():
    table = make_table().rename({"other": "score_low"}).drop("bought")
    found = fit(table, ["score", "score_low"], OPTIONS).model
    with pytest.raises(
        InputError,
        match="a target is named like a column of probabilities or of another target's interval",
    ):
        found.predict_frame(table, interval=0.5)


def test_batches_predict_as_the_whole_and_evaluate_as_the_whole(model):
    parts = list(model.predict_batches(UNSEEN.iter_slices(17)))
    assert [p.height for p in parts] == [17, 17, 16]
    whole = model.predict_frame(UNSEEN)
    if model.is_classifier:
        assert pl.concat(parts).equals(whole)
    else:
        np.testing.assert_allclose(
            pl.concat(parts).to_numpy(), whole.to_numpy(), rtol=1e-6, atol=1e-5
        )
    rows, values = model.evaluate(iter([TABLE]))
    assert rows == TABLE.height
    other_rows, others = model.evaluate(TABLE.iter_slices(31))
    assert other_rows == rows
    assert others == pytest.approx(values, rel=1e-6)


def test_weights_of_a_table_count_when_it_is_evaluated(model):
    """Halves of unequal weight: in batches, too, one half counts as much more as its rows weigh."""
    heavy = TABLE.with_columns(
        weight=pl.when(pl.int_range(pl.len()) < 60).then(1000.0).otherwise(0.001)
    )
    _, first = model.evaluate(iter([TABLE.head(60).with_columns(weight=pl.lit(1.0))]))
    for batches in ([heavy], heavy.iter_slices(60)):
        _, found = model.evaluate(iter(batches))
        assert found == pytest.approx(first, rel=1e-3)


def test_rows_without_a_target_are_not_evaluated(model):
    name = model.schema.target.names[0]
    holes = TABLE.with_columns(pl.when(pl.int_range(pl.len()) < 100).then(pl.col(name)).alias(name))
    rows, values = model.evaluate(iter([holes]))
    _, expected = model.evaluate(iter([TABLE.head(100)]))
    assert rows == 100
    assert values == pytest.approx(expected, rel=1e-6)
    with pytest.raises(InputError, match="no row with a target"):
        model.evaluate(iter([holes.tail(20)]))


def test_a_bad_value_is_named_with_its_row_in_the_whole_table(model):
    """Text, as batches of a CSV file are: the value stands in the second batch."""
    text = TABLE.with_columns(pl.all().cast(pl.String))
    broken = text.with_columns(
        size=pl.when(pl.int_range(pl.len()) == 75).then(pl.lit("tall")).otherwise("size")
    )
    with pytest.raises(InputError, match="column 'size', row 76: 'tall'"):
        list(model.predict_batches(broken.iter_slices(50)))
    with pytest.raises(InputError, match="column 'size', row 76: 'tall'"):
        model.evaluate(broken.iter_slices(50))


# --- what is refused --------------------------------------------------------------------------------


def one_sentence(error: pytest.ExceptionInfo[ModelError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def test_no_folder_and_a_folder_of_something_else(tmp_path):
    for place, said in ((tmp_path / "nowhere", "no folder"), (tmp_path, "has no model.json")):
        with pytest.raises(ModelError, match=said) as error:
            Model.load(place)
        assert str(place) in one_sentence(error)


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
@pytest.mark.parametrize("keep", [0, 1, 10, 0.5, 0.99, -1])
def test_a_file_that_is_cut_short(folder, name, keep):
    data = (folder / name).read_bytes()
    end = int(keep * len(data)) if isinstance(keep, float) else keep
    (folder / name).write_bytes(data[:end])
    with pytest.raises(ModelError, match="cut short") as error:
        Model.load(folder)
    assert name in one_sentence(error)


def test_a_missing_file(folder):
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be read") as error:
        Model.load(folder)
    assert "weights.safetensors" in one_sentence(error)


@pytest.mark.parametrize("place", np.linspace(0, 0.999, 9))
def test_an_altered_byte_of_the_weights(folder, place):
    data = bytearray((folder / "weights.safetensors").read_bytes())
    data[int(place * len(data))] ^= 1
    (folder / "weights.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match=r"weights\.safetensors is cut short or was altered"):
        Model.load(folder)


def parsed(data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return None


@pytest.mark.parametrize("place", np.linspace(0, 0.999, 25))
def test_an_altered_byte_of_the_description(model, folder, place):
    """Blanks between the fields say nothing, nor do some last digits of a number; any other byte does."""
    before = (folder / "model.json").read_bytes()
    data = bytearray(before)
    for i in range(int(place * len(data)), -1, -1):
        data[i] ^= 1
        if parsed(data) != parsed(before):
            break
        data[i] ^= 1
    (folder / "model.json").write_bytes(data)
    with pytest.raises(ModelError) as error:
        Model.load(folder)
    one_sentence(error)


@pytest.mark.parametrize(
    "content", [b"[]", b"null", b"7", b'"text"', b"{}", b"\xff\xfe", b"not json"]
)
def test_a_description_of_another_kind(folder, content):
    (folder / "model.json").write_bytes(content)
    with pytest.raises(ModelError, match="cut short or damaged") as error:
        Model.load(folder)
    one_sentence(error)


def test_a_newer_format_says_which_popnet_reads_it(folder):
    content = json.loads((folder / "model.json").read_bytes())
    content |= {"format": WITH_COMBINATIONS + 1, "popnet": "99.1"}
    (folder / "model.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(
        ModelError, match=f"has format {WITH_COMBINATIONS + 1}.*use popnet 99.1"
    ) as error:
        Model.load(folder)
    one_sentence(error)


# --- writing --------------------------------------------------------------------------------------


def test_a_move_that_fails_brings_the_old_model_back(model, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    write_folder(folder, model, {"report.html": b"the old one"})
    rename = Path.rename

    def failing(path: Path, place: Path) -> Path:
        if path.name == ".model.new":
            raise OSError(errno.EACCES, "Permission denied")
        return rename(path, place)

    monkeypatch.setattr(Path, "rename", failing)
    monkeypatch.setattr(folders, "exchange", lambda one, other: False)  # as on other systems
    with pytest.raises(InputError, match="Permission denied"):
        write_folder(folder, model, {"report.html": b"the new one"})
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    assert (folder / "report.html").read_bytes() == b"the old one"


def test_a_new_model_replaces_the_old_one_as_a_whole(model, tmp_path):
    folder = tmp_path / "model"
    write_folder(folder, model, {"report.html": b"the old one", "population.parquet": b""})
    (tmp_path / ".model.new").mkdir()  # of a run that was killed
    write_folder(folder, model, {"report.html": b"the new one"})
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    assert (folder / "report.html").read_bytes() == b"the new one"
    assert not (folder / "population.parquet").exists()


def test_only_a_model_is_ever_replaced(model, tmp_path):
    folder = tmp_path / "thesis"
    write_folder(folder, model)
    (folder / "chapter.txt").write_text("mine")
    with pytest.raises(InputError, match=r"other files \(chapter\.txt\)"):
        check_output(folder, overwrite=True)
    with pytest.raises(InputError, match="other files"):
        write_folder(folder, model)
    assert (folder / "chapter.txt").read_text() == "mine"


def test_the_folder_that_one_is_in_is_refused(tmp_path, monkeypatch):
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    for place in (Path(), Path("..")):
        with pytest.raises(InputError, match="the current folder"):
            check_output(place)


def test_an_output_folder_that_holds_something_is_refused(model, folder, tmp_path):
    with pytest.raises(InputError, match=r"holds a model already.*--overwrite"):
        check_output(folder)
    check_output(folder, overwrite=True)
    shutil.rmtree(folder)
    check_output(folder)
    folder.mkdir()
    check_output(folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files \(notes"):
        check_output(folder)
    with pytest.raises(InputError, match="is a file"):
        check_output(folder / "notes.txt")
    with pytest.raises(InputError, match="cannot be written"):
        check_output(folder / "notes.txt" / "model")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
