"""Order in time: whether a random split's score is better than what is reached on rows later than those trained on.

Rows that are near in time are alike. A random split has neighbours of each test row among the training rows, the future
has none. How much that makes is measured: boosted trees predict the same rows twice, trained on earlier rows only, and
on as many drawn at random from all others (rolling-origin evaluation, Tashman 2000, beside cross-validation).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from scipy import stats

from popnet.data.dataset import Dataset, Features
from popnet.data.tables.encode import fit_encoder
from popnet.data.tables.kinds import name_tokens
from popnet.data.tables.schema import Column, Schema
from popnet.diagnosis.findings import DoctorFinding, Remedy
from popnet.diagnosis.tables import univariate
from popnet.errors import InputError
from popnet.runtime import keys
from popnet.trees import inputs
from popnet.trees.boosting import Boosting
from popnet.trees.grown import Setting
from popnet.trees.settings import CELL_SECONDS
from popnet.types import Array

TIMES = frozenset(
    ("time", "timestamp", "datetime", "date", "day", "week", "month", "quarter", "year", "yr", "period", "epoch",
     "second", "seconds")
)  # fmt: skip
"""Words in names of columns that may order rows in time."""

NOT_OF_ROWS = frozenset(
    (
        "birth",
        "born",
        "dob",
        "built",
        "blt",
        "construction",
        "made",
        "manufacture",
        "manufactured",
        "model",
        "founded",
    )
)
"""... and words in names of times that are a property of what a row is about, and not when it was recorded."""

ASCENDING = 0.99
"""Share of the steps from row to row of a table that go the same way where a column orders it. A convention."""

EVEN = 1.63
"""A column without such a name is a time axis if its values are distinct, ascend, and are spread evenly: the critical
value of Kolmogorov and Smirnov's test at 1 %. A table that is sorted by a price has few high ones."""

MIN_ROWS, MAX_ROWS = 300, 20_000
"""Rows below which nothing is measured, and that are measured on at most."""

HISTORY = 1 / 3
"""Share of the rows, the earliest, that are only trained on."""

BLOCKS, MIN_BLOCKS = 10, 4
"""Stretches that the other rows are cut into, each predicted from the rows before it; and how few may be left where
many rows have the same time."""

MIN_BLOCK_ROWS = 20

ROUNDS, MIN_ROUNDS, STEPS, MAX_RATE = 40, 10, 6.0, 0.4
"""Rounds of boosting; the learning rate times the rounds, and the highest rate, with which fewer rounds do."""

TREE_SECONDS, SECONDS = 1.5e-3, 2.0
"""What a tree takes on one core (0.9 to 1.2 s in all for 640 trees on 5,000 rows of adult, bank and california), and
how long all may take: nothing is measured where that is less than `MIN_ROUNDS`, as for ten classes and more."""

MIN_GAIN = 0.03
"""Relative difference of the losses that counts, which the whole interval must lie above."""

MAX_COLUMNS = 2
"""Columns that are measured along, at most."""

UNSURE = 0.01
"""Share of a uniform distribution that is mixed into predicted probabilities: a class that earlier rows do not have
must not decide alone."""


@dataclass(frozen=True)
class TimeGap:
    """How much worse later rows are predicted than rows in between.

    Attributes:
        column: that orders the rows.
        metric: ``RMSE`` or ``log-loss``.
        gap: by how much the loss is higher on later rows, relative to that on rows in between; 0.2 for 20 %.
        low, high: ends of its 95 % interval.
        blocks: that were predicted.
        rows: that were looked at.
    """

    column: str
    metric: str
    gap: float
    low: float
    high: float
    blocks: int
    rows: int

    @property
    def flatters(self) -> bool:
        """Whether a random split's score is too good for the future, for certain and by enough to matter."""
        return self.low >= MIN_GAIN

    @property
    def words(self) -> str:
        """The difference, for people: ``23 % (15 to 31)``."""
        return f"{100 * self.gap:.0f} % ({100 * self.low:.0f} to {100 * self.high:.0f})"


def find(frame: pl.DataFrame, schema: Schema, rows: Array, seed: int = 0) -> list[DoctorFinding]:
    """Look for a column along which a random split's score is too good for the future.

    Args:
        frame: the table.
        schema: of it.
        rows: ``(n,)`` training rows, all with a target.
        seed: of samples and of trees.
    """
    if len(rows) > MAX_ROWS:
        rows = keys.generator(seed, "time order").choice(rows, MAX_ROWS, replace=False)
    gap = flattered(frame[np.sort(np.asarray(rows))], schema, seed)
    if gap is None:
        return []
    return [
        DoctorFinding(
            rule="time_order",
            title=f"'{gap.column}' orders the rows in time, and later ones are harder",
            severity="warning",
            where=f"column '{gap.column}'",
            measured=(
                f"On rows that are later than those trained on the {gap.metric} of boosted trees is {gap.words} higher "
                f"than on the same rows with as many training rows from before and after them: {gap.blocks} stretches "
                f"of time of {gap.rows:,} rows, 95 % interval over the stretches."
            ),
            value=gap.gap,
            threshold=MIN_GAIN,
            source="Tashman 2000, Out-of-sample tests of forecasting accuracy; the number is a convention",
            meaning=(
                "A random split has neighbours in time of each test row among the training rows, so its score says how "
                "well gaps are filled, and not how well the future is predicted."
            ),
            remedy=Remedy(
                f"If the model is to predict later rows, split by time (--time {gap.column!r}); if it is to fill gaps "
                "between known rows, a random split is right."
            ),
            columns=(gap.column,),
        )
    ]


