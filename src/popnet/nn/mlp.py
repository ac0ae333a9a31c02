"""The fully connected net, for ONE member: initial parameters, training pass, evaluation pass.

A hidden layer is  linear -> [norm] -> activation -> [norm] -> dropout , with the normalization in one of the two
places. Nothing here knows of members: ``population/program.py`` lifts it.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from popnet import keys
from popnet.augment import rows
from popnet.nn import embeddings, initializers, layers, norm
from popnet.nn.activations import ActivationNumbers
from popnet.nn.dropout import dropout, mask
from popnet.nn.flat import Layout
from popnet.nn.hidden import Choice, Learned, hidden
from popnet.nn.hidden import evaluate as at_evaluation
from popnet.recipe import Recipe
from popnet.shape import Numbers, Shape
from popnet.types import Array, Tree


class Inputs(NamedTuple):
    """Rows as the net takes them: ``(N, F)`` float32, ``(N, G)`` uint8, ``(N, C)`` int32."""

    numeric: Array
    flags: Array
    codes: Array


def input_size(shape: Shape) -> int:
    """Return the number of inputs of the first layer."""
    one_hot, embedded = embeddings.split_levels(shape.levels)
    return (
        shape.n_numeric * (1 + shape.frequencies)
        + shape.n_flags
        + sum(shape.levels[c] for c in one_hot)
        + sum(embeddings.embedding_size(shape.levels[c]) for c in embedded)
    )


def init(recipe: Recipe, shape: Shape, seed: int) -> tuple[Tree, Tree]:
    """Draw a net's parameters and its running statistics, on the host.

    Each array has its own stream, named by its layer, so that two recipes with the same seed start from the same
    weights wherever their shapes agree.

    Args:
        recipe: gives the distribution and scale of the weights.
        shape: gives the arrays' shapes.
        seed: the member's seed.

    Returns:
        ``parameters`` and ``running``, trees of float32 NumPy arrays.
    """
    width, k = shape.width, shape.pieces

    def draw(layer: str, fan_in: int, fan_out: int, pieces: int = 1) -> np.ndarray:
        rng = keys.generator(seed, "weights", layer)
        parts = [
            initializers.weights(rng, recipe.init, fan_in, fan_out, recipe.init_scale)
            for _ in range(pieces)
        ]
        return np.concatenate(parts, axis=1)

    def zeros(n: int) -> np.ndarray:
        return np.zeros(n, np.float32)

    def ones(n: int) -> np.ndarray:
        return np.ones(n, np.float32)

    fan_in = input_size(shape)
    hidden, running = [], []
    for i in range(shape.depth):
        hidden.append({
            "w": draw(f"hidden{i}", fan_in, width, k),
            "b": zeros(width * k),
            "before": {"gamma": ones(width * k), "beta": zeros(width * k)},
            "after": {"gamma": ones(width), "beta": zeros(width)},
            "slope": np.full(width, recipe.leaky_slope, np.float32),
        })  # fmt: skip
        running.append({
            "before": norm.Statistics(zeros(width * k), ones(width * k)),
            "after": norm.Statistics(zeros(width), ones(width)),
        })  # fmt: skip
        fan_in = width
    parameters: dict[str, Tree] = {
        "hidden": hidden,
        "output": {"w": draw("output", fan_in, shape.n_outputs), "b": zeros(shape.n_outputs)},
    }
    if shape.frequencies:
        rng = keys.generator(seed, "embedding", "periodic")
        size = (shape.n_numeric, shape.frequencies)
        scale = recipe.embedding_scale * 10 ** (recipe.embedding_spread * rng.uniform(-1, 1, size))
        parameters["periodic"] = {
            "frequency": (rng.standard_normal(size) * scale).astype(np.float32),
            "phase": rng.uniform(-0.5, 0.5, size).astype(np.float32),
        }
    tables = [
        (keys.generator(seed, "embedding", c)
         .standard_normal((shape.levels[c], embeddings.embedding_size(shape.levels[c]))) * 0.3)
        .astype(np.float32)
        for c in embeddings.split_levels(shape.levels)[1]
    ]  # fmt: skip
    if tables:
        parameters["tables"] = tables
    return parameters, running


@cache
def layouts(shape: Shape) -> tuple[Layout, Layout]:
    """Return the layouts of a shape's parameters and running statistics."""
    parameters, running = init(Recipe(), shape, 0)
    return Layout.of(parameters), Layout.of(running)


@cache
def penalised(shape: Shape) -> np.ndarray:
    """Return where penalties and decay act: ``(size of the parameters,)`` float32, 1 for layers' weights, 0 else."""
    parameters, _ = init(Recipe(), shape, 0)
    mask = jax.tree_util.tree_map_with_path(
        lambda path, x: np.full(x.shape, path[-1] == jax.tree_util.DictKey("w"), np.float32),
        parameters,
    )
    return layouts(shape)[0].join(mask)


