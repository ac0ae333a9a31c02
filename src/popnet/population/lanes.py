"""One worker's nets in training: their states, the blocks of rows that they are given, the calls of their programs.

On a CPU that is one net at a time. On an accelerator several are trained side by side, with the member as the first
axis of all arrays, and stay on the device between calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from popnet.nn import net
from popnet.nn.inputs import Inputs
from popnet.nn.net import NetSizes
from popnet.population import epoch, feed, losses, program, stopping
from popnet.population.epoch import Rows, State
from popnet.population.feed import Arrays, Cut, Shaped, block_of, cut_of
from popnet.population.members import Member
from popnet.population.probes import ProbeRows, rows_of
from popnet.population.timetable import (
    MANY_ROWS,
    Step,
    Timetable,
    batch_counts,
    epoch_order,
    row_order,
    timetable,
)
from popnet.runtime import keys, typed_jax
from popnet.runtime.compiled import empty
from popnet.runtime.cpu import Device
from popnet.runtime.typed_jax import on_host
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Form, Numbers, Shape

PROBE = 6
"""Stream of random bits that probes use."""

EPOCHS_AT_ONCE = 16
"""Epochs that a timetable is made of."""

KEPT_BYTES = 2**21
"""Validation rows of a fold are gathered once for a worker's bucket where they are fewer bytes."""


class TrainingState(NamedTuple):
    """All that a member carries from one epoch to the next, on the host.

    Attributes:
        state: what programs change of it.
        best: the best epoch so far, with its weights.
        epoch: epochs done, int32.
    """

    state: epoch.State
    best: stopping.Best
    epoch: np.int32


def beginning(recipe: Recipe, shape: Shape, seed: int) -> TrainingState:
    """Return a member before its training."""
    form = Form.of(shape)
    weights, running = net.pad(*net.init(recipe, shape, seed), shape, form)
    state = epoch.init(weights, running, form)
    return TrainingState(state, stopping.init(weights.copy(), running.copy()), np.int32(0))


class Lane:
    """A net in training, as programs are told of it.

    Args:
        arrays: the run's data.
        member: which.
        shape: of its net.
        form: of its program.
        key: of its random bits, uint32.
        device: where it trains.
    """

    def __init__(
        self,
        arrays: Arrays,
        member: Member,
        shape: Shape,
        form: Form,
        key: np.uint32,
        device: Device,
    ) -> None:
        self.arrays, self.member, self.shape, self.form, self.key = arrays, member, shape, form, key
        self.rows, self.valid_rows = (np.asarray(r) for r in arrays.folds[member.fold])
        self.weights = feed.row_weights(arrays.train, self.rows, member.recipe.class_balance)
        self.numbers: Numbers = Numbers.of(member.recipe)
        self.sizes = NetSizes.of(shape)
        self.steps = arrays.steps(member.fold, form)
        self._parts = batch_counts(len(self.rows), arrays.parts(member.fold, form))
        self._order: tuple[int, np.ndarray] = (-1, self.rows)
        self._tables: tuple[int, Timetable] | None = None

    def epoch(self, number: int) -> tuple[np.ndarray, Cut, Timetable]:
        """Return an epoch with its number, from 0: its rows in order, how they are cut into batches, its timetable.

        With fewer steps than the rows have batches an epoch is a part of a pass over them, the next one the next part.
        """
        over, part = divmod(number, len(self._parts))
        first = int(self._parts[:part].sum())
        size = int(self._parts[part])
        cut = cut_of(size, self.steps, self.form.batch_size)
        order = self._ordered(over, first, first + size)
        return self.rows[order], cut, self._timetable(number, cut.counts)

    def _ordered(self, over: int, start: int, stop: int) -> np.ndarray:
        seed, n = self.member.seed, len(self.rows)
        if n > MANY_ROWS:
            return epoch_order(seed, over, n, start, stop)
        if self._order[0] != over:
            self._order = over, row_order(seed, over, n)
        return self._order[1][start:stop]

    def _timetable(self, number: int, counts: np.ndarray) -> Timetable:
        if len(self._parts) > 1:  # epochs of unequal size
            return self._tabled(number, 1, counts)
        # Several epochs at once: each by itself takes as long as many of a small table's steps.
        begun = number - number % EPOCHS_AT_ONCE
        if self._tables is None or self._tables[0] != begun:
            self._tables = begun, self._tabled(begun, EPOCHS_AT_ONCE, counts)
        start = (number - begun) * self.steps
        return self._tables[1].rows(slice(start, start + self.steps))

    def _tabled(self, first: int, epochs: int, counts: np.ndarray) -> Timetable:
        return timetable(
            self.member.recipe, self.member.seed, self.key, first, epochs, counts, self.form.heads,
            net.dropouts(self.form),
        )  # fmt: skip


