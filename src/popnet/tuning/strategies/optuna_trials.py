"""A search by one of Optuna's samplers, by its ask and tell: TPE and others (Akiba et al. 2019; Bergstra et al. 2011).

The study lives in an Optuna storage, so that Optuna's dashboard and plots open it.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from popnet.errors import InputError, closest
from popnet.population.members import Result
from popnet.runtime import keys
from popnet.spec.recipe import Fields, FieldValue, Recipe
from popnet.tuning.space.ranges import Choice, Integer, Linear, Log, OrZero, Range
from popnet.tuning.space.space import Space
from popnet.tuning.strategies.base import Run

STRUCTURE, USED = "structure", " is used"
"""Names in a study: of the parameter that is the place in the space's shapes; and the suffix, behind a field's name, of
the parameter that says whether the field is above 0."""


class OptunaStrategy:
    """Recipes as trials of an Optuna study: known recipes first, then what the sampler asks for.

    Samplers learn from the recipes that were through when they are asked; with several workers others are in training
    then, and the order of their ends decides what is asked next.

    Args:
        space: where recipes come from.
        seed: of the sampler.
        folds: that a recipe is trained on; its value is the mean validation score over them.
        most: recipes; None for no end.
        last: gives a recipe its epochs.
        sampler: name of a class in ``optuna.samplers``.
        storage: URL of a storage; None keeps the study in memory.
        known: recipes by number, as they were trained in an earlier part of the run.

    Raises:
        InputError: Optuna has no such sampler or cannot make it, or the storage cannot be opened.
    """

    def __init__(
        self, space: Space, seed: int, folds: int, most: int | None = None,
        last: Callable[[Recipe], Recipe] = lambda recipe: recipe,
        sampler: str = "TPESampler", storage: str | None = None,
        known: Mapping[int, Recipe] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        self.space, self._folds, self._most, self._last = space, folds, most, last
        self.study = open_study(storage, _sampler(sampler, int(keys.key(seed, "optuna")) % 2**31))
        self._first, self._earlier = dict(enumerate(space.known())), known
        self._asked: dict[int, Any] = {}
        self._scores: dict[int, dict[int, float]] = {}

    def batches(self) -> Iterator[Iterable[Run]]:
        """Yield one batch, whose recipes are asked for as workers become free."""
        yield self._runs()

    def tell(self, run: Run, result: Result) -> None:
        """Note a run's score; a recipe whose folds are all through is told to the sampler."""
        scores = self._scores.setdefault(run.recipe_id, {})
        scores[run.fold] = result.score
        trial = self._asked.get(run.recipe_id)
        if trial is None or len(scores) < self._folds:
            return
        from optuna.trial import TrialState

        mean = float(np.mean(list(scores.values())))
        if math.isfinite(mean):
            self.study.tell(trial, mean)
        else:
            self.study.tell(trial, state=TrialState.FAIL)

    def dropped(self) -> set[int]:
        """Return none."""
        return set()

    def _runs(self) -> Iterator[Run]:
        for number in itertools.count():
            if number == self._most:
                return
            asked = self._ask(number)
            recipe = self._earlier.get(number) or self._last(asked)
            yield from (Run(number, recipe, fold) for fold in range(self._folds))

    def _ask(self, number: int) -> Recipe:
        if known := self._earlier.get(number) or self._first.get(number):
            fixed = parameters(self.space, known)
            if fixed is None:  # the default lies outside of the ranges: it is trained, but no trial
                return known
            self.study.enqueue_trial(fixed)
        trial = self._asked[number] = self.study.ask()
        return suggest(self.space, trial)


def open_study(storage: str | None, sampler: Any = None) -> Any:
    """Return a new Optuna study that is to be minimised.

    Raises:
        InputError: the storage cannot be opened.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(storage=storage, sampler=sampler, direction="minimize")
    except Exception as error:  # each kind of storage has errors of its own
        why = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f"The storage {storage!r} cannot be opened: {why}. Give a URL as sqlite:///study.db."
        ) from None


def _sampler(name: str, seed: int) -> Any:
    import optuna

    known = [s for s in optuna.samplers.__all__ if s.endswith("Sampler") and s != "BaseSampler"]
    if name not in known:
        raise InputError(f"Optuna has no sampler '{name}'.{closest(name, known)}")
    # TPE: several are asked for before the first is told; conditions make groups.
    own = (
        {"constant_liar": True, "multivariate": True, "group": True} if name == "TPESampler" else {}
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(optuna.samplers, name)(seed=seed, **own)
    except (TypeError, ImportError) as error:
        why = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"Optuna's {name} cannot be used here: {why}.") from None


def suggest(space: Space, trial: Any) -> Recipe:
    """Return the recipe that a trial suggests; a dimension is asked for only where its condition holds."""
    changes: Fields = {}
    if len(space.shapes) > 1:
        names = _structures(space)
        changes |= space.shapes[names.index(trial.suggest_categorical(STRUCTURE, names))]
    base = space.base.model_dump()
    for dimension in space.dimensions:
        if dimension.holds({**base, **changes}):
            changes[dimension.field] = _value(trial, dimension.field, dimension.range)
    return space.recipe(changes)


def parameters(space: Space, recipe: Recipe) -> Fields | None:
    """Return a recipe as the parameters of a trial; None if a value lies outside of its range."""
    found: Fields = {}
    values = recipe.model_dump()
    if len(space.shapes) > 1:
        place = space.shape_of(recipe)
        if place is None:
            return None
        found[STRUCTURE] = _structures(space)[place]
    for dimension in space.dimensions:
        if not dimension.holds(values):
            continue
        value, inside = values[dimension.field], dimension.range
        if isinstance(inside, OrZero):
            found[dimension.field + USED] = bool(value)
            if not value:
                continue
            inside = inside.inside
        if not _contains(inside, value):
            return None
        found[dimension.field] = value
    return found


def _structures(space: Space) -> list[str]:
    names = [", ".join(f"{field} {value}" for field, value in s.items()) for s in space.shapes]
    return [name or "default" for name in names]


def _value(trial: Any, name: str, inside: Range) -> FieldValue:
    if isinstance(inside, Choice):
        return trial.suggest_categorical(name, inside.points(0))
    if isinstance(inside, Integer):
        return trial.suggest_int(name, inside.low, inside.high, log=inside.log)
    if isinstance(inside, OrZero):
        used = trial.suggest_categorical(name + USED, [False, True])
        return _value(trial, name, inside.inside) if used else 0.0
    return trial.suggest_float(name, inside.low, inside.high, log=isinstance(inside, Log))


def _contains(inside: Range, value: Any) -> bool:
    if isinstance(inside, Choice):
        return value in inside.values
    assert isinstance(inside, Linear | Integer)
    return inside.low <= value <= inside.high
