"""Which few recipes together do best over many real tables: the portfolio of ``popnet/tuning/portfolio.py``.

    python -m benchmarks.portfolio measure [--tables a,b,c] [--recipes 40] [--rows 10000] [--folder .portfolio]
    python -m benchmarks.portfolio choose [--confirm d,e,f] [--count 8] [--folder .portfolio]

``measure`` trains the same random recipes on two folds of each table's training part (the rows that a fit would hold
out for its test are not looked at) and keeps curves, times and predictions of held-out rows, a file a table; what is
there is not measured again. ``choose`` adds recipes one by one: each time the one with which greedy ensembles are best,
on average over the tables. Weights of an ensemble are chosen on one half of the held-out rows and judged on the other.
A table's losses are normalised: 0 for the best single recipe of it, 1 for the default recipe.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.table import markdown
from benchmarks.tables import Table, folder, load

TABLES = {
    t.name: t
    for t in (
        Table("phoneme", "class", True), Table("churn", "Exited", True), Table("adult", "income", True),
        Table("bank", "target", True), Table("letter", "target", True), Table("credit_g", "class", True),
        Table("otto", "target", True), Table("jasmine", "class", True), Table("segmentation", "target", True),
        Table("california", "median_house_value", False), Table("cpu_act", "target", False),
        Table("wine_quality", "quality", False), Table("abalone", "rings", False),
        Table("diamonds", "price", False), Table("default_credit", "default", True),
        Table("sylvine", "class", True), Table("australian", "target", True), Table("car", "target", True),
        Table("ames_housing", "SalePrice", False), Table("mfeat_factors", "target", True),
        Table("shuttle", "target", True), Table("connect_4", "target", True),
        Table("bike_sharing", "count", False), Table("titanic", "survived", True),
    )
}  # fmt: skip
"""Tables with their targets."""

STRUCTURES: tuple[dict[str, Any], ...] = (
    {}, {"width": 256}, {"depth": 3}, {"depth": 3, "width": 256, "numeric_embedding": "none"}, {"embedding_size": 6},
    {"depth": 1, "width": 256},
)  # fmt: skip
EPOCHS = (8, 16, 32)


def random_recipe(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return changes of the default recipe, structure and numbers; number 0 changes nothing."""
    rng = np.random.default_rng(number)
    if number == 0:
        return {}, {"epochs": 24}

    def log(low: float, high: float) -> float:
        return float(low * (high / low) ** rng.random())

    numbers = {
        "epochs": int(rng.choice(EPOCHS)),
        "activation": str(rng.choice(["relu", "silu", "mish", "gelu", "elu", "prelu"])),
        "norm": str(rng.choice(["batch", "batch", "batch", "none", "layer"])),
        "learning_rate": log(8e-4, 1.6e-2),
        "weight_decay": log(1e-3, 3.0),
        "dropout": float(rng.choice([0.0, rng.uniform(0, 0.6), rng.uniform(0, 0.6)])),
        "beta2": float(rng.choice([0.95, 0.99, 0.999])),
        "ema": float(rng.choice([0.0, 0.99, 0.998])),
        "schedule": str(rng.choice(["cosine", "coslog", "warmup_cosine", "one_cycle"])),
        "label_smoothing": float(rng.choice([0.0, 0.0, 0.05])),
        "input_noise": float(rng.choice([0.0, 0.0, log(0.003, 0.1)])),
        "mixup": float(rng.choice([0.0, 0.0, 0.0, 0.2])),
        "embedding_scale": log(0.03, 3),
        "embedding_spread": float(rng.choice([0.5, 1.0])),
    }
    return STRUCTURES[number % len(STRUCTURES)], numbers


