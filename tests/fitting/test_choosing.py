"""Which candidates make the ensemble, where few recipes are through with all folds."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from popnet.fitting import selection
from popnet.fitting.candidates import PILOT_ID, TREES_ID, Candidates
from popnet.fitting.run import prepare
from popnet.model import baselines
from popnet.options import Options
from popnet.predictions import ensemble
from popnet.predictions.metrics import METRICS
from popnet.prepare.prepared import Prepared
from popnet.runtime.clock import Clock, Finish
from popnet.trees.boosting import Boosting
from popnet.trees.forest import Forest
from popnet.trees.grown import Setting

ROWS = 5 * selection.MIN_FOLD_ROWS


@pytest.fixture(scope="module")
def table() -> Prepared:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, 2))
    frame = pl.DataFrame(
        {"a": x[:, 0], "b": x[:, 1], "y": x @ [1.0, 1.0] + 0.1 * rng.standard_normal(ROWS)}
    )
    return prepare(frame, "y", Options(folds=5, test_size=0))


def chosen(
    table: Prepared, complete: int, statuses: tuple[str, ...] = ("finished",)
) -> tuple[selection.Chosen, dict[int, int]]:
    """Choose among recipes that know only column a, on all folds, and one that knows b alone, on the first ones.

    Returns the choice, and the recipe of each member.
    """
    without = {c: _without(table, c) for c in (0, 1)}
    candidates = Candidates(table, METRICS["rmse"])
    results: dict[int, Any] = {}
    recipe_of: dict[int, int] = {}

    def add(recipe_id: int, fold: int, hidden: int, status: str) -> None:
        net = baselines.linear(without[hidden], table.folds[fold].train, 0)
        member = len(results)
        results[member], recipe_of[member] = SimpleNamespace(status=status), recipe_id
        candidates.add(recipe_id, fold, member, net)

    for i in range(complete):
        for fold in range(5):
            add(i, fold, 1, "finished")
    for fold, status in enumerate(statuses):
        add(100, fold, 0, status)
    found = selection.choose(
        candidates,
        results,
        Options(ensemble="greedy"),
        Finish(Clock(0.0, None), 0.0),
        interrupted=False,
    )
    return found, recipe_of


def _without(table: Prepared, column: int) -> Any:
    """Return the data with a column of nothing, so that a linear model of it does not use that column."""
    numeric = np.array(table.data.features.numeric)
    numeric[:, column] = 0
    return replace(table.data, features=replace(table.data.features, numeric=numeric))


def weights(found: selection.Chosen, recipe_of: dict[int, int]) -> dict[int, list[float]]:
    out: dict[int, list[float]] = {}
    for member, weight in found.member_weight.items():
        out.setdefault(recipe_of[member], []).append(weight)
    return out


def test_a_recipe_of_the_first_folds_joins_few_others_that_it_helps(table):
    found, recipe_of = chosen(table, 2, ("finished", "finished"))
    by_recipe = weights(found, recipe_of)
    assert len(by_recipe.pop(100)) == 2
    assert sum(found.weights) == pytest.approx(1)
    assert sum(map(sum, by_recipe.values())) < 1
    # Half of the sum comes from each column: judged on the first fold, one net of each recipe.
    a = sum(v[0] for v in by_recipe.values())
    assert a == pytest.approx(weights(found, recipe_of)[100][0], rel=0.2)
    assert "first fold" in found.gain.on


def test_each_net_has_its_recipes_weight(table):
    found, recipe_of = chosen(table, 1)
    by_recipe = weights(found, recipe_of)
    assert len(by_recipe[0]) == 5
    assert len(set(by_recipe[0])) == 1
    assert len(by_recipe[100]) == 1


def test_nets_that_were_cut_short_do_not_join(table):
    assert 100 not in weights(*chosen(table, 2, ("interrupted",)))
    assert len(weights(*chosen(table, 2, ("finished", "interrupted")))[100]) == 1


def test_where_enough_recipes_are_through_they_are_judged_by_all_folds(table):
    found, recipe_of = chosen(table, selection.SUFFICIENT_COMPLETE)
    assert 100 not in weights(found, recipe_of)
    assert found.gain.on == "out-of-fold predictions"


def test_few_rows_of_the_first_fold_do_not_judge(table):
    few = replace(table, folds=[f._replace(valid=f.valid[:-1]) for f in table.folds])
    assert 100 not in weights(*chosen(few, 2))


def test_rows_in_the_order_of_time_are_not_judged_by_the_oldest(table):
    assert 100 not in weights(*chosen(replace(table, split="time-ordered"), 2))


def test_nets_that_timed_an_epoch_are_the_last_resort(table: Prepared) -> None:
    net = baselines.linear(table.data, table.folds[0].train, 0)
    finish = Finish(Clock(0.0, None), 0.0)

    def found(recipe_ids: list[int]) -> selection.Chosen:
        candidates = Candidates(table, METRICS["rmse"])
        for recipe_id in recipe_ids:
            candidates.add(recipe_id, 0, -1, net)
        return selection.choose(candidates, {}, Options(), finish, interrupted=False)

    alone = found([PILOT_ID, PILOT_ID - 1])
    assert "has learned for one epoch" in alone.warnings[0]
    assert alone.weights.tolist() == [0.5, 0.5]
    assert not alone.member_weight  # they are no members of the population
    assert "no recipe completed every fold" in found([PILOT_ID, 0]).warnings[0]


# --- best and last epochs --------------------------------------------------------------------------


def of_two_stages(table: Prepared, best: tuple[int, ...], last: tuple[int | None, ...]) -> Any:
    """Choose among recipes whose nets do not know a column at their best epoch, and another one at their last.

    Returns the choice, and the share of the weight that nets of last epochs have.
    """
    without = {c: _without(table, c) for c in (0, 1)}
    candidates = Candidates(table, METRICS["rmse"])
    results: dict[int, Any] = {}
    late = set()
    for i, (first, then) in enumerate(zip(best, last, strict=True)):
        for fold in range(5):
            rows = table.folds[fold].train
            net = baselines.linear(without[first], rows, 0)
            other = None if then is None else baselines.linear(without[then], rows, 0)
            member = len(results)
            results[member] = SimpleNamespace(status="finished")
            candidates.add(i, fold, member, net, other)
            late.add(id(other))
    found = selection.choose(
        candidates, results, Options(), Finish(Clock(0.0, None), 0.0), interrupted=False
    )
    share = sum(w for n, w in zip(found.members, found.weights, strict=True) if id(n) in late)
    return found, share, candidates


def test_last_epochs_complete_best_ones(table: Prepared) -> None:
    """Neither column alone is worth anything beside both: each stage has about half of the weight."""
    found, share, _ = of_two_stages(table, (0,), (1,))
    assert 0.3 < share < 0.7
    assert len(found.members) == 10
    assert found.gain.late == pytest.approx(share)
    assert sum(found.member_weight.values()) == pytest.approx(1)
    assert set(found.member_weight) == set(
        range(5)
    )  # each member has the weight of both of its nets


def test_last_epochs_that_are_as_good_have_their_share_at_least(table: Prepared) -> None:
    _, share, _ = of_two_stages(table, (0, 1), (1, 0))
    assert share >= selection.MAX_LATE - 1e-9


def test_a_last_epoch_that_is_the_best_one_is_one_net(table: Prepared) -> None:
    found, share, candidates = of_two_stages(table, (0, 1), (None, None))
    assert share == 0
    assert not candidates.late
    assert len(found.members) == 10


def test_recipes_whose_last_epochs_are_their_best_in_some_folds_only(table: Prepared) -> None:
    candidates = Candidates(table, METRICS["rmse"])
    without = {c: _without(table, c) for c in (0, 1)}
    nets = {}
    for fold in range(5):
        net, other = (baselines.linear(without[c], table.folds[fold].train, 0) for c in (0, 1))
        nets[fold] = net, other if fold in (2, 3) else None
        candidates.add(0, fold, fold, *nets[fold])
    late = candidates.late[0]
    assert [late.members[k] is (nets[k][1] or nets[k][0]) for k in range(5)] == [True] * 5
    assert np.isfinite(late.predictions).all()
    same = [candidates.places(table.folds[k].valid) for k in (0, 1, 4)]
    own = candidates.by_id[0].predictions
    for places in same:
        np.testing.assert_array_equal(late.predictions[places], own[places])
    assert (late.predictions != own).any()
    candidates.drop_worst()
    assert not candidates.late


def test_ensemble_of_last_epochs_far_worse_has_no_share_of_its_own() -> None:
    rng = np.random.default_rng(0)
    true = rng.standard_normal((500, 1))
    good, bad = (true + s * rng.standard_normal((3, 500, 1)) for s in (0.3, 3.0))
    units, finish = np.concatenate([good, bad]), Finish(Clock(0.0, None), 0.0)
    found = selection._greedy(
        units, 3, np.zeros(6, bool), true, METRICS["rmse"], None, finish, np.asarray
    )
    alone = ensemble.greedy(units, true, METRICS["rmse"])
    np.testing.assert_allclose(found.weights, alone.weights)
    near = np.concatenate([good, good + 0.01 * rng.standard_normal((3, 500, 1))])
    mixed = selection._greedy(
        near, 3, np.zeros(6, bool), true, METRICS["rmse"], None, finish, np.asarray
    )
    assert mixed.weights.sum() == pytest.approx(1)
    by_rows = ensemble.greedy(near, true, METRICS["rmse"]).weights[3:].sum()
    expected = selection.MAX_LATE + (1 - selection.MAX_LATE) * by_rows
    assert mixed.weights[3:].sum() == pytest.approx(expected, abs=0.01)


def test_what_the_ensemble_says_of_held_out_rows_is_kept(table: Prepared) -> None:
    found, _, candidates = of_two_stages(table, (0,), (1,))
    assert found.held_out is not None
    score = METRICS["rmse"](*candidates.truth(found.held_out))
    assert score == pytest.approx(found.gain.score)
    expected = np.zeros_like(found.held_out)
    for fold in table.folds:
        places = candidates.places(fold.valid)
        own = [c.predictions[places] for c in (candidates.by_id[0], candidates.late[0])]
        late = found.gain.late
        expected[places] = (1 - late) * own[0] + late * own[1]
    np.testing.assert_allclose(found.held_out, expected, rtol=1e-6)


def with_trees(table: Prepared, folds: int) -> Candidates:
    """Return candidates: nets of all folds that do not know a column, and trees of some folds that know it alone."""
    candidates = Candidates(table, METRICS["rmse"])
    for k, fold in enumerate(table.folds):
        candidates.add(0, k, k, baselines.linear(_without(table, 0), fold.train, 0))
        if k < folds:
            trees = Boosting(_without(table, 1), Setting(max_iter=40), 0).fit(
                fold.train, fold.valid
            )
            assert trees is not None
            candidates.add(TREES_ID, k, -1, trees)
    return candidates


def choose(candidates: Candidates, method: str = "greedy") -> selection.Chosen:
    results: Any = {k: SimpleNamespace(status="finished") for k in range(5)}
    finish = Finish(Clock(0.0, None), 0.0)
    return selection.choose(candidates, results, Options(ensemble=method), finish, False)


def test_trees_that_complete_the_nets_join_and_what_nets_reach_alone_is_known(
    table: Prepared,
) -> None:
    candidates = with_trees(table, 5)
    found = choose(candidates)
    share = sum(
        w for m, w in zip(found.members, found.weights, strict=True) if isinstance(m, Forest)
    )
    assert 0.2 < share < 0.8
    assert found.gain is not None
    assert found.gain.trees == pytest.approx(share)
    assert found.gain.nets_alone == pytest.approx(candidates.scores[0])
    assert found.gain.score < 0.8 * found.gain.nets_alone
    assert sum(found.member_weight.values()) == pytest.approx(1 - share)


def test_trees_of_the_first_fold_are_compared_on_its_rows(table: Prepared) -> None:
    found = choose(with_trees(table, 1))
    assert found.gain is not None
    assert "first fold" in found.gain.on
    assert found.gain.trees > 0


@pytest.mark.parametrize("method", ["average"])
def test_trees_have_no_share_of_an_average_of_nets(table: Prepared, method: str) -> None:
    found = choose(with_trees(table, 5), method)
    assert not any(isinstance(m, Forest) for m in found.members)
    assert found.gain is not None
    assert found.gain.trees == 0


def of_noise(recipes: int, rows: int, better: float = 0.0) -> Candidates:
    """Return candidates of linear nets, alike but for noise in what they say of few held-out rows.

    From the fourth on they are better by a share of the loss that no luck explains.
    """
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, 2))
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": x.sum(1) + rng.standard_normal(rows)})
    small = prepare(frame, "y", Options(folds=5, test_size=0))
    candidates = Candidates(small, METRICS["rmse"])
    true = np.asarray(small.data.target)[candidates.rows]
    common = rng.standard_normal(true.shape)
    for i in range(recipes):
        for k, fold in enumerate(small.folds):
            candidates.add(i, k, 5 * i + k, baselines.linear(small.data, fold.train, i))
        found = candidates.by_id[i]
        share = 1 - better if i >= selection.KNOWN_FIRST else 1.0
        found.predictions[:] = true + share * (common + 0.1 * rng.standard_normal(true.shape))
    return candidates


def share_of_first(candidates: Candidates, **options: Any) -> float:
    results: Any = {i: SimpleNamespace(status="finished") for i in range(500)}
    finish = Finish(Clock(0.0, None), 0.0)
    found = selection.choose(candidates, results, Options(**options), finish, False)
    return sum(w for i, w in found.member_weight.items() if i < 5 * selection.KNOWN_FIRST)


def test_few_rows_shrink_weights_towards_the_recipes_that_are_known_to_do_well() -> None:
    few, many = of_noise(40, 500), of_noise(40, 4000)
    assert share_of_first(few) > 0.3
    assert share_of_first(few) > share_of_first(many)
    assert share_of_first(few, search="tpe") < 0.3


def test_known_recipes_that_are_worse_have_no_share_of_their_own() -> None:
    assert share_of_first(of_noise(10, 500, better=0.5)) < 0.1
