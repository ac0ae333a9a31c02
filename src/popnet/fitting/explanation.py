"""Which columns matter to the model that was fitted, by held-out rows, and how its predictions depend on them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import NamedTuple, cast

import numpy as np

from popnet.data.dataset import Features
from popnet.explanation.blocks import blocks_of
from popnet.explanation.effects import EffectsOfColumns, effects_within
from popnet.explanation.importance import MIN_ROWS, Effort, measure
from popnet.explanation.judged import Judged, out_of_fold, predictions
from popnet.fitting.candidates import Candidates
from popnet.fitting.selection import homes
from popnet.model.facts import ColumnImportance
from popnet.model.members import as_members
from popnet.model.model import Model
from popnet.options import Options
from popnet.predictions import metrics
from popnet.predictions.metrics import Metric
from popnet.prepare.prepared import Prepared
from popnet.runtime.clock import Finish
from popnet.types import Array

SHARE = 0.05
"""Of a time limit, what it takes at most: two thirds for importance, the rest for effects."""

SUFFICIENT_ROWS = 1_000
"""Rows of the test part that are enough. Where there is no time for so many of those that there are, rows that folds
hold out are taken: each is predicted by one fold's members alone, in a fraction of the time."""

TOO_SHORT = (
    "there was no time to measure which columns matter; popnet importance MODEL DATA measures it"
)

RESERVE = 0.25
"""Share of the finishing time that is left to the report and the saving."""


class Explained(NamedTuple):
    """What was found; None of each for which there was no time, no held-out row, or that was not asked for.

    Attributes:
        importance: which columns matter.
        effects: how predictions depend on the first of them.
        notes: a sentence if time was short.
    """

    importance: ColumnImportance | None = None
    effects: EffectsOfColumns | None = None
    notes: tuple[str, ...] = ()


def seconds(options: Options, table: Prepared) -> float | None:
    """Return the seconds that may be spent; None without a time limit, 0 if nothing is to be explained."""
    if not options.importance or table.encoder.image is not None:
        return 0.0
    return None if options.time_limit is None else SHARE * options.time_limit


def explain(model: Model, candidates: Candidates, options: Options, finish: Finish) -> Explained:
    """Return which columns matter and how predictions depend on the first of them.

    Args:
        model: that was fitted.
        candidates: that it was chosen from.
        options: the user's.
        finish: the time for it.
    """
    table = candidates.table
    budget = seconds(options, table)
    if budget == 0.0:
        return Explained()
    end = None if budget is None else time.monotonic() + min(budget, _left(finish))
    found = None
    parts = _held_out(model, candidates)
    if not parts:
        return Explained()
    for held_out, least in zip(parts, (SUFFICIENT_ROWS, MIN_ROWS)[-len(parts) :], strict=True):
        left = None if end is None else (end - time.monotonic()) * 2 / 3
        found = measure(
            held_out, blocks_of(model.encoder), Effort(seconds=left, least=least), options.seed
        )
        if found is not None:
            break
    if found is None:
        return Explained(notes=(TOO_SHORT,))
    if table.some_rows is None:
        return Explained(found)
    columns = [g.columns[0] for g in found.groups if g.verdict != "no effect"]
    return Explained(
        found, effects_within(model, table.some_rows, columns, options.seed, deadline=end)
    )


def _left(finish: Finish) -> float:
    """Return seconds that are left of the finishing time, less what the report needs."""
    return max(finish.clock.left() - RESERVE * finish.seconds, 0.0)


def _held_out(model: Model, candidates: Candidates) -> list[Judged]:
    """Return the test part, and the rows that folds hold out; where either is not there, it is not among them."""
    table, members = candidates.table, model.members
    metric = _smooth(candidates.metric)
    found: list[Judged] = []
    if len(table.test):
        features, true, w = _rows(table, table.test)

        def predict(x: Features, places: Array) -> np.ndarray:
            return predictions(model, metric, x)

        found.append(Judged(features, true, predict, metric, "test rows", w, table.test_groups))
    known = homes(candidates, members)
    if known is None:
        return found
    fold = np.full(len(candidates.rows), -1)
    parts: list[Model] = []
    for k in sorted({k for _, k in known}):
        fold[candidates.places(table.folds[k].valid)] = len(parts)
        mine = [i for i, (_, home) in enumerate(known) if home == k]
        own = model.weights[mine]
        nets, trees, shares = as_members([members[i] for i in mine], own / own.sum())
        parts.append(replace(model, nets=nets, trees=trees, weights=shares, facts=None))
    held_out = np.flatnonzero(fold >= 0)
    features, true, w = _rows(table, candidates.rows[held_out])
    groups = table.split_keys.groups
    units = None
    if groups is not None:
        units = np.unique(groups[candidates.rows[held_out]], return_inverse=True)[1]
    return [*found, out_of_fold(parts, fold[held_out], metric, features, true, w, units)]


def _smooth(metric: Metric) -> Metric:
    """Return what columns are measured by: of shares of decisions, which a few thousand rows tell little of, the
    log-loss by which the ensemble was chosen (on 1,000 rows of adult no column surely matters to the accuracy)."""
    by = metrics.named(metric.surrogate) if metric.uses_decision_rule else None
    return metric if by is None else by


def _rows(table: Prepared, rows: Array) -> tuple[Features, np.ndarray, np.ndarray | None]:
    """Return inputs, targets as metrics take them, and weights of some rows."""
    weights, target = table.data.weights, table.data.target[rows]
    true, _ = table.encoder.in_units(target, np.zeros((len(rows), table.data.n_outputs)))
    features = table.encoder.without_combinations(cast("Features", table.data.features).take(rows))
    return features, true, None if weights is None else np.asarray(weights)[rows]
