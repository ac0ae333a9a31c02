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
from popnet.nn.norm import Statistics
from popnet.population.feed import Feed
from popnet.spec.recipe import choices
from popnet.spec.shape import Form, Numbers, Shape
from population import reference

BASE = Recipe(depth=2, width=8, batch_size=32)
of_form = jax.jit(net.evaluate, static_argnums=2)


def evaluate(parameters, running, shape: Shape, recipe: Recipe, data, rows=None):
    """Return outputs ``(N, O)`` of a net as its program gives them."""
    form = Form.of(shape)
    layouts = net.form_layouts(form)
    vectors = net.pad(parameters, running, shape, form)
    padded = [layout.split(v) for layout, v in zip(layouts, vectors, strict=True)]
    found = of_form(*padded, form, Numbers.of(recipe), inputs(data, shape, recipe, rows))
    return np.asarray(found)[:, : shape.n_outputs]


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


def inputs(data, shape: Shape, recipe: Recipe, rows=None):
    rows = np.arange(len(data)) if rows is None else rows
    return Feed(data.features).shaped(shape, Form.of(shape), recipe, (len(rows),)).take(rows)


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


def test_the_layers_weights_come_first(table):
    recipe = BASE.replace(numeric_embedding="periodic", heads=2, input_scale=6.0)
    form = Form.of(Shape.of(recipe, table))
    layout, running_layout = net.form_layouts(form)
    place = layout.split(np.arange(layout.size))
    for path, x in jax.tree_util.tree_flatten_with_path(place)[0]:
        assert np.all((x < layout.n_first) == (path[-1] == jax.tree_util.DictKey("w")))
    variances = running_layout.split(net.variances(form))
    assert all(not s.mean.any() and s.var.all() for r in variances for s in r.values())


PADDED = [
    BASE,
    BASE.replace(depth=0),
    BASE.replace(numeric_embedding="periodic", embedding_size=5, input_scale=6.0, heads=3),
    BASE.replace(numeric_embedding="piecewise", embedding_size=7, heads=2, depth=0),
    BASE.replace(activation="maxout", maxout_pieces=3),
]


@pytest.mark.parametrize("recipe", PADDED, ids=str)
def test_padding_is_taken_off_again(table, recipe):
    shape = Shape.of(recipe, table)
    form = Form.of(shape)
    parameters, running = trees(recipe, shape)
    vectors = net.pad(parameters, running, shape, form)
    assert [len(v) for v in vectors] == [layout.size for layout in net.form_layouts(form)]
    own, statistics = net.unpad(*vectors, shape, form)
    assert jax.tree.structure(own) == jax.tree.structure(parameters)
    jax.tree.map(np.testing.assert_array_equal, (own, statistics), (parameters, running))


@pytest.mark.parametrize(("depth", "heads"), [(2, 3), (0, 1)])
def test_the_ntk_parametrization_goes_by_a_layers_inputs(table, depth, heads):
    recipe = BASE.replace(numeric_embedding="periodic", input_scale=6.0, depth=depth, heads=heads)
    shape = Shape.of(recipe, table)
    form = Form.of(shape)
    found = np.asarray(net.ntk_factors(form, net.NetSizes.of(shape)))
    factors = net.form_layouts(form)[0].split(found)
    fans = [mlp.input_size(shape), *[recipe.width] * depth]
    assert fans[0] < form.inputs  # padding does not count
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
        got = evaluate(parameters, running, shape, recipe, table)
        rows = np.arange(len(table))
        expected = reference.evaluate(parameters, running, shape, recipe, table, rows)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_evaluation_of_a_linear_model(table):
    recipe = BASE.replace(depth=0)
    shape = Shape.of(recipe, table)
    parameters, running = trees(recipe, shape)
    got = evaluate(parameters, running, shape, recipe, table)
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
    got = evaluate(parameters, running, shape, recipe, table)
    expected = reference.evaluate(parameters, running, shape, recipe, table, np.arange(len(table)))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_evaluation_has_no_dropout_no_noise_and_no_mixup(table):
    shape = Shape.of(BASE, table)
    run = partial(evaluate, *trees(BASE, shape), shape, data=table)
    loud = BASE.replace(dropout=0.9, input_dropout=0.5, input_noise=3, mixup=1, label_smoothing=0.5)
    np.testing.assert_array_equal(run(recipe=BASE), run(recipe=loud))


def test_evaluation_of_a_row_does_not_depend_on_the_others(table):
    shape = Shape.of(BASE, table)
    run = partial(evaluate, *trees(BASE, shape), shape, BASE, table)
    whole = run(np.arange(64))
    other = run(np.r_[0:32, 100:132])
    np.testing.assert_array_equal(whole[:32], other[:32])


def test_biases_before_batch_normalization_are_left_out(table):
    for position in ("before", "after"):
        recipe = BASE.replace(norm="batch", norm_position=position)
        shape = Shape.of(recipe, table)
        form = Form.of(shape)
        layout, running_layout = net.form_layouts(form)
        weights, running = net.pad(*trees(recipe, shape), shape, form)
        x = jax.tree.map(jnp.asarray, inputs(table, shape, recipe))
        n, statistics = Numbers.of(recipe), running_layout.split(running)

        def total(p, form=form, statistics=statistics, n=n, x=x, o=shape.n_outputs):
            return net.evaluate(p, statistics, form, n, x)[:, :o].sum()

        g = jax.jit(jax.grad(total))(layout.split(weights))
        assert all(np.any(layer["b"]) == (position == "after") for layer in g["hidden"])
