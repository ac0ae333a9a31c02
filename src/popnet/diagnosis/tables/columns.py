"""Rules on a table before any training: identifiers, columns that say nothing, shared rows, rare classes.

`find` applies these and those of `leakage`, `time_order` and `drift`.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from popnet.data.tables.kinds import find_duplicates, find_kind, name_tokens
from popnet.data.tables.schema import Column, Schema
from popnet.diagnosis.findings import DoctorFinding, Remedy
from popnet.diagnosis.limits import NO_LIMITS, Limits
from popnet.diagnosis.tables import drift, leakage, time_order, univariate
from popnet.diagnosis.tables.names import quoted, where
from popnet.predictions.intervals import share_interval
from popnet.types import Array

DISTINCT, NUMBERS = 0.95, 100
"""Whole numbers may be an identifier if this share of them is distinct, of so many at least; as in the schema."""

RISING = 0.999
"""... and they are if this share of steps from row to row goes the same way: a counter. A convention."""

UNIFORM = 1.36
"""... or if the largest distance of their distribution from a uniform one is below this over the root of their number,
the 5 % point of Kolmogorov and Smirnov's test: drawn numbers are uniform, measurements are not."""

ALONE = 0.5
"""Levels that stand in one row only are worth a note if they fill this share of a column's rows. A convention."""

SHARED = 0.01
"""Share of test rows that may be in the training part too (compared is the low end of its 95 % interval): a hundredth
of the rows moves an accuracy by 0.01 at most. A convention."""

MAX_LISTED = 1000
"""Rows that a finding lists."""

IMBALANCE = 9.0
"""Rows of the largest class over those of the rarest: above 9, sets count as highly imbalanced (Fernandez et al. 2008;
the KEEL repository)."""

FEW_ROWS = 10
"""Training rows of a class below which nothing is learned of it. A convention."""

EXTREME = 100.0
"""From this imbalance on classes are weighed by half: the full weight would let single rows steer a batch."""

_TIMES = {"time", "timestamp", "date", "datetime", "day", "year", "epoch", "second", "seconds"}


def find(
    frame: pl.DataFrame,
    schema: Schema,
    train: Array,
    test: Array,
    *,
    seed: int = 0,
    limits: Limits = NO_LIMITS,
) -> list[DoctorFinding]:
    """Look for what is wrong with a table, before any training.

    Args:
        frame: the table; every row of ``train`` and ``test`` has a target.
        schema: of it.
        train: ``(n,)`` row numbers of the training part.
        test: ``(m,)`` row numbers of the test part; may be empty.
        seed: of samples, folds and nets.
        limits: of the nets that look for a drift.

    Returns:
        Findings, by rule.

    Example:
        >>> import numpy as np, polars as pl
        >>> from popnet.data.tables.schema import infer_schema
        >>> rng = np.random.default_rng(0)
        >>> a, b, c = rng.normal(size=(3, 200))
        >>> frame = pl.DataFrame({"a": a, "b": b, "c": c, "same": 1, "y": 2 * a + b})
        >>> rows = np.arange(200)
        >>> for f in find(frame, infer_schema(frame, "y"), rows[:150], rows[150:]):
        ...     print(f.severity, f.rule, f.columns)
        error target_sum ('a', 'b')
        note constant_columns ('same',)
    """
    train, test = np.asarray(train), np.asarray(test)
    found = leakage.find(frame, schema, train, seed)
    found += identifiers(frame, schema)
    found += [f for f in (constant(schema), duplicate(frame, schema)) if f]
    found += shared_rows(frame, schema, train, test)
    found += [f for f in [imbalance(frame, schema, train)] if f]
    found += time_order.find(frame, schema, train, seed)
    found += drift.find(frame, schema, np.concatenate([train, test]), seed, limits)
    return found


# --- identifiers --------------------------------------------------------------------------------


