"""Requests that come together are answered by one pass over the ensemble.

One thread predicts. While it does, requests gather, and the next pass takes them together; a single client never waits
for others. A pass takes some rows of each request in turn, so that a large request delays a small one by one pass.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from popnet.serve.served import Asked, Predictions, Served

MAX_PASS_ROWS, SHARE_ROWS = 4096, 1024
"""Rows of one pass, and those of one request in it while others wait."""

GATHERING = 0.002
"""Seconds that a pass waits for more requests where the one before had several: clients that are answered together send
their next requests together."""


class Busy(Exception):  # noqa: N818 - an answer
    """Too many rows wait already."""


@dataclass(eq=False)
class Job:
    """A request in the queue.

    Attributes:
        model: that its rows were encoded for.
        features: N rows.
        asked: what it wants.
        answer: gets the predictions.
        begun: whether a pass has taken rows of it.
        done: rows that are predicted.
        parts: their predictions.
    """

    model: Served
    features: Any
    asked: Asked
    answer: Future[Predictions] = field(default_factory=Future[Predictions])
    begun: bool = False
    done: int = 0
    parts: list[Predictions] = field(default_factory=list[Predictions])

    @property
    def left(self) -> int:
        """Rows that are still to be predicted."""
        return len(self.features) - self.done


class Batcher:
    """The queue and the thread that predicts.

    Args:
        max_waiting: rows that may wait.
        on_pass: is told the rows and the requests of each pass.
        gathering: see `GATHERING`.
    """

    def __init__(
        self,
        max_waiting: int,
        on_pass: Callable[[int, int], None] = lambda rows, requests: None,
        gathering: float = GATHERING,
    ) -> None:
        self._max_waiting, self._on_pass, self._gathering = max_waiting, on_pass, gathering
        self._queue: deque[Job] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="popnet predicts", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Rows that wait."""
        with self._changed:
            return self._rows()

    def submit(self, job: Job) -> None:
        """Put a request into the queue.

        Raises:
            Busy: too many rows wait, or the server ends.
        """
        with self._changed:
            if self._ended or (self._queue and self._rows() + job.left > self._max_waiting):
                raise Busy
            self._queue.append(job)
            self._changed.notify_all()

    def close(self) -> None:
        """End the thread after the pass that it is at; what waits is cancelled."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join()
        for job in self._queue:
            job.answer.cancel()

    def _rows(self) -> int:
        return sum(job.left for job in self._queue)

    def _run(self) -> None:
        several = False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._ended)
                if several and len(self._queue) == 1 and not self._ended:
                    self._changed.wait_for(
                        lambda: len(self._queue) > 1 or self._ended, self._gathering
                    )
                if self._ended:
                    return
                jobs = self._taken()
            several = len(jobs) > 1
            if jobs:
                predict(jobs, self._on_pass)
            with self._changed:
                # Those with rows left go behind all that came meanwhile.
                self._queue.extend(job for job, _ in jobs if job.left and not job.answer.done())

    def _taken(self) -> list[tuple[Job, int]]:
        """Take requests of one model and kind, the first come first, with how many of their rows are next."""
        jobs: list[tuple[Job, int]] = []
        later: deque[Job] = deque()
        room = MAX_PASS_ROWS
        while self._queue:
            job = self._queue.popleft()
            if job.answer.cancelled():
                continue
            if jobs and (room <= 0 or not together(jobs[0][0], job)):
                later.append(job)
                continue
            rows = min(job.left, SHARE_ROWS, room)
            jobs.append((job, rows))
            room -= rows
        if len(jobs) == 1:  # nobody else waits for this pass
            jobs = [(jobs[0][0], min(jobs[0][0].left, MAX_PASS_ROWS))]
        self._queue = later
        return jobs


def together(a: Job, b: Job) -> bool:
    """Whether one pass can answer both: probabilities come with classes anyway, intervals are made for one coverage."""
    return (
        a.model is b.model
        and a.asked.interval == b.asked.interval
        and a.asked.quantiles == b.asked.quantiles
    )


def predict(jobs: Sequence[tuple[Job, int]], on_pass: Callable[[int, int], None]) -> None:
    """Predict some rows of each request in one pass; where that fails, each by itself: none fails for another."""
    for job, _ in jobs:
        job.begun = True
    first = jobs[0][0]
    proba = any(job.asked.proba for job, _ in jobs)
    try:
        parts = [part(job, rows) for job, rows in jobs]
        features = parts[0] if len(parts) == 1 else first.model.join(parts)
        found = first.model.predict(features, first.asked._replace(proba=proba))
    except BaseException as error:
        if len(jobs) == 1:
            if first.answer.set_running_or_notify_cancel():
                first.answer.set_exception(error)
            return
        for job in jobs:
            predict([job], on_pass)
        return
    on_pass(found.height, len(jobs))
    start = 0
    for job, rows in jobs:
        own = found.slice(start, rows)
        if proba and not job.asked.proba:
            own = own.select(job.model.description.targets)
        start += rows
        job.done += rows
        job.parts.append(own)
        if not job.left and job.answer.set_running_or_notify_cancel():
            job.answer.set_result(Predictions.joined(job.parts) if len(job.parts) > 1 else own)


def part(job: Job, rows: int) -> Any:
    """Return the next rows of a request."""
    if job.done == 0 and rows == len(job.features):
        return job.features
    return job.model.take(job.features, job.done, job.done + rows)
