"""Single passes through nets: gradients of their layers, what units give, outputs with dropout left on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from popnet.augment.rows import Pairs
from popnet.course.lab import Bench
from popnet.nn import net
from popnet.nn.block import LayerActivations
from popnet.nn.inputs import Columns
from popnet.nn.net import NetSizes
from popnet.population import feed, program
from popnet.population.epoch import Rows, batch_loss
from popnet.population.members import Member, Result
from popnet.population.timetable import Step
from popnet.runtime import keys
from popnet.runtime.compiled import CompiledCache, map_over_devices
from popnet.runtime.cpu import CPU_OPTIONS, Device
from popnet.runtime.keys import StepKeys
from popnet.spec.shape import Form, Numbers, Shape
from popnet.types import Tree

ROWS = 256
"""Rows that a gradient is taken of: one large batch."""


class NetSnapshot(NamedTuple):
    """A net as it stands: its member, shape and weights."""

    member: Member
    shape: Shape
    parameters: Tree


def untrained(bench: Bench, members: Sequence[Member]) -> list[NetSnapshot]:
    """Return nets with their initial weights."""
    found: list[NetSnapshot] = []
    for m in members:
        shape = Shape.of(m.recipe, bench.table.data)
        found.append(NetSnapshot(m, shape, net.init(m.recipe, shape, m.seed)[0]))
    return found


def trained(results: Sequence[Result]) -> list[NetSnapshot]:
    """Return nets with the weights of their results."""
    return [NetSnapshot(r.member, r.shape, r.parameters) for r in results]


def _gradients(parameters: Array, n: Numbers, sizes: NetSizes, rows: Rows, *, form: Form) -> Array:
    layout = net.form_layouts(form)[0]

    def loss(vector: Array) -> Array:
        tree = layout.split(vector)
        return batch_loss(tree, form, n, sizes, rows, _plain_step(rows), _no_keys(form))[0]

    gradient = layout.split(cast("Array", jax.grad(loss)(parameters)))
    found: list[Array] = []
    every = net.weights(gradient)
    for i, w in enumerate(every):
        # Padding is no weight: rows of the first layer, columns of the last.
        size = (sizes.fan_in if i == 0 else w.shape[0]) * (
            sizes.classes if i == len(every) - 1 else w.shape[1]
        )
        # Divided by the largest first: squares of very small numbers would be 0.
        top = jnp.maximum(jnp.abs(w).max(), 1e-36)
        found.append(top * jnp.sqrt(((w / top) ** 2).sum() / size))
    return jnp.stack(found)


def _units(parameters: Array, n: Numbers, rows: Rows, *, form: Form) -> Array:
    seen: list[LayerActivations] = []
    _passed(parameters, n, rows, _no_keys(form), form, seen)
    return jnp.stack([s.after.max(0) - s.after.min(0) for s in seen])


def _noisy(parameters: Array, n: Numbers, rows: Rows, step_keys: StepKeys, *, form: Form) -> Array:
    return _passed(parameters, n, rows, step_keys, form, None)


def _passed(
    parameters: Array, n: Numbers, rows: Rows, step_keys: StepKeys, form: Form, seen: list[LayerActivations] | None
) -> Array:  # fmt: skip
    """Return a net's outputs in training mode, ``(N, O)``, without mixup."""
    pairs = Pairs(jnp.zeros(len(rows.share), jnp.int32), jnp.float32(1), jnp.bool_(False))
    split = net.form_layouts(form)[0].split(parameters)
    assert isinstance(rows.inputs, Columns)
    return net.train(split, form, n, rows.inputs, rows.share, pairs, step_keys, seen)[0]


def _plain_step(rows: Rows) -> Step:
    """Return the numbers of a step that changes nothing: only mixing and the number of rows are looked at."""
    none = jnp.float32(0)
    step = Step(*(none for _ in Step._fields))
    return step._replace(mixing=jnp.float32(1), rows=jnp.float32(len(rows.share)))


def _no_keys(form: Form) -> StepKeys:
    key = jnp.zeros((), jnp.uint32)
    return StepKeys(key, key, jnp.zeros(net.dropouts(form), jnp.uint32))


_gradient_program = CompiledCache(_gradients, compiler_options=CPU_OPTIONS)
_unit_program = CompiledCache(_units, compiler_options=CPU_OPTIONS)
_noisy_program = CompiledCache(_noisy, compiler_options=CPU_OPTIONS)


