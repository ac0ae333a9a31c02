"""Whether a table's target changes fast along its numbers, and how fast: found from a few thousand training rows.

Periodic embeddings begin with slow periods, which suit smooth functions; a target with steps needs fast ones, at which
nets do not arrive by themselves. What a smooth model (a ridge regression on slow random Fourier features, Rahimi and
Recht 2007) leaves is divided by cells of equal width along each column, and along each pair of columns: the share of
its variance that the cells' means explain, estimated without bias, grows with narrower cells only if there is finer
structure. No net is trained; that takes a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from popnet.data.dataset import Dataset, Features
from popnet.runtime import keys
from popnet.types import Array

MIN_ROWS, MAX_ROWS = 500, 8192
"""Training rows with fewer of which nothing can be said, and the most that are looked at."""

MAX_COLUMNS, MAX_PAIRS, MAX_LINEAR, MAX_LEVELS = 128, 128, 256, 20
"""Most numeric columns (with more there are no periodic embeddings), pairs of them, other inputs of the smooth model,
and levels of a category that is one of these."""

WAVES, SLOW, RIDGE, OUTERMOST = 256, (0.1, 0.3), 1e-3, 5.0
"""The smooth model: random Fourier features of one or two columns each, their frequencies (standard deviations, in
periods per unit of the scaled columns), its penalty per row, and the largest value of a column that it and the cells
are given."""

OUTPUTS = 4
"""Classes beyond so many are projected onto as many random signs."""

WIDTHS, PAIR_WIDTHS = (0.12, 0.06, 0.03, 0.015, 0.0075, 0.004), (0.24, 0.12, 0.06)
"""Widths of cells of one and of two columns, in units of the scaled column; the first is what a slow period follows."""

MIN_GAIN, MIN_PAIR_GAIN = 0.02, 0.1
"""Least gain of narrower cells with which a target changes fast: their share of the variance, less three standard
errors, times the root of the smooth model's own share (what little a good one leaves is worth less). Of one column it
is .02 to .4 on california, adult, power-plant and made steps, where fast periods are worth 3 to 71 % of the loss of
slow ones, and at most .018 on wine_quality, protein, phoneme, abalone, bike_sharing, bank, churn, letter, covertype,
where they are worth nothing or cost up to 40 %. Of two it is .18 and .4 on chessboards, and at most .09 on these."""

PERIODS = 0.15
"""The frequency that is found, times the width of cells that explain half of what narrower ones do."""

SLOWEST, FASTEST = 2.0, 10.0
"""Bounds of what is found; three times as fast is tried, too."""


@dataclass(frozen=True)
class Roughness:
    """A target that changes fast.

    Attributes:
        scale: of the frequencies that suit it, in periods per unit of the scaled columns (`embedding_scale`).
        columns: places among the numeric columns, of one or of two, along which it does most.
        gain: see `MIN_GAIN`.
    """

    scale: float
    columns: tuple[int, ...]
    gain: float


def roughness(data: Dataset, train: Array, seed: int) -> Roughness | None:
    """Return how fast a target changes; None if it is smooth, or nothing can be said.

    Args:
        data: a table.
        train: ``(N,)`` numbers of the training rows; of at most `MAX_ROWS` of them anything is read.
        seed: draws rows and the smooth model's frequencies.
    """
    assert isinstance(data.features, Features)
    if len(train) < MIN_ROWS or not 0 < data.features.numeric.shape[1] <= MAX_COLUMNS:
        return None
    rng = keys.generator(seed, "roughness")
    rows = train[rng.choice(len(train), min(MAX_ROWS, len(train)), replace=False)]
    features = data.features.take(rows)
    x = np.clip(np.nan_to_num(features.numeric), -OUTERMOST, OUTERMOST).astype(np.float32)
    target = _centred(data, rows, rng)
    inputs = np.concatenate([_linear(features, x), _waves(x, rng)], axis=1)
    rest = _residuals(inputs, target)
    total, left = float(np.square(target).sum()), float(np.square(rest).sum())
    if not left > 1e-6 * total:
        return None
    own = np.sqrt(min(left / total, 1.0))
    limit = 3 * rest.std(axis=0)
    rest = np.clip(rest, -limit, limit)  # a few rows far off would be all of the variance
    single = [(j,) for j in range(x.shape[1])]
    pairs: list[tuple[int, ...]] = list(combinations(range(x.shape[1]), 2))
    if len(pairs) > MAX_PAIRS:
        pairs = [pairs[i] for i in np.linspace(0, len(pairs) - 1, MAX_PAIRS).astype(int)]
    found = _fastest(x, rest, own, single, WIDTHS, MIN_GAIN)
    # Along a pair of columns a target changes fast, too, if it does along one of them, but cells are wider.
    return found or _fastest(x, rest, own, pairs, PAIR_WIDTHS, MIN_PAIR_GAIN)


def _fastest(
    x: Array, rest: Array, own: float, choices: Sequence[tuple[int, ...]], widths: Sequence[float], least: float
) -> Roughness | None:  # fmt: skip
    """Return the columns, of some choices, along which narrower cells gain most; None if that is too little.

    Args:
        x: ``(N, F)``.
        rest: ``(N, K)``, what the smooth model leaves.
        own: root of its share of the target's variance.
        choices: places of columns that cells are of together.
        widths: of the cells, the widest first.
        least: gain that is enough.
    """
    found: Roughness | None = None
    for columns in choices:
        shares, errors = np.array([explained(x[:, columns], rest, w) for w in widths]).T
        gains = own * (shares - shares[0] - 3 * errors)
        best = int(np.argmax(gains))
        if gains[best] >= (least if found is None else found.gain):
            width = widths[int(np.argmax(shares >= shares[best] / 2))]
            scale = float(np.clip(PERIODS / width, SLOWEST, FASTEST))
            found = Roughness(scale, columns, float(gains[best]))
    return found


def explained(x: Array, rest: Array, width: float) -> tuple[float, float]:
    """Return the share of a variance that the means of cells explain, without bias, and its standard error without any.

    Each row's value is compared with the mean of the others in its cell, as in a one-way analysis of variance.

    Args:
        x: ``(N, D)`` columns that are divided into cells.
        rest: ``(N, K)``, what is explained, of mean 0.
        width: of cells.
    """
    cell, count = np.zeros(len(x), np.int64), 1
    for column in x.T:
        place = np.floor(column / width + 0.5).astype(np.int64)
        place -= place.min()
        size = int(place.max()) + 1
        cell, count = cell * size + place, count * size
    n = np.bincount(cell, minlength=count)
    full = n > 1
    n = n[full]
    within = 0.0
    for column in rest.T:
        sums = np.bincount(cell, column, count)[full]
        squares = np.bincount(cell, np.square(column), count)[full]
        within += float(((np.square(sums) - squares) / (n - 1)).sum())
    total = float(np.square(rest).sum())
    return (within / total if total > 0 else 0.0), float(np.sqrt((2 * n / (n - 1)).sum())) / len(x)


def _centred(data: Dataset, rows: Array, rng: np.random.Generator) -> Array:
    """Return targets ``(N, K)`` float32 of mean 0: numbers of variance 1, or indicators of classes."""
    target = data.target[rows]
    if data.task == "regression":
        values = np.nan_to_num(np.asarray(target, np.float64))
        values = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-12)
        many = values.shape[1]
    else:
        many = data.n_outputs
        values = np.eye(many)
    if many > OUTPUTS:
        values = values @ rng.choice([-1.0, 1.0], (many, OUTPUTS))
    if data.task == "classification":
        values = values[target]
    return (values - values.mean(axis=0)).astype(np.float32)


def _linear(features: Features, x: Array) -> Array:
    """Return ``(N, D)`` inputs of which the smooth model is linear: a constant, numbers, flags, levels."""
    levels = [
        np.eye(n, dtype=np.float32)[features.codes[:, c]]
        for c, n in enumerate(features.levels)
        if n <= MAX_LEVELS
    ]
    rest = np.concatenate([features.flags.astype(np.float32), *levels], axis=1)[:, :MAX_LINEAR]
    return np.concatenate([np.ones((len(x), 1), np.float32), x, rest], axis=1)


def _waves(x: Array, rng: np.random.Generator) -> Array:
    """Return slow random Fourier features ``(N, WAVES)``, half of them of one column, half of two."""
    columns, place = x.shape[1], np.arange(WAVES)
    chosen = rng.random((columns, WAVES)).argsort(axis=0).argsort(axis=0) < 1 + place % 2
    scale = np.where(place % 4 < 2, *SLOW)
    frequency = rng.standard_normal((columns, WAVES)) * scale * chosen
    phase = rng.random(WAVES)
    return np.cos(2 * np.pi * (x @ frequency.astype(np.float32) + phase.astype(np.float32)))


def _residuals(inputs: Array, target: Array) -> Array:
    """Return what a ridge regression on the other half of the rows leaves of each row's target, ``(N, K)``."""
    half = len(inputs) // 2
    parts = np.arange(half), np.arange(half, len(inputs))
    rest = np.empty_like(target)
    for fitted, held_out in (parts, parts[::-1]):
        x = inputs[fitted]
        gram = (x.T @ x).astype(np.float64) + RIDGE * len(x) * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, (x.T @ target[fitted]).astype(np.float64))
        rest[held_out] = target[held_out] - inputs[held_out] @ weights.astype(np.float32)
    return rest - rest.mean(axis=0)
