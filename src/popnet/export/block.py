"""What follows the linear map of a hidden layer, as a graph: normalization and activation, see `popnet.nn.block`.

What is the same for all rows is worked out beforehand, in float64: batch normalization before the activation is a
factor of the weights and a shift.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from popnet.export.activations import ACTIVATIONS, Numbers, maxout
from popnet.export.graph import Graph, f32, i64
from popnet.nn.norm import BATCH, LAYER
from popnet.population.predict import Net
from popnet.spec.recipe import choices
from popnet.types import Tree


class Layer(NamedTuple):
    """One hidden layer of nets of one structure.

    Attributes:
        nets: M of them.
        parameters: each net's, of this layer.
        running: each net's running statistics, of this layer.
        axis: of the units in tensors: -1 in ``(M, K, N, W)``, 1 in images' ``(N, W, H, W)`` of one net.
    """

    nets: Sequence[Net]
    parameters: Sequence[Tree]
    running: Sequence[Tree]
    axis: int

    @classmethod
    def of(cls, nets: Sequence[Net], part: str, number: int, axis: int = -1) -> Layer:
        """Return a layer of a part of the nets' parameters, by its number."""
        parameters = [net.parameters[part][number] for net in nets]
        return cls(nets, parameters, [net.running[number] for net in nets], axis)

    @property
    def kind(self) -> int:
        """Place of the normalization in `popnet.nn.norm.NORMS`."""
        return choices("norm").index(self.nets[0].recipe.norm)

    def per_unit(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """Return numbers of each unit of each net, ``(M, 1, 1, W)`` or ``(1, W, 1, 1)``."""
        stacked = np.stack([np.asarray(v, np.float64) for v in values])[:, None, None]
        return np.moveaxis(stacked, -1, self.axis)

    def of_recipes(self, field: str) -> np.ndarray:
        """Return a number of each net's recipe, ``(M, 1, 1, 1)``."""
        return f32([getattr(n.recipe, field) for n in self.nets]).reshape(-1, 1, 1, 1)

    def gamma_and_beta(self, place: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the learned scale and shift of a normalization ``"before"`` or ``"after"`` the activation."""
        parts = [p[place] for p in self.parameters]
        return self.per_unit([p["gamma"] for p in parts]), self.per_unit([p["beta"] for p in parts])


def before(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """Return what the linear map's values are multiplied by before `after`, and what is then added.

    Returns:
        A factor and a shift of each unit; the factor is 1 without batch normalization before the activation.
    """
    if layer.kind == BATCH and not layer.nets[0].shape.after:
        return _affine(layer, "before")
    bias = layer.per_unit([p["b"] for p in layer.parameters])
    return np.ones_like(bias), bias


def after(g: Graph, layer: Layer, z: str) -> str:
    """Return a layer's values, of the linear map's with the factor and the shift of `before`."""
    shape, recipe = layer.nets[0].shape, layer.nets[0].recipe
    if layer.kind == LAYER and not shape.after:
        z = _layer_norm(g, layer, "before", z)
    if shape.pieces > 1:
        width = np.size(layer.parameters[0]["b"]) // shape.pieces
        out = maxout(g, z, shape.pieces, width, layer.axis)
    else:
        slopes = f32(layer.per_unit([p["slope"] for p in layer.parameters]))
        numbers = Numbers(layer.of_recipes("leaky_slope"), layer.of_recipes("elu_alpha"), slopes)
        out = ACTIVATIONS[recipe.activation](g, z, numbers)
    if not shape.after:
        return out
    if layer.kind == LAYER:
        return _layer_norm(g, layer, "after", out)
    factor, shift = _affine(layer, "after")
    return g.op("Add", g.op("Mul", out, f32(factor)), f32(shift))


def _affine(layer: Layer, place: str) -> tuple[np.ndarray, np.ndarray]:
    """Return what batch normalization multiplies by at evaluation, and what it adds, of each unit."""
    gamma, beta = layer.gamma_and_beta(place)
    running = [r[place] for r in layer.running]
    deviation = np.sqrt(layer.per_unit([r.var for r in running]) + layer.of_recipes("norm_epsilon"))
    factor = gamma / deviation
    return factor, beta - layer.per_unit([r.mean for r in running]) * factor


def _layer_norm(g: Graph, layer: Layer, place: str, x: str) -> str:
    """Return a layer, normalized by each row's (or pixel's) own mean and deviation."""
    gamma, beta = layer.gamma_and_beta(place)
    axis = i64([layer.axis])
    centred = g.op("Sub", x, g.op("ReduceMean", x, axis))
    variance = g.op("ReduceMean", g.op("Mul", centred, centred), axis)
    deviation = g.op("Sqrt", g.op("Add", variance, f32(layer.of_recipes("norm_epsilon"))))
    scaled = g.op("Mul", g.op("Div", centred, deviation), f32(gamma))
    return g.op("Add", scaled, f32(beta))
