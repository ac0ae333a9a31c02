"""Programs that run on several devices: compiled once, loaded on each; and arrays that those of a CPU share."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from queue import SimpleQueue
from typing import Any, TypeVar, cast

import jax
import numpy as np

from popnet.runtime import typed_jax
from popnet.runtime.cpu import Device
from popnet.runtime.fork import begin_threads
from popnet.runtime.parallel import parallel_for
from popnet.types import Tree

ALIGNMENT = 64
"""Bytes; JAX's CPU devices use host arrays that begin at a multiple of it as they are, without a copy."""

T = TypeVar("T")


MAX_LOADED = 40
"""Programs kept in memory. Each takes about 1,000 memory mappings, of which Linux allows a process 65,530."""


class CompiledCache:
    """A function, traced once for each form of its arguments, and loaded on each device that asks.

    The first device compiles; the others find the program in JAX's compilation cache (`popnet.runtime.cpu.prepare`),
    as does one that asks again after `MAX_LOADED` others.

    Args:
        function: of arrays and trees of them, and of static keywords.
        options: of ``jax.jit``.
    """

    def __init__(self, function: Callable[..., Tree], **options: Any) -> None:
        self._function, self._options = function, options
        self._forms: dict[Any, _Form] = {}
        self._lock = threading.Lock()

    def on(self, device: Device, *arguments: Tree, **static: Hashable) -> Callable[..., Tree]:
        """Return the compiled function on a device, for arguments of these shapes and types and static values.

        The function that is returned takes the arguments alone.

        Raises:
            ForkError: this process was forked from one that had used JAX.
        """
        begin_threads()
        leaves, structure = typed_jax.flatten(arguments)
        described = tuple(map(_form_of, leaves))
        key = structure, described, tuple(static.items())
        with self._lock:
            form = self._forms.setdefault(key, _Form(static))
        found = _loaded.get((form, device))
        if found is None:
            with form.lock:
                found = _loaded.get((form, device))
                if found is None:
                    found = self._compiled(form, device, arguments)
                    _loaded.put((form, device), found)
        return found

    def _compiled(self, form: _Form, device: Device, arguments: tuple[Tree, ...]) -> Any:
        traced = form.traced
        if traced is None:
            # JAX keeps what it compiled as long as the function lives, so each form has its own. It is traced with
            # descriptions: arrays on a device would tie the trace to it.
            jitted = jax.jit(partial(self._function, **form.static), **self._options)
            traced = jitted.trace(*jax.tree.map(_description, arguments))
            form.traced = traced
        with jax.default_device(device):
            return traced.lower().compile()


@dataclass(eq=False)
class _Form:
    """Arguments of one structure, shapes and types, and static values."""

    static: Mapping[str, Hashable]
    traced: Any = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Loaded:
    """The programs in memory, the one that was asked for last at the end."""

    def __init__(self) -> None:
        self._programs: OrderedDict[tuple[_Form, Device], Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[_Form, Device]) -> Any:
        with self._lock:
            if key in self._programs:
                self._programs.move_to_end(key)
            return self._programs.get(key)

    def put(self, key: tuple[_Form, Device], program: Any) -> None:
        with self._lock:
            self._programs[key] = program
            while len(self._programs) > MAX_LOADED:
                (form, _), _ = self._programs.popitem(last=False)
                form.traced = None


_loaded = _Loaded()


def _description(x: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(*_form_of(x))


def _form_of(x: Any) -> tuple[tuple[int, ...], np.dtype]:
    """Return shape and type as JAX takes an argument.

    The types of NumPy's arrays and numbers are looked up: a call has some 70 of them, and JAX's own function took as
    long as a net of one row.
    """
    if isinstance(x, np.ndarray | np.generic):
        known = cast("Any", x)
        return known.shape, _type_of(known.dtype)
    return np.shape(x), np.dtype(jax.dtypes.result_type(x))


@lru_cache
def _type_of(dtype: np.dtype) -> np.dtype:
    return np.dtype(jax.dtypes.result_type(np.empty(0, dtype)))


def map_over_devices(
    work: Callable[[Device, T], None], items: Sequence[T], devices: Sequence[Device]
) -> None:
    """Call ``work(device, item)`` for each item, with a thread for each device.

    The first item is done alone: it compiles for all.
    """
    if not items:
        return
    work(devices[0], items[0])
    if len(items) == 1:
        return
    free: SimpleQueue[Device] = SimpleQueue()
    for device in devices:
        free.put(device)

    def one(i: int) -> None:
        device = free.get()
        try:
            work(device, items[1 + i])
        finally:
            free.put(device)

    parallel_for(len(items) - 1, one, len(devices))


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array of any values that JAX's CPU devices use as it is, without a copy."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size].view(dtype).reshape(shape)