def flattered(frame: pl.DataFrame, schema: Schema, seed: int = 0) -> TimeGap | None:
    """Return the gap along the first column for which it is certain and large enough.

    Args:
        frame: ``(N,)`` rows with a target, in the table's order.
        schema: of the table.
        seed: of samples and of trees.

    Returns:
        None if there is none, or rows are already split by time or group.
    """
    if schema.time or schema.group or frame.height < MIN_ROWS:
        return None
    for column in time_columns(frame, schema)[:MAX_COLUMNS]:
        gap = time_gap(frame, schema, column, seed)
        if gap is not None and gap.flatters:
            return gap
    return None


# --- columns that order rows --------------------------------------------------------------------


def time_columns(frame: pl.DataFrame, schema: Schema) -> list[Column]:
    """Return columns that may order the rows in time: dates first, then numbers.

    Dates count in any order of the table. So do numbers that are named as times alone and are years, or seconds or
    milliseconds since 1970. Others must ascend or descend in the table, and be named as times or be spread evenly.

    Args:
        frame: ``(N,)`` rows in the table's order.
        schema: of the table.
    """
    dates = [c for c in schema.features if c.kind == "datetime" and not _is_property(c.name)]
    numbers = [c for c in schema.columns if _may_count(c) and _orders(frame[c.name], c)]
    return [*dates, *numbers]


def _is_property(name: str) -> bool:
    return bool(NOT_OF_ROWS & set(name_tokens(name)))


def _may_count(column: Column) -> bool:
    """Tell whether a column may hold times as numbers: one that is used, or left out as a numbering named as a time."""
    if column.used:
        return column.kind in ("numeric", "discrete") and not _is_property(column.name)
    return column.kind == "identifier" and bool(TIMES & set(name_tokens(column.name)))


def _orders(series: pl.Series, column: Column) -> bool:
    if not column.used and not series.dtype.is_numeric():
        return False
    x = univariate.values(series, column)
    x = x[np.isfinite(x)]
    if len(x) < ASCENDING * len(series):
        return False
    distinct = len(np.unique(x))
    if distinct <= MIN_BLOCKS:
        return False
    names = set(name_tokens(column.name))
    if names and names <= TIMES and _is_absolute(x):
        return True
    steps = np.diff(x)
    steps = steps[steps != 0]
    up = float(np.mean(steps > 0))
    if max(up, 1 - up) < ASCENDING:
        return False
    return bool(TIMES & names) or (distinct == len(x) and _is_even(np.sort(x)))


def _is_absolute(x: Array) -> bool:
    """Tell whether numbers are years, or seconds or milliseconds since 1970 of the years from 1985 to 2039."""
    low, high = float(x.min()), float(x.max())
    if low >= 1900 and high <= 2100:
        return bool((x == np.floor(x)).all())
    return any(5e8 * unit <= low and high <= 2.2e9 * unit for unit in (1, 1e3))


def _is_even(x: Array) -> bool:
    """Tell whether ascending numbers are as far from equal steps as a random sample of equal steps is, at most."""
    n = len(x)
    even = (np.arange(n) + 0.5) / n
    return bool(np.abs((x - x[0]) / (x[-1] - x[0]) - even).max() < EVEN / np.sqrt(n))


# --- the measurement ----------------------------------------------------------------------------