def gradients(bench: Bench, states: Sequence[NetSnapshot]) -> list[np.ndarray]:
    """Return the root mean square of the loss's gradient to each layer's weights, ``(L + 1,)`` of each net.

    The gradient is that of one batch of up to `ROWS` of the rows to train on, drawn by the net's seed, without dropout.
    """
    size = min(ROWS, len(bench.table.pool))

    def one(state: NetSnapshot, device: Device) -> np.ndarray:
        rng = keys.generator(state.member.seed, "claims", "gradient")
        ready = _Ready(bench, state, rng.permutation(bench.table.pool)[:size])
        sizes = NetSizes.of(state.shape)
        arguments = ready.weights, _without_noise(state), sizes, ready.rows
        form = replace(ready.form, batch_size=size)
        return np.asarray(_gradient_program.on(device, *arguments, form=form)(*arguments))

    return _each(bench, states, one)


def ranges(bench: Bench, states: Sequence[NetSnapshot]) -> list[np.ndarray]:
    """Return the range of each unit's values over training rows of its net, largest less smallest, ``(L, W)``.

    As many rows for each as the net with the fewest has.
    """
    folds = [bench.table.folds[s.member.fold][0] for s in states]
    size = min(map(len, folds), default=0)

    def one(state: NetSnapshot, device: Device) -> np.ndarray:
        ready = _Ready(bench, state, bench.table.folds[state.member.fold][0][:size])
        arguments = ready.weights, _without_noise(state), ready.rows
        return np.asarray(_unit_program.on(device, *arguments, form=ready.form)(*arguments))

    return _each(bench, states, one)


def noisy(bench: Bench, states: Sequence[NetSnapshot], passes: int) -> np.ndarray:
    """Return outputs of nets on the test rows with their dropout left on, ``(M, passes, N, O)``."""

    def one(state: NetSnapshot, device: Device) -> np.ndarray:
        ready = _Ready(bench, state, bench.table.test)
        found: list[np.ndarray] = []
        for k in range(passes):
            key = keys.key(state.member.seed, "claims", "pass", k)
            every = StepKeys.of(np.atleast_1d(key), 1, net.dropouts(ready.form))
            step_keys = StepKeys(*(k[0] for k in every))
            arguments = ready.weights, Numbers.of(state.member.recipe), ready.rows, step_keys
            run = _noisy_program.on(device, *arguments, form=ready.form)
            found.append(np.asarray(run(*arguments))[:, : state.shape.n_outputs])
        return np.stack(found)

    return np.stack(_each(bench, states, one))


class _Ready:
    """A net and some rows as programs take them.

    Args:
        bench: whose rows.
        state: the net.
        index: row numbers.
    """

    def __init__(self, bench: Bench, state: NetSnapshot, index: np.ndarray) -> None:
        data, shape, recipe = bench.table.data, state.shape, state.member.recipe
        self.form = Form.of(shape)
        running = net.init(recipe, shape, 0)[1]  # not looked at in training mode
        self.weights, _ = net.pad(state.parameters, running, shape, self.form)
        size = len(index)
        equal = np.full((1, size), 1 / size, np.float32)
        shaped = feed.Feed(data.features).shaped(shape, self.form, recipe, (1, size))
        block = feed.block_of(shaped, data, np.asarray(index)[None], equal, None)
        inputs = block.inputs.with_rows(block.inputs.rows[0])
        self.rows = Rows(inputs, block.target[0], block.share[0], block.weight[0])


def _each(
    bench: Bench, states: Sequence[NetSnapshot], one: Callable[[NetSnapshot, Device], np.ndarray]
) -> list[np.ndarray]:
    """Do something with each net, on all workers."""
    found: dict[int, np.ndarray] = {}

    def work(device: Device, i: int) -> None:
        bench.check()
        found[i] = one(states[i], device)

    map_over_devices(work, range(len(states)), [p.device for p in program.places(bench.workers)])
    return [found[i] for i in range(len(states))]


def _without_noise(state: NetSnapshot) -> Numbers:
    recipe = state.member.recipe
    return Numbers.of(recipe.replace(dropout=0.0, input_dropout=0.0, input_noise=0.0, mixup=0.0))
