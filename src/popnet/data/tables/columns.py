"""One record a kind of column: how it is fitted on training rows and how it fills the inputs.

A record is frozen and JSON-serialisable. It knows how many numeric columns, flags and codes it
fills (`slots`), and fills them (`fill`). A part that is constant in the training rows fills
nothing, so every column of the result says something.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from popnet.data.tables import remarks
from popnet.data.tables.cast import (
    RowNumbers,
    refuse,
    spell,
    to_numbers,
    to_text,
    to_times,
)
from popnet.data.tables.formats import EITHER_DECIMAL, unit_of
from popnet.data.tables.markers import MARKERS, NULL_TOKENS
from popnet.data.tables.scale import FAR, Scale

FEW_ROWS = 64
"""Rows up to which values are looked up one by one: each call of polars on a column costs as much as 100 of them."""

MONTHS, WEEKDAYS, HOURS = 12, 7, 24

Cycle = Literal["month", "weekday", "hour"]
CYCLES: tuple[Cycle, ...] = ("month", "weekday", "hour")


class Slots(NamedTuple):
    """Names of what a record fills, in order."""

    numeric: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    levels: tuple[int, ...] = ()


class Views(NamedTuple):
    """Where a record writes: its columns of the whole arrays, zeros at the start.

    Attributes:
        numeric: ``(N, f)`` float32.
        flags: ``(N, g)`` uint8.
        codes: ``(N, c)`` int32.
    """

    numeric: np.ndarray
    flags: np.ndarray
    codes: np.ndarray


class Notes(NamedTuple):
    """Where a record says what is worth knowing.

    Attributes:
        lines: gets a line each; None: nobody asked.
        training: the rows are those of the training table, rows held out of training included.
    """

    lines: list[str] | None = None
    training: bool = False

    def add(self, line: str) -> None:
        """Take a line."""
        if self.lines is not None:
            self.lines.append(line)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str

    @property
    def scales(self) -> tuple[Scale | None, ...]:
        """The scale of each numeric column that it fills; None for one that has none, or is not to be embedded."""
        return ()


class Numeric(_Record):
    """A column of numbers: one numeric column, and a flag if training had missing values.

    Attributes:
        scale: None if the column was constant in training (then only the flag is left).
        missing: training had missing values.
        nulls: words that count as missing.
        format: how text writes the numbers, see `popnet.data.tables.formats`.
    """

    kind: Literal["numeric"] = "numeric"
    scale: Scale | None
    missing: bool
    nulls: tuple[str, ...] = ()
    format: str = EITHER_DECIMAL

    @property
    def slots(self) -> Slots:
        """What it fills."""
        return Slots((self.name,) if self.scale else (), _flag(self.name, self.missing))

    @property
    def scales(self) -> tuple[Scale | None, ...]:
        """The scale of each numeric column that it fills."""
        return (self.scale,) if self.scale else ()

    def fill(self, column: pl.Series, out: Views, notes: Notes, rows: RowNumbers) -> None:
        """Write a column; InputError for a value that is not a number."""
        self.fill_values(number_values(self, column, notes, rows), out, notes)

    def fill_values(self, values: np.ndarray, out: Views, notes: Notes) -> None:
        """Write a column of numbers ``(N,)`` float64, NaN where missing."""
        _fill_numbers(self, values, out, notes)


class Discrete(_Record):
    """Numbers whose values come again, few of them or around one that most rows have: as `Numeric`, and a code for the
    value.

    Attributes:
        levels: values of the codes 1, 2, ..., by descending frequency; None: no code.
        embedded: whether the number has bins or periods of its own, too.
    """

    kind: Literal["discrete"] = "discrete"
    scale: Scale | None
    levels: tuple[float, ...] | None
    missing: bool
    nulls: tuple[str, ...] = ()
    format: str = EITHER_DECIMAL
    embedded: bool = False

    @property
    def slots(self) -> Slots:
        """What it fills."""
        coded = _code(self.name, self.levels, self.missing)
        flags = _flag(self.name, self.missing)
        return Slots((self.name,) if self.scale else (), flags, *coded)

    @property
    def scales(self) -> tuple[Scale | None, ...]:
        """None for the numeric column that it fills if all its values have codes, which can take any function of it."""
        coded = self.levels and not self.embedded
        return (None if coded else self.scale,) if self.scale else ()

    def fill(self, column: pl.Series, out: Views, notes: Notes, rows: RowNumbers) -> None:
        """Write a column; InputError for a value that is not a number."""
        self.fill_values(number_values(self, column, notes, rows), out, notes)

    def fill_values(self, values: np.ndarray, out: Views, notes: Notes) -> None:
        """Write a column of numbers ``(N,)`` float64, NaN where missing."""
        _fill_numbers(self, values, out, notes)
        if self.levels is not None:
            series = pl.Series(values).fill_nan(None)
            out.codes[:, 0] = _codes(series, self.levels, self.missing)
            if not self.embedded:  # else values without a code are still numbers
                _note_unseen(self.name, series, out.codes[:, 0], notes)


class Boolean(_Record):
    """Two values: one flag, and one more if training had missing values.

    Attributes:
        false, true: the two values as numbers; words (yes, no, true, false, ...) are 1 and 0.
        varies: both values occurred in training; if not, only the flag for missing is left.
    """

    kind: Literal["boolean"] = "boolean"
    false: float
    true: float
    varies: bool
    missing: bool
    nulls: tuple[str, ...] = ()
    format: str = EITHER_DECIMAL

    @property
    def slots(self) -> Slots:
        """What it fills."""
        own = (self.name,) if self.varies else ()
        return Slots((), own + _flag(self.name, self.missing))

    def fill(self, column: pl.Series, out: Views, notes: Notes, rows: RowNumbers) -> None:
        """Write a column; a third number or word counts as missing if training had missing values, else as false."""
        words = {self.false, self.true} == {0.0, 1.0}
        numbers, bad = to_numbers(column, self.nulls, words, self.format)
        values = numbers.to_numpy()
        yes = values == self.true
        other = bad.to_numpy() | ~(yes | np.isnan(values) | (values == self.false))
        absent = np.isnan(values) & ~other
        if other.any():
            example = column[int(np.argmax(other))]
            taken = "missing" if self.missing else f"{self.false:g}"
            pair = self.false, self.true
            notes.add(remarks.neither(self.name, int(other.sum()), pair, example, taken))
        _note_missing(self.name, absent, self.missing, notes)
        if self.varies:
            out.flags[:, 0] = yes
        if self.missing:
            out.flags[:, -1] = absent | other


class Categorical(_Record):
    """Levels of text: one column of codes.

    Code 0 is "other" (rare in training, or not seen there), 1, 2, ... the levels, and the last
    code "missing" if training had missing values; if it had none, a missing value is "other".

    Attributes:
        levels: levels of the codes 1, 2, ..., by descending frequency, then by value.
        numbers: the levels are numbers, written without a fraction where they are whole.
        missing: training had missing values.
        nulls: words that count as missing. So do null tokens that are no levels.
    """

    kind: Literal["categorical"] = "categorical"
    levels: tuple[str, ...]
    numbers: bool
    missing: bool
    nulls: tuple[str, ...] = ()

    @property
    def slots(self) -> Slots:
        """What it fills."""
        return Slots((), (), *_code(self.name, self.levels, self.missing))

    def fill(self, column: pl.Series, out: Views, notes: Notes, rows: RowNumbers) -> None:
        """Write a column; takes any value."""
        text = level_text(column, self.numbers)
        levels = self.levels if self.numbers else spell(self.levels, column.dtype)
        nulls = [w for w in (*self.nulls, *NULL_TOKENS) if w not in levels]
        if text.dtype == pl.String and (len(text) > FEW_ROWS or set(nulls) & set(text.to_list())):
            marked = text.is_in(nulls)
            text = text.set(marked, None) if marked.any() else text
        if not self.missing and text.null_count():
            text = self._without_missing(text, levels, notes)
        out.codes[:, 0] = _codes(text, levels, self.missing)
        _note_unseen(self.name, text, out.codes[:, 0], notes)

    def _without_missing(self, text: pl.Series, levels: Sequence[str], notes: Notes) -> pl.Series:
        """Take missing values, of which training had none, as the level that means "missing" if there is one."""
        level = next((w for w in levels if w.lower() in MARKERS), None)
        if not notes.training:
            taken = "other" if level is None else level
            _note_missing(self.name, text.is_null().to_numpy(), False, notes, f"taken as '{taken}'")
        return text if level is None else text.fill_null(level)


class Datetime(_Record):
    """Points in time: seconds and year as scaled numbers, month, weekday and hour as circles.

    Attributes:
        format: of text, see `popnet.data.tables.date_format`; "" for dates proper.
        seconds, year: scales, None where constant in training.
        cycles: of "month", "weekday", "hour" those that varied in training; each fills two
            columns, sine and cosine. Hours count their minutes.
        missing: training had missing values.
        nulls: words that count as missing.
    """

    kind: Literal["datetime"] = "datetime"
    format: str
    seconds: Scale | None
    year: Scale | None
    cycles: tuple[Cycle, ...]
    missing: bool
    nulls: tuple[str, ...] = ()

    @property
    def slots(self) -> Slots:
        """What it fills."""
        parts = [p for p in ("seconds", "year") if getattr(self, p)]
        parts += [f"{c} {f}" for c in self.cycles for f in ("sin", "cos")]
        return Slots(tuple(f"{self.name} {p}" for p in parts), _flag(self.name, self.missing))

    @property
    def scales(self) -> tuple[Scale | None, ...]:
        """The scale of each numeric column that it fills; the circles have none."""
        own = tuple(s for s in (self.seconds, self.year) if s)
        return own + (None,) * (2 * len(self.cycles))

    def fill(self, column: pl.Series, out: Views, notes: Notes, rows: RowNumbers) -> None:
        """Write a column; InputError for a value that is not a date or time."""
        times, bad = to_times(column, self.format, self.nulls)
        _settle(self, column, bad, "a date or time", notes, rows)
        absent = times.is_null().to_numpy()
        _note_missing(self.name, absent, self.missing, notes)
        at = 0
        for scale, values in ((self.seconds, epoch_seconds), (self.year, calendar_years)):
            if scale:
                out.numeric[:, at] = scale.apply(values(times))
                at += 1
        for cycle in self.cycles:
            angle = 2 * math.pi * cycle_phase(times, cycle)
            out.numeric[:, at] = np.nan_to_num(np.sin(angle))
            out.numeric[:, at + 1] = np.nan_to_num(np.cos(angle))
            at += 2
        if self.missing:
            out.flags[:, 0] = absent


Record = Annotated[
    Numeric | Discrete | Boolean | Categorical | Datetime, Field(discriminator="kind")
]


def level_text(column: pl.Series, numbers: bool) -> pl.Series:
    """Write a column's values as levels; ``numbers``: "007" and 7.0 are the level "7"."""
    if numbers and column.dtype == pl.String:
        values, bad = to_numbers(column)
        text = to_text(values)
        return pl.select(pl.when(bad).then(column).otherwise(text)).to_series()
    return to_text(column)