def time_gap(frame: pl.DataFrame, schema: Schema, column: Column, seed: int = 0) -> TimeGap | None:
    """Measure how much worse rows are predicted from earlier rows than from as many of all others.

    Of each block half of the rows, drawn at random, are predicted; the others are there for the random draw.

    Args:
        frame: ``(N,)`` rows with a target.
        schema: of the table.
        column: that orders the rows.
        seed: of samples and of trees.

    Returns:
        None if there are too few rows or times, or it would take too long.
    """
    when = univariate.values(frame[column.name], column)
    known = np.flatnonzero(np.isfinite(when))
    blocks = _blocks(when[known])
    if len(blocks) < MIN_BLOCKS:
        return None
    frame = frame[known]
    data = _encoded(frame, schema)
    if data is None:
        return None
    outputs = 1 if data.n_outputs == 2 and data.task == "classification" else data.n_outputs
    assert isinstance(data.features, Features)
    tree = TREE_SECONDS + CELL_SECONDS * len(data) * inputs.count(data.features)
    rounds = int(min(ROUNDS, SECONDS / (2 * len(blocks) * outputs * tree)))
    if rounds < MIN_ROUNDS:
        return None
    rate = min(STEPS / rounds, MAX_RATE)
    boosting = Boosting(data, Setting(learning_rate=rate, max_leaf_nodes=16, max_iter=rounds), seed)
    rng = keys.generator(seed, "time gap", column.name)
    losses: list[list[float]] = []
    for earlier, block in blocks:
        tested = rng.permutation(block)[: len(block) // 2]
        others = np.setdiff1d(np.arange(len(data)), tested)
        drawn = np.sort(rng.choice(others, len(earlier), replace=False))
        losses.append([_mean_loss(boosting, rows, tested) for rows in (earlier, drawn)])
    later, between = np.array(losses).T
    if not (np.all(later > 0) and np.all(between > 0)):
        return None
    regression = data.task == "regression"
    compare = ratio_of_blocks if regression else ratio_of_means
    mean, error = compare(later, between)
    reach = float(stats.t.ppf(0.975, len(blocks) - 1)) * error
    gap, low, high = np.expm1([mean, mean - reach, mean + reach]).tolist()
    metric = "RMSE" if regression else "log-loss"
    return TimeGap(column.name, metric, gap, low, high, len(blocks), len(data))


def ratio_of_blocks(later: Array, between: Array) -> tuple[float, float]:
    """Return the mean logarithm of the ratio of two root mean squares over blocks, and its standard error.

    The ratio of their means over all blocks would hang on the few that a level which wanders has left farthest behind:
    along a random walk it was 50 % with an interval from 2 to 122 %, and this 27 % from 3 to 58 %.

    Args:
        later, between: ``(B,)`` positive mean squares of the same B blocks.
    """
    logs = np.log(later / between) / 2
    return float(logs.mean()), float(np.std(logs, ddof=1)) / len(logs) ** 0.5


def ratio_of_means(later: Array, between: Array) -> tuple[float, float]:
    """Return the logarithm of the ratio of two means over blocks, and its standard error (Cochran 1977, 6.4).

    The blocks' own ratios would not do for classes, of which most blocks may hold next to no loss: along a walk that
    seldom crosses from one class to the other these gave 47 % (-42 to 273), and this 133 % (41 to 282).

    Args:
        later, between: ``(B,)`` positive losses of the same B blocks.
    """
    ratio = later.mean() / between.mean()
    error = np.std(later - ratio * between, ddof=1) / len(later) ** 0.5 / later.mean()
    return float(np.log(ratio)), float(error)


def _encoded(frame: pl.DataFrame, schema: Schema) -> Dataset | None:
    """Return rows, levels as numbers: trees are trained on these in half the time. None if values cannot be used."""
    try:
        encoder = fit_encoder(frame, schema)
        target, there = encoder.encode_target(frame)
        features = encoder.transform(frame)
    except InputError:
        return None
    if not there.all():
        return None
    task = "regression" if schema.target.task == "regression" else "classification"
    return Dataset.from_arrays(inputs.matrix(features, np.arange(frame.height)), target, task)


def _blocks(when: Array) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the rows before each block, and the block's; rows of one time stay together.

    Args:
        when: ``(N,)`` finite times.
    """
    order = np.argsort(when, kind="stable")
    at = when[order]
    n = len(at)
    begins = n * (HISTORY + (1 - HISTORY) * np.arange(BLOCKS) / BLOCKS)
    cuts = np.unique(np.append(np.searchsorted(at, at[begins.astype(int)], "left"), n))
    return [
        (np.sort(order[:begin]), np.sort(order[begin:end]))
        for begin, end in pairwise(cuts)
        if min(begin, end - begin) >= MIN_BLOCK_ROWS
    ]


def _mean_loss(boosting: Boosting, train: Array, tested: Array) -> float:
    """Return the mean loss of trees that were trained on some rows on others: square, or log-loss; NaN if none."""
    data = boosting.data
    forest = boosting.fit(train, np.zeros(0, np.int64))
    if forest is None or not isinstance(data.features, Features):
        return float("nan")
    out, true = (
        forest.predict(data.features, tested).astype(np.float64),
        np.asarray(data.target)[tested],
    )
    if data.task == "regression":
        return float(np.mean(np.square(out - true)))
    odds = np.exp(out - out.max(1, keepdims=True))
    shares = (1 - UNSURE) * odds / odds.sum(1, keepdims=True) + UNSURE / data.n_outputs
    return -float(np.log(shares[np.arange(len(true)), true]).mean())
