"""What is found about an answer, as records."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Contribution:
    """What a column adds to an answer.

    Attributes:
        column: its name.
        value: of the row; None if it is missing or not known here.
        shapley: its Shapley value, in the answer's unit.
        standard_error: of the sampling.
    """

    column: str
    value: Any
    shapley: float
    standard_error: float


@dataclass(frozen=True)
class ChangedColumn:
    """A column's value before a change and after it."""

    column: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Change:
    """The smallest change that was found to make another answer.

    Attributes:
        columns: one or two.
        prediction: after the change.
        answer: the explained number after the change.
        distance: between the row and the changed row (`popnet.explanation.distances`).
    """

    columns: tuple[ChangedColumn, ...]
    prediction: Any
    answer: float
    distance: float


@dataclass(frozen=True)
class Disagreement:
    """How far the members' answers lie apart.

    Attributes:
        spread: their weighted standard deviation, in the answer's unit.
        share_below: share of background rows on which members agree more.
    """

    spread: float
    share_below: float

    @property
    def unusual(self) -> bool:
        """Whether members disagree more than on 99 % of the background rows."""
        return self.share_below >= UNUSUAL


@dataclass(frozen=True)
class Novelty:
    """How far a row lies from the background rows.

    Attributes:
        distance: to the nearest of them (`popnet.explanation.distances`).
        share_below: share of background rows that are nearer to their nearest other one.
    """

    distance: float
    share_below: float

    @property
    def unusual(self) -> bool:
        """Whether it is further than 99 % of the background rows are."""
        return self.share_below >= UNUSUAL


@dataclass(frozen=True)
class Neighbour:
    """A background row near the explained one.

    Attributes:
        row: its number in the background table, from 0.
        distance: see `popnet.explanation.distances`.
        target: its true answer by target; empty if the table has no target.
        values: of the columns.
    """

    row: int
    distance: float
    target: dict[str, Any]
    values: dict[str, Any]


@dataclass(frozen=True)
class Explanation:
    """Why a row has its answer.

    Attributes:
        row: its number in the table, from 0.
        prediction: what the model predicts: a label or a number.
        explained: the class whose probability is explained, or the target whose value is.
        answer: that probability or value.
        interval: of 90 %, around a value; None for classes and models without intervals.
        base: the mean answer over the background rows.
        contributions: of all columns, the largest first; they sum to ``answer - base``.
        disagreement: of the members; None of an ensemble of one.
        novelty: how far the row lies from the background.
        change: the smallest that makes another answer; None if none was found.
        nearest: background rows, the nearest first.
    """

    row: int
    prediction: Any
    explained: Any
    answer: float
    interval: tuple[float, float] | None
    base: float
    contributions: tuple[Contribution, ...]
    disagreement: Disagreement | None
    novelty: Novelty
    change: Change | None
    nearest: tuple[Neighbour, ...]

    def record(self) -> dict[str, Any]:
        """Return it as plain JSON; dates and times are text."""
        found = asdict(self)
        found["nearest"] = [{k: v for k, v in n.items() if k != "values"} for n in found["nearest"]]
        return plain(found)


UNUSUAL = 0.99
"""Share of background rows above which a spread or a distance is worth a warning. A convention."""


def plain(value: Any) -> Any:
    """Return a value as JSON has it: what JSON lacks becomes text."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}  # pyright: ignore
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]  # pyright: ignore
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
