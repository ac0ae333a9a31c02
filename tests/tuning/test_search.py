"""The search as a function, and what it says of its winner."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes, load_wine

import popnet
from popnet import InputError, Recipe
from popnet.tuning.selection_bias import selection_bias

SPACE = {"learning_rate": "log:1e-4:1e-1", "dropout": "0:0.5"}
SMALL = Recipe(depth=1, width=8, batch_size=32, epochs=3, numeric_embedding="none", norm="none")
WINE = load_wine(return_X_y=True)


@pytest.fixture(scope="module")
def found() -> popnet.Search:
    return popnet.search(WINE, SPACE, budget=5, folds=3, recipe=SMALL, workers=1)


def test_results_read_as_scikit_learns(found):
    table = found.cv_results_
    assert len(table["params"]) == 5
    assert set(table["params"][0]) == {"learning_rate", "dropout"}
    assert list(table["param_dropout"]) == [p["dropout"] for p in table["params"]]
    splits = np.stack([table[f"split{k}_test_score"] for k in range(3)], 1)
    np.testing.assert_allclose(table["mean_test_score"], splits.mean(1))
    np.testing.assert_allclose(table["std_test_score"], splits.std(1))
    assert sorted(table["rank_test_score"]) == [1, 2, 3, 4, 5]
    assert table["rank_test_score"][found.best_index_] == 1
    assert table["mean_test_score"][found.best_index_] == found.best_score_ == splits.mean(1).max()
    assert found.best_params_["dropout"] == table["params"][found.best_index_]["dropout"]
    assert found.best_recipe_ == Recipe(**found.best_params_)
    assert set(table["status"]) == {"complete"}
    assert len(found.results_) == 15


def test_the_default_recipe_is_the_first(found):
    assert found.cv_results_["params"][0]["learning_rate"] == pytest.approx(7e-3)


def test_both_numbers_of_the_winner_are_given(found):
    splits = -np.stack([found.cv_results_[f"split{k}_test_score"] for k in range(3)], 1)
    assert found.corrected_score_ == pytest.approx(found.best_score_ - selection_bias(splits))
    assert found.corrected_score_ <= found.best_score_
    assert found.remeasured_score_ is not None
    assert found.remeasured_score_ < 0


def test_the_same_seed_finds_the_same(found):
    again = popnet.search(WINE, SPACE, budget=5, folds=3, recipe=SMALL, workers=2)
    assert again.best_recipe_ == found.best_recipe_
    assert again.remeasured_score_ == found.remeasured_score_
    np.testing.assert_array_equal(
        again.cv_results_["mean_test_score"], found.cv_results_["mean_test_score"]
    )


def test_a_race_has_dropped_recipes_without_all_scores():
    recipe = SMALL.replace(epochs=4)
    found = popnet.search(WINE, SPACE, "halving", 6, folds=3, recipe=recipe, remeasure=False)
    table = found.cv_results_
    assert {"complete", "dropped"} <= set(table["status"])
    dropped = table["status"] == "dropped"
    assert np.isnan(table["mean_test_score"][dropped]).all()
    assert table["status"][found.best_index_] == "complete"
    assert found.remeasured_score_ is None
    assert (table["rank_test_score"][dropped] > table["rank_test_score"][found.best_index_]).all()


def test_regression_with_folds_of_ones_own_by_tpe():
    X, y = load_diabetes(return_X_y=True)
    pairs = [(np.arange(300), np.arange(300, 442)), (np.arange(142, 442), np.arange(142))]
    found = popnet.search((X, y), SPACE, "tpe", 3, folds=pairs, recipe=SMALL)
    assert found.n_splits_ == 2
    assert found.scorer_ == "neg_mean_squared_error"
    assert -1.5 * y.var() < found.best_score_ < -0.3 * y.var()  # in the targets' own unit
    assert found.remeasured_score_ is None
    assert len(found.cv_results_["params"]) == 3


def test_a_budget_of_time_ends_an_endless_search():
    found = popnet.search(WINE, SPACE, budget="20s", folds=2, recipe=SMALL)
    assert len(found.cv_results_["params"]) > 1
    assert found.cv_results_["status"][found.best_index_] == "complete"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": WINE[0]}, "pair"),
        ({"train": (WINE[0], WINE[1][:5])}, "y have N values"),
        ({"train": (np.full((9, 2), np.nan), np.arange(9))}, "not finite"),
        ({"train": (WINE[0], np.zeros(178, int))}, "one class"),
        ({"budget": 0}, "above 0"),
        ({"budget": "soon"}, "no time limit"),
        ({"folds": 1}, "from 2"),
        ({"folds": []}, "folds is empty"),
        ({"strategy": "gird"}, "Did you mean 'grid'"),
        ({"space": {"droput": "0:0.5"}}, "Did you mean 'dropout'"),
        ({"space": {"dropout": "0.5:0"}}, "reversed"),
        ({"space": {"epochs": "int:2:4"}}, "fixed and has a range"),
    ],
)
def test_bad_input_is_one_sentence(change, message):
    arguments = {"train": WINE, "space": SPACE, "recipe": SMALL, "budget": 1, **change}
    with pytest.raises(InputError, match=message):
        popnet.search(**arguments)


# --- the winner's curse ---------------------------------------------------------------------------


def test_the_bias_is_what_the_definition_says():
    losses = np.array([[1.0, 2.0, 3.0], [2.0, 1.5, 3.5], [9.0, 9.0, math.inf]])
    assert selection_bias(losses) == pytest.approx((0 + 0.5 + 0) / 3)
    assert selection_bias(losses[:1]) == 0
    assert selection_bias(losses[:, :1]) == 0
    assert selection_bias(np.full((2, 2), math.inf)) == 0


@given(st.integers(0, 10**6))
def test_the_correction_brings_the_winner_of_pure_luck_nearer_to_the_truth(seed):
    """Recipes that are all equally good: the best looks better than it is."""
    losses = np.random.default_rng(seed).normal(1.0, 0.1, (200, 30, 5))
    best = np.array([x.mean(1).min() for x in losses])
    corrected = best + [selection_bias(x) for x in losses]
    assert best.mean() < 0.95
    assert abs(corrected.mean() - 1) < abs(best.mean() - 1)
