"""A whole model as a graph: members, their weights, and what is made of their mean."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from popnet.data.images.format import ImageFormat
from popnet.data.tables.encode import Encoder
from popnet.export import images, intervals, nets, trees
from popnet.export.columns import Encoded, encode
from popnet.export.embeddings import Inputs
from popnet.export.graph import Graph, f64, i64
from popnet.model.model import Model
from popnet.predictions.calibration import TINY
from popnet.predictions.conformal import REPORTED, ends


class Members(NamedTuple):
    """The members that have a weight.

    Attributes:
        numbers: of them among all.
        outputs: ``(M, N, O)`` float64 of some of them each, in this order: probabilities, or numbers.
    """

    numbers: list[int]
    outputs: list[tuple[int, str]]


def whole(model: Model) -> tuple[Graph, list[str]]:
    """Return a graph of a model, and the names of its outputs.

    Raises:
        InputError: it takes a column that no input can be made of.
    """
    g = Graph()
    if model.encoder.image is not None:
        members = _members_of_images(g, model, model.encoder.image)
    else:
        members = _members(g, model, encode(g, model.encoder))
    taken = {record.name for record in model.encoder.columns}
    made = _classes(g, model, members) if model.is_classifier else _numbers(g, model, members)
    names: list[str] = []
    for name, value, dtype, columns in made:
        while name in taken:
            name = f"predicted_{name}"
        g.add_output(name, value, dtype, columns)
        names.append(name)
    return g, names


_Output = tuple[str, str, Any, int | None]
"""Name, tensor, type, and number of columns (None: it has one axis)."""


def _members(g: Graph, model: Model, encoded: Encoded) -> Members:
    """Return the outputs of all members that have a weight; of numbers within the range that was seen."""
    inputs = Inputs(g, encoded, model.encoder.member_knots)
    chosen = np.flatnonzero(np.asarray(model.weights) > 0).tolist()
    of_nets = [i for i in chosen if i < len(model.nets)]
    numbers: list[int] = []
    found: list[tuple[int, str]] = []
    for group in nets.groups(model.nets, of_nets):
        found.append((len(group), nets.outputs(g, inputs, [model.nets[i] for i in group])))
        numbers += group
    for i in chosen[len(of_nets) :]:
        out = g.cast(trees.outputs(g, encoded, model.trees[i - len(model.nets)]), np.float64)
        if model.is_classifier:
            out = g.op("Softmax", out, axis=-1)
        found.append((1, g.op("Unsqueeze", out, i64([0]))))
        numbers.append(i)
    if not model.is_classifier:
        found = [(n, _within_range(g, out, model.encoder)) for n, out in found]
    return Members(numbers, found)


def _members_of_images(g: Graph, model: Model, form: ImageFormat) -> Members:
    """Return the outputs of all members that have a weight, of a model of images."""
    pictures = images.Pictures(g, form, model.views)
    chosen = np.flatnonzero(np.asarray(model.weights) > 0).tolist()
    found = [images.outputs(pictures, model.nets[i]) for i in chosen]
    if not model.is_classifier:
        found = [_within_range(g, out, model.encoder) for out in found]
    return Members(chosen, [(1, out) for out in found])


def _within_range(g: Graph, out: str, encoder: Encoder) -> str:
    """See `popnet.data.tables.encode.Encoder.within_range`."""
    infinite = np.full(encoder.n_outputs, np.inf)
    low, high = (encoder.within_range(sign * infinite) for sign in (-1, 1))
    if np.isfinite(low).any():
        out = g.op("Max", out, f64(low))
    if np.isfinite(high).any():
        out = g.op("Min", out, f64(high))
    return out


def _mean(g: Graph, model: Model, members: Members) -> str:
    """Return the weighted mean of members, ``(N, O)``; of votes for their favourite classes."""
    begun, parts = 0, list[str]()
    count = model.encoder.n_outputs
    for n, out in members.outputs:
        if model.method == "vote":
            favourite = g.op("ArgMax", out, axis=-1, keepdims=1)
            out = g.cast(g.op("Equal", favourite, i64(np.arange(count))), np.float64)
        own = f64([model.weights[i] for i in members.numbers[begun : begun + n]])[None]
        flat = g.op("MatMul", own, g.op("Reshape", out, i64([n, -1])))
        parts.append(g.op("Reshape", flat, i64([-1, count])))
        begun += n
    return g.total(parts)


def _classes(g: Graph, model: Model, members: Members) -> list[_Output]:
    """Return the outputs of a classification."""
    p = _mean(g, model, members)
    if model.temperature != 1.0:
        logs = g.op("Log", g.op("Max", p, f64(TINY)))
        p = g.op("Softmax", g.op("Div", logs, f64(model.temperature)), axis=-1)
    score = p
    if model.decision is not None:
        gains, costs = f64(model.decision.gains), f64(model.decision.costs)
        score = g.op("Sub", g.op("Mul", p, gains), costs)
    best = g.op("ArgMax", score, axis=-1, keepdims=0)
    labels = np.array(model.classes)
    if labels.dtype.kind not in "bif":
        labels = np.array([str(c) for c in model.classes], object)
    label = g.op("Gather", labels, best, axis=0)
    return [
        ("label", label, labels.dtype, None),
        ("probabilities", p, np.float64, len(model.classes)),
    ]


def _numbers(g: Graph, model: Model, members: Members) -> list[_Output]:
    """Return the outputs of a regression: values, and intervals where there are held-out errors."""
    encoder = model.encoder
    levels: tuple[float, ...] = ()
    if model.conformal is not None and model.conformal.gives(REPORTED):
        levels = ends(REPORTED)
    names = ["low", "high"][: len(levels)]
    own = () if model.level is None else (model.level,)
    found = list[str]()
    if model.conformal is not None and (levels or own):
        every = g.concat([out for _, out in members.outputs], 0)
        found = intervals.quantiles(
            g, every, members.numbers, model.weights, model.conformal, (*levels, *own)
        )
    value = found.pop() if own else _mean(g, model, members)
    columns = None if encoder.n_outputs == 1 else encoder.n_outputs
    return [
        (name, _in_units(g, encoder, v), np.float64, columns)
        for name, v in zip(("value", *names), (value, *found), strict=True)
    ]


def _in_units(g: Graph, encoder: Encoder, value: str) -> str:
    """Return numbers in the targets' units, ``(N,)``, or ``(N, T)`` of several."""
    scales = encoder.scales
    value = g.op("Mul", value, f64([s.std for s in scales]))
    value = g.op("Add", value, f64([s.mean for s in scales]))
    logs = np.array([s.log for s in scales])
    if logs.any():
        grown = g.op("Sub", g.op("Exp", value), f64(1))
        value = grown if logs.all() else g.op("Where", logs, grown, value)
    return g.op("Squeeze", value, i64([1])) if len(scales) == 1 else value
