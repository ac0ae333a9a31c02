"""A table that is larger than memory made ready for a fit: read in batches, encoded into a temporary file.

What its columns hold, and the encoder's statistics, are found from rows drawn at random; every row is trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from popnet.data import split_sizes, splits
from popnet.data.dataset import Dataset, StoredFeatures, stored_type
from popnet.data.row_file import RowFile
from popnet.data.splits import SplitKeys
from popnet.data.tables.delimited import ahead
from popnet.data.tables.encode import Encoder, fit_encoder
from popnet.data.tables.read import read_batches
from popnet.data.tables.roles import group_shares, mean_one, raw_weights, time_numbers
from popnet.data.tables.sample import BATCH_ROWS, Sample, frame_bytes, sample_table
from popnet.data.tables.schema import Schema, conform, infer_schema
from popnet.errors import InputError
from popnet.options import Options
from popnet.prepare.prepared import Prepared
from popnet.prepare.table import (
    reading_choices,
    resampled_together,
    some_rows,
    split_name,
    usable_rows,
    whole_target,
)
from popnet.runtime import keys
from popnet.runtime.memory import Memory
from popnet.runtime.sizes import words

COPIES = 3.0
"""Times its own size that a table takes while it is read and encoded in memory."""

SAMPLE_SHARE = 0.08
"""Of the memory that is left, what the drawn rows may take."""

MIN_SAMPLE, MAX_SAMPLE = 10_000, 500_000
"""Rows drawn."""


def is_large(source: Any, memory: Memory) -> bool:
    """Return whether a table's file is too large to be read as a whole.

    Raises:
        InputError: as `popnet.data.tables.read.read_table`.
    """
    size = frame_bytes(source)
    return size is not None and COPIES * size > memory.left()


def prepare_large(
    path: Any, target: str | Sequence[str], options: Options, memory: Memory, on_rows: Callable[[int, int], None]
) -> Prepared:  # fmt: skip
    """Read a table in batches: once for a sample, once for the encoded rows, and between them for groups or times.

    Args:
        path: of the table.
        target: column to predict, or several for regression.
        options: of reading and splitting.
        memory: the memory limit, which decides how many rows are drawn.
        on_rows: called with the rows encoded so far and all rows.

    Raises:
        InputError: the table, the target or an option cannot be used, or there is no room for the temporary file.
    """
    if options.folds is not None and options.folds > 1:
        raise InputError(
            f"The table does not fit into {words(memory.limit)} of memory, and then one part is held out to validate "
            "on: leave --folds out, or give a greater --memory-limit."
        )
    names = (target,) if isinstance(target, str) else tuple(target)
    reading = reading_choices(path, options)
    sample = sample_table(
        path, _sample_rows(path, memory), names, options.seed, reading.as_written(names)
    )
    schema = infer_schema(
        sample.frame, target, task=options.task, weight=options.weight, group=options.group, time=options.time,
        drop=options.drop, keep=options.keep, reading=reading,
    )  # fmt: skip
    sample = sample._replace(frame=conform(sample.frame, schema))
    split_keys = _split_keys(path, schema, options)
    test, valid = _held_out(sample.rows, split_keys, options)
    few = some_rows(sample.frame, np.flatnonzero(_rest(sample, schema, test)), options.seed)
    notes: list[str] = []
    encoder = _encoder(sample, schema, test, notes, options.log_target)
    encoded = _encode(path, encoder, schema, sample.rows, on_rows)
    notes.append(
        f"the table does not fit into {words(memory.limit)} of memory: its {sample.rows:,} rows are kept, encoded, in "
        f"a temporary file, and what columns hold was found from {len(sample.numbers):,} rows drawn at random"
    )
    if encoded.unweighted:
        notes.append(f"{encoded.unweighted:,} rows of weight 0 are left out")
    schema = _of_whole(schema, sample, encoded)
    test, valid, rest = _places(encoded.kept, test, valid)
    fold = splits.Fold(rest, valid)
    train = np.sort(np.concatenate([rest, valid]))
    kept = split_keys.take(encoded.kept)
    return Prepared(
        schema, encoder, encoded.data, train, test, [fold], split_name(options, stratified=False), notes,
        resampled_together(kept.take(test)), kept, few,
    )  # fmt: skip


def _rest(sample: Sample, schema: Schema, test: np.ndarray) -> np.ndarray:
    """Return which of the drawn rows may be trained on, ``(S,)`` booleans."""
    return usable_rows(sample.frame, schema, []) & ~np.isin(sample.numbers, test)


def _sample_rows(path: Any, memory: Memory) -> int:
    """Return how many rows may be drawn."""
    first = next(read_batches(path, MIN_SAMPLE))
    row = first.estimated_size() / max(first.height, 1)
    return int(np.clip(SAMPLE_SHARE * memory.left() / max(row, 1.0), MIN_SAMPLE, MAX_SAMPLE))


def _split_keys(path: Any, schema: Schema, options: Options) -> SplitKeys:
    """Return what rows are held out by, of all rows of the table: groups' shares, or times."""
    if not options.group and not options.time:
        return SplitKeys()
    splits.check_one_order(options.group, options.time)
    found: list[np.ndarray] = []
    for first, frame in _batches(path):
        numbers = np.arange(first + 1, first + frame.height + 1)
        if options.group:
            found.append(group_shares(frame, options.group, options.seed, row_numbers=numbers))
        else:
            times = time_numbers(frame, schema, row_numbers=numbers)
            assert times is not None
            found.append(times)
    values = np.concatenate(found)
    return SplitKeys(groups=values) if options.group else SplitKeys(time=values)


