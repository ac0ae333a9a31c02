"""Covariate shift: do new rows look like the training rows? A population of small nets learns to tell them apart.

The classifier two-sample test (Lopez-Paz and Oquab 2017, arXiv:1610.06545; how well it does against others: Rabanser
et al. 2019, arXiv:1810.11953). If both tables are samples of the same thing, no net can do better than chance on rows
that it has not seen, and the area under its ROC curve is 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist

import numpy as np
import polars as pl

from popnet.data.dataset import Dataset, Features
from popnet.data.tables.encode import Encoder, fit_encoder
from popnet.data.tables.schema import Column, Schema
from popnet.data.tables.target import Target
from popnet.diagnosis.findings import DoctorFinding, Remedy
from popnet.diagnosis.limits import NO_LIMITS, Limits
from popnet.diagnosis.tables import column_shift, univariate
from popnet.diagnosis.tables.column_shift import ColumnShift
from popnet.diagnosis.tables.names import quoted, where
from popnet.errors import InputError
from popnet.population.members import Member
from popnet.population.predict import Net, predict
from popnet.population.train import arrange
from popnet.runtime import keys
from popnet.spec.recipe import Recipe
from popnet.types import Array

MAX_ROWS = 20_000
"""Rows of either table that are looked at, at most: the interval of the area is then about 0.01 wide."""

MIN_ROWS = 20
"""Rows of either table that there must be: four in each fold."""

SEEDS = 2
"""Nets of a fold."""

LEVEL = 0.95
"""Of the interval, which must lie above 0.5 for a shift."""

OVERLAP = 1 / (univariate.FOLDS - 1)
"""Test rows over the others, of a fold: what Nadeau and Bengio 2003 add to the variance of a mean over folds. Folds
teach each other: what two of them share by chance raises both their areas. Without it, the areas of 37 random splits of
four real tables spread more widely than their intervals, and one of the 37 counted as a shift."""

CLEAR = 0.6
"""From this area on a shift is a warning, below a note: with it three rows of five are told right. A convention."""

STEPS, BATCH = 1500, 256
"""Steps of a net's training, at most, and rows of a batch."""

IMPORTANCE_ROWS, IMPORTANCE_COLUMNS = 1000, 200
"""Rows of a fold, and columns, that are permuted at most."""

_SIDE = "new table?"


@dataclass(frozen=True)
class CovariateShift:
    """How well nets tell two tables apart.

    Attributes:
        auc: area under the ROC curve on rows that the nets have not seen, mean over folds; NaN if there was no time.
        low, high: ends of its 95 % interval.
        shifted: whether the tables differ for certain: ``low`` is above 0.5.
        verdict: for people.
        columns: all that were compared, those that give the shift away first.
        rows: of the old and of the new table that were looked at.
        lacking: features that the new table has not.
    """

    auc: float
    low: float
    high: float
    shifted: bool
    verdict: str
    columns: tuple[ColumnShift, ...] = field(repr=False)
    rows: tuple[int, int]
    lacking: tuple[str, ...] = ()


def shift(
    old: pl.DataFrame,
    new: pl.DataFrame,
    schema: Schema,
    *,
    leave_out: Sequence[str] = (),
    seed: int = 0,
    limits: Limits = NO_LIMITS,
) -> CovariateShift:
    """Tell whether new rows differ from those that a schema was inferred from.

    Only features are compared: no target, no weights or groups, no column that the schema leaves out.

    Args:
        old: the training table.
        new: the other one; it needs no target. Columns may be of another type where the values can be cast.
        schema: of the training table.
        leave_out: features that are not compared.
        seed: of samples, folds and nets.
        limits: of the nets.

    Raises:
        InputError: fewer than 20 rows on a side, no feature in common, or none that varies.

    Example:
        >>> import numpy as np, polars as pl
        >>> from popnet.data.tables.schema import infer_schema
        >>> rng = np.random.default_rng(0)
        >>> old = pl.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300), "y": [0, 1] * 150})
        >>> new = old.with_columns(b=pl.col("b") + 2)
        >>> found = shift(old, new, infer_schema(old, "y"))
        >>> found.shifted, found.columns[0].name
        (True, 'b')
    """
    columns, lacking = _common(new, schema, leave_out)
    for name, frame in (("training", old), ("new", new)):
        if frame.height < MIN_ROWS:
            raise InputError(
                f"the {name} table has {frame.height} rows, at least {MIN_ROWS} are needed to "
                "compare it with another; give more rows."
            )
    rng = keys.generator(seed, "shift")
    old, new = _sample(old, rng), _sample(new, rng)
    side = np.repeat([0, 1], [old.height, new.height]).astype(np.int32)
    frame, columns = _united(old, new, columns)
    fold = univariate.random_folds(len(side), seed, side)
    frame = frame.with_columns(pl.Series(_SIDE, side))
    told = Target(names=(_SIDE,), task="binary", classes=(0, 1), detected=False)
    own = Schema(columns=tuple(columns), target=told, rows=len(side), rows_without_target=0)
    encoder = fit_encoder(frame, own, np.arange(len(side)))
    features = encoder.transform(frame, training=True)
    nets = _train(Dataset(features, side, "classification", 2), fold, seed, limits)
    held = {f: np.flatnonzero(fold == f) for f in nets}
    scores = {f: _scores(nets[f], features, r, limits.workers) for f, r in held.items()}
    auc, error = _pooled([(side[held[f]], s) for f, s in scores.items()])
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * error
    low, high = max(0.0, auc - half), min(1.0, auc + half)
    certain = low > 0.5
    alone = {c.name: _single_auc(frame[c.name], c, side, fold) for c in columns}
    losses = dict.fromkeys(alone, 0.0)
    if certain:
        losses |= _importances(nets, encoder, features, side, held, alone, rng, limits.workers)
    found = [
        column_shift.compare(frame[c.name], c, side, alone[c.name], losses[c.name], len(columns))
        for c in columns
    ]
    found.sort(key=lambda m: (not m.is_shifted, -max(m.auc - 0.5, m.importance)))
    verdict = _verdict(auc, low, high, certain, found)
    return CovariateShift(
        auc, low, high, certain, verdict, tuple(found), (old.height, new.height), lacking
    )


