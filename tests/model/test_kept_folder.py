"""A model folder that an earlier version wrote goes on working."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import polars as pl

from popnet import Model
from popnet.report.describe import describe

KEPT = Path(__file__).parent / "kept"


def table() -> pl.DataFrame:
    spec = importlib.util.spec_from_file_location("make_kept", KEPT / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.table()


def test_an_earlier_folder_predicts_the_same_numbers():
    model = Model.load(KEPT)
    found = model.predict_frame(table().drop("y"), proba=True)
    expected = pl.read_csv(KEPT / "predictions.csv")
    assert found.columns == expected.columns
    for name in found.columns:
        if found[name].dtype.is_float():
            # Another processor, or another version of JAX, may round otherwise.
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-5)
        else:
            assert found[name].to_list() == expected[name].to_list()


def test_an_earlier_folder_is_described_and_scored():
    model = Model.load(KEPT)
    assert model.facts is not None
    assert model.facts.fit.members == 4
    assert any("score      accuracy 0.91667" in line for line in describe(model))
    assert any("y" in line for line in describe(model))
    assert {net.recipe.depth for net in model.nets} >= {1}
    rows, scores = model.evaluate(iter([table()]))
    assert rows == 120
    assert scores["accuracy"] > 0.7


def test_an_earlier_folder_is_saved_again(tmp_path):
    Model.load(KEPT).save(tmp_path)
    for name in ("weights.safetensors",):
        assert (tmp_path / name).read_bytes() == (KEPT / name).read_bytes()
    written, kept = (json.loads((f / "model.json").read_bytes()) for f in (tmp_path, KEPT))
    assert written["facts"] == kept["facts"]
    again = Model.load(tmp_path).predict_frame(table().drop("y"))
    assert again.equals(Model.load(KEPT).predict_frame(table().drop("y")))
