"""What experiments train and evaluate nets with: data, seeds, workers and the time that is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar, cast

import numpy as np

from popnet.ablation.losses import losses_of
from popnet.course.material import Material
from popnet.nn import net
from popnet.population.feed import Arrays
from popnet.population.members import Member, Result, TrainingSegment
from popnet.population.predict import Net, predict
from popnet.population.train import Trainer
from popnet.predictions.ensemble import softmax
from popnet.runtime import keys
from popnet.runtime.memory import Memory
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Form
from popnet.types import Array

REPEATS = 10
"""Repetitions of an experiment, each with training rows and a seed of its own."""

MIN_REPEATS = 4
"""With fewer repetitions an interval is too wide to decide anything."""

ENDED = ("finished", "stopped", "paused", "diverged")

T = TypeVar("T")


class OutOfTimeError(Exception):
    """There is no time left, or the user has stopped the run; too few nets were trained for a verdict."""


@dataclass
class Bench:
    """What the experiment of every claim is given.

    Attributes:
        table: rows that most claims are tested on.
        images: images that augmentation is tested on.
        seed: of every random choice.
        effort: factor of all numbers of training steps; below 1 for quick tests.
        deadline: moment of ``time.monotonic()`` at which the claim at hand ends; None for never.
        workers: threads.
        stop: when set, training ends as at the deadline.
        memory: the limit at which training ends.
        on_progress: called with how many nets of the current population have ended, and how many there are.
    """

    table: Material
    images: Material
    seed: int = 0
    effort: float = 1.0
    deadline: float | None = None
    workers: int | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    memory: Memory | None = None
    on_progress: Callable[[int, int], None] = lambda done, total: None
    _kept: dict[Hashable, object] = field(default_factory=dict[Hashable, object])

    # --- what nets are made of ----------------------------------------------------------------------

    def net_seed(self, *names: str | int) -> int:
        """Return the seed of a net, the same for twins."""
        return int(keys.key(self.seed, "claims", "net", *names))

    def epochs(self, steps: int, rows: int, batch_size: int = 32) -> int:
        """Return how many epochs of so many rows take about so many steps."""
        return max(2, round(steps * self.effort / -(-rows // batch_size)))

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what was made under a key, or make it now: claims that share a population train it once."""
        if key not in self._kept:
            self._kept[key] = make()
        return cast(T, self._kept[key])

    @property
    def classification(self) -> bool:
        """Whether the table's target has classes."""
        return self.table.data.task == "classification"

    @property
    def min_gain(self) -> float:
        """The smallest gain that matters: half a point of error, or a hundredth of the variance."""
        return 0.005 if self.classification else 0.01

    @property
    def unit(self) -> str:
        """The unit of errors."""
        return "error" if self.classification else "the target's variance"

    @property
    def error_axis(self) -> str:
        """The label of an axis of test errors."""
        return f"test error, %{'' if self.classification else f' of {self.unit}'}"

    def twins(self, recipes: Sequence[Recipe], name: str, factor: float = 1) -> list[list[Member]]:
        """Return the nets of each repetition: twins of its seed, on its fold of the table.

        Args:
            recipes: of the twins.
            name: of the experiment, for the seeds.
            factor: of the standard number of training rows.
        """
        return [
            twins_of_seed(recipes, self.net_seed(name, k), self.table.fold(k, factor))
            for k in range(self.table.repeats)
        ]

    # --- training -----------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise `OutOfTimeError` if the time is over."""
        if self.stop.is_set() or (self.deadline is not None and time.monotonic() >= self.deadline):
            raise OutOfTimeError

    def train(
        self,
        groups: Sequence[Sequence[Member]],
        material: Material | None = None,
        *,
        last: bool = True,
        probed: bool = False,
        arrays: Arrays | None = None,
    ) -> list[list[Result]]:
        """Train the nets of each repetition, one repetition after the other, so that a deadline leaves whole ones.

        Args:
            groups: the nets of each repetition; as many in each.
            material: what they are trained on; the table by default.
            last: whether to return the weights of the last epoch, instead of those of the best validation score.
            probed: whether to look into the nets, see `popnet.population.train.Trainer`.
            arrays: of another target, see `Material.arrays_with`.

        Returns:
            The nets of each repetition that was completed, in order.

        Raises:
            OutOfTimeError: fewer than `MIN_REPEATS` repetitions were completed.
        """
        self.check()
        material = material or self.table
        segments = [_segment(m, last) for group in groups for m in group]
        each, total = len(groups[0]), len(segments)
        trainer = Trainer(
            arrays or material.arrays, self.deadline, self.workers, self.stop, self.memory, probed
        )
        results: dict[int, Result] = {}
        for i, result in trainer.run(enumerate(segments)):
            results[i] = _last(result) if last else result
            self.on_progress(len(results), total)
        whole: list[list[Result]] = []
        for k in range(len(groups)):
            group = [results.get(i) for i in range(k * each, (k + 1) * each)]
            nets = [r for r in group if r is not None and r.status in ENDED]
            # Later ones are left out, so that all populations of a claim have the same repetitions.
            if len(nets) < each:
                break
            whole.append(nets)
        if len(whole) < min(MIN_REPEATS, len(groups)):
            raise OutOfTimeError
        return whole

    # --- evaluation ------------------------------------------------------------------------------------

    def outputs(
        self, results: Sequence[Result], material: Material | None = None, rows: Array | None = None
    ) -> np.ndarray:
        """Return the outputs of nets on rows (by default the test rows), ``(M, N, O)``; 0 of a net that diverged.

        Nets of one shape are evaluated together, whatever their order.
        """
        self.check()
        material = material or self.table
        rows = material.test if rows is None else np.asarray(rows)
        out = np.zeros((len(results), len(rows), material.data.n_outputs), np.float32)
        shapes = dict.fromkeys(r.shape for r in results)
        for shape in shapes:
            places = [
                i for i, r in enumerate(results) if r.shape == shape and r.status != "diverged"
            ]
            nets = [Net.of(r) for r in (results[i] for i in places)]
            if nets:
                out[places] = predict(nets, material.data.features, rows, self.workers)
        return np.nan_to_num(out, nan=0.0, posinf=1e6, neginf=-1e6)

    def errors(
        self, results: Sequence[Result], material: Material | None = None, rows: Array | None = None
    ) -> np.ndarray:
        """Return each net's error on each row, ``(M, N)``: 1 for a wrong class, or the squared error."""
        material = material or self.table
        rows = material.test if rows is None else rows
        return errors(self.outputs(results, material, rows), material, rows)

    def losses(
        self, results: Sequence[Result], material: Material | None = None, rows: Array | None = None
    ) -> np.ndarray:
        """Return each net's loss on each row, ``(M, N)``: the log-loss of classes, or the squared error."""
        material = material or self.table
        rows = material.test if rows is None else rows
        return losses(self.outputs(results, material, rows), material, rows)


