"""Train populations on a Ray cluster (Moritz et al. 2018): the same members, trained by processes on many machines.

Data goes into Ray's object store once. The driver sends segments of members to actors, a few at a time, and gets
results as they come. The segments that an actor was training when it died are trained again by another one, from where
their members had paused.
"""

from __future__ import annotations

import logging
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from threading import Event
from typing import Any, NamedTuple

import numpy as np

from popnet.data.dataset import Dataset
from popnet.errors import InputError
from popnet.population.feed import Arrays
from popnet.population.members import Item, Member, Result, TrainingSegment, as_segments
from popnet.population.train import GRACE_SECONDS, Trainer
from popnet.runtime.cpu import cores
from popnet.runtime.memory import Memory

TASK_SECONDS, MAX_SEGMENTS = 2.0, 64
"""Aim for tasks of this length, so that messages do not count; so many segments in one at most."""

ANSWER_SECONDS = 5.0
"""An address that does not answer within these is given up."""

MAX_DEATHS = 20
"""Actors that may die before a run is given up: then something is wrong with the members themselves, as memory."""


class ClusterTrainer(Trainer):
    """A `Trainer` whose workers are Ray actors: one a core, or one a GPU where the cluster has any.

    Args:
        arrays: the data.
        deadline, stop: as of `Trainer`. What is in training when ``stop`` is set is lost.
        workers: actors; None for all that the cluster has room for.
        memory: of this process; actors keep the default limit of their machines.
        address: of a cluster that is there, ``HOST:PORT`` or ``auto``; None starts one on this machine.

    Raises:
        InputError: Ray is not installed, or the address does not answer.
    """

    def __init__(
        self, arrays: Arrays, deadline: float | None = None, workers: int | None = None,
        stop: Event | None = None, memory: Memory | None = None, address: str | None = None,
    ) -> None:  # fmt: skip
        # First: Ray starts processes, which is not safe once JAX has begun its threads.
        self._ray, self._ours = _connect(address, workers)
        super().__init__(arrays, deadline, 1, stop, memory)
        resources = self._ray.cluster_resources()
        gpus, cpus = (int(resources.get(kind, 0)) for kind in ("GPU", "CPU"))
        self._count = max(1, min(workers or 10**9, gpus or cpus))
        self._options = {"num_gpus": 1} if gpus else {"num_cpus": 1}
        same = arrays.valid is arrays.train
        data = (arrays.train, None if same else arrays.valid, list(arrays.folds), arrays.epoch_rows)
        self._data = self._ray.put(data)
        self._actors: list[Any] = []
        self._deaths = 0

    @property
    def workers(self) -> int:
        """Return how many members are trained at once."""
        return self._count

    def run(
        self, members: Iterable[tuple[int, Member | TrainingSegment]]
    ) -> Iterator[tuple[int, Result]]:
        """Train members, or segments of them, as `Trainer.run` does."""
        waiting = as_segments(members)
        again: deque[Item] = deque()
        busy: dict[Any, tuple[int, list[Item]]] = {}
        while len(self._actors) < self._count:
            self._actors.append(self._actor())
        idle = list(range(self._count))
        try:
            while True:
                while idle and not self.over():
                    items = self._next(again, waiting)
                    if not items:
                        break
                    k = idle.pop()
                    task = self._actors[k].train.remote(self._task(items))
                    busy[task] = k, items
                if not busy:
                    return
                ended: list[Any] = []
                try:
                    ended, _ = self._ray.wait(list(busy), timeout=0.2)
                except KeyboardInterrupt:
                    if self._user_stop.is_set():
                        raise
                    self.stop()
                if self._user_stop.is_set() or self.remaining() < -2 * GRACE_SECONDS:
                    return
                for task in ended:
                    k, items = busy.pop(task)
                    idle.append(k)
                    yield from self._results(task, k, items, again)
        finally:
            self.interrupted |= self._user_stop.is_set()
            for k, _ in busy.values():
                self._ray.kill(self._actors[k])
            if busy:
                self._actors = []

    def close(self) -> None:
        """Let go of the actors, and end Ray if it was started here."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors = []
        if self._ours:
            self._ray.shutdown()

    # --- the driver ----------------------------------------------------------------------------------

    def _actor(self) -> Any:
        return self._ray.remote(**self._options)(Worker).remote(self._data)

    def _next(self, again: deque[Item], waiting: Iterator[Item]) -> list[Item]:
        """Return the segments of the next task: about `TASK_SECONDS` of them, lost ones first."""
        items: list[Item] = []
        expected = 0.0
        while len(items) < MAX_SEGMENTS and expected < TASK_SECONDS:
            item = again.popleft() if again else next(waiting, None)
            if item is None:
                break
            expected += self._expected(item[1])
            if items and expected > TASK_SECONDS:
                again.appendleft(item)  # the others' results would wait for it
                break
            items.append(item)
        return items

    def _expected(self, segment: TrainingSegment) -> float:
        """Return the seconds that a segment takes at most; infinite if none like it was trained."""
        known = self.epoch_seconds(segment.member.recipe, segment.member.fold)
        done = 0 if segment.start is None else len(segment.start.curves)
        epochs = (segment.until or segment.member.recipe.epochs) - done
        return np.inf if known is None else known * epochs

    def _results(
        self, task: Any, k: int, items: list[Item], again: deque[Item]
    ) -> Iterator[tuple[int, Result]]:
        """Yield a task's results; if its actor has died, its segments are to be trained again."""
        try:
            results, compiling = self._ray.get(task)
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.WorkerCrashedError):
            self._deaths += 1
            if self._deaths > MAX_DEATHS:
                raise
            again.extend(items)
            self._actors[k] = self._actor()
            return
        self.compile_seconds += compiling
        for i, result in results:
            if result.epochs:
                key = self._key(result.member.recipe, result.member.fold)
                self._epoch_seconds[key] = result.seconds / result.epochs
            yield i, result

    def _task(self, items: list[Item]) -> ActorTask:
        left = None if self.deadline is None else self.remaining()
        return ActorTask(items, left, self.specialised)


