"""Evaluate trained nets on rows: chunk by chunk, over all workers."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from popnet.data.dataset import Features, Images
from popnet.nn.inputs import Pixels
from popnet.nn.net import pad
from popnet.population import feed, lanes, program
from popnet.population.members import Result
from popnet.runtime.compiled import map_over_devices
from popnet.runtime.cpu import Device
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Form, Numbers, Shape
from popnet.types import Tree


class Net(NamedTuple):
    """What evaluating a net needs: recipe, shape, weights and running statistics (trees of arrays)."""

    recipe: Recipe
    shape: Shape
    parameters: Tree
    running: Tree

    @classmethod
    def of(cls, result: Result) -> Net:
        """Return a trained member's net."""
        return cls(result.member.recipe, result.shape, result.parameters, result.running)

    @classmethod
    def at_last(cls, result: Result) -> Net | None:
        """Return a trained member's net as it was after its last epoch; None if that is `of`, or it has none."""
        if result.last is None:
            return None
        return cls(result.member.recipe, result.shape, *result.last)


def predict(
    nets: Sequence[Net],
    features: Features | Images,
    rows: np.ndarray | None = None,
    workers: int | None = None,
    views: int = 1,
    specialised: bool = True,
) -> np.ndarray:
    """Return the nets' outputs (logits, or scaled targets), ``(len(nets), N, O)`` float32.

    Args:
        nets: of equal ``n_outputs``.
        features: inputs.
        rows: row numbers to evaluate; default all.
        workers: threads; default one a core.
        views: of each image that its outputs are the mean of (test-time augmentation, Krizhevsky et al. 2012): the
            image itself, its mirror image if the net's recipe mirrors, then as the recipe shifts, turns and mirrors it.
            The same views for all images.
        specialised: whether programs hold one normalization and activation each; as of the trainer of the nets, so
            that its programs are used.
    """
    rows = np.arange(len(features)) if rows is None else np.asarray(rows)
    out = np.empty((len(nets), len(rows), nets[0].shape.n_outputs if nets else 0), np.float32)
    if not nets or not len(rows):
        return out
    source = feed.Feed.of(features)
    ready = [_Ready.of(net, specialised) for net in nets]
    devices = [place.device for place in program.places(workers)]
    local = threading.local()
    size = max(feed.EVALUATED_BATCHES * feed.evaluated_rows(r.form) for r in ready)

    def chunk(device: Device, start: int) -> None:
        index = rows[start : start + size]
        if not hasattr(local, "shaped"):
            local.shaped = dict[Any, feed.Shaped]()
        for i, net in enumerate(ready):
            outputs = net.outputs(source, index, device, local.shaped, views)
            out[i, start : start + len(index)] = outputs[: len(index)]

    map_over_devices(chunk, range(0, len(rows), size), devices)
    return out


class _Ready(NamedTuple):
    """A net as its program takes it."""

    net: Net
    form: Form
    weights: np.ndarray
    running: np.ndarray
    numbers: Numbers

    @classmethod
    def of(cls, net: Net, specialised: bool) -> _Ready:
        shape = net.shape.specialised(net.recipe) if specialised else net.shape
        form = Form.of(shape)
        vectors = pad(net.parameters, net.running, net.shape, form)
        return cls(net, form, *vectors, Numbers.of(net.recipe))

    def outputs(
        self, source: feed.Feed, index: np.ndarray, device: Device, shaped: dict[Any, feed.Shaped], views: int
    ) -> np.ndarray:  # fmt: skip
        """Return the outputs ``(N, O)`` of some rows, at most a call's."""
        batches, size = feed.EVALUATED_BATCHES, feed.evaluated_rows(self.form)
        shape, recipe = self.net.shape, self.net.recipe
        key = shape, recipe.embedding_quantiles
        found: list[np.ndarray] = []
        for start in range(0, len(index), batches * size):
            some = index[start : start + batches * size]
            if key not in shaped:
                shaped[key] = source.shaped(shape, self.form, recipe, (batches, size))
            x = shaped[key].take(lanes.evaluated(some, self.form))
            count = -(-len(some) // size)
            run = program.Evaluator(self.form, device)
            numbers = range(1, views) if isinstance(x, Pixels) else ()
            every = [
                run(self.weights, self.running, self.numbers, x, count, view)
                for view in (None, *numbers)
            ]
            every = [o.reshape(batches * size, -1)[: len(some), : shape.n_outputs] for o in every]
            found.append(every[0] if len(every) == 1 else _mean(every, shape))
        return np.concatenate(found)


def _mean(outputs: Sequence[np.ndarray], shape: Shape) -> np.ndarray:
    """Return the mean over views: of regression values, or of probabilities (as logits again)."""
    every = np.stack(outputs)
    if shape.task == "regression":
        return every.mean(0)
    every = every - every.max(2, keepdims=True)
    log_p = every - np.log(np.exp(every).sum(2, keepdims=True))
    return np.log(np.exp(log_p).mean(0) + np.float32(1e-30))