def identifiers(frame: pl.DataFrame, schema: Schema) -> list[DoctorFinding]:
    """Find columns that name single rows: those left out (a note), those used, and those with too many levels."""
    found: list[DoctorFinding] = []
    out = [c for c in schema.columns if c.kind == "identifier" and not c.used]
    if out:
        found.append(_left_out(out))
    used = {c.name: why for c in schema.features if (why := _why_identifier(frame, c, schema))}
    if used:
        found.append(_used(used))
    lone: dict[str, float] = {}
    for column in schema.features:
        if column.kind == "categorical" and column.name not in used:
            share = _share_alone(frame[column.name])
            if share >= ALONE:
                lone[column.name] = share
    if lone:
        found.append(_lone(lone))
    return found


def _left_out(columns: list[Column]) -> DoctorFinding:
    names = tuple(c.name for c in columns)
    return DoctorFinding(
        rule="identifiers",
        title=f"{quoted(names)}: identifiers, left out already",
        severity="note",
        where=where(names),
        measured=" ".join(f"'{c.name}': {c.reason}." for c in columns),
        value=float(len(columns)),
        threshold=0.0,
        source="the rules by which columns are left out, see popnet.data.tables.kinds",
        meaning="A net could only memorize such values; they say nothing about new rows.",
        remedy=Remedy("Nothing needs to be done; --keep COLUMN uses one nevertheless."),
        columns=names,
    )


def _used(reasons: dict[str, str]) -> DoctorFinding:
    names = tuple(reasons)
    return DoctorFinding(
        rule="identifiers",
        title=f"{quoted(names)}: identifiers among the features",
        severity="warning",
        where=where(names),
        measured=" ".join(f"'{name}': {why}." for name, why in reasons.items()),
        value=float(len(names)),
        threshold=0.0,
        source="Kolmogorov-Smirnov test, and conventions",
        meaning=(
            "A number that was assigned to a row says nothing about new rows; if the numbers follow some "
            "order, the net may learn that order."
        ),
        remedy=Remedy(f"Leave out {quoted(names)} (--drop COLUMN).", drop=names),
        columns=names,
    )


def _lone(shares: dict[str, float]) -> DoctorFinding:
    names = tuple(shares)
    listed = ", ".join(f"'{n}' {100 * s:.0f} %" for n, s in shares.items())
    return DoctorFinding(
        rule="lone_levels",
        title=f"{quoted(names)}: almost every row has a value of its own",
        severity="note",
        where=where(names),
        measured=f"Share of values that occur in one row only: {listed}.",
        value=max(shares.values()),
        threshold=ALONE,
        source="a convention",
        meaning=(
            "Nothing can be learned about a category that occurs once; all of them are treated as 'other'."
        ),
        remedy=Remedy(
            f"Leave out {quoted(names)}, or keep only the part that repeats (a prefix, a place).",
            drop=names,
        ),
        columns=names,
    )


def _why_identifier(frame: pl.DataFrame, column: Column, schema: Schema) -> str:
    """Return why a used column looks like an identifier; "" if it does not."""
    if column.kind not in ("numeric", "categorical") or column.name == schema.time:
        return ""
    # Asked again without --keep, which may be why it is used.
    again = find_kind(frame[column.name])
    if again.kind == "identifier":
        return again.reason
    if column.kind != "numeric":
        return ""
    x = univariate.values(frame[column.name], column)
    x = x[~np.isnan(x)]
    if len(x) < NUMBERS or len(np.unique(x)) < DISTINCT * len(x) or (x != np.floor(x)).any():
        return ""
    steps = np.sign(np.diff(x))
    if max(np.mean(steps > 0), np.mean(steps < 0)) >= RISING:
        return "" if _TIMES & set(name_tokens(column.name)) else "it counts the rows"
    return (
        "distinct whole numbers, spread as evenly as if drawn at random" if _is_uniform(x) else ""
    )


