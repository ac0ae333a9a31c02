"""How good are popnet's quantiles, which come from held-out errors, beside models that are trained for each quantile?

    python -m benchmarks.quantiles [--tables california,wine_quality,cpu_act,ames_housing] [--seed 0] [--limit 60]
        [--markdown FILE]

popnet is one ``popnet fit`` with the time limit and ``popnet predict --quantile``, as whole processes; LightGBM,
XGBoost and CatBoost have their defaults and the quantile's loss, are trained once for each quantile and stop early on a
tenth of the rows. Judged on the test rows of `benchmarks.accuracy` by the pinball loss, and by the share of true values
that are below each quantile.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import mean_pinball_loss

from benchmarks.accuracy import parts, run
from benchmarks.peers_trees import LIBRARIES, MAX_ROUNDS, Fit, Job, read, split
from benchmarks.standings import shown
from benchmarks.table import conditions, cores, markdown
from benchmarks.tables import known

TABLES = "california,wine_quality,cpu_act,ames_housing"
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def by_popnet(job: Job, folder: Path) -> np.ndarray:
    """Return quantiles ``(N, levels)`` of a job's test rows."""
    train, test, model, out = (
        str(folder / f) for f in ("train.csv", "test.csv", "model", "out.csv")
    )
    command, own = [sys.executable, "-m", "popnet"], {"POPNET_CACHE": str(folder / "programs")}
    run(
        [*command, "fit", train, "--target", job.target, "--time-limit", f"{job.limit:g}s",
         "--test-size", "0", "--seed", str(job.seed), "--out", model], 600, **own,
    )  # fmt: skip
    levels = ",".join(f"{level:g}" for level in LEVELS)
    run([*command, "predict", model, test, "-o", out, "--quantile", levels], 600, **own)
    found = pd.read_csv(out)
    return found[[f"{job.target}_q{100 * level:g}" for level in LEVELS]].to_numpy(float)


LOSSES: dict[str, Callable[[float], dict[str, Any]]] = {
    "lightgbm": lambda level: {"objective": "quantile", "alpha": level},
    "xgboost": lambda level: {"objective": "reg:quantileerror", "quantile_alpha": level},
    "catboost": lambda level: {"loss_function": f"Quantile:alpha={level:g}"},
}
"""What makes a library's regressor one of a quantile."""


def by_booster(job: Job, folder: Path) -> np.ndarray:
    """Return quantiles ``(N, levels)`` of a job's test rows, of a model each."""
    X, y, test = read(job, folder)
    rows, held_out = split(job, y, 0.1)
    train, valid = (X.iloc[rows], y[rows]), (X.iloc[held_out], y[held_out])
    library, rounds = LIBRARIES[job.system], MAX_ROUNDS[job.system]
    found = [library(Fit(job, LOSSES[job.system](a), rounds, train, valid)) for a in LEVELS]
    return np.stack([model.predict(test) for model in found], 1)


def row(system: str, true: np.ndarray, found: np.ndarray, seconds: float) -> list[str]:
    """Return a system's line: mean pinball loss, that of each quantile, the shares below, seconds."""
    losses = [mean_pinball_loss(true, q, alpha=a) for a, q in zip(LEVELS, found.T, strict=True)]
    below = [f"{100 * np.mean(true < q):.0f}" for q in found.T]
    return [system, shown(float(np.mean(losses))), *map(shown, losses), " ".join(below), f"{seconds:.0f}"]  # fmt: skip


def main() -> None:
    """Measure, and print a table for each data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", default=TABLES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of popnet's fit")
    parser.add_argument("--markdown", type=Path, help="also write the tables to this file")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    head = ["system", "mean", *(f"{100 * a:g} %" for a in LEVELS), "% of values below", "seconds"]
    texts = ["\n".join(f"- {line}" for line in conditions("benchmarks.quantiles"))]
    for table in known(args.tables):
        if table.classes:
            sys.exit(f"{table.name} has classes; quantiles are of numbers.")
        train, test = parts(table, args.seed)
        true = test.pop(table.target).to_numpy(float)
        text = [c for c in test.columns if not pd.api.types.is_numeric_dtype(test[c])]
        lines = []
        for system in ("popnet", *LOSSES):
            began = time.perf_counter()
            job = Job(system, table.target, None, text, args.seed, args.limit, time.time(), cores())
            with tempfile.TemporaryDirectory() as home:
                for name, frame in (("train", train), ("test", test)):
                    frame.to_csv(Path(home) / f"{name}.csv", index=False)
                found = (by_popnet if system == "popnet" else by_booster)(job, Path(home))
            lines.append(row(system, true, found, time.perf_counter() - began))
        texts.append(f"### {table.name}\n\n{markdown(head, lines)}")
        print(texts[-1], flush=True)
    if args.markdown:
        args.markdown.write_text("\n\n".join(texts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
