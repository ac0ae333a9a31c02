"""Recipes drawn from the search space are valid, within their ranges, and determined by the seed."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from popnet import Dataset, Features, Recipe
from popnet.errors import InputError
from popnet.tuning.space.ranges import Choice, Integer, Linear, Log
from popnet.tuning.space.space import Dimension, Space
from popnet.tuning.space.table_space import default_space
from popnet.tuning.strategies.samplers import DRAWS

RANGES = {
    "learning_rate": (8e-4, 1.6e-2),
    "weight_decay": (1e-2, 1.5),
    "dropout": (0.0, 0.5),
    "input_noise": (0.0, 0.1),
    "leaky_slope": (0.01, 0.3),
    "embedding_scale": (0.03, 3.0),
}
CHOICES = {
    "activation": {"relu", "silu", "mish", "gelu", "elu", "prelu", "leaky_relu"},
    "norm": {"none", "batch", "layer"},
    "beta2": {0.95, 0.99, 0.999},
    "ema": {0.0, 0.99, 0.998},
    "schedule": {"cosine", "coslog", "one_cycle"},
    "label_smoothing": {0.0, 0.05},
    "mixup": {0.0, 0.2},
    "embedding_spread": {0.5, 1.0},
    "embedding_quantiles": {False, True},
}


def columns(numeric: int) -> Dataset:
    rows = 20
    features = Features(
        np.zeros((rows, numeric), np.float32),
        np.zeros((rows, 1), np.uint8),
        np.zeros((rows, 0), np.int32),
        (),
        np.tile(np.arange(5, dtype=np.float32), (numeric, 1)),
    )
    return Dataset(features, np.arange(rows, dtype=np.int32) % 2, "classification", 2)


def first(strategy: str, space: Space, seed: int, count: int = 24) -> list[Recipe]:
    return list(itertools.islice(DRAWS[strategy](space, seed), count))


@given(st.integers(0, 2**31 - 1), st.sampled_from([0, 4, 300]), st.integers(10, 10**6))
def test_draws_are_valid_recipes_within_their_ranges(seed, numeric, rows):
    space = default_space(columns(numeric), rows)
    known = len(space.known())
    factors = {"learning_rate": 6, "weight_decay": 2} if space.base.optimizer == "muon" else {}
    for recipe in first("random", space, seed, known + 5)[1:]:
        assert Recipe.from_mapping(recipe.model_dump()) == recipe
        for name, (low, high) in RANGES.items():
            if name != "embedding_scale" or recipe.numeric_embedding != "none":
                value = getattr(recipe, name) / factors.get(name, 1)
                assert low <= value <= high, name
        for name, choices in CHOICES.items():
            if not name.startswith("embedding") or recipe.numeric_embedding != "none":
                assert getattr(recipe, name) in choices, name
        searched = {*RANGES, *CHOICES, "depth", "width", "numeric_embedding", "embedding_size"}
        kept = set(Recipe.model_fields) - searched
        assert all(getattr(recipe, k) == getattr(space.base, k) for k in kept)


@pytest.mark.parametrize("strategy", DRAWS)
def test_the_default_recipe_comes_first(strategy):
    space = default_space(columns(4), 1000)
    assert first(strategy, space, 5, 1) == [space.base]


PORTFOLIO = Space(
    Recipe(width=32, dropout=0.1), (Dimension("dropout", Linear(0.0, 0.5)),), ({}, {"width": 64}),
    portfolio=({"dropout": 0.3, "width": 64}, {"dropout": 0.5}, {"dropout": 0.1}),
)  # fmt: skip


@pytest.mark.parametrize("strategy", ["random", "sobol"])
def test_a_portfolio_is_tried_after_the_default_recipe(strategy):
    base = PORTFOLIO.base
    known = [base, base.replace(dropout=0.3, width=64), base.replace(dropout=0.5)]  # each once
    found = first(strategy, PORTFOLIO, 0, 8)
    assert found[:3] == known
    assert len(set(found)) == 8
    assert PORTFOLIO.to_json() == Space.from_json(PORTFOLIO.to_json()).to_json()
    assert Space.from_json(PORTFOLIO.to_json()).known() == known


def test_a_portfolio_leaves_what_is_fixed_and_gives_way_to_a_users_ranges():
    base = PORTFOLIO.base
    assert PORTFOLIO.without(frozenset({"dropout"})).known() == [base, base.replace(width=64)]
    own = PORTFOLIO.having((Dimension("width", Integer(8, 16)),))
    assert own.known() == [base]


@pytest.mark.parametrize("strategy", DRAWS)
def test_same_seed_same_recipes_and_another_seed_others(strategy):
    space = default_space(columns(4), 1000)
    assert first(strategy, space, 1) == first(strategy, space, 1)
    assert first(strategy, space, 1)[1:] != first(strategy, space, 2)[1:]


def test_more_recipes_do_not_change_the_first_ones():
    space = default_space(columns(4), 1000)
    assert first("random", space, 3, 24)[:5] == first("random", space, 3, 5)


def test_random_recipes_differ_and_turn_through_the_shapes():
    space = default_space(columns(4), 100_000)
    recipes = first("random", space, 0, 40)
    assert len(set(map(str, recipes))) == 40
    known = len(space.known())
    shapes = [(r.width, r.numeric_embedding) for r in recipes[known:]]
    assert set(shapes[:3]) == {(128, "periodic"), (128, "piecewise"), (128, "none")}
    assert shapes[:3] == shapes[3:6]


def test_rates_are_drawn_on_a_logarithmic_scale():
    """Half of the draws lie below the geometric mean; three deviations of 400 draws are 30."""
    space = default_space(columns(0), 1000)
    rates = [r.learning_rate for r in first("random", space, 0, 420)[-400:]]
    below = sum(rate < np.sqrt(8e-4 * 1.6e-2) for rate in rates)
    assert 170 <= below <= 230


def test_the_grid_is_complete_and_ends():
    space = default_space(columns(4), 1000, shapes=2)
    recipes = first("grid", space, 0, 10_000)
    assert len(recipes) == len(set(map(str, recipes)))
    points = {str(r) for r in space.grid()}
    assert {str(r) for r in recipes} == points | {str(space.base)}
    # Three values of dropout and of rates, two of decay; two scales of periods, where there are some.
    assert len(points) == 3 * 3 * 2 * (1 + 2)


@pytest.mark.parametrize("shapes", [1, 2, 3])
def test_no_more_structures_than_asked_for(shapes):
    space = default_space(columns(4), 1000, shapes=shapes)
    found = {(r.width, r.numeric_embedding) for r in first("random", space, 0, 30)}
    assert len(found) == shapes


def test_the_default_recipe_fits_the_data():
    few, many = default_space(columns(4), 300).base, default_space(columns(4), 1_000_000).base
    assert few.width < many.width
    assert (few.batch_size, many.batch_size) == (32, 1024)
    assert few.numeric_embedding == "piecewise"
    assert few.embedding_size < many.embedding_size
    assert default_space(columns(0), 300).base.numeric_embedding == "none"
    assert default_space(columns(300), 300).base.numeric_embedding == "none"
    wide = default_space(columns(32), 1_000_000).base
    assert wide.embedding_size * 32 <= 768


def test_columns_without_bins_have_periods_and_only_where_there_are_few_of_them_is_that_an_alternative():
    data = columns(4)
    knots = np.zeros((4, 5), np.float32)
    plain = replace(data, features=replace(data.features, knots=knots))
    space = default_space(plain, 1000)
    assert {r.numeric_embedding for r in first("random", space, 0)} == {"periodic", "none"}
    knots[:2] = np.arange(5)
    half = replace(data, features=replace(data.features, knots=knots))
    kinds = {r.numeric_embedding for r in first("random", default_space(half, 1000), 0)}
    assert kinds == {"piecewise", "periodic", "none"}


def test_recipes_that_are_known_to_do_well_are_of_several_embeddings():
    muon = default_space(columns(4), 6000)
    kinds = {(r.numeric_embedding, r.embedding_quantiles) for r in muon.known()}
    assert kinds == {("piecewise", False), ("periodic", True), ("none", False), ("periodic", False)}
    without = replace(columns(4), features=replace(columns(4).features, knots=None))
    assert not any(
        r.embedding_quantiles for r in first("random", default_space(without, 6000), 0, 40)
    )


@pytest.mark.parametrize("kind", ["none", "periodic", "piecewise"])
def test_an_embedding_that_the_user_chose_has_its_own_size(kind):
    space = default_space(columns(4), 4000, Recipe(numeric_embedding=kind))
    assert {r.numeric_embedding for r in first("random", space, 0)} == {kind}
    sizes = {r.embedding_size for r in first("random", space, 0)}
    assert kind == "none" or sizes == {16 if kind == "periodic" else 12}


@pytest.mark.parametrize("strategy", DRAWS)
def test_fields_that_the_user_set_are_kept_and_the_others_searched(strategy):
    own = Recipe(depth=1, activation="maxout", dropout=0.4, epochs=3)
    default = default_space(columns(4), 1000).base
    recipes = first(strategy, default_space(columns(4), 1000, own), 0)
    for recipe in recipes:
        for name in own.model_fields_set:
            assert getattr(recipe, name) == getattr(own, name)
    assert recipes[0] == default.replace(**own.model_dump(exclude_unset=True))
    assert len({r.weight_decay for r in recipes}) > 1


def test_what_a_space_fixes_all_of_its_recipes_have():
    space = default_space(columns(4), 5000)
    assert not space.fixes("activation")
    assert not space.fixes("numeric_embedding")  # no dimension, but structures differ in it
    assert space.fixes("batch_size")
    fixed = space.without(frozenset({"activation", "norm"}))
    assert fixed.fixes("activation", "norm")
    assert not fixed.fixes("activation", "dropout")
    recipes = first("random", fixed, 0)
    assert {(r.activation, r.norm) for r in recipes} == {(space.base.activation, space.base.norm)}


def test_a_recipe_given_in_full_is_all_there_is():
    own = Recipe(**Recipe(depth=1, width=8).model_dump())
    space = default_space(columns(4), 1000, own)
    assert set(map(str, first("random", space, 0))) == {str(own)}
    assert first("grid", space, 0) == [own]


def test_rates_of_plain_gradient_descent_are_higher_than_adams():
    own = Recipe(optimizer="sgd")
    rates = [
        [r.learning_rate for r in first("random", default_space(columns(4), 1000, recipe), 0)]
        for recipe in (None, own)
    ]
    np.testing.assert_allclose(np.array(rates[1]) / rates[0], 25)


def test_muon_is_the_default_of_all_but_few_rows_with_half_the_batches():
    few, many = (default_space(columns(4), rows).base for rows in (1499, 6000))
    assert (few.optimizer, many.optimizer) == ("adamw", "muon")
    adam = default_space(columns(4), 6000, Recipe(optimizer="adamw")).base
    assert many.batch_size == 2 * adam.batch_size
    assert many.learning_rate == pytest.approx(6 * adam.learning_rate)
    assert (many.weight_decay, adam.weight_decay) == pytest.approx((0.2, 0.5))
    own = Recipe(weight_decay=0.3, epochs=7, learning_rate=0.01)
    kept = default_space(columns(4), 6000, own).base
    assert (kept.weight_decay, kept.epochs, kept.learning_rate) == (0.3, 7, 0.01)


@pytest.mark.parametrize("strategy", DRAWS)
def test_a_recipe_with_adam_is_searched_without_decoupled_decay(strategy):
    """Adam refuses decoupled decay, so the search must not set it."""
    recipes = first(strategy, default_space(columns(4), 1000, Recipe(optimizer="adam")), 0, 100)
    assert {r.optimizer for r in recipes} == {"adam"}
    assert {r.decay for r in recipes} == {0.0}
    assert len(set(map(str, recipes))) == len(recipes) > 10


# --- conditions, a user's own ranges, Sobol's sequence ------------------------------------------------


def small(*dimensions: Dimension, **base) -> Space:
    return Space(Recipe(**base), dimensions)


def test_a_field_is_searched_only_where_its_condition_holds():
    space = small(
        Dimension("leaky_slope", Log(0.05, 0.3)),  # has an effect only with leaky ReLU: understood
        Dimension("dropout", Linear(0.3, 0.5), when={"norm": ("none",)}),
        Dimension("activation", Choice(("relu", "leaky_relu"))),
        Dimension("norm", Choice(("none", "batch"))),
    )
    recipes = first("random", space, 0, 200)[1:]
    for r in recipes:
        assert (r.leaky_slope >= 0.05) == (r.activation == "leaky_relu")
        assert (r.dropout >= 0.3) == (r.norm == "none")
    assert {(r.activation, r.norm) for r in recipes} == {
        (a, n) for a in ("relu", "leaky_relu") for n in ("none", "batch")
    }


def test_conditions_may_follow_from_conditions():
    space = small(
        Dimension("momentum", Linear(0.5, 0.8)),
        Dimension("optimizer", Choice(("sgd", "adam")), when={"depth": (1,)}),
        Dimension("depth", Integer(1, 2)),
        optimizer="adamw",
    )
    for r in first("random", space, 1, 100)[1:]:
        assert (r.optimizer == "adamw") == (r.depth == 2)
        assert (r.momentum < 0.9) == (r.optimizer == "sgd")


def test_conditions_in_a_circle_are_refused():
    with pytest.raises(InputError, match="circle"):
        small(
            Dimension("dropout", Linear(0, 0.5), when={"ema": (0.0,)}),
            Dimension("ema", Choice((0.0, 0.9)), when={"dropout": (0.0,)}),
        )


def test_grid_over_conditions_has_each_recipe_once():
    space = small(
        Dimension("activation", Choice(("relu", "leaky_relu"))), Dimension("leaky_slope", Linear(0.1, 0.3))
    )  # fmt: skip
    assert space.grid_size() == 6
    assert len(list(space.grid())) == 4  # ReLU once, leaky ReLU with three slopes


def test_a_grid_of_a_billion_is_refused_with_its_size():
    space = small(*(Dimension(f, Integer(1, 1000)) for f in ("epochs", "width", "patience")))
    own = space.having(
        [Dimension(f, Choice(tuple(range(1, 1001)))) for f in ("epochs", "width", "patience")]
    )
    with pytest.raises(InputError, match="1,000,000,000 recipes"):
        DRAWS["grid"](own, 0)


def test_own_ranges_take_the_place_of_the_default_ones():
    space = default_space(columns(4), 100_000).having(
        [Dimension("learning_rate", Log(1e-1, 1.0)), Dimension("width", Integer(8, 32, log=True))]
    )
    recipes = first("random", space, 0, 100)[1:]
    assert all(0.1 <= r.learning_rate <= 1 and 8 <= r.width <= 32 for r in recipes)
    assert len({r.width for r in recipes}) > 10
    assert {r.depth for r in recipes} == {3}  # the structure that says nothing of the width is left
    assert len({r.dropout for r in recipes}) > 10
    assert set(space.grid_axes()) == {"learning_rate", "width"}


def test_sobol_covers_every_dimension_more_evenly_than_chance():
    """64 points of a scrambled Sobol sequence: one in each 64th of every dimension."""
    space = small(*(Dimension(f, Linear(0.0, 0.99)) for f in ("dropout", "ema", "beta1")))
    recipes = first("sobol", space, 0, 65)[1:]
    for name in ("dropout", "ema", "beta1"):
        cells = {int(getattr(r, name) / 0.99 * 64) for r in recipes}
        assert len(cells) == 64
