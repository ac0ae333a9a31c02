"""popnet export: what it writes, says and returns."""

from __future__ import annotations

import json

import numpy as np
import pytest

from export.models import NEW, model_of, prepared
from popnet import Recipe
from popnet.cli import app
from popnet.model.folder import write_folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a model and a table."""
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "model", model_of(prepared("two"), [Recipe(depth=1, width=4)]), {})
    NEW.write_parquet("table.parquet")
    return tmp_path


@pytest.fixture
def popnet(capsys, monkeypatch):
    """Run a command; return its exit status, and what it prints."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(app.sys, "argv", ["popnet", *words])
        with pytest.raises(SystemExit) as end:
            app.main()
        return end.value.code or 0, *capsys.readouterr()

    return run


def test_it_says_inputs_outputs_and_the_check(folder, popnet):
    status, out, _ = popnet("export", "model", "m.onnx", "--check", "table.parquet")
    assert status == 0
    assert "opset 18" in out
    assert "colour (string)" in out
    assert "outputs  label, probabilities" in out
    assert "on 150 rows" in out
    assert "100 % of labels are equal: passed" in out
    assert (folder / "m.onnx").stat().st_size > 1000


def test_one_json_object(folder, popnet):
    status, out, _ = popnet(
        "export", "model", "m.onnx", "--opset", "19", "--json", "--check", "table.parquet"
    )
    said = json.loads(out)
    assert status == 0
    assert (said["opset"], said["members"], said["inputs"]["when"]) == (19, 2, "int64")
    assert said["check"]["passed"] is True
    assert said["check"]["largest"] < 1e-5
    assert json.loads(popnet("export", "model", "m.onnx", "--json")[1])["check"] is None


def test_quiet_prints_nothing(folder, popnet):
    assert popnet("export", "model", "m.onnx", "--quiet") == (0, "", "")


def test_a_check_that_fails_ends_with_status_1(folder, popnet, monkeypatch):
    from popnet.export import run

    def moved(*args: object) -> dict[str, np.ndarray]:
        found = inner(*args)
        return {**found, "probabilities": found["probabilities"] + 2e-5}

    inner = run.run
    monkeypatch.setattr(run, "run", moved)
    status, out, _ = popnet("export", "model", "m.onnx", "--check", "table.parquet")
    assert status == 1
    assert "FAILED" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("model", "m.bin"), "must end in .onnx"),
        (("nowhere", "m.onnx"), "no folder nowhere"),
        (("model", "m.onnx", "--opset", "3"), "--opset must be between"),
        (("model", "m.onnx", "--check", "nothing.csv"), "nothing.csv"),
    ],
)
def test_mistakes_end_in_one_sentence(folder, popnet, words, message):
    status, _, error = popnet("export", *words)
    assert status == 2
    assert message in error
    assert "Traceback" not in error
