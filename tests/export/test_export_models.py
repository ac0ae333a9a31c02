"""Whole models: their graphs say what the models say, and nothing but onnxruntime is needed for it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.models import (
    FRAME,
    NEW,
    assert_same,
    boosted,
    exported,
    make_frame,
    model_of,
    prepared,
    with_errors,
)
from popnet import InputError, Model, Recipe
from popnet.data.tables.combinations import Combination, Operation
from popnet.data.tables.scale import Scale
from popnet.export import run
from popnet.export.inputs import as_inputs
from popnet.predictions.decisions import Decision

RECIPES = [
    Recipe(depth=1, width=8, norm="batch", numeric_embedding="piecewise", input_scale=6.0),
    Recipe(depth=2, width=9, norm="layer", activation="mish", heads=2),
]
COMBINED: tuple[Operation, ...] = ("ratio", "product", "sum", "difference")
MIXED = [3.0, 1.0, 0.0, 2.5, 0.0, 5.0]
"""Weights of four nets and two forests; some have none, and no sums of them are equal."""


@pytest.fixture(scope="module")
def tables():
    return {name: prepared(name) for name in ("two", "five", "number", "numbers")}


@pytest.fixture(scope="module")
def forests(tables):
    return {name: boosted(table) for name, table in tables.items()}


@pytest.fixture(scope="module")
def model(tables, forests):
    """A model of five classes, of nets and trees."""
    return model_of(tables["five"], RECIPES, forests["five"], MIXED)


@pytest.mark.parametrize("frame", [FRAME, NEW, NEW.head(1), NEW.head(0)], ids=len)
@pytest.mark.parametrize("target", ["two", "five", "number", "numbers"])
def test_nets_and_trees(tables, forests, target, frame):
    table = tables[target]
    metric = "accuracy" if target in ("two", "five") else "rmse"
    own = model_of(table, RECIPES, forests[target], MIXED, metric=metric)
    if len(frame) > 1:
        assert_same(own, frame)
    else:
        found = next(iter(exported(own, frame).values()))
        said = own.predict_frame(frame).to_numpy()
        assert len(found) == len(said) == len(frame)
        if own.is_classifier:
            assert found.tolist() == said[:, 0].tolist()
        else:
            np.testing.assert_allclose(found.reshape(said.shape), said, rtol=1e-5)


@pytest.mark.parametrize(
    ("columns", "lacking"),
    [
        (["plain", "gaps"], "codes"),
        (["colour", "town"], "numeric flags"),
        (["when"], "codes"),
        (["truth"], "numeric codes"),
    ],
)
def test_columns_of_one_kind(columns, lacking):
    table = prepared("two", columns=columns)
    assert [
        part for part in ("numeric", "flags", "codes") if not getattr(table.encoder.names, part)
    ] == lacking.split()
    periodic = Recipe(depth=1, width=4, numeric_embedding="periodic", embedding_quantiles=True)
    assert_same(model_of(table, [periodic, Recipe(depth=0)], boosted(table)), NEW)
    assert_same(model_of(table, [], boosted(table)), NEW)


@pytest.mark.parametrize("frame", [FRAME, NEW], ids=len)
def test_columns_made_of_two_others(tables, frame):
    table = tables["number"]
    columns = ("plain", "gaps", "few gaps", "spiked", "euro")
    pairs = list(zip(COMBINED, columns[:-1], columns[1:], strict=True))
    encoder = table.encoder.model_copy(
        update={
            "combinations": tuple(
                Combination(operation=o, first=a, second=b, scale=Scale(centre=0.1, scale=2.0))
                for o, a, b in pairs
            )
        }
    )
    data = replace(table.data, features=encoder.combine(table.data.features))
    table = replace(table, encoder=encoder, data=data)
    assert_same(model_of(table, RECIPES, boosted(table), MIXED, metric="rmse"), frame)


@pytest.mark.parametrize("target", ["two", "five"])
def test_votes(tables, forests, target):
    assert_same(model_of(tables[target], RECIPES, forests[target], MIXED, method="vote"), NEW)


@pytest.mark.parametrize("temperature", [0.3, 2.5])
def test_temperatures(tables, forests, temperature):
    own = model_of(tables["five"], RECIPES, forests["five"], MIXED, temperature=temperature)
    assert_same(own, NEW)


@pytest.mark.parametrize(
    ("target", "gains", "costs"),
    [("two", (0.0, 1.0), (0.0, 0.2)), ("five", (1.0, 9.0, 2.0, 1.0, 4.0), (0.1, 0.0, 0.3, 0.0, 0.0))],
)  # fmt: skip
def test_decisions(tables, forests, target, gains, costs):
    plain = model_of(tables[target], RECIPES, forests[target], MIXED, metric="f1")
    own = replace(plain, decision=Decision(gains, costs))
    assert not own.predict_frame(NEW).equals(plain.predict_frame(NEW))
    assert_same(own, NEW)


@pytest.mark.parametrize("target", ["number", "numbers"])
@pytest.mark.parametrize("folds", [1, 3])
def test_intervals(tables, forests, target, folds):
    own = with_errors(
        model_of(tables[target], RECIPES, forests[target], MIXED, metric="rmse"), folds
    )
    assert_same(own, NEW)
    found = exported(own, NEW)
    said = own.predict_frame(NEW, interval=0.9)
    std = np.array([s.std for s in own.encoder.scales])
    for end in ("low", "high"):
        columns = [f"{name}_{end}" for name in own.encoder.target.names]
        expected = said.select(columns).to_numpy() / std
        values = found[end].reshape(expected.shape) / std
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-5)


def test_too_few_errors_give_no_intervals(tables):
    own = with_errors(model_of(tables["number"], RECIPES, metric="rmse"), rows=10)
    assert list(exported(own, NEW)) == ["value"]


def test_quantiles_of_a_pinball_loss(tables, forests):
    mean = with_errors(
        model_of(tables["numbers"], RECIPES, forests["numbers"], MIXED, metric="rmse")
    )
    own = replace(mean, metric="pinball_80")
    assert own.level == 0.8
    assert (own.predict_frame(NEW).to_numpy() > mean.predict_frame(NEW).to_numpy()).all()
    assert_same(own, NEW)


def test_predictions_stay_within_the_range_of_training(tables):
    table = tables["number"]
    scale = table.encoder.scales[0].model_copy(
        update={"low": table.encoder.scales[0].mean - 10, "high": table.encoder.scales[0].mean + 5}
    )
    own = model_of(table, RECIPES, metric="rmse")
    own = replace(own, encoder=own.encoder.model_copy(update={"scales": (scale,)}))
    assert_same(own, NEW)
    value = exported(own, NEW)["value"] - scale.mean
    assert value.min() >= -10
    assert value.max() <= 5 + 1e-6


def test_a_target_whose_logarithm_is_predicted():
    table = prepared("amount", metric="rmsle")
    assert table.encoder.scales[0].log
    own = with_errors(model_of(table, RECIPES, boosted(table), MIXED, metric="rmsle"))
    assert_same(own, NEW)
    said = own.predict_frame(NEW, interval=0.9)
    np.testing.assert_allclose(exported(own, NEW)["high"], said["amount_high"], rtol=1e-4)


@pytest.mark.parametrize("labels", [(False, True), (3, 7), (0.5, 1.5), ("no", "yes")])
def test_labels_have_the_type_that_they_have_in_the_table(tables, labels):
    own = model_of(tables["two"], RECIPES)
    target = own.encoder.target.model_copy(update={"classes": labels})
    own = replace(own, encoder=own.encoder.model_copy(update={"target": target}))
    found = exported(own, NEW)["label"]
    assert {type(v) for v in found.tolist()} == {type(labels[0])}
    assert set(found.tolist()) == set(labels)


GAPS = {
    "plain": st.floats(), "gaps": st.floats(),
    "colour": st.text(max_size=4), "town": st.sampled_from(["", "town 3"]),
}  # fmt: skip


@given(st.lists(st.fixed_dictionaries(GAPS), min_size=1, max_size=5))
def test_any_inputs_give_probabilities(sessions, rows):
    own, found = sessions
    frame = NEW.head(len(rows)).with_columns(
        pl.Series(name, [r[name] for r in rows]) for name in GAPS
    )
    said = found.run(["probabilities"], as_inputs(own.encoder, frame))[0]
    np.testing.assert_allclose(said, own.scores(own.encoder.transform(frame)), rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def sessions(model):
    return model, run.session(run.as_bytes(model)[0], 1)


# --- the file ---------------------------------------------------------------------------------------

ALONE = """
import json, sys
import numpy as np, onnxruntime
own = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
given = json.loads(sys.argv[2])
types = {"tensor(double)": np.float64, "tensor(string)": object, "tensor(int64)": np.int64}
rows = {i.name: np.array(given[i.name], types[i.type]).reshape(-1, 1) for i in own.get_inputs()}
label, probabilities = own.run(["label", "probabilities"], rows)
heavy = {"popnet", "jax", "polars", "sklearn", "onnx"} & {name.split(".")[0] for name in sys.modules}
print(json.dumps({"label": label.tolist(), "p": probabilities.tolist(), "heavy": sorted(heavy)}))
"""


def test_nothing_but_onnxruntime_is_needed(model, tmp_path):
    model.export(tmp_path / "model.onnx")
    rows = {k: v[:, 0].tolist() for k, v in as_inputs(model.encoder, NEW.head(5)).items()}
    command = [sys.executable, "-I", "-c", ALONE, str(tmp_path / "model.onnx"), json.dumps(rows)]
    said = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert said["heavy"] == []
    own = model.predict_frame(NEW.head(5), proba=True)
    assert said["label"] == own[:, 0].to_list()
    np.testing.assert_allclose(said["p"], own[:, 1:].to_numpy(), atol=1e-5)


def test_the_file_says_what_it_is(model, tmp_path):
    model.export(tmp_path / "model.onnx", opset=20)
    proto = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(proto, full_check=True)
    assert {o.domain: o.version for o in proto.opset_import} == {"": 20, "ai.onnx.ml": 4}
    said = {p.key: p.value for p in proto.metadata_props}
    assert json.loads(said["classes"]) == [0, 1, 2, 3, 4]
    assert said["task"] == "multiclass"
    assert json.loads(said["inputs"])["colour"] == {"type": "string", "missing": ""}
    model.save(tmp_path)
    assert said["model_sha256"] == json.loads((tmp_path / "model.json").read_text())["sha256"]
    assert Model.load(tmp_path).export(tmp_path / "again.onnx", opset=20) is None
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "model.onnx").read_bytes()


def test_an_output_is_named_otherwise_if_a_column_has_its_name(tables):
    own = model_of(tables["two"], RECIPES)
    columns = tuple(
        r.model_copy(update={"name": "label"}) if r.name == "plain" else r for r in own.encoder.columns
    )  # fmt: skip
    own = replace(own, encoder=own.encoder.model_copy(update={"columns": columns}))
    assert list(exported(own, NEW.rename({"plain": "label"}))) == [
        "predicted_label",
        "probabilities",
    ]


@pytest.mark.parametrize(
    ("name", "opset", "message"),
    [
        ("model.bin", None, "must end in .onnx"),
        ("there/model.onnx", None, "there is no folder"),
        ("model.onnx", 17, "--opset must be between 18"),
        ("model.onnx", 999, "--opset must be between 18"),
    ],
)
def test_what_cannot_be_written_is_refused(model, tmp_path, name, opset, message):
    with pytest.raises(InputError, match=message):
        model.export(tmp_path / name, opset=opset)


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_a_missing_library_is_named(monkeypatch, library):
    monkeypatch.setattr("popnet.export.session.find_spec", lambda name: None)
    with pytest.raises(InputError, match=rf"needs {library}, .* pip install 'popnet\[export\]'"):
        run.need(library)


# --- the check --------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["five", "numbers"])
def test_the_check_finds_a_file_of_another_model(tables, tmp_path, target):
    metric = "accuracy" if target == "five" else "rmse"
    own, other = (model_of(tables[target], r, metric=metric) for r in (RECIPES, RECIPES[:1]))
    right, wrong = (run.export(m, tmp_path / f"{i}.onnx") for i, m in enumerate((own, other)))
    found = run.check(own, right, make_frame(1200, 3))
    assert found.passed
    assert found.rows == 1200
    assert found.equal_labels in (1.0, None)
    found = run.check(own, wrong, NEW)
    assert not found.passed
    assert found.largest > 0.01
    assert "differ by at most" in str(found)
    with pytest.raises(InputError, match="no rows"):
        run.check(own, right, NEW.head(0))
