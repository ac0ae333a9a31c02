"""The convolutional net, plain or residual, for ONE member: initial parameters, training pass, evaluation pass.

The image's patches go through stages. A stage is ``depth`` convolutions in a plain net, and one convolution and
``depth - 1`` pairs with a shortcut in a residual one; each convolution is followed by normalization, activation (in
either order). Between stages height and width are halved by taking the largest of 2 x 2, and the channels are doubled.
The mean over all places of the last stage goes to the output layer.

Where a convolution is the last of its stage, the largest are taken before normalization and activation: the same for a
rising activation, and a quarter of the work (as in Jordan 2024, arXiv:2404.00498).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from popnet.nn import block, heads, initializers, layers
from popnet.nn.convolution import convolve, max_pool, patches
from popnet.nn.dropout import dropout
from popnet.runtime import keys, typed_jax
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Form, Numbers, Shape
from popnet.types import Tree


class Layer(NamedTuple):
    """One convolution.

    Attributes:
        channels_in: of its input.
        channels: of its output.
        begins: whether a shortcut begins at its input.
        ends: whether a shortcut ends at its output.
        pools: ``"before"`` or ``"after"`` its normalization and activation, or "" for none.
    """

    channels_in: int
    channels: int
    begins: bool
    ends: bool
    pools: str


def plan(shape: Shape | Form) -> list[Layer]:
    """Return a net's convolutions, in order."""
    assert shape.image is not None
    residual = shape.kind == "residual"
    found: list[Layer] = []
    channels_in = shape.patch**2 * shape.image[2]
    for stage in range(shape.stages):
        channels = shape.width * 2**stage
        count = 2 * shape.depth - 1 if residual else shape.depth
        for i in range(count):
            last = i == count - 1 and stage < shape.stages - 1
            ends = residual and i > 0 and i % 2 == 0
            pools = "" if not last else "after" if ends else "before"
            found.append(Layer(channels_in, channels, residual and i % 2 == 1, ends, pools))
            channels_in = channels
    return found


