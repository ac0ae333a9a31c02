"""How a model's predictions depend on columns: what it predicts on average, and for single rows, at each value of one.

Partial dependence (Friedman 2001, *Greedy function approximation*), individual curves (Goldstein et al. 2015, *Peeking
inside the black box*), and the pair of columns with the largest interaction, by the variance of their joint partial
dependence that is no sum of an effect of each (Friedman and Popescu 2008 take its root mean square over the rows).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from popnet.data.dataset import Features
from popnet.data.tables.read import read_table
from popnet.errors import InputError, closest
from popnet.explanation.blocks import Block, blocks_of, exchanged
from popnet.explanation.grid import grid_of
from popnet.explanation.judged import STACKED_ROWS, of_table
from popnet.model.effects import ColumnEffect, EffectsOfColumns, PairEffect
from popnet.model.members import outputs
from popnet.model.model import Model
from popnet.predictions.calibration import tempered
from popnet.predictions.ensemble import combine, softmax
from popnet.runtime import keys

ROWS, MIN_ROWS = 300, 30
"""Rows that predictions are averaged over, and those at least where time is short."""

CURVES = 30
"""Rows whose own curves are kept."""

VALUES, CATEGORIES = 20, 12
"""Values of a number or a date, and of a category, at most."""

PAIR_VALUES, PAIR_ROWS = 8, 100
"""Values of each column of a pair, and rows, at most."""

COLUMNS, PAIRED = 6, 4
"""Columns whose effects are looked at unless they are named, and those of which each two are a pair."""

CLASSES = 5
"""Classes that are looked at, the most probable ones of more."""


def effects(
    model: Model, data: Any, columns: Sequence[str] | None = None, *, rows: int = ROWS, seed: int = 0
) -> EffectsOfColumns:  # fmt: skip
    """Return how a model's predictions depend on columns.

    Args:
        model: of a table.
        data: rows to average over, which need no target: a path, a pandas or polars frame.
        columns: their names; default the first `COLUMNS` that matter by the model's own facts, or that it reads.
        rows: that are averaged over at most, drawn at random.
        seed: of the draw.

    Raises:
        InputError: the model takes images or reads no such column, or the data lacks one.
    """
    of_table(model)
    known = [block.name for block in blocks_of(model.encoder)]
    if columns is None:
        found = None if model.facts is None else model.facts.importance
        ranked = known if found is None else [g.columns[0] for g in found.groups]
        columns = [name for name in ranked if name in known][:COLUMNS]
    for name in columns:
        if name not in known:
            raise InputError(f"The model reads no column '{name}'.{closest(name, known)}")
    if rows < 1:
        raise InputError(f"rows must be at least 1; got {rows}.")
    return _Effects(model, read_table(data), rows, seed).of(list(columns))


def effects_within(
    model: Model, frame: pl.DataFrame, columns: Sequence[str], seed: int, deadline: float | None
) -> EffectsOfColumns | None:
    """Return how predictions depend on the first columns, as many as there is time for; None if that is none.

    Args:
        model: of a table.
        frame: rows to average over.
        columns: the most important first.
        seed: of random choices.
        deadline: moment of ``time.monotonic()``; None for none.
    """
    first = list(columns)[:COLUMNS]
    if not first:
        return None
    if deadline is None:
        return _Effects(model, frame, ROWS, seed).of(first)
    pilot = _Effects(model, frame, MIN_ROWS, seed)
    began = time.monotonic()
    pilot.of(first[:1])
    a_row = (time.monotonic() - began) / pilot.predicted
    for count, paired in ((COLUMNS, PAIRED), (4, 0), (2, 0)):
        pairs = len(list(combinations(first[:paired], 2))) * PAIR_VALUES**2 * PAIR_ROWS / ROWS
        wanted = len(first[:count]) * VALUES + pairs
        rows = int((deadline - time.monotonic()) / a_row / wanted)
        if rows >= MIN_ROWS:
            return _Effects(model, frame, min(rows, ROWS), seed).of(first[:count], paired)
    return None


class _Effects:
    """Effects on the mean prediction of some rows of a table.

    Args:
        model: that predicts.
        frame: the table, of which values are taken.
        rows: that are averaged over at most.
        seed: of their draw.

    Attributes:
        predicted: rows that were predicted so far, since the last call of `of`.
    """

    def __init__(self, model: Model, frame: pl.DataFrame, rows: int, seed: int) -> None:
        self._model, self._frame = model, frame
        self._all = model.encoder.transform(frame)
        order = keys.generator(seed, "effects").permutation(frame.height)
        self._rows = order[:rows]
        self._blocks = {block.name: block for block in blocks_of(model.encoder)}
        self._records = {record.name: record for record in model.encoder.columns}
        self.predicted = 0
        self._outputs = self._chosen_outputs()

    def of(self, columns: list[str], paired: int = PAIRED) -> EffectsOfColumns:
        """Return the effects of columns, and of the two of so many first ones that interact most."""
        self.predicted = 0
        names = self._model.encoder.target.names
        if self._model.is_classifier:
            names = [str(self._model.classes[k]) for k in self._outputs]
        return EffectsOfColumns(
            list(names), self._model.is_classifier, len(self._rows), [self._column(c) for c in columns],
            self._strongest(columns[:paired]),
        )  # fmt: skip

    def _chosen_outputs(self) -> list[int]:
        """Return the outputs that are looked at."""
        if not self._model.is_classifier:
            return list(range(self._model.encoder.n_outputs))
        if len(self._model.classes) == 2:
            return [1]
        if len(self._model.classes) <= CLASSES:
            return list(range(len(self._model.classes)))
        mean = self._predict(self._all.take(self._rows))[0].mean(0)
        return sorted(np.argsort(-mean, kind="stable")[:CLASSES].tolist())

    def _column(self, name: str) -> ColumnEffect:
        numbers = self._records[name].kind not in ("categorical", "boolean")
        grid = grid_of(self._records[name], self._frame[name], VALUES if numbers else CATEGORIES)
        n, count = len(self._rows), len(grid)
        means = np.empty((len(self._outputs), count))
        spreads = np.empty_like(means)
        curves = np.empty((len(self._outputs), n, count))
        for places, together, apart in self._at([(self._blocks[name], grid.donors)], count):
            means[:, places] = together.mean(1).T
            curves[:, :, places] = together.transpose(2, 1, 0)
            own = apart.mean(2)
            weights = self._model.weights[:, None, None]
            centre = (weights * own).sum(0)
            spreads[:, places] = np.sqrt((weights * (own - centre) ** 2).sum(0)).T
        shown = curves[:, : min(n, CURVES)] if numbers else curves[:, :0]
        return ColumnEffect(
            name, grid.kind, grid.values, means.tolist(), spreads.tolist(),
            shown.tolist() if numbers else [],
        )  # fmt: skip

    def _strongest(self, columns: list[str]) -> PairEffect | None:
        """Return the pair of columns with the largest interaction."""
        best: tuple[float, PairEffect] | None = None
        for pair in combinations(columns, 2):
            grids = [grid_of(self._records[c], self._frame[c], PAIR_VALUES) for c in pair]
            if min(map(len, grids)) < 2:
                continue
            size, other = map(len, grids)
            donors = [np.repeat(grids[0].donors, other), np.tile(grids[1].donors, size)]
            table = np.empty((len(self._outputs), size * other))
            moved = [(self._blocks[c], d) for c, d in zip(pair, donors, strict=True)]
            for places, together, _ in self._at(moved, size * other, PAIR_ROWS):
                table[:, places] = together.mean(1).T
            table = table.reshape(-1, size, other)
            parts = [interaction(t, grids[0].shares, grids[1].shares) for t in table]
            output = int(np.argmax([own for own, _ in parts]))
            own, total = parts[output]
            if best is None or own > best[0]:
                best = own, PairEffect(
                    pair, (grids[0].kind, grids[1].kind), (grids[0].values, grids[1].values), output,
                    table[output].tolist(), own / total if total > 0 else 0.0,
                )  # fmt: skip
        return None if best is None else best[1]

    def _at(
        self, moved: list[tuple[Block, np.ndarray]], count: int, most: int | None = None
    ) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Yield predictions of the rows with columns set to values, some values at a time.

        Args:
            moved: columns, and rows of the table that have their values, ``(count,)``.
            count: values, or combinations of them.
            most: rows.

        Yields:
            Which values; what is predicted, ``(values, rows, K)``; and what members predict, ``(M, values, rows, K)``.
        """
        rows = self._rows[:most]
        n = len(rows)
        at_once = max(1, STACKED_ROWS // max(n, 1))
        for start in range(0, count, at_once):
            places = slice(start, min(start + at_once, count))
            size = places.stop - places.start
            features = self._all.take(np.tile(rows, size))
            for block, donors in moved:
                features = exchanged(features, [block], self._all, np.repeat(donors[places], n))
            together, apart = self._predict(features)
            k = len(self._outputs)
            yield (
                places,
                together[:, self._outputs].reshape(size, n, k),
                apart[:, :, self._outputs].reshape(len(apart), size, n, k),
            )

    def _predict(self, features: Features) -> tuple[np.ndarray, np.ndarray]:
        """Return what the ensemble and its members predict, ``(N, O)`` and ``(M, N, O)``: probabilities, or numbers."""
        model = self._model
        self.predicted += len(features)
        found = outputs(model.members, model.encoder.combine(features))
        if not model.is_classifier:
            found = model.encoder.within_range(found)
            together = combine(found, model.weights, model.method)
            return model.encoder.decode_target(together), model.encoder.decode_target(found)
        found = softmax(found)
        together = combine(found, model.weights, model.method)
        apart = [tempered(p, model.temperature) for p in found]
        return tempered(together, model.temperature), np.stack(apart)


def interaction(table: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Return the variance of a joint effect ``(G, H)`` that is no sum of an effect of each column, and all of it.

    Args:
        table: the mean prediction at each pair of values.
        a, b: ``(G,)`` and ``(H,)``, the shares of the values, with sum 1.
    """
    first, second = table @ b, a @ table
    centre = float(a @ table @ b)
    rest = table - first[:, None] - second[None, :] + centre
    return float(a @ rest**2 @ b), float(a @ (table - centre) ** 2 @ b)
