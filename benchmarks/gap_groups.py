"""Where one system's losses are above another's: groups of a column's values, and rules of several columns.

All of it works on the difference of two systems' losses of each row, first less second, so that the second, called the
peer, is ahead where the difference is positive. Many groups are looked at, and some of them differ by chance: intervals
of groups hold for all groups of a table together (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.tree import DecisionTreeRegressor

BINS = 8
"""Quantile bins of a column of numbers."""

FEW = 12
"""Distinct numbers up to which each is a group of its own."""

LEVELS = 20
"""Most frequent levels that are groups of their own; the rest are pooled."""

MIN_ROWS = 30
"""Rows of a group: of fewer, the mean difference is not near to normally distributed."""


class Group(NamedTuple):
    """Rows that are alike, and the difference of losses there.

    Attributes:
        column: whose values these are; of a rule empty.
        values: in words.
        rows: how many.
        mean: difference of losses, a row.
        low: end of its interval.
        high: other end.
        share_of_rows: of all rows.
        adds: what these rows add to the mean difference of all rows.
    """

    column: str
    values: str
    rows: int
    mean: float
    low: float
    high: float
    share_of_rows: float
    adds: float


def row_losses(true: np.ndarray, predicted: np.ndarray, kind: str = "log_loss") -> np.ndarray:
    """Return the loss of each row ``(N,)``.

    Args:
        true: class numbers, or numbers.
        predicted: probabilities ``(N, C)``, or numbers ``(N,)``.
        kind: of classes, ``log_loss`` in nats or ``error``, 1 for a wrong class; numbers have squared errors.
    """
    if predicted.ndim == 1:
        return (predicted - true) ** 2
    if kind == "error":
        return (predicted.argmax(1) != true).astype(float)
    p = predicted / predicted.sum(1, keepdims=True)
    return -np.log(np.clip(p[np.arange(len(p)), true], 1e-12, None))


def bootstrap_interval(
    difference: np.ndarray, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a mean (Efron 1979)."""
    rng = np.random.default_rng(seed)
    n = len(difference)
    means = [difference[rng.integers(0, n, n)].mean() for _ in range(draws)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def without_extremes(difference: np.ndarray, share: float = 0.01) -> np.ndarray:
    """Return the differences without a share of them, those that are greatest in absolute value; one at least."""
    kept = len(difference) - max(1, round(share * len(difference)))
    return difference[np.argsort(np.abs(difference))[:kept]]


def student_interval(difference: np.ndarray, level: float) -> tuple[float, float]:
    """Return Student's interval of a mean; bootstrap draws are too few for the level of many comparisons."""
    n = len(difference)
    half = stats.t.ppf((1 + level) / 2, n - 1) * difference.std(ddof=1) / np.sqrt(n)
    return float(difference.mean() - half), float(difference.mean() + half)


def numbered(value: float) -> str:
    """Return a number in four digits at most."""
    return f"{value:.4g}"


def is_number(column: pd.Series) -> bool:
    """Say whether a column has numbers, truth values apart."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def value_groups(column: pd.Series) -> list[tuple[str, np.ndarray]]:
    """Return groups of a column's values in words, with the rows of each, ``(N,)`` bool; none is in two groups.

    Numbers are in quantile bins unless there are few, and rare levels are pooled; missing values are a group.
    Groups of less than `MIN_ROWS` rows are left out.
    """
    missing = column.isna().to_numpy()
    there = column[~missing]
    groups: list[tuple[str, np.ndarray]] = [("missing", missing)]
    if is_number(column) and there.nunique() > FEW:
        values = column.to_numpy(float)
        ends = np.unique(np.quantile(values[~missing], np.linspace(0, 1, BINS + 1)))
        for k, (low, high) in enumerate(pairwise(ends)):
            last = k == len(ends) - 2
            inside = (values >= low) & ((values <= high) if last else (values < high))
            groups.append(
                (f"{numbered(low)} to {'' if last else 'below '}{numbered(high)}", inside)
            )
    else:
        counts = there.value_counts()
        own = [v for v in counts.index[:LEVELS] if counts[v] >= MIN_ROWS]
        groups += [(str(v), (column == v).to_numpy(bool)) for v in own]
        rest = ~missing & ~column.isin(own).to_numpy()
        groups.append((f"{len(counts) - len(own)} rare levels together", rest))
    return [(words, rows) for words, rows in groups if rows.sum() >= MIN_ROWS]


def group_of(
    column: str, words: str, rows: np.ndarray, difference: np.ndarray, level: float
) -> Group:
    """Return a group of rows ``(N,)`` bool with its interval."""
    inside = difference[rows]
    low, high = student_interval(inside, level)
    return Group(
        column, words, len(inside), float(inside.mean()), low, high,
        len(inside) / len(difference), float(inside.sum() / len(difference)),
    )  # fmt: skip


def column_groups(frame: pd.DataFrame, difference: np.ndarray, level: float = 0.95) -> list[Group]:
    """Return the groups of all columns, those that add most to the peer's lead first.

    Args:
        frame: columns of the rows, the target among them if its groups are wanted.
        difference: of losses ``(N,)``.
        level: of the intervals of all groups together.
    """
    found = [
        (name, words, rows)
        for name in frame.columns
        for words, rows in value_groups(frame[name])
        if rows.sum() < len(frame)  # a constant column divides nothing
    ]
    each = 1 - (1 - level) / max(1, len(found))
    groups = [
        group_of(str(name), words, rows, difference, each)
        for name, words, rows in found
        if difference[rows].std() > 0
    ]
    return sorted(groups, key=lambda g: -g.adds)


# --- rules ----------------------------------------------------------------------------------------


def encoded(frame: pd.DataFrame) -> tuple[np.ndarray, list[tuple[str, str | None]]]:
    """Return columns for a tree, and for each its name and, of a column that says whether it has a level, the level."""
    columns, names = [], []
    for name in frame.columns:
        column = frame[name]
        if is_number(column):
            columns.append(column.to_numpy(float))
            names.append((str(name), None))
            continue
        counts = column.astype(object).where(column.notna(), "missing").value_counts()
        for value in counts.index[:LEVELS]:
            columns.append((column.isna() if value == "missing" else column == value).to_numpy(float))  # fmt: skip
            names.append((str(name), str(value)))
    return np.column_stack(columns).astype(np.float32), names


Condition = tuple[str, str | None, bool, float]
"""A column, its level (None of a number), whether the rows are at or below the threshold, and the threshold."""


def in_words(conditions: Sequence[Condition]) -> str:
    """Return a rule in words; of several bounds of a column on the same side the last one, the narrowest, is said."""
    last = {condition[:3]: condition[3] for condition in conditions}
    said = [
        f"{name} {'<=' if below else '>'} {numbered(threshold)}"
        if level is None
        else f"{name} is {'not ' if below else ''}{level}"
        for (name, level, below), threshold in last.items()
    ]
    return " and ".join(said) or "all rows"


def rules(
    frame: pd.DataFrame, difference: np.ndarray, depth: int = 3, level: float = 0.95, seed: int = 0
) -> list[Group]:
    """Return the leaves of a shallow tree of the differences, found on one half of the rows and shown on the other.

    The other half has not chosen the rules, so that its intervals are fair; they hold for all leaves together.

    Args:
        frame: columns of the rows.
        difference: of losses ``(N,)``.
        depth: conditions in a rule, at most.
        level: of the intervals of all rules together.
        seed: of the halves.
    """
    X, names = encoded(frame)
    order = np.random.default_rng(seed).permutation(len(X))
    chosen_on, shown_on = order[: len(X) // 2], order[len(X) // 2 :]
    tree = DecisionTreeRegressor(
        max_depth=depth, min_samples_leaf=max(MIN_ROWS, len(chosen_on) // 50), random_state=seed
    ).fit(X[chosen_on], difference[chosen_on])
    nodes = tree.tree_
    rule: dict[int, list[Condition]] = {0: []}
    for node in range(nodes.node_count):
        for child, below in ((nodes.children_left[node], True), (nodes.children_right[node], False)):  # fmt: skip
            if child >= 0:
                name, value = names[nodes.feature[node]]
                condition = (name, value, below, float(nodes.threshold[node]))
                rule[child] = [*rule[node], condition]
    leaf = tree.apply(X[shown_on])
    leaves = [n for n in rule if nodes.children_left[n] < 0 and (leaf == n).sum() >= MIN_ROWS]
    each = 1 - (1 - level) / max(1, len(leaves))
    rest = difference[shown_on]
    found = [group_of("", in_words(rule[n]), leaf == n, rest, each) for n in leaves]
    return sorted(found, key=lambda g: -g.adds)
