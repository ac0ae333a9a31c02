"""A model and the rows that it is explained against: made once, it explains any rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from popnet.data.dataset import Features
from popnet.errors import InputError, check_whole, closest
from popnet.explanation.answers import Answers
from popnet.explanation.background import Background, share_below
from popnet.explanation.changes import ChangeSearch, FoundChange, Margin
from popnet.explanation.records import (
    Change,
    ChangedColumn,
    Contribution,
    Disagreement,
    Explanation,
    Neighbour,
    Novelty,
)
from popnet.explanation.shapley import Shapley, shapley
from popnet.model.model import Model
from popnet.runtime import keys


@dataclass(frozen=True)
class Question:
    """What is asked of an answer.

    Attributes:
        of_class: the class whose probability is explained, as it is written; None for the predicted one of each row.
        target: of several, the one whose value is explained; None for the first.
        fixed: columns that a change must leave as they are.
        pairs: of orders of the columns that are drawn for Shapley values; None for as many as are usual.
        nearest: number of background rows that are shown.
    """

    of_class: str | None = None
    target: str | None = None
    fixed: tuple[str, ...] = ()
    pairs: int | None = None
    nearest: int = 5

    def check(self, model: Model) -> None:
        """Raise `InputError` if a model has no such class, target or column, or a number is none."""
        self.number(model)
        names = [column.name for column in model.encoder.columns]
        for name in self.fixed:
            if name not in names:
                raise InputError(
                    f"--fixed: the model reads no column '{name}'.{closest(name, names)}"
                )
        if self.pairs is not None:
            check_whole("--samples", self.pairs, 2)
        check_whole("--nearest", self.nearest, 0)

    def number(self, model: Model) -> int | None:
        """Return the number of the output that is asked about; None for that of the predicted class.

        Raises:
            InputError: there is none.
        """
        if self.target is not None and self.target not in model.encoder.target.names:
            listed = ", ".join(model.encoder.target.names)
            raise InputError(f"--target: the model does not predict '{self.target}', but {listed}.")
        if not model.is_classifier:
            if self.of_class is not None:
                raise InputError("--class is for classification; this model predicts numbers.")
            names = model.encoder.target.names
            return 0 if self.target is None else names.index(self.target)
        if self.of_class is None:
            return None
        written = [str(c) for c in model.classes]
        if str(self.of_class) not in written:
            raise InputError(
                f"--class: the model knows no class '{self.of_class}'.{closest(str(self.of_class), written)}"
            )
        return written.index(str(self.of_class))


ANYTHING = Question()
"""The question if nothing is said."""


class Explainer:
    """Explains a model's answers.

    Args:
        model: of a table.
        background: a table whose rows the explained ones are compared with, as a rule the training table.
        seed: of all random choices.

    Raises:
        InputError: the model takes images, or the table cannot be used (see `popnet.explanation.background`).
    """

    def __init__(self, model: Model, background: pl.DataFrame, *, seed: int = 0) -> None:
        check_model(model)
        self.model, self.seed = model, seed
        self.background = Background.of(model, background, seed)
        self.answers = Answers(model)

    def explain(
        self,
        frame: pl.DataFrame,
        question: Question = ANYTHING,
        *,
        features: Features | None = None,
        numbers: Sequence[int] | None = None,
        own: bool = False,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> tuple[list[Explanation], int]:
        """Return why rows have their answers, and the pairs of orders that were drawn (0: none had to be).

        Args:
            frame: R rows with the columns that the model reads.
            question: what is asked.
            features: the rows, encoded; default the frame's.
            numbers: of the rows in their table; default 0, 1, ...
            own: whether that table is the background's, so that a row is not its own nearest row.
            on_progress: is called with the rows that are done, and R.

        Raises:
            InputError: the question does not fit the model, or a row does not.
        """
        question.check(self.model)
        numbers = list(range(frame.height)) if numbers is None else list(numbers)
        if features is None:
            features = self.model.encoder.transform(frame, row_numbers=np.array(numbers))
        known = self.answers(features)
        predicted = self.model.decided(known).argmax(1) if self.model.is_classifier else None
        number = question.number(self.model)
        outputs = predicted if number is None else np.full(len(features), number)
        assert outputs is not None
        back = self.background
        values = shapley(
            self.answers, features, back.answered, back.answers, outputs, back.blocks,
            keys.generator(self.seed, "shapley"), pairs=question.pairs, on_progress=on_progress,
        )  # fmt: skip
        intervals = self.answers.intervals(features)
        margin = _margin(self.model, predicted, intervals, outputs)
        found: list[FoundChange | None] = [None] * len(features)
        if margin is not None:
            found = ChangeSearch(self.answers, back, question.fixed).find(features, margin)
        places = self._places(numbers) if own else None
        nearest, distances = back.distances.nearest(
            features, back.features, max(question.nearest, 1), places
        )
        spread = self.answers.spread(features)
        explained: list[Explanation] = []
        for i, output in enumerate(map(int, outputs)):
            ends = None
            if intervals is not None:
                ends = float(intervals[0][i, output]), float(intervals[1][i, output])
            novelty = share_below(distances[i, :1], back.nearest)[0]
            near = zip(nearest[i].tolist(), distances[i].tolist(), strict=True)
            explained.append(
                Explanation(
                    row=numbers[i],
                    prediction=self._prediction(predicted, values, i),
                    explained=self._explained(output),
                    answer=float(values.answers[i]),
                    interval=ends,
                    base=float(values.base[i]),
                    contributions=self._contributions(frame, values, i),
                    disagreement=self._disagreement(spread, i, output),
                    novelty=Novelty(float(distances[i, 0]), float(novelty)),
                    change=self._change(frame, found[i], i, output),
                    nearest=tuple(self._neighbour(j, d) for j, d in near)[: question.nearest],
                )
            )
        return explained, values.pairs

    def _places(self, numbers: Sequence[int]) -> np.ndarray:
        """Return where rows of the background's table are among those that were kept; -1 where they are not."""
        kept = self.background.numbers
        at = np.minimum(np.searchsorted(kept, numbers), len(kept) - 1)
        return np.where(kept[at] == numbers, at, -1)

    def _prediction(self, predicted: np.ndarray | None, values: Shapley, i: int) -> Any:
        if predicted is None:
            return float(values.answers[i])
        return self.model.classes[int(predicted[i])]

    def _explained(self, output: int) -> Any:
        model = self.model
        return model.classes[output] if model.is_classifier else model.encoder.target.names[output]

    def _contributions(
        self, frame: pl.DataFrame, values: Shapley, i: int
    ) -> tuple[Contribution, ...]:
        order: list[int] = np.argsort(-np.abs(values.values[i]), kind="stable").tolist()
        names = self.background.blocks.names
        return tuple(
            Contribution(
                names[c], _value(frame, names[c], i), float(values.values[i, c]), float(values.errors[i, c])
            )
            for c in order
        )  # fmt: skip

    def _disagreement(self, spread: np.ndarray | None, i: int, output: int) -> Disagreement | None:
        usual = self.background.spreads
        if spread is None or usual is None:
            return None
        share = share_below(spread[i, output : output + 1], usual[:, output])
        return Disagreement(float(spread[i, output]), float(share[0]))

    def _change(
        self, frame: pl.DataFrame, found: FoundChange | None, i: int, output: int
    ) -> Change | None:
        if found is None:
            return None
        back, answer = self.background, float(found.answers[output])
        prediction: Any = answer
        if self.model.is_classifier:
            prediction = self.model.classes[int(self.model.decided(found.answers[None]).argmax())]
        columns = tuple(
            ChangedColumn(
                back.blocks.names[c],
                _value(frame, back.blocks.names[c], i),
                _value(back.frame, back.blocks.names[c], int(back.drawn[j])),
            )
            for c, j in zip(found.columns, found.sources, strict=True)
        )
        return Change(columns, prediction, answer, found.distance)

    def _neighbour(self, j: int, distance: float) -> Neighbour:
        back = self.background
        targets = [n for n in self.model.encoder.target.names if n in back.frame.columns]
        return Neighbour(
            int(back.numbers[j]),
            distance,
            {name: _value(back.frame, name, j) for name in targets},
            {name: _value(back.frame, name, j) for name in back.blocks.names},
        )


def check_model(model: Model) -> None:
    """Raise `InputError` if a model cannot be explained."""
    if model.encoder.image is not None:
        raise InputError(
            "the model takes images, and answers are explained for models of tables only."
        )


def _value(frame: pl.DataFrame, name: str, row: int) -> Any:
    return frame[name][row] if name in frame.columns else None


def _margin(
    model: Model,
    predicted: np.ndarray | None,
    intervals: tuple[np.ndarray, np.ndarray] | None,
    outputs: np.ndarray,
) -> Margin | None:
    """Return how far changed rows are beyond another class, or beyond the interval of the value."""
    if predicted is not None:

        def beyond(answers: np.ndarray, i: np.ndarray) -> np.ndarray:
            decided = np.array(model.decided(answers), np.float64)
            own = np.arange(len(i)), predicted[i]
            before = decided[own]
            decided[own] = -np.inf
            return decided.max(1) - before

        return beyond
    if intervals is None:
        return None
    low, high = intervals

    def outside(answers: np.ndarray, i: np.ndarray) -> np.ndarray:
        value = answers[np.arange(len(i)), outputs[i]]
        return np.maximum(low[i, outputs[i]] - value, value - high[i, outputs[i]])

    return outside
