"""From one member to many, and from functions to compiled programs: the only file that knows devices.

On a CPU a core trains one member at a time: a member's activations stay in that core's cache, choices between
members are true branches, and each member ends at its own early stop. Worker threads, one a core, run the same
program, compiled once, each on a CPU device of its own; the data is there once. On an accelerator a program trains
several members side by side (``vmap``), as many as fit its memory.

Programs are compiled for a `Form`: for sizes of nets, not for a table. Two serve a bucket: one that takes some steps,
one that evaluates some rows; the same that predicts later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import numpy as np
from jax import Array

from popnet.nn import net
from popnet.nn.inputs import Inputs
from popnet.nn.net import NetSizes
from popnet.population import epoch, feed, probes
from popnet.population.epoch import Rows, State
from popnet.population.optim import StepRule
from popnet.population.timetable import Step, Timetable
from popnet.runtime import cpu, typed_jax
from popnet.runtime.compiled import CompiledCache
from popnet.runtime.cpu import CPU_OPTIONS, Device
from popnet.runtime.keys import StepKeys
from popnet.runtime.typed_jax import on_host
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Form, Numbers
from popnet.types import Tree

T = TypeVar("T")

MAX_LANES = 256
"""Most members side by side on an accelerator."""


@dataclass(frozen=True)
class Place:
    """Where one worker trains: a device, and how many members side by side."""

    device: Device
    lanes: int


def places(workers: int | None = None) -> list[Place]:
    """Return a place for each worker: every core of a CPU (or ``workers`` of them), every accelerator."""
    cpu.prepare()
    devices = typed_jax.local_devices()
    if devices[0].platform == "cpu":
        return [Place(d, 1) for d in cpu.devices(workers or cpu.cores())]
    return [Place(d, MAX_LANES) for d in devices[: workers or len(devices)]]


def fitting_lanes(place: Place, form: Form, rows: int, members: int) -> int:
    """Return how many members of a form to train side by side at a place, given its memory.

    Args:
        place: where.
        form: the members'.
        rows: of the data, which the place holds once.
        members: how many are waiting.
    """
    if place.lanes == 1:
        return 1
    stats: dict[str, int] = place.device.memory_stats() or {}
    free = stats.get("bytes_limit", 8e9) - stats.get("bytes_in_use", 0)
    free = max(0.0, free - rows * feed.row_bytes(form))
    activations = form.batch_size * net.values(form)
    block = feed.block_batches(form) * form.batch_size * (feed.row_bytes(form) + 12)
    each = 4 * (10 * net.form_layouts(form)[0].size + 3 * activations) + block
    most = max(1, min(place.lanes, int(0.7 * free / each)))
    lanes = 1
    while lanes < min(most, members):  # powers of two: few different programs
        lanes *= 2
    return min(lanes, most)


def stack(trees: Sequence[T]) -> T:
    """Put trees of several members into one, with the members as the first axis."""

    def stacked(*leaves: np.ndarray) -> np.ndarray:
        return np.stack(leaves)

    return typed_jax.tree_map(stacked, *trees)


def _train_one(
    state: State, n: Numbers, sizes: NetSizes, timetable: Timetable, block: Rows, count: Array, *, form: Form
) -> State:  # fmt: skip
    return epoch.train_steps(state, n, sizes, timetable, block, count, form)


def _train_lanes(
    state: State, n: Numbers, sizes: NetSizes, timetable: Timetable, block: Rows, count: Array, *, form: Form
) -> State:  # fmt: skip
    def one(state: State, n: Numbers, sizes: NetSizes, timetable: Timetable, block: Rows) -> State:
        return epoch.train_steps(state, n, sizes, timetable, block, count, form)

    return jax.vmap(one)(state, n, sizes, timetable, block)


def _evaluate_one(
    weights: Array, running: Array, n: Numbers, inputs: Inputs, count: Array, view: Array | None, *, form: Form
) -> Array:  # fmt: skip
    return epoch.evaluate(weights, running, n, inputs, count, view, form)


def _evaluate_lanes(
    weights: Array, running: Array, n: Numbers, inputs: Inputs, count: Array, view: Array | None, *, form: Form
) -> Array:  # fmt: skip
    def one(weights: Array, running: Array, n: Numbers, inputs: Inputs) -> Array:
        return epoch.evaluate(weights, running, n, inputs, count, view, form)

    return jax.vmap(one)(weights, running, n, inputs)


def _probe(
    state: State, n: Numbers, sizes: NetSizes, rows: probes.ProbeRows, *, form: Form
) -> probes.Probed:  # fmt: skip
    return probes.probe(state, n, sizes, rows, form)


# The state of a member on a CPU is overwritten by the next one.
_train = CompiledCache(_train_one, donate_argnums=0, compiler_options=CPU_OPTIONS)
_lanes = CompiledCache(_train_lanes, donate_argnums=0)
_evaluate = CompiledCache(_evaluate_one, compiler_options=CPU_OPTIONS)
_evaluated_lanes = CompiledCache(_evaluate_lanes)
_prober = CompiledCache(_probe, compiler_options=CPU_OPTIONS)


class Program:
    """A bucket's compiled training at a place; compiled by `compile`, or with the first call.

    Args:
        form: the bucket's.
        device: where.
        lanes: members side by side; 1 trains a member without a member axis.
    """

    def __init__(self, form: Form, device: Device, lanes: int = 1) -> None:
        self.form, self.device, self.lanes = form, device, lanes
        self._compiled: Any = None

    @property
    def batches(self) -> int:
        """Return how many batches one call takes at most."""
        return feed.block_batches(self.form)

    @property
    def ready(self) -> bool:
        """Return whether it is compiled."""
        return self._compiled is not None

    def compile(self, *arguments: Tree) -> None:
        """Compile for arguments like these."""
        copies = _train if self.lanes == 1 else _lanes
        self._compiled = copies.on(self.device, *arguments, form=self.form)

    def __call__(
        self,
        state: State,
        n: Numbers,
        sizes: NetSizes,
        timetable: Timetable,
        block: Rows,
        count: int,
    ) -> State:
        """Take some steps and wait for the end; the state that is given is used up."""
        arguments = state, n, sizes, timetable, block, np.int32(count)
        if self._compiled is None:
            self.compile(*arguments)
        assert self._compiled is not None
        return self._compiled(*arguments)


def example(
    form: Form, inputs: Inputs, soft: int | None = None
) -> tuple[State, Numbers, NetSizes, Timetable, Rows, np.int32]:
    """Return arguments of a program that trains one member, of any values: what it is compiled for.

    Args:
        form: of the program.
        inputs: a block, as a feed makes it.
        soft: number of classes, where targets are probabilities of classes; None for other targets.
    """
    weights, running = (np.zeros(layout.size, np.float32) for layout in net.form_layouts(form))
    batches = inputs.rows.shape[:2]
    numbers = np.zeros((batches[0], len(Step._fields) + len(StepRule._fields)), np.float32)
    key = np.zeros(batches[0], np.uint32)
    keys = StepKeys(
        *map(on_host, (key, key, np.zeros((batches[0], net.dropouts(form)), np.uint32)))
    )
    if form.task == "regression":
        target = np.zeros((*batches, form.n_outputs), np.float32)
    elif soft is not None:
        target = np.zeros((*batches, soft), np.float32)
    else:
        target = np.zeros(batches, np.int32)
    floats = np.zeros(batches, np.float32)
    return (
        epoch.init(weights, running, form), Numbers.of(Recipe()),
        NetSizes(*map(on_host, (np.float32(1), np.float32(1)))), Timetable(on_host(numbers), keys),
        Rows(inputs, *map(on_host, (target, floats, floats))), np.int32(0),
    )  # fmt: skip


class Prober:
    """A bucket's probe at a place: compiled with the first state."""

    def __init__(self, form: Form, device: Device) -> None:
        self._form, self._device = form, device
        self._compiled: Any = None

    def __call__(
        self, state: State, n: Numbers, sizes: NetSizes, rows: probes.ProbeRows
    ) -> probes.Probed:
        """Return a probe of a member, whose state is left as it is."""
        arguments = state, n, sizes, rows
        if self._compiled is None:  # looking it up takes longer than many a probe
            self._compiled = _prober.on(self._device, *arguments, form=self._form)
        return jax.device_get(self._compiled(*arguments))


