"""The smallest change of one or two columns that changes an answer (counterfactuals, Wachter et al. 2017).

Values to change to are those that the columns have in background rows: none is made up. A change's size is the distance
of `popnet.explanation.distances` between the row and the changed row. All single columns are tried with up to
`MAX_VALUES` values each, then the values between the row's and the one that was found. Pairs are made of the changes
that alone move the answer furthest, and furthest for their size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from popnet.data.dataset import Features
from popnet.explanation.background import Background
from popnet.explanation.input_columns import InputColumns
from popnet.types import Array

MAX_VALUES = 24
"""Values of a column that are tried at first: of numbers evenly spaced among the different ones, of levels the most
frequent."""

MAX_MOVES = 6
"""Changes of single columns that pairs are made of: as many that move the answer furthest as move it furthest for their
size."""

CHUNK = 1 << 16
"""Changed rows that are predicted at once, about."""

Margin = Callable[[Array, Array], np.ndarray]
"""From answers ``(n, O)`` and the numbers of the explained rows that they were made of, ``(n,)``, to how far each is
beyond what makes it another answer, ``(n,)``: above 0 it is another."""


@dataclass(frozen=True)
class FoundChange:
    """A change that makes another answer.

    Attributes:
        columns: numbers of one or two columns.
        sources: for each of them a background row (of those with answers) that has the new value.
        distance: between the row and the changed row.
        answers: ``(O,)`` of the changed row.
    """

    columns: tuple[int, ...]
    sources: tuple[int, ...]
    distance: float
    answers: np.ndarray


@dataclass(frozen=True)
class _Values:
    """Values of a column: background rows that have them.

    Attributes:
        every: ``(V,)`` a row for each different value; of numbers ascending.
        tried: some of them, those that are tried at first.
        ordered: whether they are numbers.
    """

    every: Array
    tried: Array
    ordered: bool

    @classmethod
    def of(cls, blocks: InputColumns, background: Features, column: int) -> _Values:
        inputs = blocks.inputs(background, column)
        _, first, counts = np.unique(inputs, axis=0, return_index=True, return_counts=True)
        ordered = bool((blocks.numeric == column).any())
        if len(first) <= MAX_VALUES:
            return cls(first, first, ordered)
        if ordered:
            places = np.linspace(0, len(first) - 1, MAX_VALUES).round().astype(int)
            return cls(first, first[places], True)
        return cls(first, first[np.argsort(-counts, kind="stable")[:MAX_VALUES]], False)


@dataclass(frozen=True)
class _Tried:
    """Changes that were tried: n of single columns, or of pairs.

    Attributes:
        row: ``(n,)`` the explained row's number.
        columns: ``(n, 1 or 2)`` columns that change.
        sources: ``(n, 1 or 2)`` background rows that have the new values.
        square: ``(n,)`` squared distance.
        answers: ``(n, O)``.
        margin: ``(n,)``.
    """

    row: Array
    columns: Array
    sources: Array
    square: Array
    answers: Array
    margin: Array

    def best(self) -> dict[int, FoundChange]:
        """Return the smallest change of each row that makes another answer."""
        good = np.flatnonzero(self.margin > 0)
        good = good[np.argsort(self.square[good], kind="stable")]
        rows, first = np.unique(self.row[good], return_index=True)
        return {int(r): self._found(int(k)) for r, k in zip(rows, good[first], strict=True)}

    def _found(self, k: int) -> FoundChange:
        columns, sources = (tuple(map(int, part[k])) for part in (self.columns, self.sources))
        return FoundChange(columns, sources, float(np.sqrt(self.square[k])), self.answers[k])


class ChangeSearch:
    """Searches for changes.

    Args:
        answer: the model: from encoded rows to answers ``(N, O)``.
        background: rows that have the values to change to.
        fixed: names of columns that must not change.
    """

    def __init__(
        self,
        answer: Callable[[Features], np.ndarray],
        background: Background,
        fixed: Sequence[str] = (),
    ) -> None:
        self._answer, self._background = answer, background
        self._blocks, self._rows = background.blocks, background.answered
        self._values = {
            c: _Values.of(self._blocks, self._rows, c)
            for c, name in enumerate(self._blocks.names)
            if name not in fixed
        }

    def find(self, rows: Features, margin: Margin) -> list[FoundChange | None]:
        """Return the smallest change of each of R rows that was found; None if none makes another answer."""
        found: list[FoundChange | None] = []
        count = sum(len(v.tried) for v in self._values.values())
        if not count:
            return [None] * len(rows)
        before = margin(self._answer(rows), np.arange(len(rows)))
        for chunk in _chunks(len(rows), max(1, CHUNK // count)):
            found += self._of_chunk(rows, chunk, margin, before)
        return found

    def _of_chunk(
        self, rows: Features, chunk: Array, margin: Margin, before: Array
    ) -> list[FoundChange | None]:
        pairs = [(c, int(j)) for c, values in self._values.items() for j in values.tried]
        columns, sources = (np.array(part, np.intp) for part in zip(*pairs, strict=True))
        single = self._tried(
            rows, np.repeat(chunk, len(pairs)), np.tile(columns, len(chunk))[:, None],
            np.tile(sources, len(chunk))[:, None], margin,
        )  # fmt: skip
        best = single.best()
        best |= self._between(rows, best, margin).best()
        best |= self._pairs(rows, single, best, margin, before).best()
        return [best.get(int(row)) for row in chunk]

    def _tried(
        self, rows: Features, row: Array, columns: Array, sources: Array, margin: Margin,
        below: Array | None = None,
    ) -> _Tried:  # fmt: skip
        """Try changes; those that change nothing, or whose squared distance is not below a bound, are left out."""
        square = np.zeros(len(row))
        differ = np.ones(len(row), bool)
        for k in range(columns.shape[1]):
            for c in np.unique(columns[:, k]).tolist():
                own = np.flatnonzero(columns[:, k] == c)
                i, j = row[own], sources[own, k]
                square[own] += self._background.distances.in_column(c, rows, i, self._rows, j)
            other = self._blocks.differ(rows, row, self._rows, sources[:, k])
            differ &= other[np.arange(len(row)), columns[:, k]]
        kept = np.flatnonzero(differ if below is None else differ & (square < below))
        row, columns, sources, square = row[kept], columns[kept], sources[kept], square[kept]
        changed = rows.take(row)
        own = np.arange(len(row))
        for k in range(columns.shape[1]):
            taken = np.zeros((len(row), len(self._blocks)), bool)
            taken[own, columns[:, k]] = True
            changed = self._blocks.mixed(self._rows, sources[:, k], changed, own, taken)
        answers = self._answer(changed)
        return _Tried(row, columns, sources, square, answers, margin(answers, row))

    def _between(self, rows: Features, best: dict[int, FoundChange], margin: Margin) -> _Tried:
        """Try values of numbers between those of the rows and those that were found."""
        row: list[int] = []
        columns: list[int] = []
        sources: list[int] = []
        bounds: list[float] = []
        for i, change in best.items():
            column, source = change.columns[0], change.sources[0]
            values = self._values[column]
            if not values.ordered or len(values.every) == len(values.tried):
                continue
            first = int(np.flatnonzero(self._blocks.numeric == column)[0])
            numbers = self._rows.numeric[values.every, first]
            ends = sorted((float(rows.numeric[i, first]), float(self._rows.numeric[source, first])))
            between = values.every[(numbers > ends[0]) & (numbers < ends[1])]
            if len(between) > MAX_VALUES:
                places = np.linspace(0, len(between) - 1, MAX_VALUES).round().astype(int)
                between = between[places]
            row += [i] * len(between)
            columns += [column] * len(between)
            sources += between.tolist()
            bounds += [change.distance**2] * len(between)
        arrays = (np.array(part, np.intp) for part in (row, columns, sources))
        one, two, three = arrays
        return self._tried(rows, one, two[:, None], three[:, None], margin, np.array(bounds))

    def _pairs(
        self, rows: Features, single: _Tried, best: dict[int, FoundChange], margin: Margin, before: Array
    ) -> _Tried:  # fmt: skip
        """Try pairs of changes of single columns that are smaller than what was found."""
        row: list[int] = []
        pairs: list[tuple[int, int]] = []
        gains = single.margin - before[single.row]
        begins = np.searchsorted(single.row, np.unique(single.row))
        for part in np.split(np.arange(len(single.row)), begins[1:]):
            if not len(part):
                continue
            i = int(single.row[part[0]])
            bound = best[i].distance ** 2 if i in best else np.inf
            moves = self._moves(single, part, gains)
            for a, b in combinations(moves, 2):
                if (
                    single.columns[a, 0] != single.columns[b, 0]
                    and single.square[a] + single.square[b] < bound
                ):
                    row.append(i)
                    pairs.append((a, b))
        chosen = np.array(pairs, np.intp).reshape(-1, 2)
        return self._tried(
            rows,
            np.array(row, np.intp),
            single.columns[chosen, 0],
            single.sources[chosen, 0],
            margin,
        )

    def _moves(self, single: _Tried, part: Array, gains: Array) -> list[int]:
        """Return the changes of a row that pairs are made of."""
        gain = gains[part]
        useful = part[gain > 0]
        found: list[int] = []
        for value in (gains[useful], gains[useful] / np.sqrt(single.square[useful] + 1e-12)):
            order = useful[np.argsort(-value, kind="stable")]
            _, first = np.unique(single.columns[order, 0], return_index=True)
            found += order[np.sort(first)[:MAX_MOVES]].tolist()
        return list(dict.fromkeys(found))


def _chunks(rows: int, size: int) -> Iterator[np.ndarray]:
    for start in range(0, rows, size):
        yield np.arange(start, min(start + size, rows))
