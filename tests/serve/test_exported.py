"""An exported file is served as its folder is: the same answers, without what made it."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from served_table import NEW, as_json
from test_answers import FEATURES, SCALARS, bodies, post

from popnet import InputError, Model
from popnet.export.run import export
from popnet.serve.app import make_app
from popnet.serve.reload import ServedModel

TARGETS = ["bought", "price"]


@pytest.fixture(scope="module")
def files(models, tmp_path_factory):
    """Exported files, by what they predict."""
    place = tmp_path_factory.mktemp("exported")
    for target, model in models.items():
        export(model, place / f"{target}.onnx")
    return {target: place / f"{target}.onnx" for target in models}


def assert_same(found, wanted) -> None:
    """Compare two answers: all but numbers, which may differ by rounding, are equal."""
    assert found.status_code == wanted.status_code, (found.text, wanted.text)
    one, other = found.json(), wanted.json()
    for rows in zip(one.pop("predictions", []), other.pop("predictions", []), strict=True):
        assert list(rows[0]) == list(rows[1])
        for a, b in zip(*(row.values() for row in rows), strict=True):
            assert a == (pytest.approx(b, abs=1e-5, rel=1e-6) if isinstance(b, float) else b)
    for answer in (one, other):
        answer.get("problems", []).sort(key=lambda p: (p["row"], p["field"]))
    assert one == other


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("form", ["rows", "csv", "parquet"])
def test_answers_are_the_folders(serve, files, target, form):
    asked = {"proba": True} if target == "bought" else {"interval": 0.9}
    answers = [post(c, *bodies(NEW)[form], **asked) for c in (serve(folder=files[target]), serve(target))]  # fmt: skip
    assert answers[0].status_code == 200
    assert_same(*answers)


ODD = [
    {"colour": "violet", "age": None, "member": None, "joined": None, "rooms": None},
    {"colour": None, "age": 1e9, "member": "no", "joined": "2024-05-06", "rooms": "7", "size": "NA"},
    {"colour": 3, "age": "-1e-3 ", "member": "perhaps", "joined": "2024-05-06T01:02:03.5Z", "rooms": 2.5, "more": 1},
    {"age": "old", "joined": "yesterday", "rooms": "many"},
    {"age": True, "member": 1, "joined": 20240506},
    {"age": [1]},
    {"age": 10**400, "size": -(10**400)},
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_odd_values_are_read_noted_and_refused_likewise(serve, files, target):
    one, other = serve(folder=files[target]), serve(target)
    rows = [as_json(NEW)[i] | odd for i, odd in enumerate(ODD)]
    for some in (*([row] for row in rows), rows[:3], rows, [rows[0], {"age": 1}, 7]):
        body = json.dumps(some).encode()
        assert_same(post(one, body), post(other, body))
    rest = NEW.drop("age").write_csv().encode()
    assert_same(post(one, rest, "text/csv"), post(other, rest, "text/csv"))
    plain = NEW.head(2).write_csv(separator=";").encode()
    assert_same(post(one, plain, "text/csv"), post(other, plain, "text/csv"))


@pytest.fixture(scope="module")
def clients(files, folders):
    with (
        TestClient(make_app(ServedModel(files["bought"], seconds=None))) as one,
        TestClient(make_app(ServedModel(folders["bought"], seconds=None))) as other,
    ):
        yield one, other


@settings(max_examples=40)
@given(row=st.fixed_dictionaries(dict.fromkeys(FEATURES, SCALARS)))
def test_any_row_is_answered_as_by_the_folder(clients, row):
    body = json.dumps(row).encode()
    assert_same(*(post(client, body, proba=True) for client in clients))


@pytest.mark.parametrize("target", TARGETS)
def test_what_it_says_of_itself_is_what_the_folder_says(serve, files, target):
    one, other = serve(folder=files[target]), serve(target)
    for path in ("/schema", "/openapi.json", "/health"):
        assert one.get(path).json() == other.get(path).json()
    assert len(one.get("/health").json()["model_sha256"]) == 64
    assert one.get("/").text == other.get("/").text
    assert "popnet_model_healthy 1" in one.get("/metrics").text


@pytest.mark.parametrize(
    ("target", "query", "said"),
    [
        ("price", {"proba": True}, "Probabilities are for classification"),
        ("bought", {"interval": 0.9}, "for regression"),
        ("price", {"interval": 0.5}, "intervals of 0.9 and no others"),
        ("price", {"quantile": "0.1"}, "serve the model's folder"),
        ("price", {"interval": 1.5}, "coverage"),
    ],
)
def test_what_a_file_does_not_have_is_said(serve, files, target, query, said):
    answer = post(serve(folder=files[target]), *bodies(NEW[:2])["rows"], **query)
    assert answer.status_code == 422
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b"", "text/csv", 422, "empty"),
        (b"a,b\n", "text/csv", 422, "no rows"),
        (b"a,b\n1\n", "text/csv", 422, "has 1 fields"),
        (b"a,a\n1,2\n", "text/csv", 422, "the same name"),
        (b"\xff\n", "text/csv", 422, "not UTF-8"),
        (b"a,b\n1,2\n3,4\n5,6\n", "text/csv", 413, "more than 2 rows"),
        (b"PAR1" + bytes(40) + b"PAR1", "application/vnd.apache.parquet", 422, "damaged"),
        (b"x", "image/png", 415, "rows as application/json"),
    ],
)
def test_bodies_that_cannot_be_used(serve, files, body, kind, status, said):
    answer = post(serve(folder=files["bought"], rows=2), body, kind)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["error"]


def test_without_pyarrow_parquet_is_refused_and_not_offered(serve, files, monkeypatch):
    monkeypatch.setattr("popnet.serve.onnx_model.find_spec", lambda name: None)
    client = serve(folder=files["bought"])
    answer = post(client, *bodies(NEW[:1])["parquet"])
    assert answer.status_code == 415
    assert "rows as application/json or text/csv" in answer.json()["error"]
    content = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]  # fmt: skip
    assert list(content) == ["application/json", "text/csv"]


def test_a_file_that_is_replaced_is_taken_over(serve, files, tmp_path):
    place = tmp_path / "m.onnx"
    shutil.copy(files["bought"], place)
    client = serve(folder=place)
    served = client.app.state.service.served
    place.write_bytes(b"damaged")
    served.look()
    health = client.get("/health").json()
    assert (health["status"], health["target"]) == ("degraded", ["bought"])
    assert "the new model cannot be used (the file cannot be read" in health["problem"]
    shutil.copy(files["price"], place)
    served.look()
    assert client.get("/health").json()["target"] == ["price"]


def test_files_that_are_no_exports_are_refused(tmp_path):
    import onnx
    from onnx import helper

    x, y = (helper.make_tensor_value_info(name, 1, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 18)])
    onnx.save(model, tmp_path / "other.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no")
    for name, said in (("other", "was not written by"), ("broken", "cannot be read"), ("none", "no file")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            ServedModel(tmp_path / f"{name}.onnx", seconds=None)


ALONE = """
import sys
from pathlib import Path
from fastapi.testclient import TestClient
import popnet.cli.app
from popnet.serve.server import make_server
from popnet.serve.limits import Limits
server, listening = make_server(Path(sys.argv[1]), "127.0.0.1", 0, Limits(), lambda address: None)
with TestClient(server.config.app) as client:
    body = sys.argv[2]
    print(client.post("/predict", content=body, headers={"Content-Type": sys.argv[3]}).text)
    assert client.get("/").status_code == client.get("/openapi.json").status_code == 200
