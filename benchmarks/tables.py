"""popnet's command against LightGBM and scikit-learn's MLP on real tables, on the same split.

    python -m benchmarks.tables [--tables adult,california,diamonds] [--limit 3m] [--large] [--made 1000000]
        [--markdown FILE]

popnet is run as its users run it: ``popnet fit`` with a time limit, then ``popnet evaluate`` on rows that it never saw;
wall time and peak memory are those of the whole process. The peers get the same training rows: LightGBM with early
stopping on a tenth of them, scikit-learn's MLP with early stopping on scaled and one-hot columns. Tables come from
``POPNET_DATA`` (else ``../shared/data``); nothing of a test part is looked at before the end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from benchmarks.sources import SOURCES, folder
from benchmarks.table import conditions, markdown


@dataclass(frozen=True)
class Table:
    """A table: its target, and whether that is a class. Tables without a test file are split 80/20, seed 0."""

    name: str
    target: str
    classes: bool


KNOWN = {
    t.name: t
    for t in (
        Table("adult", "income", True),
        Table("california", "median_house_value", False),
        Table("diamonds", "price", False),
        Table("phoneme", "class", True),
        Table("bank", "target", True),
        Table("cpu_act", "target", False),
        Table("letter", "target", True),
        Table("churn", "Exited", True),
        Table("abalone", "rings", False),
        Table("wine_quality", "quality", False),
        Table("credit_g", "class", True),
        Table("otto", "target", True),
        Table("jasmine", "class", True),
        Table("segmentation", "target", True),
        Table("default_credit", "default", True),
        Table("sylvine", "class", True),
        Table("australian", "target", True),
        Table("car", "target", True),
        Table("ames_housing", "SalePrice", False),
        Table("mfeat_factors", "target", True),
        Table("shuttle", "target", True),
        Table("connect_4", "target", True),
        Table("bike_sharing", "count", False),
        Table("titanic", "survived", True),
        Table("mercedes", "y", False),
        Table("covertype_60k", "Cover_Type", True),
        Table("nursery", "target", True),
        Table("chess_krvk", "target", True),
        Table("protein", "target", False),
        Table("steps", "target", False),
    )
}
"""Tables that benchmarks know, by name."""

APART = ("mercedes", "covertype_60k", "nursery", "chess_krvk", "protein", "steps")
"""Tables on which nothing is chosen: `benchmarks.portfolio` leaves them out."""


def known(names: str) -> list[Table]:
    """Return tables by their names, with commas between."""
    return [KNOWN[name] for name in names.split(",")]


TABLES = known("adult,california,diamonds,phoneme,bank,cpu_act")
COVERTYPE = Table("covertype", "Cover_Type", True)


def load(table: Table, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return training and test rows; of a table without a test file the seed draws them."""
    home = folder() / table.name
    if (home / "test.csv.gz").exists():
        return pd.read_csv(home / "train.csv.gz"), pd.read_csv(home / "test.csv.gz")
    made = SOURCES.get(table.name)
    frame = pd.read_csv(home / "data.csv.gz") if made is None else made()
    train, test = train_test_split(
        frame,
        test_size=0.2,
        random_state=seed,
        stratify=frame[table.target] if table.classes else None,
    )
    return train, test


def generated(rows: int, seed: int = 0) -> pd.DataFrame:
    """Return a made table of 20 numeric columns and a class that depends on products and thresholds of some."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, 20)).astype(np.float32)
    score = (
        X[:, 0] * X[:, 1]
        + np.sin(2 * X[:, 2])
        + (X[:, 3] > 0.5)
        + 0.5 * X[:, 4]
        + rng.normal(0, 0.5, rows)
    )
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(20)])
    frame["y"] = np.where(score > 0.4, "yes", "no")
    return frame


def measure(command: list[str]) -> tuple[dict[str, Any], float, float]:
    """Run a command that prints JSON; return it, wall seconds, and peak memory in MB."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(command)}")
    return json.loads(out), time.perf_counter() - began, usage.ru_maxrss / 1024


def popnet(
    train: pd.DataFrame, test: pd.DataFrame, target: str, limit: str, seed: int
) -> dict[str, Any]:
    """Fit and evaluate by the command line."""
    with tempfile.TemporaryDirectory() as home:
        paths = {name: Path(home) / f"{name}.csv" for name in ("train", "test")}
        train.to_csv(paths["train"], index=False)
        test.to_csv(paths["test"], index=False)
        base = [sys.executable, "-m", "popnet"]
        model = str(Path(home) / "model")
        fit, seconds, memory = measure(
            [*base, "fit", str(paths["train"]), "--target", target, "--time-limit", limit, "--seed", str(seed),
             "--out", model, "--json"]
        )  # fmt: skip
        scored, predicting, predict_memory = measure(
            [*base, "evaluate", model, str(paths["test"]), "--json"]
        )
    return {
        **scored["metrics"], "seconds": seconds, "MB": memory, "members": fit["members"],
        "evaluate seconds": predicting, "evaluate MB": predict_memory,
    }  # fmt: skip


def scores(classes: bool, true: Any, predicted: Any, proba: Any = None) -> dict[str, float]:
    """Return the same metrics as popnet's for a peer."""
    from sklearn import metrics as sk

    if classes:
        return {
            "accuracy": sk.accuracy_score(true, predicted),
            "log_loss": sk.log_loss(true, proba),
        }
    return {
        "rmse": float(np.sqrt(sk.mean_squared_error(true, predicted))),
        "r2": sk.r2_score(true, predicted),
    }


