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

from popnet.export import block
from popnet.export.embeddings import Inputs
from popnet.export.graph import Graph, f32, i64
from popnet.nn.mlp import input_size
from popnet.population.predict import Net
from popnet.spec import bins
from popnet.spec.shape import Shape, split_levels

Group = list[int]
"""Numbers of nets that go through a graph together."""

Part = tuple[str, np.ndarray]
"""A tensor of some of the first layer's inputs, and which rows of its weights are theirs."""


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
    return dense(g, nets, _parts(inputs, nets))


def dense(g: Graph, nets: Sequence[Net], parts: Sequence[Part]) -> str:
    """Return the outputs of nets whose first layer's inputs are made already; see `outputs`."""
    shape = nets[0].shape
    first = _First(g, nets, parts)
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


def _parts(inputs: Inputs, nets: Sequence[Net]) -> list[Part]:
    """Return the parts of the first layer's inputs."""
    shape, recipe = nets[0].shape, nets[0].recipe
    frequency = phase = np.zeros(0)
    if shape.frequencies:
        frequency, phase = (
            np.stack([net.parameters["periodic"][k].reshape(-1) for net in nets])[:, None, None]
            for k in ("frequency", "phase")
        )
    tables = [
        np.stack(of) for of in zip(*(n.parameters.get("tables", ()) for n in nets), strict=True)
    ]
    values = (
        inputs.plain(shape),
        inputs.waves(shape, recipe.embedding_quantiles, frequency, phase),
        inputs.vectors(shape, tables),
    )
    return [
        (value, rows) for value, rows in zip(values, _rows(shape), strict=True) if value is not None
    ]


class _First:
    """The first layer's inputs of some nets, and their products with weights."""

    def __init__(self, g: Graph, nets: Sequence[Net], parts: Sequence[Part]) -> None:
        self.graph, self.parts = g, parts
        self.scales = _scales(nets)
        self.adapters = None
        if nets[0].shape.heads > 1:
            stacked = np.stack([net.parameters["adapters"] for net in nets])
            self.adapters = stacked[:, :, None]  # (M, K, 1, D)

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
    """Return a hidden layer's values ``(M, K, N, W)``."""
    own = block.Layer.of(nets, "hidden", layer)
    w = np.stack([np.asarray(p["w"], np.float64) for p in own.parameters])[:, None]
    factor, shift = block.before(own)
    w = w * factor
    z = first.product(w) if h is None else g.op("MatMul", h, f32(w))
    return block.after(g, own, g.op("Add", z, f32(shift)))
