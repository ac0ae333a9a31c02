"""Races over rungs and folds."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from popnet import Recipe
from popnet.population.members import Member, Result
from popnet.tuning.space.table_space import table_space
from popnet.tuning.strategies.base import Run, SequentialStrategy
from popnet.tuning.strategies.factory import make
from popnet.tuning.strategies.halving import (
    BRACKET,
    FINALISTS,
    Halving,
    bracket,
    has_room,
    n_portfolio_first,
    significantly_worse,
    starts,
)
from popnet.tuning.strategies.screening import FirstFoldScreening


def ended(run: Run, score: float, status: str = "finished") -> Result:
    paused = run.until is not None and run.until < run.recipe.epochs and status == "finished"
    return Result(
        Member(run.recipe, 0, run.fold), None, "paused" if paused else status, 1, 1, score, {}, {}, {}
    )  # fmt: skip


def race(scores, folds: int = 3, count: int = 16, epochs: int = 8, bracket: int = 16):
    """Run a race in which recipe i has scores(i, fold); returns the strategy and the runs of each batch."""
    halving = Halving((Recipe(epochs=epochs) for _ in range(count)), folds, bracket)
    batches = []
    for batch in halving.batches():
        runs = list(batch)
        batches.append(runs)
        for run in runs:
            score = scores(run.recipe_id, run.fold)
            halving.tell(run, score if isinstance(score, Result) else ended(run, score))
    return halving, batches


def test_the_better_half_gets_through_each_rung():
    halving, batches = race(lambda i, fold: float(i))
    assert [len(b) for b in batches[:3]] == [16, 8, 4]
    assert [b[0].until for b in batches] == [2, 4, None, None, None]
    assert {r.recipe_id for r in batches[2]} == {0, 1, 2, 3}
    assert halving.dropped() >= set(range(4, 16))


@given(st.floats(1, 1000), st.integers(1, 6), st.integers(1, 40))
def test_a_bracket_fits_the_time(trainings, folds, whole):
    size, finalists = bracket(trainings, folds, whole)
    assert 1 <= finalists <= FINALISTS
    assert finalists <= size <= BRACKET
    # Count the epochs of such a race, of recipes that are each as bad as its number is high.
    epochs, done = 0, {}
    halving = Halving((Recipe(epochs=whole) for _ in range(size)), folds, size, finalists)
    for batch in halving.batches():
        for run in batch:
            until = run.until or whole
            epochs += until - done.get((run.recipe_id, run.fold), 0)
            done[run.recipe_id, run.fold] = until
            halving.tell(run, ended(run, 0.0))
    assert size == finalists or epochs <= whole * trainings * (1 + 1e-9)


def test_a_bracket_of_few_epochs_counts_rungs_as_whole_ones():
    """Of 3 epochs the rungs are after 1 and 2: 13 recipes make 13 + 7 + 4 = 24 epochs, and 9 trainings are 27."""
    assert bracket(9, 1, 3) == (13, 4)
    assert bracket(9, 1, 100) == (16, 4)


def test_a_bracket_without_a_limit_is_the_whole_one():
    assert bracket(None, 5, 8) == (BRACKET, FINALISTS)


def test_a_fold_beyond_the_first_begins_only_for_those_that_got_through():
    noise = np.random.default_rng(1).normal(0, 1, (16, 3))
    _, batches = race(lambda i, fold: noise[i, fold])
    for fold in (1, 2):
        assert {r.fold for r in batches[2 + fold]} == {fold}
        assert len(batches[2 + fold]) == 4


def test_a_recipe_whose_folds_are_all_worse_leaves_before_the_last_fold():
    noise = np.random.default_rng(0).normal(0, 1e-4, (8, 10))
    halving, batches = race(lambda i, fold: 1.0 * i + noise[i, fold], folds=10, count=4)
    assert {r.recipe_id for r in batches[-1]} == {0}
    assert halving.dropped() == {1, 2, 3}


def test_the_last_recipe_of_a_race_has_its_other_folds_all_at_once():
    """With a batch a fold all workers but one would wait."""
    _, batches = race(lambda i, fold: math.inf if i else 0.0, folds=5, count=2)
    assert [(r.recipe_id, r.fold) for r in batches[-1]] == [(0, k) for k in range(1, 5)]


def test_a_lucky_fold_does_not_decide():
    _, batches = race(lambda i, fold: 0.0 if i == 3 and fold == 0 else 1.0, folds=3, count=4)
    assert len(batches[-1]) == 4


def test_a_member_that_has_ended_is_not_trained_again():
    def stops(i: int, fold: int):
        run = Run(i, Recipe(epochs=8), fold)
        return ended(run, float(i), "stopped") if i == 0 else float(i)

    _, batches = race(stops)
    first = [r for b in batches for r in b if r.recipe_id == 0 and r.fold == 0]
    assert len(first) == 1
    assert any(r.recipe_id == 0 and r.fold == 1 for b in batches for r in b)


def test_what_diverged_loses_and_brackets_follow_each_other():
    def scores(i: int, fold: int):
        run = Run(i, Recipe(epochs=8), fold)
        return ended(run, 0.0, "diverged") if i % 2 else float(i)

    halving, batches = race(scores, count=20, bracket=8)
    assert {r.recipe_id for b in batches for r in b} == set(range(20))
    assert all(i in halving.dropped() for i in range(1, 20, 2))


def test_all_of_a_race_without_results_is_kept():
    halving = Halving([Recipe(epochs=4)] * 3, 2)
    for batch in itertools.islice(halving.batches(), 3):
        assert len(list(batch)) == 3


@given(st.integers(2, 9), st.integers(2, 6), st.integers(0, 10**6))
def test_the_test_over_folds_is_a_paired_t_test_with_a_corrected_variance(folds, recipes, seed):
    scores = np.random.default_rng(seed).normal(0, 1, (recipes, folds))
    scores += np.linspace(0, 2, recipes)[:, None]
    got = significantly_worse(scores, folds)
    best = scores.mean(1).argmin()
    for i in range(recipes):
        if i == best:
            assert not got[i]
            continue
        t, p = stats.ttest_rel(scores[i], scores[best], alternative="greater")
        corrected = t / math.sqrt(1 + folds / (folds - 1))
        expected = stats.t.sf(corrected, folds - 1) < 0.05 / (recipes - 1)
        assert got[i] == expected
        assert not got[i] or p < 0.05


def test_failed_folds_lose_unless_all_have_failed():
    inf = math.inf
    assert significantly_worse(np.array([[inf], [1.0]]), 5).tolist() == [True, False]
    assert significantly_worse(np.array([[1.0, inf], [2.0, 2.0], [inf, inf]]), 5).tolist() == [
        True, False, True,
    ]  # fmt: skip
    assert not significantly_worse(np.full((3, 2), inf), 5).any()


@pytest.mark.parametrize(("folds", "expected"), [(1, 80), (5, 27)])
def test_a_race_begins_more_recipes_than_could_be_trained_in_full(folds, expected):
    assert starts(40, folds) == expected


def test_known_recipes_go_first_on_all_folds_and_are_not_dropped():
    halving = Halving((Recipe(epochs=8) for _ in range(12)), 2, 8, 4, known=4)
    batches = []
    for batch in halving.batches():
        batches.append(list(batch))
        for run in batches[-1]:
            halving.tell(run, ended(run, float(run.recipe_id)))
    assert [(r.recipe_id, r.fold, r.until) for r in batches[0]] == [
        (i, k, None) for i in range(4) for k in range(2)
    ]
    assert {r.recipe_id for r in batches[1]} == set(range(4, 12))
    assert batches[1][0].until == 2
    assert halving.dropped()
    assert min(halving.dropped()) >= 4


@pytest.mark.parametrize(
    ("trainings", "folds", "known", "expected"),
    [
        (None, 5, 9, 9),
        (np.inf, 5, 9, 9),
        (46, 5, 9, 8),
        (9, 5, 9, 0),
        (12, 5, 9, 2),
        (100, 5, 1, 0),
    ],
)
def test_as_many_known_recipes_go_first_as_there_is_time_for(trainings, folds, known, expected):
    assert n_portfolio_first(trainings, folds, known) == expected


def test_a_race_follows_only_if_there_is_time_for_a_whole_one():
    """16 recipes to a quarter, 8 to a half, 4 to the end of five folds: 4 + 2 + 4 x 4.5 = 24 trainings."""
    assert has_room(None, 5, 8)
    assert has_room(64, 5, 8)
    assert not has_room(63, 5, 8)


def test_without_time_for_a_race_known_recipes_are_compared_or_simply_trained():
    space = table_space(4, 1000)
    kinds = [type(make("portfolio", space, 0, 5, trainings=t)) for t in (30.0, 200.0, 7.0, 5.0)]
    assert kinds == [FirstFoldScreening, Halving, FirstFoldScreening, SequentialStrategy]
    assert isinstance(make("halving", space, 0, 5, trainings=30.0), Halving)
    # One recipe has nobody to race against, and its folds need not wait for each other.
    assert isinstance(make("halving", space, 0, 5, trainings=5.0), SequentialStrategy)
