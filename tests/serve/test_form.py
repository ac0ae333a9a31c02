"""What a server says of its model: the schema, OpenAPI, the page for people, metrics, health, replaced models."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from html.parser import HTMLParser

import httpx
import numpy as np
import pytest
import uvicorn
from served_table import NEW, as_json

from popnet.model.folder import write_folder
from popnet.model.model import Model
from popnet.serve import page
from popnet.serve.app import make_app
from popnet.serve.reload import ServedModel

FEATURES = ["size", "age", "colour", "member", "joined", "rooms"]


def test_the_schema_and_its_example(serve, models):
    client = serve("price")
    found = client.get("/schema").json()
    assert [c["name"] for c in found["columns"]] == FEATURES
    kinds = {c["name"]: c["kind"] for c in found["columns"]}
    assert kinds["colour"] == "categorical"
    assert kinds["joined"] == "datetime"
    assert (found["target"], found["task"]) == (["price"], "regression")
    assert sorted(found["columns"][2]["levels"]) == ['<b> "blue"', "green", "red"]
    answer = client.post("/predict", json=found["example"])
    assert answer.status_code == 200
    assert answer.json()["notes"] == []


@pytest.mark.parametrize("target", ["bought", "price"])
def test_the_examples_of_openapi_are_answered(serve, target):
    client = serve(target)
    document = client.get("/openapi.json").json()
    post = document["paths"]["/predict"]["post"]
    assert {p["name"] for p in post["parameters"]} == {"proba", "interval", "quantile"}
    content = post["requestBody"]["content"]
    for example in content["application/json"]["examples"].values():
        assert client.post("/predict", json=example["value"]).status_code == 200
    kind = {"Content-Type": "text/csv"}
    answer = client.post("/predict", content=content["text/csv"]["example"], headers=kind)
    assert answer.status_code == 200, answer.text
    rows = content["application/json"]["schema"]["anyOf"][0]["properties"]["rows"]
    assert rows["items"]["required"] == FEATURES


class Form(HTMLParser):
    """The form's labels, and its inputs by what they are for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.labels: dict[str, str] = {}
        self.inputs: dict[str, dict[str, str | None]] = {}
        self.options: dict[str, list[str | None]] = {}
        self.links: list[str] = []
        self._label = self._select = ""
        self.inline = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self._label = found.get("for") or "" if tag == "label" else self._label
        if "data-column" in found:
            self.inputs[found["data-column"] or ""] = found | {"tag": tag}
            self._select = found["data-column"] or ""
        if tag == "option":
            self.options.setdefault(self._select, []).append(found["value"])
        self.links += [v for k, v in attrs if k in ("src", "href") and v]
        self.inline |= "style" in found or any(k.startswith("on") for k in found)

    def handle_endtag(self, tag: str) -> None:
        self._label = "" if tag == "label" else self._label

    def handle_data(self, data: str) -> None:
        if self._label:
            self.labels[self._label] = data


@pytest.mark.parametrize("target", ["bought", "price"])
def test_the_page_has_an_input_with_a_label_for_each_column(serve, target):
    client = serve(target)
    answer = client.get("/")
    form = Form(answer.text)
    assert list(form.inputs) == FEATURES
    assert {form.labels[i["id"]] for i in form.inputs.values()} == set(FEATURES)
    kinds = {name: (i["tag"], i.get("type")) for name, i in form.inputs.items()}
    assert kinds["colour"] == kinds["member"] == ("select", None)
    assert kinds["joined"] == ("input", "datetime-local")
    assert kinds["age"][0] == "input"
    assert set(form.options["colour"]) == {'<b> "blue"', "green", "red", ""}
    assert not form.inline
    assert not any(":" in link and not link.startswith("data:") for link in form.links)
    for name in ("page.css", "page.js", "schema", "health", "metrics", "openapi.json"):
        assert name in form.links
        assert client.get(f"/{name}").status_code == 200
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.fixture
def address(folders):
    """A server in a thread of this process, by the target."""
    servers = []

    def start(target: str) -> str:
        app = make_app(ServedModel(folders[target], seconds=None))
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        servers.append((server, thread))
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

    yield start
    for server, thread in servers:
        server.should_exit = True
        thread.join(30)


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
@pytest.mark.parametrize("target", ["bought", "price"])
def test_the_page_predicts_in_a_browser(address, target, tmp_path, monkeypatch):
    """The page as it is served, under its own security policy; its script presses the button by itself."""
    plain = page.file
    pressed = {"page.js": "\nform.requestSubmit();\n"}
    monkeypatch.setattr(page, "file", lambda name: plain(name) + pressed.get(name, ""))
    base = address(target)
    found = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--virtual-time-budget=10000", "--dump-dom", f"{base}/"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    example = httpx.get(f"{base}/schema").json()["example"]
    wanted = httpx.post(f"{base}/predict", json=example).json()["predictions"][0][target]
    assert 'class="answer"' in found.stdout, found.stderr[-2000:]
    shown = found.stdout.split('class="answer">')[1].split("<")[0]
    if target == "bought":
        assert shown == wanted
        assert found.stdout.count('class="bar"') == 2
    else:
        assert float(shown) == pytest.approx(wanted, rel=1e-4)


