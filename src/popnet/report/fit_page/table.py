"""The table: kinds of columns, what was left out, what is missing, and how its rows were split."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from popnet.report import format, vocabulary
from popnet.report.fit_page.facts import ColumnFacts, FitFacts
from popnet.report.fit_page.fields import of_images

CLASSES_SHOWN = 12
MISSING_SHOWN = 10
COLUMNS_SHOWN = 1000
COLUMNS_OPEN = 8
"""A longer table of columns is folded."""


@dataclass(frozen=True)
class KindRow:
    """A kind of columns: how many there are, how many are used, and its bar in per cent of the largest."""

    name: str
    count: int
    used: int
    bar: float


@dataclass(frozen=True)
class ShareRow:
    """A class with its rows, or a column with those where it is missing: count, share, and its bar in per cent."""

    name: str
    count: int
    share: str
    bar: float


@dataclass(frozen=True)
class TableSection:
    """What the section shows; ``..._hidden`` and ``..._total`` count what is not shown, and everything.

    ``open``: the table of columns is not folded. ``split`` and ``folds`` are said in words.
    """

    kinds: list[KindRow]
    left_out: list[ColumnFacts]
    missing: list[ShareRow]
    missing_total: int
    columns: list[ColumnFacts]
    columns_total: int
    columns_hidden: int
    open: bool
    used: int
    classes: list[ShareRow]
    classes_hidden: int
    split: str
    folds: str


def show(facts: FitFacts) -> TableSection:
    """Return the table's counts, kinds of columns, what was left out, and what is missing."""
    d, target = facts.data, facts.target
    columns = d.columns
    kinds = Counter(c.kind for c in columns)
    used = Counter(c.kind for c in columns if c.used)
    most = max(kinds.values(), default=1)
    with_missing = sorted((c for c in columns if c.missing), key=lambda c: (-c.missing, c.name))
    rows = max(d.rows, 1)
    counts = target.class_counts
    classes = [
        ShareRow(
            name=str(name),
            count=n,
            share=format.percent(n / max(sum(counts), 1)),
            bar=round(100 * n / max(counts), 1) if max(counts) else 0,
        )
        for name, n in zip(target.classes, counts, strict=False)
    ]
    classes_shown = classes
    if len(classes) > 30:
        classes_shown = sorted(classes, key=lambda c: -c.count)[:CLASSES_SHOWN]
    return TableSection(
        kinds=[
            KindRow(k, n, used[k], round(100 * n / most, 1))
            for k, n in sorted(kinds.items(), key=lambda kn: (-kn[1], kn[0]))
        ],
        left_out=[c for c in columns if not c.used][:COLUMNS_SHOWN],
        missing=[
            ShareRow(
                name=c.name,
                count=c.missing,
                share=format.percent(c.missing / rows),
                bar=round(min(100 * c.missing / rows, 100), 1),
            )
            for c in with_missing[:MISSING_SHOWN]
        ],
        missing_total=len(with_missing),
        columns=columns[:COLUMNS_SHOWN],
        columns_total=len(columns),
        columns_hidden=max(0, len(columns) - COLUMNS_SHOWN),
        open=len(columns) <= COLUMNS_OPEN,
        used=sum(c.used for c in columns),
        classes=classes_shown,
        classes_hidden=len(classes) - len(classes_shown),
        split=vocabulary.SPLITS.get(d.split, d.split),
        folds=_folds(d.split, d.folds, "images" if of_images(facts) else "rows"),
    )


def _folds(split: str, folds: int, rows: str) -> str:
    """Return how the rows (or images) that are no test rows train and validate the nets."""
    ordered, grouped = split == "time-ordered", split == "grouped"
    if folds < 1:
        return ""
    if folds == 1:
        if ordered:
            return f"Of the other {rows} the latest were kept for validation."
        return f"Of the other {rows} one part was kept for validation" + (
            ", whole groups of them." if grouped else "."
        )
    if ordered:
        return (
            f"The other rows were cut by time into {folds + 1} blocks of consecutive rows, for {folds} folds: the net "
            "of a fold trains on the earliest blocks, in each fold on one more, and is validated on the block that "
            "follows. The nets of the last fold, which know the most recent rows, are those that the ensemble uses."
        )
    whole = "; rows of one group are always in the same fold" if grouped else ""
    return (
        f"The other {rows} were cut into {folds} folds{whole}. Each recipe trains a net for every fold: on all "
        "the other folds, validated on that one."
    )
