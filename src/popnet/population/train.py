"""Train populations: workers take members, bucket by bucket, and results come as members end.

The public entry is :func:`train_population`; `Trainer.run` is its streaming form, which `fit` feeds with members one
after another.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from popnet.data.dataset import Dataset
from popnet.errors import InputError, check_number, check_whole
from popnet.nn import net
from popnet.population import probes, program, stopping
from popnet.population.feed import Arrays
from popnet.population.lanes import Lane, Lanes, TrainingState, beginning
from popnet.population.members import (
    CURVES,
    FINISHED,
    INTERRUPTED,
    PAUSED,
    RUNNING,
    STATUSES,
    STOPPED,
    Item,
    Member,
    Pause,
    Result,
    TrainingSegment,
    as_segments,
)
from popnet.runtime import keys
from popnet.runtime.memory import Memory
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Form, Shape

GRACE_SECONDS = 1.0
"""Seconds after a deadline for which results of what was in training are waited for."""

SLOWEST_FLOPS = 1e10
"""Floating-point operations per second that any machine reaches; only guards the very first epoch."""

REFUSALS = 16
"""A worker ends after so many members in a row whose next epoch would outlast the deadline: others would as well."""


@dataclass(frozen=True)
class Population:
    """A trained population.

    Attributes:
        results: one for each member, in the order recipes x seeds x folds.
        seconds: wall time, compilation included.
        compile_seconds: part of it that went into compiling programs, summed over workers.
    """

    results: list[Result]
    seconds: float
    compile_seconds: float

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    def __getitem__(self, i: int) -> Result:
        return self.results[i]


def train_population(
    train: Dataset,
    valid: Dataset | None = None,
    recipes: Sequence[Recipe] = (Recipe(),),
    seeds: Sequence[int] = (0,),
    folds: Sequence[tuple[np.ndarray, np.ndarray]] | None = None,
    *,
    time_limit: float | None = None,
    workers: int | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> Population:
    """Train every combination of recipe, seed and fold as one population.

    Members are grouped into buckets by their shape (depth, width, batch size, kind of net); each bucket is one compiled
    program. A member's weights depend on its recipe, seed, fold and the data alone: bit for bit the same on the CPU,
    alone or among others, whatever the number of workers.

    Args:
        train: training rows (with ``folds``: all rows).
        valid: validation rows for early stopping; give this or ``folds``.
        recipes: hyper-parameters.
        seeds: of initial weights, batches and masks.
        folds: pairs of row numbers into ``train``, ``(training, validation)``.
        time_limit: seconds, compilation included; members that are not through by then end as ``interrupted``.
        workers: threads on a CPU (default: one a core), or accelerators.
        on_result: called with each result as it comes, on the calling thread.

    Returns:
        The population; members that diverged or were interrupted are in it with that status.

    Raises:
        InputError: neither or both of ``valid`` and ``folds``, no recipe or no seed, rows outside the data, or a
            validation set of another kind.

    Example:
        >>> import numpy as np
        >>> from popnet import Dataset, Recipe, train_population
        >>> rng = np.random.default_rng(0)
        >>> X = rng.standard_normal((300, 4)).astype("float32")
        >>> data = Dataset.from_arrays(X, (X[:, 0] > 0).astype(int), "binary")
        >>> folds = [(np.arange(200), np.arange(200, 300)), (np.arange(100, 300), np.arange(100))]
        >>> recipes = [Recipe(depth=1, width=16, epochs=3, dropout=p) for p in (0.0, 0.5)]
        >>> population = train_population(data, recipes=recipes, folds=folds)
        >>> [r.status for r in population]
        ['finished', 'finished', 'finished', 'finished']
    """
    _check(recipes, seeds, time_limit, workers)
    arrays = arrange(train, valid, folds)
    members = [Member(r, s, f) for r in recipes for s in seeds for f in range(len(arrays.folds))]
    deadline = time.monotonic() + time_limit if time_limit is not None else None
    trainer = Trainer(arrays, deadline=deadline, workers=workers)
    results: dict[int, Result] = {}
    for i, result in trainer.run(enumerate(members)):
        results[i] = result
        if on_result is not None:
            on_result(result)
    done = [results.get(i) or trainer.untrained(m) for i, m in enumerate(members)]
    return Population(done, trainer.elapsed(), trainer.compile_seconds)


def _check(
    recipes: Sequence[Recipe], seeds: Sequence[int], time_limit: float | None, workers: int | None
) -> None:
    for name, values in (("recipes", recipes), ("seeds", seeds)):
        if isinstance(values, str) or not isinstance(values, Collection):
            raise InputError(f"{name} must be a list; got {values!r}.")
        if not len(values):
            raise InputError("A population needs at least one recipe and one seed.")
    for recipe in recipes:
        if not isinstance(recipe, Recipe):
            raise InputError(f"recipes must be of popnet.Recipe; got {recipe!r}.")
    for seed in seeds:
        check_whole("seeds", seed)
    if time_limit is not None:
        check_number("time_limit", time_limit)
    if workers is not None:
        check_whole("workers", workers, 1)


def arrange(
    train: Dataset, valid: Dataset | None, folds: Sequence[tuple[np.ndarray, np.ndarray]] | None
) -> Arrays:
    """Check data sets and folds and bring them into the form that programs take."""
    if (valid is None) == (folds is None):
        raise InputError("Give either a validation set or folds, for early stopping.")
    if folds is not None:
        if not isinstance(folds, Collection):
            raise InputError(f"folds must be a list of pairs of row numbers; got {folds!r}.")
        if not len(folds):
            raise InputError("folds is empty; give at least one pair of row numbers.")
        return Arrays(train, train, folds)
    assert valid is not None
    if Shape.of(Recipe(), valid) != Shape.of(Recipe(), train):
        raise InputError(
            "The validation set has other columns, levels or outputs than the training set."
        )
    return Arrays(train, valid, [(np.arange(len(train)), np.arange(len(valid)))])


@dataclass
class Job:
    """A member in training: its place in the caller's order, its lane, its best epoch and its curves so far."""

    index: int
    segment: TrainingSegment
    lane: Lane
    best: stopping.Best
    epoch: int
    status: int = RUNNING
    curves: list[np.ndarray] = field(default_factory=list[np.ndarray])
    seconds: float = 0.0
    probed: dict[int, probes.Probed] = field(default_factory=dict[int, probes.Probed])

    @property
    def member(self) -> Member:
        return self.segment.member

    def left(self) -> int:
        """Return the epochs until its segment ends."""
        return (self.segment.until or self.member.recipe.epochs) - self.epoch


