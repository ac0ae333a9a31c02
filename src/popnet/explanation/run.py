"""Why a model answers as it does, row by row: `popnet explain`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from popnet._version import __version__
from popnet.data.tables.read import read_table
from popnet.data.tables.records import frame_of
from popnet.errors import InputError
from popnet.explanation import page, words
from popnet.explanation.explainer import Explainer, Question, check_model
from popnet.explanation.records import Explanation
from popnet.explanation.rows import chosen
from popnet.model.model import Model
from popnet.report import format
from popnet.report.document import Document
from popnet.runtime import notebook
from popnet.runtime.fork import begin_threads
from popnet.runtime.progress import Progress

FEW_ROWS = 100
"""Background rows below which a note says that they are few: a mean of 100 probabilities has a standard error of 0.03,
about."""


@dataclass(frozen=True)
class Explanations:
    """Why rows have their answers; a sequence of `popnet.explanation.records.Explanation`.

    Attributes:
        explanations: one a row.
        target: name of what is predicted; of several that which is explained.
        task: binary, multiclass or regression.
        source: name of the rows' table.
        background: name of the table that they are compared with.
        background_rows: rows whose answers they are compared with.
        background_total: rows of that table.
        pairs: of orders of the columns that were drawn for each row; 0 where all subsets of columns were gone through.
        notes: remarks.
        seconds: it took.
        seed: of all random choices.
    """

    explanations: tuple[Explanation, ...] = field(repr=False)
    target: str
    task: str
    source: str
    background: str
    background_rows: int
    background_total: int
    pairs: int
    notes: tuple[str, ...]
    seconds: float
    seed: int

    def __len__(self) -> int:
        return len(self.explanations)

    def __getitem__(self, i: int) -> Explanation:
        return self.explanations[i]

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self.explanations)

    def __repr__(self) -> str:
        rows = format.count(len(self), "row")
        return f"<popnet.Explanations of {self.target}: {rows} of {self.source}>"

    def _repr_html_(self) -> str:
        lines: list[tuple[str, str]] = []
        for e in self.explanations:
            head, *more = words.block(e, self.classes)
            lines.append((head, ""))
            lines += [("", text.strip()) for text in more if text]
        return notebook.table(f"popnet explain: {self.target}", lines)

    @property
    def classes(self) -> bool:
        """Whether probabilities of classes are explained, and not values."""
        return self.task != "regression"

    def frame(self) -> pl.DataFrame:
        """Return the Shapley values, a row for each that was explained: ``row``, ``base``, ``answer``, and the columns.

        A column of the table that has one of these names is called ``column <name>``.
        """
        names = sorted(c.column for c in self.explanations[0].contributions)
        found: dict[str, list[float]] = {
            "row": [e.row for e in self.explanations],
            "base": [e.base for e in self.explanations],
            "answer": [e.answer for e in self.explanations],
        }
        own = [{c.column: c.shapley for c in e.contributions} for e in self.explanations]
        taken = set(found)
        for name in names:
            found[f"column {name}" if name in taken else name] = [each[name] for each in own]
        return pl.DataFrame(found)

    def record(self) -> dict[str, Any]:
        """Return everything as plain JSON."""
        unit = "probability" if self.classes else self.target
        return {
            "target": self.target, "task": self.task, "unit": unit, "source": self.source,
            "background": {"source": self.background, "rows": self.background_rows, "of": self.background_total},
            "rows": [e.record() for e in self.explanations], "pairs": self.pairs, "notes": list(self.notes),
            "seconds": round(self.seconds, 3), "seed": self.seed,
        }  # fmt: skip

    def lines(self) -> list[str]:
        """Return what a terminal shows."""
        return words.lines(self.explanations, self.classes)

    def document(self, command: str = "", created: str | None = None) -> Document:
        """Return a page.

        Args:
            command: that makes it again.
            created: date and time; default now.
        """
        created = created or datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        return page.document(
            self.explanations, self.classes, self.target, self.source, self._compared(), self.notes, self.pairs,
            command, __version__, created,
        )  # fmt: skip

    def _compared(self) -> str:
        """Return what the rows are compared with, in a few words."""
        rows = format.count(self.background_rows, "row")
        of = (
            f" of {self.background_total:,}" if self.background_total > self.background_rows else ""
        )
        return f"{rows}{of} of {self.background}"


def explain(
    model: Model | str | Path | Any,
    table: Any,
    *,
    rows: str | None = None,
    background: Any = None,
    of_class: Any = None,
    target: str | None = None,
    fixed: Sequence[str] = (),
    samples: int | None = None,
    nearest: int = 5,
    seed: int = 0,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Explanations:
    """Explain why rows have their answers.

    For each row: Shapley values of its columns, the smallest change of one or two columns that makes another answer,
    the nearest background rows, and how far the members of the ensemble agree.

    Args:
        model: of a table: a model, its folder, or a fitted `popnet.Classifier` or `popnet.Regressor`.
        table: R rows, as `popnet.Model.predict` takes them, or a path.
        rows: numbers of the rows to explain, counted from 0, as "3,17,20:25"; default all.
        background: rows to compare with, as a rule the training table; the same forms. Default: the table's own rows.
            A model does not keep its training rows.
        of_class: the class whose probability is explained; default the predicted one of each row.
        target: of several targets the one that is explained; default the first.
        fixed: columns that a change must leave as they are.
        samples: pairs of orders of the columns that Shapley values are estimated from; more give smaller standard
            errors. Default: as many as some 2,000 evaluations of the model allow.
        nearest: number of nearest background rows.
        seed: of all random choices.
        on_progress: called now and then.

    Raises:
        InputError: the model takes images, has no such class, target or column, or the rows or the background cannot be
            used.
    """
    began = time.monotonic()
    if isinstance(model, str | Path):
        model = Model.load(model)
    model = getattr(model, "model_", model)
    if not isinstance(model, Model):
        raise InputError("explain takes a popnet model, the folder of one, or a fitted estimator.")
    check_model(model)
    begin_threads()
    asked = Question(
        None if of_class is None else str(of_class), target, tuple(fixed), samples, nearest
    )
    asked.check(model)
    frame = _read(model, table)
    numbers = np.arange(frame.height) if rows is None else chosen(rows, frame.height)
    notes: list[str] = []
    some = frame[numbers]
    features = model.encoder.transform(some, report=notes, row_numbers=numbers)
    explainer = Explainer(
        model, frame if background is None else _read(model, background), seed=seed
    )
    back = explainer.background
    if len(back.drawn) < FEW_ROWS:
        notes.append(
            f"only {len(back.drawn)} rows to compare with: the mean answer and all percentages are coarse"
        )
    found, pairs = explainer.explain(
        some, asked, features=features, numbers=numbers.tolist(), own=background is None or _same(table, background),
        on_progress=lambda done, total: on_progress(Progress("explaining", done, total)),
    )  # fmt: skip
    names = model.encoder.target.names
    source = format.name_of(table)
    return Explanations(
        tuple(found), names[asked.number(model) or 0] if not model.is_classifier else names[0],
        model.encoder.target.task, source, source if background is None else format.name_of(background),
        len(back.drawn), back.total, pairs, tuple(notes), time.monotonic() - began, seed,
    )  # fmt: skip


def _same(a: Any, b: Any) -> bool:
    """Return whether two tables are one, as far as that is seen without comparing their values."""
    if isinstance(a, str | Path) and isinstance(b, str | Path):
        return Path(a).resolve() == Path(b).resolve()
    return a is b


def _read(model: Model, table: Any) -> pl.DataFrame:
    """Return rows as a frame with the model's columns, and others that they have."""
    if isinstance(table, str | Path):
        return read_table(table, model.schema.reading.as_written(model.schema.target.names))
    needed = [column.name for column in model.encoder.columns]
    return frame_of(table, needed, [column.name for column in model.schema.columns])
