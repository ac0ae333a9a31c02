"""A table made ready for a fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from popnet.data import split_sizes, splits
from popnet.data.dataset import Dataset
from popnet.data.splits import SplitKeys
from popnet.data.tables.encode import Encoder, fit_encoder
from popnet.data.tables.read import declared_categories, read_table
from popnet.data.tables.reading import ReadingChoices
from popnet.data.tables.roles import group_numbers, time_numbers
from popnet.data.tables.schema import MIN_ROWS, Schema, conform, infer_schema
from popnet.errors import InputError
from popnet.options import Options
from popnet.prepare.prepared import HeldOutRows, Prepared
from popnet.runtime import keys
from popnet.types import Array

SOME_ROWS = 5_000
"""Rows that a table is checked by before a fit."""

MAX_TEST_ROWS = 20_000
"""Test rows that are kept as they are, to see for which of them the model is worse."""

TIME_BLOCKS = 25
"""Blocks of consecutive rows that the test part of a time-ordered split is resampled by."""


def prepare_table(source: Any, target: str | Sequence[str], options: Options) -> Prepared:
    """Read, check, split and encode a table."""
    frame, schema = read_with_schema(source, target, options)
    notes: list[str] = []
    usable = usable_rows(frame, schema, notes)
    frame, numbers = frame.filter(usable), np.flatnonzero(usable) + 1
    classification = schema.target.task != "regression"
    split_keys, part = parts_of(frame, schema, options, numbers)
    encoder = fit_encoder(
        frame, schema, part.train, row_numbers=numbers, log_target=options.log_target
    )
    features = encoder.transform(frame, report=notes, training=True, row_numbers=numbers)
    y = whole_target(encoder, frame, numbers)
    data = Dataset(
        features, y, "classification" if classification else "regression", encoder.n_outputs,
        encoder.weights(frame, row_numbers=numbers),
    )  # fmt: skip
    folds = _folds(part.train, options, split_keys)
    split = split_name(options, stratified=classification)
    test_groups = resampled_together(split_keys.take(part.valid))
    return Prepared(
        schema, encoder, data, part.train, part.valid, folds, split, notes, test_groups, split_keys,
        some_rows(frame, part.train, options.seed),
        test_rows=_held_out_rows(frame, part.valid, options.seed),
    )  # fmt: skip


def parts_of(
    frame: pl.DataFrame, schema: Schema, options: Options, row_numbers: np.ndarray
) -> tuple[SplitKeys, splits.Fold]:
    """Return by what usable rows of a table are split, and which of them are held out for the score.

    Args:
        frame: the rows, conformed to the schema.
        schema: of the table.
        options: the user's.
        row_numbers: ``(N,)``, of the rows in the user's table, for messages.
    """
    rows, groups, times, classes = frame.height, None, None, None
    if options.group:
        groups = group_numbers(frame, options.group, row_numbers=row_numbers)
    if options.time:
        times = time_numbers(frame, schema, row_numbers=row_numbers)
    if schema.target.task != "regression":
        classes = frame[schema.target.names[0]].rank("dense").to_numpy()
    split_keys = SplitKeys(classes, groups, times)
    fraction = split_sizes.test_fraction(rows) if options.test_size is None else options.test_size
    if fraction > 0:
        return split_keys, split_keys.holdout(rows, fraction, options.seed)
    return split_keys, splits.Fold(np.arange(rows, dtype=np.int32), np.zeros(0, np.int32))


def _held_out_rows(frame: pl.DataFrame, test: np.ndarray, seed: int) -> HeldOutRows:
    """Return all test rows of a table, or `MAX_TEST_ROWS` drawn at random."""
    places = np.arange(len(test))
    if len(test) > MAX_TEST_ROWS:
        rng = keys.generator(seed, "test rows")
        places = np.sort(rng.choice(places, MAX_TEST_ROWS, replace=False))
    return HeldOutRows(places, frame[test[places]])


def some_rows(frame: pl.DataFrame, train: np.ndarray, seed: int) -> pl.DataFrame:
    """Return at most `SOME_ROWS` training rows of a table, drawn at random, in its order."""
    if len(train) > SOME_ROWS:
        train = keys.generator(seed, "some rows").choice(train, SOME_ROWS, replace=False)
    return frame[np.sort(train)]


def read_with_schema(
    source: Any, target: str | Sequence[str], options: Options
) -> tuple[pl.DataFrame, Schema]:
    """Read a table, find what its columns hold, and return it with numbers and dates where text is read as such."""
    frame, reading = read_as_written(source, target, options)
    schema = infer_schema(
        frame, target, task=options.task, weight=options.weight, group=options.group, time=options.time,
        drop=options.drop, keep=options.keep, reading=reading, single_rows=options.tiny,
        fewest_rows=2 if options.tiny else MIN_ROWS,
    )  # fmt: skip
    return conform(frame, schema), schema


def read_as_written(
    source: Any, target: str | Sequence[str], options: Options
) -> tuple[pl.DataFrame, ReadingChoices]:
    """Read a table of which nothing is known yet, and return how its values are to be read."""
    names = (target,) if isinstance(target, str) else tuple(target)
    reading = reading_choices(source, options)
    written = (*names, *([options.group] if options.group else []))
    return read_table(source, as_written=reading.as_written(written)), reading


def reading_choices(source: Any, options: Options) -> ReadingChoices:
    """Return what the user says about how values are read, and what columns the source declares to be categories."""
    declared = declared_categories(source)
    categorical = tuple(dict.fromkeys([*options.reading.categorical, *declared]))
    return options.reading.model_copy(update={"categorical": categorical})


def split_name(options: Options, *, stratified: bool) -> str:
    """Return how the parts are drawn, see `popnet.report.fit_page.facts.DataFacts`."""
    if options.time:
        return "time-ordered"
    return "grouped" if options.group else "stratified" if stratified else "random"


def resampled_together(split_keys: SplitKeys) -> np.ndarray | None:
    """Return which of a test part's rows its score's interval resamples together, ``(N,)``: groups, blocks of time."""
    if split_keys.time is None:
        return split_keys.groups
    place = np.argsort(np.argsort(split_keys.time, kind="stable"))
    return place * TIME_BLOCKS // max(len(place), 1)


def whole_target(encoder: Encoder, frame: pl.DataFrame, row_numbers: np.ndarray) -> np.ndarray:
    """Return the encoded target of rows that all have one, see `Encoder.encode_target`.

    Raises:
        InputError: a value counts as missing once it is cast, and what `Encoder.encode_target` raises.
    """
    y, there = encoder.encode_target(frame, row_numbers=row_numbers)
    if not there.all():
        raise InputError(
            f"The target {encoder.target.names[0]} has values that cannot be used; clean them first."
        )
    return y


def usable_rows(frame: pl.DataFrame, schema: Schema, notes: list[str]) -> np.ndarray:
    """Return which rows have every target and count for something, ``(N,)`` booleans."""
    usable = np.ones(frame.height, bool)
    for name in schema.target.names:
        column = frame[name]
        usable &= column.is_not_null().to_numpy()
        if column.dtype.is_float():
            usable &= ~column.is_nan().fill_null(False).to_numpy()
    if schema.weight is not None:
        weights = frame[schema.weight].cast(pl.Float64, strict=False)
        nothing = usable & (weights == 0).fill_null(False).to_numpy()
        # With hardly any others, let the checks of the weights say what is wrong.
        if nothing.any() and (usable & ~nothing).sum() >= 2:
            notes.append(f"{nothing.sum():,} rows of weight 0 are left out")
            usable &= ~nothing
    return usable


def _folds(train: Array, options: Options, split_keys: SplitKeys) -> list[splits.Fold]:
    """Cut training rows into the folds asked for, or as many as are worth it and possible."""
    k = options.folds or min(
        split_sizes.fold_count(len(train), options.members),
        split_keys.max_folds(train),
    )
    folds = split_keys.folds(train, k, options.seed)
    if k > 1:
        return folds
    back = split_keys.groups is None and split_keys.time is None
    return [splits.capped(folds[0], split_sizes.MAX_VALIDATION_ROWS, options.seed, back=back)]
