"""How far a run is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingState:
    """What is known of a population while it is trained, for people who watch it closely.

    Attributes:
        statuses: number of nets that ended, by how (``stopped`` is early stopping).
        recipes: that were trained on all folds.
        memory: bytes that the process takes.
        memory_limit: bytes that it may take.
        ensemble_score: returns the metric of the ensemble that would be chosen now, on some held-out rows; None if no
            recipe was trained on all folds. It takes up to some tenths of a second, so it is for who shows it to call.
    """

    statuses: Mapping[str, int]
    recipes: int
    memory: float
    memory_limit: float
    ensemble_score: Callable[[], float | None]


@dataclass(frozen=True)
class Progress:
    """How far a run is, for people to watch.

    Attributes:
        stage: ``reading``, ``reading images``, ``reading rows``, ``combining columns``, ``augmentation``,
            ``planning``, ``compiling``, ``training``, ``training again``, ``finishing``, ``study``, ``doctor``,
            ``claims``, ``explaining``.
        done: members that ended.
        total: members to train, or None if the time limit says how many.
        left: seconds left, or None if unknown.
        best: best validation score of a recipe so far, in the metric, or None.
        metric: the metric's name.
        note: something to say once.
        state: of the population, while it is trained.
    """

    stage: str
    done: int = 0
    total: int | None = None
    left: float | None = None
    best: float | None = None
    metric: str = ""
    note: str = ""
    state: TrainingState | None = None


def clock(seconds: float) -> str:
    """Return a duration as ``42 s``, ``3:07`` or ``1:02:03``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, s = divmod(whole, 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"
