"""The encoder as a graph: the table's columns become scaled numbers, flags and codes (see `popnet.data.tables.encode`).

Numbers are scaled in float64 and then rounded to float32, as the encoder does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from popnet.data.tables.columns import (
    HOURS,
    MONTHS,
    WEEKDAYS,
    Boolean,
    Categorical,
    Cycle,
    Datetime,
    Discrete,
    Numeric,
)
from popnet.data.tables.encode import Encoder
from popnet.data.tables.markers import MARKERS
from popnet.export.combinations import with_combinations
from popnet.export.graph import Graph, f32, f64, i64, lookup
from popnet.export.inputs import MISSING_TIME, input_of, null_words
from popnet.export.scale import scale

DAY = 86_400_000_000
"""Microseconds of a day."""


class Encoded(NamedTuple):
    """Encoded rows, by the names of their tensors; None where there are no such columns.

    Attributes:
        numeric: ``(N, F)`` float32.
        flags: ``(N, G)`` float32.
        codes: ``(N, C)`` int64.
        width: number of numbers and flags, F + G.
    """

    numeric: str | None
    flags: str | None
    codes: str | None
    width: int


class _Part:
    """Columns that are made in blocks, in whatever order, and then put into theirs."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.places: list[int] = []
        self.size = 0

    def reserve(self, count: int) -> list[int]:
        """Return the places of the next columns."""
        self.size += count
        return list(range(self.size - count, self.size))

    def put(self, block: str, places: list[int]) -> None:
        """Take a block ``(N, len(places))``."""
        self.blocks.append(block)
        self.places += places

    def whole(self, g: Graph) -> str | None:
        """Return all columns in order, ``(N, size)``; None if there are none."""
        if not self.blocks:
            return None
        joined = g.concat(self.blocks, 1)
        order = np.argsort(self.places)
        return joined if np.array_equal(order, range(len(order))) else g.gather(joined, order, 1)


class _Numbers(NamedTuple):
    """Columns of the matrix of numbers that have a use in common, and where what they become stands."""

    columns: list[int]
    values: list[Any]
    places: list[int]

    @classmethod
    def none(cls) -> _Numbers:
        return cls([], [], [])

    def add(self, column: int, value: Any, places: list[int]) -> None:
        self.columns.append(column)
        self.values.append(value)
        self.places.extend(places)


def encode(g: Graph, encoder: Encoder) -> Encoded:
    """Add the encoder to a graph, its inputs first."""
    numeric, flags, codes = _Part(), _Part(), _Part()
    numbers: list[str] = []
    scaled, missing, true, neither = (_Numbers.none() for _ in range(4))
    coded: list[tuple[int, Discrete | Categorical, list[int]]] = []
    for record in encoder.columns:
        own = input_of(record)
        name = g.add_input(own.name, own.dtype)
        slots = record.slots
        at = [
            p.reserve(len(s))
            for p, s in zip((numeric, flags, codes), (slots.numeric, slots.flags, slots.codes), strict=True)
        ]  # fmt: skip
        column = len(numbers)
        if isinstance(record, Datetime):
            _time(g, record, name, (numeric, at[0]), (flags, at[1]))
            continue
        if own.type == "string":
            assert isinstance(record, Categorical)
            codes.put(_levels(g, record, name), at[2])
            continue
        numbers.append(name)
        if isinstance(record, Numeric | Discrete) and record.scale:
            scaled.add(column, record.scale, at[0])
        if isinstance(record, Boolean) and record.varies:
            true.add(column, record.true, at[1][:1])
        if isinstance(record, Boolean) and record.missing:
            neither.add(column, (record.false, record.true), at[1][-1:])
        elif slots.flags and record.missing:
            missing.add(column, None, at[1][-1:])
        if slots.codes:
            assert isinstance(record, Discrete | Categorical)
            coded.append((column, record, at[2]))
    if numbers:
        values = g.concat(numbers, 1)
        absent = g.op("IsNaN", values)
        if scaled.columns:
            some, gone = (g.gather(v, scaled.columns, 1) for v in (values, absent))
            numeric.put(scale(g, some, gone, scaled.values), scaled.places)
        if missing.columns:
            flags.put(g.cast(g.gather(absent, missing.columns, 1), np.float32), missing.places)
        if true.columns:
            equal = g.op("Equal", g.gather(values, true.columns, 1), f64(true.values))
            flags.put(g.cast(equal, np.float32), true.places)
        if neither.columns:  # a third number counts as missing, too
            two = f64(neither.values).T
            own = g.gather(values, neither.columns, 1)
            known = g.op("Or", *(g.op("Equal", own, one) for one in two))
            flags.put(g.cast(g.op("Not", known), np.float32), neither.places)
        for column, record, place in coded:
            codes.put(_number_codes(g, record, numbers[column]), place)
    whole = numeric.whole(g)
    if whole is not None:
        whole = with_combinations(g, whole, encoder)
    width = numeric.size + len(encoder.combinations) + flags.size
    return Encoded(whole, flags.whole(g), codes.whole(g), width)


