"""Boosted trees one after the other, setting by setting and fold by fold, as many as there is time for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from popnet.data.dataset import Dataset
from popnet.trees import settings
from popnet.trees.boosting import Boosting, import_library
from popnet.trees.forest import Forest
from popnet.types import Array

UNLIMITED_SECONDS = 120.0
"""About what trees may take where a fit has no time limit."""

TIMED_ROUNDS, SAFE = 8, 0.8
"""Rounds by which it is found out what one takes, and the share of the time that is planned by that."""


@dataclass(frozen=True)
class Part:
    """Rows of a fold: numbers of those to train on, and of those that rounds are counted by."""

    train: Array
    valid: Array


@dataclass(frozen=True)
class TreesJob:
    """What is to be fitted.

    Attributes:
        data: the rows.
        parts: of the folds.
        seed: of every random choice.
        library: of `popnet.trees.boosting.LIBRARIES`.
        deadline: moment of ``time.monotonic()``; infinite for no time limit, where the result depends on nothing else.
    """

    data: Dataset
    parts: Sequence[Part]
    seed: int
    library: str
    deadline: float


def fitted(job: TreesJob) -> Iterator[tuple[int, int, Forest]]:
    """Yield the number of the setting, the fold and the trees of each fit.

    Raises:
        StoppedError: the time is over in the middle of one.
    """
    boosting = Boosting(job.data, settings.SETTINGS[0], job.seed, library=job.library)
    folds = len(job.parts)
    if not np.isfinite(job.deadline):
        rows = max(len(part.train) for part in job.parts)
        plan = settings.plan(UNLIMITED_SECONDS, settings.round_seconds(job.data, rows), folds)
        for k, setting in enumerate(plan.settings):
            yield from _of_folds(replace(boosting, setting=setting), job, k, plan.folds)
        return
    import_library(job.library)
    each = _timed(boosting, job)
    plan = settings.plan(SAFE * (job.deadline - time.monotonic()), each, folds)
    rate = plan.settings[0].learning_rate
    for k, setting in enumerate(settings.SETTINGS):
        began = time.monotonic()
        faster = replace(boosting, setting=replace(setting, learning_rate=rate))
        yield from _of_folds(faster, job, k, plan.folds)
        now = time.monotonic()
        if job.deadline - now < now - began:
            return


def _timed(boosting: Boosting, job: TreesJob) -> float:
    """Return what a round of boosting takes now, while nets are compiled beside it."""
    part, seconds = job.parts[0], list[float]()
    for rounds in (1, 1, 1 + TIMED_ROUNDS):  # the first imports what is left
        few = replace(boosting.setting, max_iter=rounds)
        began = time.monotonic()
        replace(boosting, setting=few, deadline=job.deadline).fit(part.train, part.valid)
        seconds.append(time.monotonic() - began)
    return max(seconds[2] - seconds[1], 1e-5) / TIMED_ROUNDS


def _of_folds(
    boosting: Boosting, job: TreesJob, setting: int, folds: int
) -> Iterator[tuple[int, int, Forest]]:
    for fold in range(folds):
        now = time.monotonic()
        deadline = now + (job.deadline - now) / (folds - fold)
        part = job.parts[fold]
        forest = replace(boosting, deadline=deadline).fit(part.train, part.valid)
        if forest is not None:
            yield setting, fold, forest