def sizes(shape: Shape | Form) -> list[tuple[int, int, int]]:
    """Return of each convolution: its pixels, and the channels that it takes and gives."""
    assert shape.image is not None
    height, width = (side // shape.patch for side in shape.image[:2])
    found: list[tuple[int, int, int]] = []
    for layer in plan(shape):
        found.append((height * width, layer.channels_in, layer.channels))
        if layer.pools:
            height, width = height // 2, width // 2
    return found


def init(recipe: Recipe, shape: Shape, seed: int) -> tuple[Tree, Tree]:
    """Draw a net's parameters and its running statistics, on the host; see `popnet.nn.mlp.init`."""

    made = [
        block.init(
            initializers.layer(
                recipe, seed, f"convolution{i}", 9 * layer.channels_in, layer.channels, shape.pieces, 9
            ),
            layer.channels, shape.pieces, recipe.leaky_slope,
        )
        for i, layer in enumerate(plan(shape))
    ]  # fmt: skip
    features = plan(shape)[-1].channels
    output = {
        "w": initializers.layer(recipe, seed, "output", features, shape.n_outputs),
        "b": np.zeros(shape.n_outputs, np.float32),
    }
    return {"layers": [p for p, _ in made], "output": output}, [r for _, r in made]


def pad(parameters: Tree, shape: Shape, form: Form) -> Tree:
    """Return a net's parameters with the outputs of its program; see `popnet.nn.mlp.pad`."""
    w, b = (parameters["output"][name] for name in ("w", "b"))
    xp: Any = np if isinstance(w, np.ndarray) else jnp
    more = form.n_outputs - shape.n_outputs
    output = {
        "w": xp.pad(w, ((0, 0), (0, more))),
        "b": xp.pad(b, (0, more), constant_values=heads.CLOSED),
    }
    return {**parameters, "output": output}


def unpad(parameters: Tree, shape: Shape, form: Form) -> Tree:
    """Return a net's own parameters from those of its program."""
    output = {name: x[..., : shape.n_outputs] for name, x in parameters["output"].items()}
    return {**parameters, "output": output}


def template(form: Form) -> tuple[Tree, Tree]:
    """Return padded parameters and running statistics of a form, of any values: their structure and shapes."""
    layer_list = plan(form)
    made = [
        block.init(
            np.zeros((9 * layer.channels_in, layer.channels * form.pieces), np.float32),
            layer.channels, form.pieces, 0.0,
        )
        for layer in layer_list
    ]  # fmt: skip
    output = {
        "w": np.zeros((layer_list[-1].channels, form.n_outputs), np.float32),
        "b": np.zeros(form.n_outputs, np.float32),
    }
    return {"layers": [p for p, _ in made], "output": output}, [r for _, r in made]


def _flat(z: Array) -> Array:
    return z.reshape(-1, z.shape[3])


def _map_dropout(h: Array, key: Array, rate: Array) -> Array:
    """Drop whole maps of channels (Tompson et al. 2015, arXiv:1411.4280): neighbouring pixels say nearly the same."""
    n, _, _, channels = h.shape
    kept = dropout(jnp.ones((n, channels), h.dtype), key, rate)
    return typed_jax.cond(rate > 0, lambda h: h * kept[:, None, None], lambda h: h, h)


def train(
    parameters: Tree, form: Form, n: Numbers, x: Array, share: Array, step_keys: keys.StepKeys,
    seen: list[block.LayerActivations] | None = None,
) -> tuple[Array, Tree]:  # fmt: skip
    """Pass a batch through the net in training mode.

    Args:
        parameters: padded to the form.
        form: of the program.
        n: the recipe's numbers.
        x: ``(N, H, W, C)``, standardised and augmented.
        share: ``(N,)``, 1/n for the n real images, 0 for padding.
        step_keys: this step's.
        seen: list that each convolution's values are added to, places as rows, for probes.

    Returns:
        Outputs ``(N, O)`` and the batch's statistics, a tree like ``running``.
    """
    key = step_keys.dropout
    h = _patches(x, form, key[0], n)
    shortcut = h
    statistics: list[Tree] = []
    for i, (p, layer) in enumerate(zip(parameters["layers"], plan(form), strict=True)):
        if layer.begins:
            shortcut = h
        z = convolve(h, p["w"])
        if layer.pools == "before":
            z = max_pool(z)
        size = z.shape[1] * z.shape[2]
        shares = jnp.repeat(share * (1 / size), size)
        flat, found = block.train(p, form, n, _flat(z), shares, seen=seen)
        statistics.append(found)
        h = flat.reshape(*z.shape[:3], layer.channels)
        if layer.ends:
            h = h + shortcut
        if layer.pools == "after":
            h = max_pool(h)
        if layer.pools:
            h = _map_dropout(h, key[i + 1], n.dropout)
    features = dropout(_mean(h), key[len(statistics) + 1], n.dropout)
    output = parameters["output"]
    return layers.linear(features, output["w"]) + output["b"], statistics


def _patches(x: Array, form: Form, key: Array, n: Numbers) -> Array:
    h = patches(x, form.patch)

    def dropped(h: Array) -> Array:
        flat = dropout(h.reshape(h.shape[0], -1), key, n.input_dropout)
        return flat.reshape(h.shape)

    return typed_jax.cond(n.input_dropout > 0, dropped, lambda h: h, h)


def _mean(h: Array) -> Array:
    return h.mean((1, 2))


def evaluate(parameters: Tree, running: Tree, form: Form, n: Numbers, x: Array) -> Array:
    """Pass images through the net at evaluation: no dropout, running statistics. Returns ``(N, O)``."""
    h = patches(x, form.patch)
    shortcut = h
    for p, r, layer in zip(parameters["layers"], running, plan(form), strict=True):
        if layer.begins:
            shortcut = h
        z = convolve(h, p["w"])
        if layer.pools == "before":
            z = max_pool(z)
        flat = block.evaluate(p, r, form, n, _flat(z))
        h = flat.reshape(*z.shape[:3], layer.channels)
        if layer.ends:
            h = h + shortcut
        if layer.pools == "after":
            h = max_pool(h)
    return _mean(h) @ parameters["output"]["w"] + parameters["output"]["b"]
