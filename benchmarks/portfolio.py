"""Which few recipes together do best over many real tables: the portfolio of ``popnet/tuning/space/portfolio.py``.

    python -m benchmarks.portfolio measure [--tables a,b,c] [--rows 5000] [--folder .portfolio]
    python -m benchmarks.portfolio choose [--confirm d,e,f] [--count 8] [--folder .portfolio]

``measure`` trains the same candidates on two folds of each table's training part (the other benchmarks' test rows are
not looked at) and keeps times and predictions of held-out rows, a file a table; what is there is not measured again.
``choose`` adds recipes one by one: each time the one with which greedy ensembles are best, on average over the tables.
Weights of an ensemble are chosen on one half of the held-out rows and judged on the other. What is averaged over tables
is the logarithm of the loss (log-loss or RMSE).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table import markdown
from benchmarks.tables import APART, KNOWN, Table, known, load

EPOCHS, FOLDS = 16, 2

BASE = {
    "depth": 3, "activation": "mish", "norm": "batch", "dropout": 0.0, "learning_rate": 7e-3, "weight_decay": 0.5,
    "beta2": 0.99, "ema": 0.998, "schedule": "cosine", "numeric_embedding": "periodic", "embedding_scale": 0.05,
}  # fmt: skip
"""What the candidates are changes of; batch size, width and frequencies follow from the data."""

PIECE = {"numeric_embedding": "piecewise", "embedding_size": 48}
SILU = {"activation": "silu", "learning_rate": 5e-3, "dropout": 0.2, "ema": 0.99}
PLAIN = {
    "width": 256, "numeric_embedding": "none", "activation": "relu", "weight_decay": 0.1, "ema": 0.99,
}  # fmt: skip
LAYER = {
    "norm": "layer",
    "activation": "prelu",
    "learning_rate": 5e-3,
    "weight_decay": 0.05,
    "dropout": 0.3,
}

CANDIDATES: tuple[dict[str, Any], ...] = (
    {},
    {"dropout": 0.2},
    {"embedding_scale": 0.3, "dropout": 0.1},
    {**SILU, "embedding_scale": 0.1},
    {**SILU, "embedding_scale": 0.1, "dropout": 0.4},
    {**SILU, "embedding_scale": 1.0},
    {"learning_rate": 1e-3, "weight_decay": 0.3, "ema": 0.99, "embedding_scale": 0.3},
    PIECE,
    {**PIECE, "embedding_size": 24},
    {**PIECE, "embedding_size": 12},
    {**PIECE, "dropout": 0.2},
    {**PIECE, "dropout": 0.4},
    {**PIECE, "learning_rate": 2e-3},
    {**PIECE, "learning_rate": 1.4e-2},
    {**PIECE, "weight_decay": 0.1},
    {**PIECE, "weight_decay": 1.5},
    {**PIECE, "width": 256},
    {**PIECE, "depth": 2},
    {**PIECE, "depth": 1, "width": 256, "dropout": 0.1},
    {**PIECE, **SILU},
    {**PIECE, "activation": "relu", "dropout": 0.2},
    {**PIECE, "input_dropout": 0.1},
    {**PIECE, **LAYER},
    {**PIECE, "label_smoothing": 0.05},
    {**PLAIN, "learning_rate": 4e-3, "dropout": 0.1},
    {**PLAIN, "learning_rate": 9e-3},
    {**PLAIN, "learning_rate": 9e-3, "activation": "silu", "dropout": 0.2, "weight_decay": 0.5},
)  # fmt: skip
"""Changes of `BASE`: the first is none. Rounded and varied from the best of 40 random recipes (all fields of the
space, and 8, 16 or 32 epochs) on eight of the tables, with what piecewise-linear embeddings may need."""


def measure(table: Table, most_rows: int, home: Path) -> None:
    """Train the recipes on a table and write what came out."""
    from popnet.fitting.run import prepare
    from popnet.options import Options
    from popnet.population.feed import Arrays
    from popnet.population.members import Member
    from popnet.population.predict import Net, predict
    from popnet.population.train import Trainer
    from popnet.predictions import ensemble
    from popnet.tuning.space.table_space import default_space

    began = time.perf_counter()
    frame, _ = load(table)
    if len(frame) > most_rows:
        frame = frame.sample(most_rows, random_state=0)
    ready = prepare(frame, table.target, Options(members=5))
    used = ready.folds[:FOLDS]
    base = default_space(ready.data, len(used[0].train)).base
    drawn = []
    for candidate in CANDIDATES:
        changes = {**BASE, **candidate}
        if ready.data.task == "regression":
            changes.pop("label_smoothing", None)
        if base.numeric_embedding == "none":  # no column to embed
            changes = {
                f: v for f, v in changes.items() if not f.startswith(("embedding", "numeric"))
            }
        drawn.append(base.replace(**changes, epochs=EPOCHS, patience=EPOCHS))
    members = [Member(r, i, f) for i, r in enumerate(drawn) for f in range(len(used))]
    trainer = Trainer(Arrays(ready.data, ready.data, used))
    results = dict(trainer.run(enumerate(members)))
    predictions = []
    for k, member in enumerate(members):
        r = results[k]
        net = Net(member.recipe, r.shape, r.parameters, r.running)
        found = predict([net], ready.data.features, used[member.fold].valid)[0]
        found = found if ready.data.task == "regression" else ensemble.softmax(found)
        predictions.append(np.nan_to_num(found).astype(np.float32))
    arrays = {
        f"p{f}": np.stack([p for p, m in zip(predictions, members, strict=True) if m.fold == f])
        for f in range(len(used))
    }
    truth = {f"y{f}": ready.data.target[fold.valid] for f, fold in enumerate(used)}
    seconds = np.array([results[k].seconds for k in range(len(members))]).reshape(-1, FOLDS).sum(1)
    np.savez(
        home / f"{table.name}.npz", **arrays, **truth, seconds=seconds, rows=len(used[0].train)
    )
    print(f"{table.name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


class Measured:
    """What was measured of a table: losses of each recipe and each half of each fold's held-out rows."""

    def __init__(self, path: Path) -> None:
        stored = np.load(path)
        self.name, self.rows, self.seconds = path.stem, int(stored["rows"]), stored["seconds"]
        self.folds = [(stored[f"p{f}"], stored[f"y{f}"]) for f in range(FOLDS)]
        self.alone = np.array([self.loss([i]) for i in range(len(self.seconds))])
        self.default, self.best = self.alone[0], self.alone.min()

    def loss(self, chosen: list[int]) -> float:
        """Return the loss of the greedy ensemble of some recipes, whose weights other rows have chosen."""
        from popnet.predictions import ensemble
        from popnet.predictions.metrics import METRICS

        losses = []
        for predictions, true in self.folds:
            metric = METRICS["rmse" if true.ndim == 2 else "log_loss"]
            for half in (0, 1):
                seen, other = slice(half, None, 2), slice(1 - half, None, 2)
                some = predictions[chosen]
                weights = np.ones(1)
                if len(chosen) > 1:
                    weights = ensemble.greedy(some[:, seen], true[seen], metric, steps=25).weights
                mixed = ensemble.combine(some[:, other], weights)
                losses.append(metric.loss(true[other], mixed))
        return float(np.mean(losses))


