"""Data made ready for a fit, whatever it was before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from popnet.data import splits
from popnet.data.dataset import Dataset
from popnet.data.splits import SplitKeys
from popnet.data.tables.encode import Encoder
from popnet.data.tables.schema import Schema


@dataclass(frozen=True)
class HeldOutRows:
    """Some rows of the test part as the table has them.

    Attributes:
        places: ``(n,)`` of these rows among `Prepared.test`, ascending.
        frame: the rows, as `popnet.data.tables.schema.conform` gives them.
    """

    places: np.ndarray
    frame: pl.DataFrame


@dataclass(frozen=True)
class Prepared:
    """Rows with a target, encoded; the test part and the folds of the rest.

    Attributes:
        schema: what the data is.
        encoder: fitted on the training rows.
        data: all rows.
        train: row numbers that may be trained on.
        test: row numbers held out for the score.
        folds: of ``train``.
        split: how the parts were drawn, see `popnet.report.fit_page.facts.DataFacts`.
        notes: lines for people.
        test_groups: ``(len(test),)``, what the score's interval resamples together, or None.
        split_keys: by which all rows are split.
        some_rows: some training rows of a table, as `popnet.data.tables.schema.conform` gives them; None of images.
        doubts: those of the ``notes`` that say what may flatter the score.
        test_rows: some test rows of a table; None of images, and of a table that does not fit into memory.
    """

    schema: Schema
    encoder: Encoder
    data: Dataset
    train: np.ndarray
    test: np.ndarray
    folds: list[splits.Fold]
    split: str
    notes: list[str]
    test_groups: np.ndarray | None
    split_keys: SplitKeys
    some_rows: pl.DataFrame | None = None
    doubts: tuple[str, ...] = ()
    test_rows: HeldOutRows | None = None

    @property
    def fold_rows(self) -> int:
        """Return the training rows of the largest fold."""
        return max(len(f.train) for f in self.folds)
