"""The fully connected net of one member: first weights, masks over them, evaluation."""

from __future__ import annotations

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from popnet import Recipe
from popnet.nn import mlp, net
from popnet.nn.inputs import Columns
from popnet.nn.norm import Statistics
from popnet.population import reference
from popnet.recipe import choices
from popnet.shape import Numbers, Shape

BASE = Recipe(depth=2, width=8, batch_size=32)
evaluate = jax.jit(mlp.evaluate, static_argnums=2)


def trees(recipe: Recipe, shape: Shape, seed: int = 0):
    """Return parameters and running statistics in which no array is all zeros or ones."""
    rng = np.random.default_rng(seed)
    parameters, running = mlp.init(recipe, shape, seed)

    def moved(x):
        return x + 0.2 * rng.standard_normal(x.shape).astype(np.float32)

    running = [
        {k: Statistics(moved(s.mean), abs(moved(s.var)) + 0.1) for k, s in layer.items()}
        for layer in running
    ]
    return jax.tree.map(moved, parameters), running


def inputs(data, rows=slice(None)) -> Columns:
    f = data.features
    return Columns(f.numeric[rows], f.flags[rows], f.codes[rows], f.knots)


# --- first weights -------------------------------------------------------------------------------


def test_first_weights_have_the_shapes_of_the_net(table):
    recipe = BASE.replace(activation="maxout", maxout_pieces=3, numeric_embedding="periodic")
    shape = Shape.of(recipe, table)
    parameters, running = mlp.init(recipe, shape, 0)
    size = mlp.input_size(shape)
    assert size == 4 * (1 + 8) + 2 + 3 + 11  # numbers and their periods, flags, one-hot, learned
    first, second = parameters["hidden"]
    assert (first["w"].shape, second["w"].shape) == ((size, 24), (8, 24))
    assert parameters["output"]["w"].shape == (8, 3)
    assert parameters["periodic"]["frequency"].shape == (4, 8)
    assert [t.shape for t in parameters["tables"]] == [(30, 11)]
    for layer, r in zip(parameters["hidden"], running, strict=True):
        assert not np.any(layer["b"])
        assert np.all(layer["before"]["gamma"] == 1)
        assert np.all(layer["slope"] == np.float32(recipe.leaky_slope))
        assert r["before"].mean.shape == (24,)
        assert r["after"].var.shape == (8,)
    assert {x.dtype.name for x in jax.tree.leaves((parameters, running))} == {"float32"}


def test_weights_depend_on_the_seed_and_on_nothing_but_their_own_shape(table):
    shallow, deep = (Shape.of(BASE.replace(depth=d), table) for d in (1, 3))
    a, _ = mlp.init(BASE, shallow, 5)
    b, _ = mlp.init(BASE.replace(dropout=0.5, learning_rate=1), deep, 5)
    c, _ = mlp.init(BASE, shallow, 6)
    for part in (
        lambda t: t["hidden"][0]["w"],
        lambda t: t["output"]["w"],
        lambda t: t["tables"][0],
    ):
        np.testing.assert_array_equal(part(a), part(b))
        assert not np.any(part(a) == part(c))
    w = [x["w"][:8, :8] for x in b["hidden"]]
    assert not np.any(w[1] == w[2])


def test_pieces_of_maxout_start_apart(table):
    recipe = BASE.replace(activation="maxout", maxout_pieces=2)
    w = mlp.init(recipe, Shape.of(recipe, table), 0)[0]["hidden"][0]["w"]
    assert not np.any(w[:, :8] == w[:, 8:])


def test_only_the_layers_weights_are_penalised(table):
    recipe = BASE.replace(numeric_embedding="periodic")
    shape = Shape.of(recipe, table)
    layout, running_layout = net.layouts(shape)
    mask = layout.split(net.penalised(shape))
    for path, x in jax.tree_util.tree_flatten_with_path(mask)[0]:
        assert np.all(x == (path[-1] == jax.tree_util.DictKey("w")))
    variances = running_layout.split(net.variances(shape))
    assert all(not s.mean.any() and s.var.all() for r in variances for s in r.values())


