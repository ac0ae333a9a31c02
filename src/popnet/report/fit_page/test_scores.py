"""The metrics of the test part, the mistakes, and the predictions against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from popnet.report import format
from popnet.report.charts import axes
from popnet.report.fit_page.facts import Facts
from popnet.report.fit_page.headline import BASELINE_TITLES
from popnet.report.fit_page.ranking import best_baselines
from popnet.report.fit_page.scores import Scores
from popnet.report.format import decimals, is_number
from popnet.report.vocabulary import metric_words

CONFUSED_SHOWN = 3
TARGETS_SHOWN = 6


def metrics(facts: Facts, scores: Scores) -> dict[str, Any]:
    """Return all metrics of the test part, the ensemble beside the baselines."""
    names = list(facts["metrics"])
    baselines = best_baselines(facts, scores)
    for baseline in baselines:
        names += [n for n in baseline["metrics"] if n not in names]
    names.sort(key=lambda n: n != scores.name)
    rows = []
    for name in names:
        about = metric_words(name)
        greater = scores.greater if name == scores.name else about.greater
        values = [facts["metrics"].get(name), *(b["metrics"].get(name) for b in baselines)]
        finite = [v for v in values if is_number(v)]
        best = None
        if finite and greater is not None and len(set(finite)) > 1:
            best = max(finite) if greater else min(finite)
        places = _places(finite, scores.decimals if name == scores.name else 0)
        texts = [format.score(v, places) for v in values]
        rows.append(
            {
                "title": about.title,
                "meaning": about.meaning,
                "better": None if greater is None else "higher" if greater else "lower",
                # What reads the same as the best is as good as it.
                "cells": [
                    {"text": t, "best": best is not None and t == format.score(best, places)}
                    for t in texts
                ],
            }
        )
    heads = [BASELINE_TITLES.get(b["name"], b["name"]) for b in baselines]
    return {"heads": ["Ensemble", *heads], "rows": rows}


def _places(values: Sequence[float], least: int) -> int:
    """Return decimals that the ensemble's value (the first) needs, and some more if they tell values apart."""
    places = max(least, decimals(next(iter(values), None)))
    enough = min(places + 2, 8)
    while places < enough and len({format.score(v, places) for v in values}) < len(set(values)):
        places += 1
    return places


def confusion(facts: Facts) -> dict[str, Any] | None:
    """Return the confusion matrix as a heat table: shares of each true class, and the worst mistakes."""
    matrix = facts.get("confusion")
    if not matrix:
        return None
    classes = [str(c) for c in facts["target"]["classes"]]
    rows = []
    for i, counts in enumerate(matrix):
        total = sum(counts)
        cells = [
            {"n": n, "share": round(n / total, 3) if total else 0.0, "right": i == j}
            for j, n in enumerate(counts)
        ]
        found = format.percent(counts[i] / total) if total else format.MISSING
        rows.append({"name": classes[i], "cells": cells, "total": total, "found": found})
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
    return {
        "classes": classes,
        "rows": rows,
        "precise": precise,
        "mistakes": mistakes[:CONFUSED_SHOWN] if len(matrix) > 2 else [],
        "wide": len(matrix) > 8,
    }


def scatter(facts: Facts) -> list[dict[str, Any]]:
    """Return true-against-predicted pictures, one a target; a few far outliers lie outside them.

    Where the sample holds the first target's values only, there is one picture.
    """
    sample = facts.get("predictions")
    if not sample or not sample["true"]:
        return []
    true, predicted = _rows(sample["true"]), _rows(sample["predicted"])
    known = min(len(row) for row in [*true, *predicted])
    panels = []
    for t, name in enumerate(facts["target"]["names"][: min(known, TARGETS_SHOWN)]):
        pairs = [
            (a[t], b[t])
            for a, b in zip(true, predicted, strict=True)
            if is_number(a[t]) and is_number(b[t])
        ]
        if not pairs:
            continue
        low, high = axes.robust_limits([v for pair in pairs for v in pair], reach=6)
        inside = [(a, b) for a, b in pairs if low <= a <= high and low <= b <= high]
        x = axes.axis([low, high], about=4)
        y = axes.axis([low, high], about=4, upward=True)
        panels.append(
            {
                "name": name,
                "x": x,
                "y": y,
                "dots": [(x.at(a), y.at(b)) for a, b in inside],
                "outside": len(pairs) - len(inside),
                "shown": len(pairs),
            }
        )
    return panels


def _rows(values: Sequence[Any]) -> list[Sequence[Any]]:
    """Return one list of numbers a row, also of one number a row."""
    return [v if isinstance(v, (list, tuple)) else [v] for v in values]
