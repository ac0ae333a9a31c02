"""Requests for predictions: what they give is what the model says, in every form and in any company."""

from __future__ import annotations

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from served_table import NEW, as_json

from popnet.serve.app import make_app
from popnet.serve.reload import ServedModel

FEATURES = ["size", "age", "colour", "member", "joined", "rooms"]


def bodies(frame: pl.DataFrame) -> dict[str, tuple[bytes, str]]:
    parquet = io.BytesIO()
    frame.write_parquet(parquet)
    rows = as_json(frame)
    return {
        "rows": (json.dumps({"rows": rows}).encode(), "application/json"),
        "list": (json.dumps(rows).encode(), "application/json; charset=utf-8"),
        "csv": (frame.write_csv().encode(), "text/csv"),
        "parquet": (parquet.getvalue(), "application/vnd.apache.parquet"),
    }


def post(client, body: bytes, kind: str = "application/json", **query):
    return client.post("/predict", content=body, headers={"Content-Type": kind}, params=query)


@pytest.mark.parametrize("target", ["bought", "price"])
@pytest.mark.parametrize("form", ["rows", "list", "csv", "parquet"])
def test_predictions_are_the_models(serve, models, target, form):
    client, model = serve(target), models[target]
    asked = {"proba": True} if model.is_classifier else {"interval": 0.5, "quantile": "0.25,0.9"}
    answer = post(client, *bodies(NEW)[form], **asked)
    assert answer.status_code == 200, answer.text
    known = {"proba": True} if model.is_classifier else {"interval": 0.5, "quantiles": [0.25, 0.9]}
    wanted = model.predict_frame(NEW, **known)
    assert pl.DataFrame(answer.json()["predictions"]).equals(wanted)
    assert answer.json()["rows"] == len(NEW)
    assert answer.json()["target"] == [target]
    plain = post(client, *bodies(NEW)[form]).json()["predictions"]
    assert pl.DataFrame(plain).equals(model.predict_frame(NEW))


def test_one_object_is_one_row(serve, models):
    row = as_json(NEW)[0]
    answer = post(serve(), json.dumps(row).encode()).json()
    assert answer["predictions"] == models["bought"].predict_frame(NEW[:1]).to_dicts()


def test_a_column_of_numbers_may_hold_numbers_and_text(serve, models):
    rows = as_json(NEW)
    rows[1]["age"], rows[2]["age"] = str(rows[1]["age"]), "1e-1"
    answer = post(serve("price"), json.dumps(rows).encode()).json()
    rows[1]["age"], rows[2]["age"] = float(rows[1]["age"]), 0.1
    wanted = post(serve("price"), json.dumps(rows).encode()).json()
    assert answer["predictions"] == wanted["predictions"]


def test_columns_that_are_not_read_are_ignored_and_named(serve):
    rows = [row | {"note": {"deep": [1]}, "\ud800": 1} for row in as_json(NEW)]
    answer = post(serve(), json.dumps(rows).encode())
    assert answer.status_code == 200
    assert answer.json()["ignored"] == ["note", "?"]  # "price" and "bought" were in the table


def test_notes_say_what_was_noticed(serve):
    rows = as_json(NEW[:2])
    rows[0]["colour"], rows[1]["age"] = "violet", None
    notes = " ".join(post(serve(), json.dumps(rows).encode()).json()["notes"])
    assert "'violet'" in notes
    assert "column 'age': 1 missing value" in notes


def test_every_bad_field_is_named(serve):
    rows = as_json(NEW[:4])
    rows[0]["age"] = "old"
    rows[1]["joined"] = "yesterday"
    rows[3]["rooms"] = "many"
    answer = post(serve(), json.dumps(rows).encode())
    assert answer.status_code == 422
    assert answer.json()["error"] == "3 fields cannot be used."
    assert sorted(answer.json()["problems"], key=lambda p: p["row"]) == [
        {"row": 1, "field": "age", "problem": "'old' is not a number"},
        {"row": 2, "field": "joined", "problem": "'yesterday' is not a date or time"},
        {"row": 4, "field": "rooms", "problem": "'many' is not a number"},
    ]
    rows[0], rows[1]["age"] = 7, [1]
    del rows[2]["size"]
    found = post(serve(), json.dumps(rows).encode()).json()["problems"]
    assert [(p["row"], p["field"]) for p in found] == [(1, None), (2, "age"), (3, "size")]