listening.close()
heavy = {"jax", "jaxlib", "polars", "sklearn", "scipy", "optax", "optuna", "safetensors", "onnx", "pandas"}
print(sorted(heavy & {name.split(".")[0] for name in sys.modules}))
"""


def test_neither_jax_nor_polars_is_imported(models, files):
    rows = NEW[:3]
    words = ["-W", "ignore", "-c", ALONE, str(files["bought"]), rows.write_csv(), "text/csv"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    answer, heavy = done.stdout.splitlines()
    assert heavy == "[]"
    assert pl.DataFrame(json.loads(answer)["predictions"]).equals(models["bought"].predict_frame(rows))  # fmt: skip


def test_a_model_of_images(serve, tmp_path):
    from PIL import Image

    from popnet import Classifier, Recipe

    rng = np.random.default_rng(0)
    dark = rng.integers(0, 90, (40, 8, 8), np.uint8)
    net = Classifier(members=2, folds=2, recipe=Recipe(epochs=2, batch_size=32), augment="none")
    net.fit(np.concatenate([dark, dark + 120]), ["dark"] * 40 + ["light"] * 40).save(tmp_path / "m")
    export(Model.load(tmp_path / "m"), tmp_path / "m.onnx")
    one, other = serve(folder=tmp_path / "m.onnx", rows=2), serve(folder=tmp_path / "m", rows=2)
    shown: list[tuple[str, tuple[str, bytes, str]]] = []
    for i, size in enumerate([(8, 8), (31, 20)]):
        content = io.BytesIO()
        Image.fromarray(dark[i]).convert("RGB").resize(size).save(content, "PNG")
        shown.append(("images", (f"{i}.png", content.getvalue(), "image/png")))
    answers = [c.post("/predict", files=shown, params={"proba": True}) for c in (one, other)]
    assert answers[0].status_code == 200
    assert_same(*answers)
    bad = one.post("/predict", files=[shown[0], ("images", ("x.png", b"no", "image/png"))])
    assert [(p["row"], p["field"]) for p in bad.json()["problems"]] == [(2, "x.png")]
    assert "/tmp" not in bad.text
    assert one.get("/schema").json() == other.get("/schema").json()
    assert 'type="file"' in one.get("/").text
