"""From facts to what each section of the page shows; a file for each subject of the page."""

from __future__ import annotations

from dataclasses import dataclass

from popnet.report.fit_page import (
    augmentation,
    board,
    curves,
    effects,
    ensemble,
    headline,
    importance,
    nets,
    parallel,
    recipes,
    table,
    test_scores,
    timing,
)
from popnet.report.fit_page.facts import FitFacts
from popnet.report.fit_page.fields import of_images
from popnet.report.fit_page.scores import Scores
from popnet.report.vocabulary import MetricWords


@dataclass(frozen=True)
class Sections:
    """Everything that the template shows beside the facts themselves, by the names that it knows them by."""

    images: bool
    item: str
    metric: MetricWords
    better: str
    head: headline.Headline
    test: test_scores.MetricTable
    confusion: test_scores.ConfusionTable | None
    scatter: list[test_scores.ScatterPanel]
    matters: importance.ImportanceSection | None
    depend: effects.EffectsSection | None
    together: ensemble.EnsembleSection | None
    strip: nets.Strip
    board: board.Board
    parallel: parallel.ParallelPlot | None
    curves: curves.CurvesSection | None
    best: recipes.RecipesSection
    kept: augmentation.AugmentationSection | None
    table: table.TableSection
    made: timing.Timing


def sections(facts: FitFacts) -> Sections:
    """Return what each section shows."""
    scores = Scores(facts)
    return Sections(
        images=of_images(facts),
        item="image" if of_images(facts) else "row",
        metric=scores.words,
        better="higher" if scores.greater else "lower",
        head=headline.show(facts, scores),
        test=test_scores.metrics(facts, scores),
        confusion=test_scores.confusion(facts),
        scatter=test_scores.scatter(facts),
        matters=importance.show(facts.columns),
        depend=effects.show(facts.effects),
        together=ensemble.show(facts, scores),
        strip=nets.show(facts, scores),
        board=board.show(facts, scores),
        parallel=parallel.show(facts, scores),
        curves=curves.show(facts, scores),
        best=recipes.show(facts, scores),
        kept=augmentation.show(facts),
        table=table.show(facts),
        made=timing.show(facts),
    )