def test_metrics_count(serve):
    client = serve()
    good, bad = as_json(NEW[:3]), [as_json(NEW)[0] | {"age": "old"}]
    for body in (good, good, bad):
        client.post("/predict", json=body)
    client.get("/nothing")
    client.get("/somewhere")
    text = client.get("/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert lines['popnet_requests_total{path="/predict",status="200"}'] == "2"
    assert lines['popnet_requests_total{path="/predict",status="422"}'] == "1"
    assert lines['popnet_requests_total{path="other",status="404"}'] == "2"
    assert lines["popnet_rows_total"] == "6"
    assert lines["popnet_request_seconds_count"] == "2"
    assert lines['popnet_request_seconds_bucket{le="+Inf"}'] == "2"
    assert lines['popnet_pass_rows_bucket{le="2"}'] == "0"
    assert lines['popnet_pass_rows_bucket{le="4"}'] == "2"
    assert lines["popnet_pass_rows_sum"] == "6"
    assert lines["popnet_pass_requests_count"] == "2"
    assert lines["popnet_rows_waiting"] == "0"


def test_a_model_that_is_replaced_is_taken_over(serve, folders, models, tmp_path):
    place = tmp_path / "m"
    shutil.copytree(folders["bought"], place)
    client = serve(folder=place)
    served = client.app.state.service.served
    row = as_json(NEW)[0]
    served.look()
    assert client.get("/health").json()["models_loaded"] == 1
    write_folder(place, models["price"])
    served.look()
    health = client.get("/health").json()
    assert (health["status"], health["models_loaded"], health["target"]) == ("ok", 2, ["price"])
    found = client.post("/predict", json=row).json()["predictions"]
    assert found == models["price"].predict_frame(NEW[:1]).to_dicts()
    assert "Predict price" in client.get("/").text
    assert "price" in client.get("/openapi.json").json()["info"]["title"]


@pytest.mark.parametrize("how", ["cut", "gone", "text"])
def test_a_damaged_model_is_said_and_the_old_one_goes_on(serve, folders, models, tmp_path, how):
    place = tmp_path / "m"
    shutil.copytree(folders["bought"], place)
    client = serve(folder=place)
    served = client.app.state.service.served
    file = place / "model.json"
    if how == "gone":
        file.unlink()
    else:
        file.write_text("{" if how == "text" else file.read_text()[:-100])
    for _ in range(2):
        served.look()
        health = client.get("/health").json()
        assert health["status"] == "degraded"
        assert str(tmp_path) not in json.dumps(health)
    assert client.post("/predict", json=as_json(NEW)[0]).status_code == 200
    assert "popnet_model_healthy 0" in client.get("/metrics").text
    write_folder(tmp_path / "new", models["bought"])
    for name in ("weights.safetensors", "model.json"):
        (tmp_path / "new" / name).replace(place / name)
    served.look()
    assert client.get("/health").json()["status"] == "ok"


def test_the_folder_is_watched(folders, models, tmp_path):
    place = tmp_path / "m"
    shutil.copytree(folders["bought"], place)
    replaced = threading.Event()
    served = ServedModel(place, lambda good: replaced.set(), seconds=0.01)
    write_folder(place, models["price"])
    assert replaced.wait(60)
    served.close()
    assert served.model.description.targets == ("price",)


def test_a_model_of_images(serve, tmp_path):
    from PIL import Image

    from popnet import Classifier, Recipe

    rng = np.random.default_rng(0)
    dark = rng.integers(0, 90, (40, 8, 8), np.uint8)
    pixels = np.concatenate([dark, dark + 120])
    net = Classifier(members=2, folds=2, recipe=Recipe(epochs=2, batch_size=32), augment="none")
    net.fit(pixels, ["dark"] * 40 + ["light"] * 40).save(tmp_path / "m")
    files = []
    for i in (3, 50):
        Image.fromarray(pixels[i]).save(tmp_path / f"{i}.png")
        files.append(("images", (f"../{i}.png", (tmp_path / f"{i}.png").read_bytes(), "image/png")))
    client = serve(folder=tmp_path / "m", rows=2)
    model = Model.load(tmp_path / "m")
    wanted = model.predict(pixels[[3, 50]]).tolist()
    many = client.post("/predict", files=files, params={"proba": True})
    assert many.status_code == 200, many.text
    target = model.encoder.target.names[0]
    assert [row[target] for row in many.json()["predictions"]] == wanted
    kind = {"Content-Type": "image/png"}
    one = client.post("/predict", content=files[1][1][1], headers=kind)
    assert one.json()["predictions"] == [{target: wanted[1]}]
    bad = client.post("/predict", files=[files[0], ("images", ("x.png", b"no", "image/png"))])
    assert bad.status_code == 422
    assert [(p["row"], p["field"]) for p in bad.json()["problems"]] == [(2, "x.png")]
    assert "/tmp" not in bad.text
    assert client.post("/predict", files=[*files, files[0]]).status_code == 413
    assert client.post("/predict", json={"a": 1}).status_code == 415
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/predict", content=b"junk", headers=form).status_code in (400, 422)
    assert client.post("/predict", data={"a": "1"}, files={}).status_code in (415, 422)
    assert 'type="file"' in client.get("/").text
    assert client.get("/openapi.json").status_code == 200
