"""Evaluate trained nets on rows: chunk by chunk, over all workers."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from popnet.data.dataset import Features, Images
from popnet.nn.inputs import Inputs
from popnet.nn.net import pad
from popnet.population import feed, lanes, program
from popnet.population.members import Result
from popnet.runtime.compiled import empty, map_over_devices
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
    return Evaluation(nets, specialised)(features, rows, workers, views)


MAX_KEPT_BYTES = 2**28
"""Of the weights that an evaluation keeps beside the nets' own: larger ensembles are made ready for each call."""


class Evaluation:
    """Nets as their programs take them: made once for rows that come call by call.

    Padding the weights and looking up the programs takes as long as predicting a row.

    Args:
        nets, specialised: see `predict`.
    """

    def __init__(self, nets: Sequence[Net], specialised: bool = True) -> None:
        self._nets, self._specialised = nets, specialised
        self._kept: list[_Ready] | None = None
        self._runs: dict[tuple[Form, Device], program.Evaluator] = {}

    def _ready(self) -> list[_Ready]:
        if self._kept is not None:
            return self._kept
        made = [_Ready.of(net, self._specialised) for net in self._nets]
        if sum(r.weights.nbytes + r.running.nbytes for r in made) <= MAX_KEPT_BYTES:
            self._kept = made
        return made

    def __call__(
        self,
        features: Features | Images,
        rows: np.ndarray | None = None,
        workers: int | None = None,
        views: int = 1,
    ) -> np.ndarray:
        """Return the nets' outputs, ``(len(nets), N, O)`` float32; see `predict`. Any thread may call."""
        nets = self._nets
        rows = np.arange(len(features)) if rows is None else np.asarray(rows)
        out = np.empty((len(nets), len(rows), nets[0].shape.n_outputs if nets else 0), np.float32)
        if not nets or not len(rows):
            return out
        source = feed.Feed.of(features)
        ready = self._ready()
        devices = [place.device for place in program.places(workers)]
        local = threading.local()
        batches, size = feed.EVALUATED_BATCHES, feed.evaluated_rows(ready[0].form)
        numbers = (None, *(range(1, views) if isinstance(features, Images) else ()))

        def chunk(device: Device, start: int) -> None:
            index = rows[start : start + batches * size]
            if not hasattr(local, "shaped"):
                local.shaped = dict[Any, feed.Shaped]()
            taken: dict[Any, Inputs] = {}
            begun: list[list[Any]] = []
            for net in ready:
                key = net.net.shape, net.net.recipe.embedding_quantiles
                if key not in local.shaped:
                    local.shaped[key] = source.shaped(
                        net.net.shape, net.form, net.net.recipe, (batches, size)
                    )
                if key not in taken:
                    taken[key] = local.shaped[key].take(lanes.evaluated(index, net.form))
                run = self._runs.setdefault((net.form, device), program.Evaluator(net.form, device))
                count = -(-len(index) // size)
                arguments = net.weights, net.running, net.numbers, taken[key], count
                begun.append([run.begin(*arguments, view) for view in numbers])
            # All are on their way before the first is waited for.
            for i, (net, outputs) in enumerate(zip(ready, begun, strict=True)):
                every = [np.asarray(o).reshape(batches * size, -1) for o in outputs]
                every = [o[: len(index), : net.net.shape.n_outputs] for o in every]
                found = every[0] if len(every) == 1 else _mean(every, net.net.shape)
                out[i, start : start + len(index)] = found

        map_over_devices(chunk, range(0, len(rows), batches * size), devices)
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
        weights, running = map(_aligned, pad(net.parameters, net.running, net.shape, form))
        return cls(net, form, weights, running, Numbers.of(net.recipe))


def _aligned(values: np.ndarray) -> np.ndarray:
    """Return numbers where JAX's CPU devices use them as they are."""
    out = empty(values.shape, values.dtype)
    out[...] = values
    return out


def _mean(outputs: Sequence[np.ndarray], shape: Shape) -> np.ndarray:
    """Return the mean over views: of regression values, or of probabilities (as logits again)."""
    every = np.stack(outputs)
    if shape.task == "regression":
        return every.mean(0)
    every = every - every.max(2, keepdims=True)
    log_p = every - np.log(np.exp(every).sum(2, keepdims=True))
    return np.log(np.exp(log_p).mean(0) + np.float32(1e-30))