class Evaluator:
    """Compiled evaluation at a place, of nets of one form; compiled with the first call.

    Args:
        form: of the nets.
        device: where.
        lanes: nets side by side.
    """

    def __init__(self, form: Form, device: Device, lanes: int = 1) -> None:
        self.form, self.device, self.lanes = form, device, lanes
        self._compiled: dict[bool, Any] = {}

    def __call__(
        self, weights: Array | np.ndarray, running: Array | np.ndarray, n: Numbers, inputs: Inputs, count: int,
        view: int | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Return outputs ``(T, N, O)`` of T batches, padded ones too; see `begin`."""
        return np.asarray(self.begin(weights, running, n, inputs, count, view))

    def begin(
        self, weights: Array | np.ndarray, running: Array | np.ndarray, n: Numbers, inputs: Inputs, count: int,
        view: int | None = None,
    ) -> Array:  # fmt: skip
        """Return outputs ``(T, N, O)`` of T batches, which may still be computed (members are the first axis of lanes).

        Args:
            weights, running: of the net, padded.
            n: its recipe's numbers.
            inputs: T batches of N rows.
            count: batches that are real.
            view: number of another view of images; None for images as they are.
        """
        number = None if view is None else np.int32(view)
        arguments = weights, running, n, inputs, np.int32(count), number
        run = self._compiled.get(view is None)
        if run is None:
            copies = _evaluate if self.lanes == 1 else _evaluated_lanes
            run = copies.on(self.device, *arguments, form=self.form)
            self._compiled[view is None] = run
        return run(*arguments)
