"""Values of JSON or CSV as the inputs of an exported file, read as a model folder's are, by Python and NumPy alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from popnet.data.tables import one_value, remarks
from popnet.data.tables.formats import EITHER_DECIMAL, unit_of
from popnet.data.tables.markers import FALSE_WORDS, MARKERS, NULL_TOKENS, TRUE_WORDS
from popnet.data.tables.scale import FAR
from popnet.export.description import UNKNOWN_NUMBER, Column
from popnet.serve.limits import Problem

WORDS: dict[str, float] = {w: float(w in TRUE_WORDS) for w in (*TRUE_WORDS, *FALSE_WORDS)}


class Input(NamedTuple):
    """An input of the graph; see `popnet.export.inputs.Input`."""

    type: str
    missing: str


class Found(NamedTuple):
    """What became of a column's values.

    Attributes:
        values: ``(N, 1)``, as the graph takes them.
        problems: values that cannot be used.
        notes: what was noticed, for people.
    """

    values: np.ndarray
    problems: list[Problem]
    notes: list[str]


def read(column: Column, given: Input, values: Sequence[Any]) -> Found:
    """Return a column's values, None where missing, as its input takes them."""
    if column.kind == "categorical":
        return _categories(column, given, values)
    if column.kind == "boolean":
        return _truth(column, values)
    if column.kind == "datetime":
        return _times(column, given, values)
    return _numbers(column, values)


