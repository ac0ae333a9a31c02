"""A net of any kind, for ONE member: what training and evaluation call."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from popnet.augment import rows
from popnet.nn import block, convnet, mlp, norm
from popnet.nn.flat import Layout, Matrix, TreePath
from popnet.nn.inputs import Columns, Inputs, Pixels
from popnet.runtime import keys
from popnet.runtime.typed_jax import on_host
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Form, Numbers, Shape
from popnet.types import Tree

USUAL_INPUTS = 128
"""Inputs of a layer whose weights the NTK parametrization leaves as they are."""


def init(recipe: Recipe, shape: Shape, seed: int) -> tuple[Tree, Tree]:
    """Draw a net's parameters and its running statistics, trees of float32 NumPy arrays on the host."""
    family = mlp if shape.kind == "mlp" else convnet
    return family.init(recipe, shape, seed)


def weight_count(shape: Shape) -> int:
    """Return the number of the layers' weights, without making them: a net has these parameters, and some more."""
    if shape.kind != "mlp":
        plan = convnet.plan(shape)
        inner = sum(9 * layer.channels_in * layer.channels for layer in plan)
        return inner * shape.pieces + plan[-1].channels * shape.n_outputs
    sizes = [mlp.input_size(shape), *[shape.width] * shape.depth]
    inner = sum(a * b for a, b in pairwise(sizes))
    return inner * shape.pieces + shape.heads * sizes[-1] * shape.n_outputs


@cache
def layouts(shape: Shape) -> tuple[Layout, Layout]:
    """Return the layouts of a shape's own parameters and running statistics, as models keep them."""
    parameters, running = init(Recipe(), shape, 0)
    return Layout.of(parameters), Layout.of(running)


@cache
def form_layouts(form: Form) -> tuple[Layout, Layout]:
    """Return the layouts of a form's padded parameters, weights of layers first, and of its running statistics."""
    parameters, running = _template(form)
    return Layout.of(parameters, is_weight), Layout.of(running)


def _template(form: Form) -> tuple[Tree, Tree]:
    return mlp.template(form) if form.kind == "mlp" else convnet.template(form)


def is_weight(path: TreePath) -> bool:
    """Return whether a parameter is a layer's weights, by its path in the tree."""
    return bool(path[-1] == jax.tree_util.DictKey("w"))


def pad(parameters: Tree, running: Tree, shape: Shape, form: Form) -> tuple[np.ndarray, np.ndarray]:
    """Return a net's parameters and running statistics as the vectors that its program takes, ``(P,)`` and ``(R,)``."""
    family = mlp if form.kind == "mlp" else convnet
    weights_layout, running_layout = form_layouts(form)
    padded = jax.tree.map(np.asarray, family.pad(parameters, shape, form))
    running = jax.tree.map(np.asarray, running)
    return np.asarray(weights_layout.join(padded)), np.asarray(running_layout.join(running))


def unpad(
    parameters: np.ndarray, running: np.ndarray, shape: Shape, form: Form
) -> tuple[Tree, Tree]:
    """Return a net's own parameters and running statistics, trees, from the vectors of its program."""
    family = mlp if form.kind == "mlp" else convnet
    weights_layout, running_layout = form_layouts(form)
    own = family.unpad(weights_layout.split(np.array(parameters)), shape, form)
    return own, running_layout.split(np.array(running))


class NetSizes(NamedTuple):
    """A net's own sizes, which padding hides from its program; scalars.

    Attributes:
        classes: O, outputs that are no padding.
        fan_in: inputs of the first layer that are no padding.
    """

    classes: Array
    fan_in: Array

    @classmethod
    def of(cls, shape: Shape) -> NetSizes:
        """Return the sizes of a shape."""
        convolutional = shape.kind != "mlp"
        inputs = 9 * shape.patch**2 * shape.image[2] if convolutional and shape.image else 0
        fan_in = inputs if convolutional else max(mlp.input_size(shape), 1)
        return cls(*map(on_host, (np.float32(shape.n_outputs), np.float32(fan_in))))


def ntk_factors(form: Form, sizes: NetSizes) -> Array:
    """Return what the NTK parametrization multiplies parameters by: ``(P,)`` float32,
    ``sqrt(USUAL_INPUTS / n)`` for the weights of a layer with n inputs, 1 for all else."""
    layout = form_layouts(form)[0]
    first, found = _first_and_factors(form)
    own = jnp.sqrt(USUAL_INPUTS / sizes.fan_in)
    return jnp.where(jnp.arange(layout.size) < first, own, found)