def measure(table: Table, recipes: int, most_rows: int, home: Path, folds: int = 2) -> None:
    """Train the recipes on a table and write what came out."""
    from popnet import ensemble
    from popnet.fit import prepare
    from popnet.options import Options
    from popnet.population.members import Member
    from popnet.population.predict import Net, predict
    from popnet.population.program import Arrays
    from popnet.population.train import Trainer
    from popnet.tuning.table_space import default_space

    began = time.perf_counter()
    frame = load(table)[0] if (folder() / table.name / "test.csv.gz").exists() else pd.read_csv(
        folder() / table.name / "data.csv.gz"
    )  # fmt: skip
    if len(frame) > most_rows:
        frame = frame.sample(most_rows, random_state=0)
    ready = prepare(frame, table.target, Options(members=5))
    used = ready.folds[:folds]
    base = default_space(ready.data, len(used[0].train)).base
    drawn = []
    for number in range(recipes):
        structure, numbers = random_recipe(number)
        changes = {**structure, **numbers}
        if base.numeric_embedding == "none":
            changes = {k: v for k, v in changes.items() if not k.startswith("embedding")}
        if ready.data.task == "regression":
            changes.pop("label_smoothing", None)
        drawn.append(base.replace(**changes, patience=changes["epochs"]))
    members = [Member(r, i, f) for i, r in enumerate(drawn) for f in range(len(used))]
    trainer = Trainer(Arrays(ready.data, ready.data, used))
    results = dict(trainer.run(enumerate(members)))
    predictions, curves = [], []
    for k, member in enumerate(members):
        r = results[k]
        found = predict([Net(member.recipe, r.shape, r.parameters, r.running)], ready.data.features, used[member.fold].valid)[0]  # fmt: skip
        found = found if ready.data.task == "regression" else ensemble.softmax(found)
        predictions.append(np.nan_to_num(found).astype(np.float32))
        curves.append({"seconds": r.seconds, "epochs": r.epochs, "best": r.best_epoch, "valid": r.curves["valid_loss"].tolist()})  # fmt: skip
    arrays = {
        f"p{f}": np.stack([p for p, m in zip(predictions, members, strict=True) if m.fold == f])
        for f in range(len(used))
    }
    truth = {f"y{f}": ready.data.target[fold.valid] for f, fold in enumerate(used)}
    facts = {"recipes": [r.model_dump(mode="json") for r in drawn], "members": curves, "rows": len(used[0].train)}  # fmt: skip
    np.savez(home / f"{table.name}.npz", **arrays, **truth, facts=json.dumps(facts))
    print(f"{table.name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


class Measured:
    """What was measured of a table: losses of each recipe and each half of each fold's held-out rows."""

    def __init__(self, path: Path) -> None:
        stored = np.load(path)
        facts = json.loads(str(stored["facts"]))
        self.name, self.recipes, self.rows = path.stem, facts["recipes"], facts["rows"]
        self.folds = [(stored[f"p{f}"], stored[f"y{f}"]) for f in range(2)]
        members = facts["members"]
        self.seconds = np.array([
            members[2 * i]["seconds"] + members[2 * i + 1]["seconds"] for i in range(len(self.recipes))
        ])  # fmt: skip
        self.alone = np.array([self.loss([i]) for i in range(len(self.recipes))])
        self.default, self.best = self.alone[0], self.alone.min()

    def loss(self, chosen: list[int]) -> float:
        """Return the loss of the greedy ensemble of some recipes, whose weights other rows have chosen."""
        from popnet import ensemble
        from popnet.metrics import METRICS

        total, count = 0.0, 0
        for predictions, true in self.folds:
            metric = METRICS["rmse" if true.ndim == 2 else "log_loss"]
            for half in (0, 1):
                seen, other = slice(half, None, 2), slice(1 - half, None, 2)
                some = predictions[chosen]
                weights = np.ones(1)
                if len(chosen) > 1:
                    weights = ensemble.greedy(some[:, seen], true[seen], metric, steps=25).weights
                mixed = ensemble.combine(some[:, other], weights)
                loss = metric.loss(true[other], mixed)
                total, count = total + loss, count + 1
        return total / count

    def normalised(self, loss: float) -> float:
        """Return a loss between that of the best recipe alone, 0, and the default recipe's, 1."""
        return (loss - self.best) / max(self.default - self.best, 0.02 * self.best)


def choose(tables: list[Measured], count: int) -> list[int]:
    """Return recipes, each the one that helps the ensembles of all tables most."""
    chosen: list[int] = []
    while len(chosen) < count:
        gains = {
            i: np.mean([t.normalised(t.loss([*chosen, i])) for t in tables])
            for i in range(len(tables[0].recipes)) if i not in chosen
        }  # fmt: skip
        pick = min(gains, key=lambda i: (gains[i], i))
        chosen.append(pick)
        print(f"{len(chosen)}: recipe {pick}, {gains[pick]:.3f}", file=sys.stderr, flush=True)
    return chosen


def main() -> None:
    """Measure or choose."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("measure", "choose"))
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--recipes", type=int, default=40)
    parser.add_argument("--rows", type=int, default=5000, help="of a table, at most")
    parser.add_argument("--confirm", default="", help="tables that nothing is chosen on")
    parser.add_argument("--count", type=int, default=8, help="recipes to choose")
    parser.add_argument("--folder", type=Path, default=Path(".portfolio"))
    args = parser.parse_args()
    args.folder.mkdir(exist_ok=True)
    if args.part == "measure":
        for name in args.tables.split(","):
            if not (args.folder / f"{name}.npz").exists():
                measure(TABLES[name], args.recipes, args.rows, args.folder)
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
        print(json.dumps({**random_recipe(i)[0], **random_recipe(i)[1]}))


if __name__ == "__main__":
    main()