def _is_uniform(x: Array) -> bool:
    """Tell whether distinct whole numbers are drawn evenly from a range (Kolmogorov-Smirnov, 5 %)."""
    x = np.sort(x)
    n = len(x)
    even = (x - x[0]) / (x[-1] - x[0])
    far = np.abs(even - (np.arange(n) + 0.5) / n).max() + 0.5 / n
    # A few hundred measurements can look uniform; that numbers have nothing but distinct values needs a wide range.
    return bool(far < UNIFORM / np.sqrt(n) and x[-1] - x[0] > 10 * n)


def _share_alone(series: pl.Series) -> float:
    known = series.drop_nulls()
    if len(known) < NUMBERS:
        return 0.0
    return float(known.is_unique().mean() or 0.0)  # pyright: ignore[reportArgumentType]


# --- columns that say nothing new ---------------------------------------------------------------


def constant(schema: Schema) -> DoctorFinding | None:
    """Find columns with one value or none; the schema leaves them out."""
    names = tuple(c.name for c in schema.columns if c.kind in ("constant", "empty"))
    if not names:
        return None
    return DoctorFinding(
        rule="constant_columns",
        title="columns with the same value in all rows",
        severity="note",
        where=where(names),
        measured=f"{len(names)} of {len(schema.columns)} columns: {quoted(names, 50)}.",
        value=float(len(names)),
        threshold=0.0,
        source="by definition",
        meaning="A column that never varies cannot tell rows apart; it is left out already.",
        remedy=Remedy("Nothing needs to be done, if the table is meant to be so."),
        columns=names,
    )


def duplicate(frame: pl.DataFrame, schema: Schema) -> DoctorFinding | None:
    """Find columns that equal an earlier one in every row: a note, or a warning if such a one is used."""
    pairs = {
        c.name: c.reason.removeprefix("the same as ").strip("'")
        for c in schema.columns
        if c.kind == "duplicate"
    }
    used = find_duplicates([frame[c.name] for c in schema.features])
    if not pairs and not used:
        return None
    both = pairs | used
    listed = [f"'{a}' is the same as '{b}'" for a, b in both.items()]
    more = f"; and {len(listed) - 50} more" if len(listed) > 50 else ""
    names = tuple(used or pairs)
    return DoctorFinding(
        rule="duplicate_columns",
        title="columns that are the same in all rows",
        severity="warning" if used else "note",
        where=where(names),
        measured=f"{len(both)} of {len(schema.columns)} columns: {'; '.join(listed[:50])}{more}.",
        value=float(len(both)),
        threshold=0.0,
        source="by definition",
        meaning=(
            "A copy says nothing new"
            + (", and counts its original twice." if used else "; it is left out already.")
        ),
        remedy=Remedy(
            f"Leave out {quoted(names)} (--drop COLUMN)."
            if used
            else "Nothing needs to be done, if the table is meant to be so.",
            drop=tuple(used),
        ),
        columns=tuple(both),
    )


# --- rows ---------------------------------------------------------------------------------------


def shared_rows(
    frame: pl.DataFrame, schema: Schema, train: Array, test: Array
) -> list[DoctorFinding]:
    """Find rows of the test part that are in the training part too, and those that differ in the target alone.

    Tables of few coarse columns repeat themselves by chance. How often is bounded from the columns' distributions:
    two rows agree in a column with probability ``sum p^2``; were columns independent, in all with the product. Columns
    are not, so its square root is taken: as if half of them said nothing new.
    """
    names = [c.name for c in schema.features]
    if not len(test) or not len(train):
        return []
    # A hash of 64 bits: among a million rows the chance of one false match is 1 in 10,000,000.
    features = frame.select(names).hash_rows(seed=1).to_numpy()
    whole = frame.select([*names, *schema.target.names]).hash_rows(seed=1).to_numpy()
    copies = np.isin(whole[test], whole[train])
    others = np.isin(features[test], features[train]) & ~copies
    found: list[DoctorFinding] = []
    for chosen, columns in ((copies, [*names, *schema.target.names]), (others, names)):
        low, _ = share_interval(int(chosen.sum()), len(test))
        if low < SHARED:
            continue
        chance = _by_chance(frame.select(columns)[train])
        if low > chance:
            found.append(_shared(chosen is copies, test[chosen], len(test), chance))
    return found