@pytest.mark.parametrize(("depth", "heads"), [(2, 3), (0, 1)])
def test_the_ntk_parametrization_goes_by_a_layers_inputs(table, depth, heads):
    recipe = BASE.replace(numeric_embedding="periodic", input_scale=6.0, depth=depth, heads=heads)
    shape = Shape.of(recipe, table)
    factors = net.layouts(shape)[0].split(net.input_factors(shape))
    fans = [mlp.input_size(shape), *[recipe.width] * depth]
    for w, fan_in in zip(net.weights(factors), fans, strict=True):
        np.testing.assert_allclose(w, (128 / fan_in) ** 0.5, rtol=1e-6)
    for path, x in jax.tree_util.tree_flatten_with_path(factors)[0]:
        assert path[-1] == jax.tree_util.DictKey("w") or np.all(x == 1)


# --- evaluation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", choices("activation"))
def test_evaluation_is_the_plain_formula(table, activation):
    for norm, position in itertools.product(choices("norm"), ("before", "after")):
        recipe = BASE.replace(activation=activation, norm=norm, norm_position=position)
        shape = Shape.of(recipe, table)
        parameters, running = trees(recipe, shape)
        if norm == "batch" and position == "before":
            for layer in parameters["hidden"]:  # taken out by normalization, and so left out
                layer["b"][:] = 0
        got = evaluate(parameters, running, shape, Numbers.of(recipe), inputs(table))
        rows = np.arange(len(table))
        expected = reference.evaluate(parameters, running, shape, recipe, table, rows)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_evaluation_of_a_linear_model(table):
    recipe = BASE.replace(depth=0)
    shape = Shape.of(recipe, table)
    parameters, running = trees(recipe, shape)
    got = evaluate(parameters, running, shape, Numbers.of(recipe), inputs(table))
    expected = reference.evaluate(parameters, running, shape, recipe, table, np.arange(len(table)))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_piecewise_embedding_gives_bins_for_periods(table):
    recipe = BASE.replace(numeric_embedding="piecewise", embedding_size=6)
    assert mlp.input_size(Shape.of(recipe, table)) == 4 * (1 + 6) + 2 + 3 + 11


def test_evaluation_of_periodic_features(table):
    recipe = BASE.replace(numeric_embedding="periodic", embedding_size=4)
    shape = Shape.of(recipe, table)
    parameters, running = trees(recipe, shape)
    for layer in parameters["hidden"]:
        layer["b"][:] = 0
    got = evaluate(parameters, running, shape, Numbers.of(recipe), inputs(table))
    expected = reference.evaluate(parameters, running, shape, recipe, table, np.arange(len(table)))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_evaluation_has_no_dropout_no_noise_and_no_mixup(table):
    shape = Shape.of(BASE, table)
    run = partial(evaluate, *trees(BASE, shape), shape, x=inputs(table))
    loud = BASE.replace(dropout=0.9, input_dropout=0.5, input_noise=3, mixup=1, label_smoothing=0.5)
    np.testing.assert_array_equal(run(n=Numbers.of(BASE)), run(n=Numbers.of(loud)))


def test_evaluation_of_a_row_does_not_depend_on_the_others(table):
    shape = Shape.of(BASE, table)
    run = partial(evaluate, *trees(BASE, shape), shape, Numbers.of(BASE))
    whole = run(inputs(table, slice(0, 64)))
    other = run(inputs(table, np.r_[0:32, 100:132]))
    np.testing.assert_array_equal(whole[:32], other[:32])


def test_biases_before_batch_normalization_are_left_out(table):
    x = jax.tree.map(jnp.asarray, inputs(table))
    for position in ("before", "after"):
        recipe = BASE.replace(norm="batch", norm_position=position)
        shape = Shape.of(recipe, table)
        parameters, running = trees(recipe, shape)

        n = Numbers.of(recipe)

        def total(p, shape=shape, running=running, n=n):
            return mlp.evaluate(p, running, shape, n, x).sum()

        g = jax.jit(jax.grad(total))(parameters)
        assert all(np.any(layer["b"]) == (position == "after") for layer in g["hidden"])
