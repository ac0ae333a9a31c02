"""Rules on target leakage: columns that give the target away, alone or added up.

Kaufman et al. 2012, Leakage in data mining: a feature that is known only once the target is makes every score too good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import polars as pl
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from popnet.data.tables.cast import to_numbers
from popnet.data.tables.schema import Column, Schema
from popnet.diagnosis.findings import DoctorFinding, Remedy
from popnet.diagnosis.tables import univariate
from popnet.diagnosis.tables.names import quoted, where
from popnet.runtime import keys
from popnet.types import Array

MAX_ROWS, REST_ROWS = 20_000, 4_000
"""Rows that single columns, and all the others together, are looked at on, at most."""

MIN_ROWS = 50
"""With fewer rows one column tells classes apart by luck, or because the task is that easy."""

TREES = 20

SOURCE = "Kaufman et al. 2012, Leakage in data mining; the number is a convention"
"""Of all thresholds here."""

SKILL, R2 = 0.9, 0.995
"""What one column must reach alone to be suspected: balanced accuracy from 0 (guessing) to 1, or the share of the
variance. Conventions: of the speed of a yacht its resistance follows with an R2 of 0.989, and that is physics."""

AHEAD = 3.0
"""... and how many times smaller its error must be than that of all other columns together. An honest column that is
as good as that has company (of irises, petal length and width): what is measured of a case shows in more than one
number, what is written down afterwards stands alone. A convention, checked on the same tables."""

PERFECT = 0.995
"""Columns this good are left out together where one of them is compared with the rest: a leak and its copy."""

PURE_ROWS, PURE_CHANCE = 50, 1e-9
"""Having a value (or having none) gives a class away if so many rows have it, all are of one class, and so small
is the chance of that with the table's shares; small enough for a thousand columns."""

EXACT = 1e-5
"""Share of the variance that a sum may leave: the target rounded to 1/100 of its standard deviation leaves that."""

MAX_TERMS = 5
"""Columns of a sum: more are a coincidence of many columns, or a model."""


@dataclass(frozen=True)
class ColumnScore:
    """How well one column alone predicts the target.

    Attributes:
        column: which.
        score: skill (see `popnet.diagnosis.tables.univariate.skill`) or R2.
        missing: the same of whether it has a value.
    """

    column: Column
    score: float
    missing: float


def find(frame: pl.DataFrame, schema: Schema, rows: Array, seed: int = 0) -> list[DoctorFinding]:
    """Look for columns that give the target away.

    Args:
        frame: the table.
        schema: of it.
        rows: ``(n,)`` training rows, all with a target.
        seed: of samples and folds.
    """
    if len(rows) < MIN_ROWS:
        return []
    rng = keys.generator(seed, "leakage")
    if len(rows) > MAX_ROWS:
        rows = rng.choice(rows, MAX_ROWS, replace=False)
    part = frame[np.sort(rows)]
    found: list[DoctorFinding] = []
    for name in schema.target.names:
        y = _target(part[name], schema)
        alone = _alone(part, schema, y, name, seed)
        known = {c for f in alone for c in f.columns}
        rest = [c for c in schema.features if c.name not in known]
        if schema.target.task == "regression":
            more = _sum(part, rest, y, name)
        else:
            labels = part[name].unique().sort().to_list()
            more = _presence(part, [c for c in rest if c.missing], y, labels)
        found += [*alone, *([more] if more else [])]
    return found


def _target(column: pl.Series, schema: Schema) -> np.ndarray:
    """Return class numbers as int64, or the numbers."""
    if schema.target.task == "regression":
        return to_numbers(column)[0].to_numpy()
    return column.rank("dense").to_numpy().astype(np.int64) - 1


# --- one column ---------------------------------------------------------------------------------


