"""From facts to what each section of the page shows; a file for each subject of the page."""

from __future__ import annotations

from dataclasses import dataclass

from popnet.report.fit_page import (
    augmentation,
    board,
    calibration,
    cautions,
    curves,
    effects,
    ensemble,
    gallery,
    headline,
    importance,
    nets,
    parallel,
    population,
    recipes,
    slices,
    steps,
    table,
    test_scores,
    thresholds,
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
    cautions: list[cautions.Caution]
    steps: list[steps.Step]
    test: test_scores.MetricTable
    confusion: test_scores.ConfusionTable | None
    scatter: list[test_scores.ScatterPanel]
    matters: importance.ImportanceSection | None
    depend: effects.EffectsSection | None
    cut: thresholds.ThresholdSection | None
    sure: calibration.CalibrationSection | None
    worse: slices.SlicesSection | None
    to_look_at: gallery.GallerySection | None
    together: ensemble.EnsembleSection | None
    strip: nets.Strip
    board: board.Board
    parallel: parallel.ParallelPlot | None
    curves: curves.CurvesSection | None
    population: population.PopulationPicture | None
    best: recipes.RecipesSection
    kept: augmentation.AugmentationSection | None
    table: table.TableSection
    made: timing.Timing


def sections(facts: FitFacts, model: str = "") -> Sections:
    """Return what each section shows; ``model`` is the model folder's name, "" if it is not known."""
    scores = Scores(facts)
    return Sections(
        images=of_images(facts),
        item="image" if of_images(facts) else "row",
        metric=scores.words,
        better="higher" if scores.greater else "lower",
        head=headline.show(facts, scores),
        cautions=cautions.show(facts, scores),
        steps=steps.show(facts, model),
        test=test_scores.metrics(facts, scores),
        confusion=test_scores.confusion(facts),
        scatter=test_scores.scatter(facts),
        matters=importance.show(facts.columns),
        depend=effects.show(facts.effects),
        cut=thresholds.show(facts),
        sure=calibration.show(facts),
        worse=slices.show(facts),
        to_look_at=gallery.show(facts),
        together=ensemble.show(facts, scores),
        strip=nets.show(facts, scores),
        board=board.show(facts, scores),
        parallel=parallel.show(facts, scores),
        curves=curves.show(facts, scores),
        population=population.show(facts, scores),
        best=recipes.show(facts, scores),
        kept=augmentation.show(facts),
        table=table.show(facts),
        made=timing.show(facts),
    )
