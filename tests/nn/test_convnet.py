"""The convolutional net: its plan, its passes against a net written layer by layer, its invariances."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from popnet import Recipe
from popnet.nn import convnet, net
from popnet.nn.activations import ACTIVATIONS, ActivationNumbers
from popnet.runtime import keys
from popnet.spec.recipe import choices
from popnet.spec.shape import Form, Numbers, Shape

IMAGE = (8, 9, 3)
BASE = Recipe(kind="conv", depth=2, width=4, stages=2, batch_size=8, dropout=0.0, norm="batch")


def shape_of(recipe: Recipe) -> Shape:
    return Shape.make(recipe, image=IMAGE, n_outputs=3, task="classification")


def draw(recipe: Recipe, seed: int = 0):
    """Return shape, parameters and running statistics away from their first values, and images."""
    rng = np.random.default_rng(seed)
    shape = shape_of(recipe)
    parameters, running = net.init(recipe, shape, seed)
    parameters = jax.tree.map(
        lambda x: x + 0.1 * rng.standard_normal(x.shape).astype(np.float32), parameters
    )
    running = jax.tree.map(lambda x: x + rng.uniform(0, 0.5, x.shape).astype(np.float32), running)
    return shape, parameters, running, rng.standard_normal((8, *IMAGE)).astype(np.float32)


def steps_keys(form: Form, key: int = 1):
    every = keys.StepKeys.of(np.array([key], np.uint32), 1, net.dropouts(form))
    return keys.StepKeys(*(k[0] for k in every))


def trained(parameters, shape: Shape, numbers, x, share, key: int = 1):
    """Return outputs and statistics in training mode; ``parameters`` are the net's own."""
    form = Form.of(shape)
    padded = convnet.pad(jax.tree.map(jnp.asarray, parameters), shape, form)
    found, statistics = net.train(padded, form, numbers, x, share, None, steps_keys(form, key))
    return found[:, : shape.n_outputs], statistics


def evaluated(parameters, running, shape: Shape, numbers, x):
    form = Form.of(shape)
    padded = convnet.pad(parameters, shape, form)
    return net.evaluate(padded, running, form, numbers, x)[:, : shape.n_outputs]


def convolved(x, w):
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = x.shape[1:3]
    views = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return jnp.concatenate(views, -1) @ w


def pooled(x):
    n, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))


def normalized(kind, z, p, statistics, epsilon):
    if kind == "none":
        return z
    axes = (3,) if kind == "layer" else (0, 1, 2)
    mean, var = z.mean(axes, keepdims=True), z.var(axes, keepdims=True)
    if kind == "batch" and statistics is not None:
        mean, var = statistics.mean, statistics.var
    return (z - mean) / jnp.sqrt(var + epsilon) * p["gamma"] + p["beta"]


def plainly(parameters, running, recipe: Recipe, x):
    """The net by its description; with ``running`` at evaluation, else in training."""
    h = jnp.asarray(x)
    if recipe.patch > 1:
        n, s = len(h), recipe.patch
        rows, columns = h.shape[1] // s, h.shape[2] // s
        h = h[:, : rows * s, : columns * s].reshape(n, rows, s, columns, s, -1)
        h = h.swapaxes(2, 3).reshape(n, rows, columns, -1)
    layers = list(zip(parameters["layers"], running or [None] * 99, strict=False))

    def block(z, p, r):
        k = recipe.maxout_pieces if recipe.activation == "maxout" else 1
        z = z if recipe.norm == "batch" and recipe.norm_position == "before" else z + p["b"]
        if recipe.norm_position == "before":
            z = normalized(recipe.norm, z, p["before"], r and r["before"], recipe.norm_epsilon)
        if k > 1:
            h = jnp.max(jnp.stack(jnp.split(z, k, axis=3)), axis=0)
        else:
            numbers = ActivationNumbers(recipe.leaky_slope, recipe.elu_alpha, p["slope"])
            h = ACTIVATIONS[recipe.activation](z, numbers)
        if recipe.norm_position == "after":
            h = normalized(recipe.norm, h, p["after"], r and r["after"], recipe.norm_epsilon)
        return h

    def layer(h, pool=False):
        p, r = layers.pop(0)
        z = convolved(h, p["w"])
        return block(pooled(z) if pool else z, p, r)

    for stage in range(recipe.stages):
        last = stage == recipe.stages - 1
        if recipe.kind == "conv":
            for i in range(recipe.depth):
                h = layer(h, pool=not last and i == recipe.depth - 1)
            continue
        h = layer(h, pool=not last and recipe.depth == 1)
        for _ in range(recipe.depth - 1):
            h = h + layer(layer(h))
        if not last and recipe.depth > 1:
            h = pooled(h)
    return h.mean((1, 2)) @ parameters["output"]["w"] + parameters["output"]["b"]


