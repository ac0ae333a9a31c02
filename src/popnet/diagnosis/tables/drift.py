"""Time drift: whether the target, or the distribution of the features, changes along a column of dates.

If it does, a random split mixes past and future, and its score is better than the model's will be on future rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

from popnet.data.tables.cast import to_numbers
from popnet.data.tables.schema import Column, Schema
from popnet.diagnosis.findings import DoctorFinding, Remedy
from popnet.diagnosis.limits import NO_LIMITS, Limits
from popnet.diagnosis.tables import univariate
from popnet.diagnosis.tables.shift import MIN_ROWS as MIN_SIDE
from popnet.diagnosis.tables.shift import CovariateShift, shift
from popnet.types import Array

MIN_ROWS, MIN_TIMES = 200, 20
"""Rows, and different times among them, below which a drift is not looked for."""

BLOCKS = 20
"""Stretches of time whose means are compared: rows near in time are alike, so rows are no independent samples."""

MIN_EFFECT = 0.2
"""Change of the target's mean in standard deviations (of a class's share: of their arcsines) that counts: Cohen 1988
calls it small."""

MAX_P = 0.01
"""... and the largest p-value, of Welch's test of the blocks' means, times the classes. A convention."""

MIN_AUC = 0.6
"""Area under the ROC curve by which nets must tell the earlier half from the later one. See `shift.CLEAR`."""

MAX_COLUMNS = 2
"""Columns of dates that are looked at, at most."""


def find(
    frame: pl.DataFrame,
    schema: Schema,
    rows: Array,
    seed: int = 0,
    limits: Limits = NO_LIMITS,
) -> list[DoctorFinding]:
    """Look for a drift along the column that rows are split by, else along columns of dates.

    Args:
        frame: the table.
        schema: of it.
        rows: ``(n,)`` to look at, all with a target.
        seed, limits: of the nets, see `shift`.
    """
    dates = [c for c in schema.columns if c.kind == "datetime"]
    columns = [schema.column(schema.time)] if schema.time else dates[:MAX_COLUMNS]
    rest = {c.name for c in (*dates, *columns)}
    part = frame[np.sort(np.asarray(rows))]
    found = [_drift(part, schema, c, sorted(rest), seed, limits) for c in columns]
    return [f for f in found if f]


def _drift(
    frame: pl.DataFrame,
    schema: Schema,
    column: Column,
    leave_out: Sequence[str],
    seed: int,
    limits: Limits,
) -> DoctorFinding | None:
    when = univariate.values(frame[column.name], column)
    known = np.flatnonzero(np.isfinite(when))
    if len(known) < MIN_ROWS or len(np.unique(when[known])) < MIN_TIMES:
        return None
    order = known[np.argsort(when[known], kind="stable")]
    ordered, at = frame[order], when[order]
    target = _target(ordered, schema, at)
    # Rows of one time stay together.
    cut = int((at < at[len(at) // 2]).sum())
    halves: CovariateShift | None = None
    others = [c for c in schema.features if c.name not in leave_out]
    if others and min(cut, len(at) - cut) >= MIN_SIDE:
        halves = shift(
            ordered[:cut], ordered[cut:], schema, leave_out=leave_out, seed=seed, limits=limits
        )
        if not (halves.shifted and halves.auc >= MIN_AUC):
            halves = None
    if not target and halves is None:
        return None
    parts = [f"Along '{column.name}', {change.words}." for change in target]
    columns = (column.name,)
    if halves is not None:
        moved = [m for m in halves.columns if m.is_shifted][:5]
        columns += tuple(m.name for m in moved)
        how = "; ".join(f"'{m.name}' {m.words}" for m in moved[:3])
        parts.append(
            "Nets that do not see this column tell the earlier half from the later one with an area under "
            f"the ROC curve of {halves.auc:.3f} (95 % interval {halves.low:.3f} to {halves.high:.3f})"
            + (f": {how}." if how else ".")
        )
    split = schema.time == column.name
    return DoctorFinding(
        rule="time_drift",
        title=f"the table changes along '{column.name}'",
        severity="note" if split else "warning",
        where=f"column '{column.name}'",
        measured=" ".join(parts),
        value=abs(target[0].size) if target else halves.auc if halves else 0.0,
        threshold=MIN_EFFECT if target else MIN_AUC,
        source="Cohen 1988; Lopez-Paz and Oquab 2017, arXiv:1610.06545",
        meaning=(
            "The test part is later than the training part, as new rows will be; expect the score to "
            "fall further as time goes on."
            if split
            else "A random split mixes past and future, so its score is better than the model's will be "
            "on future rows."
        ),
        remedy=Remedy(
            "Retrain with newer rows from time to time."
            if split
            else f"Split by time (--time {column.name!r})."
        ),
        columns=columns,
    )


@dataclass(frozen=True)
class TargetChange:
    """A change of the target from the earlier to the later half of the rows.

    Attributes:
        size: in standard deviations, or Cohen's h of a class's share.
        words: for people.
    """

    size: float
    words: str


def _target(frame: pl.DataFrame, schema: Schema, at: Array) -> list[TargetChange]:
    """Return the three largest changes of the target from the earlier to the later half, the largest first.

    Args:
        frame: rows in order of time.
        schema: names the target.
        at: ``(N,)`` their times, ascending.
    """
    block = np.searchsorted(np.asarray(at), np.asarray(at), side="left") * BLOCKS // len(at)
    blocks = np.unique(block)
    if len(blocks) < BLOCKS // 2:
        return []
    late = blocks >= BLOCKS // 2
    found: list[TargetChange] = []
    regression = schema.target.task == "regression"
    if regression:
        series = [(n, to_numbers(frame[n])[0].to_numpy()) for n in schema.target.names]
    else:
        column = frame[schema.target.names[0]]
        number = column.rank("dense").to_numpy() - 1
        present = column.unique().drop_nulls().sort().to_list()
        series = [(str(label), (number == i).astype(float)) for i, label in enumerate(present)]
    for name, y in series:
        means = np.array([y[block == b].mean() for b in blocks])
        constant = np.ptp(means) <= 1e-12 * (np.abs(y).max() + 1e-300)
        if min(late.sum(), (~late).sum()) < 2 or constant:
            continue
        early, later = y[block < BLOCKS // 2], y[block >= BLOCKS // 2]
        a, b = float(early.mean()), float(later.mean())
        size = (b - a) / y.std() if regression else float(_arcsine(b) - _arcsine(a))
        p = float(np.asarray(stats.ttest_ind(means[~late], means[late], equal_var=False))[1])
        if abs(size) >= MIN_EFFECT and p * len(series) < MAX_P:
            words = (
                f"the mean of '{name}' goes from {a:.4g} in the earlier half to {b:.4g} in the later"
                if regression
                else f"the share of class {name} goes from {100 * a:.1f} % in the earlier half to "
                f"{100 * b:.1f} % in the later"
            )
            found.append(TargetChange(size, words))
    found.sort(key=lambda c: -abs(c.size))
    return found[:3]


def _arcsine(share: float) -> float:
    """Return Cohen's transformation of a share, whose differences mean the same everywhere."""
    return 2 * float(np.arcsin(np.sqrt(np.clip(share, 0, 1))))
