"""Which columns say the same: to permute one of them alone would leave what it says to the others.

Two columns say the same if their ranks are nearly those of each other (Spearman 1904), or if one is nearly a function
of the other: of ordered values by Chatterjee's coefficient (2021, *A new coefficient of correlation*), of categories by
the share of one's entropy that the other tells (Theil's uncertainty coefficient, 1970). Groups are those of complete
linkage, so that any two columns of a group say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from popnet.data.dataset import Features
from popnet.explanation.blocks import Block, identities, ordered
from popnet.types import Array

SAME = 0.95
"""The least coefficient of two columns that say the same."""

ROWS = 1_000
"""Rows that columns are compared on: Spearman's coefficient of .95 has a standard error of .003 then."""

MAX_FUNCTIONS = 300
"""Columns up to which each is also tried as a function of each other; of more only ranks are compared."""

CHANCE = 0.5
"""A column of so many values that by chance it would tell this share of another's entropy says nothing about it: of
an identifier everything is a function."""


def groups_of(
    features: Features, blocks: Sequence[Block], rng: np.random.Generator
) -> list[list[int]]:
    """Return groups of columns that say the same, as places in ``blocks``, in their order; most have one column.

    Args:
        features: rows, of which `ROWS` are looked at.
        blocks: the columns.
        rng: draws the rows.
    """
    if len(features) > ROWS:
        features = features.take(np.sort(rng.choice(len(features), ROWS, replace=False)))
    if len(blocks) < 2:
        return [[i] for i in range(len(blocks))]
    apart = 1 - _likeness(features, blocks, rng)
    np.fill_diagonal(apart, 0)
    clusters: Any = hierarchy  # SciPy's types are partly unknown
    tree = clusters.linkage(squareform(apart, checks=False), "complete")
    labels: list[int] = clusters.fcluster(tree, 1 - SAME, "distance").tolist()
    found: dict[int, list[int]] = {}
    for i, label in enumerate(labels):
        found.setdefault(label, []).append(i)
    return list(found.values())


def _likeness(features: Features, blocks: Sequence[Block], rng: np.random.Generator) -> np.ndarray:
    """Return how far columns say the same, ``(F, F)`` symmetric, 0 to 1."""
    size = len(blocks)
    alike = np.zeros((size, size))
    if not len(features):
        return alike
    values = [ordered(features, block) for block in blocks]
    places = [i for i, v in enumerate(values) if v is not None]
    ranks = np.array([stats.rankdata(values[i]) for i in places]).reshape(
        len(places), len(features)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        spearman = np.nan_to_num(np.abs(np.corrcoef(ranks))) if len(places) > 1 else np.ones((1, 1))
    alike[np.ix_(places, places)] = spearman[: len(places), : len(places)]
    if size > MAX_FUNCTIONS:
        return alike
    if len(places) > 1:
        told = _chatterjee(ranks, rng)
        alike[np.ix_(places, places)] = np.maximum(spearman, np.maximum(told, told.T))
    known = [identities(features, block) for block in blocks]
    for i, a in enumerate(known):
        if not _may_tell(a):
            continue
        for j, b in enumerate(known):
            if i != j and alike[i, j] < SAME:
                alike[i, j] = alike[j, i] = max(alike[i, j], _told(a, b))
    return alike


def _chatterjee(ranks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return Chatterjee's coefficient of each column (second index) as a function of each (first), ``(F, F)``.

    Args:
        ranks: ``(F, N)``.
        rng: breaks ties.
    """
    n = ranks.shape[1]
    above = np.array([stats.rankdata(-r, method="max") for r in ranks])
    highest = np.array([stats.rankdata(r, method="max") for r in ranks])
    spread = 2 * (above * (n - above)).sum(1)
    found = np.zeros((len(ranks), len(ranks)))
    mixed = rng.permutation(n)
    for i, own in enumerate(ranks):
        order = mixed[np.argsort(own[mixed], kind="stable")]
        steps = np.abs(np.diff(highest[:, order], axis=1)).sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            found[i] = np.where(spread > 0, 1 - n * steps / spread, 0.0)
    return np.clip(found, 0, 1)


def _may_tell(values: Array) -> bool:
    """Return whether values come again often enough that what they tell of others is no chance."""
    distinct = int(values.max()) + 1
    return 1 < distinct <= len(values) / 3


def _told(a: Array, b: Array) -> float:
    """Return the share of the entropy of b that a tells beyond chance, 0 to 1; a and b are numbers of values."""
    n, counts = len(a), np.bincount(b)
    entropy = _entropy(counts, n)
    if entropy == 0:
        return 0.0
    joint = np.unique(a.astype(np.int64) * len(counts) + b, return_counts=True)[1]
    told = (_entropy(np.bincount(a), n) + entropy - _entropy(joint, n)) / entropy
    # What independent columns of so many values have on average (Miller 1955).
    chance = (len(np.unique(a)) - 1) * (np.count_nonzero(counts) - 1) / (2 * n * entropy)
    return 0.0 if chance >= CHANCE else max(0.0, (told - chance) / (1 - chance))


def _entropy(counts: Array, n: int) -> float:
    shares = counts[counts > 0] / n
    return float(-(shares * np.log(shares)).sum())
