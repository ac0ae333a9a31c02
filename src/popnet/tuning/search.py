"""A search as a function, for people who bring arrays: `popnet.search`."""

from __future__ import annotations

import numbers
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from popnet.data import splits
from popnet.data.dataset import Dataset, Images
from popnet.errors import InputError, check_whole
from popnet.population import engines
from popnet.population.feed import Arrays
from popnet.population.members import Member, Result
from popnet.population.train import Trainer
from popnet.runtime import durations, keys
from popnet.spec.recipe import Fields, Recipe
from popnet.spec.shape import Shape
from popnet.tuning.runner import SearchRunner
from popnet.tuning.selection_bias import selection_bias
from popnet.tuning.space import user_space
from popnet.tuning.space.image_space import image_space
from popnet.tuning.space.space import Space, refuse_fixed
from popnet.tuning.space.table_space import default_space
from popnet.tuning.strategies import base, factory

REMEASURED_SEEDS = 3
"""Seeds by which the winner is trained again, each on folds of its own."""

CvResults = dict[str, np.ndarray | list[Fields]]
"""A search's table as columns: ``params``, a list of fields, and arrays."""

SEARCH_SHARE = 0.85
"""Share of a time budget that the search takes, if the winner is to be trained again."""


@dataclass(frozen=True)
class Search:
    """What a search found; named as in scikit-learn's searches. Scores are negative losses: greater is better.

    Attributes:
        best_recipe_: the recipe with the best mean score, of those that were trained on all folds.
        best_params_: its hyper-parameters, as a dictionary.
        best_index_: its row in `cv_results_`.
        best_score_: its mean score. Too good: it is the best of many, and each net is of its best epoch.
        corrected_score_: the same less what the choice gained, about (`popnet.tuning.selection_bias.selection_bias`).
        remeasured_score_: its mean score by other seeds on other folds, which nothing was chosen by, beside the epoch;
            None if that was not asked for or the time was over.
        cv_results_: a row for each recipe that was begun: ``params``, ``param_FIELD``, ``splitK_test_score`` (NaN where
            a race had dropped it), ``mean_test_score``, ``std_test_score``, ``rank_test_score``, ``mean_fit_time`` in
            seconds, ``status`` ("complete", "dropped", "failed" or "interrupted").
        n_splits_: folds.
        scorer_: what the scores are: ``neg_log_loss`` or ``neg_mean_squared_error`` (of the targets as given).
        results_: every member that was trained.
        seconds_: the search took.
    """

    best_recipe_: Recipe
    best_index_: int
    best_score_: float
    corrected_score_: float
    remeasured_score_: float | None
    cv_results_: CvResults
    n_splits_: int
    scorer_: str
    results_: list[Result]
    seconds_: float

    @property
    def best_params_(self) -> Fields:
        """Return the best recipe's hyper-parameters."""
        return self.best_recipe_.model_dump()


