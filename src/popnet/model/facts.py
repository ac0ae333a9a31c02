"""What a model folder says of its fit: how good the model was, beside simple models, and how it was made.

A number that does not exist is None or NaN; in JSON both are null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter

Score = float | None
"""A number that may be missing."""


@dataclass(frozen=True)
class Seconds:
    """Where the time of a fit went; compiling is a part of training and is summed over threads."""

    total: Score
    reading: Score = None
    compiling: Score = None
    training: Score = None


@dataclass(frozen=True)
class TruePredicted:
    """Some rows of a regression: a number a row, or one list of numbers a row where there are several targets."""

    true: list[Score] | list[list[Score]]
    predicted: list[Score] | list[list[Score]]


@dataclass(frozen=True)
class EnsembleScores:
    """How good the ensemble is.

    Attributes:
        task: of the target.
        metric: name of the metric that the ensemble was chosen for.
        score: that metric.
        interval: its 95 % interval.
        metrics: every metric.
        scored_on: which rows these are of, as in "on 114 held-out test rows".
        scored_rows: their number.
        baselines: every metric of simple models on the same rows, by the models' names.
        baseline_gains: by how much the ensemble is better than each of these, and the ends of that difference's 95 %
            interval.
        confusion: rows of each true class (first index) by predicted class; None for a regression, or many classes.
        predictions: some true and predicted numbers; None for classes.
    """

    task: str
    metric: str
    score: Score
    interval: tuple[Score, Score]
    metrics: dict[str, Score]
    baselines: dict[str, dict[str, Score]]
    baseline_gains: dict[str, tuple[Score, Score, Score]] = field(
        default_factory=dict[str, tuple[Score, Score, Score]]
    )
    scored_rows: int = 0
    scored_on: str = ""
    confusion: list[list[int]] | None = None
    predictions: TruePredicted | None = None


@dataclass(frozen=True)
class FitRecord:
    """How a model was made.

    Attributes:
        members: nets that were trained.
        seconds: that it took.
        seed: of all random choices.
        source: what the data is called.
    """

    members: int
    seconds: Seconds
    seed: int
    source: str = ""


@dataclass(frozen=True)
class ModelFacts:
    """How good a model is, and how it was made."""

    scores: EnsembleScores
    fit: FitRecord


_SCORES, _FIT = TypeAdapter(EnsembleScores), TypeAdapter(FitRecord)


def to_json(facts: ModelFacts | None) -> dict[str, Any]:
    """Return facts as a model folder holds them: all in one object, empty where there are none."""
    return {} if facts is None else {**asdict(facts.scores), **asdict(facts.fit)}


def from_json(content: Mapping[str, Any]) -> ModelFacts | None:
    """Return what `to_json` gave, also of an earlier version; None where there are none.

    Raises:
        pydantic.ValidationError: something that every version has written is missing or is of another type.
    """
    if not content:
        return None
    return ModelFacts(_SCORES.validate_python(content), _FIT.validate_python(content))