def _alone(
    frame: pl.DataFrame, schema: Schema, y: Array, target: str, seed: int
) -> list[DoctorFinding]:
    classes = schema.target.task != "regression"
    fold = univariate.random_folds(len(y), seed, y if classes else None)
    suspected = [
        s
        for c in schema.features
        if (s := _score(frame[c.name], c, y, classes, fold)).score >= (SKILL if classes else R2)
    ]
    if not suspected:
        return []
    perfect = [s.column.name for s in suspected if s.score >= PERFECT]
    found: list[DoctorFinding] = []
    for s in suspected:
        without = {s.column.name, *(perfect if s.score >= PERFECT else ())}
        columns = [c for c in schema.features if c.name not in without]
        rest = forest_score(frame, columns, y, classes, seed)
        if 1 - rest >= AHEAD * (1 - s.score):
            found.append(_leak(s, rest, target, classes))
    return found


def _score(series: pl.Series, column: Column, y: Array, classes: bool, fold: Array) -> ColumnScore:
    cells = univariate.cells(series, column)
    absent = univariate.Cells((cells.numbers == cells.total - 1).astype(np.int64), 3)
    varies = 0 < absent.numbers.sum() < len(y)
    if classes:
        n = int(y.max()) + 1
        score = univariate.skill(univariate.cross_fitted_proba(cells, y, n, fold), y)
        only = (
            univariate.skill(univariate.cross_fitted_proba(absent, y, n, fold), y)
            if varies
            else 0.0
        )
        return ColumnScore(column, max(score, only), only)
    scores = [univariate.trimmed_r2(y, univariate.cross_fitted_means(cells, y, fold))]
    if univariate.is_number(column):
        x = univariate.values(series, column)
        for line in (univariate.cross_fitted_curve, univariate.cross_fitted_line):
            scores.append(univariate.trimmed_r2(y, line(x, y, fold)))
    only = univariate.r2(y, univariate.cross_fitted_means(absent, y, fold)) if varies else 0.0
    return ColumnScore(column, max(*scores, only), only)


def forest_score(
    frame: pl.DataFrame, columns: list[Column], y: Array, classes: bool, seed: int
) -> float:
    """Return the cross-validated skill, or R2, of a random forest on some columns.

    Args:
        frame: N rows.
        columns: features of the forest.
        y: ``(N,)`` class numbers or numbers.
        classes: whether these are classes.
        seed: of sample and folds.
    """
    if not columns:
        return 0.0
    rng = keys.generator(seed, "together")
    rows = np.sort(rng.permutation(len(y))[:REST_ROWS])
    part, y = frame[rows], y[rows]
    X = np.stack([_numbers(part[c.name], c) for c in columns], 1)
    fold = univariate.random_folds(len(y), seed, y if classes else None)
    predict = _forest_probabilities if classes else _forest_values
    held = [fold == f for f in range(univariate.FOLDS)]
    parts = [predict(X[~h], y[~h], X[h], int(y.max()) + 1) for h in held]
    out = np.empty((len(y), *parts[0].shape[1:]))
    for h, predicted in zip(held, parts, strict=True):
        out[h] = predicted
    return univariate.skill(out, y) if classes else univariate.trimmed_r2(y, out)


# One job in both forests: threads would wait for each other where other work has the cores.


def _forest_probabilities(X: Array, y: Array, new: Array, n: int) -> np.ndarray:
    """Return probabilities of n classes; 0 for all if there is one class only."""
    out = np.zeros((len(new), n))
    seen = np.unique(y)
    if len(seen) > 1:
        forest = RandomForestClassifier(
            TREES,
            min_samples_leaf=2,
            max_features=1 / 3,  # pyright: ignore[reportArgumentType]
            n_jobs=1,
            random_state=0,
        )
        out[:, seen] = forest.fit(X, y).predict_proba(new)
    return out


def _forest_values(X: Array, y: Array, new: Array, _: int) -> np.ndarray:
    """Return predicted numbers."""
    forest = RandomForestRegressor(
        TREES, min_samples_leaf=2, max_features=1 / 3, n_jobs=1, random_state=0
    )
    return np.asarray(cast("np.ndarray", forest.fit(X, y).predict(new)))


def _numbers(series: pl.Series, column: Column) -> np.ndarray:
    """Return a column as numbers for trees: levels by frequency, NaN where missing."""
    if univariate.is_number(column):
        return univariate.values(series, column)
    cells = univariate.cells(series, column)
    counts = np.bincount(cells.numbers, minlength=cells.total)
    place = np.argsort(np.argsort(-counts, kind="stable")).astype(float)
    return np.where(cells.numbers == cells.total - 1, np.nan, place[cells.numbers])