def _shared(copies: bool, rows: Array, of: int, chance: float) -> DoctorFinding:
    share = len(rows) / of
    what = (
        "the same features and target as" if copies else "the same features and another target than"
    )
    return DoctorFinding(
        rule="shared_rows" if copies else "conflicting_rows",
        title="test rows that are in the training part too"
        if copies
        else "equal rows with different targets",
        severity="warning" if copies else "note",
        where="rows of the test part",
        measured=(
            f"{len(rows):,} of {of:,} test rows ({100 * share:.1f} %) have {what} a training row; at most "
            f"{100 * chance:.2g} % are expected by chance."
        ),
        value=share,
        threshold=max(SHARED, chance),
        source="a convention",
        meaning=(
            "A net can memorize such rows, so the score is better than it will be for new rows."
            if copies
            else "No model can tell such rows apart: what decides their target is not in the table, or "
            "some targets are wrong."
        ),
        remedy=Remedy(
            "Remove repeated rows; or, if they belong together (to one customer, one sample), name the column "
            "that says so with --group COLUMN."
            if copies
            else "Add a column that tells them apart, or check their targets."
        ),
        rows=tuple(int(r) for r in rows[:MAX_LISTED]),
    )


def _by_chance(features: pl.DataFrame) -> float:
    """Return a bound of the share of rows that equal one of as many others by chance."""
    bits = 0.0
    for column in features.get_columns():
        p = column.alias("value").value_counts()["count"].to_numpy() / max(len(column), 1)
        bits -= float(np.log2(np.sum(p**2)))
    return float(-np.expm1(-features.height * 2.0 ** (-bits / 2)))


def imbalance(frame: pl.DataFrame, schema: Schema, train: Array) -> DoctorFinding | None:
    """Find a class that is rare among the training rows."""
    if schema.target.task == "regression":
        return None
    counts = frame[schema.target.names[0]][train].drop_nulls()
    counts = counts.alias("class").value_counts(sort=True)
    labels, rows = counts[:, 0].to_list(), counts["count"].to_numpy()
    if len(rows) < 2:
        return None
    ratio = float(rows[0] / rows[-1])
    if ratio <= IMBALANCE and rows[-1] >= FEW_ROWS:
        return None
    few = [label for label, n in zip(labels, rows, strict=True) if n < FEW_ROWS]
    balance = 0.5 if ratio >= EXTREME else 1.0
    measured = (
        f"The rarest class, {labels[-1]}, has {rows[-1]:,} of {rows.sum():,} training rows "
        f"({100 * rows[-1] / rows.sum():.2g} %); the largest, {labels[0]}, has {ratio:.0f} times as many."
    )
    if few:
        listed = ", ".join(str(label) for label in few[:8])
        measured += f" Fewer than {FEW_ROWS} rows: {listed}{', …' if len(few) > 8 else ''}."
    return DoctorFinding(
        rule="class_imbalance",
        title=f"class {labels[-1]} is rare",
        severity="warning" if few else "note",
        where=f"target '{schema.target.names[0]}'",
        measured=measured,
        value=ratio,
        threshold=IMBALANCE,
        source="Fernandez et al. 2008; fewest rows: a convention",
        meaning=(
            "A net can score well while it all but ignores a rare class; accuracy then says little."
        ),
        remedy=Remedy(
            "Weight rare classes more in the loss and compare nets by balanced accuracy; or fit with --metric "
            "balanced_accuracy or f1, which lowers the threshold at which a rare class is predicted.",
            {"class_balance": balance},
        ),
    )
