"""Fits in trackers: what is logged is what the fit found, by readers that share nothing with popnet's writers."""

from __future__ import annotations

import importlib.util
import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from popnet import Model, Recipe, Regressor
from popnet.errors import InputError
from popnet.options import Options
from popnet.report.fit_page.facts import FitFacts, from_json
from popnet.tracking import tracker
from popnet.tracking.pyfunc import _load_pyfunc
from popnet.tracking.record import MAX_CURVES, fit_log
from popnet.tracking.run import Tracking
from popnet.tracking.tensorboard import TensorBoard

needs_mlflow = pytest.mark.skipif(
    importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed"
)
TABLE = pl.DataFrame({
    "x": np.linspace(-1, 1, 80), "colour": ["red", "blue", "blue", "green"] * 20, "y": np.linspace(-1, 1, 80) ** 2,
})  # fmt: skip
COMMAND = (
    "--target", "y", "--members", 2, "--folds", 2, "--fix", "depth=1", "--fix", "width=8", "--fix", "epochs=3",
    "--quiet", "--workers", 1, "--ensemble", "average",
)  # fmt: skip


@pytest.fixture(scope="module")
def tracked(tmp_path_factory) -> tuple[Path, FitFacts]:
    """Where an estimator's fit was logged, and its facts."""
    place = tmp_path_factory.mktemp("runs")
    net = Regressor(
        members=2, folds=2, recipe=Recipe(depth=1, width=8, epochs=3), ensemble="average", workers=1,
        track=f"tensorboard:{place / 'new' / 'tb'}",
    )  # fmt: skip
    net.fit(TABLE.drop("y"), TABLE["y"].to_numpy())
    return place / "new" / "tb", from_json(net.facts_)


# --- TensorBoard ------------------------------------------------------------------------------------


def crc32c(data: bytes) -> int:
    """Castagnoli's checksum (RFC 3720), bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def events(folder: Path) -> Iterator[Any]:
    """Yield the events of a run's only file: records of TFRecord files, with their checksums."""
    from tensorboardX.proto.event_pb2 import Event

    (path,) = folder.glob("events.out.tfevents.*")
    data, place = path.read_bytes(), 0
    while place < len(data):
        head = data[place : place + 8]
        (size,) = struct.unpack("<Q", head)
        body = data[place + 12 : place + 12 + size]
        assert struct.unpack("<I", data[place + 8 : place + 12])[0] == masked(head)
        assert struct.unpack("<I", data[place + 12 + size : place + 16 + size])[0] == masked(body)
        yield Event.FromString(body)
        place += 16 + size
    assert place == len(data)


def test_the_checksum_is_castagnolis():
    assert crc32c(b"123456789") == 0xE3069283


def test_tensorboard_has_curves_scores_options_and_hparams(tracked):
    place, facts = tracked
    (run,) = place.iterdir()
    scalars: dict[str, dict[int, float]] = {}
    texts, plugins = {}, {}
    for event in events(run):
        for value in event.summary.value:
            if value.metadata.plugin_data.plugin_name == "hparams":
                plugins[value.tag] = value.metadata.plugin_data.content
            elif value.metadata.plugin_data.plugin_name == "text":
                texts[value.tag] = value.tensor.string_val[0].decode()
            else:
                scalars.setdefault(value.tag, {})[event.step] = value.simple_value
    for member in facts.members:
        for name, values in (("loss", member.curves.loss), ("valid_loss", member.curves.valid_loss)):  # fmt: skip
            found = scalars[f"{name}/member_{member.id}"]
            assert list(found) == [1, 2, 3]
            np.testing.assert_allclose(list(found.values()), values, rtol=1e-6)
    assert scalars["score/rmse"][0] == pytest.approx(facts.metrics["rmse"], rel=1e-6)
    assert scalars["score/constant/rmse"][0] > 0
    (options,) = texts.values()
    assert "| members | `2` |" in options
    assert '"width":8' in options
    assert len(plugins) == 3
    start = next(data for tag, data in plugins.items() if "session_start" in tag)
    assert b"members" in start
    assert b"regression" in start


