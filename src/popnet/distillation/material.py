"""What there is to learn from and to be scored on: the rows of a table, encoded as the ensemble takes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from popnet.data.dataset import Features
from popnet.data.tables.read import read_table
from popnet.data.tables.schema import conform
from popnet.errors import InputError
from popnet.model.model import Model
from popnet.options import Options
from popnet.prepare.as_fitted import as_fitted
from popnet.prepare.large import is_large
from popnet.prepare.table import parts_of, resampled_together, usable_rows
from popnet.runtime.memory import Memory

SAME_SCORE = 1e-4
"""Largest relative difference of an ensemble's score from the one in its folder, for rows to be taken for those of its
test part: float32 sums on another machine differ by less."""


@dataclass(frozen=True)
class Scored:
    """Rows that a student does not learn from.

    Attributes:
        features: of N rows.
        target: ``(N,)`` class numbers or ``(N, T)`` standardised numbers.
        weights: ``(N,)`` row weights, or None.
        groups: ``(N,)``, what an interval resamples together, or None.
        outputs: ``(N, O)``, the ensemble's probabilities, or standardised numbers.
        where: which rows these are, as in "on 114 held-out test rows".
        seen: whether the ensemble may have been trained on them.
    """

    features: Features
    target: np.ndarray
    weights: np.ndarray | None
    groups: np.ndarray | None
    outputs: np.ndarray
    where: str
    seen: bool


@dataclass(frozen=True)
class Material:
    """What a student is made from.

    Attributes:
        features: rows to learn from.
        weights: of these rows, or None.
        scored: rows to be scored on.
        row: a row of the table as it was read, whose prediction is timed.
    """

    features: Features
    weights: np.ndarray | None
    scored: Scored
    row: pl.DataFrame


@dataclass(frozen=True)
class _Table:
    """A table, read as a model reads it: rows that have a target."""

    frame: pl.DataFrame
    numbers: np.ndarray
    features: Features
    target: np.ndarray
    weights: np.ndarray | None
    row: pl.DataFrame


def gather(model: Model, data: Any, test: Any, seed: int, memory: Memory) -> Material:
    """Read the data, and hold rows out for the score.

    The fit's own test part is held out again where it is found: the split follows from the data, the seed and the
    share, which the model folder tells in part, and the ensemble's score on the rows says whether they are the same.

    Args:
        model: the ensemble.
        data: rows to learn from, as `popnet.data.tables.read.read_table` takes them, with the target.
        test: rows to be scored on likewise; None for some of the data.
        seed: of the split, where it is not the fit's.
        memory: the memory limit.

    Raises:
        InputError: a table cannot be read, does not suit the model, is too large, or has too few rows.
    """
    table = _read(model, data, memory)
    rows = np.arange(len(table.target))
    if test is not None:
        other = _read(model, test, memory)
        place = np.arange(len(other.target))
        where = f"on {len(place):,} test rows"
        scored = _scored(model, other, place, None, where, seen=False)
        return Material(table.features, table.weights, scored, table.row)
    if len(rows) < 10:
        raise InputError(
            f"{len(rows)} rows are too few to hold some of them out; give more, or --test."
        )
    for options in _splits_of_fit(model, len(rows)):
        found = _held_out(model, table, options, seen=False)
        if found is not None and _is_test_part(model, found[1]):
            break
    else:
        # A share of its own, as the seed's split with the usual one may be the fit's, cut otherwise.
        found = _held_out(model, table, Options(seed=seed), seen=True)
        if found is None:
            raise InputError("No row could be held out; give rows to be scored on with --test.")
    train, scored = found
    weights = None if table.weights is None else table.weights[train]
    return Material(table.features.take(train), weights, scored, table.row)


def _read(model: Model, source: Any, memory: Memory) -> _Table:
    if is_large(source, memory):
        raise InputError("The table is too large for the memory; give some of its rows.")
    schema, encoder = model.schema, model.encoder
    written = schema.reading.as_written(_written(model))
    whole = read_table(source, written)
    lacking = [name for name in schema.target.names if name not in whole.columns]
    if lacking:
        raise InputError(
            f"the table lacks the target column '{lacking[0]}', without which nothing can be scored; add it."
        )
    frame = conform(whole, schema)
    usable = usable_rows(frame, schema, [])
    numbers = np.flatnonzero(usable) + 1
    frame = frame.filter(usable)
    features = encoder.transform(frame, row_numbers=numbers)
    target, there = encoder.encode_target(frame, row_numbers=numbers)
    if not there.all():
        frame, features = frame.filter(there), features.take(np.flatnonzero(there))
        numbers, target = numbers[there], target[there]
    if not len(target):
        raise InputError("The table has no row with a target, so there is nothing to be scored on.")
    weights = None
    if encoder.weight is not None:
        weights = encoder.weights(frame, row_numbers=numbers)
    return _Table(frame, numbers, features, target, weights, whole.head(1))


def _written(model: Model) -> Sequence[str]:
    group = model.schema.group
    return (*model.schema.target.names, *(() if group is None else (group,)))


def _splits_of_fit(model: Model, rows: int) -> list[Options]:
    """Return options by which a fit of so many rows may have held its test part out."""
    if model.facts is None or "held-out test" not in model.facts.scores.scored_on:
        return []
    seed, share = model.facts.fit.seed, model.facts.scores.scored_rows / rows
    shares = [None, *([share] if 0 < share < 1 else [])]
    return [Options(seed=seed, test_size=share) for share in shares]


def _held_out(
    model: Model, table: _Table, options: Options, *, seen: bool
) -> tuple[np.ndarray, Scored] | None:
    """Return the numbers of rows to learn from, and the rows to be scored on; None if the rows cannot be split so."""
    options = as_fitted(options, model.schema)
    try:
        split_keys, part = parts_of(table.frame, model.schema, options, table.numbers)
    except InputError:
        return None
    if not len(part.train) or not len(part.valid):
        return None
    groups = resampled_together(split_keys.take(part.valid))
    count = f"{len(part.valid):,}"
    where = f"on {count} held-out test rows"
    if seen:
        where = f"on {count} rows, which the ensemble may have been trained on"
    return part.train, _scored(model, table, part.valid, groups, where, seen=seen)


def _scored(
    model: Model, table: _Table, rows: np.ndarray, groups: np.ndarray | None, where: str, *, seen: bool
) -> Scored:  # fmt: skip
    features = table.features.take(rows)
    weights = None if table.weights is None else table.weights[rows]
    return Scored(
        features, table.target[rows], weights, groups, model.scores(features), where, seen
    )


def _is_test_part(model: Model, scored: Scored) -> bool:
    """Whether rows are those that a model was scored on when it was fitted: as many, with the same score."""
    assert model.facts is not None
    known = model.facts.scores
    if known.scored_rows != len(scored.target) or known.score is None:
        return False
    found = model.score_outputs(scored.target, scored.outputs[None], scored.weights)
    return math.isclose(found[known.metric], known.score, rel_tol=SAME_SCORE, abs_tol=SAME_SCORE)
