"""From facts to what each section of the page shows; a file for each subject of the page."""

from __future__ import annotations

from typing import Any

from popnet.report.fit_page import (
    augmentation,
    board,
    curves,
    ensemble,
    headline,
    nets,
    parallel,
    recipes,
    table,
    test_scores,
    timing,
)
from popnet.report.fit_page.facts import Facts
from popnet.report.fit_page.fields import of_images
from popnet.report.fit_page.scores import Scores


def sections(facts: Facts) -> dict[str, Any]:
    """Return everything that the template shows beside the facts themselves."""
    scores = Scores(facts)
    return {
        "images": of_images(facts),
        "item": "image" if of_images(facts) else "row",
        "metric": scores.words,
        "better": "higher" if scores.greater else "lower",
        "head": headline.show(facts, scores),
        "test": test_scores.metrics(facts, scores),
        "confusion": test_scores.confusion(facts),
        "scatter": test_scores.scatter(facts),
        "together": ensemble.show(facts, scores),
        "strip": nets.show(facts, scores),
        "board": board.show(facts, scores),
        "parallel": parallel.show(facts, scores),
        "curves": curves.show(facts, scores),
        "best": recipes.show(facts, scores),
        "kept": augmentation.show(facts),
        "table": table.show(facts),
        "made": timing.show(facts),
    }
