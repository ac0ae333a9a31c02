"""The fully connected net, for ONE member: initial parameters, training pass, evaluation pass.

A hidden layer is  linear -> [norm] -> activation -> [norm] -> dropout , with the normalization in one of the two
places (``block.py``). Nothing here knows of members: ``population/program.py`` lifts it.

`init` gives a net's own arrays, as models keep them; programs take them padded to a `Form` (`pad`, `unpad`).
"""

from __future__ import annotations

import numpy as np
from jax import Array

from popnet.augment import rows
from popnet.nn import block, heads, initializers, layers, table_map
from popnet.nn.dropout import dropout
from popnet.nn.table_map import TableMap
from popnet.runtime import keys
from popnet.spec import bins
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Form, Numbers, Shape, embedding_size, split_levels
from popnet.types import Tree


def input_size(shape: Shape) -> int:
    """Return the number of inputs of the first layer."""
    one_hot, embedded = split_levels(shape.levels)
    return (
        shape.n_numeric * (1 + shape.frequencies)
        + bins.count(shape.bounds)
        + shape.n_flags
        + sum(shape.levels[c] for c in one_hot)
        + sum(embedding_size(shape.levels[c]) for c in embedded)
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
    hidden: list[Tree] = []
    running: list[Tree] = []
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
         .standard_normal((shape.levels[c], embedding_size(shape.levels[c]))) * 0.3)
        .astype(np.float32)
        for c in split_levels(shape.levels)[1]
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


def pad(parameters: Tree, shape: Shape, form: Form) -> Tree:
    """Return a net's parameters as its program takes them: with zeros for inputs and outputs that it does not have.

    The inverse is `unpad`. Zeros stay zeros in training: such inputs are 0. The biases of classes that there are not
    take their probabilities to 0, and so stay, too.
    """
    places, many = _places(shape, form), shape.heads > 1
    sizes = {"inputs": (places, form.inputs), "outputs": (np.arange(shape.n_outputs), form.n_outputs)}  # fmt: skip

    def padded(x: Array | np.ndarray, axis: int, kind: str) -> np.ndarray:
        at, size = sizes[kind]
        out = np.zeros((*x.shape[: axis % x.ndim], size, *x.shape[axis % x.ndim + 1 :]), x.dtype)
        np.moveaxis(out, axis, 0)[at] = np.moveaxis(np.asarray(x), axis, 0)
        return out

    hidden = [dict(p) for p in parameters["hidden"]]
    output = {name: padded(x, -1, "outputs") for name, x in parameters["output"].items()}
    output["b"][..., shape.n_outputs :] = heads.CLOSED
    if hidden:
        hidden[0]["w"] = padded(hidden[0]["w"], 0, "inputs")
    else:
        output["w"] = padded(output["w"], 1 if many else 0, "inputs")
    out: dict[str, Tree] = {"hidden": hidden, "output": output}
    for name in ("adapters", "scale"):
        if name in parameters:
            out[name] = padded(parameters[name], -1, "inputs")
    if form.waves:
        # A quarter of a period: the cosine of what is not there is 0.
        frequency, phase = np.zeros((2, form.waves), np.float32)
        phase[:] = 0.25
        for array, name in ((frequency, "frequency"), (phase, "phase")):
            values = parameters["periodic"][name].reshape(-1)
            array[: len(values)] = values
        out["periodic"] = {"frequency": frequency, "phase": phase}
    if form.vectors:
        out["vectors"] = np.zeros(form.entries, np.float32)
        flat = np.concatenate([t.reshape(-1) for t in parameters["tables"]])
        out["vectors"][: len(flat)] = flat
    return out


def unpad(parameters: Tree, shape: Shape, form: Form) -> Tree:
    """Return a net's own parameters from those of its program; see `pad`."""
    places, o = _places(shape, form), shape.n_outputs
    hidden = [dict(p) for p in parameters["hidden"]]
    output = {name: x[..., :o] for name, x in parameters["output"].items()}
    if hidden:
        hidden[0]["w"] = hidden[0]["w"][places]
    else:
        output["w"] = output["w"][..., places, :]
    out: dict[str, Tree] = {"hidden": hidden, "output": output}
    for name in ("adapters", "scale"):
        if name in parameters:
            out[name] = parameters[name][..., places]
    if form.waves:
        size = (shape.n_numeric, shape.frequencies)
        count = size[0] * size[1]
        out["periodic"] = {k: x[:count].reshape(size) for k, x in parameters["periodic"].items()}
    if form.vectors:
        tables: list[Array] = []
        begun = 0
        for c in split_levels(shape.levels)[1]:
            size = shape.levels[c], embedding_size(shape.levels[c])
            tables.append(parameters["vectors"][begun : begun + size[0] * size[1]].reshape(size))
            begun += size[0] * size[1]
        out["tables"] = tables
    return out


