"""From one member to many, and from functions to compiled programs: the only file that knows devices.

On a CPU a core trains one member at a time: a member's activations stay in that core's cache, choices between
members are true branches, and each member ends at its own early stop. Worker threads, one a core, run the same
program, compiled once, each on a CPU device of its own; the data is there once. On an accelerator a program trains
several members side by side (``vmap``), as many as fit its memory.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import numpy as np

from popnet import cpu
from popnet.copies import Copies, empty
from popnet.cpu import CPU_OPTIONS, Device
from popnet.dataset import Dataset, Features, Images
from popnet.errors import InputError
from popnet.nn import net
from popnet.nn.inputs import Columns, Inputs, Pixels
from popnet.population import augmented, epoch, probes
from popnet.shape import Numbers, Shape
from popnet.types import Array, Tree

MOST_LANES = 256
"""Most members side by side on an accelerator."""


@dataclass(frozen=True)
class Place:
    """Where one worker trains: a device, and how many members side by side."""

    device: Device
    lanes: int


def places(workers: int | None = None) -> list[Place]:
    """Return a place for each worker: every core of a CPU (or ``workers`` of them), every accelerator."""
    cpu.prepare()
    devices = jax.local_devices()
    if devices[0].platform == "cpu":
        return [Place(d, 1) for d in cpu.devices(workers or cpu.cores())]
    return [Place(d, MOST_LANES) for d in devices[: workers or len(devices)]]


def fitting_lanes(place: Place, shape: Shape, rows: int, members: int) -> int:
    """Return how many members of a shape to train side by side at a place, given its memory.

    Args:
        place: where.
        shape: the members' shape.
        rows: training rows (each member holds an order of them).
        members: how many are waiting.
    """
    if place.lanes == 1:
        return 1
    stats = place.device.memory_stats() or {}
    free = stats.get("bytes_limit", 8e9) - stats.get("bytes_in_use", 0)
    activations = shape.batch_size * net.values(shape)
    each = 4 * (10 * net.layouts(shape)[0].size + 3 * activations + 4 * rows)
    most = max(1, min(place.lanes, int(0.7 * free / each)))
    lanes = 1
    while lanes < min(most, members):  # powers of two: few different programs
        lanes *= 2
    return min(lanes, most)


@dataclass(eq=False)
class Arrays:
    """A run's data: training and validation rows and the folds, put on each device once.

    Attributes:
        train: rows to train on.
        valid: rows to validate on; the same object with cross-validation.
        folds: ``(train, valid)`` row numbers of each fold.
        epoch_rows: of an epoch at most: with more training rows it is a part of a pass over them, so that even a short
            training of very many rows is validated and has a whole schedule; None for a pass.
    """

    train: Dataset
    valid: Dataset
    folds: Sequence[tuple[Array, Array]]
    epoch_rows: int | None = None
    _on_device: dict[Any, Any] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        for i, (train, valid) in enumerate(self.folds):
            if not len(train) or not len(valid):
                raise InputError(
                    f"fold {i} has {len(train)} training and {len(valid)} validation rows."
                )
            for name, index, data in (
                ("training", train, self.train),
                ("validation", valid, self.valid),
            ):
                if np.min(index) < 0 or np.max(index) >= len(data):
                    raise InputError(
                        f"fold {i}: its {name} rows reach outside the {len(data)} rows."
                    )

    def steps(self, fold: int, shape: Shape) -> int:
        """Return the number of batches of an epoch."""
        rows = len(self.folds[fold][0])
        parts = math.ceil(rows / (self.epoch_rows or rows))
        return math.ceil(math.ceil(rows / parts) / shape.batch_size)

    def parts(self, fold: int, shape: Shape) -> int:
        """Return the number of epochs that are a pass over the training rows."""
        room = self.steps(fold, shape) * shape.batch_size
        return -(-len(self.folds[fold][0]) // room)

    def on(self, device: Device, batch_size: int) -> tuple[epoch.Rows, epoch.Rows, epoch.Folds]:
        """Return training rows, validation rows and folds on a device. Those of a CPU share the host's memory."""
        with self._lock:
            if (device, "rows") not in self._on_device:
                train, valid = self._host
                put = jax.device_put(train, device)
                same = valid is train
                self._on_device[device, "rows"] = (
                    put,
                    put if same else jax.device_put(valid, device),
                )
            if (device, batch_size) not in self._on_device:
                folds = jax.device_put(self._folds(batch_size), device)
                self._on_device[device, batch_size] = folds
            return *self._on_device[device, "rows"], self._on_device[device, batch_size]

    @cached_property
    def _host(self) -> tuple[epoch.Rows, epoch.Rows]:
        train = _rows(self.train)
        return train, train if self.valid is self.train else _rows(self.valid)

    def _folds(self, batch_size: int) -> epoch.Folds:
        chunk = epoch.EVALUATION_ROWS
        train_length = rounded(max(len(t) for t, _ in self.folds)) + batch_size
        valid_length = -(-rounded(max(len(v) for _, v in self.folds)) // chunk) * chunk

        def filled(index: Array, length: int) -> np.ndarray:
            # Filled with a row of the fold itself: others may hold NaN, and 0 * NaN is NaN.
            out = np.full(length, index[0], np.int32)
            out[: len(index)] = index
            return out

        # A power of two of them, so that more or fewer folds share compiled programs.
        count = 2 ** (len(self.folds) - 1).bit_length()
        folds = [*self.folds, *[self.folds[0]] * (count - len(self.folds))]
        return epoch.Folds(
            train=np.stack([filled(t, train_length) for t, _ in folds]),
            n_train=np.array([len(t) for t, _ in folds], np.int32),
            valid=np.stack([filled(v, valid_length) for _, v in folds]),
            n_valid=np.array([len(v) for _, v in folds], np.int32),
            class_weight=np.stack([class_weight(self.train, t) for t, _ in folds]),
        )


def class_weight(data: Dataset, index: Array) -> np.ndarray:
    """Return ``(O,)`` float32: rows / (classes * rows of the class) over some rows; 1 for absent classes."""
    if data.task == "regression":
        return np.ones(data.n_outputs, np.float32)
    counts = np.bincount(np.asarray(data.target)[index], minlength=data.n_outputs)
    present = np.maximum(counts, 1)
    return np.where(counts > 0, len(index) / (data.n_outputs * present), 1.0).astype(np.float32)


def rounded(n: int) -> int:
    """Return ``n`` rounded up to a number with three significant bits, at least 64.

    Arrays that hold one row more or less then have the same shape, and share compiled programs.
    """
    step = 2 ** max(0, n.bit_length() - 4)
    return max(64, -(-n // step) * step)


def _rows(data: Dataset) -> epoch.Rows:
    weights = data.weights if data.weights is not None else np.ones(len(data), np.float32)

    def filled(x: Array) -> np.ndarray:
        out = empty((rounded(len(data)), *x.shape[1:]), x.dtype)
        out[: len(data)], out[len(data) :] = x, 0
        return out

    return epoch.Rows(
        inputs(data.features).map_rows(filled),
        filled(data.target),
        filled(np.asarray(weights, np.float32)),
    )


def inputs(features: Features | Images) -> Inputs:
    """Return features as the nets take them."""
    if isinstance(features, Images):
        return Pixels(features.pixels, features.mean, features.std, features.background)
    knots = features.knots
    if knots is None:
        knots = np.zeros((features.numeric.shape[1], 0), np.float32)
    return Columns(features.numeric, features.flags, features.codes, knots)


def stack(trees: Sequence[Tree]) -> Tree:
    """Put trees of several members into one, with the members as the first axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def _train_one(
    state: epoch.State, n: Numbers, fold: Array, train: epoch.Rows, valid: epoch.Rows, folds: epoch.Folds,
    steps: Array, epochs: Array, *, shape: Shape,
) -> tuple[epoch.State, Array]:  # fmt: skip
    return epoch.train_epochs(state, n, fold, shape, train, valid, folds, steps, epochs)


def _train_lanes(
    state: epoch.State, n: Numbers, fold: Array, train: epoch.Rows, valid: epoch.Rows, folds: epoch.Folds,
    steps: Array, epochs: Array, *, shape: Shape,
) -> tuple[epoch.State, Array]:  # fmt: skip
    def one(state: epoch.State, n: Numbers, fold: Array) -> tuple[epoch.State, Array]:
        return epoch.train_epochs(state, n, fold, shape, train, valid, folds, steps, epochs)

    return jax.vmap(one)(state, n, fold)


_one = Copies(_train_one, donate_argnums=0, compiler_options=CPU_OPTIONS)
_lanes = Copies(_train_lanes, donate_argnums=0)


class Program:
    """A bucket's compiled program at a place.

    Args:
        shape: the bucket's.
        arrays: the run's data.
        device: where.
        lanes: members side by side; 1 trains a member without a member axis.
    """

    def __init__(self, shape: Shape, arrays: Arrays, device: Device, lanes: int) -> None:
        self.shape, self.lanes, self.device = shape, lanes, device
        self._data = arrays.on(device, shape.batch_size)
        self._compiled: Any = None

    def compile(self, state: epoch.State, n: Numbers) -> None:
        """Compile for arguments like these (with a member axis if there are several lanes)."""
        one = np.int32(1)
        fold = one if self.lanes == 1 else np.zeros(self.lanes, np.int32)
        copies = _one if self.lanes == 1 else _lanes
        arguments = state, n, fold, *self._data, one, one
        self._compiled = copies.on(self.device, *arguments, shape=self.shape)

    def __call__(
        self, state: epoch.State, n: Numbers, fold: Array, steps: int, epochs: int
    ) -> tuple[epoch.State, np.ndarray]:
        """Train for some epochs and wait for the end. Returns the state (on the device) and the curves."""
        state, curves = self._compiled(
            state, n, fold, *self._data, np.int32(steps), np.int32(epochs)
        )
        return state, np.asarray(curves)


def _probe(
    state: epoch.State, n: Numbers, fold: Array, train: epoch.Rows, folds: epoch.Folds, steps: Array,
    *, shape: Shape,
) -> probes.Probed:  # fmt: skip
    return probes.probe(state, n, fold, shape, train, folds, steps)


_prober = Copies(_probe, compiler_options=CPU_OPTIONS)


class Prober:
    """A bucket's probe at a place: compiled with the first state."""

    def __init__(self, shape: Shape, arrays: Arrays, device: Device) -> None:
        self._shape, self._device = shape, device
        self._train, _, self._folds = arrays.on(device, shape.batch_size)
        self._compiled: Any = None

    def __call__(self, state: epoch.State, n: Numbers, fold: int, steps: int) -> probes.Probed:
        """Look into a member, which is left as it is."""
        arguments = state, n, np.int32(fold), self._train, self._folds, np.int32(steps)
        if self._compiled is None:  # looking it up takes longer than many a probe
            self._compiled = _prober.on(self._device, *arguments, shape=self._shape)
        return jax.device_get(self._compiled(*arguments))


def _evaluate(parameters: Array, running: Array, n: Numbers, x: Inputs, *, shape: Shape) -> Array:
    layout, running_layout = net.layouts(shape)
    return net.evaluate(layout.split(parameters), running_layout.split(running), shape, n, x)


def _evaluate_view(
    parameters: Array, running: Array, n: Numbers, x: Pixels, number: Array, *, shape: Shape
) -> Array:
    return _evaluate(parameters, running, n, augmented.view(n, x, number), shape=shape)


_chunk = Copies(_evaluate, compiler_options=CPU_OPTIONS)
_view = Copies(_evaluate_view, compiler_options=CPU_OPTIONS)


def predict_chunk(
    parameters: Array, running: Array, n: Numbers, shape: Shape, x: Inputs, device: Device
) -> np.ndarray:
    """Return one net's outputs ``(N, O)`` for a few rows; compiles once for each number of rows."""
    arguments = parameters, running, n, x
    return np.asarray(_chunk.on(device, *arguments, shape=shape)(*arguments))


def predict_view(
    parameters: Array, running: Array, n: Numbers, shape: Shape, x: Pixels, number: int, device: Device
) -> np.ndarray:  # fmt: skip
    """Return one net's outputs ``(N, O)`` for another view of a few images."""
    arguments = parameters, running, n, x, np.int32(number)
    return np.asarray(_view.on(device, *arguments, shape=shape)(*arguments))
