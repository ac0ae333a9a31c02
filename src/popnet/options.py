"""What a user can choose about a fit."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from popnet.data.tables.reading import GUESSED, ReadingChoices
from popnet.errors import InputError, check_number, check_whole
from popnet.population.engines import check as check_engine
from popnet.spec.recipe import Recipe
from popnet.tuning.space.space import Dimension, refuse_fixed
from popnet.tuning.strategies.factory import check as check_search

AUGMENT = ("auto", "none", "standard")
TREES = ("auto", "none", "hist", "lightgbm")
REFIT = (None, "train", "all")


@dataclass(frozen=True)
class Options:
    """What a user can choose about a fit; most of the command's options have the same names.

    Attributes:
        task: ``binary``, ``multiclass`` or ``regression``; None detects it from the target.
        time_limit: seconds from the start of the command, all included; None for no limit.
        memory_limit: bytes of this process, all included; None for 80 % of what is free at the start. A limit has
            nothing to say about a cluster's other machines.
        members: nets to train, rounded up to whole recipes (each is trained on every fold); None for 40 (of
            images 10), for as many as the time limit allows, or for all of a grid.
        folds: number of folds of the cross-validation; None chooses by the number of rows; 1 holds out a fifth, of
            tables at most 50,000 rows, of images a tenth if that is more than 1,000.
        search: ``portfolio``, ``random``, ``sobol``, ``grid``, ``halving``, ``tpe``, or ``optuna:`` and the name of a
            sampler; None for ``portfolio`` of tables, and for ``random`` where members are counted and for images.
        search_patience: recipes that may fail to make the ensemble better (by a thousandth of its held-out log-loss or
            root mean squared error) before the search ends; None for no such end. Without ``members`` and
            ``time_limit`` it is the only one.
        storage: URL of an Optuna storage, in which the study of ``tpe`` and other samplers is kept; None for none.
        ranges: of fields that are searched otherwise than by default; see `popnet.tuning.space.user_space`. A grid is
            of them alone.
        ensemble: ``greedy`` (weights chosen by held-out rows), ``average``, or ``vote`` (of classes).
        metric: what to optimise: the ensemble is chosen by it, see `popnet.predictions.metrics`; None for
            ``accuracy``, ``rmse``, or ``r2`` of several targets.
        trees: boosted trees of a table, beside the nets: ``hist`` (scikit-learn's), ``lightgbm`` (if that is
            installed), ``none``, or ``auto``, which is ``hist`` unless a recipe is given.
        combinations: whether a table gets columns made of two others that are clearly of use, see
            `popnet.fitting.combined_columns`; with a recipe it never does.
        importance: whether it is measured, of a table, which columns matter to the model, and how its predictions
            depend on them.
        recipe: every net keeps the fields that are set in it; the others are chosen by the data or searched.
        refit: ``train`` trains the chosen recipes once more on all training rows, ``all`` on those of the test part,
            too; None leaves the nets of the folds.
        test_size: share of rows held out for the test score; None chooses by the number of rows, 0 holds out none.
        weight: column of row weights.
        group: column whose equal values are never split between parts.
        time: column by which parts are ordered: the latest rows are held out.
        drop: columns to leave out.
        keep: columns to use even if they look like identifiers, free text or duplicates.
        reading: how the values of a table are read, where that is not to be guessed.
        tiny: whether a table may have fewer than 10 rows, or a class one row only.
        image_size: height and width to which images are brought; None chooses by the data.
        strict: whether an image file that cannot be read is an error.
        augment: ``auto`` trains twins first to find which transformations of images keep the class, ``none`` uses
            no transformation, ``standard`` small shifts, turns and morphing without asking.
        tta: views of each image that a prediction is the mean of; 1 is the image alone; None for 1, or for 2 where nets
            are trained with mirrored images: the image and its mirror image.
        seed: seed of every random choice.
        workers: threads on a CPU, or actors of a cluster; None for one a core.
        engine: ``local``, ``ray`` or ``ray:ADDRESS``; see `popnet.population.engines.make`.
    """

    task: str | None = None
    time_limit: float | None = None
    memory_limit: float | None = None
    members: int | None = None
    folds: int | None = None
    search: str | None = None
    search_patience: int | None = None
    storage: str | None = None
    ranges: Sequence[Dimension] = ()
    ensemble: str = "greedy"
    metric: str | None = None
    trees: str = "auto"
    combinations: bool = True
    importance: bool = True
    recipe: Recipe | None = None
    refit: str | None = None
    test_size: float | None = None
    weight: str | None = None
    group: str | None = None
    time: str | None = None
    drop: Sequence[str] = ()
    keep: Sequence[str] = ()
    reading: ReadingChoices = GUESSED
    tiny: bool = False
    image_size: tuple[int, int] | None = None
    strict: bool = False
    augment: str = "auto"
    tta: int | None = None
    seed: int = 0
    workers: int | None = None
    engine: str = "local"

    def check(self) -> None:
        """Raise `InputError` for the first impossible value, named."""
        for name in ("time_limit", "memory_limit", "test_size"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name))
        if self.time_limit is not None and not self.time_limit > 0:
            raise InputError(f"The time limit must be above 0 seconds; got {self.time_limit:g}.")
        if self.memory_limit is not None and not self.memory_limit > 0:
            raise InputError("The memory limit must be above 0.")
        for name in ("members", "folds", "workers", "tta", "search_patience"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), 1)
        check_whole("seed", self.seed)
        for name in ("search", "metric", "storage"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise InputError(f"{name} must be a text; got {value!r}.")
        if self.recipe is not None and not isinstance(self.recipe, Recipe):
            raise InputError(f"recipe must be a popnet.Recipe; got {self.recipe!r}.")
        self.reading.check()
        if self.trees == "lightgbm" and importlib.util.find_spec("lightgbm") is None:
            raise InputError(
                "LightGBM is not installed: pip install 'popnet[lightgbm]', or choose --trees hist."
            )
        if self.search is not None:
            check_search(self.search)
        check_engine(self.engine)
        refuse_fixed(self.recipe, self.ranges)
        if self.test_size is not None and not 0 <= self.test_size < 1:
            raise InputError(f"test_size must be from 0 to below 1; got {self.test_size:g}.")
        for name, known in (
            ("ensemble", ("greedy", "average", "vote")), ("augment", AUGMENT), ("trees", TREES), ("refit", REFIT),
        ):  # fmt: skip
            if getattr(self, name) not in known:
                raise InputError(
                    f"{name} must be one of {', '.join(map(str, known))}; got {getattr(self, name)!r}."
                )

    @property
    def log_target(self) -> bool:
        """Whether nets predict log(1 + value) of a regression target: the metric's errors are relative ones."""
        return self.metric == "rmsle"

    def strategy(self, images: bool) -> str:
        """Return the name of the search, given whether it is of images."""
        if self.search is not None:
            return self.search
        # A race wants many recipes: images have time for few, and it trains other members than were counted.
        return "random" if images or self.members is not None else "portfolio"


DEFAULTS = Options()
"""What holds where a user chooses nothing."""
