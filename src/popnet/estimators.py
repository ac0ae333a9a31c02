"""`Classifier` and `Regressor`: popnet with scikit-learn's conventions. The only file that knows its base classes."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, cast, overload

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import multiclass, validation

from popnet.data.images.pictures import Pictures
from popnet.data.tables.frames import is_missing
from popnet.data.tables.read import declared_categories, read_table
from popnet.data.tables.reading import ReadingChoices
from popnet.errors import InputError
from popnet.prepare.arrays import WEIGHT, apart, holds_images, holds_text, labels_of, target_names
from popnet.runtime.durations import seconds
from popnet.runtime.fork import begin_threads
from popnet.runtime.sizes import bytes_of

# What `_fit` imports loads JAX; an estimator can be made, cloned and put into a pipeline without it.
if TYPE_CHECKING:
    from popnet.data.dataset import Features, Images
    from popnet.model.model import Model
    from popnet.spec.recipe import Recipe
    from popnet.types import Array


class _Estimator(BaseEstimator):
    """What both estimators share: parameters, input checks, fitting.

    Parameters are documented at `Classifier`.
    """

    def __init__(
        self,
        *,
        time_limit: float | str | None = None,
        memory_limit: float | str | None = None,
        members: int | None = None,
        folds: int | None = None,
        search: str | None = None,
        search_patience: int | None = None,
        ensemble: str = "greedy",
        metric: str | None = None,
        trees: str = "auto",
        combinations: bool = True,
        recipe: Recipe | None = None,
        space: Mapping[str, Any] | None = None,
        test_size: float = 0.0,
        augment: str = "auto",
        tta: int | None = None,
        categorical: Sequence[str] | Sequence[int] | None = None,
        seed: int = 0,
        workers: int | None = None,
        track: str | Sequence[str] | None = None,
    ) -> None:
        self.time_limit = time_limit
        self.memory_limit = memory_limit
        self.members = members
        self.folds = folds
        self.search = search
        self.search_patience = search_patience
        self.ensemble = ensemble
        self.metric = metric
        self.trees = trees
        self.combinations = combinations
        self.recipe = recipe
        self.space = space
        self.test_size = test_size
        self.augment = augment
        self.tta = tta
        self.categorical = categorical
        self.seed = seed
        self.workers = workers
        self.track = track

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.non_deterministic = self.time_limit is not None
        return tags

    # --- input -------------------------------------------------------------------------------------

    def _frame(self, X: Any, *, reset: bool) -> pl.DataFrame:
        """Return X as a frame whose columns are named as in `fit`."""
        begin_threads()
        if hasattr(X, "columns"):
            validation.validate_data(self, X, reset=reset, skip_check_array=True)
            frame = read_table(X)
            if not hasattr(self, "feature_names_in_"):
                frame.columns = [f"x{i}" for i in range(frame.width)]
            return frame
        array: Any = X if hasattr(X, "dtype") or hasattr(X, "tocsr") else np.asarray(X)
        if getattr(array, "dtype", None) is not None and array.dtype.kind in "US":
            array = np.asarray(X, dtype=object)  # a list of text and numbers: NumPy made all text
        if getattr(array, "dtype", None) == np.dtype(object) and holds_text(array):
            validation.validate_data(self, array, reset=reset, dtype=None, ensure_all_finite=False)
        else:
            array = cast(
                "np.ndarray",
                validation.validate_data(
                    self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan"
                ),
            )
        frame = read_table(np.asarray(array))
        if not reset and (names := getattr(self, "feature_names_in_", None)) is not None:
            frame.columns = list(names)  # by position; scikit-learn has warned of it
        return frame

    def _pictures(self, X: Any) -> Pictures:
        """Return images (n, height, width[, channels]) in bytes."""
        from popnet.data.images.read import read_images

        X = np.asarray(X)
        self.n_features_in_ = math.prod(X.shape[1:])
        return read_images(X, need_labels=False, workers=self.workers)

    def _fit(
        self,
        X: Any,
        data: pl.DataFrame | Pictures,
        y: np.ndarray,
        sample_weight: Array | None,
        task: str,
        began: float,
        names: list[str],
        labels: list[Any] | None = None,
    ) -> None:
        from popnet.fitting.run import fit, relabelled
        from popnet.options import Options
        from popnet.report.fit_page import facts
        from popnet.tracking.run import Tracking
        from popnet.tuning.space import user_space

        tracking = Tracking.of(self.track)
        if isinstance(data, Pictures):
            frame = pl.DataFrame({"image": np.arange(len(data.pixels))})
        else:
            frame = data
        if frame.height != len(y):
            raise ValueError(f"X has {frame.height} rows, y has {len(y)}.")
        if frame.height < 2:
            raise InputError("Found 1 sample; at least 2 are needed to train and to validate.")
        columns = y.T if y.ndim == 2 else [y]
        targets = apart(names, frame.columns)
        frame = frame.with_columns(
            pl.Series(n, c.tolist() if c.dtype.kind in "OUS" else c)
            for n, c in zip(targets, columns, strict=True)
        )
        if sample_weight is not None:
            # scikit-learn has no public name for it.
            check = cast("Callable[..., Any]", validation._check_sample_weight)  # pyright: ignore[reportPrivateUsage]
            weights = check(sample_weight, X, dtype=np.float64)
            frame = frame.with_columns(pl.Series(WEIGHT, weights))
        limit, memory = self.time_limit, self.memory_limit
        limit = seconds(limit) if isinstance(limit, str) else limit
        memory = bytes_of(memory) if isinstance(memory, str) else memory
        options = Options(
            task=task, time_limit=limit, memory_limit=memory, members=self.members, folds=self.folds,
            search=self.search, search_patience=self.search_patience,
            ensemble=self.ensemble, metric=self.metric, trees=self.trees, recipe=self.recipe, test_size=self.test_size,
            combinations=self.combinations, ranges=user_space.dimensions(self.space or {}), importance=False,
            weight=WEIGHT if sample_weight is not None else None, seed=self.seed, workers=self.workers,
            keep=() if isinstance(data, Pictures) else tuple(data.columns),
            reading=ReadingChoices(categorical=self._categories(X, data)),
            tiny=True, augment=self.augment, tta=self.tta,
        )  # fmt: skip
        if isinstance(data, Pictures):
            if sample_weight is not None:
                raise InputError("images have no row weights; leave sample_weight out.")
            source: Any = replace(data, labels=y.tolist(), label_name=targets[0])
            fitted = fit(source, None, replace(options, keep=()), began=began)
        else:
            fitted = fit(frame, targets if y.ndim == 2 else targets[0], options, began=began)
        if fitted.interrupted:
            warnings.warn(
                "Training was interrupted; the model is built from the nets trained until then.",
                stacklevel=3,
            )
        if labels is not None:
            fitted = relabelled(fitted, labels)
        if not isinstance(data, Pictures):
            _warn_unused(fitted.model)
        for tracked in tracking.log_unsaved(fitted.model, fitted.facts, options):
            if tracked.problem is not None:
                warnings.warn(str(tracked), stacklevel=3)
        self.model_ = fitted.model
        self.facts_ = facts.to_json(fitted.facts)
        self.n_iter_ = max((r.epochs for r in fitted.results), default=1)

    def _categories(self, X: Any, data: pl.DataFrame | Pictures) -> tuple[str, ...]:
        """Return the columns whose values are levels: those of such a type, and those that `categorical` names."""
        if isinstance(data, Pictures):
            return ()
        declared = dict(zip(map(str, getattr(X, "columns", ())), data.columns, strict=False))
        found = [declared[name] for name in declared_categories(X)]
        given: Any = () if self.categorical is None else self.categorical
        if isinstance(given, str) or not hasattr(given, "__iter__"):
            raise InputError(f"categorical must be a list of columns; got {given!r}.")
        for column in given:
            if isinstance(column, bool) or not isinstance(column, str | int | np.integer):
                raise InputError(f"categorical must hold names or positions; got {column!r}.")
            if isinstance(column, str):
                if declared.get(column, column) not in data.columns:
                    raise InputError(f"categorical names '{column}', which is no column of X.")
                found.append(declared.get(column, column))
            elif 0 <= column < data.width:
                found.append(data.columns[column])
            else:
                raise InputError(f"categorical names column {column}, but X has {data.width}.")
        return tuple(dict.fromkeys(found))

    def _features(self, X: Any) -> Features | Images:
        validation.check_is_fitted(self, "model_")
        image = self.model_.encoder.image
        if image is not None:
            if not holds_images(X):
                raise InputError(
                    f"X must be images (n, height, width[, channels]) as in fit; got {np.shape(X)}."
                )
            return image.images(image.read(np.asarray(X)).pixels)
        frame = self._frame(X, reset=False)
        return self.model_.encoder.transform(frame)

    def save(self, folder: str | Path, overwrite: bool = False) -> Path:
        """Write the fitted model as a model folder (see ``popnet predict``) and return its path.

        Raises:
            InputError: the folder holds something already, or cannot be written.
        """
        from popnet.model.folder import check_output
        from popnet.report.fit_page import facts
        from popnet.report.folder import write_all

        validation.check_is_fitted(self, "model_")
        folder = Path(folder)
        check_output(folder, overwrite)
        write_all(folder, self.model_, facts.from_json(self.facts_))
        return folder


class Classifier(ClassifierMixin, _Estimator):
    """An ensemble of neural nets, and boosted trees beside them, that classifies the rows of a table, or images.

    Takes NumPy arrays, and pandas or polars frames with numbers, strings, dates and missing values as they are; arrays
    ``(n_samples, height, width)`` or ``(n_samples, height, width, channels)`` are images.

    Parameters
    ----------
    time_limit : float or str, default=None
        Seconds (or ``"5m"``) that `fit` may take, compilation included. None: no limit; the result then depends on
        the data, the parameters and the seed alone.
    memory_limit : float or str, default=None
        Bytes (or ``"2GB"``) that the process may take, all included. None: 80 % of what is free.
    members : int, default=None
        Nets to train. None: 40 (of images 10), or as many as the time limit allows.
    folds : int, default=None
        Cross-validation folds; 1 holds out a fifth. None: by the number of rows.
    search : {"portfolio", "random", "sobol", "grid", "halving", "tpe"} or "optuna:SAMPLER", default=None
        How recipes are chosen. None: known ones first, then a race, ``"portfolio"``; at random with ``members`` and for
        images.
    search_patience : int, default=None
        Recipes that may fail to make the ensemble better before the search ends; without ``members`` and
        ``time_limit`` nothing else ends it. None: no such end.
    ensemble : {"greedy", "average", "vote"}, default="greedy"
        How members are combined: weights chosen by held-out rows, all alike, or by votes (of classes).
    metric : str, default=None
        What the ensemble is chosen for, and with ``"f1"`` or ``"balanced_accuracy"`` how classes are decided; None:
        ``"accuracy"`` (``"rmse"`` for `Regressor`). One of ``popnet.predictions.metrics.METRICS``: accuracy,
        balanced_accuracy, f1, log_loss, roc_auc, average_precision; rmse, mae, rmsle, r2; or a pinball loss, as
        ``"pinball_90"``, with which `Regressor.predict` gives the quantile that 90 % of true values are below (and
        ``score``, which is R², says
        little: give ``cross_val_score`` a ``scoring``).
    trees : {"auto", "none", "hist", "lightgbm"}, default="auto"
        Boosted trees beside the nets of a table, which are baseline and may join the ensemble: scikit-learn's
        histogram-based ones, LightGBM's (if that is installed), none, or the first unless there is a ``recipe``.
    combinations : bool, default=True
        Whether a table gets columns made of two others (sums, differences, products, ratios) where boosted trees are
        clearly better with them on rows that had no part in the choice; never with a ``recipe``.
    recipe : popnet.Recipe, default=None
        Fields that were set are kept in every net; the others are chosen by the data or searched.
    space : dict, default=None
        Ranges to search in place of the default ones, by field: ``{"learning_rate": "log:1e-4:1e-1", "activation":
        ["relu", "elu"]}``; see `popnet.tuning.space.ranges`. A grid is of them alone.
    test_size : float, default=0.0
        Share of rows held out for an honest score in ``facts_``; 0 trains on all rows.
    augment : {"auto", "none", "standard"}, default="auto"
        Transformations of images: those that twins show to keep the class, none, or a mild set without asking.
    tta : int, default=None
        Views of each image that a prediction is the mean of; None: the image, and its mirror image where nets learn
        from mirrored images.
    categorical : list of str or of int, default=None
        Columns, by name or position, whose numbers are categories. Columns of a data frame that have a type of
        categories are taken so in any case.
    seed : int, default=0
        Of every random choice.
    workers : int, default=None
        Threads; None: one a core.
    track : str or list of str, default=None
        Trackers that a fit is logged to: ``"mlflow"``, ``"mlflow:URI"``, ``"tensorboard:DIR"``; one that fails is a
        warning.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    model_ : popnet.Model
        The ensemble.
    facts_ : dict
        Scores, members and their curves, and all that the report shows.
    n_features_in_ : int
        Columns of X in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if X had names.
    n_iter_ : int
        Most epochs that a member was trained.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from popnet import Classifier, Recipe
    >>> X, y = load_iris(return_X_y=True)
    >>> recipe = Recipe(depth=1, width=16, batch_size=32, epochs=60)
    >>> bool(Classifier(members=5, recipe=recipe).fit(X, y).score(X, y) > 0.9)
    True
    """

    def fit(self, X: Any, y: Any, sample_weight: Array | None = None) -> Self:
        """Fit to X ``(n_samples, n_features)`` and labels y ``(n_samples,)``."""
        began = time.monotonic()
        frame = self._pictures(X) if holds_images(X) else self._frame(X, reset=True)
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None.")
        names = target_names(y, 1)
        if getattr(getattr(y, "dtype", None), "name", "") == "boolean" and not y.isna().any():
            y = y.to_numpy(bool)  # of pandas' nullable type, which would become 0.0 and 1.0
        y = cast("np.ndarray", validation.column_or_1d(y, warn=True))
        if y.dtype == object and any(map(is_missing, y)):
            raise ValueError("Input y contains NaN or None; leave out the rows without a label.")
        multiclass.check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise InputError(
                f"y has one class, {self.classes_[0]!r}; a classifier needs at least two classes."
            )
        codes = cast("np.ndarray", np.searchsorted(self.classes_, y))
        task = "binary" if len(self.classes_) == 2 else "multiclass"
        self._fit(X, frame, codes, sample_weight, task, began, names, labels_of(self.classes_))
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return probabilities ``(n_samples, n_classes)``, columns as in ``classes_``."""
        features = self._features(X)  # checks that there is a model
        return self.model_.scores(features)

    def predict(self, X: Any) -> np.ndarray:
        """Return labels ``(n_samples,)``: the most probable ones, or with a ``metric`` of balanced accuracy or F1 those
        that suit it (see `popnet.predictions.decisions`)."""
        scores = self.predict_proba(X)
        return self.classes_[self.model_.decided(scores).argmax(1)]