@cache
def _first_and_factors(form: Form) -> tuple[int, np.ndarray]:
    """Return the number of the first layer's weights, which come first, and all factors but theirs, ``(P,)``."""
    layout = form_layouts(form)[0]

    def of_leaf(path: TreePath, x: np.ndarray) -> np.ndarray:
        factor = (USUAL_INPUTS / max(x.shape[-2], 1)) ** 0.5 if is_weight(path) else 1.0
        return np.full(x.shape, factor, np.float32)

    parameters, _ = _template(form)
    factors = np.asarray(layout.join(jax.tree_util.tree_map_with_path(of_leaf, parameters)))
    return weights(parameters)[0].size, factors


@cache
def variances(form: Form) -> np.ndarray:
    """Return where variances stand among the running statistics: ``(R,)`` float32, 1 there, 0 for means."""
    _, running = _template(form)

    def mask(s: norm.Statistics) -> norm.Statistics:
        return norm.Statistics(*map(on_host, (np.zeros_like(s.mean), np.ones_like(s.var))))

    def is_leaf(tree: Tree) -> bool:
        return isinstance(tree, norm.Statistics)

    masks = jax.tree.map(mask, running, is_leaf=is_leaf)
    return np.asarray(form_layouts(form)[1].join(masks))


@cache
def muon_matrices(form: Form) -> tuple[Matrix, ...]:
    """Return the hidden layers' weights, as `popnet.population.optim.direction` takes them; none for other optimizers.

    A convolution's weights are a matrix of its inputs, over all places of the window, by its channels.
    """
    if not form.muon:
        return ()
    layout = form_layouts(form)[0]
    places = weights(layout.split(np.arange(layout.size)))[:-1]
    return tuple(Matrix(int(w.flat[0]), w.size // w.shape[-1], w.shape[-1]) for w in places)


def dropouts(form: Form) -> int:
    """Return how many keys of dropout a training step takes."""
    return form.depth + 1 if form.kind == "mlp" else len(convnet.plan(form)) + 2


def weights(parameters: Tree) -> list[Any]:
    """Return the weights of each layer of a tree of parameters (or of gradients), from the input to the output."""
    hidden = parameters.get("hidden", parameters.get("layers"))
    return [*(p["w"] for p in hidden), parameters["output"]["w"]]


def values(shape: Shape | Form) -> int:
    """Return how many numbers one row has on its way through training, roughly: inputs, and twelve a unit."""
    if shape.kind == "mlp":
        inputs = shape.inputs if isinstance(shape, Form) else mlp.input_size(shape)
        inside = (1 + shape.heads) * inputs
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
    parameters: Tree, form: Form, n: Numbers, x: Columns | Array, share: Array, pairs: rows.Pairs,
    step_keys: keys.StepKeys, seen: list[block.LayerActivations] | None = None,
) -> tuple[Array, Tree]:  # fmt: skip
    """Pass a batch through a net in training mode.

    Args:
        parameters: padded to the form, see `pad`.
        form: of the program.
        n: the recipe's numbers, with this step's dropout rates.
        x: N rows of a table, or ``(N, H, W, C)`` float32 images, standardised and augmented.
        share: ``(N,)``, 1/n for the n real rows, 0 for padding.
        pairs: mixup's partners, of a table's rows; images are mixed already.
        step_keys: this step's.
        seen: list that each hidden layer's values are added to, for probes.

    Returns:
        Outputs ``(N, O)``, or of K heads ``(K * N, O)``, and the batch's statistics, a tree like ``running``.
    """
    if isinstance(x, Columns):
        return mlp.train(parameters, form, n, x.raw, x.map, share, pairs, step_keys, seen)
    if form.kind == "mlp":
        flat = x.reshape(x.shape[0], -1)
        return mlp.train_dense(parameters, form, n, flat, share, step_keys, seen)
    return convnet.train(parameters, form, n, x, share, step_keys, seen)


def evaluate(parameters: Tree, running: Tree, form: Form, n: Numbers, x: Inputs | Array) -> Array:
    """Pass rows through a net at evaluation: no dropout, no noise, running statistics. Returns ``(N, O)``.

    Args:
        parameters: padded to the form.
        running: running statistics.
        form: of the program.
        n: the recipe's numbers.
        x: N rows of a table, N images, or ``(N, H, W, C)`` float32 standardised images.
    """
    if isinstance(x, Columns):
        return mlp.evaluate(parameters, running, form, n, x.raw, x.map)
    images = x.standardised() if isinstance(x, Pixels) else x
    if form.kind == "mlp":
        flat = images.reshape(images.shape[0], -1)
        return mlp.evaluate_dense(parameters, running, form, n, flat)
    return convnet.evaluate(parameters, running, form, n, images)
