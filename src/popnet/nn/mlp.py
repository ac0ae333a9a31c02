"""The fully connected net, for ONE member: initial parameters, training pass, evaluation pass.

A hidden layer is  linear -> [norm] -> activation -> [norm] -> dropout , with the normalization in one of the two
places (``block.py``). Nothing here knows of members: ``population/program.py`` lifts it.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from popnet import bins, keys
from popnet.augment import rows
from popnet.nn import block, embeddings, heads, initializers, layers
from popnet.nn.dropout import dropout
from popnet.nn.inputs import Columns
from popnet.recipe import Recipe
from popnet.shape import Numbers, Shape
from popnet.types import Array, Tree


def input_size(shape: Shape) -> int:
    """Return the number of inputs of the first layer."""
    one_hot, embedded = embeddings.split_levels(shape.levels)
    return (
        shape.n_numeric * (1 + shape.frequencies)
        + bins.count(shape.bounds)
        + shape.n_flags
        + sum(shape.levels[c] for c in one_hot)
        + sum(embeddings.embedding_size(shape.levels[c]) for c in embedded)
    )


def init(recipe: Recipe, shape: Shape, seed: int) -> tuple[Tree, Tree]:
    """Draw a net's parameters and its running statistics, on the host.

    Each array has its own stream (`initializers.layer`), so that two recipes with the same seed start from the same
    weights wherever their shapes agree.

    Args:
        recipe: gives the distribution and scale of the weights.
        shape: gives the arrays' shapes.
        seed: the member's seed.

    Returns:
        ``parameters`` and ``running``, trees of float32 NumPy arrays.
    """
    width, k = shape.width, shape.pieces
    fan_in = input_size(shape)
    hidden, running = [], []
    for i in range(shape.depth):
        w = initializers.layer(recipe, seed, f"hidden{i}", fan_in, width, k)
        for trees, tree in zip(
            (hidden, running), block.init(w, width, k, recipe.leaky_slope), strict=True
        ):
            trees.append(tree)
        fan_in = width
    parameters: dict[str, Tree] = {
        "hidden": hidden,
        "output": _output(recipe, shape, seed, fan_in),
    }
    if shape.heads > 1:
        signs = keys.generator(seed, "heads").choice([-1, 1], (shape.heads, input_size(shape)))
        parameters["adapters"] = signs.astype(np.float32)
    if shape.scaled:  # less 1: steps of the rate of all weights are then multiplied
        parameters["scale"] = np.zeros(input_size(shape), np.float32)
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


def _output(recipe: Recipe, shape: Shape, seed: int, fan_in: int) -> Tree:
    """Draw the output layer, or that of each head."""
    names = ["output", *(f"output{k}" for k in range(1, shape.heads))]
    w = [initializers.layer(recipe, seed, name, fan_in, shape.n_outputs) for name in names]
    b = np.zeros((shape.heads, shape.n_outputs), np.float32)
    return {"w": w[0], "b": b[0]} if shape.heads == 1 else {"w": np.stack(w), "b": b}


def _dense(parameters: Tree, shape: Shape, n: Numbers, x: Columns) -> Array:
    """Put a batch's columns side by side as the first layer's inputs, ``(N, input_size)``."""
    parts = [x.numeric] if shape.n_numeric else []
    if shape.frequencies:
        p = parameters["periodic"]
        values = jax.lax.cond(
            n.embedding_quantiles, embeddings.quantiles, lambda x, _: x, x.numeric, x.knots
        )
        parts.append(embeddings.periodic(values, p["frequency"], p["phase"]))
    if bins.count(shape.bounds):
        parts.append(embeddings.piecewise(x.numeric, x.knots, shape.bounds))
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


def train(
    parameters: Tree,
    shape: Shape,
    n: Numbers,
    x: Columns,
    share: Array,
    pairs: rows.Pairs,
    key: Array,
    seen: list[block.Seen] | None = None,
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
        seen: list that each hidden layer's values are added to, for probes.

    Returns:
        Outputs ``(N, O)``, or of K heads ``(K * N, O)``, and the batch's statistics, a tree like ``running``.
    """
    x = x._replace(numeric=rows.noise(x.numeric, keys.fold(key, keys.NOISE), n.input_noise))
    h = rows.mix(_dense(parameters, shape, n, x), pairs)
    return train_dense(parameters, shape, n, h, share, key, seen)


def train_dense(
    parameters: Tree, shape: Shape, n: Numbers, h: Array, share: Array, key: Array,
    seen: list[block.Seen] | None = None,
) -> tuple[Array, Tree]:  # fmt: skip
    """Pass a batch through the layers in training mode, from the first layer's inputs ``(N, input_size)`` on."""
    h = _first(parameters, shape, n, h)
    share = heads.repeated(share, shape.heads) / shape.heads
    h = dropout(h, keys.fold(key, keys.DROPOUT), n.input_dropout)
    statistics = []
    for i, p in enumerate(parameters["hidden"]):
        key_i = keys.fold(keys.fold(key, keys.DROPOUT), i + 1)
        h, found = block.train(p, shape, n, layers.linear(h, p["w"]), share, key_i, seen)
        statistics.append(found)
    output = parameters["output"]
    if shape.heads > 1:
        return heads.outputs(h, output["w"], output["b"]), statistics
    return layers.linear(h, output["w"]) + output["b"], statistics


def _first(parameters: Tree, shape: Shape, n: Numbers, h: Array) -> Array:
    """Return the first layer's inputs ``(N, input_size)`` with their learned scales, for each head."""
    if shape.scaled:
        h = h * (1 + n.input_scale * parameters["scale"])
    return h if shape.heads == 1 else heads.spread(h, parameters["adapters"])


def evaluate(parameters: Tree, running: Tree, shape: Shape, n: Numbers, x: Columns) -> Array:
    """Pass rows through the net at evaluation: no dropout, no noise, running statistics. Returns ``(N, O)``."""
    return evaluate_dense(parameters, running, shape, n, _dense(parameters, shape, n, x))


def evaluate_dense(parameters: Tree, running: Tree, shape: Shape, n: Numbers, h: Array) -> Array:
    """Pass rows through the layers at evaluation, from the first layer's inputs ``(N, input_size)`` on."""
    h = _first(parameters, shape, n, h)
    for p, r in zip(parameters["hidden"], running, strict=True):
        h = block.evaluate(p, r, shape, n, h @ p["w"])
    output = parameters["output"]
    if shape.heads > 1:
        each = heads.outputs(h, output["w"], output["b"])
        return heads.mean(each, shape.heads, shape.task)
    return h @ output["w"] + output["b"]