def search(
    train: Dataset | tuple[np.ndarray, np.ndarray],
    space: Space | Mapping[str, Any] | None = None,
    strategy: str = "random",
    budget: int | float | str = 20,
    *,
    folds: int | Sequence[tuple[np.ndarray, np.ndarray]] = 5,
    recipe: Recipe | None = None,
    seed: int = 0,
    workers: int | None = None,
    engine: str = "local",
    storage: str | None = None,
    remeasure: bool = True,
    on_result: Callable[[Result], None] | None = None,
) -> Search:
    """Search for the best recipe by cross-validation.

    Args:
        train: a data set, or ``(X, y)``: ``X`` ``(N, F)`` numbers, which are centred and scaled, ``y`` classes (whole
            numbers, truth values or text) or floats for regression.
        space: ranges by field, as ``{"learning_rate": "log:1e-4:1e-1", "activation": ["relu", "elu"]}``, which alone
            are searched, around the default recipe for the data; a `Space`; or None for the default one.
        strategy: ``portfolio``, ``random``, ``sobol``, ``grid``, ``halving``, ``tpe``, or ``optuna:`` and the name of a
            sampler.
        budget: recipes, an ``int``; or time, as ``"2m"`` or seconds, a ``float``.
        folds: of the cross-validation (stratified for classes), or pairs of row numbers ``(train, held out)``.
        recipe: its fields that were set are kept; not with a `Space`, which has its own.
        seed: of every random choice.
        workers: threads, or actors of a cluster; default one a core.
        engine: ``local``, ``ray`` or ``ray:ADDRESS``.
        storage: URL of an Optuna storage for the study of ``tpe`` and other samplers.
        remeasure: train the winner again on this machine, by other seeds on other folds; not with folds of your own.
        on_result: called with each result as it comes.

    Raises:
        InputError: data, a range, the strategy or the budget cannot be used, or no recipe was through in time.

    Example:
        >>> import popnet
        >>> from sklearn.datasets import load_wine
        >>> found = popnet.search(load_wine(return_X_y=True), {"dropout": "0:0.5", "epochs": [3]}, budget=2, folds=2)
        >>> found.n_splits_, len(found.cv_results_["params"])
        (2, 2)
    """
    began = time.monotonic()
    factory.check(strategy)
    engines.check(engine)
    check_whole("seed", seed)
    if workers is not None:
        check_whole("workers", workers, 1)
    if recipe is not None and not isinstance(recipe, Recipe):
        raise InputError(f"recipe must be a popnet.Recipe; got {recipe!r}.")
    data, unit = (train, 1.0) if isinstance(train, Dataset) else _dataset(*_pair(train))
    count, seconds = _budget(budget)
    pairs = _folds(data, folds, seed)
    space = _space(data, space, recipe, max(len(t) for t, _ in pairs))
    Shape.of(space.base, data)  # refuses a recipe that is not for such data
    remeasure = remeasure and isinstance(folds, int)
    deadline = None if seconds is None else began + seconds
    until = began + SEARCH_SHARE * seconds if seconds is not None and remeasure else deadline
    trainer = engines.make(engine, Arrays(data, data, pairs), until, workers)
    plan = factory.make(strategy, space, seed, len(pairs), count, storage=storage)

    def member(run: base.Run) -> Member:
        return Member(run.recipe, int(keys.key(seed, "member", run.recipe_id)), run.fold)

    running = SearchRunner(plan, trainer, member)
    try:
        for _, result in running.train():
            if on_result is not None and result.status != "paused":
                on_result(result)
    finally:
        trainer.close()
    running.finish()
    losses = _losses(running, len(pairs), unit)
    complete = [i for i, row in losses.items() if np.isfinite(row).all()]
    if not complete:
        raise InputError(
            "no recipe was trained on all folds; give more time, fewer folds or smaller learning rates."
        )
    best = min(complete, key=lambda i: (losses[i].mean(), i))
    recipes = {run.recipe_id: run.recipe for run in running.runs.values()}
    again = None
    if remeasure and isinstance(folds, int):
        loss = _remeasured(data, recipes[best], folds, seed, deadline, workers)
        again = None if loss is None else -unit * loss
    table, order = _table(running, losses, recipes)
    best_score = -float(losses[best].mean())
    return Search(
        best_recipe_=recipes[best],
        best_index_=order.index(best),
        best_score_=best_score,
        corrected_score_=best_score - selection_bias(np.stack([losses[i] for i in complete])),
        remeasured_score_=again,
        cv_results_=table,
        n_splits_=len(pairs),
        scorer_="neg_log_loss" if data.task == "classification" else "neg_mean_squared_error",
        results_=list(running.results.values()),
        seconds_=time.monotonic() - began,
    )


def _pair(train: Any) -> tuple[Any, Any]:
    if isinstance(train, tuple):
        pair = cast("tuple[Any, ...]", train)
        if len(pair) == 2:
            return pair[0], pair[1]
    raise InputError("train must be a Dataset or a pair (X, y).")


def _dataset(X: Any, y: Any) -> tuple[Dataset, float]:
    """Return arrays as a scaled data set, and the unit of its losses."""
    x, y = np.asarray(X, np.float64), np.asarray(y)
    if x.ndim != 2 or len(x) != len(y):
        raise InputError(
            f"X must be (N, F) numbers and y have N values; got {x.shape} and {y.shape}."
        )
    if not np.isfinite(x).all():
        raise InputError("X has values that are not finite; fill them, or use popnet.Classifier.")
    scale = x.std(0)
    x = (x - x.mean(0)) / np.where(scale > 0, scale, 1.0)
    if np.issubdtype(y.dtype, np.floating):
        spread = float(y.std()) or 1.0
        return Dataset.from_arrays(x, (y - y.mean(0)) / spread, "regression"), spread**2
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise InputError("y has one class only.")
    return Dataset.from_arrays(x, codes, "classification"), 1.0


def _budget(budget: int | float | str) -> tuple[int | None, float | None]:
    """Return a number of recipes and a time limit, one of them None."""
    if isinstance(budget, str):
        return None, durations.seconds(budget)
    if isinstance(budget, bool) or not isinstance(budget, numbers.Real) or not budget > 0:
        raise InputError(f"budget is a number of recipes above 0 or a time; got {budget!r}.")
    return (None, budget) if isinstance(budget, float) else (int(budget), None)


