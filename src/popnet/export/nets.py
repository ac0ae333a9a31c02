"""Nets as a graph: those of one structure go through it together, as batched products.

Every tensor inside is ``(M, K, N, W)``, of M nets with K heads each (`popnet.nn.heads`). What is the same for all rows
is worked out beforehand, in float64: learned scales of inputs and batch normalization before the activation are part
of the weights.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from popnet.export.activations import ACTIVATIONS, Numbers, maxout
from popnet.export.embeddings import Inputs
from popnet.export.graph import Graph, f32, i64
from popnet.nn.mlp import input_size
from popnet.nn.norm import BATCH, LAYER
from popnet.population.predict import Net
from popnet.spec import bins
from popnet.spec.recipe import choices
from popnet.spec.shape import Shape, split_levels

Group = list[int]
"""Numbers of nets that go through a graph together."""


def groups(nets: Sequence[Net], chosen: Sequence[int]) -> list[Group]:
    """Return those of some nets that have a structure in common."""
    found: dict[Any, Group] = defaultdict(list)
    for i in chosen:
        recipe = nets[i].recipe
        # What shapes have beside the arrays' sizes has no effect at evaluation.
        shape = replace(nets[i].shape, batch_size=1, muon=False, ntk=False, scaled=False)
        quantiles = shape.frequencies > 0 and recipe.embedding_quantiles
        activation = recipe.activation if shape.depth else ""
        norm = recipe.norm if shape.depth else ""
        found[shape, activation, norm, quantiles].append(i)
    return list(found.values())


def outputs(g: Graph, inputs: Inputs, nets: Sequence[Net]) -> str:
    """Return the outputs ``(M, N, O)`` of nets of one structure, float64: probabilities, or numbers."""
    shape = nets[0].shape
    first = _First(g, inputs, nets)
    h: str | None = None
    for layer in range(shape.depth):
        h = _hidden(g, nets, layer, first, h)
    parts = [net.parameters["output"] for net in nets]
    w, b = (np.stack([np.asarray(p[name], np.float64) for p in parts]) for name in ("w", "b"))
    if shape.heads == 1:
        w, b = w[:, None], b[:, None]
    b = b[:, :, None]  # (M, K, 1, O)
    out = first.product(w) if h is None else g.op("MatMul", h, f32(w))
    out = g.cast(g.op("Add", out, f32(b)), np.float64)
    if shape.task == "classification":
        out = g.op("Softmax", out, axis=-1)  # of heads the mean of their probabilities
    if shape.heads == 1:
        return g.op("Squeeze", out, i64([1]))
    return g.op("ReduceMean", out, i64([1]), keepdims=0)


class _First:
    """The first layer's inputs of some nets, and their products with weights."""

    def __init__(self, g: Graph, inputs: Inputs, nets: Sequence[Net]) -> None:
        self.graph, self.nets = g, nets
        shape, recipe = nets[0].shape, nets[0].recipe
        self.scales = _scales(nets)
        self.adapters = None
        if shape.heads > 1:
            stacked = np.stack([net.parameters["adapters"] for net in nets])
            self.adapters = stacked[:, :, None]  # (M, K, 1, D)
        frequency = phase = np.zeros(0)
        if shape.frequencies:
            frequency, phase = (
                np.stack([net.parameters["periodic"][k].reshape(-1) for net in nets])[:, None, None]
                for k in ("frequency", "phase")
            )
        tables = [
            np.stack(of) for of in zip(*(n.parameters.get("tables", ()) for n in nets), strict=True)
        ]
        quantiles = recipe.embedding_quantiles
        values = (
            inputs.plain(shape),
            inputs.waves(shape, quantiles, frequency, phase),
            inputs.vectors(shape, tables),
        )
        self.parts = [
            (value, rows)
            for value, rows in zip(values, _rows(shape), strict=True)
            if value is not None
        ]

    def product(self, w: np.ndarray) -> str:
        """Return the product ``(M, K, N, W)`` with weights ``(M, 1 or K, D, W)``."""
        g = self.graph
        w = w * self.scales[:, None, :, None]
        found: list[str] = []
        for value, rows in self.parts:
            own = value
            if self.adapters is not None:
                own = g.op("Mul", value, f32(self.adapters[..., rows]))
            found.append(g.op("MatMul", own, f32(w[:, :, rows])))
        return g.total(found)