RECIPES = [
    BASE,
    BASE.replace(depth=1, stages=3),
    BASE.replace(patch=2, stages=1),
    BASE.replace(norm="layer", activation="silu"),
    BASE.replace(norm="none", activation="tanh"),
    BASE.replace(norm_position="after", activation="elu"),
    BASE.replace(activation="maxout", maxout_pieces=3),
    BASE.replace(activation="prelu", leaky_slope=0.2),
    BASE.replace(kind="residual"),
    BASE.replace(kind="residual", depth=3, patch=2),
    BASE.replace(kind="residual", depth=1),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_passes_are_those_of_the_description(recipe):
    shape, parameters, running, x = draw(recipe)
    numbers = Numbers.of(recipe)
    got = evaluated(parameters, running, shape, numbers, x)
    expected = plainly(parameters, running, recipe, x)
    np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-4)

    share = np.full(8, 1 / 8, np.float32)
    g = np.random.default_rng(2).standard_normal((8, 3)).astype(np.float32)

    def loss(parameters):
        got, statistics = trained(parameters, shape, numbers, x, share)
        return (got * g).sum(), (got, statistics)

    (_, (got, statistics)), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(parameters)
    np.testing.assert_allclose(got, plainly(parameters, None, recipe, x), rtol=5e-4, atol=5e-4)
    assert jax.tree.structure(statistics) == jax.tree.structure(running)
    # Operation by operation: each is compiled once for all recipes.
    slopes = jax.grad(lambda p: (plainly(p, None, recipe, x) * g).sum())(parameters)
    for path, right in jax.tree_util.tree_leaves_with_path(slopes):
        found = gradient
        for key in path:
            found = found[getattr(key, "key", getattr(key, "idx", None))]
        np.testing.assert_allclose(found, right, rtol=2e-3, atol=2e-3, err_msg=str(path))


def test_padding_of_a_batch_changes_nothing():
    shape, parameters, _, x = draw(BASE)
    numbers = Numbers.of(BASE)
    share = np.where(np.arange(8) < 5, np.float32(0.2), 0).astype(np.float32)
    other = x.copy()
    other[5:] = 7.0
    a, b = (trained(parameters, shape, numbers, v, share)[0][:5] for v in (x, other))
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["conv", "residual"])
def test_dropout_is_only_in_training_and_keeps_the_mean(kind):
    recipe = BASE.replace(kind=kind, norm="none", dropout=0.4)
    shape, parameters, running, x = draw(recipe)
    numbers = Numbers.of(recipe)
    share = np.full(8, 1 / 8, np.float32)

    draws = np.stack([trained(parameters, shape, numbers, x, share, k)[0] for k in range(3)])
    assert not np.allclose(draws[0], draws[1])
    a, b = (evaluated(parameters, running, shape, numbers, x) for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_plan_doubles_channels_and_pools_between_stages():
    plan = convnet.plan(shape_of(BASE.replace(depth=1, stages=3)))
    assert [(layer.channels_in, layer.channels) for layer in plan] == [(3, 4), (4, 8), (8, 16)]
    assert [layer.pools for layer in plan] == ["before", "before", ""]
    plan = convnet.plan(shape_of(BASE.replace(kind="residual", patch=2)))
    assert [layer.channels_in for layer in plan] == [12, 4, 4, 4, 8, 8]
    assert [layer.pools for layer in plan] == ["", "", "after", "", "", ""]
    assert [layer.begins for layer in plan] == [False, True, False, False, True, False]
    assert [layer.ends for layer in plan] == [False, False, True, False, False, True]


@pytest.mark.parametrize("name", choices("init"))
def test_initial_weights_have_the_variance_of_their_fans(name):
    recipe = BASE.replace(init=name, width=64, depth=2, stages=1)
    w = net.init(recipe, shape_of(recipe), 0)[0]["layers"][1]["w"]
    fan_in, fan_out = 9 * 64, 9 * 64
    variance = {
        "he": 2 / fan_in, "xavier": 2 / (fan_in + fan_out), "lecun": 1 / fan_in, "orthogonal": 1 / fan_in,
    }[name.split("_")[0]]  # fmt: skip
    assert w.shape == (fan_in, 64)
    assert w.var() == pytest.approx(variance, rel=0.05)


def test_inputs_that_the_ntk_parametrization_counts_are_those_of_all_places_of_a_window():
    recipe = Recipe(kind="conv", depth=1, width=4, stages=2, batch_size=8, activation="maxout")
    shape = Shape.make(recipe, image=(8, 8, 3), n_outputs=5, task="classification")
    form = Form.of(shape)
    factors = np.asarray(net.ntk_factors(form, net.NetSizes.of(shape)))
    found = net.form_layouts(form)[0].split(factors)
    fans = (9 * 3, 9 * 4, 8)
    for w, fan_in in zip(net.weights(found), fans, strict=True):
        np.testing.assert_allclose(w, np.sqrt(128 / fan_in), rtol=1e-6)
    others = [
        x
        for path, x in jax.tree_util.tree_flatten_with_path(found)[0]
        if path[-1] != jax.tree_util.DictKey("w")
    ]
    assert others
    assert all(np.all(x == 1) for x in others)
