"""How this run's metric is compared, written and drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from popnet.report import format
from popnet.report.charts import axes
from popnet.report.charts.axes import Axis
from popnet.report.fit_page.facts import FitFacts
from popnet.report.format import decimals, is_number
from popnet.report.vocabulary import MetricWords, metric_words

Item = TypeVar("Item")


class Scores:
    """How this run's metric is compared and written."""

    def __init__(self, facts: FitFacts) -> None:
        self.name = facts.metric.name
        self.greater = facts.metric.greater_is_better
        self.words: MetricWords = metric_words(self.name)
        low, high = facts.interval or (None, None)
        half = (high - low) / 2 if is_number(low) and is_number(high) else None
        score = facts.score
        if not is_number(score):
            known = [m.score for m in facts.members if is_number(m.score)]
            known += [v for b in facts.baselines if is_number(v := b.metrics.get(self.name))]
            score = known[0] if known else None
        self.decimals = decimals(score, half)
        self.title = self.words.title

    def text(self, value: object) -> str:
        """Return a score's text."""
        return format.score(value, self.decimals)

    def difference(self, value: object, *others: object) -> str:
        """Return a difference of two scores with its sign, in at least two digits; ``others`` stand beside it."""
        finite = [abs(v) for v in (value, *others) if is_number(v) and v]
        places = self.decimals
        if finite:
            places = max(places, min(decimals(max(finite)) - 1, places + 3))
        return format.signed(value, places)

    def gain(self, value: object, over: object) -> float | None:
        """Return how much better ``value`` is; negative if worse, 0 if it is but rounding."""
        if not (is_number(value) and is_number(over)):
            return None
        gain = value - over if self.greater else over - value
        return gain if abs(gain) > 1e-12 * max(abs(value), abs(over)) else 0.0

    def best_first(self, items: Iterable[Item], score_of: Callable[[Item], object]) -> list[Item]:
        """Return items sorted by their score, best first; those without one last, and equal ones as they come."""

        def key(item: Item) -> tuple[bool, float]:
            score = score_of(item)
            if not is_number(score):
                return True, 0.0
            return False, -score if self.greater else score

        return sorted(items, key=key)


class Dot(NamedTuple):
    """A row of a dot picture: places in per cent, None if there is no number; ``range`` tells the interval."""

    label: str
    text: str
    at: float | None
    low: float | None = None
    high: float | None = None
    strong: bool = False
    range: str = ""


class DotChart(NamedTuple):
    """Scores below each other on one axis."""

    axis: Axis
    rows: list[Dot]


def dot_chart(
    rows: Sequence[tuple[str, object, bool]], interval: Sequence[object] | None, scores: Scores
) -> DotChart:
    """Return the picture of (label, score, strong) rows; the interval belongs to the strong row."""
    low, high = interval or (None, None)
    values = [v for v in [*(r[1] for r in rows), low, high] if is_number(v)]
    axis = axes.axis(values, about=5, within=scores.words.within)
    both = is_number(low) and is_number(high)
    dots = [
        Dot(
            label,
            scores.text(value),
            axis.at(value) if is_number(value) else None,
            axis.at(low) if strong and both and is_number(low) else None,
            axis.at(high) if strong and both and is_number(high) else None,
            strong,
            f" ({scores.text(low)} to {scores.text(high)})" if strong and both else "",
        )
        for label, value, strong in rows
    ]
    return DotChart(axis, dots)
