"""From a table to arrays and back: fitted on training rows, saved as JSON, applied to any rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, model_validator

from popnet.data.dataset import Features, Images
from popnet.data.images.format import ImageFormat
from popnet.data.tables.cast import RowNumbers, show
from popnet.data.tables.columns import (
    Categorical,
    Datetime,
    Discrete,
    Notes,
    Numeric,
    Record,
    Slots,
    Views,
    note_unit,
)
from popnet.data.tables.combinations import Combination, knots_of, with_combinations
from popnet.data.tables.fit_columns import fit_record
from popnet.data.tables.formats import is_known
from popnet.data.tables.roles import mean_one, raw_weights
from popnet.data.tables.scale import KNOTS, Scale
from popnet.data.tables.schema import Schema
from popnet.data.tables.target import Target, read_target
from popnet.data.tables.target_values import class_numbers, target_numbers
from popnet.errors import InputError, closest
from popnet.runtime.fork import begin_threads

CAST_VALUES = 1 << 22
"""Values of columns of numbers that are cast at once, about (32 MB): a call a column is slow where columns are many."""


class FeatureNames(NamedTuple):
    """What the columns of the encoded inputs are.

    Attributes:
        numeric: F names; parts of a date are "column part".
        flags: G names; "column missing" for missing indicators.
        codes: C names.
        numeric_sources, flag_sources, code_sources: the table's column each comes from.
    """

    numeric: tuple[str, ...]
    flags: tuple[str, ...]
    codes: tuple[str, ...]
    numeric_sources: tuple[str, ...]
    flag_sources: tuple[str, ...]
    code_sources: tuple[str, ...]


class TargetScale(BaseModel):
    """Mean, standard deviation and range of one regression target over the training rows.

    Attributes:
        mean, std: in the target's units, or of log(1 + value).
        low, high: least and greatest value, likewise; None where predictions may lie beyond what was seen.
        log: whether all of these are of log(1 + value), which is what nets predict then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float
    std: float
    low: float | None = None
    high: float | None = None
    log: bool = False

    def standardise(self, values: np.ndarray) -> np.ndarray:
        """Return values in the target's units as nets predict them."""
        return ((np.log1p(values) if self.log else values) - self.mean) / self.std

    def in_units(self, standardised: np.ndarray) -> np.ndarray:
        """Undo `standardise`."""
        values = standardised * self.std + self.mean
        return np.expm1(values) if self.log else values


