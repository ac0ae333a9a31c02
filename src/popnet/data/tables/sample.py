"""A table that is larger than memory: how large it would be, and some of its rows drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, NamedTuple, cast

import numpy as np
import polars as pl

from popnet.data.tables.cast import type_text
from popnet.data.tables.delimited import settled
from popnet.data.tables.read import count_rows, read_batches, table_format
from popnet.runtime import keys

BATCH_ROWS = 200_000
"""Rows that are read at a time."""

FIRST_ROWS = 10_000
"""Rows that the size of all is estimated from."""

ROWS_OF_EACH_VALUE = 20
"""Rows of each value of the target that are in the sample in any case, so that rare classes are known."""

MAX_VALUES = 2000
"""Distinct values of a target beyond which it is no class."""

PACKED_FACTOR = 5
"""Bytes of text in a byte of a compressed file, about."""


class Sample(NamedTuple):
    """Rows drawn from a table without replacement, in the table's order.

    Attributes:
        frame: the rows, with the types that `read_table` would give them.
        numbers: ``(S,)`` int64, which rows of the table they are, from 0.
        rows: N, rows of the whole table.
    """

    frame: pl.DataFrame
    numbers: np.ndarray
    rows: int


def frame_bytes(source: Any) -> float | None:
    """Return about how many bytes a file's table takes in memory; None for what is no file, or cannot be told.

    Raises:
        InputError: as `read_table`.
    """
    if not isinstance(source, str | PathLike):
        return None
    path, form = table_format(cast("str | PathLike[str]", source))
    if form in ("delimited", "jsonl"):
        return path.stat().st_size * (PACKED_FACTOR if path.suffix.lower() == ".gz" else 1)
    rows = count_rows(path, form)
    if rows is None:
        return None
    first = next(read_batches(path, min(FIRST_ROWS, max(rows, 1))))
    return rows * first.estimated_size() / max(first.height, 1)


def sample_table(
    path: str | PathLike[str],
    size: int,
    targets: Sequence[str],
    seed: int,
    as_written: Sequence[str] | None = (),
) -> Sample:
    """Read a table once in batches and keep some rows.

    Args:
        path: of the table.
        size: rows to keep, S; all if there are fewer.
        targets: columns of which `ROWS_OF_EACH_VALUE` rows of each value are kept in any case, where there are at most
            `MAX_VALUES` of them.
        seed: determines the choice.
        as_written: see `read_table`.

    Raises:
        InputError: as `read_table`.
    """
    rng = keys.generator(seed, "sample")
    firsts = [_Firsts(name) for name in targets]
    kept = _Smallest(size)
    rows = 0
    for frame in read_batches(path, BATCH_ROWS):
        draws = rng.random(frame.height)
        for first in firsts:
            draws[first.of(frame)] = -1.0
        kept.add(frame, draws, rows)
        rows += frame.height
    frame, numbers = kept.rows()
    if table_format(path)[1] == "delimited":
        typed = (type_text(column, undecided_points=True) for column in frame)
        frame = pl.DataFrame([settled(column, as_written) for column in typed])
    return Sample(frame, numbers, rows)


class _Smallest:
    """The rows with the smallest draws of all that pass by."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._frames: list[pl.DataFrame] = []
        self._draws: list[np.ndarray] = []
        self._numbers: list[np.ndarray] = []
        self._limit = np.inf

    def add(self, frame: pl.DataFrame, draws: np.ndarray, first: int) -> None:
        keep = draws < self._limit
        self._frames.append(frame.filter(keep))
        self._draws.append(draws[keep])
        self._numbers.append(first + np.flatnonzero(keep))
        if sum(map(len, self._draws)) > 2 * self._size:
            self._cut()

    def _cut(self) -> None:
        draws = np.concatenate(self._draws)
        numbers = np.concatenate(self._numbers)
        frame = pl.concat(self._frames, how="diagonal_relaxed")
        if len(draws) > self._size:
            self._limit = np.partition(draws, self._size)[self._size]
            keep = draws < self._limit
            draws, numbers, frame = draws[keep], numbers[keep], frame.filter(keep)
        self._frames, self._draws, self._numbers = [frame], [draws], [numbers]

    def rows(self) -> tuple[pl.DataFrame, np.ndarray]:
        self._cut()
        return self._frames[0].rechunk(), self._numbers[0]


class _Firsts:
    """The first rows of each value of a column."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._counts: dict[Any, int] | None = {}

    def of(self, frame: pl.DataFrame) -> np.ndarray:
        """Return the places in a frame of rows that are among the first of their values."""
        nothing = np.zeros(0, np.int64)
        if self._counts is None or self._name not in frame.columns:
            return nothing
        column = frame[self._name]
        values = column.value_counts()
        if len(values) + len(self._counts) > 2 * MAX_VALUES:
            self._counts = None
            return nothing
        wanted = {v for v in values[self._name] if self._counts.get(v, 0) < ROWS_OF_EACH_VALUE}
        found: list[np.ndarray] = []
        for value in wanted - {None}:
            places = (column == value).arg_true().to_numpy()
            found.append(places[: ROWS_OF_EACH_VALUE - self._counts.get(value, 0)])
        for value, count in values.iter_rows():
            self._counts[value] = self._counts.get(value, 0) + count
        if len(self._counts) > MAX_VALUES:
            self._counts = None
        return np.concatenate([nothing, *found])