def errors(outputs: Array, material: Material, rows: Array) -> np.ndarray:
    """Return the error of outputs ``(..., N, O)`` on rows ``(N,)``: 1 for a wrong class, or the squared error."""
    target = np.asarray(material.data.target)[rows]
    return losses_of(outputs, target, material.data.task, "error")


def losses(outputs: Array, material: Material, rows: Array) -> np.ndarray:
    """Return the loss of outputs (logits) ``(..., N, O)`` on rows ``(N,)``: log-loss, or the squared error."""
    target = np.asarray(material.data.target)[rows]
    if material.data.task == "classification":
        outputs = softmax(outputs)
    return losses_of(outputs, target, material.data.task, "log_loss")


def training_curve(result: Result, epochs: int, guess: float) -> np.ndarray:
    """Return a net's training loss after each epoch, ``(epochs,)``; 1 where it had diverged.

    Args:
        result: of the net.
        epochs: of its training.
        guess: loss of the best constant prediction, the unit of the losses.
    """
    found = np.ones(epochs)
    curve = np.asarray(result.curves["loss"], float)[:epochs] / guess
    found[: len(curve)] = curve
    if result.status == "diverged":
        found[len(curve) - 1 :] = 1.0
    return np.where(np.isfinite(found), found, 1.0)


def _segment(member: Member, last: bool) -> TrainingSegment:
    """Return a member's whole training; to keep the last weights, one that pauses before its end keeps the best."""
    if not last:
        return TrainingSegment(member)
    epochs = member.recipe.epochs
    return TrainingSegment(
        replace(member, recipe=member.recipe.replace(epochs=epochs + 1)), until=epochs
    )


def _last(result: Result) -> Result:
    """Return a paused net with the weights that it paused with in place of its best ones."""
    if result.pause is None:
        return result
    state, form = result.pause.state.state, Form.of(result.shape)
    parameters, running = net.unpad(state.average, state.running, result.shape, form)
    return replace(result, parameters=parameters, running=running, pause=None)


def twins_of_seeds(
    bench: Bench, recipes: Sequence[Recipe], name: str, fold: int, seeds: int
) -> list[Member]:
    """Return twins of each of several seeds, one seed after the other, on one fold."""
    return [
        m for s in range(seeds) for m in twins_of_seed(recipes, bench.net_seed(name, fold, s), fold)
    ]  # fmt: skip


def twins_of_seed(recipes: Sequence[Recipe], seed: int, fold: int) -> list[Member]:
    """Return twins: members of one seed and fold."""
    return [Member(r, seed, fold) for r in recipes]
