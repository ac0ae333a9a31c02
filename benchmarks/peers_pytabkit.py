"""Peers of the accuracy benchmark that train PyTorch nets: pytabkit's RealMLP-TD and TabM-D, and AutoGluon.

    python -m benchmarks.peers_pytabkit FOLDER

The job and the answer are those of `benchmarks.peers_trees`. These peers pin versions of their own, so they may live in
an environment without popnet: ``python -m benchmarks.accuracy --python-of realmlp,tabm=/tmp/pytabkit_env/bin/python``.
"""

from __future__ import annotations

import importlib
import tempfile

import numpy as np
import pandas as pd

from benchmarks.peers_trees import Job, Rows, System, predictor, serve

MODELS = {"realmlp": "RealMLP_TD", "tabm": "TabM_D"}


def filled(rows: Rows) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return columns in which missing numbers are the training rows' mean; missing categories stay, they are known."""
    numbers = rows.X.select_dtypes("number")
    means = numbers.mean().fillna(0.0)
    return rows.X.fillna(means), rows.X_test.fillna(means)


def pytabkit(job: Job, rows: Rows) -> np.ndarray:
    """Fit one of pytabkit's nets by its defaults, which hold out a fifth of the rows to choose the epoch."""
    kind = "Regressor" if job.labels is None else "Classifier"
    make = getattr(importlib.import_module("pytabkit"), f"{MODELS[job.system]}_{kind}")
    X, X_test = filled(rows)
    model = make(device="cpu", random_state=job.seed, n_threads=job.cores, verbosity=0)
    return np.asarray(predictor(job, model.fit(X, rows.y))(X_test))


def autogluon(job: Job, rows: Rows) -> np.ndarray:
    """AutoGluon within the time limit, its preset for good quality."""
    from autogluon.tabular import TabularPredictor

    problem = {None: "regression", 2: "binary"}.get(job.labels and len(job.labels), "multiclass")
    with tempfile.TemporaryDirectory() as home:
        model = TabularPredictor("target", problem_type=problem, path=home, verbosity=0)
        model.fit(
            rows.X.assign(target=rows.y), time_limit=job.limit, presets="good_quality",
            num_cpus=job.cores,
        )  # fmt: skip
        if job.labels is None:
            return model.predict(rows.X_test).to_numpy()
        found = model.predict_proba(rows.X_test)
    return found.reindex(columns=range(len(job.labels)), fill_value=0.0).to_numpy()


SYSTEMS: dict[str, System] = {**dict.fromkeys(MODELS, pytabkit), "autogluon": autogluon}
NEEDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(MODELS, ("pytabkit", "torch")),
    "autogluon": ("autogluon.tabular",),
}

if __name__ == "__main__":
    serve(SYSTEMS, NEEDS)
