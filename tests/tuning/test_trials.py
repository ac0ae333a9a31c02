"""Optuna's samplers: what is asked of them, and that they learn."""

from __future__ import annotations

import math
from dataclasses import replace

import optuna
import pytest

from popnet import Recipe
from popnet.errors import InputError
from popnet.population.members import Member, Result
from popnet.tuning.space import user_space
from popnet.tuning.space.ranges import Choice, Integer, Linear, Log, OrZero
from popnet.tuning.space.space import Dimension, Space
from popnet.tuning.strategies import base, factory
from popnet.tuning.strategies.optuna_trials import STRUCTURE, OptunaStrategy, parameters, suggest

SPACE = Space(
    Recipe(depth=1, width=32, dropout=0.0),
    (
        Dimension("learning_rate", Log(1e-4, 1e-1)),
        Dimension("width", Integer(16, 64, log=True)),
        Dimension("activation", Choice(("relu", "relu", "leaky_relu"))),
        Dimension("leaky_slope", Linear(0.01, 0.3)),
        Dimension("dropout", OrZero(Linear(0.1, 0.5))),
    ),
    shapes=({"depth": 1}, {"depth": 2}),
)


def ended(run: base.Run, score: float, status: str = "finished") -> Result:
    return Result(Member(run.recipe, 0, run.fold), None, status, 1, 1, score, {}, {}, {})


def recipes(strategy, count: int, loss=lambda r: 1.0) -> list[Recipe]:
    """Return the first recipes of a strategy on one fold, each told before the next is asked for."""
    found = []
    [batch] = strategy.batches()
    for run in batch:
        if len(found) == count:
            break
        found.append(run.recipe)
        strategy.tell(run, ended(run, loss(run.recipe)))
    return found


def test_recipes_of_an_earlier_part_are_trained_as_they_were():
    def last(recipe: Recipe) -> Recipe:
        return recipe.replace(epochs=2 * recipe.epochs)

    space = replace(SPACE, dimensions=(Dimension("epochs", Integer(2, 100)),))
    before = recipes(OptunaStrategy(space, seed=0, folds=1, last=last), 4)
    known = dict(enumerate(before))
    assert recipes(OptunaStrategy(space, seed=0, folds=1, last=last, known=known), 6)[:4] == before


def test_the_default_is_first_and_the_others_lie_in_the_space():
    strategy = OptunaStrategy(SPACE, seed=0, folds=1)
    found = recipes(strategy, 40)
    assert found[0] == SPACE.base
    assert len(set(map(str, found))) > 30
    for recipe in found:
        assert 1e-4 <= recipe.learning_rate <= 1e-1
        assert 16 <= recipe.width <= 64
        assert recipe.dropout == 0 or 0.1 <= recipe.dropout <= 0.5
        assert recipe.activation == "leaky_relu" or recipe.leaky_slope == SPACE.base.leaky_slope
    assert {r.depth for r in found} == {1, 2}
    assert {r.activation for r in found} == {"relu", "leaky_relu"}
    assert any(r.dropout for r in found)
    assert any(not r.dropout for r in found)


def test_a_trial_and_its_recipe_say_the_same():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(50):
        trial = study.ask()
        recipe = suggest(SPACE, trial)
        assert parameters(SPACE, recipe) == trial.params
    assert parameters(SPACE, SPACE.base.replace(learning_rate=0.5)) is None
    assert parameters(SPACE, SPACE.base.replace(depth=3)) is None
    assert parameters(SPACE, SPACE.base) == {
        STRUCTURE: "depth 1", "learning_rate": SPACE.base.learning_rate, "width": 32,
        "activation": "relu", "dropout is used": False,
    }  # fmt: skip


def test_a_portfolio_is_the_first_trials():
    known = ({"depth": 2, "dropout": 0.3}, {"dropout": 0.2})
    space = replace(SPACE, shapes=({}, {"depth": 2}), portfolio=known)
    strategy = OptunaStrategy(space, seed=0, folds=1)
    found = recipes(strategy, 6)
    assert found[:3] == space.known()
    structures = [t.params[STRUCTURE] for t in strategy.study.trials[:3]]
    assert structures == ["default", "depth 2", "default"]


def test_same_seed_same_recipes():
    def loss(recipe: Recipe) -> float:
        return abs(math.log10(recipe.learning_rate) + 2)

    runs = [recipes(OptunaStrategy(SPACE, seed, folds=1), 20, loss) for seed in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_tpe_learns_where_random_search_does_not():
    space = Space(
        Recipe(), user_space.dimensions({"learning_rate": "log:1e-5:1", "dropout": "0:0.5"})
    )

    def loss(recipe: Recipe) -> float:
        return (math.log10(recipe.learning_rate) + 3.5) ** 2 + 10 * (recipe.dropout - 0.31) ** 2

    def later(name: str) -> float:
        found = recipes(factory.make(name, space, 0, 1), 60, loss)
        return sum(map(loss, found[30:])) / 30

    assert later("tpe") < 0.5 * later("random")


def test_a_recipe_is_told_when_all_its_folds_are_through():
    strategy = OptunaStrategy(SPACE, seed=0, folds=3, most=2)
    [batch] = strategy.batches()
    runs = list(batch)
    assert [(r.recipe_id, r.fold) for r in runs] == [(i, f) for i in (0, 1) for f in range(3)]
    for run in runs[:5]:
        strategy.tell(run, ended(run, 1.0 + run.fold))
    assert [t.value for t in strategy.study.trials] == [2.0, None]
    strategy.tell(runs[5], ended(runs[5], 1.0, "diverged"))
    assert strategy.study.trials[1].state == optuna.trial.TrialState.FAIL


def test_a_default_outside_of_the_ranges_is_trained_but_no_trial():
    space = Space(Recipe(learning_rate=0.3), SPACE.dimensions)
    strategy = OptunaStrategy(space, seed=0, folds=1, most=3)
    assert recipes(strategy, 9)[0] == space.base
    assert len(strategy.study.trials) == 2


def test_the_study_is_kept_in_a_storage_that_optuna_opens(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    recipes(factory.make("tpe", SPACE, 0, 1, most=4, storage=url), 9)
    [name] = optuna.get_all_study_names(url)
    study = optuna.load_study(study_name=name, storage=url)
    assert [t.state.name for t in study.trials] == ["COMPLETE"] * 4


def test_any_sampler_of_optuna_can_be_named():
    assert len(recipes(factory.make("optuna:RandomSampler", SPACE, 0, 1, most=5), 9)) == 5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("optuna:TPESampeler", "Did you mean 'TPESampler'"),
        ("optuna:PartialFixedSampler", "cannot be used here"),
        ("halfing", "halving"),
    ],
)
def test_a_strategy_that_cannot_be_used_is_refused(name, message):
    with pytest.raises(InputError, match=message):
        factory.make(name, SPACE, 0, 1)


def test_a_storage_that_cannot_be_opened_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be opened"):
        factory.make("tpe", SPACE, 0, 1, storage=f"sqlite:///{tmp_path}/missing/study.db")
    with pytest.raises(InputError, match="cannot be opened"):
        factory.make("tpe", SPACE, 0, 1, storage="nowhere")