def template(form: Form) -> tuple[Tree, Tree]:
    """Return padded parameters and running statistics of a form, of any values: their structure and shapes."""
    width, k, fan_in = form.width, form.pieces, form.inputs
    hidden: list[Tree] = []
    running: list[Tree] = []
    for _ in range(form.depth):
        made = block.init(np.zeros((fan_in, width * k), np.float32), width, k, 0.0)
        for trees, tree in zip((hidden, running), made, strict=True):
            trees.append(tree)
        fan_in = width
    many = (form.heads,) if form.heads > 1 else ()
    output = {
        "w": np.zeros((*many, fan_in, form.n_outputs), np.float32),
        "b": np.zeros((*many, form.n_outputs), np.float32),
    }
    out: dict[str, Tree] = {"hidden": hidden, "output": output}
    if many:
        out["adapters"] = np.zeros((*many, form.inputs), np.float32)
    if form.scaled:
        out["scale"] = np.zeros(form.inputs, np.float32)
    if form.waves:
        out["periodic"] = {k: np.zeros(form.waves, np.float32) for k in ("frequency", "phase")}
    if form.vectors:
        out["vectors"] = np.zeros(form.entries, np.float32)
    return out, running


def _places(shape: Shape, form: Form) -> np.ndarray:
    if shape.image is not None:
        return np.arange(form.plain)
    return table_map.places(shape, form)


def train(
    parameters: Tree, form: Form, n: Numbers, x: Array, m: TableMap, share: Array, pairs: rows.Pairs,
    step_keys: keys.StepKeys, seen: list[block.LayerActivations] | None = None,
) -> tuple[Array, Tree]:  # fmt: skip
    """Pass a batch of a table through the net in training mode.

    Args:
        parameters: padded to the form.
        form: of the program.
        n: the recipe's numbers.
        x: ``(N, R)`` float32, raw columns.
        m: how they become inputs.
        share: ``(N,)``, 1/n for the n real rows, 0 for padding.
        pairs: mixup's partners.
        step_keys: this step's.
        seen: list that each hidden layer's values are added to, for probes.

    Returns:
        Outputs ``(N, O)``, or of K heads ``(K * N, O)``, and the batch's statistics, a tree like ``running``.
    """
    x = rows.noise(x, step_keys.noise, n.input_noise, m.noisy)
    h = rows.mix(table_map.inputs(parameters, x, m), pairs)
    return train_dense(parameters, form, n, h, share, step_keys, seen)


def train_dense(
    parameters: Tree, form: Form, n: Numbers, h: Array, share: Array, step_keys: keys.StepKeys,
    seen: list[block.LayerActivations] | None = None,
) -> tuple[Array, Tree]:  # fmt: skip
    """Pass a batch through the layers in training mode, from the first layer's inputs ``(N, D)`` on."""
    h = _first(parameters, form, n, h)
    share = heads.repeated(share, form.heads) / form.heads
    h = dropout(h, step_keys.dropout[0], n.input_dropout)
    statistics: list[Tree] = []
    for i, p in enumerate(parameters["hidden"]):
        z = layers.linear(h, p["w"])
        h, found = block.train(p, form, n, z, share, step_keys.dropout[i + 1], seen)
        statistics.append(found)
    output = parameters["output"]
    if form.heads > 1:
        return heads.outputs(h, output["w"], output["b"]), statistics
    return layers.linear(h, output["w"]) + output["b"], statistics


def _first(parameters: Tree, form: Form, n: Numbers, h: Array) -> Array:
    """Return the first layer's inputs ``(N, D)`` with their learned scales, for each head."""
    if form.scaled:
        h = h * (1 + n.input_scale * parameters["scale"])
    return h if form.heads == 1 else heads.spread(h, parameters["adapters"])


def evaluate(
    parameters: Tree, running: Tree, form: Form, n: Numbers, x: Array, m: TableMap
) -> Array:
    """Return a net's outputs for rows of a table, ``(N, O)``: no dropout, no noise, running statistics."""
    return evaluate_dense(parameters, running, form, n, table_map.inputs(parameters, x, m))


def evaluate_dense(parameters: Tree, running: Tree, form: Form, n: Numbers, h: Array) -> Array:
    """Pass rows through the layers at evaluation, from the first layer's inputs ``(N, D)`` on."""
    h = _first(parameters, form, n, h)
    for p, r in zip(parameters["hidden"], running, strict=True):
        h = block.evaluate(p, r, form, n, h @ p["w"])
    output = parameters["output"]
    if form.heads > 1:
        each = heads.outputs(h, output["w"], output["b"])
        return heads.mean(each, form.heads, form.task)
    return h @ output["w"] + output["b"]
