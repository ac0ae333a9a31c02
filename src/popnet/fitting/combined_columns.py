"""Sums, differences, products and ratios of two columns with which a table is easier to learn, found before a fit.

What boosted trees leave unexplained of some thousand training rows is divided by quantiles of each candidate; those
that explain most of it are tried on rows that had no part in the choice, and only if trees have a clearly lower loss
there with them than without are they added to the table. A search by residuals, as in OpenFE (Zhang et al. 2023).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from threadpoolctl import threadpool_limits

from popnet.data.dataset import Dataset, Features, StoredFeatures
from popnet.data.tables.combinations import OPERATIONS, Combination, Operation, combined
from popnet.data.tables.encode import Encoder
from popnet.data.tables.scale import Scale, fit_scale
from popnet.options import Options
from popnet.predictions.ensemble import softmax
from popnet.prepare.prepared import Prepared
from popnet.runtime import keys
from popnet.runtime.parallel import parallel_for
from popnet.runtime.progress import Progress
from popnet.trees import settings
from popnet.trees.boosting import Boosting
from popnet.trees.grown import Setting, StoppedError
from popnet.types import Array

MIN_ROWS, MAX_ROWS = 1_000, 12_000
"""Training rows with fewer of which nothing is tried (on credit_g and ames_housing nothing was found that trees were
better with), and the most that are looked at."""

MAX_SOURCES, MAX_COLUMNS = 8, 128
"""Columns of numbers that are combined, those that say most about the target by themselves, and the most among which
they are sought."""

MAX_FOUND = 12
"""Most combinations: with 12 trees gain more on california (5.2 % of RMSE) and phoneme (9.6 % of log-loss) than with 6
(2.3 and 7.4 %)."""

CELLS, MIN_SHARE, ALIKE = 32, 1e-3, 0.98
"""Quantile cells of a candidate; the least share of the residuals' variance that it has to explain beyond what its own
two columns do, estimated without bias; and the rank correlation with a better one from which it is left out."""

FOLDS, RESIDUAL, TRIED = 3, Setting(0.1, max_iter=60), Setting(0.1, max_iter=100)
"""Folds by which a choice is tried, and trees of the residuals and of the trial; nothing stops them early."""

SURE = 2.0
"""Standard errors by which the loss has to be lower. With two, trees gain 1.4 to 9.4 % on test rows of california,
phoneme and protein, and are kept from losing 3.5 % on bike_sharing; abalone's 4.9 % are not seen (`python -m
benchmarks.combinations`)."""

MIN_LIMIT, TIME_SHARE = 25.0, 0.1
"""The shortest time limit with which combinations are sought, in seconds, and the share of it, of one core, that they
may take by an estimate that is too long by a third, about: on two cores it takes 1 to 2.5 s."""

MAX_CLASSES = 10
"""Classes up to which they are sought: trees are grown for each."""


@dataclass(frozen=True)
class Found:
    """Combinations that help.

    Attributes:
        combinations: K of them, the most telling first.
        gain: share of the loss (root mean squared error, log-loss) of boosted trees by which it is lower with them.
        error: standard error of the gain.
    """

    combinations: tuple[Combination, ...]
    gain: float
    error: float


def with_combined_columns(
    table: Prepared, options: Options, tell: Callable[[Progress], None]
) -> Prepared:
    """Return a table with the combinations of columns that it is easier to learn with; most tables have none."""
    if not wanted(table, options):
        return table
    tell(Progress("combining columns"))
    found = find(table, options.seed)
    if found is None:
        return table
    encoder = table.encoder.model_copy(update={"combinations": found.combinations})
    data = replace(table.data, features=encoder.combine(table.data.features))
    return replace(table, encoder=encoder, data=data, notes=[*table.notes, sentence(found, table)])


def wanted(table: Prepared, options: Options) -> bool:
    """Return whether combinations are sought: in a table in memory whose recipe is not given, if there is time."""
    features = table.data.features
    if not options.combinations or options.recipe is not None:
        return False
    if not isinstance(features, Features) or isinstance(features, StoredFeatures):
        return False
    if table.data.task == "classification" and table.data.n_outputs > MAX_CLASSES:
        return False
    rows, numbers = len(table.train), len(table.encoder.numbers)
    if rows < MIN_ROWS or not 2 <= numbers <= MAX_COLUMNS:
        return False
    limit = options.time_limit
    if limit is None:
        return True
    rounds = FOLDS * (2 * RESIDUAL.max_iter + 2 * TRIED.max_iter)
    seconds = rounds * settings.round_seconds(table.data, min(rows, MAX_ROWS))
    return limit >= MIN_LIMIT and seconds <= TIME_SHARE * limit


def sentence(found: Found, table: Prepared) -> str:
    """Return what was found, for people."""
    loss = "log-loss" if table.data.task == "classification" else "root mean squared error"
    names = ", ".join(f"'{c.name}'" for c in found.combinations[:4])
    more = len(found.combinations) - 4
    low, high = found.gain - 1.96 * found.error, found.gain + 1.96 * found.error
    return (
        f"columns made of two others are added, with which the {loss} of boosted trees on held-out rows is "
        f"{found.gain:.1%} lower ({low:.1%} to {high:.1%}): {names}{f' and {more} more' if more > 0 else ''}; "
        "--without combinations leaves them out"
    )


def find(table: Prepared, seed: int) -> Found | None:
    """Return combinations of columns with which boosted trees have a lower loss, None if none are clearly of use."""
    rows = _some(table, seed)
    some = _Rows(table.data, rows, table.encoder)
    folds = table.split_keys.take(rows).folds(np.arange(len(rows)), FOLDS, seed)
    without: list[Array] = [np.zeros(0)] * len(folds)
    lower = list(without)

    def tried(k: int) -> None:
        fold = folds[k]
        chosen = some.choose(fold.train)
        before = some.losses([], fold.train, fold.valid)
        after = some.losses(chosen, fold.train, fold.valid) if chosen else before
        without[k], lower[k] = before, before - after

    try:
        # Each thread limits the libraries' threads, and would leave the limit of another behind if there were none.
        with threadpool_limits(1):
            parallel_for(len(folds), tried)
        mean, gains = float(np.concatenate(without).mean()), np.concatenate(lower)
        gain, error = gains.mean() / mean, gains.std() / np.sqrt(len(gains)) / mean
        if not gain > SURE * error:
            return None
        chosen = some.choose(np.arange(len(rows)))
    except StoppedError:  # a class has no row
        return None
    if not chosen:
        return None
    if table.data.task == "regression":  # of a root
        gain, error = gain / 2, error / 2
    return Found(tuple(some.fitted(k) for k in chosen), float(gain), float(error))


def best_candidates(table: Prepared, seed: int) -> tuple[Combination, ...]:
    """Return the combinations that tell most of what trees leave, whether or not trees are better with them."""
    rows = _some(table, seed)
    some = _Rows(table.data, rows, table.encoder)
    return tuple(some.fitted(k) for k in some.choose(np.arange(len(rows))))


def _some(table: Prepared, seed: int) -> np.ndarray:
    """Return the training rows that are looked at, `MAX_ROWS` at most."""
    if len(table.train) <= MAX_ROWS:
        return table.train
    rng = keys.generator(seed, "combined columns")
    return np.sort(rng.choice(table.train, MAX_ROWS, replace=False))


class _Rows:
    """Some rows of a table, and its candidates.

    Args:
        data: the table.
        rows: ``(N,)`` row numbers.
        encoder: of the table.
    """

    def __init__(self, data: Dataset, rows: Array, encoder: Encoder) -> None:
        features = data.features
        assert isinstance(features, Features)
        self._features = features.take(rows)
        weights = None if data.weights is None else np.asarray(data.weights)[rows]
        self._weights = np.ones(len(rows)) if weights is None else np.asarray(weights, float)
        self._data = replace(
            data, features=self._features, target=data.target[rows], weights=weights
        )
        if data.task == "classification":
            whole = np.eye(data.n_outputs)[self._data.target]
            self._target = whole[:, 1:] if data.n_outputs == 2 else whole
        else:
            self._target = np.asarray(self._data.target, np.float64)
        self._numbers = encoder.numbers
        said = {n: _share(self._column(n)[0], self._target) for n in self._numbers}
        sources = sorted(said, key=lambda n: -said[n])[:MAX_SOURCES]
        self._sources = sources
        self._candidates: list[tuple[Operation, str, str]] = [
            (operation, *pair)
            for a, b in combinations(sources, 2)
            for operation in OPERATIONS
            for pair in (((a, b), (b, a)) if operation == "ratio" else ((a, b),))
        ]
        self._values = np.stack(
            [combined(o, self._column(a), self._column(b)) for o, a, b in self._candidates], axis=1
        )

    def choose(self, rows: Array) -> list[int]:
        """Return the numbers of the candidates that tell most of what trees leave of some rows."""
        residuals = self._residuals(rows)
        own = {n: max(_share(self._column(n)[0][rows], residuals), 0.0) for n in self._sources}
        more = np.array(
            [
                _share(self._values[rows, k], residuals) - max(own[a], own[b])
                for k, (_, a, b) in enumerate(self._candidates)
            ]
        )
        chosen, ranks = list[int](), list[Array]()
        for k in np.argsort(-more, kind="stable").tolist():
            if more[k] <= MIN_SHARE or len(chosen) == MAX_FOUND:
                break
            rank = _standardised(np.unique(self._values[rows, k], return_inverse=True)[1])
            if all(abs(float(rank @ other)) < ALIKE * len(rows) for other in ranks):
                chosen.append(k)
                ranks.append(rank)
        return chosen

    def losses(self, chosen: list[int], train: Array, valid: Array) -> np.ndarray:
        """Return the weighted loss of each held-out row, ``(n,)``, of trees that were given some candidates."""
        outputs = self._outputs(TRIED, chosen, train, valid)
        if self._data.task == "classification":
            chance = softmax(outputs)[np.arange(len(valid)), self._data.target[valid]]
            losses = -np.log(np.maximum(chance, 1e-9))
        else:
            losses = np.square(outputs - self._target[valid]).mean(1)
        return self._weights[valid] * losses

    def fitted(self, k: int) -> Combination:
        """Return a candidate with its scale."""
        operation, first, second = self._candidates[k]
        scale = fit_scale(self._values[:, k])
        assert scale is not None  # it varies, or it would tell nothing
        return Combination(operation=operation, first=first, second=second, scale=scale)

    def _column(self, name: str) -> tuple[np.ndarray, Scale]:
        place, scale = self._numbers[name]
        return np.asarray(self._features.numeric[:, place]), scale

    def _residuals(self, rows: Array) -> np.ndarray:
        """Return what trees of one half of some rows leave of the other, ``(len(rows), outputs)``."""
        half = np.arange(len(rows)) % 2 == 0
        out = np.empty((len(rows), self._target.shape[1]))
        for held_out in (half, ~half):
            outputs = self._outputs(RESIDUAL, [], rows[~held_out], rows[held_out])
            if self._data.task == "classification":
                outputs = softmax(outputs)[:, -out.shape[1] :]
            out[held_out] = self._target[rows[held_out]] - outputs
        return out

    def _outputs(self, setting: Setting, chosen: list[int], train: Array, rows: Array) -> Array:
        """Return outputs of trees of some rows for others, ``(len(rows), O)``.

        Raises:
            StoppedError: only one class occurs.
        """
        numeric = np.concatenate([self._features.numeric, self._values[:, chosen]], axis=1)
        features = replace(self._features, numeric=numeric.astype(np.float32), knots=None)
        data = replace(self._data, features=features)
        forest = Boosting(data, setting, 0).fit(train, np.zeros(0, int))
        if forest is None:
            raise StoppedError
        return np.asarray(forest.predict(features, rows), np.float64)


def _share(values: Array, target: Array) -> float:
    """Return the share of a target's variance that the means of quantile cells explain, without bias."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, CELLS + 1)[1:-1]))
    cell = np.searchsorted(edges, values)
    counts = np.bincount(cell, minlength=len(edges) + 1)
    within = total = 0.0
    for column in target.T:
        centred = column - column.mean()
        sums = np.bincount(cell, centred, minlength=len(counts))
        whole = float(centred @ centred)
        total += whole
        within += whole - float((np.square(sums) / np.maximum(counts, 1)).sum())
    cells, n = int((counts > 0).sum()), len(values)
    if total <= 0 or n <= cells:
        return 0.0
    return 1.0 - within / total * (n - 1) / (n - cells)


def _standardised(ranks: Array) -> np.ndarray:
    """Return ranks with mean 0 and deviation 1; equal ones as they are."""
    spread = ranks.std()
    return (ranks - ranks.mean()) / (spread if spread > 0 else 1.0)