class Regressor(RegressorMixin, _Estimator):
    """An ensemble of neural nets that predicts numbers from the rows of a table.

    Parameters and attributes are those of `Classifier`, without ``classes_``; several targets are allowed.
    """

    def __sklearn_tags__(self) -> Any:
        tags = cast("Any", super().__sklearn_tags__())
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Array | None = None) -> Self:
        """Fit to X ``(n_samples, n_features)`` and targets y ``(n_samples,)`` or ``(n_samples, n_targets)``."""
        began = time.monotonic()
        frame = self._pictures(X) if holds_images(X) else self._frame(X, reset=True)
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None.")
        given = y
        y = cast(
            "np.ndarray",
            validation.check_array(y, ensure_2d=False, dtype="numeric", input_name="y"),
        ).astype(np.float64)
        names = target_names(given, y.shape[1] if y.ndim == 2 else 1)
        if y.ndim == 2 and y.shape[1] == 1:
            y = cast("np.ndarray", validation.column_or_1d(y, warn=True))
        self._fit(X, frame, y, sample_weight, "regression", began, names)
        self._single = y.ndim == 1
        return self

    @overload
    def predict(self, X: Any, return_std: Literal[False] = False) -> np.ndarray: ...
    @overload
    def predict(self, X: Any, return_std: Literal[True]) -> tuple[np.ndarray, np.ndarray]: ...
    def predict(
        self, X: Any, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Return predictions ``(n_samples,)``, or ``(n_samples, n_targets)``: means, or quantiles with a pinball loss
        as the ``metric``.

        With ``return_std`` means, and their standard deviations: the root of the mean square of the errors that are
        usual for rows like these, by held-out rows (see `popnet.predictions.conformal`).
        """
        if not return_std:
            features = self._features(X)
            values = self.model_.encoder.decode_target(self.model_.predict_point(features))
            return values[:, 0] if self._single else values
        features = self._features(X)
        centre, apart = self.model_.deviations(features)
        values = self.model_.encoder.decode_target(centre)
        apart = self.model_.encoder.deviations_in_units(centre, apart)
        return (values[:, 0], apart[:, 0]) if self._single else (values, apart)

    def predict_quantiles(self, X: Any, levels: Sequence[float] = (0.1, 0.5, 0.9)) -> np.ndarray:
        """Return values that the true values of new rows are below as often as ``levels`` say.

        Their shape is ``(n_samples, n_levels)``, or ``(n_samples, n_targets, n_levels)``; see
        `popnet.predictions.conformal`.
        """
        validation.check_is_fitted(self, "model_")
        levels = tuple(levels)
        if not levels:
            raise InputError("levels must name at least one quantile, as 0.5.")
        self.model_.intervals(None, levels)
        _, *found = self.model_.bounds(self._features(X), None, levels)
        values = np.stack([self.model_.encoder.decode_target(v) for v in found], 2)
        return values[:, 0] if self._single else values

    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Return low and high ends of intervals that hold the true values of a share ``coverage`` of new rows.

        Of several targets, of each by itself. Wider where predictions are less sure; see
        `popnet.predictions.conformal`.
        """
        validation.check_is_fitted(self, "model_")
        self.model_.intervals(coverage)
        _, *ends = self.model_.bounds(self._features(X), coverage)
        low, high = (self.model_.encoder.decode_target(end) for end in ends)
        return (low[:, 0], high[:, 0]) if self._single else (low, high)


def _warn_unused(model: Model) -> None:
    """Warn of columns that say something, but nothing that a net could learn: text that hardly ever comes again."""
    read = {c.name for c in model.encoder.columns}
    unused = [
        c.name for c in model.schema.features if c.kind == "categorical" and c.name not in read
    ]
    if unused:
        listed = ", ".join(map(repr, unused[:5])) + (", ..." if len(unused) > 5 else "")
        warnings.warn(
            f"Columns not used, as nearly every text in them is unique: {listed}. Make numbers or categories of them.",
            stacklevel=4,
        )