def _leak(found: ColumnScore, rest: float, target: str, classes: bool) -> DoctorFinding:
    name = found.column.name
    what = "a balanced accuracy (0: chance, 1: perfect)" if classes else "an R2"
    words = f"'{name}' alone predicts '{target}' with {what} of {found.score:.3f}; "
    words += f"a random forest on all other columns reaches {rest:.3f}."
    by_missing = found.missing >= 0.9 * found.score
    if by_missing:
        words += f" Whether it has a value at all reaches {found.missing:.3f}."
    return DoctorFinding(
        rule="target_leakage",
        title=f"'{name}' gives the target away",
        severity="error",
        where=f"column '{name}'",
        measured=words,
        value=found.score,
        threshold=SKILL if classes else R2,
        source=SOURCE,
        meaning=(
            f"{'Whether it has a value' if by_missing else 'Its value'} may be known only once '{target}' is: then "
            "the score is too good, and the model is of no use for new cases."
        ),
        remedy=Remedy(
            f"Leave out '{name}' (--drop {name!r}), unless it is known before '{target}' is.",
            drop=(name,),
        ),
        columns=(name,),
    )


@dataclass(frozen=True)
class OneClassRows:
    """Rows with (or without) a value in a column, all of one class.

    Attributes:
        column: its name.
        words: ``with`` or ``without``.
        rows: how many.
        label: their class.
    """

    column: str
    words: str
    rows: int
    label: object


def _presence(
    frame: pl.DataFrame, columns: list[Column], y: Array, labels: Sequence[object]
) -> DoctorFinding | None:
    """Find columns that have a value (or none) in rows of one class only."""
    shares = np.bincount(y) / len(y)
    found: list[OneClassRows] = []
    for column in columns:
        absent = frame[column.name].is_null().to_numpy()
        if column.kind != "categorical" and not absent.all():
            absent = absent | np.isnan(univariate.values(frame[column.name], column))
        for has, words in ((~absent, "with"), (absent, "without")):
            counts = np.bincount(y[has], minlength=len(shares))
            n, c = int(counts.sum()), int(counts.argmax())
            if n >= PURE_ROWS and counts[c] == n and n * np.log(shares[c]) < np.log(PURE_CHANCE):
                found.append(OneClassRows(column.name, words, n, labels[c]))
    if not found:
        return None
    listed = "; ".join(
        f"all {r.rows:,} rows {r.words} a value in '{r.column}' are of class {r.label}"
        for r in found
    )
    names = tuple(dict.fromkeys(r.column for r in found))
    return DoctorFinding(
        rule="presence_leakage",
        title=f"missing values of {quoted(names)} give a class away",
        severity="warning",
        where=where(names),
        measured=f"{listed}.",
        value=float(max(r.rows for r in found)),
        threshold=PURE_ROWS,
        source=SOURCE,
        meaning=(
            "Whether such a column has a value may depend on the target, as if it had been filled in "
            "afterwards: then the score is too good."
        ),
        remedy=Remedy(
            f"Leave out {quoted(names)}, unless it is filled in before the target is known.",
            drop=names,
        ),
        columns=names,
    )


# --- sums ---------------------------------------------------------------------------------------


def _sum(frame: pl.DataFrame, columns: list[Column], y: Array, target: str) -> DoctorFinding | None:
    usable = [c for c in columns if c.kind in ("numeric", "discrete", "boolean")]
    if not usable:
        return None
    X = np.stack([univariate.values(frame[c.name], c) for c in usable], 1)
    found = exact_sum(X, y)
    if found is None or len(found.columns) < 2:
        return None
    names = tuple(usable[p].name for p in found.columns)
    return DoctorFinding(
        rule="target_sum",
        title=f"{quoted(names)} add up to the target",
        severity="error",
        where=where(names),
        measured=(
            f"{_formula(names, found)} = {target}; the share of its variance that is left is {found.left:.1e}."
        ),
        value=found.left,
        threshold=EXACT,
        source=SOURCE,
        meaning=(
            f"'{target}' is computed from these columns, so they are known only once it is: the net "
            "learns to add, and the score says nothing about new cases."
        ),
        remedy=Remedy(f"Leave out {quoted(names)}, or all but those known beforehand.", drop=names),
        columns=names,
    )


