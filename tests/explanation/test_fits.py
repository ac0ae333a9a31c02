"""What a fit says of its columns: measured on the rows of its score, kept with the model, shown and printed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from popnet import Recipe, explain, importance, load
from popnet.explanation.blocks import blocks_of
from popnet.explanation.importance import Effort, measure
from popnet.explanation.judged import judged
from popnet.fitting.run import Fitted, Options, fit
from popnet.report.fit_page import facts
from popnet.report.fit_page.importance import line, lines
from popnet.report.folder import write_all
from popnet.report.html import render

RECIPE = Recipe(depth=1, width=8, batch_size=32, epochs=6, learning_rate=0.02, norm="none")
OPTIONS = Options(members=2, folds=2, recipe=RECIPE, workers=1, trees="hist")


def make_table(rows: int = 240) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    size, age = rng.standard_normal((2, rows))
    colour = rng.choice(["red", "green", "blue"], rows)
    score = size + 1.5 * (colour == "red") + 0.3 * rng.standard_normal(rows)
    kind = np.select([score > 1, score > 0], ["high", "middle"], "low")
    return pl.DataFrame(
        {"size": size, "twice": 2 * size + 0.01 * age, "age": age, "colour": colour, "kind": kind}
    )


TABLE = make_table()


@pytest.fixture(scope="module", params=[0.0, 0.3])
def fitted(request) -> Fitted:
    """A fit that keeps no test part, and one that does."""
    return fit(
        TABLE,
        "kind",
        Options(**{**OPTIONS.__dict__, "test_size": request.param, "keep": ("twice",)}),
    )


def test_importance_is_of_the_rows_of_the_score(fitted):
    found = fitted.model.facts.importance
    assert found is not None
    tested = fitted.facts.data.test_rows
    assert (found.on, found.rows) == (
        ("test rows", tested) if tested else ("out-of-fold rows", TABLE.height)
    )
    assert found.metric == "log_loss"
    assert found.loss == pytest.approx(fitted.model.facts.scores.metrics["log_loss"])
    groups = {tuple(g.columns): g for g in found.groups}
    assert set(groups) == {("size", "twice"), ("age",), ("colour",)}
    assert groups["size", "twice"].verdict == "matters"
    assert groups["age",].verdict != "matters"
    effects = fitted.facts.effects
    assert effects is not None
    assert effects.outputs == ["high", "low", "middle"]
    for effect in effects.columns:
        np.testing.assert_allclose(np.sum(effect.means, 0), 1, rtol=1e-6)


def test_it_is_kept_with_the_model_shown_and_printed(fitted, tmp_path, run):
    folder = tmp_path / "m"
    write_all(folder, fitted.model, fitted.facts)
    found = fitted.facts.columns
    assert load(folder).facts.importance == found == fitted.model.facts.importance
    assert facts.from_json(json.loads(json.dumps(facts.to_json(fitted.facts)))) == fitted.facts
    page = (folder / "report.html").read_text(encoding="utf-8")
    for words in (
        "Which columns matter",
        "How predictions depend on them",
        "size</bdi> + <bdi>twice",
    ):
        assert words in page
    assert line(found).startswith("columns that matter most: size + twice")
    assert len(lines(found)) == 2 + 3
    TABLE.write_csv(tmp_path / "t.csv")
    out, _ = run(
        "importance", folder, tmp_path / "t.csv", "--json", "--repeats", 2, "--column", "age"
    )
    printed = json.loads(out)
    assert [g["columns"] for g in printed["groups"]] == [["age"]]
    again = importance(load(folder), tmp_path / "t.csv", repeats=2, columns=["age"])
    assert printed == again.to_dict()
    out, _ = run("importance", folder, tmp_path / "t.csv", "--repeats", 2)
    assert "+ twice" in out
    _, err = run("importance", folder, tmp_path / "t.csv", "--time-limit", "1m", fails=2)
    assert "--retrain" in err


def test_short_time_means_fewer_rows_or_nothing(fitted):
    rows, blocks = judged(fitted.model, TABLE), blocks_of(fitted.model.encoder)
    assert measure(rows, blocks, Effort(seconds=0.0), 0) is None
    whole = measure(rows, blocks, Effort(seconds=1e4), 0)
    assert whole is not None
    assert (whole.rows, whole.repeats) == (TABLE.height, 5)


def test_a_fit_without_it_says_nothing_of_columns(run, tmp_path):
    TABLE.write_csv(tmp_path / "t.csv")
    words = ["fit", tmp_path / "t.csv", "-t", "kind", "--members", 2, "--folds", 2]
    words += [
        "--fix",
        "depth=1",
        "--fix",
        "width=8",
        "--fix",
        "epochs=2",
        "--workers",
        1,
        "--json",
        "--trees",
        "none",
    ]
    out, _ = run(*words, "-o", tmp_path / "b", "--without", "importance")
    assert "importance" not in json.loads(out)
    assert "importance" not in json.loads(Path(tmp_path / "b" / "model.json").read_text())["facts"]
    assert "Which columns matter" not in (tmp_path / "b" / "report.html").read_text(
        encoding="utf-8"
    )


KINDS = {
    "numbers": lambda rng, n: rng.standard_normal(n),
    "categories": lambda rng, n: rng.choice(["red", "green", "blue"], n),
    "truth values": lambda rng, n: rng.random(n) < 0.5,
    "dates": lambda rng, n: np.datetime64("2020-01-01") + rng.integers(0, 700, n),
    "whole numbers": lambda rng, n: rng.integers(0, 6, n),
}


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_tables_with_columns_of_one_kind_are_explained(kind, columns, task):
    rng, rows = np.random.default_rng(0), 150
    table = pl.DataFrame({f"c{i}": KINDS[kind](rng, rows) for i in range(columns)})
    target = rng.choice(["a", "b"], rows) if task == "classification" else rng.standard_normal(rows)
    found = fit(
        table.with_columns(target=pl.Series(target)), "target", replace(OPTIONS, trees="none")
    )
    measured = found.model.facts.importance
    assert measured is not None
    assert sorted(c for g in measured.groups for c in g.columns) == table.columns
    why = explain(found.model, table, rows="0:2", samples=4)
    assert [sorted(c.column for c in e.contributions) for e in why] == [table.columns] * 2
    assert "Which columns matter" in render(found.facts)


def test_a_fault_in_what_is_only_shown_does_not_cost_the_model(monkeypatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("popnet.fitting.explanation.explain", broken)
    monkeypatch.setattr("popnet.fitting.evidence.find", broken)
    found = fit(TABLE, "kind", replace(OPTIONS, trees="none"))
    assert found.model.predict(TABLE).tolist()
    assert [w.split(":")[0] for w in found.facts.warnings] == [
        "thresholds, calibration and groups of rows are not shown",
        "which columns matter could not be measured",
    ]