def test_a_run_never_goes_into_anothers_folder(tracked, tmp_path):
    _, facts = tracked
    record = fit_log(facts, Options(), tmp_path / "m.popnet")
    folders = {TensorBoard(tmp_path / "tb").log(record) for _ in range(3)}
    assert len(folders) == 3
    assert all(Path(f).name.startswith("m-") for f in folders)


# --- the record -------------------------------------------------------------------------------------


def test_the_record_has_the_ensembles_curves_alone(tracked):
    _, facts = tracked
    member = facts.members[0]
    many = [replace(member, id=i, weight=i / 1000) for i in range(MAX_CURVES + 9)]
    many[-1] = replace(many[-1], curves=replace(member.curves, valid_loss=[1.0, None, float("nan")]))  # fmt: skip
    record = fit_log(replace(facts, members=many), Options(members=7, drop=("a", "b")), Path("m"))
    names = [c.name for c in record.curves]
    assert names[:2] == [f"loss/member {MAX_CURVES + 8}", f"valid_loss/member {MAX_CURVES + 8}"]
    assert len(names) == 2 * MAX_CURVES
    assert "loss/member 0" not in names  # without weight
    chosen = {k: record.options[k] for k in ("members", "drop", "task", "target")}
    assert chosen == {"members": "7", "drop": "a, b", "task": "regression", "target": "target"}
    assert "folds" in record.options
    assert "workers" not in record.options  # as by default
    assert all(np.isfinite(v) for v in record.scores.values())


# --- what is refused, and what fails ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("mlfow", "there is no tracker 'mlfow', only mlflow and tensorboard. Did you mean 'mlflow'"),
        ("tensorboard", "needs a folder: --track tensorboard:runs"),
        (["tensorboard:x", 3], "track must be a text"),
        ("tensorboard:/dev/null/x", "/dev/null cannot be written"),
    ],
)  # fmt: skip
def test_what_cannot_be_tracked_is_refused_before_the_work(asked, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        Tracking.of(asked)
    assert said in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_named_with_its_extra(monkeypatch, run, tmp_path):
    TABLE.write_csv(tmp_path / "t.csv")
    monkeypatch.setattr(tracker.importlib.util, "find_spec", lambda name: None)
    for asked, library in (("mlflow", "mlflow and pandas"), ("tensorboard:x", "tensorboardX")):
        command = ("fit", tmp_path / "t.csv", "--out", tmp_path / "m", *COMMAND)
        _, said = run(*command, "--track", asked, fails=2)
        assert said == f"popnet: --track {asked} needs {library}: pip install 'popnet[track]'.\n"
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_a_tracker_that_fails_costs_no_fit(monkeypatch, run, tmp_path):
    def broken(self: TensorBoard, record: object) -> str:
        raise RuntimeError("the network\nis gone. Try again.")

    monkeypatch.setattr(TensorBoard, "log", broken)
    TABLE.write_csv(tmp_path / "t.csv")
    out, said = run(
        "fit", tmp_path / "t.csv", "--out", tmp_path / "m", *COMMAND, "--json", "--track", f"tensorboard:{tmp_path}/tb",
    )  # fmt: skip
    problem = "the fit could not be logged to tensorboard: the network is gone."
    assert said == f"popnet: {problem} The model is in {tmp_path / 'm'}.\n"
    (entry,) = json.loads(out)["tracking"]
    assert entry == {"to": f"tensorboard:{tmp_path}/tb", "place": None, "problem": "the network is gone."}  # fmt: skip
    assert Model.load(tmp_path / "m").predict_frame(TABLE).height == 80


def test_a_tracker_that_fails_is_a_warning_of_an_estimator(tracked, tmp_path):
    _, facts = tracked
    model = Model.load(Path(__file__).parents[1] / "model" / "folders" / "points-36f7e3f")

    class Broken:
        def check(self) -> None: ...
        def log(self, record: object) -> str:
            raise ConnectionError

    (found,) = Tracking((("mlflow:x", Broken()),)).log_unsaved(model, facts, Options())
    assert str(found) == "the fit could not be logged to mlflow: ConnectionError."


def test_mlflows_loader_predicts_as_the_model_does():
    kept = Path(__file__).parents[1] / "model" / "folders"
    numbers, images = (kept / f"{name}-6652543" for name in ("numbers", "images"))
    rows = pl.read_csv(numbers / "rows.csv", infer_schema=False)
    expected = Model.load(numbers).predict_frame(rows, interval=0.8)
    found = _load_pyfunc(str(numbers)).predict(rows.to_pandas(), {"interval": 0.8, "proba": False})
    assert list(found.columns) == expected.columns == ["price", "price_low", "price_high"]
    np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())
    pixels = np.load(images / "rows.npz")["images"]
    found = _load_pyfunc(str(images)).predict(pixels, {"proba": True})
    probabilities = Model.load(images).predict_proba(pixels)
    np.testing.assert_array_equal(found.iloc[:, 2:].to_numpy(), probabilities)


