"""Students in training, as one population: all for a while, and the best of them for longer."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

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

TABLE, WITH_MADE_UP = 0, 1
"""What a student learns from, as folds of the population: the rows of the table, or these and the made-up ones."""


class Student(NamedTuple):
    """A net to be, and what it learns from (`TABLE` or `WITH_MADE_UP`)."""

    recipe: Recipe
    fold: int


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
        rows, valid = len(lesson.train), np.arange(len(lesson.valid))
        folds = [(np.arange(rows - lesson.made_up), valid), (np.arange(rows), valid)]
        arrays = Arrays(
            lesson.train, lesson.valid, folds if lesson.made_up else folds[:1], EPOCH_ROWS
        )
        self._trainer = Trainer(arrays, deadline, workers, stop, memory)
        self._trainer.specialised = True  # students have one activation and one normalization
        self._seed, self._tell = int(keys.key(seed, "student")), tell
        self.results: list[Result] = []

    def best(self, recipes: Sequence[Recipe]) -> Result:
        """Train students, and return the one that is nearest to the ensemble on the validation rows.

        A first epoch of each recipe says how long its steps take; then all are trained for a share of the time, with
        the made-up rows and without, and the best of them for the rest, with whole schedules of the learning rate.

        Raises:
            InputError: there was no time for an epoch, or training was interrupted before one had ended.
        """
        folds = range(len(self._trainer.arrays.folds))
        pilots = self._train({Student(r, TABLE): 1 for r in recipes})
        seconds = {
            Student(student.recipe, fold): result.seconds / self._steps(student)
            for student, result in pilots
            if result.epochs
            for fold in folds
        }
        first = dict.fromkeys(seconds, np.inf)
        if len(first) > FINALISTS:
            first |= {s: result.score for s, result in self._round(seconds, FIRST_SHARE)}
        best = sorted(first, key=lambda s: first[s])[:FINALISTS]
        self._round({s: seconds[s] for s in best}, 1.0)
        usable = [r for r in self.results if r.usable]
        if not usable:
            why = "Interrupted" if self._trainer.interrupted else "The time limit was reached"
            raise InputError(f"{why} before a student had learned for an epoch; give more time.")
        return min(usable, key=lambda r: r.score)

    def _round(
        self, seconds: Mapping[Student, float], share: float
    ) -> list[tuple[Student, Result]]:
        """Train students for a share of the time that is left, all for equally many steps, given a step's seconds."""
        if not seconds:
            return []
        # The workers are as busy as the slowest of the students, or as all of them.
        each = max(sum(seconds.values()) / self._trainer.workers, max(seconds.values()))
        steps = min(PLANNED_SHARE * share * self._trainer.remaining() / each, MAX_STEPS)
        return self._train({
            s: max(MIN_EPOCHS, math.floor(steps / self._steps(s))) for s in seconds
        })  # fmt: skip

    def _steps(self, student: Student) -> int:
        """Return the steps of a student's epoch."""
        arrays = self._trainer.arrays
        return arrays.steps(student.fold, Shape.of(student.recipe, arrays.train))

    def _train(self, epochs: Mapping[Student, int]) -> list[tuple[Student, Result]]:
        """Train students for so many epochs each; returns their results, and keeps them."""
        students = list(epochs)
        members = [
            Member(s.recipe.replace(epochs=epochs[s], patience=epochs[s]), self._seed, s.fold)
            for s in students
        ]
        found: list[tuple[Student, Result]] = []
        for i, result in self._trainer.run(enumerate(members)):
            found.append((students[i], result))
            self.results.append(result)
            self._tell(len(self.results))
        return found
