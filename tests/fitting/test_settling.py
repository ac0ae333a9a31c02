"""A search that ends by itself when more recipes do not make the ensemble better."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from popnet import Recipe
from popnet.errors import InputError
from popnet.fitting.candidates import Candidate
from popnet.fitting.run import Fitted, fit
from popnet.fitting.search_patience import MIN_GAIN, SearchEarlyStopping
from popnet.options import Options

ROWS, FOLDS = 400, 2
TRUE = np.random.default_rng(0).integers(0, 2, ROWS)


class Fake:
    """Candidates whose probabilities of the true class are given."""

    def __init__(self) -> None:
        self.rows = np.arange(ROWS)
        self.by_id: dict[int, Candidate] = {}
        data = SimpleNamespace(target=TRUE, task="classification")
        self.table = SimpleNamespace(folds=[None] * FOLDS, data=data)

    def add(self, recipe_id: int, of_true: np.ndarray | float, folds: int = FOLDS) -> None:
        p = np.empty((ROWS, 2))
        p[np.arange(ROWS), TRUE] = of_true
        p[np.arange(ROWS), 1 - TRUE] = 1 - np.asarray(of_true)
        self.by_id[recipe_id] = Candidate(recipe_id, p, dict.fromkeys(range(folds), Any))

    def is_complete(self, candidate: Candidate) -> bool:
        return len(candidate.members) == FOLDS

    def pool_weights(self) -> None:
        return None


FAILED = -1.0
"""Quality of a recipe of which a fold failed."""


def ended_at(
    qualities: Sequence[float | np.ndarray | None], patience: int, order: Sequence[int] = (), in_order: bool = True
) -> tuple[int | None, SearchEarlyStopping]:  # fmt: skip
    """Let recipes end, each with a probability of the true class; None is one that a race takes out."""
    candidates = Fake()
    settling = SearchEarlyStopping(candidates, patience, 0, in_order)  # pyright: ignore[reportArgumentType]
    dropped = {i for i, q in enumerate(qualities) if q is None}
    for i in order or range(len(qualities)):
        quality = qualities[i]
        if quality is not None:
            failed = np.ndim(quality) == 0 and quality == FAILED
            candidates.add(i, 0.5 if failed else quality, FOLDS - failed)
        for _ in range(1 if quality is None else FOLDS):
            if settling.note(i, dropped):
                return settling.last, settling
        candidates.by_id.clear()  # as if memory were short
    return None, settling


def test_search_ends_after_as_many_recipes_without_gain_as_its_patience():
    assert ended_at([0.6, 0.7, 0.7, 0.65, 0.7, 0.9], patience=3)[0] == 4
    assert ended_at([0.6, 0.7, 0.7, 0.65, 0.9, 0.7], patience=3)[0] is None


def test_losses_are_those_of_the_best_recipe_where_recipes_are_alike_in_all_rows():
    _, settling = ended_at([0.6, 0.8, 0.7], patience=9)
    assert settling.losses == pytest.approx([-np.log(0.6), -np.log(0.8), -np.log(0.8)], rel=1e-6)


def test_a_gain_below_the_least_one_is_none():
    step = MIN_GAIN * -np.log(0.7)
    little, enough = (0.7 * np.exp(x * step) for x in (0.9, 1.1))
    assert ended_at([0.7, little], patience=1)[0] == 1
    assert ended_at([0.7, enough], patience=1)[0] is None


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_the_recipe_at_which_it_settles_does_not_depend_on_who_ends_first(order: tuple[int, ...]):
    last, settling = ended_at([0.7, 0.7, 0.7, 0.9], patience=2, order=order)
    assert last == 2
    assert len(settling.losses) == 3


def test_recipes_that_a_race_takes_out_are_no_failures():
    assert ended_at([0.7, None, None, None, 0.8, None], patience=2)[0] is None
    assert ended_at([0.7, None, 0.7, None, 0.7], patience=2)[0] == 4


def test_recipes_that_fail_are_failures():
    assert ended_at([0.7, FAILED, FAILED], patience=2)[0] == 2
    assert ended_at([FAILED] * 5, patience=3)[0] == 2
    assert ended_at([0.6, FAILED, 0.7, FAILED], patience=2)[0] is None


def test_out_of_order_recipes_are_looked_at_as_they_come_and_none_is_forgotten():
    qualities, order = [0.7, 0.7, 0.7, 0.9], (3, 0, 1, 2)
    last, settling = ended_at(qualities, 2, order, in_order=False)
    assert last == 1
    assert settling.losses[0] == pytest.approx(-np.log(0.9), rel=1e-6)
    assert not any(settling.forgets(i) for i in range(4))
    last, settling = ended_at(qualities, 2, order)
    assert [settling.forgets(i) for i in range(4)] == [False, False, False, True]


def test_complements_are_gains_though_each_is_no_better_alone():
    rng = np.random.default_rng(1)
    good = np.where(rng.random(ROWS) < 0.5, 0.95, 0.55)
    found, settling = ended_at([good, 1.5 - good], patience=1)
    assert found is None
    assert settling.losses[1] < settling.losses[0]


# --- whole fits -------------------------------------------------------------------------------------

RECIPE = Recipe(depth=1, width=8, batch_size=32, epochs=2, norm="none")


def noise(rows: int = 80) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame({"a": rng.standard_normal(rows), "y": rng.integers(0, 2, rows)})


OPTIONS = Options(folds=2, recipe=RECIPE, search_patience=2, test_size=0, search="random")


def fitted(**changes: Any) -> Fitted:
    return fit(noise(), "y", replace(OPTIONS, **changes))


def test_fit_without_limits_ends_by_itself_and_alike_for_any_number_of_workers():
    one, two = fitted(workers=1), fitted(workers=2)
    assert len(one.results) == len(two.results) < 100
    assert [r.member for r in one.results] == [r.member for r in two.results]
    assert np.array_equal(one.model.weights, two.model.weights)
    assert not one.interrupted
    assert any("search stopped early" in note for note in one.facts.notes)
    json.dumps(one.facts.notes)


def test_fewer_members_end_the_search_first():
    found = fitted(members=2)
    assert len(found.results) == 2
    assert not any("stopped early" in note for note in found.facts.notes)


def test_a_search_whose_every_net_fails_ends_too():
    failing = RECIPE.replace(optimizer="sgd", learning_rate=1e30)
    found = fitted(recipe=failing)
    assert len(found.results) == 4  # two recipes, two folds
    assert {r.status for r in found.results} == {"diverged"}


@pytest.mark.parametrize("search", ["portfolio", "halving"])
def test_other_searches_end_alike_for_any_number_of_workers(search: str):
    free = Recipe(depth=1, width=8, batch_size=32, epochs=4, norm="none")
    one, two = (fitted(search=search, recipe=free, workers=n) for n in (1, 2))
    assert [r.member for r in one.results] == [r.member for r in two.results]
    assert np.array_equal(one.model.weights, two.model.weights)
    assert any("search stopped early" in note for note in one.facts.notes)


def test_patience_below_one_is_refused():
    with pytest.raises(InputError, match="search_patience must be at least 1; got 0"):
        fitted(search_patience=0)
