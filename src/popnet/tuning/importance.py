"""Which hyper-parameters a search's scores depended on: functional analysis of variance (Hutter et al. 2014)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MIN_RECIPES = 12
"""With fewer recipes no importance is computed."""

DECADE = 10.0
"""A field whose values span as much is taken by its logarithm."""


def importance(
    recipes: Sequence[Mapping[str, Any]], losses: Sequence[float], seed: int = 0
) -> dict[str, float]:
    """Return the share of the scores' variance that each hyper-parameter explains by itself, the greatest first.

    Args:
        recipes: fields and values.
        losses: of each recipe, smaller is better; recipes whose loss is not finite are left out.
        seed: of the forest of trees.

    Returns:
        Shares that sum to 1, of the fields that vary; empty for fewer than `MIN_RECIPES` recipes, or equal losses.
    """
    known = [(r, float(v)) for r, v in zip(recipes, losses, strict=True) if np.isfinite(v)]
    if len(known) < MIN_RECIPES or len({v for _, v in known}) < 2:
        return {}
    columns = {f: [r.get(f) for r, _ in known] for f in known[0][0]}
    columns = {f: values for f, values in columns.items() if len({repr(v) for v in values}) > 1}
    if not columns:
        return {}
    import optuna

    spaces = {f: _distribution(values) for f, values in columns.items()}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize")
    for k, (_, loss) in enumerate(known):
        study.add_trial(
            optuna.trial.create_trial(
                params={f: _plain(values[k]) for f, values in columns.items()},
                distributions=spaces,
                value=loss,
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=seed % 2**31)
        )
    return {field: float(share) for field, share in found.items()}


def spans_decades(values: Sequence[float]) -> bool:
    """Say whether values are best looked at by their logarithms."""
    return min(values) > 0 and max(values) >= DECADE * min(values)


def _distribution(values: Sequence[Any]) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        low, high = float(min(values)), float(max(values))
        return FloatDistribution(low, high, log=spans_decades(values))
    return CategoricalDistribution(list(dict.fromkeys(map(_plain, values))))


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) or value is None else repr(value)