class Trainer:
    """Trains members on workers; see `train_population` for what it promises.

    Args:
        arrays: the data.
        deadline: moment of ``time.monotonic()`` at which members are interrupted; None for never.
        workers: as in `train_population`.
        stop: when set, members are interrupted as at the deadline; one's own by default.
        memory: the limit at which members are interrupted; None for the default one.
        probed: whether to look into the members while they train, see `popnet.population.members.Probes`. They come
            to the same weights; on an accelerator they train one at a time then.

    Attributes:
        specialised: whether programs hold one normalization and activation each (see `Shape.specialised`), which is
            quicker where all members have the same.
        interrupted: whether `stop`, or Ctrl-C, ended a run.
        out_of_memory: whether the memory limit ended a run.
        compile_seconds: spent compiling, summed over workers.
    """

    def __init__(
        self,
        arrays: Arrays,
        deadline: float | None = None,
        workers: int | None = None,
        stop: threading.Event | None = None,
        memory: Memory | None = None,
        probed: bool = False,
    ) -> None:
        self.arrays, self.deadline, self.probed = arrays, deadline, probed
        self.memory = memory or Memory()
        self.specialised = False
        self.out_of_memory = False
        self.places = program.places(workers)
        self.compile_seconds = 0.0
        self._epoch_seconds: dict[tuple[Shape, int], float] = {}
        self._began = time.monotonic()
        self.interrupted = False
        self._user_stop = stop or threading.Event()
        self._lock = threading.Lock()
        self._compiling: dict[tuple[Form, int], threading.Lock] = {}
        self._made: dict[tuple[int, Form, int], Lanes] = {}

    @property
    def workers(self) -> int:
        """Return how many members are trained at once, for planning."""
        return len(self.places)

    def close(self) -> None:
        """Release what the trainer holds beside memory; here that is nothing."""

    def stop(self) -> None:
        """Interrupt all members at the end of their present call."""
        self._user_stop.set()

    def elapsed(self) -> float:
        """Return seconds since the trainer was made."""
        return time.monotonic() - self._began

    def remaining(self) -> float:
        """Return seconds until the deadline, infinite without one."""
        return np.inf if self.deadline is None else self.deadline - time.monotonic()

    def run(
        self, members: Iterable[tuple[int, Member | TrainingSegment]]
    ) -> Iterator[tuple[int, Result]]:
        """Train members, or segments of them, and yield each as it ends.

        Workers draw from the iterable when they become free, until it ends, the deadline passes, or `stop` is called;
        it may be endless. Ctrl-C while this waits is taken as a `stop`: members in training end as ``interrupted`` and
        are yielded; a second one is raised. Closing the generator stops the training.
        """
        closed = threading.Event()  # one a run: workers of an earlier run stay closed
        source = _Source(members)
        results: queue.Queue[tuple[int, Result] | BaseException | None] = queue.Queue()

        def work(worker: int) -> None:
            try:
                self._work(worker, source, results.put, closed)
                results.put(None)
            except BaseException as error:  # handed to the caller's thread
                results.put(error)

        # No daemons: a program that ends while one of them compiles waits for it, where Python would abort.
        threads = [
            threading.Thread(target=work, args=(k,), name="popnet worker")
            for k in range(len(self.places))
        ]
        for thread in threads:
            thread.start()
        alive = len(threads)
        try:
            while alive:
                try:
                    # Waking up now and then lets Ctrl-C through, and a compile outlast the deadline.
                    item = results.get(timeout=0.1)
                except queue.Empty:
                    if self.remaining() < -GRACE_SECONDS:
                        return
                    continue
                except KeyboardInterrupt:
                    if self._user_stop.is_set():
                        raise
                    self.stop()
                    continue
                if item is None:
                    alive -= 1
                elif isinstance(item, BaseException):
                    raise item
                else:
                    yield item
        finally:
            self.interrupted |= self._user_stop.is_set()
            closed.set()

    def over(self) -> bool:
        """Return whether no more is to be trained: the time or the memory is over, or it was stopped."""
        return self._user_stop.is_set() or self.out_of_memory or self.remaining() <= 0

    def untrained(self, member: Member) -> Result:
        """Return the result of a member that was never started."""
        shape = Shape.of(member.recipe, self.arrays.train)
        parameters, running = net.init(member.recipe, shape, member.seed)
        empty = {name: np.zeros(0, np.float32) for name in CURVES}
        return Result(member, shape, "interrupted", 0, 0, float("inf"), parameters, running, empty)

    def epoch_seconds(self, recipe: Recipe, fold: int) -> float | None:
        """Return what the last epoch of such a member took on its worker; None if none was trained."""
        return self._epoch_seconds.get(self._key(recipe, fold))

    def _key(self, recipe: Recipe, fold: int) -> tuple[Shape, int]:
        """Return what members have in common whose epochs take equally long: shape and steps."""
        shape = Shape.of(recipe, self.arrays.train)
        return shape, self.arrays.steps(fold, shape)

    # --- on a worker's thread -----------------------------------------------------------------------

    def _work(
        self, worker: int, source: _Source, emit: Callable[[Any], None], closed: threading.Event
    ) -> None:
        refused, place = 0, self.places[worker]
        while refused < REFUSALS and not self._over(closed):
            first = source.take()
            if first is None:
                return
            member = first[1].member
            shape = Shape.of(member.recipe, self.arrays.train)
            steps = self.arrays.steps(member.fold, shape)
            compiled = self._program_shape(shape, member.recipe)

            def fits(item: Item, compiled: Shape = compiled, steps: int = steps) -> bool:
                member = item[1].member
                own = Shape.of(member.recipe, self.arrays.train)
                same_program = self._program_shape(own, member.recipe) == compiled
                return same_program and self.arrays.steps(member.fold, compiled) == steps

            lanes = 1
            waiting = [first]
            if place.lanes > 1 and not self.probed:
                waiting += source.take_fitting(fits, place.lanes - 1)
                rows = len(self.arrays.train)
                lanes = program.fitting_lanes(place, Form.of(compiled), rows, len(waiting))
            key = shape, steps
            begun = self._bucket(worker, compiled, key, lanes, waiting, emit, closed)
            refused = 0 if begun else refused + 1

    def _bucket(
        self, worker: int, compiled: Shape, key: tuple[Shape, int], count: int, waiting: list[Item],
        emit: Callable[[Any], None], closed: threading.Event,
    ) -> bool:  # fmt: skip
        """Train some members of one bucket, ``count`` at a time; a lane whose member ends takes the next.

        Returns whether any was begun: none is if an epoch would outlast the deadline.
        """
        jobs: list[Job | None] = [None] * count
        expected = self._epoch_seconds.get(key) or _flops(*key) * count / SLOWEST_FLOPS
        if expected > self.remaining():
            return False
        form = Form.of(compiled)
        lanes = self._lanes(worker, form, count)
        prober = program.Prober(form, lanes.device) if self.probed else None
        ready = False
        while waiting or any(jobs):
            for k in range(count):
                if jobs[k] is None and waiting:
                    jobs[k] = self._job(*waiting.pop(0), form, lanes, k)
            busy = [(k, j) for k, j in enumerate(jobs) if j is not None]
            if not ready:
                self._compile(lanes, busy[0][1].lane)
                ready = True
            if self._over(closed, self._epoch_seconds.get(key, 0.0)):
                for k, job in busy:
                    emit((job.index, _result(job, lanes, k, INTERRUPTED)))
                return True
            if prober is not None:
                self._probe(prober, lanes, busy[0][1])
            began = time.perf_counter()
            self._epoch(lanes, jobs)
            seconds = time.perf_counter() - began
            self._epoch_seconds[key] = seconds
            for k, job in busy:
                job.seconds += seconds / len(busy)
                if job.status != RUNNING:
                    if prober is not None:
                        self._probe(prober, lanes, job, last=True)
                    emit((job.index, _result(job, lanes, k, job.status)))
                    jobs[k] = None
                elif job.left() <= 0:
                    emit((job.index, _paused(job, lanes, k)))
                    jobs[k] = None
        return True

    def _epoch(self, lanes: Lanes, jobs: Sequence[Job | None]) -> None:
        """Train all lanes for an epoch and judge it. An empty lane repeats a busy one, and nothing comes of it."""
        template = next(j for j in jobs if j is not None)
        filled = [j or template for j in jobs]
        every = [j.lane for j in filled]
        trained = lanes.train_epoch(every, [j.epoch for j in filled])
        scores = lanes.validate(every)
        for k, (job, (loss, penalty, rate), (valid_loss, valid_error)) in enumerate(
            zip(jobs, trained, scores, strict=True)
        ):
            if job is None:
                continue
            job.epoch += 1
            recipe = job.member.recipe
            monitored = valid_error if recipe.monitor == "error" else valid_loss
            healthy = bool(np.isfinite(loss + penalty) and np.isfinite(valid_loss))
            job.best, job.status = stopping.update(
                job.best, monitored, healthy, job.epoch, lambda k=k: lanes.evaluated(k), recipe
            )
            row = [loss, penalty, valid_loss, valid_error, rate]
            job.curves.append(np.array([row], np.float32))

    def _probe(self, prober: program.Prober, lanes: Lanes, job: Job, last: bool = False) -> None:
        """Probe a member if a probe is due."""
        every = probes.interval(job.lane.shape, len(job.lane.rows))
        now = job.epoch
        due = now == 0 or now == probes.next_after(now - 1, every)
        if now not in job.probed and (last or due):
            rows = lanes.probe_rows(job.lane, now)
            lane = job.lane
            job.probed[now] = prober(lanes.on_device(0), lane.numbers, lane.sizes, rows)

    def _job(self, index: int, segment: TrainingSegment, form: Form, lanes: Lanes, k: int) -> Job:
        member, start = segment.member, segment.start
        shape = Shape.of(member.recipe, self.arrays.train)
        key = keys.key(member.seed, "training")
        lane = Lane(self.arrays, member, shape, form, key, lanes.device)
        if lanes.count == 1:  # many small arrays, which each call would bring there anew
            lane.numbers = jax.device_put(lane.numbers, lanes.device)
        if start is None:
            progress = beginning(member.recipe, shape, member.seed)
            lanes.put(k, progress.state)
            return Job(index, segment, lane, progress.best, 0)
        # A program overwrites its state, and a pause may be kept.
        progress = jax.tree.map(np.array, start.state)
        lanes.put(k, progress.state)
        job = Job(index, segment, lane, progress.best, int(progress.epoch), curves=[start.curves])
        job.seconds = start.seconds
        return job

    def _program_shape(self, shape: Shape, recipe: Recipe) -> Shape:
        """Return the shape that the program of a recipe with this one is compiled for."""
        return shape.specialised(recipe) if self.specialised else shape

    def _lanes(self, worker: int, form: Form, count: int) -> Lanes:
        """Return a worker's lanes of a form: kept, as a bucket's members come again and again."""
        key = worker, form, count
        with self._lock:
            if key not in self._made:
                self._made[key] = Lanes(self.arrays, form, self.places[worker].device, count)
            return self._made[key]

    def _compile(self, lanes: Lanes, lane: Lane) -> None:
        if lanes.program.ready:
            return
        with self._lock:
            lock = self._compiling.setdefault((lanes.form, lanes.count), threading.Lock())
        with lock:  # waiting for the first one's program is not compiling
            with self.memory.compiling():
                began = time.perf_counter()
                lanes.compile(lane)
            with self._lock:
                self.compile_seconds += time.perf_counter() - began

    def _over(self, closed: threading.Event, needed: float = 0.0) -> bool:
        if not self.memory.room_for(0):
            self.out_of_memory = True
        return (
            self._user_stop.is_set()
            or closed.is_set()
            or self.out_of_memory
            or self.remaining() <= needed
        )