def _batches(path: Any) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield batches, each with its first row's number, from 0."""
    first = 0
    for frame in ahead(read_batches(path, BATCH_ROWS)):
        yield first, frame
        first += frame.height


def _held_out(n: int, split_keys: SplitKeys, options: Options) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the rows to test on and to validate on, of all n rows of the table, ascending."""
    share = split_sizes.test_fraction(n) if options.test_size is None else options.test_size
    tested, validated = round(share * n), min(split_sizes.MAX_VALIDATION_ROWS, round(0.2 * n))
    groups, times = split_keys.groups, split_keys.time
    if times is not None:
        return splits.latest(times, tested, validated)
    if groups is not None:
        test = np.flatnonzero(groups < share)
        valid = np.flatnonzero((groups >= share) & (groups < share + validated / n))
        if (share and not len(test)) or not len(valid):
            raise InputError(
                f"the column '{options.group}' has too few groups to hold some out; give more groups."
            )
        return test, valid
    picked = keys.generator(options.seed, "holdout").choice(n, tested + validated, replace=False)
    return np.sort(picked[:tested]), np.sort(picked[tested:])


def _encoder(
    sample: Sample, schema: Schema, test: np.ndarray, notes: list[str], log_target: bool
) -> Encoder:
    """Return an encoder of the drawn rows that may be trained on."""
    usable = usable_rows(sample.frame, schema, [])
    frame, numbers = sample.frame.filter(usable), sample.numbers[usable]
    train = np.flatnonzero(~np.isin(numbers, test))
    encoder = fit_encoder(frame, schema, train, row_numbers=numbers + 1, log_target=log_target)
    encoder.transform(frame, report=notes, training=True, row_numbers=numbers + 1)
    return encoder


class _Encoded(NamedTuple):
    """The encoded table.

    Attributes:
        data: of the rows that can be used.
        kept: ``(N,)`` bool, which rows of the table those are.
        unweighted: rows of weight 0.
    """

    data: Dataset
    kept: np.ndarray
    unweighted: int


def _encode(
    path: Any, encoder: Encoder, schema: Schema, n: int, on_rows: Callable[[int, int], None]
) -> _Encoded:
    names = encoder.names
    file = RowFile(stored_type(len(names.numeric), len(names.flags), len(names.codes)))
    targets: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    kept, unweighted = np.zeros(n, bool), 0
    without_weight = schema.model_copy(update={"weight": None})
    for first, frame in _batches(path):
        frame = conform(frame, schema)
        usable = usable_rows(frame, without_weight, [])
        if schema.weight is not None:
            numbers = np.arange(first + 1, first + frame.height + 1)[usable]
            some = raw_weights(frame.filter(usable), schema.weight, numbers)
            unweighted += int((some == 0).sum())
            usable[np.flatnonzero(usable)[some == 0]] = False
            weights.append(some[some > 0])
        frame, numbers = frame.filter(usable), first + 1 + np.flatnonzero(usable)
        features = encoder.transform(frame, row_numbers=numbers)
        records = np.empty(frame.height, file.dtype)
        for part in ("numeric", "flags", "codes"):
            records[part] = getattr(features, part)
        file.append(records)
        targets.append(whole_target(encoder, frame, numbers))
        kept[first : first + len(usable)] = usable
        on_rows(first + len(usable), n)
    features = StoredFeatures(file, encoder.levels, encoder.knots)
    task = "regression" if schema.target.task == "regression" else "classification"
    weight = mean_one(schema.weight, np.concatenate(weights)) if schema.weight else None
    data = Dataset(features, np.concatenate(targets), task, encoder.n_outputs, weight)
    return _Encoded(data, kept, unweighted)


def _of_whole(schema: Schema, sample: Sample, encoded: _Encoded) -> Schema:
    """Return the schema of drawn rows with the counts of the whole table; missing values are estimated."""
    factor = sample.rows / len(sample.numbers)
    columns = tuple(
        c.model_copy(update={"missing": round(factor * c.missing)}) for c in schema.columns
    )
    without = sample.rows - int(encoded.kept.sum()) - encoded.unweighted
    return schema.model_copy(
        update={"columns": columns, "rows": sample.rows, "rows_without_target": without}
    )


def _places(
    kept: np.ndarray, test: np.ndarray, valid: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return test, validation and the remaining rows, int32, as numbers among the rows that are kept."""
    place = np.cumsum(kept, dtype=np.int32) - np.int32(1)
    test, valid = (place[rows[kept[rows]]] for rows in (test, valid))
    rest = np.ones(int(kept.sum()), bool)
    rest[test] = rest[valid] = False
    if not rest.any() or not len(valid):
        raise InputError("No rows with a target are left to train on; give more rows.")
    return test, valid, np.arange(len(rest), dtype=np.int32)[rest]
