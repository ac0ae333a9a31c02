"""Permutation importance: how much worse a model predicts held-out rows that have a column's values of other rows.

Breiman (2001, *Random forests*); Fisher, Rudin and Dominici (2019, *All models are wrong, but many are useful*), who
exchange values between rows as it is done here. It is what the model owes to a column, not what the target does: of
two columns that say the same a model may use either, so such columns are permuted together, and what only resembles
(`popnet.explanation.groups`) may share what it says.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from popnet.ablation.intervals import Interval, holm
from popnet.ablation.verdicts import DETECT_SHARE, MIN_DETECT, verdict_of
from popnet.errors import InputError, closest
from popnet.explanation.blocks import Block, blocks_of, exchanged
from popnet.explanation.groups import groups_of
from popnet.explanation.judged import Judged, judged, stacks
from popnet.explanation.statistics import Blocks, Losses, increase, loss_of, of_counts
from popnet.model.facts import ColumnImportance, GroupImportance, ImportanceVerdict
from popnet.model.model import Model
from popnet.runtime import keys

MAX_ROWS, MIN_ROWS = 5_000, 100
"""Rows that importance is measured on, unless it is asked for more; and those without which it is not measured where
time is short."""

REPEATS, MIN_REPEATS = 5, 2
"""Times that each group of columns is exchanged; and those where time is short: more rows tell more than more repeats,
and two are enough to tell the variance of what is put together."""

PILOT_ROWS = 2048
"""Rows whose prediction is timed, where time is short: programs take whole blocks, so that few rows tell little."""

MAX_STACKED = 3_000_000
"""Rows that are predicted in all, unless it is asked for more: of a thousand columns there are fewer of each."""

WORDS: dict[str, ImportanceVerdict] = {
    "helps": "matters", "harms": "harms", "no effect": "no effect", "not decided": "not decided",
}  # fmt: skip
"""What the verdicts on effects (`popnet.ablation.verdicts`) are called here."""


class Effort(NamedTuple):
    """How much is measured.

    Attributes:
        rows: at most.
        repeats: of each group.
        seconds: that it may take, about; rows and repeats become fewer if they would take longer. None for any time.
        least: rows without which nothing is measured, if there are so many.
    """

    rows: int = MAX_ROWS
    repeats: int = REPEATS
    seconds: float | None = None
    least: int = MIN_ROWS


def importance(
    model: Model,
    data: Any,
    *,
    columns: Sequence[str] | None = None,
    metric: str | None = None,
    rows: int | None = None,
    repeats: int = REPEATS,
    seed: int = 0,
) -> ColumnImportance:
    """Return how much each column of a table matters to a model, by permutation.

    Args:
        model: of a table.
        data: rows that the model was not trained on: a path, a pandas or polars frame, with the target.
        columns: to measure; a column is measured with those that say the same. Default: all that the model reads.
        metric: whose loss is measured; default the model's own. Of classes ``log_loss`` tells more than ``accuracy``,
            which moves in steps.
        rows: that are predicted at most, drawn at random; default `MAX_ROWS`.
        repeats: times that each column is exchanged among the rows.
        seed: of random choices.

    Raises:
        InputError: the model takes images, the data lacks the target or a column, the model reads no such column, or
            there is no such metric.
    """
    if repeats < 1 or (rows is not None and rows < 2):
        raise InputError("importance needs at least one repeat, and two rows.")
    found = measure(
        judged(model, data, metric),
        blocks_of(model.encoder),
        Effort(rows or MAX_ROWS, repeats),
        seed,
        columns,
    )
    assert found is not None  # no time limit
    return found


def measure(
    held_out: Judged, blocks: Sequence[Block], effort: Effort, seed: int, columns: Sequence[str] | None = None
) -> ColumnImportance | None:  # fmt: skip
    """Return how much each of some columns matters on rows; None if there is too little time for enough rows.

    Args:
        held_out: rows and what predicts them.
        blocks: all columns that it reads.
        effort: how much is measured.
        seed: of random choices.
        columns: to measure, with those that say the same; default all.

    Raises:
        InputError: there is no such column.
    """
    began, rng = time.monotonic(), keys.generator(seed, "importance")
    available = len(held_out)
    groups = asked_groups(groups_of(held_out.features, blocks, rng), blocks, columns)
    most = min(effort.rows, max(MAX_STACKED // (effort.repeats * max(len(groups), 1)), MIN_ROWS))
    order = rng.permutation(available)
    some, repeats = held_out.take(np.sort(order[:most])), effort.repeats
    if effort.seconds is not None:
        pilot = held_out.take(order[: min(most, PILOT_ROWS)])
        fitted = _within(pilot, len(groups), effort, min(most, available), began + effort.seconds)
        if fitted is None:
            return None
        rows, repeats = fitted
        some = held_out.take(np.sort(order[:rows]))
    dealt = Blocks.deal(len(some), some.units, rng)
    shifts = dealt.shifts(repeats, rng)
    donors = [dealt.donors(shift, rng) for shift in shifts]
    before = some.predict(some.features, np.arange(len(some)))
    base = Losses.of(some.metric, some.true, before, some.weights, dealt)
    intervals: list[Interval] = []
    for group in groups:
        losses, moved = _permuted(some, [blocks[i] for i in group], donors, dealt, before)
        least = of_counts(some.metric, len(some)) if moved else 0.0
        intervals.append(increase(base, losses, shifts, least))
    names = [[blocks[i].name for i in group] for group in groups]
    measured = ColumnImportance(
        metric=some.metric.name,
        loss=base.whole,
        rows=len(some),
        available=available,
        on=some.on,
        repeats=repeats,
        detect=smallest_that_matters(some, base.whole),
        groups=[],
    )
    return summary(measured, names, intervals)


def asked_groups(
    groups: list[list[int]], blocks: Sequence[Block], columns: Sequence[str] | None
) -> list[list[int]]:
    """Return the groups that hold one of some columns."""
    if columns is None:
        return groups
    known = {block.name: i for i, block in enumerate(blocks)}
    for name in columns:
        if name not in known:
            raise InputError(f"The model reads no column '{name}'.{closest(name, list(known))}")
    wanted = {known[name] for name in columns}
    return [group for group in groups if wanted & set(group)]


def _within(
    pilot: Judged, groups: int, effort: Effort, most: int, end: float
) -> tuple[int, int] | None:
    """Return rows and repeats that there is time for, by the time that some rows take; None if these are too few.

    Args:
        pilot: some of the rows.
        groups: of columns.
        effort: that was asked for.
        most: rows.
        end: moment of ``time.monotonic()``.
    """
    places = np.arange(len(pilot))
    dealt = Blocks.deal(len(pilot), None, keys.generator(0, "pilot"))
    pilot.predict(pilot.features, places)  # makes the members ready
    began = time.monotonic()
    found = pilot.predict(pilot.features, places)
    Losses.of(pilot.metric, pilot.true, found, pilot.weights, dealt)
    a_row = (time.monotonic() - began) / len(pilot)
    passes = (end - time.monotonic()) / a_row
    rows = int(min(most, passes / (max(groups, 1) * MIN_REPEATS + 1)))
    if rows < min(effort.least, most):
        return None
    return rows, int(np.clip(passes / (max(groups, 1) * rows), MIN_REPEATS, effort.repeats))


def _permuted(
    some: Judged, blocks: Sequence[Block], donors: Sequence[np.ndarray], dealt: Blocks, before: np.ndarray
) -> tuple[list[Losses], bool]:  # fmt: skip
    """Return the losses of rows that have some columns of others, repeat by repeat, and whether predictions changed."""
    n, moved = len(some), False
    found: list[Losses] = []
    for part in stacks(n, len(donors)):
        places = np.tile(np.arange(n), len(part))
        rows = np.concatenate([donors[r] for r in part])
        stacked = exchanged(some.features.take(places), blocks, some.features, rows)
        predicted = some.predict(stacked, places)
        for own in np.split(predicted, len(part)):
            found.append(Losses.of(some.metric, some.true, own, some.weights, dealt))
            moved = moved or not np.array_equal(own, before)
    return found, moved


def summary(
    measured: ColumnImportance, names: Sequence[list[str]], intervals: Sequence[Interval]
) -> ColumnImportance:
    """Return what was measured with its groups and their verdicts, the greatest increase first.

    Args:
        measured: without groups.
        names: the columns of each group.
        intervals: of each group's increase of the loss.
    """
    loss, detect = measured.loss or 0.0, measured.detect or 0.0
    corrected = holm(np.array([i.p for i in intervals]))
    groups = [
        GroupImportance(
            columns=columns,
            increase=found.mean,
            low=_number(found.low),
            high=_number(found.high),
            share=found.mean / loss if loss > 0 else None,
            p=float(p),
            verdict=WORDS[verdict_of(found, float(p), detect, 0.0)],
        )
        for columns, found, p in zip(names, intervals, corrected, strict=True)
    ]
    return replace(measured, groups=sorted(groups, key=lambda g: -(g.increase or 0.0)))


def smallest_that_matters(some: Judged, loss: float) -> float:
    """Return the smallest increase of a loss that matters.

    It is `DETECT_SHARE` of the model's loss, as of a study's baseline, and at least `MIN_DETECT` of a share, or of the
    loss of a constant.
    """
    metric = some.metric
    scale = 1.0
    if metric.tasks == ("regression",) and not metric.greater_is_better:
        true = np.asarray(some.true, float)
        level = (
            np.median(true, 0) if metric.level is None else np.quantile(true, metric.level, axis=0)
        )
        constant = np.broadcast_to(level, true.shape)
        scale = loss_of(metric, metric(true, constant, some.weights))
    return max(MIN_DETECT * scale, DETECT_SHARE * loss)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
