"""A recipe's two parts: what a program is built for, and the numbers that it is given."""

from __future__ import annotations

import numpy as np
import pytest

from popnet import Dataset, Features, Recipe, RecipeError
from popnet.data.dataset import Images
from popnet.nn.activations import ACTIVATIONS
from popnet.nn.initializers import INITIALIZERS
from popnet.nn.norm import NORMS
from popnet.spec.recipe import choices
from popnet.spec.shape import Numbers, Shape


@pytest.fixture
def data() -> Dataset:
    features = Features(
        np.zeros((5, 3), np.float32),
        np.zeros((5, 2), np.uint8),
        np.zeros((5, 2), np.int32),
        (4, 60),
    )
    return Dataset(features, np.zeros(5, np.int32), "classification", 3)


def test_shape_says_what_arrays_are_large_as(data):
    recipe = Recipe(depth=2, width=16, batch_size=8, numeric_embedding="periodic", embedding_size=5)
    assert Shape.of(recipe, data) == Shape(
        kind="mlp",
        depth=2,
        width=16,
        stages=0,
        patch=1,
        batch_size=8,
        pieces=1,
        norm=None,
        activation=None,
        after=False,
        muon=False,
        ntk=False,
        heads=1,
        scaled=False,
        frequencies=5,
        bounds=(),
        n_numeric=3,
        n_flags=2,
        levels=(4, 60),
        image=None,
        n_outputs=3,
        task="classification",
    )


def of_images(recipe: Recipe) -> Shape:
    data = Dataset(
        Images.measured(np.zeros((5, 12, 9, 3), np.uint8)),
        np.zeros(5, np.int32),
        "classification",
        3,
    )
    return Shape.of(recipe, data)


def test_shape_of_images():
    shape = of_images(
        Recipe(kind="conv", depth=2, stages=2, patch=2, norm="layer", activation="elu")
    )
    assert shape.image == (12, 9, 3)
    assert (shape.stages, shape.patch, shape.n_numeric) == (2, 2, 0)
    # A convolutional net's program holds one normalization and one activation.
    assert shape.norm == choices("norm").index("layer")
    assert shape.activation == choices("activation").index("elu")
    assert shape != of_images(Recipe(kind="conv", depth=2, stages=2, patch=2, norm="layer"))
    flat = of_images(Recipe(depth=1, stages=2, patch=2))
    assert (flat.n_numeric, flat.stages, flat.patch) == (12 * 9 * 3, 0, 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"depth": 0}, "depth of at least 1"),
        ({"stages": 5}, "use fewer stages"),
        ({"patch": 10}, "too small for patch = 10"),
    ],
)
def test_nets_that_images_are_too_small_for_are_refused(fields, message):
    with pytest.raises(RecipeError, match=message):
        of_images(Recipe(kind="conv", **fields))


def test_convolutions_of_a_table_are_refused(data):
    with pytest.raises(RecipeError, match="is for images"):
        Shape.of(Recipe(kind="residual"), data)


def test_settings_that_a_net_does_not_have_make_no_other_shape(data):
    def shape(**fields):
        return Shape.of(Recipe(**fields), data)

    assert shape(depth=0, width=8) == shape(depth=0, width=64)
    assert shape(depth=0, activation="maxout") == shape(depth=0)
    assert shape(maxout_pieces=3) == shape()
    assert shape(embedding_size=3) == shape()
    assert shape(activation="maxout", maxout_pieces=3).pieces == 3


def test_no_continuous_columns_no_periodic_features():
    features = Features(
        np.zeros((5, 0), np.float32), np.zeros((5, 2), np.uint8), np.zeros((5, 0), np.int32)
    )
    data = Dataset(features, np.zeros((5, 1), np.float32), "regression", 1)
    assert Shape.of(Recipe(numeric_embedding="periodic"), data).frequencies == 0


def test_tables_are_in_the_order_of_the_choices():
    assert (*ACTIVATIONS, "maxout") == choices("activation")
    assert tuple(NORMS) == choices("norm")
    assert tuple(INITIALIZERS) == choices("init")


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
@pytest.mark.parametrize("position", ["before", "after"])
def test_normalization_has_one_place(data, norm, position):
    recipe = Recipe(norm=norm, norm_position=position)
    assert Numbers.of(recipe).norm == choices("norm").index(norm)
    assert Shape.of(recipe, data).after == (norm != "none" and position == "after")


def test_numbers_have_the_types_of_a_program():
    numbers = Numbers.of(Recipe(learning_rate=1, nesterov=False, activation="maxout"))
    assert numbers.learning_rate.dtype == np.float32
    assert numbers.epochs.dtype == np.int32
    assert numbers.nesterov.dtype == bool
    assert 0 <= numbers.activation < len(ACTIVATIONS)


def test_piecewise_embedding_needs_quantiles():
    data = Dataset.from_arrays(np.zeros((4, 2)), np.array([0, 1, 0, 1]), "classification")
    with pytest.raises(RecipeError, match="needs the quantiles of the columns"):
        Shape.of(Recipe(numeric_embedding="piecewise"), data)
    with pytest.raises(RecipeError, match="needs the quantiles of the columns"):
        Shape.of(Recipe(numeric_embedding="periodic", embedding_quantiles=True), data)