@cache
def variances(shape: Shape) -> np.ndarray:
    """Return where variances stand among the running statistics: ``(R,)`` float32, 1 for them, 0 for means."""
    _, running = init(Recipe(), shape, 0)
    mask = jax.tree.map(
        lambda s: norm.Statistics(np.zeros_like(s.mean), np.ones_like(s.var)),
        running,
        is_leaf=lambda s: isinstance(s, norm.Statistics),
    )
    return layouts(shape)[1].join(mask)


def _dense(parameters: Tree, shape: Shape, x: Inputs) -> Array:
    """Put a batch's columns side by side as the first layer's inputs, ``(N, input_size)``."""
    parts = [x.numeric] if shape.n_numeric else []
    if shape.frequencies:
        p = parameters["periodic"]
        parts.append(embeddings.periodic(x.numeric, p["frequency"], p["phase"]))
    if shape.n_flags:
        parts.append(x.flags.astype(jnp.float32))
    one_hot, embedded = embeddings.split_levels(shape.levels)
    if one_hot:
        parts.append(
            embeddings.one_hot(x.codes[:, jnp.array(one_hot)], [shape.levels[c] for c in one_hot])
        )
    for table, c in zip(parameters.get("tables", []), embedded, strict=True):
        parts.append(table.at[x.codes[:, c]].get(mode="promise_in_bounds"))
    return jnp.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]


def _choice(shape: Shape, n: Numbers) -> Choice:
    # Dropout comes last, so with a normalization after the activation it comes after that.
    rate = jnp.zeros_like(n.dropout) if shape.after else n.dropout
    before = jnp.full_like(n.norm, norm.NONE) if shape.after else n.norm
    return Choice(before, n.activation, n.norm_epsilon, rate)


def _learned(p: Tree, n: Numbers) -> tuple[Learned, ActivationNumbers]:
    return (
        Learned(p["b"], p["before"]["gamma"], p["before"]["beta"]),
        ActivationNumbers(n.leaky_slope, n.elu_alpha, p["slope"]),
    )


def train(
    parameters: Tree,
    shape: Shape,
    n: Numbers,
    x: Inputs,
    share: Array,
    pairs: rows.Pairs,
    key: Array,
) -> tuple[Array, Tree]:
    """Pass a batch through the net in training mode.

    Args:
        parameters: from `init`.
        shape: the net's shape.
        n: the recipe's numbers.
        x: a batch of N rows.
        share: ``(N,)``, 1/n for the n real rows, 0 for filling.
        pairs: mixup's partners.
        key: uint32, this step's.

    Returns:
        Outputs ``(N, O)`` and the batch's statistics, a tree like ``running``.
    """
    x = x._replace(numeric=rows.noise(x.numeric, keys.fold(key, keys.NOISE), n.input_noise))
    h = rows.mix(_dense(parameters, shape, x), pairs)
    h = dropout(h, keys.fold(key, keys.DROPOUT), n.input_dropout)
    statistics = []
    for i, p in enumerate(parameters["hidden"]):
        key_i = keys.fold(keys.fold(key, keys.DROPOUT), i + 1)
        choice = _choice(shape, n)
        kept = mask(key_i, (h.shape[0], shape.width), choice.rate)
        z = layers.linear(h, p["w"])
        h, before = hidden(shape.pieces, choice, z, *_learned(p, n), share, kept)
        zeros = jnp.zeros_like(p["after"]["beta"])
        after = norm.Statistics(zeros, zeros)
        if shape.after:
            h, after = norm.normalize(
                n.norm, h, share, p["after"]["gamma"], p["after"]["beta"], n.norm_epsilon
            )
            h = dropout(h, key_i, n.dropout)
        statistics.append({"before": before, "after": after})
    output = parameters["output"]
    return layers.linear(h, output["w"]) + output["b"], statistics


def evaluate(parameters: Tree, running: Tree, shape: Shape, n: Numbers, x: Inputs) -> Array:
    """Pass rows through the net at evaluation: no dropout, no noise, running statistics. Returns ``(N, O)``."""
    h = _dense(parameters, shape, x)
    for p, r in zip(parameters["hidden"], running, strict=True):
        choice = _choice(shape, n)
        h = at_evaluation(shape.pieces, choice, h @ p["w"], *_learned(p, n), r["before"])
        if shape.after:
            h = norm.apply_running(
                n.norm, h, r["after"], p["after"]["gamma"], p["after"]["beta"], n.norm_epsilon
            )
    return h @ parameters["output"]["w"] + parameters["output"]["b"]
