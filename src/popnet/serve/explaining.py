"""Answers are explained on a thread of their own, so that predictions do not wait for them.

Rows are compared with the server's background table, of which no row is sent: only single values that a change would
take, means and percentages leave the machine.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import polars as pl

from popnet.data.dataset import Features
from popnet.data.tables.read import read_table
from popnet.errors import InputError
from popnet.explanation.explainer import Explainer, Question, check_model
from popnet.explanation.records import Explanation
from popnet.model.model import Model
from popnet.serve.folder_model import FolderModel
from popnet.serve.limits import Refused
from popnet.serve.served import Rows, Served

MAX_ROWS = 100
"""Rows of a request: on adult, with 11 members, they take 5 s of a core."""

MAX_WAITING = 4
"""Requests that may wait or be at work."""


class Explaining:
    """The thread that explains.

    Args:
        model: of a table.
        background: whose rows the explained ones are compared with.

    Raises:
        InputError: the model cannot be explained, or the table does not fit it.
    """

    def __init__(self, model: Model, background: pl.DataFrame) -> None:
        check_model(model)
        self._background = background
        self._explainer = Explainer(model, background)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="popnet explains")
        self._count = 0
        self._lock = threading.Lock()

    def close(self) -> None:
        """End the thread after the request that it is at."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def submit(
        self,
        model: Served,
        read: Rows,
        of_class: str | None,
        target: str | None,
        fixed: tuple[str, ...],
    ) -> Future[dict[str, Any]]:
        """Return the explanations of a request's rows, as soon as they are there.

        Raises:
            Refused: too many requests wait, there are too many rows, or the question does not fit the model.
        """
        assert isinstance(model, FolderModel)
        question = Question(of_class, target, fixed, nearest=0)
        if read.frame.height > MAX_ROWS:
            raise Refused(
                413, f"At most {MAX_ROWS} rows are explained at once; send fewer at a time."
            )
        try:
            question.check(model.model)
        except InputError as error:
            raise Refused(422, str(error)) from None
        with self._lock:
            if self._count >= MAX_WAITING:
                raise Refused(503, "Too many rows wait to be explained; try again in a moment.")
            self._count += 1
        future = self._pool.submit(self._explained, model.model, read, question)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, future: Future[dict[str, Any]]) -> None:
        with self._lock:
            self._count -= 1

    def _explained(self, model: Model, read: Rows, question: Question) -> dict[str, Any]:
        if self._explainer.model is not model:  # it was replaced
            try:
                self._explainer = Explainer(model, self._background)
            except InputError:
                raise Refused(
                    503, "The background table does not fit the model that is served now."
                ) from None
        assert isinstance(read.features, Features)
        found, _ = self._explainer.explain(read.frame, question, features=read.features)
        back = self._explainer.background
        return {
            "explanations": [_sent(e) for e in found],
            "background_rows": len(back.drawn),
        }


def _sent(explanation: Explanation) -> Mapping[str, Any]:
    """Return what is sent of an explanation: no number of a row, and no background row."""
    record = explanation.record()
    return {k: v for k, v in record.items() if k not in ("row", "nearest")}


def explaining(model: Served, background: str) -> Explaining:
    """Return what explains a folder's model by the rows of a table.

    Raises:
        InputError: see `Explaining`, or the table cannot be read.
    """
    assert isinstance(model, FolderModel)
    schema = model.model.schema
    table = read_table(background, schema.reading.as_written(schema.target.names))
    return Explaining(model.model, table)
