"""Single passes through nets: gradients of their layers, what units give, outputs with dropout left on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from popnet import keys
from popnet.augment.rows import Pairs
from popnet.copies import Copies, deal
from popnet.course.bench import Bench
from popnet.cpu import CPU_OPTIONS, Device
from popnet.nn import net
from popnet.nn.block import Seen
from popnet.nn.inputs import Columns
from popnet.population import program
from popnet.population.epoch import Rows, batch_loss
from popnet.population.members import Member, Result
from popnet.shape import Numbers, Shape
from popnet.types import Array, Tree

ROWS = 256
"""Rows that a gradient is taken of: one large batch."""


class State(NamedTuple):
    """A net as it stands: its member, shape and weights."""

    member: Member
    shape: Shape
    parameters: Tree


def untrained(bench: Bench, members: Sequence[Member]) -> list[State]:
    """Return nets with their initial weights."""
    found = []
    for m in members:
        shape = Shape.of(m.recipe, bench.table.data)
        found.append(State(m, shape, net.init(m.recipe, shape, m.seed)[0]))
    return found


def trained(results: Sequence[Result]) -> list[State]:
    """Return nets with the weights of their results."""
    return [State(r.member, r.shape, r.parameters) for r in results]


def _gradients(
    parameters: Array, n: Numbers, rows: Rows, share: Array, classes: Array, key: Array, *, shape: Shape
) -> Array:  # fmt: skip
    layout = net.layouts(shape)[0]

    def loss(vector: Array) -> Array:
        return batch_loss(layout.split(vector), shape, n, rows, share, classes, key)[0]

    gradient = layout.split(jax.grad(loss)(parameters))
    # Divided by the largest first: squares of very small numbers would be 0.
    largest = [jnp.maximum(jnp.abs(w).max(), 1e-36) for w in net.weights(gradient)]
    scaled = [w / top for w, top in zip(net.weights(gradient), largest, strict=True)]
    return jnp.stack([t * jnp.sqrt((w * w).mean()) for w, t in zip(scaled, largest, strict=True)])


def _units(
    parameters: Array, n: Numbers, rows: Rows, share: Array, key: Array, *, shape: Shape
) -> Array:
    seen: list[Seen] = []
    pairs = Pairs(jnp.zeros(len(share), jnp.int32), jnp.float32(1), jnp.bool_(False))
    split = net.layouts(shape)[0].split(parameters)
    assert isinstance(rows.inputs, Columns)
    net.train(split, shape, n, rows.inputs, share, pairs, key, seen)
    return jnp.stack([s.after.max(0) - s.after.min(0) for s in seen])


def _noisy(
    parameters: Array, n: Numbers, rows: Rows, share: Array, key: Array, *, shape: Shape
) -> Array:
    pairs = Pairs(jnp.zeros(len(share), jnp.int32), jnp.float32(1), jnp.bool_(False))
    split = net.layouts(shape)[0].split(parameters)
    assert isinstance(rows.inputs, Columns)
    return net.train(split, shape, n, rows.inputs, share, pairs, key)[0]


_gradient_program = Copies(_gradients, compiler_options=CPU_OPTIONS)
_unit_program = Copies(_units, compiler_options=CPU_OPTIONS)
_noisy_program = Copies(_noisy, compiler_options=CPU_OPTIONS)


def gradients(bench: Bench, states: Sequence[State]) -> list[np.ndarray]:
    """Return the root mean square of the loss's gradient to each layer's weights, ``(L + 1,)`` of each net.

    The gradient is that of one batch of up to `ROWS` of the rows to train on, drawn by the net's seed, without dropout.
    """
    size = min(ROWS, len(bench.table.pool))

    def one(state: State, device: Device) -> np.ndarray:
        rng = keys.generator(state.member.seed, "claims", "gradient")
        rows = _rows(bench, rng.permutation(bench.table.pool)[:size])
        classes = np.ones(bench.table.data.n_outputs, np.float32)
        arguments = (
            _vector(state), _without_noise(state), rows, _equal(size), classes, np.uint32(0),
        )  # fmt: skip
        shape = replace(state.shape, batch_size=size)
        run = _gradient_program.on(device, *arguments, shape=shape)
        return np.asarray(run(*arguments))

    return _each(bench, states, one)


def ranges(bench: Bench, states: Sequence[State]) -> list[np.ndarray]:
    """Return the range of each unit's values over training rows of its net, largest less smallest, ``(L, W)``.

    As many rows for each as the net with the fewest has.
    """
    folds = [bench.table.folds[s.member.fold][0] for s in states]
    size = min(map(len, folds), default=0)

    def one(state: State, device: Device) -> np.ndarray:
        rows = _rows(bench, bench.table.folds[state.member.fold][0][:size])
        arguments = _vector(state), _without_noise(state), rows, _equal(size), np.uint32(0)
        run = _unit_program.on(device, *arguments, shape=state.shape)
        return np.asarray(run(*arguments))

    return _each(bench, states, one)


def noisy(bench: Bench, states: Sequence[State], passes: int) -> np.ndarray:
    """Return outputs of nets on the test rows with their dropout left on, ``(M, passes, N, O)``."""
    rows = _rows(bench, bench.table.test)
    share = _equal(len(bench.table.test))

    def one(state: State, device: Device) -> np.ndarray:
        found = []
        for k in range(passes):
            key = keys.key(state.member.seed, "claims", "pass", k)
            arguments = _vector(state), Numbers.of(state.member.recipe), rows, share, key
            run = _noisy_program.on(device, *arguments, shape=state.shape)
            found.append(np.asarray(run(*arguments)))
        return np.stack(found)

    return np.stack(_each(bench, states, one))


def _each(
    bench: Bench, states: Sequence[State], one: Callable[[State, Device], np.ndarray]
) -> list[np.ndarray]:
    """Do something with each net, on all workers."""
    found: dict[int, np.ndarray] = {}

    def work(device: Device, i: int) -> None:
        bench.check()
        found[i] = one(states[i], device)

    deal(work, range(len(states)), [p.device for p in program.places(bench.workers)])
    return [found[i] for i in range(len(states))]


def _vector(state: State) -> Array:
    return net.layouts(state.shape)[0].join(state.parameters)


def _without_noise(state: State) -> Numbers:
    recipe = state.member.recipe
    return Numbers.of(recipe.replace(dropout=0.0, input_dropout=0.0, input_noise=0.0, mixup=0.0))


def _equal(size: int) -> np.ndarray:
    return np.full(size, 1 / size, np.float32)


def _rows(bench: Bench, rows: Array) -> Rows:
    data = bench.table.data
    inputs = program.inputs(data.features.take(rows))
    return Rows(inputs, np.asarray(data.target)[rows], np.ones(len(rows), np.float32))
