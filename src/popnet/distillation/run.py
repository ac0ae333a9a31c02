"""One small net that learns what an ensemble predicts; what `popnet distil` and `popnet.distil` call.

Distillation (Bucila, Caruana and Niculescu-Mizil 2006; Hinton et al. 2015, arXiv:1503.02531; for ensembles of tables,
Fakoor et al. 2020, arXiv:2006.14284).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from popnet.distillation import lesson as lessons
from popnet.distillation import material as materials
from popnet.distillation import students
from popnet.distillation.comparison import compare
from popnet.distillation.material import Scored
from popnet.distillation.record import Cost, Distilled
from popnet.distillation.students import Limits
from popnet.distillation.teaching import WITH_MADE_UP, Teaching
from popnet.errors import InputError, check_number, check_whole
from popnet.model import saving
from popnet.model.facts import FitRecord, ModelFacts, Seconds
from popnet.model.model import Model
from popnet.model.summary import members
from popnet.population.predict import Net
from popnet.predictions import conformal, metrics
from popnet.report.format import name_of
from popnet.runtime.clock import Clock, finishing_seconds
from popnet.runtime.memory import Memory
from popnet.runtime.progress import Progress

PREDICTING_SHARE = 0.2
"""Of the time limit, at most, that the ensemble may take to predict what students learn."""


def distil(
    model: Model | str | Path,
    data: Any,
    *,
    width: int | None = None,
    latency: float | None = None,
    size: float | None = None,
    test: Any = None,
    time_limit: float = 60.0,
    seed: int = 0,
    workers: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
    began: float | None = None,
) -> Distilled:
    """Teach one small net what an ensemble predicts, and say what of the score is lost.

    The net learns the ensemble's probabilities, or numbers, for the rows of the data and for rows that are made up near
    them. Several structures are trained as one population, and the one that comes nearest to the ensemble on other rows
    is kept.

    Args:
        model: the ensemble, or its folder.
        data: its training table, or other rows with the target, as `popnet.fitting.run.fit` takes them.
        width: units of a hidden layer; None for 64, or under the other limits for what is within them.
        latency: seconds that the prediction of one row may take on this machine, by `popnet.Model.predict_frame`.
        size: bytes of the model folder.
        test: rows to be scored on; None for the test part of the ensemble's fit, if the data is that of the fit, else
            for a part of the data.
        time_limit: seconds from the start, all included.
        seed: of every random choice.
        workers: threads; None for one a core.
        on_progress: called now and then with a `Progress`.
        stop: when set, training ends and the best student so far is taken.
        began: moment of ``time.monotonic()`` from which the time limit counts; default now.

    Raises:
        InputError: the model takes images or predicts a quantile, a table cannot be used, no student is within the
            limits, or the time is too short; one sentence says why and what to do.
    """
    _check(width, latency, size, time_limit, seed, workers)
    clock = Clock(time.monotonic() if began is None else began, float(time_limit))
    tell, memory = on_progress or _tell_nobody, Memory()
    ensemble = model if isinstance(model, Model) else Model.load(model)
    _refuse(ensemble)
    tell(Progress("reading", left=clock.left()))
    material = materials.gather(ensemble, data, test, seed, memory)
    scored = material.scored
    tell(Progress("predicting by the ensemble", left=clock.left()))
    lesson = lessons.prepare(ensemble, material, seed, PREDICTING_SHARE * time_limit)
    limits = Limits(width, latency, size)
    tell(Progress("measuring students", left=clock.left()))
    recipes = students.within(ensemble, lesson.train, limits, material.row, len(scored.target))
    kept = finishing_seconds(time_limit, len(scored.target))
    deadline = clock.training_deadline(kept)
    assert deadline is not None
    stop = stop or threading.Event()
    teaching = Teaching(
        lesson, deadline, seed, workers, stop, memory,
        lambda done: tell(Progress("training", done, left=clock.left())),
    )  # fmt: skip
    best = teaching.best(recipes)
    tell(Progress("finishing", len(teaching.results), left=clock.left()))
    student = students.as_model(ensemble, Net.of(best))
    comparison = compare(student, ensemble, scored, seed, deadline + 0.7 * kept)
    fit = FitRecord(len(teaching.results), Seconds(clock.elapsed()), seed, name_of(data))
    student = replace(
        student,
        facts=ModelFacts(comparison.scores(ensemble.encoder.target.task), fit),
        conformal=_intervals(student, scored),
    )
    notes: list[str] = []
    if scored.seen:
        notes.append(
            "the data is not known to be that of the ensemble's fit: if it was trained on these rows, its score is "
            "optimistic and less is lost than it seems; give rows that it has not seen with --test"
        )
    return Distilled(
        model=student,
        ensemble=members(ensemble),
        comparison=comparison,
        student_cost=_cost(student, material.row),
        ensemble_cost=_cost(ensemble, material.row),
        students=len(teaching.results),
        taught_rows=len(lesson.train) - lesson.made_up,
        made_up_rows=lesson.made_up if best.member.fold == WITH_MADE_UP else 0,
        seconds=clock.elapsed(),
        interrupted=stop.is_set(),
        notes=tuple(notes),
    )


def _tell_nobody(progress: Progress) -> None:
    """Take note of how far it is, and do nothing about it."""


def _check(
    width: int | None, latency: float | None, size: float | None, time_limit: float, seed: int,
    workers: int | None,
) -> None:  # fmt: skip
    """Refuse impossible options."""
    for name, value in (("width", width), ("workers", workers)):
        if value is not None:
            check_whole(name, value, 1)
    check_whole("seed", seed)
    for name, number in (("latency", latency), ("size", size), ("time_limit", time_limit)):
        if number is not None:
            check_number(name, number)
            if not number > 0:
                raise InputError(f"{name} must be above 0; got {number:g}.")


def _refuse(ensemble: Model) -> None:
    """Refuse what cannot be distilled."""
    if ensemble.encoder.image is not None:
        raise InputError("Only models of tables can be distilled; this one takes images.")
    metric = metrics.named(ensemble.metric)
    if metric is not None and metric.level is not None:
        raise InputError(
            f"The model was chosen for {ensemble.metric}: its quantiles follow from its nets' held-out "
            "errors and not from one net; fit one with another --metric to distil it."
        )


def _intervals(student: Model, scored: Scored) -> conformal.Conformal | None:
    """Return what a student's intervals are made from: its errors on the rows that it was scored on.

    None for classes, and where the ensemble may have been trained on these rows: errors would be too small.
    """
    if student.is_classifier or scored.seen:
        return None
    centre = student.scores(scored.features)
    return conformal.calibrate(scored.target, centre, np.zeros_like(centre), [0], scored.weights)


def _cost(model: Model, row: Any) -> Cost:
    return Cost(saving.size(model), students.row_seconds(model, row))
