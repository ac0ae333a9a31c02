"""How raw columns become the first layer's inputs, against NumPy; padded inputs are zeros."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from popnet import Recipe
from popnet.data.dataset import Features
from popnet.nn import embeddings, mlp, net, table_map
from popnet.population.feed import Feed
from popnet.spec import bins
from popnet.spec.shape import (
    ONE_HOT_LEVELS,
    Form,
    Shape,
    embedding_size,
    output_class,
    size_class,
    split_levels,
)

inputs = jax.jit(table_map.inputs)
ROWS = 40


def features(levels=(3, 30, 5), numbers=3, flags=2) -> Features:
    rng = np.random.default_rng(0)
    numeric = (3 * rng.standard_normal((ROWS, numbers))).astype(np.float32)
    codes = [rng.integers(0, n, ROWS) for n in levels]
    knots = np.array([[-2, -1, 0, 1, 2], [0, 0, 0, 0, 0], [0, 0, 0, 5, 6]], np.float32)[:numbers]
    return Features(
        numeric,
        (rng.random((ROWS, flags)) < 0.4).astype(np.uint8),
        np.stack(codes, 1).astype(np.int32) if levels else np.zeros((ROWS, 0), np.int32),
        tuple(levels),
        knots,
    )


def found_inputs(f: Features, recipe: Recipe):
    """Return the inputs of all rows, own and padded ones, and the net's parameters."""
    shape = Shape.make(
        recipe, n_numeric=f.numeric.shape[1], n_flags=f.flags.shape[1], levels=f.levels, knots=f.knots,
        n_outputs=3, task="classification",
    )  # fmt: skip
    form = Form.of(shape)
    parameters, _ = net.init(recipe, shape, 0)
    x = Feed(f).shaped(shape, form, recipe, (ROWS,)).take(np.arange(ROWS))
    every = np.asarray(inputs(mlp.pad(parameters, shape, form), x.raw, x.map))
    assert every.shape == (ROWS, form.inputs)
    places = table_map.places(shape, form)
    assert len(set(places)) == len(places) == mlp.input_size(shape)
    return every[:, places], np.delete(every, places, axis=1), parameters


def one_hot_and_vectors(f: Features, parameters) -> list[np.ndarray]:
    one_hot, learned = split_levels(f.levels)
    parts = [np.eye(f.levels[c])[f.codes[:, c]] for c in one_hot]
    tables = parameters.get("tables", [])
    return parts + [t[f.codes[:, c]] for t, c in zip(tables, learned, strict=True)]


@pytest.mark.parametrize("levels", [(3, 30, 5), (), (40,), (2,), (25, 26)])
@pytest.mark.parametrize("numbers", [0, 3])
def test_plain_numbers_flags_levels_and_learned_vectors(levels, numbers):
    f = features(levels, numbers)
    own, padding, parameters = found_inputs(f, Recipe(depth=1, width=4))
    expected = [f.numeric, f.flags, *one_hot_and_vectors(f, parameters)]
    np.testing.assert_array_equal(own, np.concatenate(expected, 1).astype(np.float32))
    np.testing.assert_array_equal(padding, 0)


def test_piecewise_features_pass_through_the_bins_of_each_column():
    f = features()
    recipe = Recipe(depth=1, width=4, numeric_embedding="piecewise", embedding_size=4)
    bounds = bins.bounds(f.knots, 4)
    assert bounds == ((0, 1, 2, 3, 4), (), (0, 3, 4))
    ends = [(0, -2, -1), (0, -1, 0), (0, 0, 1), (0, 1, 2), (2, 0, 5), (2, 5, 6)]
    own, padding, parameters = found_inputs(f, recipe)
    passed = np.stack([np.interp(f.numeric[:, c], [a, b], [0, 1]) for c, a, b in ends], 1)
    expected = [f.numeric, passed, f.flags, *one_hot_and_vectors(f, parameters)]
    np.testing.assert_allclose(own, np.concatenate(expected, 1), atol=1e-6)
    np.testing.assert_array_equal(padding, 0)


@pytest.mark.parametrize("quantiles", [False, True])
def test_waves_are_of_the_numbers_or_of_their_quantiles(quantiles):
    f = features()
    recipe = Recipe(
        depth=1, width=4, numeric_embedding="periodic", embedding_size=5, embedding_quantiles=quantiles
    )  # fmt: skip
    own, padding, parameters = found_inputs(f, recipe)
    values = embeddings.quantiles(f.numeric, f.knots) if quantiles else f.numeric
    p = parameters["periodic"]
    waves = np.cos(2 * np.pi * (values[:, :, None] * p["frequency"] + p["phase"]))
    expected = [f.numeric, waves.reshape(ROWS, -1), f.flags, *one_hot_and_vectors(f, parameters)]
    np.testing.assert_allclose(own, np.concatenate(expected, 1), atol=1e-4)
    np.testing.assert_array_equal(padding, 0)


def test_tables_of_about_the_same_size_have_one_form():
    recipe = Recipe(depth=2, width=8, numeric_embedding="periodic", embedding_size=6)

    def form(numbers, flags, levels, classes):
        shape = Shape.make(
            recipe, n_numeric=numbers, n_flags=flags, levels=levels, n_outputs=classes, task="classification"
        )  # fmt: skip
        return Form.of(shape)

    assert form(12, 3, (5, 30), 2) == form(11, 4, (6, 31), 7)
    assert form(12, 3, (5, 30), 2) != form(100, 3, (5, 30), 2)
    assert form(12, 3, (5, 30), 2) != form(12, 3, (5,), 2)


@given(st.integers(0, 10**6))
def test_size_classes_are_few_and_not_far_above(n):
    size = size_class(n)
    assert size >= n
    assert size_class(size) == size
    assert size_class(n + 1) >= size
    assert size_class(n, parts=1) == size_class(n, 32, 1) >= size
    if n > 32:
        assert size <= n * (2 if n < 64 else 1.5 if n < 256 else 1.25) + 1
        assert size_class(n, parts=1) <= 2 * n
    assert len({size_class(k) for k in range(1, 4096)}) < 24


def test_classes_have_few_sizes_and_regressions_their_own():
    assert {output_class(n, "classification") for n in range(2, 9)} == {8}
    assert output_class(9, "classification") == 16
    assert [output_class(n, "regression") for n in (1, 2, 5)] == [1, 2, 5]


def test_columns_with_many_levels_have_learned_vectors():
    most = ONE_HOT_LEVELS
    assert split_levels((2, most + 1, most, 1000)) == ([0, 2], [1, 3])
    assert split_levels(()) == ([], [])


@pytest.mark.parametrize(("levels", "size"), [(25, 10), (100, 21), (1000, 32), (10**6, 32)])
def test_length_of_learned_vectors(levels, size):
    assert embedding_size(levels) == size
