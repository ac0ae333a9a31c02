"""Rows that no one has seen, made up near those of a table: an ensemble can say what it thinks of any row.

As MUNGE (Bucila, Caruana and Niculescu-Mizil 2006, Model Compression): a made-up row is a row of the table, whose
columns are changed, each by itself, towards a row that is near it. What columns have to do with each other is kept in
part, as near rows have much in common; rows made of columns that were drawn on their own would lie where no row of a
table does. A number moves to anywhere between both rows', as in SMOTE (Chawla et al. 2002); another value is one or the
other. With as many such rows as the table has and equally many steps, students of 64 units had 2.6 % less log-loss on
phoneme and 1.3 % less RMSE on wine_quality than without (values that are one or the other: .7 and 1.2 %; all numbers of
a row by the same share: 1.5 and 1.1 %, and on california these two had 2 and 3 % more). That is of one split and two
seeds, which differ by up to 2 %, so it is no more than a reason to try: students are taught with and without.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from popnet.data.dataset import Features
from popnet.data.tables.encode import FeatureNames
from popnet.types import Array

REFERENCE_ROWS = 4096
"""Rows, drawn at random, among which near ones are looked for: of more they would be nearer, and it takes longer."""

NEAR = 5
"""Of so many nearest rows one is drawn."""

SWAPPED = 0.5
"""The probability that a column that is no plain number has the near row's value."""

CODE_SIZE = 8
"""Length of the random vectors that stand for levels where distances are taken."""

BLOCK_ROWS = 1024
"""Rows whose distances are held at once: 16 MB."""

FAR = 3.0
"""Numbers, in standard deviations, count as this far at most: an outlier would have no row near it."""


def made_up(
    features: Features, names: FeatureNames, rows: int, rng: np.random.Generator
) -> tuple[Features, np.ndarray]:
    """Return made-up rows, and the numbers ``(rows,)`` of the rows that they were made of.

    Args:
        features: N rows of the table, at least 2.
        names: of their columns; what comes from one column of the table changes together.
        rows: to make; each row of the table has as many made of it as another, or one more.
        rng: of all choices.
    """
    n = len(features)
    every = [rng.permutation(n) for _ in range(-(-rows // n) or 1)]
    base = np.concatenate(every)[:rows]
    reference = np.sort(rng.choice(n, min(n, REFERENCE_ROWS), replace=False))
    near = neighbours(features, base, reference, rng)
    sources = (names.numeric_sources, names.flag_sources, names.code_sources)
    known = list(dict.fromkeys(name for some in sources for name in some))
    swapped = rng.random((rows, len(known))) < SWAPPED
    parts: list[np.ndarray] = []
    for values, some in zip(
        (features.numeric, features.flags, features.codes), sources, strict=True
    ):
        own = swapped[:, [known.index(name) for name in some]]
        parts.append(np.where(own, values[near], values[base]))
    filled = Counter(name for some in sources for name in some)
    # A number with a flag for "missing", or with codes, or one of several parts of a date, goes with these.
    plain = np.array([filled[name] == 1 for name in names.numeric_sources], bool)
    start, end = (features.numeric[some][:, plain] for some in (base, near))
    parts[0][:, plain] = start + rng.random(start.shape, np.float32) * (end - start)
    return replace(features, numeric=parts[0], flags=parts[1], codes=parts[2]), base


def neighbours(
    features: Features, rows: Array, reference: Array, rng: np.random.Generator
) -> np.ndarray:
    """Return for each of some rows one of the `NEAR` nearest reference rows, drawn at random, ``(len(rows),)``.

    Distances are Euclidean, of scaled numbers, flags, and codes of which two levels are as far from each other as any
    other two, about. A row is no neighbour of its own.

    Args:
        features: all rows.
        rows, reference: row numbers.
        rng: draws, and places the levels.
    """
    points = _points(features, rng)
    others = points[reference]
    squares = (others**2).sum(1)
    near = min(NEAR, max(len(reference) - 1, 1))
    found = np.empty(len(rows), np.int64)
    for start in range(0, len(rows), BLOCK_ROWS):
        some = rows[start : start + BLOCK_ROWS]
        distance = squares - 2 * points[some] @ others.T
        distance[some[:, None] == reference[None, :]] = np.inf
        nearest = np.argpartition(distance, near - 1, axis=1)[:, :near]
        drawn = rng.integers(0, near, len(some))
        found[start : start + len(some)] = reference[nearest[np.arange(len(some)), drawn]]
    return found


def _points(features: Features, rng: np.random.Generator) -> np.ndarray:
    """Return rows as points, ``(N, D)`` float32."""
    parts = [np.clip(features.numeric, -FAR, FAR), features.flags.astype(np.float32)]
    for c, levels in enumerate(features.levels):
        # Two vectors of random signs are about sqrt(2) apart, as those of two one-hot levels are.
        signs = rng.choice(np.array([-1, 1], np.float32), (levels, CODE_SIZE)) / np.sqrt(
            np.float32(CODE_SIZE)
        )
        parts.append(signs[features.codes[:, c]])
    return np.concatenate(parts, axis=1, dtype=np.float32)


def joined(parts: Sequence[Features]) -> Features:
    """Return the rows of several parts of a table, one after the other."""
    columns: Iterator[np.ndarray] = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("numeric", "flags", "codes")
    )
    numeric, flags, codes = columns
    return replace(parts[0], numeric=numeric, flags=flags, codes=codes)
