"""Rows in every form that Python programs hold them give the same predictions; what an object shows of itself."""

from __future__ import annotations

import pickle
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import polars as pl
import pytest

import popnet
from popnet import InputError, Recipe
from popnet.fitting.run import Fitted, fit
from popnet.model.folder import write_folder
from popnet.options import Options
from popnet.population import predict

RECIPE = Recipe(depth=1, width=8, batch_size=32, epochs=2)


def make_table(rows: int = 120) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    size, age = rng.standard_normal((2, rows)).round(3)
    colour = rng.choice(["red", "green", "<blue>"], rows)
    score = size + (colour == "red")
    bought = np.where(score > 0.3, "yes", "no")
    return pl.DataFrame(
        {"size": size, "age": age, "colour": colour, "bought": bought, "price": 100 + score}
    )


TABLE = make_table()
NEW = make_table(40).tail(15).select("size", "age", "colour")


@pytest.fixture(scope="module", params=["bought", "price"])
def fitted(request) -> Fitted:
    drop = ("price",) if request.param == "bought" else ("bought",)
    options = Options(members=2, folds=2, recipe=RECIPE, drop=drop, ensemble="average")
    return fit(TABLE, request.param, options)


FORMS = {
    "polars": lambda f: f,
    "pandas": lambda f: f.to_pandas(),
    "columns": lambda f: f.to_dict(as_series=False),
    "columns of NumPy": lambda f: {name: f[name].to_numpy() for name in f.columns},
    "columns of polars": lambda f: f.to_dict(),
    "columns of pandas": lambda f: dict(f.to_pandas().items()),
    "dictionaries": lambda f: f.to_dicts(),
    "array": lambda f: f.to_pandas().to_numpy(),
    "lists": lambda f: [list(row) for row in f.rows()],
    "more columns": lambda f: [row | {"note": object()} for row in f.to_dicts()],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_rows_gives_the_same(fitted, form):
    model = fitted.model
    found = model.predict(FORMS[form](NEW))
    wanted = model.predict_frame(NEW).to_series().to_numpy()
    assert found.shape == (15,)
    assert (found == wanted).all()
    if model.is_classifier:
        proba = model.predict_proba(FORMS[form](NEW))
        columns = [f"probability_{c}" for c in model.classes]
        assert (proba == model.predict_frame(NEW, proba=True).select(columns).to_numpy()).all()


def test_one_row_is_a_dictionary(fitted):
    row = NEW.row(3, named=True)
    assert fitted.model.predict(row).tolist() == fitted.model.predict(NEW[3:4]).tolist()
    row["age"] = None
    wanted = NEW[3:4].with_columns(age=pl.lit(None, pl.Float64))
    assert fitted.model.predict(row).tolist() == fitted.model.predict(wanted).tolist()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"size": 1.0, "colour": "red"}, "lacks 'age'"),
        ({"size": [1.0], "colour": ["red"], "Age": [1]}, "lacks 'age'.*Did you mean 'Age'"),
        ([NEW.row(0, named=True), {"size": 1.0}], "row 2 lacks 'age', 'colour'"),
        ([NEW.row(0, named=True), 3], "row 2 is a int"),
        ({"size": [1.0], "age": [1.0, 2.0], "colour": ["red"]}, "'age' has 2 values"),
        ({"size": [1.0], "age": 2.0, "colour": ["red"]}, "'age' is one value"),
        ({"size": [], "age": [], "colour": []}, "no rows"),
        ({"size": "x", "age": 1.0, "colour": "red"}, "'size', row 1: 'x' is not a number"),
        ({"size": {}, "age": 1.0, "colour": "red"}, "'size' holds a value of type dict"),
        (np.zeros((2, 5)), "model's 3 columns in their order \\(size, age, colour\\)"),
        ([], "no rows"),
        (5, "cannot read a table from a int"),
    ],
)
def test_rows_that_cannot_be_used_are_said_in_a_sentence(fitted, rows, said):
    with pytest.raises(InputError, match=said):
        fitted.model.predict(rows)