def test_a_csv_that_lacks_columns_names_them(serve):
    answer = post(serve(), NEW.drop("age", "size").write_csv().encode(), "text/csv")
    assert answer.status_code == 422
    assert [p["field"] for p in answer.json()["problems"]] == ["size", "age"]


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b"", "application/json", 400, "not JSON"),
        (b"{", "application/json", 400, "line 1, column 2"),
        (b"\xff\xfe", "application/json", 400, "not UTF-8"),
        (b"[NaN]", "application/json", 400, "NaN is no number"),
        (b"[" + b"9" * 9999 + b"]", "application/json", 400, "too many digits"),
        (b"[" * 100_000, "application/json", 400, "nested"),
        (b'{"a":' * 50_000, "application/json", 400, "nested"),
        (b"3", "application/json", 422, "a number"),
        (b'"x"', "application/json", 422, "text"),
        (b"[]", "application/json", 422, "no rows"),
        (b'{"rows": []}', "application/json", 422, "no rows"),
        (b"{}", "application/json", 422, "6 fields"),
        (b"", "text/csv", 422, "empty"),
        (b"a,b\n", "text/csv", 422, ""),
        (b"\x00\x01\x02", "text/csv", 422, ""),
        (b"PAR1 no", "application/vnd.apache.parquet", 422, "damaged"),
        (b"PAR1" + bytes(40) + b"PAR1", "application/vnd.apache.parquet", 422, "damaged"),
        (b"{}", "application/x-www-form-urlencoded", 415, "Content-Type"),
        (b"{}", "", 415, "it is missing"),
        (b"x", "image/png", 415, "rows as application/json"),
    ],
)
def test_bodies_that_cannot_be_used(serve, body, kind, status, said):
    answer = post(serve(), body, kind)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["error"]
    assert "/tmp" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("target", "query", "said"),
    [
        ("price", {"proba": True}, "Probabilities are for classification"),
        ("bought", {"interval": 0.9}, "for regression"),
        ("price", {"interval": 1.5}, "coverage"),
        ("price", {"interval": "nan"}, ""),
        ("price", {"interval": "wide"}, "A parameter cannot be used."),
        ("price", {"quantile": "a"}, "A parameter cannot be used."),
        ("price", {"quantile": "0.1,0.1"}, "given twice"),
        ("price", {"quantile": "2"}, ""),
        ("bought", {"proba": "perhaps"}, "A parameter cannot be used."),
    ],
)
def test_parameters_that_cannot_be_used(serve, target, query, said):
    answer = post(serve(target), *bodies(NEW[:2])["rows"], **query)
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["error"]


def test_requests_that_come_together_get_what_they_get_alone(serve, models):
    """Also of different sizes and options, and beside one that is wrong."""
    client, model = serve("price"), models["price"]
    rows = as_json(NEW)

    def ask(i: int) -> tuple[int, object]:
        own = rows[i : i + 1 + 7 * (i % 3)]
        if i % 7 == 0:
            own = [own[0] | {"age": "old"}]
        answer = post(client, json.dumps(own).encode(), **({"interval": 0.5} if i % 4 == 0 else {}))
        return answer.status_code, answer.json().get("predictions")

    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(ask, range(30)))
    for i, (status, found) in enumerate(together):
        if i % 7 == 0:
            assert status == 422
            continue
        own = NEW[i : i + 1 + 7 * (i % 3)]
        assert found == model.predict_frame(own, interval=0.5 if i % 4 == 0 else None).to_dicts()


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["rows", "list", "csv", "parquet"])
def test_the_limit_of_rows(serve, form):
    client = serve(rows=5)
    assert post(client, *bodies(NEW[:5])[form]).status_code == 200
    answer = post(client, *bodies(NEW[:6])[form])
    assert answer.status_code == 413
    assert "more than 5 rows" in answer.json()["error"]


def test_the_limit_of_bytes_counts_what_is_read(serve):
    client = serve(bytes=1000)
    kind = {"Content-Type": "application/json"}
    declared = client.post("/predict", content=b" " * 1001, headers=kind)
    given: list[int] = []

    def pieces():
        for i in range(1000):
            given.append(i)
            yield b" " * 100

    streamed = client.post("/predict", content=pieces(), headers=kind)
    assert [declared.status_code, streamed.status_code] == [413, 413]
    assert client.post("/predict", content=b" " * 1000, headers=kind).status_code == 400


