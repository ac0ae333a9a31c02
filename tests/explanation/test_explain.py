"""`popnet explain` and `popnet.explain`: whole explanations of models of classes and of numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import popnet
from popnet import InputError
from popnet.explanation.answers import Answers
from popnet.explanation.records import Disagreement, Novelty
from popnet.predictions.ensemble import combine

FEATURES = ["size", "noise", "colour", "member", "joined", "rooms"]


@pytest.fixture(scope="module")
def of_classes(classifier, table):
    return popnet.explain(classifier, table, rows="0:40")


@pytest.fixture(scope="module")
def of_numbers(regressor, table):
    return popnet.explain(regressor, table[:40], background=table, nearest=3)


def test_answers_are_the_models_and_values_sum_to_them(
    of_classes, of_numbers, classifier, regressor, table
):
    p = classifier.predict_proba(table)
    assert [e.prediction for e in of_classes] == classifier.predict(table[:40]).tolist()
    np.testing.assert_allclose([e.answer for e in of_classes], p[:40].max(1), atol=1e-6)
    places = [list(classifier.classes).index(e.explained) for e in of_classes]
    np.testing.assert_allclose([e.base for e in of_classes], p.mean(0)[places], atol=1e-6)
    values = regressor.predict(table)
    np.testing.assert_allclose([e.answer for e in of_numbers], values[:40], rtol=1e-6)
    np.testing.assert_allclose([e.base for e in of_numbers], values.mean(), rtol=1e-6)
    limits = regressor.predict_frame(table[:40], interval=0.9)
    np.testing.assert_allclose(
        [e.interval for e in of_numbers], limits[:, 1:].to_numpy(), rtol=1e-6
    )
    for found in (of_classes, of_numbers):
        for e in found:
            assert sum(c.shapley for c in e.contributions) == pytest.approx(
                e.answer - e.base, abs=1e-6
            )
            sizes = [abs(c.shapley) for c in e.contributions]
            assert sizes == sorted(sizes, reverse=True)
            assert {c.column: c.value for c in e.contributions} == dict(
                zip(FEATURES, table[e.row].select(FEATURES).row(0), strict=True)
            )
    frame = of_numbers.frame()
    assert frame.columns == ["row", "base", "answer", *sorted(FEATURES)]
    np.testing.assert_allclose(
        frame.select(FEATURES).sum_horizontal() + frame["base"], frame["answer"], rtol=1e-6
    )


def test_the_columns_that_make_the_target_add_most(of_numbers):
    mean = {name: of_numbers.frame()[name].abs().mean() for name in FEATURES}
    assert sorted(mean, key=mean.get)[-3:] == ["member", "colour", "size"]


def test_changes_make_another_answer(of_classes, of_numbers, classifier, regressor, table):
    for found, model in ((of_classes, classifier), (of_numbers, regressor)):
        assert sum(e.change is not None for e in found) > 10
        for e in found:
            if e.change is None:
                continue
            row = table[e.row]
            for c in e.change.columns:
                assert row[c.column][0] == c.before
                row = row.with_columns(pl.Series(c.column, [c.after], table.schema[c.column]))
            after = model.predict(row)[0]
            if model.is_classifier:
                assert after == e.change.prediction != e.prediction
            else:
                assert after == pytest.approx(e.change.prediction, rel=1e-6)
                assert not e.interval[0] <= after <= e.interval[1]


def test_nearest_rows_are_others_with_their_targets(of_classes, of_numbers, table):
    for e in of_classes:
        assert len(e.nearest) == 5
        assert e.row not in [n.row for n in e.nearest]
        assert all(n.target == {"bought": table["bought"][n.row]} for n in e.nearest)
    for e in of_numbers:  # the background was given, and holds the row itself
        assert len(e.nearest) == 3
        assert (e.nearest[0].row, e.nearest[0].distance) == (e.row, 0)


def test_a_row_unlike_all_others_is_noticed(classifier, table, of_classes):
    strange = table[:1].with_columns(size=pl.lit(40.0), rooms=pl.lit(90), noise=pl.lit(-30.0))
    found = popnet.explain(classifier, strange, background=table)
    assert found[0].novelty.share_below == 1
    assert "further from all background rows than 100 % of them" in "\n".join(found.lines())
    usual = np.mean([e.novelty.share_below for e in of_classes])
    assert 0.3 < usual < 0.7
    assert not np.mean([e.novelty.unusual for e in of_classes]) > 0.1


def test_the_spread_is_that_of_the_members_alone(classifier, regressor, table):
    for model in (classifier, regressor):
        features = model.encoder.transform(table[:30])
        lone = [replace(model, weights=w, conformal=None) for w in np.eye(len(model.weights))]
        each = np.stack([Answers(m)(features) for m in lone])
        mean = combine(each, model.weights)
        true = np.sqrt(combine((each - mean) ** 2, model.weights))
        assert true.max() > 0
        np.testing.assert_allclose(Answers(model).spread(features), true, rtol=1e-5, atol=1e-7)


def test_shares_of_disagreement_are_those_of_the_background(regressor, table):
    found = popnet.explain(regressor, table, samples=2)
    spreads = np.array([e.disagreement.spread for e in found])
    shares = [e.disagreement.share_below for e in found]
    np.testing.assert_allclose(shares, [(spreads < s - 1e-9).mean() for s in spreads], atol=0.01)
    alone = replace(regressor, weights=np.eye(len(regressor.weights))[0])
    assert popnet.explain(alone, table[:2], background=table)[0].disagreement is None
    assert Disagreement(1.0, 0.99).unusual
    assert not Novelty(1.0, 0.98).unusual


def test_a_class_is_asked_for_and_the_seed_decides(classifier, table):
    one, same, other = (
        popnet.explain(
            classifier, table, rows="3,1", of_class="yes", background=table, samples=20, seed=s
        )
        for s in (0, 0, 1)
    )
    assert [e.row for e in one] == [3, 1]
    p = classifier.predict_proba(table)[:, 1]
    assert [e.answer for e in one] == pytest.approx([p[3], p[1]])
    assert one.explanations == same.explanations
    assert one.explanations != other.explanations
    estimator = SimpleNamespace(model_=classifier)  # as a fitted Classifier has it
    asked = {"rows": "3,1", "of_class": "yes", "background": table, "samples": 20}
    assert (
        popnet.explain(estimator, table.to_pandas(), **asked).explanations[0].answer
        == one[0].answer
    )
    again = popnet.explain(classifier, table, rows="1", of_class="yes", samples=20)
    assert [c.shapley for c in again[0].contributions] == pytest.approx(
        [c.shapley for c in one[1].contributions]
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"of_class": "maybe"}, "knows no class 'maybe'"),
        ({"target": "price"}, "does not predict 'price', but bought"),
        ({"fixed": ["sise"]}, "Did you mean 'size'?"),
        ({"samples": 1}, "--samples must be at least 2"),
        ({"nearest": -1}, "--nearest must be at least 0"),
        ({"rows": "240"}, "there is no row 240"),
        ({"background": [{"size": 1.0}]}, "lacks"),
    ],
)
def test_what_cannot_be_explained_is_said(classifier, table, options, said):
    with pytest.raises(InputError, match=said.replace("?", r"\?")):
        popnet.explain(classifier, table, **options)


def test_a_background_is_needed_and_images_are_refused(classifier, regressor, table):
    with pytest.raises(InputError, match="there are 3 rows to compare with"):
        popnet.explain(classifier, table[:3])
    with pytest.raises(InputError, match="--class is for classification"):
        popnet.explain(regressor, table, of_class="yes")
    with pytest.raises(InputError, match="explain takes a popnet model"):
        popnet.explain(3, table)
    images = replace(classifier, encoder=classifier.encoder.model_copy(update={"image": object()}))
    with pytest.raises(InputError, match="images"):
        popnet.explain(images, table)


def test_the_command_prints_writes_a_page_and_gives_json(run, folder, csv, classifier, tmp_path):
    page = tmp_path / "why.html"
    words = ("explain", folder, csv, "--rows", "0:2,7", "--fixed", "colour,member", "--seed", 3)
    out, _ = run(*words, "--out", page)
    blocks = out.split("\n\n")
    assert len(blocks) == 3
    assert [b.split(":")[0].strip() for b in blocks] == ["row 0", "row 1", "row 7"]
    assert all("± " in b and "nearest" in b for b in blocks)
    assert f"page    {page}" in out
    text = page.read_text()
    assert "popnet explain" in text
    assert 'id="row-7"' in text
    assert "standard error" in text
    found = json.loads(run(*words, "--json")[0])
    assert [e["row"] for e in found["rows"]] == [0, 1, 7]
    assert found["unit"] == "probability"
    assert found["background"] == {"source": found["source"], "rows": 240, "of": 240}
    true = popnet.explain(folder, csv, rows="0:2,7", fixed=["colour", "member"], seed=3).record()
    assert found["rows"] == json.loads(json.dumps(true["rows"]))
    same = json.loads(run(*words, "--json", "--background", csv)[0])
    assert same["rows"] == found["rows"]  # a row is not its own nearest row then, either
    assert {
        c["column"] for e in found["rows"] if e["change"] for c in e["change"]["columns"]
    }.isdisjoint({"colour", "member"})
    assert run(*words, "--out", page, "--overwrite", "--quiet") == ("", "")
    assert "exists already" in run(*words, "--out", page, fails=2)[1]
    assert "is not understood" in run("explain", folder, csv, "--rows", "first", fails=2)[1]


def test_a_notebook_shows_every_row(of_classes):
    shown = of_classes._repr_html_()
    assert shown.count("mean of the background") == len(of_classes)
    assert repr(of_classes) == "<popnet.Explanations of bought: 40 rows of data>"