class Lanes:
    """A worker's lanes of one form.

    Args:
        arrays: the run's data.
        form: of the programs.
        device: where.
        count: lanes; 1 trains a net without a member axis.
    """

    def __init__(self, arrays: Arrays, form: Form, device: Device, count: int = 1) -> None:
        self.arrays, self.form, self.device, self.count = arrays, form, device, count
        self.program = program.Program(form, device, count)
        self._evaluator = program.Evaluator(form, device, count)
        self._states: State | None = None
        self._kept: dict[Any, list[Inputs]] = {}
        self._blocks = _Blocks(count, (self.program.batches, form.batch_size))
        self.valid_blocks = _Blocks(count, (feed.EVALUATED_BATCHES, feed.evaluated_rows(form)))

    # --- states --------------------------------------------------------------------------------------

    def put(self, lane: int, state: State) -> None:
        """Put a member's state into a lane."""
        if self.count == 1:
            self._states = jax.device_put(state, self.device)
        elif self._states is None:
            self._states = jax.device_put(program.stack([state] * self.count), self.device)
        else:

            def with_lane(states: Array, own: Array) -> Array:
                return states.at[lane].set(own)

            self._states = typed_jax.tree_map(with_lane, self._states, state)

    def state(self, lane: int) -> State:
        """Return copies of a lane's state, on the host."""
        return typed_jax.tree_map(np.array, self.on_device(lane))

    def evaluated(self, lane: int) -> tuple[np.ndarray, np.ndarray]:
        """Return copies of the weights and running statistics that evaluation takes."""
        state = self.on_device(lane)
        return np.array(state.average), np.array(state.running)

    def on_device(self, lane: int) -> State:
        """Return a lane's state where it is."""
        assert self._states is not None
        if self.count == 1:
            return self._states

        def own(states: Array) -> Array:
            return states[lane]

        return typed_jax.tree_map(own, self._states)

    # --- training ------------------------------------------------------------------------------------

    def compile(self, lane: Lane) -> None:
        """Compile training and evaluation, for members like that of a lane."""
        arguments = self._arguments([lane] * self.count)
        self.program.compile(*arguments)
        valid = self.arrays.valid_feed
        blocks = [self.valid_blocks.of(k, valid, lane).inputs for k in range(self.count)]
        state, numbers = arguments[:2]
        inputs = self.valid_blocks.joined(blocks)
        self._evaluator(state.average, state.running, numbers, inputs, 0)

    def train_epoch(
        self, lanes: Sequence[Lane], epochs: Sequence[int]
    ) -> list[tuple[float, float, float]]:
        """Train each lane for one epoch; returns mean loss, mean penalty and last learning rate of each.

        Args:
            lanes: as many as there are; all of equally many steps.
            epochs: number of each one's epoch, from 0.
        """
        assert self._states is not None
        zeros = epoch.no_loss(self.form)
        if self.count > 1:
            zeros = tuple(np.stack([z] * self.count) for z in zeros)
        states = self._states._replace(loss=zeros[0], penalty=zeros[1])
        plans = [lane.epoch(e) for lane, e in zip(lanes, epochs, strict=True)]
        tables = [table for _, _, table in plans]
        told = self._told(lanes)
        steps, batches = lanes[0].steps, self.program.batches
        for start in range(0, steps, batches):
            stop = min(start + batches, steps)
            where = np.arange(start, start + batches)
            where[stop - start :] = start  # what is beyond the epoch is not looked at
            parts = [(rows[cut.places[where]], cut.shares[where]) for rows, cut, _ in plans]
            states = self.program(
                states,
                *told,
                self._joined([t.rows(where) for t in tables]),
                self._block(lanes, parts),
                stop - start,
            )
        self._states = states
        sums = [np.asarray(x).reshape(self.count, -1).sum(1) for x in (states.loss, states.penalty)]
        rates = [float(t.numbers[-1, 0]) for t in tables]
        return [(float(a), float(b), r) for a, b, r in zip(*sums, rates, strict=True)]

    def _told(self, lanes: Sequence[Lane]) -> tuple[Numbers, NetSizes]:
        if self.count == 1:
            return lanes[0].numbers, lanes[0].sizes
        return program.stack([lane.numbers for lane in lanes]), program.stack(
            [lane.sizes for lane in lanes]
        )

    def _joined(self, trees: Sequence[Any]) -> Any:
        return trees[0] if self.count == 1 else program.stack(trees)

    def _block(self, lanes: Sequence[Lane], parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> Rows:
        blocks: list[Rows] = []
        for k, (lane, (index, shares)) in enumerate(zip(lanes, parts, strict=True)):
            shaped = self._blocks.of(k, self.arrays.train_feed, lane)
            blocks.append(block_of(shaped, self.arrays.train, index, shares, lane.weights))
        inputs = self._blocks.joined([b.inputs for b in blocks])
        if self.count == 1:
            return blocks[0]._replace(inputs=inputs)
        rest = zip(*(b[1:] for b in blocks), strict=True)
        return Rows(inputs, *map(on_host, map(np.stack, rest)))

    def _arguments(self, lanes: Sequence[Lane]) -> tuple[Any, ...]:
        shaped = [self._blocks.of(k, self.arrays.train_feed, lane) for k, lane in enumerate(lanes)]
        data = self.arrays.train
        soft = data.n_outputs if data.soft else None
        one = program.example(self.form, shaped[0].inputs, soft)
        if self.count == 1:
            return one
        many = [program.stack([tree] * self.count) for tree in one[:4]]
        rows = one[4]
        inputs = self._blocks.joined([s.inputs for s in shaped])
        block = Rows(inputs, *map(on_host, (np.stack([x] * self.count) for x in rows[1:])))
        return *many, block, one[5]

    def probe_rows(self, lane: Lane, number: int) -> ProbeRows:
        """Return what a probe of a lane before its epoch with this number looks at."""
        data, n, form = self.arrays.train, len(lane.rows), self.form
        seed, recipe = lane.member.seed, lane.member.recipe
        rng = keys.generator(seed, "probe")
        some = rng.permutation(n) if n <= MANY_ROWS else rng.choice(n, MANY_ROWS, replace=False)
        order = lane.rows[some]
        size, batch = rows_of(form), min(form.batch_size, max(n // 2, 1))

        def gathered(index: np.ndarray, shares: np.ndarray, weights: np.ndarray | None) -> Rows:
            shaped = self.arrays.train_feed.shaped(lane.shape, form, recipe, index.shape)
            return block_of(shaped, data, index, shares, weights)

        weights = feed.row_weights(data, lane.rows, 0.0)
        equal = np.full((1, size), 1 / size, np.float32)
        plain = gathered(np.resize(order, (1, size)), equal, weights)
        inputs = plain.inputs.with_rows(plain.inputs.rows[0])
        plain = Rows(inputs, plain.target[0], plain.share[0], plain.weight[0])
        begun = 997 * number  # batches are others each time
        places = order[(begun + np.arange(2 * batch)) % len(order)]
        cut = cut_of(2 * batch, 2, form.batch_size)
        batches = gathered(places[cut.places], cut.shares, lane.weights)
        # The numbers of the member's next step, with random bits that it does not use.
        numbers = np.asarray(lane.epoch(number)[2].numbers)[[0, 0]]
        numbers[:, Step._fields.index("rows")] = batch
        key = keys.fold_in(keys.fold_in(lane.key, PROBE), number)
        step_keys = keys.StepKeys.of(np.repeat(key, 2), 2, net.dropouts(form))
        table = Timetable(on_host(numbers), step_keys)
        return ProbeRows(plain, batches, table)

    # --- evaluation ----------------------------------------------------------------------------------

    def validate(self, lanes: Sequence[Lane]) -> list[tuple[float, float]]:
        """Return loss and error of each lane's validation rows, as its net would be evaluated now."""
        assert self._states is not None
        weights, running = self._states.average, self._states.running
        numbers, _ = self._told(lanes)
        rows = [lane.valid_rows for lane in lanes]
        calls = [self._valid_inputs(k, lane) for k, lane in enumerate(lanes)]
        outputs: list[list[np.ndarray]] = [[] for _ in lanes]
        size = feed.EVALUATED_BATCHES * feed.evaluated_rows(self.form)
        for call in range(max(map(len, calls))):
            inputs = [c[min(call, len(c) - 1)] for c in calls]
            left = max(len(r) for r in rows) - call * size
            count = min(feed.EVALUATED_BATCHES, -(-left // feed.evaluated_rows(self.form)))
            joined = self._joined(inputs)
            found = self._evaluator(weights, running, numbers, joined, count)
            found = found.reshape(self.count, size, -1)
            for k, some in enumerate(outputs):
                some.append(found[k])
        data = self.arrays.valid
        scores: list[tuple[float, float]] = []
        for lane, some in zip(lanes, outputs, strict=True):
            own = np.concatenate(some)[: len(lane.valid_rows), : lane.shape.n_outputs]
            target = np.asarray(data.target)[lane.valid_rows]
            weight = np.ones(len(target), np.float32)
            if data.weights is not None:
                weight = np.asarray(data.weights, np.float32)[lane.valid_rows]
            scores.append(losses.scores(own, target, weight, data.task))
        return scores

    def _valid_inputs(self, k: int, lane: Lane) -> Sequence[Inputs]:
        """Return the blocks of a lane's validation rows, kept where they are small."""
        rows, size = lane.valid_rows, feed.EVALUATED_BATCHES * feed.evaluated_rows(self.form)
        recipe = lane.member.recipe
        key = lane.member.fold, lane.shape, recipe.embedding_quantiles
        if key in self._kept:
            return self._kept[key]
        keep = len(rows) * feed.row_bytes(self.form) <= KEPT_BYTES
        if not keep:
            return _Gathered(self, k, lane)
        found: list[Inputs] = []
        for start in range(0, len(rows), size):
            shaped = self.arrays.valid_feed.shaped(
                lane.shape, self.form, recipe, self.valid_blocks.batches
            )
            inputs = shaped.take(evaluated(rows[start : start + size], self.form))
            found.append(jax.device_put(inputs, self.device) if self.count == 1 else inputs)
        self._kept[key] = found
        return found


class _Gathered(Sequence[Any]):
    """The blocks of many validation rows, each gathered when it is asked for."""

    def __init__(self, lanes: Lanes, k: int, lane: Lane) -> None:
        self._lanes, self._k, self._lane = lanes, k, lane
        self._size = feed.EVALUATED_BATCHES * feed.evaluated_rows(lanes.form)

    def __len__(self) -> int:
        return -(-len(self._lane.valid_rows) // self._size)

    def __getitem__(self, i: Any) -> Inputs:
        lanes, rows = self._lanes, self._lane.valid_rows[i * self._size : (i + 1) * self._size]
        shaped = lanes.valid_blocks.of(self._k, lanes.arrays.valid_feed, self._lane)
        return shaped.take(evaluated(rows, lanes.form))


def evaluated(rows: np.ndarray, form: Form) -> np.ndarray:
    """Return up to a call's rows as ``(T, N)`` row numbers to evaluate, filled up with the first."""
    index = np.full((feed.EVALUATED_BATCHES, feed.evaluated_rows(form)), rows[0])
    index.reshape(-1)[: len(rows)] = rows
    return index


class _Blocks:
    """Where a worker's lanes gather rows: one array for all, so that it goes to the device as it is."""

    def __init__(self, count: int, batches: tuple[int, int]) -> None:
        self.count, self.batches = count, batches
        self._of: dict[Any, Shaped] = {}
        self._array: np.ndarray | None = None

    def of(self, k: int, source: feed.Feed, lane: Lane) -> Shaped:
        """Return the place of lane number k."""
        key = k, lane.shape, lane.member.recipe.embedding_quantiles
        if key not in self._of:
            shaped = source.shaped(lane.shape, lane.form, lane.member.recipe, self.batches)
            rows = shaped.inputs.rows
            if self._array is None:
                self._array = empty((self.count, *rows.shape), rows.dtype)
                self._array[:] = 0
            inputs = shaped.inputs.with_rows(on_host(self._array[k]))
            self._of[key] = shaped._replace(inputs=inputs)
        return self._of[key]

    def joined(self, inputs: Sequence[Inputs]) -> Inputs:
        """Return the inputs of all lanes as one."""
        if self.count == 1:
            return inputs[0]
        assert self._array is not None
        nothing, array = on_host(np.zeros(0)), on_host(self._array)
        return program.stack([i.with_rows(nothing) for i in inputs]).with_rows(array)