# --- MLflow -----------------------------------------------------------------------------------------


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_a_server_that_is_gone_is_refused_before_the_work(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for asked, said in (
        (
            "mlflow:http://127.0.0.1:9",
            "--track mlflow:http://127.0.0.1:9 cannot be reached: Connection refused.",
        ),
        ("mlflow:what://x", "--track mlflow:what://x cannot be reached: "),
    ):
        with pytest.raises(InputError) as error:
            Tracking.of(asked)
        assert str(error.value).startswith(said)
        assert str(error.value).endswith(".")
        assert "\n" not in str(error.value)


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_options_scores_curves_report_and_a_model_that_loads(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["far" if y > 0.3 else "near" for y in TABLE["y"]]
    TABLE.with_columns(y=pl.Series(words)).write_csv("t.csv")
    uri = f"sqlite:///{tmp_path}/runs.db"
    out, said = run("fit", "t.csv", "--out", "m", *COMMAND, "--json", "--track", f"mlflow:{uri}")
    assert said == ""
    found = json.loads(out)
    (entry,) = found["tracking"]
    assert entry["problem"] is None
    import mlflow
    import pandas as pd

    client = mlflow.MlflowClient(tracking_uri=uri)
    (logged,) = client.search_runs(["0"])
    assert logged.info.run_id in entry["place"]
    assert (logged.info.run_name, logged.info.status) == ("m", "FINISHED")
    assert logged.data.params["members"] == "2"
    assert logged.data.params["target"] == "y"
    assert logged.data.metrics["accuracy"] == pytest.approx(found["score"])
    curves = [name for name in logged.data.metrics if name.startswith("valid_loss/")]
    assert len(curves) == 2
    steps = [m.step for m in client.get_metric_history(logged.info.run_id, curves[0])]
    assert steps == [1, 2, 3]
    names = {f.path for f in client.list_artifacts(logged.info.run_id)}
    assert "report.html" in names
    mlflow.set_tracking_uri(uri)
    pyfunc = mlflow.pyfunc.load_model(f"runs:/{logged.info.run_id}/model")
    rows = pd.DataFrame({"x": [-0.9, None, 0.1], "colour": ["red", "blue", "violet"]})
    expected = Model.load("m").predict_frame(rows, proba=True)
    assert pyfunc.predict(rows)["y"].tolist() == expected["y"].to_list()
    again = pyfunc.predict(rows, params={"proba": True})
    np.testing.assert_allclose(again.iloc[:, 1:], expected.drop("y").to_numpy(), rtol=1e-12)
    saved = next(tmp_path.glob("mlruns/**/MLmodel"))
    assert not list(saved.parent.glob("**/*.pkl"))
