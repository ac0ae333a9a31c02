"""What a model folder says of its fit: how good the model was, beside simple models, and how it was made.

A number that does not exist is None or NaN; in JSON both are null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

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


ImportanceVerdict = Literal["matters", "harms", "no effect", "not decided"]


@dataclass(frozen=True)
class GroupImportance:
    """How much worse a model predicts without what a column says, or several columns that say the same.

    Attributes:
        columns: their names.
        increase: of the loss, in the metric's unit, when rows have these columns' values of other rows.
        low, high: ends of its 95 % interval; None where there are too few rows for one.
        share: the increase as a share of the model's loss; None if that is 0.
        p: p-value of no increase, corrected for the number of groups (Holm 1979).
        verdict: ``matters``: the loss increases, surely; ``harms``: it decreases; ``no effect``: any change is smaller
            than what matters; ``not decided``: none of these can be said.
    """

    columns: list[str]
    increase: Score
    low: Score
    high: Score
    share: Score
    p: Score
    verdict: ImportanceVerdict


@dataclass(frozen=True)
class ColumnImportance:
    """Which columns matter to a model.

    Attributes:
        metric: whose loss is measured: itself where smaller is better, else 1 minus it.
        loss: of the model on these rows.
        rows: that it was measured on.
        available: rows that there were; above ``rows`` if time was short.
        on: what they are: "test rows", "out-of-fold rows" or "rows given".
        repeats: times that each group was exchanged among the rows.
        detect: the smallest increase that matters.
        groups: of columns, the greatest increase first.
        retrained: whether nets were trained anew without the columns, in place of permuting them.
    """

    metric: str
    loss: Score
    rows: int
    available: int
    on: str
    repeats: int
    detect: Score
    groups: list[GroupImportance]
    retrained: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class ModelFacts:
    """How good a model is, how it was made, and which columns matter to it (None where that was not measured)."""

    scores: EnsembleScores
    fit: FitRecord
    importance: ColumnImportance | None = None


_SCORES, _FIT = TypeAdapter(EnsembleScores), TypeAdapter(FitRecord)
_IMPORTANCE = TypeAdapter(ColumnImportance)


def to_json(facts: ModelFacts | None) -> dict[str, Any]:
    """Return facts as a model folder holds them: all in one object, empty where there are none."""
    if facts is None:
        return {}
    more = {} if facts.importance is None else {"importance": asdict(facts.importance)}
    return {**asdict(facts.scores), **asdict(facts.fit), **more}


def from_json(content: Mapping[str, Any]) -> ModelFacts | None:
    """Return what `to_json` gave, also of an earlier version; None where there are none.

    Raises:
        pydantic.ValidationError: something that every version has written is missing or is of another type.
    """
    if not content:
        return None
    known = content.get("importance")
    return ModelFacts(
        _SCORES.validate_python(content), _FIT.validate_python(content),
        None if known is None else _IMPORTANCE.validate_python(known),
    )  # fmt: skip
