"""Which frequencies of periodic embeddings suit a table, and what the pilot finds (`popnet.fitting.roughness`).

    python -m benchmarks.frequency [--tables california,steps-0.3,...] [--rows 10000] [--epochs 12] [--markdown FILE]

Nets of the default recipe and of periodic embeddings with one scale after another (spread over half a decade to either
side, with the weight decay of the recipes with fast periods) are trained for so many epochs on two folds of at most so
many rows; the losses are log-loss, or the squared error of the scaled target, of held-out rows at the best epoch. Made
tables are named by what they are and its width in standard deviations: ``steps-W`` is the sum of two columns' steps,
``chess-W`` a chessboard of two columns, ``smooth-W`` has no steps; six normal columns, noise of .3.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.table import publish
from benchmarks.tables import known, load

TABLES = (
    "california,adult,steps-1,steps-0.3,steps-0.1,chess-0.3,phoneme,letter,cpu_act,bank,bike_sharing,sylvine,diamonds,"
    "wine_quality,abalone,churn,smooth-1"
)
SCALES = (0.05, 0.3, 1.0, 3.0, 10.0, 30.0)
LEFT_OUT = {"bike_sharing": ["casual", "registered"]}
"""Columns that give the target away."""


def made(kind: str, width: float, rows: int) -> pd.DataFrame:
    """Return a made table."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, 6))
    a, b = np.floor(x[:, 0] / width) % 2, np.floor(x[:, 1] / width) % 2
    y = {"steps": a + b, "chess": (a + b) % 2, "smooth": np.sin(x[:, 0] / width) + x[:, 1] * x[:, 2]}[kind]  # fmt: skip
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(6)])
    frame["y"] = y + 0.3 * rng.standard_normal(rows)
    return frame


def table(name: str, rows: int) -> tuple[pd.DataFrame, str]:
    """Return at most so many training rows of a table, and its target."""
    kind, _, width = name.partition("-")
    if width:
        return made(kind, float(width), rows), "y"
    (one,) = known(name)
    frame = load(one)[0].drop(columns=LEFT_OUT.get(name, []))
    return frame.sample(min(rows, len(frame)), random_state=0).reset_index(drop=True), one.target


def measure(name: str, rows: int, epochs: int) -> list[str]:
    """Return a line of the table."""
    from popnet.fitting.roughness import roughness
    from popnet.fitting.run import prepare
    from popnet.options import Options
    from popnet.population.feed import Arrays
    from popnet.population.members import Member
    from popnet.population.train import Trainer
    from popnet.tuning.space import portfolio
    from popnet.tuning.space.table_space import default_space

    frame, target = table(name, rows)
    ready = prepare(frame, target, Options(members=5))
    folds = ready.folds[:2]
    found = roughness(ready.data, ready.train, 0)
    size = len(folds[0].train)
    space = default_space(ready.data, size)
    base = space.base.replace(epochs=epochs, patience=epochs)
    slow = default_space(ready.data, size, fast=1.0).known()[1]  # a recipe with periods
    fields = ("numeric_embedding", "embedding_size", "embedding_spread", "weight_decay")
    periods = {f: getattr(slow, f) for f in fields}
    recipes = [base, *(base.replace(**periods, embedding_scale=s) for s in SCALES)]
    if found is not None:
        tried = default_space(ready.data, size, fast=found.scale).known()
        count = len(portfolio.fast(found.scale))
        recipes += [r.replace(epochs=epochs, patience=epochs) for r in tried[1 : 1 + count]]
    members = [Member(r, f, f) for r in recipes for f in range(len(folds))]
    results = dict(Trainer(Arrays(ready.data, ready.data, folds)).run(enumerate(members)))
    best = [min(results[i].curves["valid_loss"]) for i in range(len(members))]
    losses = np.array(best).reshape(len(recipes), -1).mean(axis=1)
    relative = [f"{100 * (v / losses[0] - 1):+.1f} %" for v in losses[1:]]
    pilot = "smooth"
    if found is not None:
        names = ready.encoder.names.numeric
        pilot = f"{found.scale:.3g}, by {' and '.join(names[c] for c in found.columns)}"
    ours = " and ".join(relative[len(SCALES) :]) or "none"
    return [name, pilot, f"{losses[0]:.4f}", *relative[: len(SCALES)], ours]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", default=TABLES)
    parser.add_argument("--rows", type=int, default=10_000, help="of a table, at most")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--markdown", type=Path)
    args = parser.parse_args()
    lines: list[list[str]] = []
    for name in args.tables.split(","):
        lines.append(measure(name, args.rows, args.epochs))
        print(lines[-1], file=sys.stderr, flush=True)
    head = ["table", "pilot", "default", *(f"scale {s:g}" for s in SCALES), "fast recipes"]
    publish(head, lines, "benchmarks.frequency", args.markdown)


if __name__ == "__main__":
    main()