class ActorTask(NamedTuple):
    """What an actor is asked for, with all that it needs to know.

    Attributes:
        segments: what to train.
        seconds: the time limit; None for none.
        specialised: as of the driver's `Trainer`.
    """

    segments: list[Item]
    seconds: float | None
    specialised: bool


Data = tuple[Dataset, Dataset | None, Sequence[tuple[np.ndarray, np.ndarray]], int | None]


class Worker:
    """The class of the actors: a trainer with one worker.

    Args:
        data: training rows, validation rows (None for the same), folds, and the most rows of an epoch.
    """

    def __init__(self, data: Data) -> None:
        train, valid, folds, epoch_rows = data
        self._trainer = Trainer(Arrays(train, valid or train, folds, epoch_rows), workers=1)

    def train(self, task: ActorTask) -> tuple[list[tuple[int, Result]], float]:
        """Train a task's segments; returns their results and the seconds that compiling took."""
        late = None if task.seconds is None else time.monotonic() + task.seconds
        self._trainer.deadline, self._trainer.specialised = late, task.specialised
        before = self._trainer.compile_seconds
        results = list(self._trainer.run(task.segments))
        return results, self._trainer.compile_seconds - before


def _connect(address: str | None, workers: int | None) -> tuple[Any, bool]:
    """Return Ray, connected, and whether it was started here."""
    try:
        import ray  # pyright: ignore[reportMissingImports] - an extra
    except ImportError:
        raise InputError(
            "--engine ray needs Ray; install it with: pip install 'popnet[ray]'."
        ) from None
    if ray.is_initialized():
        return ray, False
    if address is None:
        ray.init(
            num_cpus=workers or cores(), include_dashboard=False, log_to_driver=False,
            logging_level=logging.ERROR,
        )  # fmt: skip
        return ray, True
    if address != "auto":
        _answers(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray has many
        why = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"The Ray cluster at {address} cannot be used: {why}.") from None
    return ray, True


def _answers(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise InputError(f"A Ray cluster's address is HOST:PORT, or auto; got {address!r}.")
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
    except OSError as error:
        raise InputError(
            f"No Ray cluster answers at {address} ({error.strerror or error}); start one there with: "
            "ray start --head"
        ) from None
