"""Probes: what every layer of ONE member looks like at the end of an epoch, a pure function of its state.

A probe passes a few hundred training rows once through the net, and takes the gradients of two batches: the state is
read and not changed, so a member trains to the same weights with probes and without. How often there is a probe follows
from what it costs (`interval`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from popnet.augment.rows import Pairs
from popnet.nn import heads, net
from popnet.nn.activations import ACTIVATIONS
from popnet.nn.block import LayerActivations
from popnet.nn.inputs import Pixels
from popnet.nn.net import NetSizes
from popnet.nn.norm import BATCH, Statistics
from popnet.population import losses, optim, penalties
from popnet.population.epoch import Rows, State, direction, objective, with_dropout
from popnet.population.members import Probes
from popnet.population.timetable import Timetable, columns
from popnet.runtime.keys import StepKeys
from popnet.spec.shape import Form, Numbers, Shape
from popnet.types import Tree

ROWS, IMAGES = 512, 256
"""Training rows (images) that a probe passes through the net."""

SHARE = 0.07
"""Share of the training's time that regular probes take, about."""

SPEED, SLOWER, CALL = 5e10, 2.5, 2e-3
"""Operations a second of training, times that a row of a probe takes longer, seconds that each probe takes beside."""

EARLY, RARE, DEAR = 4, 16, 64
"""Factor between the first epochs that are probed; the larger one where a probe is worth more epochs than the last."""

FLAT = 0.04
"""A bounded activation is saturated where its slope is below this share of the largest: a sigmoid's output below .01 or
above .99, tanh's beyond .98 (as in Glorot and Bengio 2010, who look at the 98th percentile)."""

BEYOND = {"sigmoid": 2 * np.arctanh(np.sqrt(1 - FLAT)), "tanh": np.arctanh(np.sqrt(1 - FLAT))}
"""Distance from 0 beyond which a bounded activation is so flat: ``1 - tanh(z)^2`` is the slope of tanh and, of ``2z``,
that of the sigmoid over its largest. A comparison is all that it takes then."""

MAX_NOISE = 1000.0
TINY = 1e-12

LAYER_VALUES = ("saturated", "dead", "signal", "batch_mean", "batch_spread")
WEIGHT_VALUES = ("gradient", "weight", "update")
"""What a probe finds of each hidden layer, and of the weights of every layer."""

LAYER = ("mean", "spread", "drift", *LAYER_VALUES, *WEIGHT_VALUES)
"""What is known of each layer, see `popnet.population.members.Probes`."""

NET = ("loss", "error", "gradient", "noise")
"""What is known of the whole net."""


class Probed(NamedTuple):
    """One probe, in few arrays: each that leaves a program costs time.

    Attributes:
        units: ``(2, L, W)``, mean and spread of each unit's pre-activations in L hidden layers; NaN beyond a layer's
            units.
        layers: ``(L, len(LAYER_VALUES))``.
        weights: ``(len(WEIGHT_VALUES), L + 1)``, the output's too.
        net: ``(len(NET),)``.
    """

    units: Array
    layers: Array
    weights: Array
    net: Array


def rows_of(shape: Shape | Form) -> int:
    """Return how many rows a probe passes through the net."""
    return ROWS if shape.image is None else IMAGES


@lru_cache(maxsize=256)  # each call of a training asks for it
def interval(shape: Shape, rows: int) -> int:
    """Return after how many epochs of so many training rows there is a probe, so that it costs about `SHARE` of them.

    It goes by what was measured on two CPUs: a row trains at `SPEED`, a probe's rows take `SLOWER` times as long as
    trained ones, and each probe costs `CALL` beside.
    """
    row = 6 * net.multiply_adds(shape) / SPEED
    cost = SLOWER * row * (rows_of(shape) / 3 + 2 * min(shape.batch_size, rows)) + CALL
    return max(1, int(np.ceil(cost / (SHARE * max(rows, 1) * row))))


