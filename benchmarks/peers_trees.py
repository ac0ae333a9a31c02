"""Peers of the accuracy benchmark: boosted trees by their defaults and tuned, scikit-learn's trees and its MLP.

    python -m benchmarks.peers_trees FOLDER             # does the job that benchmarks/accuracy.py has put there
    python -m benchmarks.peers_trees --version SYSTEM   # also says whether the system can be imported

A job is ``train.csv``, ``test.csv`` (without the target) and ``job.json``; the predictions of the test rows come out in
``predictions.npz``. Reading and answering a job is here for the other peers too, so nothing here imports popnet.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

PATIENCE = 50
MAX_ROUNDS = {"lightgbm": 4000, "xgboost": 4000, "catboost": 1000}
"""Early stopping ends most fits before; CatBoost's default rate is made for its default of 1000."""

TUNED_ROUNDS = 4000
REFIT = 1.3
"""Of the best trial's time that training again on all rows takes, at most: a trial has 0.8 of them."""


@dataclass(frozen=True)
class Job:
    """What a peer is to do.

    Attributes:
        system: its name.
        target: column of ``train.csv``.
        labels: the classes as text, in order; None for a number.
        text: columns that are categories.
        seed: of every random choice.
        limit: seconds for systems that take a time limit.
        began: moment of ``time.time()`` from which the limit counts.
        cores: to use.
    """

    system: str
    target: str
    labels: list[str] | None
    text: list[str]
    seed: int
    limit: float
    began: float
    cores: int

    def write(self, folder: Path) -> None:
        """Write ``job.json``."""
        (folder / "job.json").write_text(json.dumps(asdict(self)), encoding="utf-8")


class Rows(NamedTuple):
    """Training columns ``X``, class numbers or targets ``y``, and test columns; text is of pandas' category kind."""

    X: pd.DataFrame
    y: np.ndarray
    X_test: pd.DataFrame


System = Callable[[Job, Rows], np.ndarray]
"""Returns probabilities ``(N, C)`` or numbers ``(N,)`` of the test rows."""


def read(job: Job, folder: Path) -> Rows:
    """Return a job's rows; columns get plain names, and a category that training rows lack is a missing value."""
    kinds: Any = dict.fromkeys(job.text, "str")
    train, test = (pd.read_csv(folder / f"{part}.csv", dtype=kinds) for part in ("train", "test"))
    X, target = train.drop(columns=job.target), train[job.target]
    for column in X.columns:
        if column in job.text:
            X[column] = X[column].astype("category")
            test[column] = test[column].astype(X[column].dtype)
        else:
            X[column], test[column] = X[column].astype(float), test[column].astype(float)
    X.columns = test.columns = pd.Index([f"c{i}" for i in range(X.shape[1])])
    if job.labels is None:
        return Rows(X, target.to_numpy(float), test)
    codes = pd.Categorical(target.astype(str), categories=job.labels).codes
    return Rows(X, np.asarray(codes, int), test)


