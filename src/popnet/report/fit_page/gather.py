"""Gather a fit's facts: one record that the page, ``population.parquet`` and ``--json`` are made of."""

from __future__ import annotations

import datetime
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from popnet._version import __version__
from popnet.data.tables.schema import Schema
from popnet.model.baselines import LINEAR_ID
from popnet.model.effects import EffectsOfColumns
from popnet.model.facts import ModelFacts
from popnet.population.members import Result
from popnet.predictions.metrics import Metric
from popnet.report.fit_page.facts import (
    AugmentationFacts,
    BaselineFacts,
    ColumnFacts,
    CurveFacts,
    DataFacts,
    EnsembleFacts,
    Evidence,
    FitFacts,
    LinearFacts,
    MemberFacts,
    MetricFacts,
    RecipeFacts,
    TargetFacts,
    TreesFacts,
)
from popnet.report.format import name_of


@dataclass(frozen=True)
class Parts:
    """The parts that the data was split into.

    Attributes:
        train, test: their numbers of rows.
        split: how they were drawn, see `DataFacts`.
        folds: that the training rows were cut into.
        notes: lines about the data.
        class_counts: rows of each class; none of a regression.
        doubts: those notes that say what may flatter the score.
    """

    train: int
    test: int
    split: str
    folds: int
    notes: Sequence[str]
    class_counts: Sequence[int]
    doubts: Sequence[str] = ()


@dataclass(frozen=True)
class Population:
    """What was trained.

    Attributes:
        results: of the members, by number.
        recipe_ids: the number of each member's recipe.
        member_weight: shares of the ensemble, of the members that have one.
        member_scores: the metric on the rows that a member's fold holds out.
        scores: the metric over all folds, by the number of the recipe (that of the linear model is `LINEAR_ID`).
        trees: boosted trees beside the nets; None if there were none.
    """

    results: Sequence[Result]
    recipe_ids: Sequence[int]
    member_weight: Mapping[int, float]
    member_scores: Mapping[int, float]
    scores: Mapping[int, float]
    trees: TreesFacts | None = None


@dataclass(frozen=True)
class Circumstances:
    """How the fit was asked for, and what there is to be said about it; fields as in `FitFacts`."""

    command: str
    time_limit: float | None
    wanted_epochs: int
    warnings: Sequence[str]
    notes: Sequence[str]
    importance: Mapping[str, float]
    augmentation: AugmentationFacts | None
    effects: EffectsOfColumns | None = None


def gather(
    schema: Schema,
    metric: Metric,
    known: ModelFacts,
    parts: Parts,
    population: Population,
    ensemble: EnsembleFacts | None,
    circumstances: Circumstances,
    evidence: Evidence | None = None,
) -> FitFacts:
    """Return a fit's facts."""
    scores, fit = known.scores, known.fit
    members = _members(population)
    return FitFacts(
        title=f"{', '.join(schema.target.names)} from {name_of(fit.source)}",
        version=__version__,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=circumstances.command,
        seed=fit.seed,
        data=_data(schema, fit.source, parts),
        target=TargetFacts(
            names=list(schema.target.names),
            task=schema.target.task,
            classes=list(schema.target.classes),
            detected=schema.target.detected,
            class_counts=list(parts.class_counts),
        ),
        metric=MetricFacts(metric.name, metric.greater_is_better),
        score=scores.score,
        interval=scores.interval,
        metrics=scores.metrics,
        scored_on=scores.scored_on,
        baselines=[
            BaselineFacts(name, values, scores.baseline_gains.get(name))
            for name, values in scores.baselines.items()
        ],
        ensemble=ensemble,
        linear=_linear(population),
        trees=population.trees,
        members=members,
        recipes=_recipes(members, population.scores),
        seconds=fit.seconds,
        time_limit=circumstances.time_limit,
        wanted_epochs=circumstances.wanted_epochs,
        confusion=scores.confusion,
        predictions=scores.predictions,
        warnings=list(circumstances.warnings),
        notes=list(circumstances.notes),
        importance=dict(circumstances.importance),
        augmentation=circumstances.augmentation,
        columns=known.importance,
        effects=circumstances.effects,
        evidence=evidence,
    )


def _data(schema: Schema, source: str, parts: Parts) -> DataFacts:
    return DataFacts(
        source=source,
        rows=schema.rows,
        rows_without_target=schema.rows_without_target,
        train_rows=parts.train,
        test_rows=parts.test,
        split=parts.split,
        folds=parts.folds,
        columns=[
            ColumnFacts(c.name, c.kind, c.used, c.reason, c.missing, c.distinct)
            for c in schema.columns
        ],
        notes=list(parts.notes),
        guesses=list(schema.guesses),
        doubts=list(parts.doubts),
    )


def _members(population: Population) -> list[MemberFacts]:
    return [
        MemberFacts(
            id=i,
            recipe_id=recipe_id,
            recipe=r.member.recipe.model_dump(),
            seed=r.member.seed,
            fold=r.member.fold,
            status=r.status,
            epochs=r.epochs,
            best_epoch=r.best_epoch,
            score=population.member_scores.get(i),
            seconds=r.seconds,
            weight=float(population.member_weight.get(i, 0.0)),
            curves=CurveFacts(**{name: values.tolist() for name, values in r.curves.items()}),
            monitored=r.best_score if r.usable else None,
        )
        for i, (r, recipe_id) in enumerate(
            zip(population.results, population.recipe_ids, strict=True)
        )
    ]


def _recipes(members: Sequence[MemberFacts], scores: Mapping[int, float]) -> list[RecipeFacts]:
    recipes: list[RecipeFacts] = []
    for recipe_id in sorted({m.recipe_id for m in members}):
        own = [m for m in members if m.recipe_id == recipe_id]
        recipes.append(
            RecipeFacts(
                id=recipe_id,
                name="default" if recipe_id == 0 else "",
                recipe=own[0].recipe,
                folds=len(own),
                score=scores.get(recipe_id),
                weight=sum(m.weight for m in own),
            )
        )
    return recipes


def _linear(population: Population) -> LinearFacts | None:
    """Return the linear model's score as a candidate and its share: what neither nets nor trees hold."""
    of_trees = population.trees.weight if population.trees else 0.0
    share = float(1 - of_trees - sum(population.member_weight.values()))
    share = share if share > 1e-6 else 0.0  # less is rounding
    if LINEAR_ID not in population.scores and not share:
        return None
    return LinearFacts(population.scores.get(LINEAR_ID), share)


def population_parquet(facts: FitFacts) -> bytes:
    """Return ``population.parquet``: a row a member, with its recipe's fields as columns."""
    rows = [
        {
            "id": m.id, "recipe_id": m.recipe_id, "seed": m.seed, "fold": m.fold,
            "status": m.status, "epochs": m.epochs, "best_epoch": m.best_epoch,
            "score": m.score, "monitored": m.monitored, "seconds": m.seconds,
            "weight": m.weight, **{f"recipe.{k}": v for k, v in m.recipe.items()},
        }
        for m in facts.members
    ]  # fmt: skip
    buffer = io.BytesIO()
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(buffer)
    return buffer.getvalue()