def finding(found: CovariateShift) -> DoctorFinding | None:
    """Return what a doctor says of a shift; None if there is none for certain."""
    if not found.shifted:
        return None
    told = [m for m in found.columns if m.is_shifted]
    names = tuple(m.name for m in told[:10])
    listed = quoted(names, 5)
    how = "; ".join(f"'{m.name}' (alone {m.auc:.2f}): {m.words}" for m in told[:5])
    measured = (
        f"Nets tell {found.rows[1]:,} new rows from {found.rows[0]:,} training rows with an area under "
        f"the ROC curve of {found.auc:.3f} (95 % interval {found.low:.3f} to {found.high:.3f}; 0.5 is chance)."
    )
    return DoctorFinding(
        rule="covariate_shift",
        title="new rows differ from the training rows",
        severity="warning" if found.auc >= CLEAR else "note",
        where=where(names) if names else "all columns together",
        measured=f"{measured} {how}." if how else measured,
        value=found.auc,
        threshold=0.5,
        source="Lopez-Paz and Oquab 2017, arXiv:1610.06545; Rabanser et al. 2019, arXiv:1810.11953",
        meaning=(
            "The model predicts cases unlike those that it learned from, so its score may not hold for "
            "them."
        ),
        remedy=Remedy(
            f"Find out why {listed or 'they'} changed; add rows like the new ones to the training table, "
            "or leave out a column whose meaning changed."
        ),
        columns=names,
    )


def _common(
    new: pl.DataFrame, schema: Schema, leave_out: Sequence[str]
) -> tuple[list[Column], tuple[str, ...]]:
    features = [c for c in schema.features if c.name not in leave_out]
    columns = [c for c in features if c.name in new.columns]
    if not columns:
        raise InputError(
            "the tables have no feature in common; give a table with the columns of the training "
            f"table: {', '.join(c.name for c in features[:8])}."
        )
    return columns, tuple(c.name for c in features if c.name not in new.columns)


