"""Gather a fit's facts: one plain record that the page, ``population.parquet`` and ``--json`` are made of."""

from __future__ import annotations

import datetime
import io
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from popnet._version import __version__
from popnet.model.baselines import LINEAR_ID
from popnet.model.model import Model
from popnet.population.members import Result
from popnet.predictions.metrics import named


def gather(
    model: Model,
    results: Sequence[Result],
    recipe_ids: Sequence[int],
    member_weight: Mapping[int, float],
    member_scores: Mapping[int, float],
    scores: Mapping[int, float],
    gain: Mapping[str, Any],
    scored: Mapping[str, Any],
    *,
    table: Mapping[str, Any],
    seconds: Mapping[str, float],
    warnings: Sequence[str],
    command: str,
    options: Any,
    wanted_epochs: int,
    augmentation: Mapping[str, Any] | None = None,
    importance: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Return the record that ``report/facts.py`` describes; everything in it is plain JSON."""
    schema = model.schema
    members = [
        {
            "id": i,
            "recipe_id": recipe_id,
            "recipe": r.member.recipe.model_dump(),
            "seed": r.member.seed,
            "fold": r.member.fold,
            "status": r.status,
            "epochs": r.epochs,
            "best_epoch": r.best_epoch,
            "score": member_scores.get(i),
            "monitored": r.best_score if r.usable else None,
            "seconds": r.seconds,
            "weight": float(member_weight.get(i, 0.0)),
            "curves": {name: [float(v) for v in values] for name, values in r.curves.items()},
        }
        for i, (r, recipe_id) in enumerate(zip(results, recipe_ids, strict=True))
    ]
    recipes = []
    for recipe_id in sorted(set(recipe_ids)):
        own = [m for m in members if m["recipe_id"] == recipe_id]
        recipes.append(
            {
                "id": recipe_id,
                "name": "default" if recipe_id == 0 else "",
                "recipe": own[0]["recipe"],
                "folds": len(own),
                "score": scores.get(recipe_id),
                "weight": sum(m["weight"] for m in own),
            }
        )
    metric = named(model.metric)
    assert metric is not None
    return {
        "title": f"{', '.join(schema.target.names)} from {table['source']}",
        "version": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command,
        "seed": options.seed,
        "data": {
            "source": table["source"],
            "rows": schema.rows,
            "rows_without_target": schema.rows_without_target,
            "train_rows": table["train_rows"],
            "test_rows": table["test_rows"],
            "split": table["split"],
            "folds": table["folds"],
            "columns": [
                {
                    k: getattr(c, k)
                    for k in ("name", "kind", "used", "reason", "missing", "distinct")
                }
                for c in schema.columns
            ],
            "notes": list(table["notes"]),
        },
        "target": {
            "names": list(schema.target.names),
            "task": schema.target.task,
            "classes": list(schema.target.classes),
            "detected": schema.target.detected,
            "class_counts": list(table["class_counts"]),
        },
        "metric": {
            "name": model.metric,
            "greater_is_better": metric.greater_is_better,
        },
        "score": scored["score"],
        "interval": scored["interval"],
        "metrics": scored["metrics"],
        "scored_on": scored["scored_on"].format(rows=f"{scored['scored_rows']:,}"),
        "baselines": [
            {"name": k, "metrics": v, "gain": scored.get("baseline_gains", {}).get(k)}
            for k, v in scored["baselines"].items()
        ],
        "ensemble": dict(gain),
        "linear": _linear(member_weight, scores),
        "members": members,
        "recipes": recipes,
        "seconds": dict(seconds),
        "time_limit": options.time_limit,
        "wanted_epochs": wanted_epochs,
        "confusion": scored["confusion"],
        "predictions": scored["predictions"],
        "warnings": list(warnings),
        "importance": dict(importance or {}),
        "augmentation": None if augmentation is None else dict(augmentation),
    }


def _linear(
    member_weight: Mapping[int, float], scores: Mapping[int, float]
) -> dict[str, Any] | None:
    """Return the linear model's score as a candidate and its share: what no member of the population holds."""
    share = float(1 - sum(member_weight.values()))
    share = share if share > 1e-6 else 0.0  # less is rounding
    if LINEAR_ID not in scores and not share:
        return None
    return {"score": scores.get(LINEAR_ID), "weight": share}


def population_parquet(facts: Mapping[str, Any]) -> bytes:
    """Return ``population.parquet``: a row a member, with its recipe's fields as columns.

    ``score`` is the fit's metric on the member's held-out rows, ``monitored`` the loss that early stopping watched.
    """
    rows = [
        {
            "id": m["id"], "recipe_id": m["recipe_id"], "seed": m["seed"], "fold": m["fold"],
            "status": m["status"], "epochs": m["epochs"], "best_epoch": m["best_epoch"],
            "score": m["score"], "monitored": m["monitored"], "seconds": m["seconds"],
            "weight": m["weight"], **{f"recipe.{k}": v for k, v in m["recipe"].items()},
        }
        for m in facts["members"]
    ]  # fmt: skip
    buffer = io.BytesIO()
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(buffer)
    return buffer.getvalue()
