"""Nets with drawn weights: a graph of each structure says what popnet's own evaluation says."""

from __future__ import annotations

import numpy as np
import pytest

from export.models import FRAME, NEW, assert_same, draw, model_of, prepared
from popnet import Recipe
from popnet.export import nets
from popnet.spec.recipe import choices

SMALL = {"depth": 2, "width": 8, "norm": "none"}


@pytest.fixture(scope="module")
def two():
    return prepared("two")


@pytest.fixture(scope="module")
def numbers():
    return prepared("numbers")


@pytest.mark.parametrize("activation", choices("activation"))
def test_activations(two, activation):
    recipe = Recipe(**SMALL, activation=activation, leaky_slope=0.3, elu_alpha=0.7, maxout_pieces=3)
    assert_same(model_of(two, [recipe]), NEW)


@pytest.mark.parametrize("position", ["before", "after"])
@pytest.mark.parametrize("norm", choices("norm"))
@pytest.mark.parametrize("activation", ["tanh", "maxout"])
def test_norms(numbers, norm, position, activation):
    recipe = Recipe(
        depth=2, width=8, norm=norm, norm_position=position, norm_epsilon=1e-3, activation=activation
    )  # fmt: skip
    assert_same(model_of(numbers, [recipe], metric="rmse"), NEW)


@pytest.mark.parametrize("target", ["two", "five", "number", "numbers"])
@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize("scale", [0.0, 6.0])
def test_heads_depth_and_learned_scales(target, heads, depth, scale):
    recipe = Recipe(depth=depth, width=8, heads=heads, input_scale=scale)
    metric = "accuracy" if target in ("two", "five") else "rmse"
    assert_same(model_of(prepared(target), [recipe], metric=metric), NEW)


@pytest.mark.parametrize("frame", [FRAME, NEW], ids=["seen", "new"])
@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize(
    "embedding",
    [
        {"numeric_embedding": "piecewise", "embedding_size": 7},
        {"numeric_embedding": "periodic", "embedding_size": 3},
        {"numeric_embedding": "periodic", "embedding_quantiles": True},
        {"numeric_embedding": "periodic", "embedding_scale": 10.0},
    ],
)
def test_embeddings(numbers, embedding, heads, frame):
    recipe = Recipe(depth=1, width=8, heads=heads, input_scale=6.0, **embedding)
    assert_same(model_of(numbers, [recipe], metric="rmse"), frame)


def test_nets_of_one_structure_go_through_the_graph_together(two):
    recipes = [
        Recipe(**SMALL, batch_size=32, optimizer="muon"),
        Recipe(**SMALL, batch_size=64, norm_epsilon=1e-3, input_scale=6.0),
        Recipe(**SMALL, activation="gelu"),
        Recipe(**SMALL | {"width": 9}),
        Recipe(depth=0, activation="gelu"),
        Recipe(depth=0),
    ]
    members = [draw(r, two, i) for i, r in enumerate(recipes)]
    assert nets.groups(members, range(6)) == [[0, 1], [2], [3], [4, 5]]
    assert nets.groups(members, [1, 5]) == [[1], [5]]
    assert_same(model_of(two, recipes), NEW)


def test_a_difference_would_be_seen(two):
    model = model_of(two, [Recipe(**SMALL)])
    model.nets[0].parameters["hidden"][1]["w"][0] += np.float32(0.1)
    other = model_of(two, [Recipe(**SMALL)])
    object.__setattr__(other, "scores", model.scores)
    with pytest.raises(AssertionError):
        assert_same(other, NEW)