def split(job: Job, y: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return training and validation rows, stratified where every class has two rows."""
    stratify = y if job.labels is not None and np.bincount(y).min() > 1 else None
    parts = train_test_split(
        np.arange(len(y)), test_size=share, random_state=job.seed, stratify=stratify
    )
    return parts[0], parts[1]


def loss(job: Job, y: np.ndarray, predicted: np.ndarray) -> float:
    """Return log-loss or RMSE."""
    if job.labels is None:
        return float(np.sqrt(np.mean((predicted - y) ** 2)))
    return float(log_loss(y, predicted, labels=np.arange(len(job.labels))))


def predictor(job: Job, model: Any) -> Callable[[pd.DataFrame], np.ndarray]:
    """Return the function of a fitted estimator that a job asks for."""
    return model.predict if job.labels is None else model.predict_proba


# --- boosted trees --------------------------------------------------------------------------------


class Boosted(NamedTuple):
    """A fitted model: rounds until its best one on the validation rows, its predictions, and the library's model."""

    rounds: int
    predict: Callable[[pd.DataFrame], np.ndarray]
    model: Any


Part = tuple[pd.DataFrame, np.ndarray]


class Fit(NamedTuple):
    """What a library is to fit.

    Attributes:
        job: whose rows these are.
        parameters: of the library; those that are not named have its defaults.
        rounds: of boosting, at most.
        train: training rows.
        valid: rows that stop it early; None to train all rounds.
        late: says when it is to stop, best round or not.
    """

    job: Job
    parameters: Mapping[str, Any]
    rounds: int
    train: Part
    valid: Part | None = None
    late: Callable[[], bool] = lambda: False


Library = Callable[[Fit], Boosted]


def lightgbm(fit: Fit) -> Boosted:
    """LightGBM; categories by their dtype."""
    import lightgbm as lgb

    job, parameters, rounds, train, valid, late = fit

    def end(env: Any) -> None:
        if late():
            raise lgb.callback.EarlyStopException(env.iteration, env.evaluation_result_list)

    make = lgb.LGBMRegressor if job.labels is None else lgb.LGBMClassifier
    model = make(
        n_estimators=rounds, random_state=job.seed, n_jobs=job.cores, verbose=-1, **parameters
    )
    if valid is None:
        return Boosted(rounds, predictor(job, model.fit(*train)), model)
    calls = [lgb.early_stopping(PATIENCE, verbose=False), end]
    model.fit(*train, eval_set=[valid], callbacks=calls)
    return Boosted(model.best_iteration_ or rounds, predictor(job, model), model)


def xgboost(fit: Fit) -> Boosted:
    """XGBoost; categories by their dtype (``enable_categorical``)."""
    import xgboost as xgb

    job, parameters, rounds, train, valid, late = fit

    class End(xgb.callback.TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            return late()

    make = xgb.XGBRegressor if job.labels is None else xgb.XGBClassifier
    model = make(
        n_estimators=rounds, random_state=job.seed, n_jobs=job.cores, enable_categorical=True,
        early_stopping_rounds=None if valid is None else PATIENCE,
        callbacks=None if valid is None else [End()], **parameters,
    )  # fmt: skip
    if valid is None:
        return Boosted(rounds, predictor(job, model.fit(*train)), model)
    model.fit(*train, eval_set=[valid], verbose=False)
    # Told to end after the very first round, it has not noted a best one.
    return Boosted(getattr(model, "best_iteration", 0) + 1, predictor(job, model), model)


def catboost(fit: Fit) -> Boosted:
    """CatBoost; categories as text (``cat_features``), a missing one as a category."""
    import catboost as cat

    job, parameters, rounds, train, valid, late = fit

    class End:
        def after_iteration(self, info: Any) -> bool:
            return not late()

    text = [c for c in train[0].columns if train[0][c].dtype == "category"]

    def columns(X: pd.DataFrame) -> pd.DataFrame:
        return X.assign(**{c: X[c].astype(object).fillna("").astype(str) for c in text})

    make = cat.CatBoostRegressor if job.labels is None else cat.CatBoostClassifier
    model = make(
        iterations=rounds, random_seed=job.seed, thread_count=job.cores, cat_features=text,
        allow_writing_files=False, verbose=False,
        early_stopping_rounds=None if valid is None else PATIENCE, **parameters,
    )  # fmt: skip
    if valid is None:
        model.fit(columns(train[0]), train[1])
    else:
        checked = (columns(valid[0]), valid[1])
        model.fit(columns(train[0]), train[1], eval_set=checked, callbacks=[End()])
        rounds = model.get_best_iteration() + 1
    predict = predictor(job, model)
    return Boosted(rounds, lambda X: predict(columns(X)), model)


LIBRARIES: dict[str, Library] = {"lightgbm": lightgbm, "xgboost": xgboost, "catboost": catboost}


def by_default(job: Job, rows: Rows) -> Boosted:
    """Fit by the library's defaults; early stopping on a tenth of the training rows."""
    a, v = split(job, rows.y, 0.1)
    train, valid = ((rows.X.iloc[part], rows.y[part]) for part in (a, v))
    library, rounds = LIBRARIES[job.system], MAX_ROUNDS[job.system]
    return library(Fit(job, {}, rounds, train, valid))


SPACES: dict[str, dict[str, tuple[float, float, bool, float]]] = {
    "lightgbm": {
        "learning_rate": (0.01, 0.3, True, 0.1), "num_leaves": (2, 256, True, 31),
        "min_child_samples": (5, 100, False, 20), "colsample_bytree": (0.4, 1.0, False, 1.0),
        "subsample": (0.4, 1.0, False, 1.0), "subsample_freq": (1, 7, False, 1),
        "reg_alpha": (1e-8, 10.0, True, 1e-8), "reg_lambda": (1e-8, 10.0, True, 1e-8),
    },
    "xgboost": {
        "learning_rate": (0.01, 0.3, True, 0.3), "max_depth": (3, 10, False, 6),
        "min_child_weight": (1e-3, 1e2, True, 1.0), "subsample": (0.5, 1.0, False, 1.0),
        "colsample_bytree": (0.5, 1.0, False, 1.0), "gamma": (1e-8, 1e2, True, 1e-8),
        "reg_lambda": (1e-2, 1e2, True, 1.0),
    },
    "catboost": {
        "learning_rate": (0.01, 0.3, True, 0.05), "depth": (3, 10, False, 6),
        "l2_leaf_reg": (1.0, 10.0, True, 3.0), "bagging_temperature": (0.0, 1.0, False, 1.0),
        "leaf_estimation_iterations": (1, 10, False, 1),
    },
}  # fmt: skip
"""Least, most, whether by the logarithm, and the default, which is the first trial. LightGBM's is the space of Optuna's
own examples; XGBoost's and CatBoost's are those of Gorishniy et al. 2021 (arXiv:2106.11959, appendix), without rates
below 0.01, which have no time to learn here, and without the most extreme weights."""


def suggest(trial: Any, space: Mapping[str, tuple[float, float, bool, float]]) -> dict[str, Any]:
    """Return a trial's parameters; a range whose ends are whole numbers has whole numbers."""
    return {
        name: (trial.suggest_int if isinstance(low, int) else trial.suggest_float)(
            name, low, high, log=log
        )
        for name, (low, high, log, _) in space.items()
    }


def tuned(job: Job, rows: Rows) -> Boosted:
    """Tune by Optuna's TPE on a fixed fifth of the training rows; train the best again on all, within the limit.

    Trials are compared by log-loss or RMSE. A trial stops when there would be no time left to train it, or the
    best one before it, again.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    name = job.system.removesuffix("-tuned")
    library, space = LIBRARIES[name], SPACES[name]
    a, v = split(job, rows.y, 0.2)
    train, valid = ((rows.X.iloc[part], rows.y[part]) for part in (a, v))
    best, seconds = np.inf, 0.0
    parameters: dict[str, Any] = {}
    rounds = 1

    def late(since: float | None = None) -> bool:
        now = time.time()
        again = max(seconds, 0.0 if since is None else now - since)
        return now + REFIT * again > job.began + job.limit - 1

    def objective(trial: Any) -> float:
        nonlocal best, seconds, parameters, rounds
        began, drawn = time.time(), suggest(trial, space)
        fitted = library(Fit(job, drawn, TUNED_ROUNDS, train, valid, lambda: late(began)))
        found = loss(job, valid[1], fitted.predict(valid[0]))
        if found < best:
            best, parameters, rounds = found, drawn, fitted.rounds
            seconds = time.time() - began
        return found

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=job.seed))
    study.enqueue_trial({key: default for key, (_, _, _, default) in space.items()})
    study.optimize(objective, callbacks=[lambda s, _: s.stop() if late() else None])
    whole = (rows.X, rows.y)
    return library(Fit(job, parameters, rounds, whole))


# --- scikit-learn ---------------------------------------------------------------------------------


def hgb(job: Job, rows: Rows) -> Boosted:
    """scikit-learn's boosted trees; early stopping as the others; columns of over 255 categories become numbers."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    many = [
        c for c in rows.X if rows.X[c].dtype == "category" and len(rows.X[c].cat.categories) > 255
    ]

    def columns(X: pd.DataFrame) -> pd.DataFrame:
        return X.assign(**{c: X[c].cat.codes.astype(float) for c in many})

    make = HistGradientBoostingRegressor if job.labels is None else HistGradientBoostingClassifier
    model = make(
        max_iter=4000, early_stopping=True, n_iter_no_change=PATIENCE, random_state=job.seed,
        categorical_features="from_dtype",
    ).fit(columns(rows.X), rows.y)  # fmt: skip
    predict = predictor(job, model)
    return Boosted(model.n_iter_, lambda X: predict(columns(X)), model)


def mlp(job: Job, rows: Rows) -> np.ndarray:
    """scikit-learn's MLP on imputed, scaled and one-hot columns, a number standardised; early stopping."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    from benchmarks.search import encoded

    x, _, X, _ = encoded(rows.X.assign(target=0), rows.X_test.assign(target=0), "target")
    if job.labels is not None:
        net = MLPClassifier(early_stopping=True, random_state=job.seed)
        return net.fit(x, rows.y).predict_proba(X)
    mean, std = rows.y.mean(), rows.y.std()
    net = MLPRegressor(early_stopping=True, random_state=job.seed).fit(x, (rows.y - mean) / std)
    return mean + std * net.predict(X)


# --- answering ------------------------------------------------------------------------------------

BOOSTED: dict[str, Callable[[Job, Rows], Boosted]] = {
    **dict.fromkeys(LIBRARIES, by_default),
    **{f"{name}-tuned": tuned for name in LIBRARIES},
    "hgb": hgb,
}
"""Boosted trees; `benchmarks.gap` also asks them for their splits."""


def boosted(job: Job, rows: Rows) -> np.ndarray:
    """Fit boosted trees and predict the test rows."""
    return BOOSTED[job.system](job, rows).predict(rows.X_test)


SYSTEMS: dict[str, System] = {**dict.fromkeys(BOOSTED, boosted), "mlp": mlp}
NEEDS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in LIBRARIES},
    **{f"{name}-tuned": (name, "optuna") for name in LIBRARIES},
    "hgb": ("scikit-learn",),
    "mlp": ("scikit-learn",),
}
"""Distributions that a system needs."""

MODULES = {"scikit-learn": "sklearn", "autogluon.tabular": "autogluon.tabular"}


def version(distributions: tuple[str, ...]) -> str:
    """Return versions, as ``lightgbm4.6.0+optuna4.2.0``; each is imported, or the process ends with a sentence."""
    for name in distributions:
        try:
            importlib.import_module(MODULES.get(name, name))
        except Exception as error:
            sys.exit(f"{name} cannot be imported ({type(error).__name__}: {error})")
    return "+".join(f"{name}{importlib.metadata.version(name)}" for name in distributions)


def serve(systems: Mapping[str, System], needs: Mapping[str, tuple[str, ...]]) -> None:
    """Do what the command line asks for: say a system's version, or do the job in a folder."""
    if sys.argv[1] == "--version":
        print(version(needs[sys.argv[2]]))
        return
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    job = Job(**json.loads((folder / "job.json").read_text(encoding="utf-8")))
    predicted = systems[job.system](job, read(job, folder))
    np.savez(folder / "predictions.npz", predicted=np.asarray(predicted, float))


if __name__ == "__main__":
    serve(SYSTEMS, NEEDS)