def _sample(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    if frame.height <= MAX_ROWS:
        return frame
    return frame[np.sort(rng.choice(frame.height, MAX_ROWS, replace=False))]


def _united(
    old: pl.DataFrame, new: pl.DataFrame, columns: list[Column]
) -> tuple[pl.DataFrame, list[Column]]:
    """Put both tables into one, cast to what the schema says; what does not fit counts as missing."""
    series: list[pl.Series] = []
    kinds: list[Column] = []
    for column in columns:
        both = column_shift.cast(old[column.name], new[column.name], column)
        kind = column.kind
        if kind == "boolean" and both.n_unique() - (both.null_count() > 0) > 2:
            kind = "discrete"
        series.append(both)
        kinds.append(column.model_copy(update={"kind": kind, "format": "", "nulls": ()}))
    return pl.DataFrame(series), kinds


# --- the nets -----------------------------------------------------------------------------------


def _train(data: Dataset, fold: Array, seed: int, limits: Limits) -> dict[int, list[Net]]:
    """Return the nets of each fold, trained without it; folds without a net are left out.

    Early stopping uses the fold after a net's own, so that the rows it is evaluated on have no part in its training.
    """
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for f in range(univariate.FOLDS):
        stop = fold == (f + 1) % univariate.FOLDS
        parts.append((np.flatnonzero((fold != f) & ~stop), np.flatnonzero(stop)))
    rows = len(parts[0][0])
    batch = int(np.clip(2 ** int(np.log2(max(rows / 8, 1))), 16, BATCH))
    epochs = int(np.clip(STEPS * batch // rows, 5, 40))
    recipe = Recipe(
        depth=2, width=32, batch_size=batch, epochs=epochs, patience=max(3, epochs // 5),
        class_balance=1.0, learning_rate=4e-3, weight_decay=0.1,
    )  # fmt: skip
    members = [Member(recipe, seed + s, f) for s in range(SEEDS) for f in range(univariate.FOLDS)]
    trainer = limits.trainer(arrange(data, None, parts))
    nets: dict[int, list[Net]] = {}
    done = {i: r for i, r in trainer.run(enumerate(members)) if r.usable}
    for _, r in sorted(done.items()):
        nets.setdefault(r.member.fold, []).append(Net(recipe, r.shape, r.parameters, r.running))
    return dict(sorted(nets.items()))


def _scores(
    nets: Sequence[Net], features: Features, rows: Array, workers: int | None
) -> np.ndarray:
    """Return the mean probability of being new, ``(len(rows),)``."""
    logits = predict(nets, features, rows, workers).astype(np.float64)
    return (1 / (1 + np.exp(logits[..., 0] - logits[..., 1]))).mean(0)


def auc_variance(side: Array, score: Array) -> float:
    """Return the variance of the area under the ROC curve (DeLong et al. 1988)."""
    old, new = np.sort(score[side == 0]), np.sort(score[side == 1])

    def places(x: np.ndarray, among: np.ndarray) -> np.ndarray:
        below = np.searchsorted(among, x, "left") + np.searchsorted(among, x, "right")
        return below / (2 * len(among))

    variance = np.var(places(new, old), ddof=1) / len(new) + np.var(places(old, new), ddof=1) / len(
        old
    )
    # If few rows are all told apart, the formula would give 0.
    return float(max(variance, 0.25 / min(len(new), len(old)) ** 2))


def _pooled(folds: Sequence[tuple[Array, Array]]) -> tuple[float, float]:
    """Return the mean over folds of the area under the ROC curve, and its standard error.

    The error is that of the rows, or that seen between folds if it is larger.

    Args:
        folds: sides and scores of each fold's rows.
    """
    if not folds:
        return float("nan"), float("nan")
    each = np.array([univariate.roc_auc(side, score) for side, score in folds])
    rows = float(np.mean([auc_variance(side, score) for side, score in folds]))
    between = float(np.var(each, ddof=1)) if len(each) > 1 else 0.0
    return float(each.mean()), (max(rows, between) * (1 / len(each) + OVERLAP)) ** 0.5


# --- the columns --------------------------------------------------------------------------------


def _single_auc(series: pl.Series, column: Column, side: Array, fold: Array) -> float:
    """Return the area under the ROC curve that one column reaches by its cells, mean over folds."""
    shares = univariate.cross_fitted_proba(univariate.cells(series, column), side, 2, fold)[:, 1]
    folds = [fold == f for f in np.unique(fold)]
    return float(np.mean([univariate.roc_auc(side[h], shares[h]) for h in folds]))


def _importances(
    nets: dict[int, list[Net]],
    encoder: Encoder,
    features: Features,
    side: Array,
    held: dict[int, Array],
    alone: dict[str, float],
    rng: np.random.Generator,
    workers: int | None,
) -> dict[str, float]:
    """Return each column's permutation importance: the loss of area (Breiman 2001; Fisher et al. 2019)."""
    chosen = sorted(alone, key=lambda name: -alone[name])[:IMPORTANCE_COLUMNS]
    losses = dict.fromkeys(chosen, 0.0)
    names = encoder.names
    for f, rows in held.items():
        some = rng.permutation(rows)[:IMPORTANCE_ROWS]
        part, every = features.take(some), np.arange(len(some))
        whole = univariate.roc_auc(side[some], _scores(nets[f], part, every, workers))
        order = rng.permutation(len(some))
        for name in chosen:
            arrays: list[np.ndarray] = []
            for array, sources in (
                (part.numeric, names.numeric_sources),
                (part.flags, names.flag_sources),
                (part.codes, names.code_sources),
            ):
                own = [i for i, source in enumerate(sources) if source == name]
                array = array.copy()
                array[:, own] = array[order][:, own]
                arrays.append(array)
            mixed = replace(part, numeric=arrays[0], flags=arrays[1], codes=arrays[2])
            loss = whole - univariate.roc_auc(side[some], _scores(nets[f], mixed, every, workers))
            losses[name] += loss / len(held)
    return losses


def _verdict(auc: float, low: float, high: float, certain: bool, found: list[ColumnShift]) -> str:
    if not np.isfinite(auc):
        return "not measured: the time limit was reached before a net was trained"
    told = f"area under the ROC curve {auc:.3f}, 95 % interval {low:.3f} to {high:.3f}"
    if not certain:
        return f"no shift: nets cannot reliably tell the tables apart ({told}; 0.5 is chance)"
    names = ", ".join(f"'{m.name}'" for m in found[:3] if m.is_shifted)
    how = "clear" if auc >= CLEAR else "slight"
    return f"{how} shift ({told})" + (f", seen in {names}" if names else ", in no single column")
