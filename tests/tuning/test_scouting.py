"""Known recipes compared on the first fold, the best of them first on the others."""

from __future__ import annotations

import itertools
import math

import pytest

from popnet.population.members import Member, Result
from popnet.spec.recipe import Recipe
from popnet.tuning.space.space import Space
from popnet.tuning.strategies import base, factory
from popnet.tuning.strategies.base import Run
from popnet.tuning.strategies.screening import FirstFoldScreening, n_screened

RECIPES = [Recipe(width=w) for w in (8, 16, 32, 64, 128)]


def ended(run: Run, score: float) -> Result:
    status = "finished" if math.isfinite(score) else "diverged"
    return Result(Member(run.recipe, 0, run.fold), None, status, 1, 1, score, {}, {}, {})


def order(scouting: FirstFoldScreening, scores: list[float]) -> list[tuple[int, int]]:
    """Play a search in which each recipe has a score; return what was trained, as (recipe, fold)."""
    found = []
    for batch in scouting.batches():
        for run in batch:
            assert run.until is None
            assert run.recipe is RECIPES[run.recipe_id]
            found.append((run.recipe_id, run.fold))
            scouting.tell(run, ended(run, scores[run.recipe_id]))
    return found


def test_the_best_by_the_first_fold_goes_on_first():
    found = order(FirstFoldScreening(RECIPES, 3, 3), [0.3, math.inf, 0.1, 0.0, 0.2])
    compared = [(0, 0), (1, 0), (2, 0)]
    best_first = [(2, 1), (2, 2), (0, 1), (0, 2), (1, 1), (1, 2)]
    rest = [(3, 0), (3, 1), (3, 2), (4, 0), (4, 1), (4, 2)]
    assert found == compared + best_first + rest


def test_equal_scores_keep_the_known_order():
    found = order(FirstFoldScreening(RECIPES, 2, 4), [0.5] * 5)
    assert found[4:8] == [(0, 1), (1, 1), (2, 1), (3, 1)]


def test_nothing_is_trained_twice_and_later_folds_change_nothing():
    found = order(FirstFoldScreening(RECIPES, 4, 2), [0.2, 0.1, 0.3, 0.4, 0.5])
    assert sorted(found) == [(i, f) for i in range(5) for f in range(4)]
    endless = FirstFoldScreening(itertools.cycle(RECIPES[:1]), 2, 3)
    batches = endless.batches()
    assert len(list(next(batches))) == 3
    assert len(list(itertools.islice(next(batches), 50))) == 50


@pytest.mark.parametrize(("trainings", "expected"), [(5.9, 0), (6, 3), (20, 10), (1000, 12)])
def test_half_of_the_time_goes_into_the_comparison(trainings, expected):
    assert n_screened(trainings, 12) == expected


def test_a_time_limit_makes_the_portfolio_compare_and_a_number_of_members_does_not():
    space = Space(RECIPES[0], (), portfolio=tuple({"width": r.width} for r in RECIPES[1:]))
    limited = factory.make("portfolio", space, 0, 5, trainings=20)
    assert isinstance(limited, FirstFoldScreening)
    first = list(next(iter(limited.batches())))
    assert [(r.recipe.width, r.fold) for r in first] == [(w.width, 0) for w in RECIPES]
    counted = factory.make("portfolio", space, 0, 5, most=4, trainings=20)
    assert isinstance(counted, base.SequentialStrategy)
