"""What is logged of a fit, made once from its facts; every tracker writes the same."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from popnet.options import Options
from popnet.report.fit_page.facts import FitFacts, MemberFacts

MAX_CURVES = 20
"""Members whose curves are logged, those of the greatest weight: trackers draw a chart for each."""

MAX_TEXT = 500
"""Characters of an option's value: MLflow's databases took no more before its version 2.9."""


@dataclass(frozen=True)
class Curve:
    """A number by epoch.

    Attributes:
        name: as in ``valid_loss/member 3``.
        values: one an epoch, from epoch 1; None where there is none.
    """

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class FitLog:
    """All that is logged of a fit.

    Attributes:
        name: of the run, the model folder's without its ending.
        options: what was chosen, and what the data is, as text.
        scores: numbers by name; those of simple models as ``linear/accuracy``.
        curves: losses of the ensemble's members.
        folder: of the model, with its report.
    """

    name: str
    options: Mapping[str, str]
    scores: Mapping[str, float]
    curves: tuple[Curve, ...]
    folder: Path


def fit_log(facts: FitFacts, options: Options, folder: Path, name: str | None = None) -> FitLog:
    """Return what is logged of a fit.

    Args:
        facts: of it.
        options: that it was given.
        folder: of its model.
        name: of the run where the folder does not last; default the folder's.
    """
    place = {} if name else {"model": str(folder.resolve())[:MAX_TEXT]}
    return FitLog(
        name or folder.resolve().name.removesuffix(".popnet"),
        {**_about(facts), **place, **_chosen(options)},
        _scores(facts),
        _curves(facts.members),
        folder,
    )


def _about(facts: FitFacts) -> dict[str, str]:
    """Return what the fit was of."""
    return {
        "popnet": facts.version,
        "data": facts.data.source[:MAX_TEXT],
        "target": ", ".join(facts.target.names)[:MAX_TEXT],
        "task": facts.target.task,
        "metric": facts.metric.name,
        "rows": str(facts.data.rows),
        "folds": str(facts.data.folds),
        "seed": str(facts.seed),
    }


def _chosen(options: Options) -> dict[str, str]:
    """Return the options that differ from the defaults, by name, as text."""
    known = {field.name: field.default for field in dataclasses.fields(Options)}
    return {
        name: _text(value)[:MAX_TEXT]
        for name, default in known.items()
        if (value := getattr(options, name)) != default
    }


def _text(value: Any) -> str:
    if hasattr(value, "model_dump_json"):  # a recipe, or how values are read
        return value.model_dump_json(exclude_unset=True)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return str(value)


def _scores(facts: FitFacts) -> dict[str, float]:
    """Return all numbers that are there: metrics on the rows that scores are of, simple models, the ensemble."""
    found: dict[str, float | None] = dict(facts.metrics)
    if facts.interval is not None:
        found |= dict(zip(("score/low", "score/high"), facts.interval, strict=True))
    for model in facts.baselines:
        found |= {f"{model.name}/{name}": value for name, value in model.metrics.items()}
    if facts.ensemble is not None:
        found["held out/ensemble"] = facts.ensemble.score
        found["held out/best recipe"] = facts.ensemble.best_member
    if facts.trees is not None:
        found["trees/weight"] = facts.trees.weight
    found |= {"members": len(facts.members), "seconds": facts.seconds.total}
    return {
        re.sub(r"[^\w\-. /]", "_", name): float(value)
        for name, value in found.items()
        if value is not None and math.isfinite(value)
    }


def _curves(members: list[MemberFacts]) -> tuple[Curve, ...]:
    """Return the losses of the members that have a weight, the greatest first."""
    heaviest = sorted((m for m in members if m.weight > 0), key=lambda m: -m.weight)[:MAX_CURVES]
    return tuple(
        Curve(f"{name}/member {m.id}", tuple(values))
        for m in heaviest
        for name, values in (("loss", m.curves.loss), ("valid_loss", m.curves.valid_loss))
        if values
    )