def missing_code(record: Discrete | Categorical) -> int:
    """Return the code of a missing value: its own, or that of a level that means "missing", else that of "other"."""
    levels = record.levels or ()
    if record.missing:
        return len(levels) + 1
    if isinstance(record, Discrete):
        return 0
    return next((i for i, w in enumerate(record.levels, 1) if w.lower() in MARKERS), 0)


def _levels(g: Graph, record: Categorical, name: str) -> str:
    """Return the codes ``(N, 1)`` of a column of text."""
    words = null_words(record)
    keys = np.array([*record.levels, *words], object)
    places = np.arange(1, len(record.levels) + 1)
    return lookup(
        g, name, keys, np.concatenate([places, np.full(len(words), missing_code(record))]), 0
    )


def _number_codes(g: Graph, record: Discrete | Categorical, name: str) -> str:
    """Return the codes ``(N, 1)`` of a column of numbers."""
    levels = f64([float(v) for v in record.levels or ()])
    code: str | np.ndarray = i64(0)
    if len(levels):
        code = lookup(g, name, levels, np.arange(1, len(levels) + 1), 0)
    return g.op("Where", g.op("IsNaN", name), i64(missing_code(record)), code)


def _floor_div(g: Graph, a: str, b: int) -> str:
    """Return whole quotients, rounded down (ONNX rounds towards 0), of int64."""
    return g.op("Div", g.op("Sub", a, g.op("Mod", a, i64(b))), i64(b))


def _civil(g: Graph, days: str) -> tuple[str, str]:
    """Return year and month ``(N, 1)`` int64 of days since 1970-01-01 (Hinnant 2013, chrono-compatible algorithms)."""

    def plus(value: str, *terms: tuple[str, int]) -> str:
        for term, sign in terms:
            value = g.op("Add" if sign > 0 else "Sub", value, term)
        return value

    shifted = g.op("Add", days, i64(719_468))
    era = _floor_div(g, shifted, 146_097)
    day = g.op("Mod", shifted, i64(146_097))  # of the era of 400 years
    parts = [(_floor_div(g, day, n), sign) for n, sign in ((1_460, -1), (36_524, 1), (146_096, -1))]
    year = _floor_div(g, plus(day, *parts), 365)
    within = plus(
        day,
        (g.op("Mul", year, i64(365)), -1), (_floor_div(g, year, 4), -1), (_floor_div(g, year, 100), 1),
    )  # fmt: skip
    since_march = _floor_div(g, g.op("Add", g.op("Mul", within, i64(5)), i64(2)), 153)
    early = g.op("Less", since_march, i64(10))
    month = g.op("Add", since_march, g.op("Where", early, i64(3), i64(-9)))
    january = g.cast(g.op("LessOrEqual", month, i64(2)), np.int64)
    full = g.op("Add", year, g.op("Mul", era, i64(400)))
    return g.op("Add", full, january), month


def _time(
    g: Graph, record: Datetime, name: str, numeric: tuple[_Part, list[int]], flags: tuple[_Part, list[int]]
) -> None:  # fmt: skip
    """Add the parts of a column of dates."""
    absent = g.op("Equal", name, i64(MISSING_TIME))
    time = g.op("Where", absent, i64(0), name)
    days = _floor_div(g, time, DAY)
    year, month = _civil(g, days)
    blocks: list[str] = []
    if record.seconds:
        seconds = g.op("Div", g.cast(time, np.float64), f64(1e6))
        blocks.append(scale(g, seconds, absent, [record.seconds]))
    if record.year:
        blocks.append(scale(g, g.cast(year, np.float64), absent, [record.year]))
    for cycle in record.cycles:
        if cycle == "month":
            place = g.op("Sub", month, i64(1))
        elif cycle == "weekday":  # 1970-01-01 was a Thursday
            place = g.op("Mod", g.op("Add", days, i64(3)), i64(WEEKDAYS))
        else:
            place = g.op("Mod", _floor_div(g, time, 60_000_000), i64(HOURS * 60))
        for table in _circle(cycle):
            values = g.op("Gather", table.astype(np.float32), place, axis=0)
            blocks.append(g.op("Where", absent, f32(0), values))
    if blocks:
        part, places = numeric
        part.put(g.concat(blocks, 1), places)
    if record.missing:
        part, places = flags
        part.put(g.cast(absent, np.float32), places)


def _circle(cycle: Cycle) -> tuple[np.ndarray, np.ndarray]:
    """Return sine and cosine of each month, weekday, or minute of the day."""
    if cycle == "hour":
        minutes = np.arange(HOURS * 60)
        phase = (minutes // 60 + minutes % 60 / 60) / HOURS
    else:
        count = MONTHS if cycle == "month" else WEEKDAYS
        phase = np.arange(count) / count
    return np.sin(2 * np.pi * phase), np.cos(2 * np.pi * phase)