def epoch_seconds(times: pl.Series) -> np.ndarray:
    """Return ``(N,)`` float64 seconds since 1970-01-01; NaN where missing."""
    return times.dt.epoch("us").cast(pl.Float64).to_numpy() / 1e6


def calendar_years(times: pl.Series) -> np.ndarray:
    """Return ``(N,)`` float64 years of the calendar; NaN where missing."""
    return times.dt.year().cast(pl.Float64).to_numpy()


def cycle_phase(times: pl.Series, cycle: Cycle) -> np.ndarray:
    """Return ``(N,)`` float64 in [0, 1): how far the year, week or day has gone; NaN if missing."""
    if cycle == "month":
        phase = (times.dt.month().cast(pl.Float64) - 1) / MONTHS
    elif cycle == "weekday":
        phase = (times.dt.weekday().cast(pl.Float64) - 1) / WEEKDAYS
    else:
        minutes = times.dt.minute().cast(pl.Float64) / 60
        phase = (times.dt.hour().cast(pl.Float64) + minutes) / HOURS
    return phase.to_numpy()


def _flag(name: str, missing: bool) -> tuple[str, ...]:
    return (f"{name} missing",) if missing else ()


def _code(
    name: str, levels: tuple[str, ...] | tuple[float, ...] | None, missing: bool
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    if levels is None:
        return (), ()
    return (name,), (1 + len(levels) + missing,)


def number_values(
    record: Numeric | Discrete, column: pl.Series, notes: Notes, rows: RowNumbers
) -> np.ndarray:
    """Return a column as ``(N,)`` float64, NaN where missing; InputError for a value that is not a number."""
    numbers, bad = to_numbers(column, record.nulls, words=False, form=record.format)
    _settle(record, column, bad, "a number", notes, rows)
    note_unit(record, column.dtype, notes)
    return numbers.to_numpy()


def note_unit(record: Numeric | Discrete, dtype: pl.DataType, notes: Notes) -> None:
    """Say that a column comes as numbers where training had text with a unit."""
    if dtype.is_numeric() and not notes.training and (unit := unit_of(record.format)):
        notes.add(remarks.without_unit(record.name, unit))


def _fill_numbers(record: Numeric | Discrete, values: np.ndarray, out: Views, notes: Notes) -> None:
    """Write the scaled numbers and the flag for missing ones."""
    absent = np.isnan(values)
    _note_missing(record.name, absent, record.missing, notes)
    if notes.lines is not None:
        _note_far(record.name, values, record.scale, notes)
    if record.scale:
        out.numeric[:, 0] = record.scale.apply(values)
    if record.missing:
        out.flags[:, 0] = absent


def _codes(values: pl.Series, levels: Sequence[str] | Sequence[float], missing: bool) -> np.ndarray:
    """Return ``(N,)`` int32 codes: 1 + position in ``levels``, 0 if it is not there."""
    numbers = list(range(1, len(levels) + 1))
    if len(values) <= FEW_ROWS:
        table = dict[Any, int](zip(levels, numbers, strict=True))
        codes = np.array([table.get(v, 0) for v in values.to_list()], np.int32)
    elif levels:
        codes = values.replace_strict(
            list(levels), numbers, default=0, return_dtype=pl.Int32
        ).to_numpy()
    else:
        codes = np.zeros(len(values), np.int32)
    if missing and values.null_count():
        codes = np.where(values.is_null().to_numpy(), np.int32(len(levels) + 1), codes)
    return codes


def _settle(
    record: Numeric | Discrete | Datetime,
    column: pl.Series,
    bad: pl.Series,
    wanted: str,
    notes: Notes,
    rows: RowNumbers,
) -> None:
    """Count values that do not fit as missing where training's were text in a format; refuse them elsewhere."""
    if record.format in ("", EITHER_DECIMAL):
        refuse(record.name, column, bad, wanted, rows)
    elif bad.any() and not notes.training:
        example = column[int(np.argmax(bad.to_numpy()))]
        notes.add(remarks.not_as_trained(record.name, int(bad.sum()), wanted, example))


def _note_missing(
    name: str, absent: np.ndarray, expected: bool, notes: Notes, then: str = ""
) -> None:
    # Of a training table these are rows held out of training, and no news to its owner.
    if expected or notes.training or not absent.any():
        return
    notes.add(remarks.missing(name, int(absent.sum()), then))


def _note_far(name: str, values: np.ndarray, scale: Scale | None, notes: Notes) -> None:
    infinite = np.isinf(values)
    n = int(infinite.sum())
    if n:
        notes.add(remarks.infinite(name, n))
    if scale is None or notes.training:
        return
    reach = FAR * scale.scale
    far = ((values < scale.centre - reach) | (values > scale.centre + reach)) & ~infinite
    if far.any():
        notes.add(remarks.far(name, int(far.sum()), values[int(np.argmax(far))]))


def _note_unseen(name: str, values: pl.Series, codes: np.ndarray, notes: Notes) -> None:
    other = codes == 0
    if not other.any():
        return
    other &= values.is_not_null().to_numpy()
    if not other.any():
        return
    if notes.training:
        n = int(other.sum())
        which = "1 value of a rare level is" if n == 1 else f"{n} values of rare levels are"
        together = "" if n == 1 else " together"
        notes.add(f"column '{name}': {which} taken{together} as 'other'")
        return
    notes.add(remarks.unseen(name, int(other.sum()), values[int(np.argmax(other))]))