@dataclass(frozen=True)
class LinearFormula:
    """Columns of which a linear combination is the target.

    Attributes:
        columns: their numbers.
        factors: of each.
        constant: that is added.
        left: share of the target's variance that is left.
    """

    columns: list[int]
    factors: np.ndarray
    constant: float
    left: float


def exact_sum(
    X: Array, y: Array, most: int = MAX_TERMS, exact: float = EXACT
) -> LinearFormula | None:
    """Return a small set of columns of which a linear combination is the target.

    Orthogonal matching pursuit (Pati et al. 1993) adds columns until the target is met; those that turn out not to be
    needed are taken away again.

    Args:
        X: ``(N, F)`` float64, NaN where missing; rows with missing values are not used.
        y: ``(N,)`` float64.
        most: columns of the set.
        exact: share of the variance that may be left.

    Returns:
        The formula; None if there is no such set.
    """
    full = np.isfinite(X)
    kept = np.flatnonzero(full.mean(0) >= 0.8)
    rows = full[:, kept].all(1)
    if len(kept) == 0 or rows.sum() < max(MIN_ROWS, 5 * len(kept)):
        kept = np.flatnonzero(full.all(0))
        rows = np.ones(len(y), bool)
    if len(kept) == 0 or rows.sum() < max(MIN_ROWS, 5 * len(kept)) or not np.var(y[rows]) > 0:
        return None
    chosen = np.flatnonzero(rows)[:REST_ROWS]
    b = y[chosen]
    every = X[np.ix_(chosen, kept)]
    varied = every.std(0) > 1e-9 * (np.abs(every).max(0) + 1e-300)
    kept, A = kept[varied], every[:, varied]
    if len(kept) == 0 or not b.std() > 0:
        return None
    mean, spread = A.mean(0), A.std(0)
    Z, z = (A - mean) / spread, (b - b.mean()) / b.std()

    def left(places: list[int]) -> tuple[float, np.ndarray]:
        w = cast("np.ndarray", np.linalg.lstsq(Z[:, places], z, rcond=None)[0])
        rest: np.ndarray = z - Z[:, places] @ w
        return float(np.mean(rest**2)), w

    if left(list(range(len(kept))))[0] > exact:
        return None
    places: list[int] = []
    rest, w = 1.0, np.zeros(0)
    while rest > exact and len(places) < min(2 * most, len(kept)):
        residual = z - Z[:, places] @ w
        gains = np.abs(Z.T @ residual)
        gains[places] = -1
        places.append(int(gains.argmax()))
        rest, w = left(places)
    if rest > exact:
        return None
    for p in sorted(places, key=lambda p: abs(w[places.index(p)])):
        others = [q for q in places if q != p]
        if others and left(others)[0] <= exact:
            places = others
    if len(places) > most:
        return None
    places.sort()
    rest, w = left(places)
    factors = w * b.std() / spread[places]
    constant = float(b.mean() - factors @ mean[places])
    return LinearFormula([int(kept[p]) for p in places], factors, constant, rest)


def _formula(names: tuple[str, ...], found: LinearFormula) -> str:
    """Return a formula as ``2 × a - b + 3``."""
    parts: list[str] = []
    for name, factor in zip(names, found.factors, strict=True):
        sign = "-" if factor < 0 else "+" if parts else ""
        size = "" if abs(abs(factor) - 1) < 1e-3 else f"{abs(factor):.4g} × "
        parts.append(f"{sign} {size}{name}".strip() if parts else f"{sign}{size}{name}")
    if abs(found.constant) > 1e-3 * np.abs(found.factors).max():
        parts.append(f"{'-' if found.constant < 0 else '+'} {abs(found.constant):.4g}")
    return " ".join(parts)
