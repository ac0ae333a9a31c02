"""What a graph's inputs are, one a column of the table, and how rows of a table become them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from popnet.data.tables.cast import spell, to_numbers, to_text, to_times
from popnet.data.tables.columns import (
    Boolean,
    Categorical,
    Datetime,
    Notes,
    Record,
    level_text,
    number_values,
)
from popnet.data.tables.encode import Encoder
from popnet.data.tables.markers import NULL_TOKENS
from popnet.errors import InputError
from popnet.export.description import UNKNOWN_NUMBER

MISSING_TIME = int(np.iinfo(np.int64).min)
"""The point in time that means "missing"."""


class Input(NamedTuple):
    """One input of a graph, ``(N, 1)``.

    Attributes:
        name: of the column.
        type: ``double`` (NaN where missing), ``string``, or ``int64`` (microseconds since 1970-01-01).
        missing: what stands for a missing value, as text.
    """

    name: str
    type: Literal["double", "string", "int64"]
    missing: str

    @property
    def dtype(self) -> type:
        """NumPy's type of it."""
        return {"double": np.float64, "string": object, "int64": np.int64}[self.type]


def null_words(record: Categorical) -> list[str]:
    """Return the words of a column of text that mean "missing", those that are levels left out."""
    return [w for w in dict.fromkeys((*NULL_TOKENS, *record.nulls)) if w not in record.levels]


def takes_numbers(record: Categorical) -> bool:
    """Return whether categories are given as numbers: they are such in the table, and float64 tells all apart."""
    if not record.numbers:
        return False
    numbers, _ = to_numbers(pl.Series(record.levels, dtype=pl.String))
    return to_text(numbers).to_list() == list(record.levels)


def input_of(record: Record) -> Input:
    """Return a column's input.

    Raises:
        InputError: it cannot be one.
    """
    if not record.name:
        raise InputError(
            "A column has no name, which an input of an ONNX file needs; name it and fit again."
        )
    if isinstance(record, Datetime):
        return Input(record.name, "int64", str(MISSING_TIME))
    if isinstance(record, Categorical) and not takes_numbers(record):
        words = null_words(record)
        if not words:
            raise InputError(
                f"Every word for a missing value is a level of column '{record.name}', so an ONNX file could not tell "
                "them apart; name missing values otherwise and fit again."
            )
        return Input(record.name, "string", words[0])
    return Input(record.name, "double", "NaN")


def as_inputs(encoder: Encoder, frame: pl.DataFrame) -> dict[str, np.ndarray]:
    """Return a table's rows as a graph takes them, ``(N, 1)`` each.

    Args:
        encoder: of the model that was exported.
        frame: has its columns, in whatever format `popnet predict` takes.

    Raises:
        InputError: a value is none of its column's kind.
    """
    return {r.name: _values(r, frame[r.name]).reshape(-1, 1) for r in encoder.columns}


def _values(record: Record, column: pl.Series) -> np.ndarray:
    own = input_of(record)
    if isinstance(record, Datetime):
        times, _ = to_times(column, record.format, record.nulls)
        return times.dt.epoch("us").fill_null(MISSING_TIME).to_numpy()
    if isinstance(record, Boolean):
        words = {record.false, record.true} == {0.0, 1.0}
        return to_numbers(column, record.nulls, words, record.format)[0].to_numpy()
    if not isinstance(record, Categorical):
        return number_values(record, column, Notes(), 1)
    text = level_text(column, record.numbers)
    if own.type == "double":
        numbers, bad = to_numbers(text, record.nulls)
        return np.where(bad.to_numpy(), UNKNOWN_NUMBER, numbers.to_numpy())
    if not record.numbers:
        spelled = spell(record.levels, column.dtype)
        if spelled != list(record.levels):
            text = text.replace(spelled, list(record.levels))
    return np.array(text.fill_null(own.missing).to_list(), object)
