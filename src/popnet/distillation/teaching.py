"""Students in training, as one population: all for a while, and the best of them for longer."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from popnet.distillation.lesson import Lesson
from popnet.errors import InputError
from popnet.population.feed import Arrays
from popnet.population.members import Member, Result
from popnet.population.train import Trainer
from popnet.runtime import keys
from popnet.runtime.memory import Memory
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Shape

FIRST_SHARE, FINALISTS = 0.35, 2
"""Of the time for training, what all students have together; and how many of the best are then trained for longer."""

MAX_STEPS, MIN_EPOCHS = 20_000, 2
"""Of a training: most steps, and fewest epochs."""

PLANNED_SHARE = 0.9
"""Of the time that is left, what trainings are planned to take: epochs do not take equally long."""

EPOCH_ROWS = 131_072
"""Rows of an epoch, at most, as in a fit: even a short training of very many rows is validated several times."""


class Teaching:
    """The training of students.

    Args:
        lesson: what they learn.
        deadline: moment of ``time.monotonic()`` at which training ends.
        seed: of the nets.
        workers: see `popnet.train_population`.
        stop: when set, training ends.
        memory: the memory limit.
        tell: called with the number of nets that have ended.

    Attributes:
        results: of all trainings so far.
    """

    def __init__(
        self, lesson: Lesson, deadline: float, seed: int, workers: int | None, stop: threading.Event,
        memory: Memory, tell: Callable[[int], None],
    ) -> None:  # fmt: skip
        rows = np.arange(len(lesson.train)), np.arange(len(lesson.valid))
        arrays = Arrays(lesson.train, lesson.valid, [rows], EPOCH_ROWS)
        self._trainer = Trainer(arrays, deadline, workers, stop, memory)
        self._trainer.specialised = True  # students have one activation and one normalization
        self._seed, self._tell = int(keys.key(seed, "student")), tell
        self.results: list[Result] = []

    def best(self, recipes: Sequence[Recipe]) -> Result:
        """Train students, and return the one that is nearest to the ensemble on the validation rows.

        A first epoch of each says how long epochs take; then all are trained for a share of the time, and the best
        for the rest, all with whole schedules of the learning rate.

        Raises:
            InputError: there was no time for an epoch, or training was interrupted before one had ended.
        """
        timed = {
            i: r.seconds
            for i, r in self._train({i: (r, 1) for i, r in enumerate(recipes)})
            if r.epochs
        }
        first = dict.fromkeys(timed, np.inf)
        if len(timed) > FINALISTS:
            for i, result in self._round(recipes, timed, FIRST_SHARE):
                first[i] = result.score
        best = sorted(timed, key=lambda i: (first[i], i))[:FINALISTS]
        self._round(recipes, {i: timed[i] for i in best}, 1.0)
        usable = [r for r in self.results if r.usable]
        if not usable:
            why = "Interrupted" if self._trainer.interrupted else "The time limit was reached"
            raise InputError(f"{why} before a student had learned for an epoch; give more time.")
        return min(usable, key=lambda r: r.score)

    def _round(
        self, recipes: Sequence[Recipe], seconds: Mapping[int, float], share: float
    ) -> list[tuple[int, Result]]:
        """Train some students for a share of the time that is left, all for equally many epochs.

        Args:
            recipes: of all students.
            seconds: that an epoch takes, by the student's place; only these are trained.
            share: of the time.
        """
        if not seconds:
            return []
        # The workers are as busy as the longest of them.
        rounds = max(sum(seconds.values()) / self._trainer.workers, max(seconds.values()))
        possible = PLANNED_SHARE * share * self._trainer.remaining() / rounds
        return self._train({i: (recipes[i], self._epochs(recipes[i], possible)) for i in seconds})

    def _epochs(self, recipe: Recipe, possible: float) -> int:
        """Return the epochs of a training, given how many there is time for."""
        steps = self._trainer.arrays.steps(0, Shape.of(recipe, self._trainer.arrays.train))
        return max(MIN_EPOCHS, math.floor(min(possible, MAX_STEPS / steps)))

    def _train(self, students: Mapping[int, tuple[Recipe, int]]) -> list[tuple[int, Result]]:
        """Train students for so many epochs; returns their places and results, and keeps the results."""
        members = [
            (i, Member(recipe.replace(epochs=epochs, patience=epochs), self._seed))
            for i, (recipe, epochs) in students.items()
        ]
        found: list[tuple[int, Result]] = []
        with contextlib.closing(self._trainer.run(members)) as training:
            for i, result in training:
                found.append((i, result))
                self.results.append(result)
                self._tell(len(self.results))
        return found