def _numbers(column: Column, values: Sequence[Any]) -> Found:
    numbers, bad = _parsed(column, values, lambda text: one_value.number(text, column.format))
    if found := _settled(column, values, bad, "a number"):
        problems, notes = found
    else:
        problems, notes = [], []
    plain = any(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if plain and (unit := unit_of(column.format)):
        notes.append(remarks.without_unit(column.name, unit))
    absent = np.isnan(numbers)
    _note_missing(column, absent, notes)
    infinite = np.isinf(numbers)
    if infinite.any():
        notes.append(remarks.infinite(column.name, int(infinite.sum())))
    if column.centre is not None and column.spread is not None:
        far = (np.abs(numbers - column.centre) > FAR * column.spread) & ~infinite
        if far.any():
            example = numbers[int(np.argmax(far))]
            notes.append(remarks.far(column.name, int(far.sum()), example))
    if column.levels and not column.embedded:
        _note_unseen(column, numbers.tolist(), ~absent & ~np.isin(numbers, column.levels), notes)
    return Found(numbers.reshape(-1, 1), problems, notes)


def _truth(column: Column, values: Sequence[Any]) -> Found:
    words = WORDS if {column.false, column.true} == {0.0, 1.0} else dict[str, float]()

    def parse(text: str) -> float | None:
        number = one_value.number(text, column.format)
        return words.get(text.lower()) if number is None else number

    numbers, bad = _parsed(column, values, parse)
    known = (numbers == column.true) | (numbers == column.false)
    other = bad | ~(known | np.isnan(numbers))
    notes: list[str] = []
    if other.any():
        taken = "missing" if column.missing else f"{column.false:g}"
        pair, example = (column.false, column.true), values[int(np.argmax(other))]
        notes.append(remarks.neither(column.name, int(other.sum()), pair, example, taken))
    _note_missing(column, np.isnan(numbers) & ~other, notes)
    return Found(numbers.reshape(-1, 1), [], notes)


def _times(column: Column, given: Input, values: Sequence[Any]) -> Found:
    missing = int(given.missing)
    times = np.full(len(values), missing, np.int64)
    bad = np.zeros(len(values), bool)
    for i, value in enumerate(values):
        if value is None:
            continue
        text = as_text(value).strip()
        moment = one_value.time(text, column.format)
        if moment is not None:
            times[i] = moment
        else:
            bad[i] = not one_value.is_marker(text, column.nulls)
    problems, notes = _settled(column, values, bad, "a date or time") or ([], [])
    _note_missing(column, times == missing, notes)
    return Found(times.reshape(-1, 1), problems, notes)


def _categories(column: Column, given: Input, values: Sequence[Any]) -> Found:
    levels = [str(level) for level in column.levels]
    nulls = {w for w in (*column.nulls, *NULL_TOKENS) if w not in levels}
    spelled: dict[str, str] = {}
    if (
        not column.numbers
    ):  # a level "1.50" is the number 1.5 where a number is given, and "True" is true
        for level in levels:
            spelled.setdefault(_spelled(level), level)
    texts: list[str | None] = []
    for value in values:
        text = None if value is None else as_text(value)
        if text is not None and column.numbers:
            number = one_value.number(text.strip(), "")
            if number is None:
                text = None if one_value.is_marker(text, ()) else text
            else:
                text = None if number != number else as_text(_whole(text.strip(), number))
        elif text is not None and not isinstance(value, str) and text not in levels:
            text = spelled.get(text, text)
        texts.append(None if text in nulls else text)
    notes: list[str] = []
    absent = np.array([t is None for t in texts])
    if not column.missing and absent.any():
        level = next((w for w in levels if w.lower() in MARKERS), None)
        taken = "other" if level is None else level
        notes.append(remarks.missing(column.name, int(absent.sum()), f"taken as '{taken}'"))
    known = set(levels)
    _note_unseen(column, texts, np.array([t is not None and t not in known for t in texts]), notes)
    if given.type == "double":
        numbers = np.array([_level_number(t, column.nulls) for t in texts])
        return Found(numbers.reshape(-1, 1), [], notes)
    words = np.array([given.missing if t is None else t for t in texts], object)
    return Found(words.reshape(-1, 1), [], notes)


def as_text(value: Any) -> str:
    """Write a value as polars writes it: a whole number without a fraction, true and false in lower case."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return str(value)
    if isinstance(value, int | float):
        number = as_float(value)
        if abs(number) < 1e15 and number == int(number):
            return str(int(number))
        return re.sub(r"e([+-])0*", lambda m: "e" + m[1].strip("+"), repr(number))
    return str(value)


def as_float(value: int | float) -> float:
    """Return a number as float64; one that is too large is infinite."""
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def _spelled(level: str) -> str:
    """Write a level as `as_text` writes it if it comes as a number or as a truth value."""
    if level.lower() in ("true", "false"):
        return level.lower()
    number = one_value.number(level.strip(), "")
    return level if number is None else as_text(_whole(level.strip(), number))


def _whole(text: str, number: float) -> int | float:
    """Return a number as an integer if it is written so: as floats, long ones would run together."""
    return int(text) if re.fullmatch(r"[+-]?\d{1,19}", text, re.ASCII) else number


def _level_number(text: str | None, nulls: tuple[str, ...]) -> float:
    if text is None:
        return np.nan
    number = one_value.number(text.strip(), "")
    if number is None:
        return np.nan if one_value.is_marker(text, nulls) else UNKNOWN_NUMBER
    return number


def _parsed(
    column: Column, values: Sequence[Any], parse: Callable[[str], float | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers ``(N,)``, NaN where missing or no number, and where a value is neither missing nor a number."""
    numbers = np.full(len(values), np.nan)
    bad = np.zeros(len(values), bool)
    for i, value in enumerate(values):
        if isinstance(value, str):
            text = value.strip()
            number = parse(text)
            if number is not None:
                numbers[i] = number
            else:
                bad[i] = not one_value.is_marker(text, column.nulls)
        elif value is not None:
            numbers[i] = as_float(value)
    return numbers, bad


def _settled(
    column: Column, values: Sequence[Any], bad: np.ndarray, wanted: str
) -> tuple[list[Problem], list[str]] | None:
    """Return the problems, or the note, of values that are none of the column's kind; None if there are none.

    Where training's were text in a format, others count as missing.
    """
    if not bad.any():
        return None
    if column.format in ("", EITHER_DECIMAL):
        return [
            Problem(i + 1, column.name, f"{remarks.show(values[i])} is not {wanted}")
            for i in np.flatnonzero(bad).tolist()
        ], []
    example = values[int(np.argmax(bad))]
    return [], [remarks.not_as_trained(column.name, int(bad.sum()), wanted, example)]


def _note_missing(column: Column, absent: np.ndarray, notes: list[str]) -> None:
    if not column.missing and absent.any():
        notes.append(remarks.missing(column.name, int(absent.sum())))


def _note_unseen(column: Column, values: list[Any], other: np.ndarray, notes: list[str]) -> None:
    if other.any():
        example = values[int(np.argmax(other))]
        notes.append(remarks.unseen(column.name, int(other.sum()), example))