def boosted(
    train: pd.DataFrame, test: pd.DataFrame, table: Table, seed: int
) -> tuple[Any, pd.DataFrame]:
    """Fit LightGBM with its own handling of categories; early stopping (patience 50) on a tenth of the training rows.

    Returns:
        The model, and the test rows' columns as it takes them.
    """
    import lightgbm as lgb

    joined = pd.concat([train, test])
    X = joined.drop(columns=table.target)
    for c in X.columns:
        if not pd.api.types.is_numeric_dtype(X[c]):
            X[c] = X[c].astype("category")
    X_train, X_test = X.iloc[: len(train)], X.iloc[len(train) :]
    y = train[table.target]
    A, V, a, v = train_test_split(
        X_train, y, test_size=0.1, random_state=seed, stratify=y if table.classes else None
    )
    make = lgb.LGBMClassifier if table.classes else lgb.LGBMRegressor
    model = make(
        n_estimators=4000, learning_rate=0.05, random_state=seed, n_jobs=os.cpu_count(), verbose=-1
    )
    model.fit(A, a, eval_set=[(V, v)], callbacks=[lgb.early_stopping(50, verbose=False)])
    return model, X_test


def lightgbm(train: pd.DataFrame, test: pd.DataFrame, table: Table, seed: int) -> dict[str, Any]:
    """Return what LightGBM scores, and the seconds that it takes; see `boosted`."""
    began = time.perf_counter()
    model, X_test = boosted(train, test, table, seed)
    proba = model.predict_proba(X_test) if table.classes else None
    found = scores(table.classes, test[table.target], model.predict(X_test), proba)
    return {**found, "seconds": time.perf_counter() - began}


def sklearn_mlp(train: pd.DataFrame, test: pd.DataFrame, table: Table, seed: int) -> dict[str, Any]:
    """scikit-learn's MLP on imputed, scaled and one-hot columns, early stopping on a tenth of the rows."""
    import warnings

    from sklearn.compose import (
        TransformedTargetRegressor,
        make_column_selector,
        make_column_transformer,
    )
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    warnings.simplefilter("ignore")
    began = time.perf_counter()
    columns = make_column_transformer(
        (
            make_pipeline(SimpleImputer(), StandardScaler()),
            make_column_selector(dtype_include="number"),
        ),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
    )
    options = {"early_stopping": True, "random_state": seed}
    net: Any = (
        MLPClassifier(**options)
        if table.classes
        else TransformedTargetRegressor(MLPRegressor(**options), transformer=StandardScaler())
    )
    model = make_pipeline(columns, net).fit(train.drop(columns=table.target), train[table.target])
    X = test.drop(columns=table.target)
    proba = model.predict_proba(X) if table.classes else None
    found = scores(table.classes, test[table.target], model.predict(X), proba)
    return {**found, "seconds": time.perf_counter() - began}


def made_job(rows: int, limit: str) -> tuple[Table, pd.DataFrame, pd.DataFrame, str]:
    """Return a table of made training rows and 50,000 test rows, with popnet's time limit."""
    made = generated(rows + 50_000)
    return Table("generated", "y", True), made[:rows], made[rows:], limit


def row(table: Table, name: str, rows: int, found: dict[str, Any]) -> list[str]:
    """Return a line of the table."""
    keys = ("accuracy", "log_loss") if table.classes else ("rmse", "r2")
    values = [f"{found[k]:.4f}" if found[k] < 100 else f"{found[k]:.0f}" for k in keys]
    extra = f"{found['MB']:.0f}" if "MB" in found else ""
    return [f"{table.name} ({rows:,})", name, " / ".join(values), f"{found['seconds']:.1f}", extra]


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", default="adult,california,diamonds")
    parser.add_argument("--limit", default="3m", help="popnet's time limit for each")
    parser.add_argument(
        "--large", action="store_true", help="also covertype and 2 million made rows, 5m each"
    )
    parser.add_argument("--made", default="", metavar="ROWS[,ROWS]", help="also so many made rows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--markdown", type=Path, help="also write the table to this file")
    args = parser.parse_args()
    wanted = [t for t in [*TABLES, COVERTYPE] if t.name in args.tables.split(",")]
    jobs = [(t, *load(t), args.limit) for t in wanted]
    if args.large:
        jobs.append((COVERTYPE, *load(COVERTYPE), "5m"))
        jobs.append(made_job(2_000_000, "5m"))
    jobs += [made_job(int(rows), args.limit) for rows in args.made.split(",") if rows]
    lines = []
    for table, train, test, limit in jobs:
        found = popnet(train, test, table.target, limit, args.seed)
        print(table.name, found, file=sys.stderr, flush=True)
        lines.append(row(table, f"popnet, {limit}, {found['members']} members", len(train), found))
        lines.append(row(table, "LightGBM", len(train), lightgbm(train, test, table, args.seed)))
        if len(train) < 500_000:
            lines.append(
                row(
                    table,
                    "scikit-learn MLP",
                    len(train),
                    sklearn_mlp(train, test, table, args.seed),
                )
            )
    head = [
        "table (training rows)",
        "system",
        "accuracy / log-loss, or RMSE / R2",
        "seconds",
        "peak MB",
    ]
    text = markdown(head, lines)
    print(text)
    if args.markdown:
        args.markdown.write_text(
            "\n\n".join([text, *conditions("benchmarks.tables")]) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
