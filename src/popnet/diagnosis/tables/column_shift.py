"""How one column differs between two tables, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import polars as pl

from popnet.data.tables.cast import to_numbers, to_times
from popnet.data.tables.columns import level_text
from popnet.data.tables.schema import Column
from popnet.diagnosis.tables import univariate
from popnet.types import Array

CHANCE = 0.01
"""Probability that any column of a table is said to have shifted by chance, all columns together (Bonferroni)."""

LOSS = 0.01
"""... or it has shifted if its permutation importance for the nets is at least this. A convention."""

LEVELS = 3
"""Levels that are told of, those whose shares changed the most."""


@dataclass(frozen=True)
class ColumnShift:
    """One column in two tables.

    Attributes:
        name: of the column.
        auc: area under the ROC curve by which it tells the tables apart alone; 0.5 is chance.
        importance: area that the nets lose if its values are permuted.
        is_shifted: whether it differs for certain.
        words: how it differs, for people.
    """

    name: str
    auc: float
    importance: float
    is_shifted: bool
    words: str


def cast(old: pl.Series, new: pl.Series, column: Column) -> pl.Series:
    """Put a column of two tables into one series of the type that its kind asks for; what does not fit is missing."""
    if column.kind == "categorical":
        numbers = old.dtype.is_numeric()
        parts = [level_text(s, numbers) for s in (old, new)]
    elif column.kind == "datetime":
        parts = [to_times(s, column.format)[0] for s in (old, new)]
    else:
        words = column.kind == "boolean"
        parts = [to_numbers(s, column.nulls, words=words)[0] for s in (old, new)]
    return pl.concat([p.alias(column.name) for p in parts])


def compare(
    series: pl.Series, column: Column, side: Array, auc: float, importance: float, columns: int
) -> ColumnShift:
    """Describe how a column differs between two tables.

    Args:
        series: ``(N,)`` both tables, as `cast` returns them.
        column: what it holds.
        side: ``(N,)`` 0 for the old table, 1 for the new one.
        auc, importance: see `ColumnShift`.
        columns: how many are compared.
    """
    new = int(side.sum())
    old = len(side) - new
    # Mann and Whitney's variance of the area without a difference.
    error = ((old + new + 1) / (12 * old * new)) ** 0.5
    certain = auc - 0.5 > NormalDist().inv_cdf(1 - CHANCE / columns) * error
    parts = [series.filter(pl.Series(side == s)) for s in (0, 1)]
    words = _missing(*parts)
    if column.kind == "datetime":
        words += _span(*parts)
    elif univariate.is_number(column):
        words += _numbers(*(univariate.values(p, column) for p in parts))
    else:
        words += _levels(*parts)
    return ColumnShift(
        column.name,
        auc,
        importance,
        bool(certain or importance >= LOSS),
        ", ".join(words) or "no value in either table",
    )


def _missing(old: pl.Series, new: pl.Series) -> list[str]:
    before, after = (s.null_count() / len(s) for s in (old, new))
    if abs(after - before) < 0.005:
        return []
    return [f"missing {_percent(before)} → {_percent(after)}"]


def _numbers(old: Array, new: Array) -> list[str]:
    old, new = old[np.isfinite(old)], new[np.isfinite(new)]
    if not len(old) or not len(new):
        return []
    words = [f"mean {_number(old.mean())} → {_number(new.mean())}"]
    (a, b, c), (d, e, f) = (np.quantile(x, [0.05, 0.5, 0.95]) for x in (old, new))
    words.append(f"median {_number(b)} → {_number(e)}")
    words.append(
        f"5th to 95th percentile {_number(a)} to {_number(c)} → {_number(d)} to {_number(f)}"
    )
    return words


def _span(old: pl.Series, new: pl.Series) -> list[str]:
    if old.null_count() == len(old) or new.null_count() == len(new):
        return []
    before, after = (f"{s.min()} to {s.max()}" for s in (old, new))
    return [f"{before} → {after}"]


def _levels(old: pl.Series, new: pl.Series) -> list[str]:
    old, new = old.drop_nulls(), new.drop_nulls()
    if not len(old) or not len(new):
        return []
    before, after = (
        dict(s.value_counts().iter_rows()) for s in (old.alias("level"), new.alias("level"))
    )
    change = {
        level: (before.get(level, 0) / len(old), after.get(level, 0) / len(new))
        for level in before | after
    }
    most = sorted(change, key=lambda v: (-abs(change[v][1] - change[v][0]), str(v)))[:LEVELS]
    words = [f"{_level(v)} {_percent(change[v][0])} → {_percent(change[v][1])}" for v in most]
    unseen = sum(n for level, n in after.items() if level not in before) / len(new)
    # Good and Turing: of a next sample of the same, as much is new as stood alone in the first.
    expected = sum(n == 1 for n in before.values()) / len(old)
    if unseen > 2 * expected + 0.01:
        words.append(f"{_percent(unseen)} of the new values were never seen")
    return words


def _number(x: float) -> str:
    return f"{x:,.0f}" if 1e3 <= abs(x) < 1e9 else f"{x:.4g}"


def _level(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else f"'{value}'"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if 0 < share < 0.1 else f"{100 * share:.0f} %"
