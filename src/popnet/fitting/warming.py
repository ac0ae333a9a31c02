"""Compile the programs that tables of usual sizes need, before there is a table: they are found on disk then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import NamedTuple

import numpy as np

from popnet.data.dataset import Dataset, Features
from popnet.population import program
from popnet.population.feed import Arrays
from popnet.population.lanes import Lane, Lanes
from popnet.population.members import Member
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Form, Shape
from popnet.tuning.space.table_space import default_space

ROWS = (7_000, 15_000, 4_000, 30_000, 2_000, 1_000)
"""Training rows, one for each size of batches."""

COLUMNS = (
    (8, ()),
    (5, ()),
    (11, ()),
    (8, (8,) * 2),
    (5, (8,) * 6),
    (16, ()),
    (20, ()),
    (7, (8,) * 6),
    (6, (8,) * 8 + (40,)),
    (14, (8,) * 8),
    (24, ()),
    (7, (8,) * 4 + (40,)),
    (32, ()),
    (48, ()),
    (64, ()),
)
"""Numbers, and the levels of categories. With `ROWS` and `TASKS`, of 36 structures of 13 tables 24 are among them, and
22 of those in the first half."""

TASKS = (("classification", 2), ("regression", 1), ("classification", 16), ("classification", 32))
"""Kinds of targets, and their outputs; up to eight classes share programs."""

STRUCTURES = 3
"""That a fit of a minute tries."""


class Warmed(NamedTuple):
    """What was compiled.

    Attributes:
        programs: structures, each with its training and its evaluation.
        whole: whether all are there; else the time was over.
        seconds: that it took.
    """

    programs: int
    whole: bool
    seconds: float


def warm(
    limit: float | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None,
    stop: threading.Event | None = None,
) -> Warmed:
    """Compile programs and keep them on disk; those that are there take a moment.

    Args:
        limit: seconds after which no more is begun; None for none.
        tell: receives how many of how many are done.
        stop: when set, no more is begun.
    """
    began = time.monotonic()
    wanted = list(structures())
    coming = iter(wanted)
    done, lock = 0, threading.Lock()

    def over() -> bool:
        late = limit is not None and time.monotonic() - began > limit
        return late or (stop is not None and stop.is_set())

    def work(device: program.Device) -> None:
        nonlocal done
        while not over():
            with lock:
                one = next(coming, None)
            if one is None:
                return
            compile_form(*one, device)
            with lock:
                done += 1
                tell(done, len(wanted))

    tell(0, len(wanted))
    places = program.places()
    with ThreadPoolExecutor(len(places)) as threads:
        list(threads.map(work, [place.device for place in places]))
    return Warmed(done, done == len(wanted), time.monotonic() - began)


def structures() -> Iterator[tuple[Form, Recipe, Dataset]]:
    """Yield what programs are compiled for, the most usual ones first, with a recipe and made rows that need it."""
    seen: set[Form] = set()
    for (task, outputs), rows, (numbers, levels) in product(TASKS, ROWS, COLUMNS):
        data = made(numbers, levels, task, outputs)
        space = default_space(data, rows, shapes=STRUCTURES)
        for changes in space.shapes:
            recipe = space.base.replace(**changes)
            form = Form.of(Shape.of(recipe, data).specialised(recipe))
            if form not in seen:
                seen.add(form)
                yield form, recipe, data


def made(numbers: int, levels: tuple[int, ...], task: str, outputs: int) -> Dataset:
    """Return a few rows with so many columns."""
    rows, rng = max(64, outputs), np.random.default_rng(0)
    numeric = rng.standard_normal((rows, numbers)).astype(np.float32)
    codes = np.zeros((rows, len(levels)), np.int32)
    knots = np.tile(np.linspace(-3, 3, 49, dtype=np.float32), (numbers, 1))
    features = Features(numeric, np.zeros((rows, 0), np.uint8), codes, levels, knots)
    if task == "regression":
        return Dataset(features, numeric[:, :1], "regression", 1)
    return Dataset(features, np.arange(rows, dtype=np.int32) % outputs, "classification", outputs)


def compile_form(form: Form, recipe: Recipe, data: Dataset, device: program.Device) -> None:
    """Compile the training and the evaluation of a form."""
    rows = np.arange(len(data))
    arrays = Arrays(data, data, [(rows, rows)])
    lanes = Lanes(arrays, form, device)
    lanes.compile(Lane(arrays, Member(recipe), Shape.of(recipe, data), form, np.uint32(0), device))