class Encoder(BaseModel):
    """A fitted encoder; `fit_encoder` makes it.

    Attributes:
        columns: a record for each column that fills something, in the table's order.
        target: what is predicted.
        scales: one a regression target; empty for a classification.
        weight: column of row weights, or None.
        other: columns of the training table that are not read.
        image: how images are taken; None for a table.
        combinations: columns made of two others, which members take besides, see `combine`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[Record, ...]
    target: Target
    scales: tuple[TargetScale, ...] = ()
    weight: str | None = None
    other: tuple[str, ...] = ()
    image: ImageFormat | None = None
    combinations: tuple[Combination, ...] = ()

    @model_validator(mode="after")
    def _of_known_columns(self) -> Encoder:
        unknown = {n for c in self.combinations for n in (c.first, c.second)} - self.numbers.keys()
        if unknown:
            raise ValueError(
                f"combinations are of {sorted(unknown)}, which are no columns of numbers"
            )
        return self

    def check(self) -> None:
        """Raise ValueError if the parts of an encoder that was read from a file do not fit together."""
        self.target.check()
        names = [column.name for column in self.columns]
        targets = len(self.target.names) if self.target.task == "regression" else 0
        if len(self.scales) != targets:
            raise ValueError("there is not a scale for each target of numbers")
        if len(set(names)) < len(names):
            raise ValueError("a column is there twice")
        for column in self.columns:
            if not isinstance(column, Datetime | Categorical) and not is_known(column.format):
                raise ValueError(f"the format of column {show(column.name)} is not known")
            levels = column.levels if isinstance(column, Categorical | Discrete) else None
            if levels is not None and len(set(levels)) < len(levels):
                raise ValueError(f"a level of column {show(column.name)} is there twice")
        if bool(names) == (self.image is not None):
            raise ValueError("it reads neither columns nor images, or both")
        if any(
            not (s.std > 0 and math.isfinite(s.std) and math.isfinite(s.mean)) for s in self.scales
        ):
            raise ValueError("the scale of a target is not a number above 0")

    @property
    def n_outputs(self) -> int:
        """O: number of classes, or of regression targets."""
        return len(self.target.classes) or len(self.target.names)

    @property
    def levels(self) -> tuple[int, ...]:
        """Number of levels of each of the C coded columns, "other" and "missing" included."""
        return tuple(n for c in self.columns for n in c.slots.levels)

    @property
    def knots(self) -> np.ndarray:
        """Quantiles of each numeric column, ``(F, KNOTS)`` float32; zeros for one without."""
        scales = [s for c in self.columns for s in c.scales]
        rows = [s.knots if s and s.knots else (0.0,) * KNOTS for s in scales]
        return np.array(rows, np.float32).reshape(len(rows), KNOTS)

    @property
    def names(self) -> FeatureNames:
        """What the columns of the encoded inputs are."""
        slots = [(c.name, c.slots) for c in self.columns]
        parts = ("numeric", "flags", "codes")
        names = [tuple(n for _, s in slots for n in getattr(s, part)) for part in parts]
        sources = [tuple(c for c, s in slots for _ in getattr(s, part)) for part in parts]
        return FeatureNames(*names, *sources)

    @property
    def numbers(self) -> dict[str, tuple[int, Scale]]:
        """The place among the encoded numbers, and the scale, of each column of numbers; dates are none."""
        found: dict[str, tuple[int, Scale]] = {}
        place = 0
        for record in self.columns:
            if isinstance(record, Numeric | Discrete) and record.scale is not None:
                found[record.name] = place, record.scale
            place += len(record.slots.numeric)
        return found

    @property
    def member_numbers(self) -> tuple[str, ...]:
        """Names of the numbers that members take: the encoded ones, then the combinations."""
        return (*self.names.numeric, *(c.name for c in self.combinations))

    @property
    def member_knots(self) -> np.ndarray:
        """Quantiles of the numbers that members take, as `knots`."""
        return np.concatenate([self.knots, knots_of(self.combinations)])

    def combine(self, features: Features | Images) -> Features | Images:
        """Return encoded rows as members take them, with `combinations`; rows that have them already are left."""
        if not self.combinations or not isinstance(features, Features):
            return features
        if features.numeric.shape[1] == len(self.member_numbers):
            return features
        return with_combinations(features, self.combinations, self.numbers)

    def without_combinations(self, features: Features) -> Features:
        """Return rows as `transform` encodes them, from rows with `combinations` or without."""
        own = features.numeric[:, : len(self.names.numeric)]
        return replace(features, numeric=own, knots=self.knots)

    def transform(
        self,
        frame: pl.DataFrame,
        *,
        report: list[str] | None = None,
        training: bool = False,
        first_row: int = 1,
        row_numbers: np.ndarray | None = None,
    ) -> Features:
        """Encode the features of N rows.

        Args:
            frame: a table, or a batch of one, from `popnet.data.tables.read`. Columns may be of another
                type than in training where the values can be cast without loss.
            report: gets a line for what is worth knowing: new columns (ignored), levels that
                training did not have, values that are infinite or far outside the training's
                range, missing values where training had none.
            training: this is the table that the encoder was fitted on (rows held out included):
                the report says how many values are of rare levels, and not what is new.
            first_row: number of the frame's first row, for messages.
            row_numbers: ``(N,)`` numbers of its rows in the user's table, where those of a frame
                that lost rows would mislead; overrules ``first_row``.

        Returns:
            Features, all finite.

        Raises:
            InputError: a needed column is not there, or a value does not fit its column (names
                column, row and value).
            ForkError: this process was forked from one that had used polars.
        """
        begin_threads()
        self._check_columns(frame, report)
        n = frame.height
        names = self.names
        numeric = np.zeros((n, len(names.numeric)), np.float32)
        flags = np.zeros((n, len(names.flags)), np.uint8)
        codes = np.zeros((n, len(names.codes)), np.int32)
        notes = Notes(report, training)
        rows = first_row if row_numbers is None else row_numbers
        types = frame.schema
        f = g = c = 0
        for record, values in self._columns_of(frame):
            slots = record.slots
            df, dg, dc = len(slots.numeric), len(slots.flags), len(slots.codes)
            views = Views(numeric[:, f : f + df], flags[:, g : g + dg], codes[:, c : c + dc])
            if isinstance(record, Numeric | Discrete) and isinstance(values, np.ndarray):
                note_unit(record, types[record.name], notes)
                record.fill_values(values, views, notes)
            else:
                record.fill(frame[record.name], views, notes, rows)
            f, g, c = f + df, g + dg, c + dc
        return Features(numeric, flags, codes, self.levels, self.knots)

    def _columns_of(self, frame: pl.DataFrame) -> Iterator[tuple[Record, np.ndarray | None]]:
        """Yield each record, with ``(N,)`` float64 values if its column is of numbers, which are cast many at once."""
        at_once = max(1, CAST_VALUES // max(frame.height, 1))
        types = frame.schema
        for start in range(0, len(self.columns), at_once):
            part = self.columns[start : start + at_once]
            names = [
                r.name
                for r in part
                if isinstance(r, Numeric | Discrete) and types[r.name].is_numeric()
            ]
            matrix = frame.select(pl.col(names).cast(pl.Float64)).to_numpy()
            values = dict(zip(names, matrix.T, strict=True))
            for record in part:
                yield record, values.get(record.name)

    def _check_columns(self, frame: pl.DataFrame, report: list[str] | None) -> None:
        needed = [c.name for c in self.columns]
        have = set(frame.columns)
        lacking = [n for n in needed if n not in have]
        known = {*needed, *self.other, *self.target.names}
        new = [n for n in frame.columns if n not in known]
        if lacking:
            listed = ", ".join(f"'{n}'" for n in lacking[:10])
            more = f" and {len(lacking) - 10} more" if len(lacking) > 10 else ""
            which = "columns" if len(lacking) > 1 else "column"
            raise InputError(
                f"the table lacks the {which} {listed}{more}, which the model needs; add "
                f"{'them' if len(lacking) > 1 else 'it'}.{closest(lacking[0], new)}"
            )
        if new and report is not None:
            listed = ", ".join(f"'{n}'" for n in new[:10]) + (", …" if len(new) > 10 else "")
            which = "columns" if len(new) > 1 else "column"
            report.append(f"{len(new)} new {which} ignored: {listed}")

    def encode_target(
        self,
        frame: pl.DataFrame,
        *,
        first_row: int = 1,
        row_numbers: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Encode the target of N rows.

        Args:
            frame: has the target's columns.
            first_row, row_numbers: see `transform`.

        Returns:
            The target, ``(N,)`` int32 class numbers or ``(N, T)`` float32 standardised by the
            training rows' mean and standard deviation; and ``(N,)`` bool, true where no target is
            missing. Rows without a target hold 0 and are to be left out.

        Raises:
            InputError: a target column is not there, a class that training did not have, a
                regression target that is no number, infinite or huge.
        """
        begin_threads()
        lacking = [n for n in self.target.names if n not in frame.columns]
        if lacking:
            raise InputError(
                f"the table lacks the target column '{lacking[0]}'; add it."
                f"{closest(lacking[0], frame.columns)}"
            )
        rows = first_row if row_numbers is None else row_numbers
        if self.target.task != "regression":
            column = read_target(frame[self.target.names[0]], self.target)
            numbers = class_numbers(column, self.target, rows)
            return np.maximum(numbers, 0), numbers >= 0
        result = np.zeros((frame.height, len(self.scales)), np.float32)
        keep = np.ones(frame.height, bool)
        for i, (name, scale) in enumerate(zip(self.target.names, self.scales, strict=True)):
            form = self.target.formats[i] if self.target.formats else ""
            values = target_numbers(read_target(frame[name], self.target, i), rows, form)
            keep &= ~np.isnan(values)
            result[:, i] = np.nan_to_num(scale.standardise(values))
        result[~keep] = 0
        return result, keep

    def decode_target(self, outputs: np.ndarray) -> np.ndarray:
        """Undo `encode_target`.

        Args:
            outputs: class numbers of any shape, or standardised targets ``(..., T)`` (also
                ``(N,)`` for one target).

        Returns:
            Labels of the type that they had in the table, or float64 in the target's units.
        """
        if self.target.task != "regression":
            return np.asarray(self.target.classes)[np.asarray(outputs)]
        values = np.asarray(outputs, np.float64)
        if not any(s.log for s in self.scales):
            mean = np.array([s.mean for s in self.scales])
            std = np.array([s.std for s in self.scales])
            return values * std + mean
        if values.ndim < 2:
            return self.scales[0].in_units(values)
        return np.stack([s.in_units(values[..., i]) for i, s in enumerate(self.scales)], -1)

    def deviations_in_units(self, centre: np.ndarray, apart: np.ndarray) -> np.ndarray:
        """Return standard deviations ``(N, T)`` around standardised predictions in the targets' units."""
        return (self.decode_target(centre + apart) - self.decode_target(centre - apart)) / 2

    def in_units(self, true: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what metrics take: class numbers and probabilities, or targets and predictions in their own units."""
        if self.target.task != "regression":
            return np.asarray(true), np.asarray(scores)
        return self.decode_target(true), self.decode_target(scores)

    def within_range(self, outputs: np.ndarray) -> np.ndarray:
        """Return standardised predictions ``(..., T)``, moved into the range of the training rows' targets.

        A net may say anything of a row that is unlike all others, and one such row can outweigh all errors in a mean of
        squares (Holzmueller et al. 2024 do so, too); trees never do.
        """
        low = [-np.inf if s.low is None else (s.low - s.mean) / s.std for s in self.scales]
        high = [np.inf if s.high is None else (s.high - s.mean) / s.std for s in self.scales]
        return np.clip(outputs, low, high)

    def weights(
        self,
        frame: pl.DataFrame,
        *,
        first_row: int = 1,
        row_numbers: np.ndarray | None = None,
    ) -> np.ndarray | None:
        """Return the row weights ``(N,)`` float32 with mean 1 over the frame's rows, or None.

        Args:
            frame: has the weight column.
            first_row, row_numbers: see `transform`.

        Raises:
            InputError: the column is not there, or a weight is missing, negative, infinite or no
                number, or all are 0.
        """
        if self.weight is None:
            return None
        rows = first_row if row_numbers is None else row_numbers
        return mean_one(self.weight, raw_weights(frame, self.weight, rows))


def fit_encoder(
    frame: pl.DataFrame,
    schema: Schema,
    rows: np.ndarray | None = None,
    *,
    row_numbers: np.ndarray | None = None,
    log_target: bool = False,
) -> Encoder:
    """Fit an encoder.

    Args:
        frame: the table that the schema was inferred from.
        schema: what its columns hold.
        rows: ``(n,)`` numbers of the training rows, the only ones that statistics are taken from; default all that have
            a target.
        row_numbers: ``(N,)``, what the frame's rows are called in messages; default 1, 2, ...
        log_target: whether nets predict log(1 + value) of regression targets, none of which may be below 0 then.

    Raises:
        InputError: there are no training rows, or no feature that varies in them.
    """
    target = schema.target
    present = ~frame.select(pl.any_horizontal(pl.col(target.names).is_null())).to_series()
    rows = np.flatnonzero(present.to_numpy()) if rows is None else np.asarray(rows)
    if len(rows) == 0:
        raise InputError("there are no training rows to fit the encoder on; give more rows.")
    numbers = rows + 1 if row_numbers is None else np.asarray(row_numbers)[rows]
    records: list[Record] = []
    for column in schema.features:
        values = frame[column.name].gather(rows)
        record = fit_record(values, column.kind, column.format, column.nulls, numbers)
        if _says_something(record, values):
            records.append(record)
    if not records:
        raise InputError(
            f"no feature varies in the {len(rows)} training rows; give more rows or other columns."
        )
    fitted = {r.name for r in records}
    return Encoder(
        columns=tuple(records),
        target=target,
        # What is ordered by time may grow beyond all that was seen.
        scales=fit_scales(
            frame, target, rows, numbers, bounded=schema.time is None, log=log_target
        ),
        weight=schema.weight,
        other=tuple(c.name for c in schema.columns if c.name not in fitted),
    )


def fit_scales(
    frame: pl.DataFrame, target: Target, rows: np.ndarray, numbers: RowNumbers = 1, *, bounded: bool = True,
    log: bool = False,
) -> tuple[TargetScale, ...]:  # fmt: skip
    """Return mean, deviation and, if bounded, range of each regression target over some rows; nothing for classes."""
    if target.task != "regression":
        return ()
    columns = (frame[name].gather(rows) for name in target.names)
    return tuple(_fit_target(column, numbers, bounded, log) for column in columns)


def _says_something(record: Record, values: pl.Series) -> bool:
    """Tell whether any column that the record fills varies in the training rows."""
    slots: Slots = record.slots
    if isinstance(record, Categorical):
        codes = np.zeros((len(values), 1), np.int32)
        nothing = np.zeros((len(values), 0))
        record.fill(values, Views(nothing, nothing, codes), Notes(), 1)
        return bool((codes != codes[:1]).any())
    if not isinstance(record, Discrete) and slots.flags and not slots.numeric:
        return len(slots.flags) > 1 or values.null_count() < len(values)
    return bool(slots.numeric or slots.flags) and values.null_count() < len(values)


def _fit_target(column: pl.Series, rows: RowNumbers, bounded: bool, log: bool) -> TargetScale:
    values = target_numbers(column, rows)
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return TargetScale(mean=0.0, std=1.0)
    log = log and values.min() >= 0
    if log:
        values = np.log1p(values)
    mean = float(values.mean())
    # Relative to the furthest value: squares of 1e-200 would vanish.
    far = float(np.abs(values - mean).max())
    std = far * float(np.sqrt(np.mean(np.square((values - mean) / far)))) if far > 0 else 1.0
    if not bounded:
        return TargetScale(mean=mean, std=std, log=log)
    low, high = float(values.min()), float(values.max())
    return TargetScale(mean=mean, std=std, low=low, high=high, log=log)
