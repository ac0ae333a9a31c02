"""Which columns matter to the model that was fitted, by held-out rows, and how its predictions depend on them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import numpy as np

from popnet.data.dataset import Features
from popnet.explanation.blocks import blocks_of
from popnet.explanation.effects import EffectsOfColumns, effects_within
from popnet.explanation.importance import Effort, measure
from popnet.explanation.judged import Judged, out_of_fold, predictions
from popnet.fitting.candidates import Candidates
from popnet.fitting.selection import homes_of
from popnet.model.facts import ColumnImportance
from popnet.model.members import Predictor, as_members
from popnet.model.model import Model
from popnet.options import Options
from popnet.prepare.prepared import Prepared
from popnet.runtime.clock import Finish

SHARE = 0.03
"""Of a time limit, what it takes at most: two thirds for importance, the rest for effects."""

RESERVE = 0.25
"""Share of the finishing time that is left to the report and the saving."""


class Explained(NamedTuple):
    """What was found; None of each for which there was no time, no held-out row, or that was not asked for."""

    importance: ColumnImportance | None = None
    effects: EffectsOfColumns | None = None


def seconds(options: Options, table: Prepared) -> float | None:
    """Return the seconds that may be spent; None without a time limit, 0 if nothing is to be explained."""
    if not options.importance or table.encoder.image is not None:
        return 0.0
    return None if options.time_limit is None else SHARE * options.time_limit


def explain(
    model: Model, candidates: Candidates, members: Sequence[Predictor], options: Options, finish: Finish
) -> Explained:  # fmt: skip
    """Return which columns matter and how predictions depend on the first of them.

    Args:
        model: that was fitted.
        candidates: that it was chosen from.
        members: of the model.
        options: the user's.
        finish: the time for it.
    """
    table = candidates.table
    budget = seconds(options, table)
    if budget == 0.0:
        return Explained()
    end = None if budget is None else time.monotonic() + min(budget, _left(finish))
    held_out = _held_out(model, candidates, members)
    if held_out is None:
        return Explained()
    effort = Effort(seconds=None if end is None else (end - time.monotonic()) * 2 / 3)
    found = measure(held_out, blocks_of(model.encoder), effort, options.seed)
    if found is None or table.some_rows is None:
        return Explained(found)
    columns = [g.columns[0] for g in found.groups if g.verdict != "no effect"]
    return Explained(
        found, effects_within(model, table.some_rows, columns, options.seed, deadline=end)
    )


def _left(finish: Finish) -> float:
    """Return seconds that are left of the finishing time, less what the report needs."""
    return max(finish.clock.left() - RESERVE * finish.seconds, 0.0)


def _held_out(model: Model, candidates: Candidates, members: Sequence[Predictor]) -> Judged | None:
    """Return the test part; without one the rows that folds hold out; None if neither is there."""
    table, metric = candidates.table, candidates.metric
    rows = table.test if len(table.test) else candidates.rows
    features = cast("Features", table.data.features).take(rows)
    weights = table.data.weights
    w = None if weights is None else np.asarray(weights)[rows]
    target = table.data.target[rows]
    true, _ = table.encoder.in_units(target, np.zeros((len(rows), table.data.n_outputs)))
    if len(table.test):
        return Judged(
            features, true, lambda x, _: predictions(model, metric, x), metric, "test rows", w,
            table.test_groups,
        )  # fmt: skip
    homes = homes_of(candidates, members)
    if homes is None:
        return None
    fold = np.full(len(rows), -1)
    parts: list[Model] = []
    for k in sorted({k for _, k in homes}):
        fold[candidates.places(table.folds[k].valid)] = len(parts)
        mine = [i for i, (_, home) in enumerate(homes) if home == k]
        own = model.weights[mine]
        nets, trees, shares = as_members([members[i] for i in mine], own / own.sum())
        parts.append(replace(model, nets=nets, trees=trees, weights=shares, facts=None))
    known = np.flatnonzero(fold >= 0)
    groups = table.split_keys.groups
    return out_of_fold(
        parts, fold[known], metric, features.take(known), true[known], None if w is None else w[known],
        None if groups is None else np.unique(groups[rows[known]], return_inverse=True)[1],
    )  # fmt: skip