def choose(tables: list[Measured], count: int) -> list[int]:
    """Return recipes, each the one that helps the ensembles of all tables most."""
    chosen: list[int] = []
    while len(chosen) < count:
        gains = {
            i: np.mean([np.log(t.loss([*chosen, i]) / t.default) for t in tables])
            for i in range(len(CANDIDATES)) if i not in chosen
        }  # fmt: skip
        pick = min(gains, key=lambda i: (gains[i], i))
        chosen.append(pick)
        shown = 100 * (np.exp(gains[pick]) - 1)
        print(f"{len(chosen)}: recipe {pick}, {shown:+.1f} %", file=sys.stderr, flush=True)
    return chosen


def main() -> None:
    """Measure or choose."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("measure", "choose"))
    parser.add_argument("--tables", default=",".join(n for n in KNOWN if n not in APART))
    parser.add_argument("--rows", type=int, default=5000, help="of a table, at most")
    parser.add_argument("--confirm", default="", help="tables that nothing is chosen on")
    parser.add_argument("--count", type=int, default=8, help="recipes to choose")
    parser.add_argument("--folder", type=Path, default=Path(".portfolio"))
    args = parser.parse_args()
    args.folder.mkdir(exist_ok=True)
    if args.part == "measure":
        for table in known(args.tables):
            if not (args.folder / f"{table.name}.npz").exists():
                measure(table, args.rows, args.folder)
        return
    confirm = args.confirm.split(",") if args.confirm else []
    every = [Measured(p) for p in sorted(args.folder.glob("*.npz"))]
    chosen = choose([t for t in every if t.name not in confirm], args.count)
    lines = [
        [t.name, f"{t.rows:,}", "confirmed" if t.name in confirm else "chosen on", f"{t.default:.4f}", f"{t.best:.4f}",
         f"{t.loss(chosen):.4f}", f"{t.seconds[chosen].sum() / max(t.seconds[0], 1e-9):.1f}"]
        for t in every
    ]  # fmt: skip
    head = ["table", "rows", "", "default", "best alone", "portfolio", "its time / default's"]
    print(markdown(head, lines))
    for i in chosen:
        print(json.dumps(CANDIDATES[i]))


if __name__ == "__main__":
    main()
