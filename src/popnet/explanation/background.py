"""The rows that explanations compare with: encoded once, with all that is to be known of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from popnet.data.dataset import Features
from popnet.errors import InputError
from popnet.explanation.answers import Answers
from popnet.explanation.distances import Distances
from popnet.explanation.input_columns import InputColumns
from popnet.model.model import Model
from popnet.runtime import keys

MAX_ROWS, MAX_VALUES = 50_000, 5_000_000
"""Rows that are kept, among which nearest rows are looked for; of more, as many are drawn. Of tables of more than 100
columns fewer, but at least `MAX_ANSWERED`, so that they have so many values."""

MAX_ANSWERED = 5000
"""Rows whose answers are known: their mean then has a standard error of 0.005 of a probability (adult). Predicting them
takes 10 nets a quarter of a second on two cores."""

MIN_MEASURED, MAX_MEASURED, MAX_COMPARED = 100, 500, 400_000_000
"""Rows whose nearest row and whose spread are known: shares are told to 1 %. Between these, so many that they take no
more than the last number of values to be compared, a second or two of a core."""

MIN_ROWS = 10
"""Fewer rows have no distribution to compare with."""


@dataclass(frozen=True)
class Background:
    """N rows of a table.

    Attributes:
        frame: the rows as they were read, with the target if the table has it.
        numbers: ``(N,)`` their numbers in the table, from 0.
        total: rows of the table that they were drawn from.
        features: the rows, encoded.
        drawn: ``(A,)`` numbers among the N of rows whose answers are known.
        answers: ``(A, O)``.
        blocks: the columns.
        distances: between rows.
        nearest: distances of some rows to the nearest other one, ascending.
        spreads: ``(some, O)`` how far members' answers lie apart, ascending; None of an ensemble of one member.
    """

    frame: pl.DataFrame
    numbers: np.ndarray
    total: int
    features: Features
    drawn: np.ndarray
    answers: np.ndarray
    blocks: InputColumns
    distances: Distances
    nearest: np.ndarray
    spreads: np.ndarray | None

    @property
    def answered(self) -> Features:
        """The rows whose answers are known."""
        return self.features.take(self.drawn)

    @classmethod
    def of(cls, model: Model, frame: pl.DataFrame, seed: int = 0) -> Background:
        """Return what is to be known of a table's rows.

        Args:
            model: of a table.
            frame: a table with the columns that the model reads.
            seed: of the rows that are drawn.

        Raises:
            InputError: there are fewer than 10 rows, or a column is missing or has values that do not fit.
        """
        if frame.height < MIN_ROWS:
            known = "" if model.facts is None else model.facts.fit.source
            asked = f" ({known})" if known else ""
            raise InputError(
                f"there are {frame.height} rows to compare with, and at least {MIN_ROWS} are needed; give the training "
                f"table{asked}, or another with rows like it, as the background (--background DATA)."
            )
        rng = keys.generator(seed, "background")
        blocks = InputColumns.of(model.encoder)
        numbers = np.arange(frame.height)
        most = min(MAX_ROWS, max(MAX_ANSWERED, MAX_VALUES // len(blocks)))
        if frame.height > most:
            numbers = np.sort(rng.choice(frame.height, most, replace=False))
        kept = frame[numbers] if len(numbers) < frame.height else frame
        features = model.encoder.transform(kept)
        order = rng.permutation(len(numbers))
        count = MAX_COMPARED // (len(numbers) * len(blocks))
        own = order[: int(np.clip(count, MIN_MEASURED, MAX_MEASURED))]
        drawn, measured = np.sort(order[:MAX_ANSWERED]), features.take(own)
        answers, distances = Answers(model), Distances(blocks, features)
        _, nearest = distances.nearest(measured, features, 1, own)
        spreads = answers.spread(measured)
        return cls(
            kept, numbers, frame.height, features, drawn, answers(features.take(drawn)), blocks, distances,
            np.sort(nearest[:, 0]), None if spreads is None else np.sort(spreads, axis=0),
        )  # fmt: skip


def share_below(values: np.ndarray, sorted_values: np.ndarray) -> np.ndarray:
    """Return the share of ascending values that are below each of some others, of their shape."""
    return np.searchsorted(sorted_values, values, side="left") / len(sorted_values)