def test_compressed_bodies_are_refused(serve):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert serve().post("/predict", content=b"x", headers=headers).status_code == 415


def test_the_limit_of_time(serve, monkeypatch):
    """A pass that takes long is no reason to wait for ever, and others are answered meanwhile."""
    client = serve(seconds=2)
    service = client.app.state.service
    going, goon = threading.Event(), threading.Event()
    model = service.served.model

    def slow(*args: object, **kwargs: object) -> object:
        going.set()
        assert goon.wait(30)
        return type(model).predict(model, *args, **kwargs)

    object.__setattr__(model, "predict", slow)
    body = bodies(NEW[:1])["rows"]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(post, client, *body)
        assert going.wait(30)
        second = pool.submit(post, client, *body)
        assert client.get("/health").json()["status"] == "ok"  # the event loop goes on
        assert first.result().status_code == 504
        late = second.result()
    goon.set()
    assert late.status_code == 503
    assert late.headers["retry-after"] == "1"
    object.__delattr__(model, "predict")
    assert post(client, *body).status_code == 200


def test_a_failure_of_the_server_is_that_requests_alone(folders, monkeypatch):
    served = ServedModel(folders["bought"], seconds=None)
    with TestClient(make_app(served), raise_server_exceptions=False) as client:
        body = bodies(NEW[:1])["rows"]
        with monkeypatch.context() as patch:
            patch.setattr("popnet.serve.rows.read_json", lambda *_: 1 / 0)
            answer = post(client, *body)
        assert answer.status_code == 500
        assert "ZeroDivisionError" not in answer.text
        assert post(client, *body).status_code == 200
        assert 'path="/predict",status="500"} 1' in client.get("/metrics").text


def test_parquet_columns_that_are_not_read_may_hold_anything(serve, models):
    frame = NEW.with_columns(list=pl.concat_list("age", "age")).drop("bought")
    answer = post(serve(), *bodies(frame.drop("list"))["parquet"])
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    found = post(serve(), buffer.getvalue(), "application/x-parquet").json()
    assert found["predictions"] == answer.json()["predictions"]
    assert found["ignored"] == ["list"]


def test_other_paths_and_methods(serve):
    client = serve()
    assert client.get("/nothing").json() == {"error": "There is nothing at this path."}
    assert client.get("/predict").status_code == 405
    assert client.get("/docs").status_code == 404


# --- anything at all ------------------------------------------------------------------------------

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
    | st.sampled_from(["1", "yes", "2024-01-01", "NA", "", "\ud800", "1e999", 10**400])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
ROWS = st.fixed_dictionaries(dict.fromkeys(FEATURES, SCALARS), optional={"rows": VALUES})


@pytest.fixture(scope="module")
def any_client(folders):
    with TestClient(make_app(ServedModel(folders["bought"], seconds=None))) as client:
        yield client


@settings(max_examples=40)
@given(rows=st.lists(ROWS, min_size=1, max_size=2))
def test_a_row_is_predicted_as_it_is_alone(any_client, rows):
    """Whatever types of values stand beside its own."""
    rows = [{name: row[name] for name in FEATURES} for row in rows]
    rows.append(as_json(NEW)[0])
    together = post(any_client, json.dumps(rows).encode(), proba=True)
    alone = [post(any_client, json.dumps(row).encode(), proba=True) for row in rows]
    if together.status_code == 200:
        assert together.json()["predictions"] == [a.json()["predictions"][0] for a in alone]
    else:
        assert any(a.status_code != 200 for a in alone)


@settings(max_examples=60)
@given(
    content=VALUES
    | ROWS
    | st.lists(ROWS | VALUES, max_size=4)
    | st.fixed_dictionaries({"rows": VALUES})
)
def test_any_json_is_answered(any_client, content):
    answer = post(any_client, json.dumps(content).encode())
    assert answer.status_code in (200, 400, 422)
    found = json.loads(answer.content)
    assert ("predictions" in found) == (answer.status_code == 200)


@settings(max_examples=60)
@given(
    body=st.binary(max_size=60),
    kind=st.sampled_from(["application/json", "text/csv", "application/vnd.apache.parquet"]),
)
def test_any_bytes_are_answered(any_client, body, kind):
    assert post(any_client, body, kind).status_code in (400, 413, 422)
