"""Evaluate trained nets on rows: chunk by chunk, over all workers."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from popnet.dataset import Features
from popnet.nn import mlp
from popnet.population import program
from popnet.recipe import Recipe
from popnet.shape import Numbers, Shape
from popnet.types import Array, Tree

CHUNKS = (32, 1024)
"""Rows of one evaluation: a few for a single request, many for a table. Short chunks are filled up."""


class Net(NamedTuple):
    """What evaluating a net needs: recipe, shape, weights and running statistics (trees of arrays)."""

    recipe: Recipe
    shape: Shape
    parameters: Tree
    running: Tree


def predict(
    nets: Sequence[Net], features: Features, rows: Array | None = None, workers: int | None = None
) -> np.ndarray:
    """Return the nets' outputs (logits, or scaled targets), ``(len(nets), N, O)`` float32.

    Args:
        nets: of equal ``n_outputs``.
        features: inputs.
        rows: row numbers to evaluate; default all.
        workers: threads; default one a core.
    """
    rows = np.arange(len(features)) if rows is None else np.asarray(rows)
    size = CHUNKS[0] if len(rows) <= CHUNKS[0] else CHUNKS[1]
    places = program.places(workers)
    device = places[0].device
    out = np.empty((len(nets), len(rows), nets[0].shape.n_outputs if nets else 0), np.float32)
    prepared = []
    for net in nets:
        flat = (
            x.join(t)
            for x, t in zip(mlp.layouts(net.shape), (net.parameters, net.running), strict=True)
        )
        prepared.append((*flat, Numbers.of(net.recipe), net.shape))

    def chunk(start: int) -> None:
        index = rows[start : start + size]
        filled = np.concatenate([index, np.full(size - len(index), index[0])])
        x = mlp.Inputs(features.numeric[filled], features.flags[filled], features.codes[filled])
        for i, (parameters, running, n, shape) in enumerate(prepared):
            outputs = program.predict_chunk(parameters, running, n, shape, x, device)
            out[i, start : start + len(index)] = outputs[: len(index)]

    starts = range(0, len(rows), size)
    if len(starts) <= 1:
        for start in starts:
            chunk(start)
        return out
    chunk(0)  # compiles each shape once, not once a thread
    with ThreadPoolExecutor(len(places)) as pool:
        list(pool.map(chunk, starts[1:]))
    return out