def next_after(epoch: int, every: int) -> int:
    """Return the epoch after which there is the next probe: 1, 4, 16, 64, ... up to ``every``, then its multiples.

    Most happens in the first epochs. Where a probe takes as long as very many of them, there are fewer: 1, 16, 256, ...
    """
    early = 1
    while early <= epoch:
        early *= EARLY if every <= DEAR else RARE
    regular = (epoch // every + 1) * every
    return min(early, regular) if early < every else regular if epoch else 1


class ProbeRows(NamedTuple):
    """What a probe looks at.

    Attributes:
        plain: `rows_of` training rows, the same each time, so that drift is the net's; fewer come several times.
        batches: two batches of other training rows.
        timetable: of the two; the first one's is the member's next step.
    """

    plain: Rows
    batches: Rows
    timetable: Timetable


def probe(state: State, n: Numbers, sizes: NetSizes, rows: ProbeRows, form: Form) -> Probed:
    """Return what a member's layers look like.

    Args:
        state: of the member.
        n: its recipe's numbers.
        sizes: of its net.
        rows: what it is shown.
        form: of the program.
    """
    layout, running_layout = net.form_layouts(form)
    seen: list[LayerActivations] = []
    outputs = _forward(layout.split(state.parameters), form, n, rows.plain, seen)
    loss, error = _losses(outputs, rows.plain, form)
    pull = penalties.pull(state.parameters, layout.n_first, n.l1, n.l2)
    step, rule = columns(rows.timetable.numbers[0])

    def gradient(number: int) -> Array:
        found = objective(
            state.parameters, form, with_dropout(n, step), sizes, rows.batches.batch(jnp.int32(number)),
            step, StepKeys(*(k[number] for k in rows.timetable.keys)),
        )  # fmt: skip
        return found.gradient - pull

    first, second = gradient(0), gradient(1)
    difference = first - second
    # The product of two independent gradients is an unbiased square of their mean; where it is not positive there is
    # too much noise for two batches to tell.
    noise = 0.5 * (difference @ difference) / jnp.maximum(first @ second, TINY)
    noise = jnp.minimum(noise, MAX_NOISE)
    running = running_layout.split(state.running)
    values = [_layer(s, r, form, n) for s, r in zip(seen, running, strict=True)]
    way, _ = direction(first + pull, state.moments, rule, form, n, sizes)
    new = optim.step(state.parameters, way, layout.n_first, step.rate, step.decay)
    return Probed(
        _units(seen),
        jnp.stack(values) if values else jnp.zeros((0, len(LAYER_VALUES))),
        _weights(state.parameters, first, new, form, sizes),
        jnp.stack([loss, error, jnp.sqrt(first @ first), noise]),
    )


def _forward(
    parameters: Tree, form: Form, n: Numbers, rows: Rows, seen: list[LayerActivations]
) -> Array:
    """Pass rows through the net as in training, but without dropout, noise and augmentation."""
    none = jnp.float32(0)
    n = n._replace(dropout=none, input_dropout=none, input_noise=none)
    x = rows.inputs.standardised() if isinstance(rows.inputs, Pixels) else rows.inputs
    pairs = Pairs(jnp.zeros(len(rows.share), jnp.int32), jnp.float32(1), jnp.bool_(False))
    key = jnp.asarray(0, jnp.uint32)
    step_keys = StepKeys(key, key, jnp.zeros(net.dropouts(form), jnp.uint32))
    return net.train(parameters, form, n, x, rows.share, pairs, step_keys, seen)[0]


def _losses(outputs: Array, rows: Rows, form: Form) -> tuple[Array, Array]:
    outputs = heads.mean(outputs, form.heads, form.task)
    if form.task == "regression":
        loss = losses.squared_error(outputs, rows.target)
    else:
        loss = losses.cross_entropy(outputs, losses.probabilities(rows.target, form.n_outputs))
    error = losses.error(outputs, rows.target, form.task)
    total = jnp.maximum(rows.weight.sum(), TINY)
    return rows.weight @ loss / total, rows.weight @ error / total


def _units(seen: Sequence[LayerActivations]) -> Array:
    """Return mean and spread of each unit of each layer, ``(2, L, W)``."""
    widest = max((s.before.shape[1] for s in seen), default=0)
    rows: list[Array] = []
    for s in seen:
        mean = _over_rows(s.before)
        spread = jnp.sqrt(_over_rows((s.before - mean) ** 2))
        rows.append(
            jnp.pad(
                jnp.stack([mean, spread]),
                ((0, 0), (0, widest - s.before.shape[1])),
                constant_values=jnp.nan,
            )
        )
    return jnp.stack(rows, 1) if rows else jnp.zeros((2, 0, 0))


def _over_rows(values: Array) -> Array:
    """Return the mean of each column, as a product, which takes a fraction of the time of a reduction."""
    rows = len(values)
    return jnp.full(rows, 1 / rows, jnp.float32) @ values


def _layer(seen: LayerActivations, running: Tree, form: Form, n: Numbers) -> Array:
    """Return a hidden layer's values, ``(len(LAYER_VALUES),)``."""
    before, after = seen.before, seen.after
    flat = jnp.float32(0)
    if form.pieces == 1:
        beyond = np.array([BEYOND.get(name, np.inf) for name in ACTIVATIONS], np.float32)
        far = jnp.abs(before) > jnp.asarray(beyond)[n.activation]
        flat = _over_rows(far.astype(jnp.float32)).mean()
    place = "after" if form.after else "before"
    batch: Statistics = seen.statistics[place]
    kept: Statistics = running[place]
    kept_var = kept.var + n.norm_epsilon
    ratio = 0.5 * jnp.log((batch.var + n.norm_epsilon) / kept_var)
    batches = jnp.where(n.norm == BATCH, 1.0, jnp.nan)  # the other kinds keep no statistics
    # The order is that of `LAYER_VALUES`.
    return jnp.stack([
        flat,
        (_over_rows(jnp.abs(after)) == 0).mean(),
        jnp.sqrt(_over_rows(after * after).mean()),
        batches * (jnp.abs(batch.mean - kept.mean) / jnp.sqrt(kept_var)).mean(),
        batches * jnp.abs(ratio).mean(),
    ])  # fmt: skip


def _weights(parameters: Array, gradient: Array, new: Array, form: Form, sizes: NetSizes) -> Array:
    """Return norms of the gradient and of the weights, and what one step changes: ``(3, L + 1)``."""
    layout = net.form_layouts(form)[0]

    def norms(vector: Array) -> Array:
        means: list[Array] = []
        every = net.weights(layout.split(vector))
        for i, w in enumerate(every):
            # Padding is no weight: rows of the first layer, columns of the last.
            rows = sizes.fan_in if i == 0 else w.shape[-2]
            last = i == len(every) - 1 and form.task == "classification"
            size = rows * (sizes.classes if last else w.shape[-1])
            means.append((w * w).sum() / (size * (w.shape[0] if w.ndim > 2 else 1)))
        return jnp.sqrt(jnp.stack(means))

    weight = norms(parameters)
    # The order is that of `WEIGHT_VALUES`.
    update = norms(new - parameters) / jnp.maximum(weight, TINY)
    return jnp.stack([norms(gradient), weight, update])


def _mean(units: np.ndarray) -> np.ndarray:
    """Return means over a layer's units, ``(..., L)``; NaN where there are none, or the net has diverged."""
    missing = np.isnan(units)
    count = units.shape[-1] - missing.sum(-1)
    return np.where(missing, 0, units).sum(-1) / np.where(count, count, np.nan)


def collect(epochs: Sequence[int], probed: Sequence[Probed]) -> Probes:
    """Put a member's probes together, on the host."""
    units, layers, weights, net_values = (
        np.stack([getattr(p, name) for p in probed]) for name in Probed._fields
    )
    when = np.array(epochs, np.int32)
    mean, spread = units[:, 0], units[:, 1]  # (K, L, W) of K probes
    # The output layer has weights alone. All at once, as there may be more nets than seconds.
    found = np.full((len(LAYER), len(when), weights.shape[2]), np.nan, np.float32)
    found[0, :, :-1], found[1, :, :-1] = _mean(np.abs(mean)), _mean(spread)
    moved = _mean(np.abs(np.diff(mean, axis=0)) / np.maximum(spread[:-1], 1e-6))
    drift = moved / np.diff(when)[:, None]
    drift[when[:-1] == 0] = np.nan  # the weights are random then: moving from there is learning
    found[2, 1:, :-1] = drift
    found[3 : 3 + len(LAYER_VALUES), :, :-1] = np.moveaxis(layers, 2, 0)
    found[3 + len(LAYER_VALUES) :] = np.moveaxis(weights, 1, 0)
    return Probes(
        when,
        dict(zip(LAYER, found, strict=True)),
        {name: net_values[:, i].astype(np.float32) for i, name in enumerate(NET)},
    )