class _Source:
    """Members that wait for a worker; an iterator that several threads draw from."""

    def __init__(self, members: Iterable[tuple[int, Member | TrainingSegment]]) -> None:
        self._iterator = as_segments(members)
        self._held: list[Item] = []
        self._lock = threading.Lock()

    def take(self) -> Item | None:
        with self._lock:
            return self._held.pop(0) if self._held else next(self._iterator, None)

    def take_fitting(self, fits: Callable[[Item], bool], most: int, look: int = 1024) -> list[Item]:
        """Take up to ``most`` members that fit, looking at no more than ``look`` of those that wait."""
        with self._lock:
            self._held += list(itertools.islice(self._iterator, max(0, look - len(self._held))))
            taken = [m for m in self._held if fits(m)][:most]
            chosen = {id(m) for m in taken}
            self._held = [m for m in self._held if id(m) not in chosen]
            return taken


def _flops(shape: Shape, steps: int) -> float:
    return 6.0 * net.multiply_adds(shape) * shape.batch_size * steps


def _paused(job: Job, lanes: Lanes, k: int) -> Result:
    result = _result(job, lanes, k, PAUSED)
    curves = np.stack([result.curves[name] for name in CURVES], 1)
    progress = TrainingState(lanes.state(k), job.best, np.int32(job.epoch))
    return replace(result, pause=Pause(progress, curves, job.seconds))


def _result(job: Job, lanes: Lanes, k: int, status: int) -> Result:
    best, epochs, shape, form = job.best, job.epoch, job.lane.shape, lanes.form
    parameters, running = net.unpad(best.weights, best.running, shape, form)
    last = None
    if status in (FINISHED, STOPPED) and best.epoch < epochs:
        last = net.unpad(*lanes.evaluated(k), shape, form)
    curves = np.concatenate(job.curves) if job.curves else np.zeros((0, len(CURVES)), np.float32)
    return Result(
        member=job.member,
        shape=shape,
        status=STATUSES[status],
        epochs=epochs,
        best_epoch=int(best.epoch),
        best_score=float(best.score),
        parameters=parameters,
        running=running,
        curves={name: curves[:, i] for i, name in enumerate(CURVES)},
        seconds=job.seconds,
        last=last,
        probes=probes.collect(list(job.probed), list(job.probed.values())) if job.probed else None,
    )
