"""The chosen recipes once more on all rows: the nets are those that an independent training gives."""

from __future__ import annotations

import json
from dataclasses import replace

import jax
import numpy as np
import polars as pl
import pytest

from popnet import Model, Recipe, train_population
from popnet.fitting.refit import Again, _order
from popnet.fitting.run import Fitted, Options, fit, prepare
from popnet.model import baselines
from popnet.model.folder import write_folder
from popnet.population.predict import Net, predict
from popnet.report.fit_page import facts as page_facts
from popnet.runtime import keys

# Of a constant rate the first epochs of a training are those of a shorter one.
RECIPE = Recipe(
    depth=1, width=8, batch_size=32, epochs=8, norm="none", schedule="constant", learning_rate=0.1
)
OPTIONS = Options(members=2, folds=2, recipe=RECIPE, workers=1, ensemble="average")


def table() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 150))
    return pl.DataFrame({"a": a, "b": b, "y": 0.3 * a + rng.standard_normal(150)})


TABLE = table()


@pytest.fixture(scope="module")
def plain() -> Fitted:
    return fit(TABLE, "y", OPTIONS)


@pytest.fixture(scope="module")
def again() -> Fitted:
    return fit(TABLE, "y", replace(OPTIONS, refit="train"))


def same(a: Net, b: Net) -> bool:
    return bool(jax.tree.all(jax.tree.map(np.array_equal, a.parameters, b.parameters)))


def trained(rows: np.ndarray, fitted: Fitted) -> list[Net]:
    """Train nets of the recipe on some rows, each to the mean of the folds' best epochs; and the linear model."""
    prepared = prepare(TABLE, "y", OPTIONS)
    epochs = round(float(np.mean([r.best_epoch for r in fitted.results])))
    assert 1 <= epochs < RECIPE.epochs  # early stopping has something to say
    member = fitted.results[0].member
    recipe, seed = member.recipe, member.seed
    assert recipe.schedule == recipe.dropout_schedule == recipe.decay_schedule == "constant"
    population = train_population(
        prepared.data, recipes=[recipe.replace(epochs=epochs, patience=99)], folds=[(rows, rows[:20])],
        seeds=[seed, int(keys.key(seed, "refit", 1))], workers=1,
    )  # fmt: skip
    nets = [Net.at_last(r) or Net.of(r) for r in population]
    return [baselines.linear(prepared.data, rows, OPTIONS.seed), *nets]


def test_the_new_nets_are_those_of_all_training_rows(again, plain):
    prepared = prepare(TABLE, "y", OPTIONS)
    expected = trained(prepared.train, plain)
    assert len(again.model.nets) == 3
    assert all(same(a, b) for a, b in zip(again.model.nets, expected, strict=True))
    mean = np.average(predict(expected, prepared.data.features), axis=0, weights=[2, 1, 1])
    found = again.model.predict(TABLE)
    np.testing.assert_allclose(found, prepared.encoder.decode_target(mean)[:, 0], rtol=1e-5)
    # They are scored by the test part, which stays apart; what the folds' nets had is told.
    assert again.facts.score != plain.facts.score
    assert again.facts.scored_on == plain.facts.scored_on
    assert again.facts.refit.measured
    assert again.facts.refit.expected == plain.facts.ensemble.score
    assert [r.member for r in again.results] == [r.member for r in plain.results]


def test_of_all_rows_the_score_is_not_measured(plain):
    fitted = fit(TABLE, "y", replace(OPTIONS, refit="all"))
    expected = trained(np.arange(TABLE.height), plain)
    assert all(same(a, b) for a, b in zip(fitted.model.nets, expected, strict=True))
    assert fitted.facts.score == plain.facts.score == fitted.facts.refit.expected
    assert fitted.facts.scored_on == f"{plain.facts.scored_on}, before the nets were trained again"
    assert fitted.facts.refit.trained_on == TABLE.height
    assert "not measured" in fitted.facts.notes[-1]
    known = page_facts.to_json(fitted.facts)
    assert page_facts.from_json(json.loads(json.dumps(known))).refit == fitted.facts.refit


def test_intervals_are_made_from_the_folds_errors(again, plain, tmp_path):
    write_folder(tmp_path / "m", again.model)
    model = Model.load(tmp_path / "m")
    np.testing.assert_array_equal(model.conformal.errors, plain.model.conformal.errors)
    new = table()[:0].vstack(TABLE)
    low, high = model.predict_frame(new, interval=0.9).select("y_low", "y_high").to_numpy().T
    assert 0.75 < ((low <= TABLE["y"].to_numpy()) & (TABLE["y"].to_numpy() <= high)).mean() <= 1


def test_heavier_recipes_have_more_nets_and_each_has_one_first():
    parts = [Again(RECIPE, 1, 0, weight, [None] * 3) for weight in (0.05, 0.65, 0.3)]
    order = [(parts.index(part), turn) for part, turn in _order(parts, 6)]
    assert order[:3] == [(1, 0), (2, 0), (0, 0)]
    assert sorted(order[3:]) == [(1, 1), (1, 2), (2, 1)]


def test_command_says_what_was_trained_again(run, tmp_path):
    TABLE.write_csv(tmp_path / "t.csv")
    words = [
        "fit",
        tmp_path / "t.csv",
        "--target",
        "y",
        "--out",
        tmp_path / "m",
        "--members",
        2,
        "--folds",
        2,
    ]
    words += [w for name in ("depth", "epochs") for w in ("--fix", f"{name}=1")]
    words += [
        "--fix",
        "width=8",
        "--fix",
        "numeric_embedding=none",
        "--refit",
        "all",
        "--trees",
        "hist",
    ]
    out, _ = run(*words, "--json")
    found = json.loads(out)["refit"]
    assert set(found) == {
        "rows", "trained_on", "nets", "recipes", "kept", "trees", "measured", "expected", "expected_on",
    }  # fmt: skip
    assert (found["rows"], found["trained_on"], found["measured"]) == ("all", 150, False)
    shown, _ = run("show", tmp_path / "m")
    assert "before the nets were trained again" in shown
    _, err = run(*words[:-4], "--refit", "some", "--overwrite", fails=2)
    assert "'some' is not one of" in err
