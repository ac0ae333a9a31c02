"""A table made ready for a fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from popnet.data import split_sizes, splits
from popnet.data.dataset import Dataset
from popnet.data.splits import SplitKeys
from popnet.data.tables.encode import fit_encoder
from popnet.data.tables.read import read_table
from popnet.data.tables.roles import group_numbers, time_numbers
from popnet.data.tables.schema import Schema, infer_schema
from popnet.errors import InputError
from popnet.options import Options
from popnet.prepare.prepared import Prepared
from popnet.types import Array

TIME_BLOCKS = 25
"""Blocks of consecutive rows that the test part of a time-ordered split is resampled by."""


def prepare_table(source: Any, target: str | Sequence[str], options: Options) -> Prepared:
    """Read, check, split and encode a table."""
    frame = read_table(source)
    schema = infer_schema(
        frame, target, task=options.task, weight=options.weight, group=options.group, time=options.time,
        drop=options.drop, keep=options.keep, **({"fewest_rows": 2, "single_rows": True} if options.tiny else {}),
    )  # fmt: skip
    notes: list[str] = []
    usable = usable_rows(frame, schema, notes)
    frame, numbers = frame.filter(usable), np.flatnonzero(usable) + 1
    names = schema.target.names
    rows = frame.height
    classification = schema.target.task != "regression"
    groups = times = None
    if options.group:
        groups = group_numbers(frame, options.group, row_numbers=numbers)
    if options.time:
        times = time_numbers(frame, schema, row_numbers=numbers)
    classes = frame[names[0]].rank("dense").to_numpy() if classification else None
    split_keys = SplitKeys(classes, groups, times)
    fraction = split_sizes.test_fraction(rows) if options.test_size is None else options.test_size
    if fraction > 0:
        part = split_keys.holdout(rows, fraction, options.seed)
    else:
        part = splits.Fold(np.arange(rows, dtype=np.int32), np.zeros(0, np.int32))
    encoder = fit_encoder(frame, schema, part.train, row_numbers=numbers)
    features = encoder.transform(frame, report=notes, training=True, row_numbers=numbers)
    y, keep = encoder.encode_target(frame, row_numbers=numbers)
    if not keep.all():  # a value that counts as missing only once it is cast
        raise InputError(f"The target {names[0]} has values that cannot be used; clean them first.")
    data = Dataset(
        features, y, "classification" if classification else "regression", encoder.n_outputs,
        encoder.weights(frame, row_numbers=numbers),
    )  # fmt: skip
    folds = _folds(part.train, options, split_keys)
    split = "time-ordered" if times is not None else "grouped" if groups is not None else (
        "stratified" if classification else "random")  # fmt: skip
    test_groups = None if groups is None else groups[part.valid]
    if times is not None:
        place = np.argsort(np.argsort(times[part.valid], kind="stable"))
        test_groups = place * TIME_BLOCKS // max(len(place), 1)
    return Prepared(
        schema, encoder, data, part.train, part.valid, folds, split, notes, test_groups, split_keys
    )


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