def _rows(shape: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows of the first layer's weights that plain inputs, waves and vectors have.

    Own weights have numbers first, then waves, bins, flags, one-hot levels and vectors (`popnet.nn.table_map.places`).
    """
    waves = shape.n_numeric * shape.frequencies
    one_hot, _ = split_levels(shape.levels)
    rest = bins.count(shape.bounds) + shape.n_flags + sum(shape.levels[c] for c in one_hot)
    every = np.arange(input_size(shape))
    numbers, wave, plain, vectors = np.split(
        every, np.cumsum([shape.n_numeric, waves, rest]).tolist()
    )
    return np.concatenate([numbers, plain]), wave, vectors


def _scales(nets: Sequence[Net]) -> np.ndarray:
    """Return what each of the first layer's inputs is multiplied by, ``(M, D)``."""
    size = input_size(nets[0].shape)
    return np.stack([
        1 + net.recipe.input_scale * np.asarray(net.parameters["scale"], np.float64)
        if net.shape.scaled
        else np.ones(size)
        for net in nets
    ])  # fmt: skip


def _hidden(g: Graph, nets: Sequence[Net], layer: int, first: _First, h: str | None) -> str:
    """Return a hidden layer's values ``(M, K, N, W)``; see `popnet.nn.block.evaluate`."""
    shape, recipe = nets[0].shape, nets[0].recipe
    kind = choices("norm").index(recipe.norm)
    parts = [net.parameters["hidden"][layer] for net in nets]
    w = np.stack([np.asarray(p["w"], np.float64) for p in parts])[:, None]
    b = _per_unit([p["b"] for p in parts])
    if kind == BATCH and not shape.after:
        factor, b = _affine(nets, layer, "before")
        w = w * factor
    z = first.product(w) if h is None else g.op("MatMul", h, f32(w))
    z = g.op("Add", z, f32(b))
    if kind == LAYER and not shape.after:
        z = _layer_norm(g, nets, layer, "before", z)
    numbers = Numbers(
        _of_recipes(nets, "leaky_slope"),
        _of_recipes(nets, "elu_alpha"),
        f32(_per_unit([p["slope"] for p in parts])),
    )
    if shape.pieces > 1:
        out = maxout(g, z, shape.pieces, shape.width)
    else:
        out = ACTIVATIONS[recipe.activation](g, z, numbers)
    if not shape.after:
        return out
    if kind == LAYER:
        return _layer_norm(g, nets, layer, "after", out)
    factor, shift = _affine(nets, layer, "after")
    return g.op("Add", g.op("Mul", out, f32(factor)), f32(shift))


def _per_unit(values: Sequence[np.ndarray]) -> np.ndarray:
    """Return numbers of each unit of each net, ``(M, 1, 1, W)``."""
    return np.stack([np.asarray(v, np.float64) for v in values])[:, None, None]


def _affine(nets: Sequence[Net], layer: int, place: str) -> tuple[np.ndarray, np.ndarray]:
    """Return what batch normalization multiplies by at evaluation and what it adds, ``(M, 1, 1, W)`` each."""
    gamma, beta = _gamma_and_beta(nets, layer, place)
    running = [net.running[layer][place] for net in nets]
    factor = gamma / np.sqrt(
        _per_unit([r.var for r in running]) + _of_recipes(nets, "norm_epsilon")
    )
    return factor, beta - _per_unit([r.mean for r in running]) * factor


def _layer_norm(g: Graph, nets: Sequence[Net], layer: int, place: str, x: str) -> str:
    """Return a layer, normalized by each row's own mean and deviation."""
    gamma, beta = _gamma_and_beta(nets, layer, place)
    centred = g.op("Sub", x, g.op("ReduceMean", x, i64([-1])))
    variance = g.op("ReduceMean", g.op("Mul", centred, centred), i64([-1]))
    deviation = g.op("Sqrt", g.op("Add", variance, f32(_of_recipes(nets, "norm_epsilon"))))
    scaled = g.op("Mul", g.op("Div", centred, deviation), f32(gamma))
    return g.op("Add", scaled, f32(beta))


def _gamma_and_beta(nets: Sequence[Net], layer: int, place: str) -> tuple[np.ndarray, np.ndarray]:
    parts = [net.parameters["hidden"][layer][place] for net in nets]
    return _per_unit([p["gamma"] for p in parts]), _per_unit([p["beta"] for p in parts])


def _of_recipes(nets: Sequence[Net], field: str) -> np.ndarray:
    """Return a number of each net's recipe, ``(M, 1, 1, 1)``."""
    return f32([getattr(n.recipe, field) for n in nets]).reshape(-1, 1, 1, 1)
