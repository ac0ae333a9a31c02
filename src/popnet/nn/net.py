"""A net of any kind, for ONE member: what training and evaluation call."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import jax
import numpy as np

from popnet.augment import rows
from popnet.nn import block, convnet, mlp, norm
from popnet.nn.flat import Layout, Matrix
from popnet.nn.inputs import Columns, Inputs, Pixels
from popnet.recipe import Recipe
from popnet.shape import Numbers, Shape
from popnet.types import Array, Tree

USUAL_INPUTS = 128
"""Inputs of a layer whose weights the NTK parametrization leaves as they are."""


def init(recipe: Recipe, shape: Shape, seed: int) -> tuple[Tree, Tree]:
    """Draw a net's parameters and its running statistics, trees of float32 NumPy arrays on the host."""
    family = mlp if shape.kind == "mlp" else convnet
    return family.init(recipe, shape, seed)


@cache
def layouts(shape: Shape) -> tuple[Layout, Layout]:
    """Return the layouts of a shape's parameters and running statistics."""
    parameters, running = init(Recipe(), shape, 0)
    return Layout.of(parameters), Layout.of(running)


def _of_weights(shape: Shape, value: Callable[[Array], float], other: float) -> np.ndarray:
    """Return a value for each layer's weights and another for all else, ``(size of the parameters,)`` float32."""
    parameters, _ = init(Recipe(), shape, 0)

    def of_leaf(path: tuple, x: Array) -> np.ndarray:
        weights = path[-1] == jax.tree_util.DictKey("w")
        return np.full(x.shape, value(x) if weights else other, np.float32)

    return layouts(shape)[0].join(jax.tree_util.tree_map_with_path(of_leaf, parameters))


@cache
def penalised(shape: Shape) -> np.ndarray:
    """Return where penalties and decay act: ``(size of the parameters,)`` float32, 1 for layers' weights, 0 else."""
    return _of_weights(shape, lambda w: 1.0, other=0.0)


@cache
def input_factors(shape: Shape) -> np.ndarray:
    """Return what the NTK parametrization multiplies parameters by: ``(size of the parameters,)`` float32,
    ``sqrt(USUAL_INPUTS / n)`` for the weights of a layer with n inputs, 1 for all else."""
    return _of_weights(shape, lambda w: (USUAL_INPUTS / max(w.shape[-2], 1)) ** 0.5, other=1.0)


@cache
def variances(shape: Shape) -> np.ndarray:
    """Return where variances stand among the running statistics: ``(size,)`` float32, 1 there, 0 for means."""
    _, running = init(Recipe(), shape, 0)
    mask = jax.tree.map(
        lambda s: norm.Statistics(np.zeros_like(s.mean), np.ones_like(s.var)),
        running,
        is_leaf=lambda s: isinstance(s, norm.Statistics),
    )
    return layouts(shape)[1].join(mask)


@cache
def muon_matrices(shape: Shape) -> tuple[Matrix, ...]:
    """Return the hidden layers' weights, as `popnet.optim.direction` takes them; none for other optimizers.

    A convolution's weights are a matrix of its inputs, over all places of the window, by its channels.
    """
    if not shape.muon:
        return ()
    layout = layouts(shape)[0]
    places = weights(layout.split(np.arange(layout.size)))[:-1]
    return tuple(Matrix(int(w.flat[0]), w.size // w.shape[-1], w.shape[-1]) for w in places)


def weights(parameters: Tree) -> list[Array]:
    """Return the weights of each layer of a tree of parameters (or of gradients), from the input to the output."""
    hidden = parameters.get("hidden", parameters.get("layers"))
    return [*(p["w"] for p in hidden), parameters["output"]["w"]]


def values(shape: Shape) -> int:
    """Return how many numbers one row has on its way through training, roughly: inputs, and twelve a unit."""
    if shape.kind == "mlp":
        inside = (1 + shape.heads) * mlp.input_size(shape)
        return inside + 12 * shape.heads * shape.depth * shape.width * shape.pieces
    return sum(size * (12 * d * shape.pieces + 9 * c) for size, c, d in convnet.sizes(shape))


def multiply_adds(shape: Shape) -> int:
    """Return the multiplications of one row's evaluation."""
    if shape.kind == "mlp":
        layout = layouts(shape)[0]
        hidden = sum(w.size for w in weights(layout.split(np.arange(layout.size)))[:-1])
        return layout.size + (shape.heads - 1) * hidden
    return sum(size * 9 * c * d * shape.pieces for size, c, d in convnet.sizes(shape))


def train(
    parameters: Tree,
    shape: Shape,
    n: Numbers,
    x: Columns | Array,
    share: Array,
    pairs: rows.Pairs,
    key: Array,
    seen: list[block.Seen] | None = None,
) -> tuple[Array, Tree]:
    """Pass a batch through a net in training mode.

    Args:
        parameters: from `init`.
        shape: the net's.
        n: the recipe's numbers.
        x: N rows of a table, or ``(N, H, W, C)`` float32 images, standardised and augmented.
        share: ``(N,)``, 1/n for the n real rows, 0 for filling.
        pairs: mixup's partners, of a table's rows; images are mixed already.
        key: uint32, this step's.
        seen: list that each hidden layer's values are added to, for probes.

    Returns:
        Outputs ``(N, O)``, or of K heads ``(K * N, O)``, and the batch's statistics, a tree like ``running``.
    """
    if isinstance(x, Columns):
        return mlp.train(parameters, shape, n, x, share, pairs, key, seen)
    if shape.kind == "mlp":
        return mlp.train_dense(parameters, shape, n, x.reshape(x.shape[0], -1), share, key, seen)
    return convnet.train(parameters, shape, n, x, share, key, seen)


def evaluate(parameters: Tree, running: Tree, shape: Shape, n: Numbers, x: Inputs | Array) -> Array:
    """Pass rows through a net at evaluation: no dropout, no noise, running statistics. Returns ``(N, O)``.

    Args:
        parameters: from `init`.
        running: running statistics.
        shape: the net's.
        n: the recipe's numbers.
        x: N rows of a table, N images, or ``(N, H, W, C)`` float32 standardised images.
    """
    if isinstance(x, Columns):
        return mlp.evaluate(parameters, running, shape, n, x)
    images = x.standardised() if isinstance(x, Pixels) else x
    if shape.kind == "mlp":
        flat = images.reshape(images.shape[0], -1)
        return mlp.evaluate_dense(parameters, running, shape, n, flat)
    return convnet.evaluate(parameters, running, shape, n, images)