def _folds(
    data: Dataset, folds: int | Sequence[tuple[np.ndarray, np.ndarray]], seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    if isinstance(folds, str) or not isinstance(folds, int | Collection):
        raise InputError(f"folds must be a number, or pairs of row numbers; got {folds!r}.")
    if not isinstance(folds, int):
        if not len(folds):
            raise InputError("folds is empty; give a number, or pairs of row numbers.")
        return list(folds)
    if not 2 <= folds <= len(data):
        raise InputError(f"folds must be from 2 to the {len(data)} rows; got {folds}.")
    stratify = data.target if data.task == "classification" else None
    return [
        (f.train, f.valid)
        for f in splits.folds(np.arange(len(data)), folds, seed, stratify=stratify)
    ]


def _space(
    data: Dataset, space: Space | Mapping[str, Any] | None, recipe: Recipe | None, rows: int
) -> Space:
    if isinstance(space, Space):
        return space
    if isinstance(data.features, Images):
        found = image_space(data.features.size, rows, 16, {}, recipe)
    else:
        found = default_space(data, rows, recipe)
    if space is None:
        return found
    ranges = user_space.dimensions(space)
    refuse_fixed(recipe, ranges)
    return Space(found.base, ranges)


def _losses(running: SearchRunner, folds: int, unit: float) -> dict[int, np.ndarray]:
    """Return each recipe's loss on each fold: NaN where it was not trained to its end, infinite where that failed."""
    losses: dict[int, np.ndarray] = {}
    for i, result in running.results.items():
        row = losses.setdefault(running.runs[i].recipe_id, np.full(folds, np.nan))
        if result.status in ("finished", "stopped", "diverged"):
            row[result.member.fold] = np.inf if result.failed else unit * _loss(result)
    return losses


def _loss(result: Result) -> float:
    """Return the validation loss of the epoch that was kept, also if another score was monitored."""
    return float(result.curves["valid_loss"][result.best_epoch - 1])


def _remeasured(
    data: Dataset, recipe: Recipe, folds: int, seed: int, deadline: float | None, workers: int | None
) -> float | None:  # fmt: skip
    """Return the mean loss of a recipe by other seeds, each on other folds; None if not all were through."""
    losses: list[float] = []
    for k in range(REMEASURED_SEEDS):
        other = int(keys.key(seed, "remeasured", k))
        pairs = _folds(data, folds, other)
        trainer = Trainer(Arrays(data, data, pairs), deadline, workers)
        members = [Member(recipe, other, fold) for fold in range(len(pairs))]
        ended = [r for _, r in trainer.run(enumerate(members)) if r.usable]
        if len(ended) < len(pairs) or any(r.status == "interrupted" for r in ended):
            return None
        losses += [_loss(r) for r in ended]
    return float(np.mean(losses))


def _table(
    running: SearchRunner, losses: Mapping[int, np.ndarray], recipes: Mapping[int, Recipe]
) -> tuple[CvResults, list[int]]:
    """Return `Search.cv_results_`, and the recipes' numbers in the order of its rows."""
    order = sorted(losses)
    scores = -np.stack([losses[i] for i in order])
    ended: dict[int, list[Result]] = {i: [] for i in order}
    for i, result in running.results.items():
        ended[running.runs[i].recipe_id].append(result)
    dropped = running.strategy.dropped()
    means = np.array([row.mean() for row in scores])
    ranks = (means[None] > means[:, None]).sum(1) + 1
    last = len(order)
    dumps = [recipes[i].model_dump() for i in order]
    varied = [f for f in dumps[0] if len({repr(d[f]) for d in dumps}) > 1]
    table: CvResults = {
        "params": [{f: d[f] for f in varied} for d in dumps],
        **{f"param_{f}": np.array([d[f] for d in dumps], dtype=object) for f in varied},
        **{f"split{k}_test_score": scores[:, k] for k in range(scores.shape[1])},
        "mean_test_score": means,
        "std_test_score": np.array([row.std() if np.isfinite(row).all() else np.nan for row in scores]),
        "rank_test_score": np.where(np.isfinite(means), ranks, last).astype(np.int32),
        "mean_fit_time": np.array([np.mean([r.seconds for r in ended[i]]) for i in order]),
        "status": np.array([_status(row, i in dropped) for i, row in zip(order, scores, strict=True)]),
    }  # fmt: skip
    return table, order


def _status(scores: np.ndarray, dropped: bool) -> str:
    if np.isfinite(scores).all():
        return "complete"
    if np.isinf(scores).any():
        return "failed"
    return "dropped" if dropped else "interrupted"
