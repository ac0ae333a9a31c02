"""Evaluate trained nets on rows: chunk by chunk, over all workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from popnet.copies import deal
from popnet.cpu import Device
from popnet.dataset import Features, Images
from popnet.nn.inputs import Pixels
from popnet.nn.net import layouts
from popnet.population import program
from popnet.population.members import Result
from popnet.recipe import Recipe
from popnet.shape import Numbers, Shape
from popnet.types import Array, Tree

CHUNKS = (32, 1024)
"""Rows of one evaluation: a few for a single request, many for a table. Short chunks are filled up."""

IMAGE_CHUNKS = (8, 128)
"""The same of images."""


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
    rows: Array | None = None,
    workers: int | None = None,
    views: int = 1,
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
    """
    rows = np.arange(len(features)) if rows is None else np.asarray(rows)
    few, many = IMAGE_CHUNKS if isinstance(features, Images) else CHUNKS
    size = few if len(rows) <= few else many
    devices = [place.device for place in program.places(workers)]
    out = np.empty((len(nets), len(rows), nets[0].shape.n_outputs if nets else 0), np.float32)
    prepared = []
    for net in nets:
        flat = (
            x.join(t)
            for x, t in zip(layouts(net.shape), (net.parameters, net.running), strict=True)
        )
        prepared.append((*flat, Numbers.of(net.recipe), net.shape))

    def chunk(device: Device, start: int) -> None:
        index = rows[start : start + size]
        filled = np.concatenate([index, np.full(size - len(index), index[0])])
        x = program.inputs(features.take(filled))
        for i, (parameters, running, n, shape) in enumerate(prepared):
            outputs = program.predict_chunk(parameters, running, n, shape, x, device)
            if views > 1 and isinstance(x, Pixels):
                more = [
                    program.predict_view(parameters, running, n, shape, x, v, device)
                    for v in range(1, views)
                ]
                outputs = _mean([outputs, *more], shape)
            out[i, start : start + len(index)] = outputs[: len(index)]

    deal(chunk, range(0, len(rows), size), devices)
    return out


def _mean(outputs: Sequence[np.ndarray], shape: Shape) -> np.ndarray:
    """Return the mean over views: of regression values, or of probabilities (as logits again)."""
    every = np.stack(outputs)
    if shape.task == "regression":
        return every.mean(0)
    every = every - every.max(2, keepdims=True)
    log_p = every - np.log(np.exp(every).sum(2, keepdims=True))
    return np.log(np.exp(log_p).mean(0) + np.float32(1e-30))
