"""The metrics of the test part, the mistakes, and the predictions against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from popnet.model.facts import Score
from popnet.report import format
from popnet.report.charts import axes
from popnet.report.charts.axes import Axis
from popnet.report.fit_page.facts import FitFacts
from popnet.report.fit_page.headline import BASELINE_TITLES
from popnet.report.fit_page.ranking import best_baselines
from popnet.report.fit_page.scores import Scores
from popnet.report.format import decimals, is_number
from popnet.report.vocabulary import metric_words

CONFUSED_SHOWN = 3
TARGETS_SHOWN = 6


@dataclass(frozen=True)
class MetricCell:
    """A model's metric; ``best``: of its row."""

    text: str
    best: bool


@dataclass(frozen=True)
class MetricRow:
    """A metric of all models; ``better``: "higher" or "lower", None where neither is."""

    title: str
    meaning: str
    better: str | None
    cells: list[MetricCell]


@dataclass(frozen=True)
class MetricTable:
    """All metrics, the ensemble beside the baselines."""

    heads: list[str]
    rows: list[MetricRow]


@dataclass(frozen=True)
class ConfusionCell:
    """Rows of a true class with one predicted class, and their share of that class; ``right``: it is the same."""

    n: int
    share: float
    right: bool


@dataclass(frozen=True)
class ConfusionRow:
    """A true class: its counts by predicted class, its rows, and the share that is found."""

    name: str
    cells: list[ConfusionCell]
    total: int
    found: str


@dataclass(frozen=True)
class ConfusionTable:
    """The confusion matrix; ``precise``: the share of each prediction that is right; ``mistakes``: the worst ones."""

    classes: list[str]
    rows: list[ConfusionRow]
    precise: list[str]
    mistakes: list[tuple[int, str, str]]
    wide: bool


@dataclass(frozen=True)
class ScatterPanel:
    """True against predicted numbers of a target; ``outside``: far outliers that have no place."""

    name: str
    x: Axis
    y: Axis
    dots: list[tuple[float, float]]
    outside: int
    shown: int


def metrics(facts: FitFacts, scores: Scores) -> MetricTable:
    """Return all metrics of the test part, the ensemble beside the baselines."""
    names = list(facts.metrics)
    baselines = best_baselines(facts, scores)
    for baseline in baselines:
        names += [n for n in baseline.metrics if n not in names]
    names.sort(key=lambda n: n != scores.name)
    rows: list[MetricRow] = []
    for name in names:
        about = metric_words(name)
        greater = scores.greater if name == scores.name else about.greater
        values = [facts.metrics.get(name), *(b.metrics.get(name) for b in baselines)]
        finite = [v for v in values if is_number(v)]
        best = None
        if finite and greater is not None and len(set(finite)) > 1:
            best = max(finite) if greater else min(finite)
        places = _places(finite, scores.decimals if name == scores.name else 0)
        best_text = None if best is None else format.score(best, places)
        texts = [format.score(v, places) for v in values]
        rows.append(
            MetricRow(
                title=about.title,
                meaning=about.meaning,
                better=None if greater is None else "higher" if greater else "lower",
                # What reads the same as the best is as good as it.
                cells=[MetricCell(t, t == best_text) for t in texts],
            )
        )
    heads = [BASELINE_TITLES.get(b.name, b.name) for b in baselines]
    return MetricTable(["Ensemble", *heads], rows)


def _places(values: Sequence[float], fewest: int) -> int:
    """Return decimals that the ensemble's value (the first) needs, and some more if they tell values apart."""
    places = max(fewest, decimals(next(iter(values), None)))
    enough = min(places + 2, 8)
    while places < enough and len({format.score(v, places) for v in values}) < len(set(values)):
        places += 1
    return places


def confusion(facts: FitFacts) -> ConfusionTable | None:
    """Return the confusion matrix as a heat map: shares of each true class, and the worst mistakes."""
    matrix = facts.confusion
    if not matrix:
        return None
    classes = [str(c) for c in facts.target.classes]
    rows: list[ConfusionRow] = []
    for i, counts in enumerate(matrix):
        total = sum(counts)
        cells = [
            ConfusionCell(n, round(n / total, 3) if total else 0.0, i == j)
            for j, n in enumerate(counts)
        ]
        found = format.percent(counts[i] / total) if total else format.MISSING
        rows.append(ConfusionRow(classes[i], cells, total, found))
    columns = [sum(c) for c in zip(*matrix, strict=True)]
    precise = [
        format.percent(matrix[j][j] / t) if t else format.MISSING for j, t in enumerate(columns)
    ]
    mistakes = [
        (n, classes[i], classes[j])
        for i, counts in enumerate(matrix)
        for j, n in enumerate(counts)
        if i != j and n
    ]
    mistakes.sort(key=lambda m: -m[0])
    return ConfusionTable(
        classes=classes,
        rows=rows,
        precise=precise,
        mistakes=mistakes[:CONFUSED_SHOWN] if len(matrix) > 2 else [],
        wide=len(matrix) > 8,
    )


def scatter(facts: FitFacts) -> list[ScatterPanel]:
    """Return true-against-predicted pictures, one a target; a few far outliers lie outside them.

    Where the sample holds the first target's values only, there is one picture.
    """
    sample = facts.predictions
    if not sample or not sample.true:
        return []
    true, predicted = _rows(sample.true), _rows(sample.predicted)
    known = min(len(row) for row in [*true, *predicted])
    panels: list[ScatterPanel] = []
    for t, name in enumerate(facts.target.names[: min(known, TARGETS_SHOWN)]):
        pairs = [
            (a, b)
            for a, b in ((x[t], y[t]) for x, y in zip(true, predicted, strict=True))
            if is_number(a) and is_number(b)
        ]
        if not pairs:
            continue
        low, high = axes.robust_limits([v for pair in pairs for v in pair], quartile_distances=6)
        inside = [(a, b) for a, b in pairs if low <= a <= high and low <= b <= high]
        x = axes.axis([low, high], about=4)
        y = axes.axis([low, high], about=4, upward=True)
        panels.append(
            ScatterPanel(
                name=name,
                x=x,
                y=y,
                dots=[(x.at(a), y.at(b)) for a, b in inside],
                outside=len(pairs) - len(inside),
                shown=len(pairs),
            )
        )
    return panels


def _rows(values: list[Score] | list[list[Score]]) -> list[list[Score]]:
    """Return one list of numbers a row, also of one number a row."""
    return [v if isinstance(v, list) else [v] for v in values]
