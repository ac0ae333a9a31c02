"""Search strategies: each proposes runs, batch after batch, and learns from their results.

A run is a member (recipe, fold), or a stretch of its training. The runs of a batch may be trained in any order and at
the same time; the next batch is asked for when their results have been told.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from types import MappingProxyType

from popnet.errors import InputError, closest
from popnet.spec.recipe import Recipe
from popnet.tuning.space.space import Space
from popnet.tuning.strategies.base import SequentialStrategy, Strategy
from popnet.tuning.strategies.samplers import DRAWS

OPTUNA = "optuna:"
"""Prefix of the names of Optuna's samplers."""

NAMES = (*DRAWS, "portfolio", "halving", "tpe")
"""Strategies, beside Optuna's other samplers."""


def check(name: str) -> None:
    """Raise `InputError` if there is no such strategy."""
    if name not in NAMES and not str(name).startswith(OPTUNA):
        raise InputError(
            f"search must be one of {', '.join(NAMES)}, or {OPTUNA}SAMPLER; got {name!r}.{closest(str(name), NAMES)}"
        )


def make(
    name: str,
    space: Space,
    seed: int,
    folds: int,
    most: int | None = None,
    last: Callable[[Recipe], Recipe] = lambda recipe: recipe,
    storage: str | None = None,
    known: Mapping[int, Recipe] = MappingProxyType({}),
    trainings: float | None = None,
) -> Strategy:
    """Return a strategy.

    Args:
        name: of `NAMES`, or ``optuna:`` and the name of a sampler, as in ``optuna:CmaEsSampler``.
        space: where recipes come from.
        seed: of every random choice.
        folds: that a recipe is trained on.
        most: recipes, or in a race as many trainings as these would take; None for no end.
        last: gives a recipe its epochs.
        storage: URL of an Optuna storage for the study; None keeps it in memory.
        known: recipes by number, which a sampler asked for in an earlier part of the run.
        trainings: whole ones that there is time for, for a race; None for no limit.

    Raises:
        InputError: the name is unknown, the grid is too large, or the storage cannot be opened.
    """
    check(name)
    if name in ("portfolio", "halving"):
        from popnet.tuning.strategies.halving import (
            Halving,
            bracket,
            has_room,
            n_portfolio_first,
            starts,
        )
        from popnet.tuning.strategies.screening import FirstFoldScreening, n_screened

        time, first = trainings if most is None else most * folds, 0
        if name == "portfolio":
            tried_first = len(space.known())
            first = n_portfolio_first(time, folds, tried_first)
            if not (first and has_room(time, folds, first)):
                recipes = map(last, itertools.islice(DRAWS["random"](space, seed), most))
                limit = trainings if most is None else None
                if limit is not None and (compared := n_screened(limit, tried_first)):
                    return FirstFoldScreening(recipes, folds, compared)
                if first:
                    return SequentialStrategy(recipes, folds)
        count = None if most is None else first + starts((most - first) * folds, folds)
        drawn = map(last, itertools.islice(DRAWS["random"](space, seed), count))
        size, finalists = bracket(trainings, folds, last(space.base).epochs)
        # Where there is time for one recipe, it has nobody to race against.
        if size == 1 and not first:
            return SequentialStrategy(drawn, folds)
        return Halving(drawn, folds, size, finalists, first)
    if name in DRAWS:
        return SequentialStrategy(
            map(last, itertools.islice(DRAWS[name](space, seed), most)), folds
        )
    from popnet.tuning.strategies.optuna_trials import OptunaStrategy

    sampler = "TPESampler" if name == "tpe" else name.removeprefix(OPTUNA)
    return OptunaStrategy(space, seed, folds, most, last, sampler, storage, known)