def test_an_array_may_have_all_columns_of_the_table(fitted):
    """A table of which one column was left out has one more than the model reads."""
    every = TABLE.drop(fitted.model.encoder.target.names[0]).tail(4)
    assert every.width == 4
    found = fitted.model.predict(every.to_pandas().to_numpy())
    assert found.tolist() == fitted.model.predict(every).tolist()


def test_probabilities_are_of_classes(fitted):
    if not fitted.model.is_classifier:
        with pytest.raises(InputError, match="Probabilities are for classification"):
            fitted.model.predict_proba(NEW)


def test_two_targets_give_two_columns():
    options = Options(members=2, folds=2, recipe=RECIPE, drop=("bought",), ensemble="average")
    model = fit(TABLE, ["price", "age"], options).model
    found = model.predict(NEW)
    assert (found == model.predict_frame(NEW).to_numpy()).all()
    assert found.shape == (15, 2)


def test_load_reads_a_folder(fitted, tmp_path):
    write_folder(tmp_path / "m", fitted.model)
    loaded = popnet.load(tmp_path / "m")
    assert loaded.predict(NEW).tolist() == fitted.model.predict(NEW).tolist()
    with pytest.raises(popnet.ModelError, match="no folder"):
        popnet.load(tmp_path / "nothing")


class Cells(HTMLParser):
    """Collects the text of a table and its tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"


def test_a_model_shows_itself(fitted):
    model = fitted.model
    scores = model.facts.scores
    line = repr(model)
    assert "\n" not in line
    assert len(line) < 300
    assert f"{model.encoder.target.names[0]} ({scores.task})" in line
    cells = Cells(model._repr_html_())
    assert not {"script", "link", "style", "img", "blue"} & set(cells.tags)
    for part in (scores.task, scores.metric, scores.scored_on, "constant model", " nets, average"):
        assert part in cells.text
    bare = Cells(replace(model, facts=None)._repr_html_())
    assert " nets, average" in bare.text
    assert "constant" not in bare.text


def test_a_fit_shows_itself(fitted):
    assert repr(fitted).startswith(f"<popnet fit of {len(fitted.results)} nets: <popnet.Model")
    cells = Cells(fitted._repr_html_())
    assert f"{len(fitted.results)} nets" in cells.text
    for text in fitted.facts.warnings:
        assert text in cells.text


def test_text_of_the_data_is_escaped():
    frame = pd.DataFrame({"x": np.arange(60.0) % 7, "<b>": np.where(np.arange(60) % 3, "<i>", "&")})
    options = Options(members=2, folds=2, recipe=RECIPE, ensemble="average")
    cells = Cells(fit(frame, "<b>", options).model._repr_html_())
    assert not {"b", "i"} & set(cells.tags)
    assert "<b>" in cells.text
    assert "<i>" in cells.text


def test_study_and_diagnosis_show_themselves():
    options = Options(recipe=RECIPE, drop=("price",), workers=1)
    found = popnet.study(TABLE, "bought", options, factor=["dropout"], pairs=3)
    assert "\n" not in repr(found)
    cells = Cells(found._repr_html_())
    assert "dropout" in cells.text
    assert cells.tags.count("tr") == 1 + len(found.found.effects)
    diagnosis = popnet.doctor(TABLE, "bought", options, prove=False)
    cells = Cells(diagnosis._repr_html_())
    assert all(f.title in cells.text and f.title in repr(diagnosis) for f in diagnosis.findings)


def test_what_predictions_keep_changes_nothing(fitted, monkeypatch):
    """The nets made ready are kept from the first call on, within a bound, and do not travel with a pickled model."""
    model = replace(fitted.model)
    before = pickle.dumps(model)
    first = model.predict_frame(TABLE)
    assert model.predict_frame(TABLE).equals(first)
    assert pickle.dumps(model) == before
    assert pickle.loads(before).predict_frame(TABLE).equals(first)
    made: list[object] = []
    inner = predict.pad
    monkeypatch.setattr(predict, "pad", lambda *args: made.append(args) or inner(*args))
    model.predict_frame(TABLE)
    assert not made
    monkeypatch.setattr(predict, "MAX_KEPT_BYTES", 10)
    small = replace(model)
    for _ in range(2):
        assert small.predict_frame(TABLE).equals(first)
    assert len(made) == 2 * len(model.nets)
