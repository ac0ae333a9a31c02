"""Requests for explanations: what they give is what popnet.explain says, without a row of anyone."""

from __future__ import annotations

import json

import pytest
from served_table import NEW, TABLE, as_json

import popnet


def post(client, rows, **query):
    return client.post("/explain", json=rows, params=query)


@pytest.mark.parametrize("target", ["bought", "price"])
def test_explanations_are_those_of_popnet_explain(serve, models, target):
    answer = post(serve(target, explained=True), {"rows": as_json(NEW[:5])}, fixed="size, rooms")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    true = popnet.explain(models[target], NEW[:5], background=TABLE, fixed=["size", "rooms"])
    assert len(found["explanations"]) == len(true) == 5
    assert found["background_rows"] == len(TABLE)
    assert found["target"] == [target]
    for sent, known in zip(found["explanations"], true.record()["rows"], strict=True):
        assert set(sent) == set(known) - {"row", "nearest"}
        assert sent["answer"] == pytest.approx(known["answer"])
        assert [c["column"] for c in sent["contributions"]] == [
            c["column"] for c in known["contributions"]
        ]
        for a, b in zip(sent["contributions"], known["contributions"], strict=True):
            assert (a["shapley"], a["standard_error"]) == pytest.approx(
                (b["shapley"], b["standard_error"])
            )
        assert (sent["change"] is None) == (known["change"] is None)
    assert any(e["change"] for e in found["explanations"])


def test_a_class_is_asked_for_and_csv_is_taken(serve, models):
    client = serve(explained=True)
    answer = client.post(
        "/explain?class=yes",
        content=NEW[:3].write_csv().encode(),
        headers={"Content-Type": "text/csv"},
    )
    p = models["bought"].predict_proba(NEW[:3])[:, 1]
    assert [e["answer"] for e in answer.json()["explanations"]] == pytest.approx(p.tolist())
    assert {e["explained"] for e in answer.json()["explanations"]} == {"yes"}


@pytest.mark.parametrize(
    ("status", "query", "rows", "said"),
    [
        (422, {"class": "maybe"}, 1, "knows no class 'maybe'"),
        (422, {"fixed": "sise"}, 1, "Did you mean 'size'?"),
        (422, {"target": "price"}, 1, "does not predict 'price'"),
        (413, {}, 101, "At most 100 rows"),
    ],
)
def test_refusals_are_sentences(serve, status, query, rows, said):
    answer = post(serve(explained=True), as_json(NEW[:1]) * rows, **query)
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_without_a_background_nothing_is_explained(serve):
    client = serve()
    answer = post(client, as_json(NEW[:1]))
    assert answer.status_code == 404
    assert "--background" in answer.json()["error"]
    assert "/explain" not in client.get("/openapi.json").json()["paths"]
    assert "/explain" in json.dumps(serve(explained=True).get("/openapi.json").json()["paths"])


def test_bad_fields_are_named_as_for_predictions(serve):
    row = as_json(NEW[:1])[0]
    answer = post(serve(explained=True), [row | {"age": "old"}])
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["field"] == "age"
