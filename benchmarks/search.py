"""popnet's searches against those of its peers: the score on untouched rows against the time of the whole process.

    python -m benchmarks.search [--tables phoneme,adult,bank,letter] [--trials 40] [--limits 10,30,90]
        [--seeds 1] [--peers optuna-torch]
    python -m benchmarks.search --grid [--repetitions 20]

The peers, each used as its best user would: scikit-learn's ``RandomizedSearchCV`` and ``HalvingRandomSearchCV`` over
``MLPClassifier`` (early stopping, a process a core, the winner refitted on all rows), and Optuna's TPE with a median
pruner over a PyTorch net (batch norm, dropout, AdamW, one cycle; a process a core with a shared journal, a tenth of the
rows held out, the best trial's best epoch kept). Each has its number of trials; how long that takes is measured. With
``--peers keras-tuner`` also KerasTuner's Hyperband, whose trials are its own, where it is installed
(`benchmarks.peers_keras`). popnet is ``popnet fit`` with each strategy under time limits. All are fresh processes;
start-up, imports, reading and compiling count (popnet's programs are on disk after the first run of a table, which is
its longest). Every system gets the same training rows (popnet holds none of
them out for a score of its own); the test rows are looked at once, at the end.

``--grid`` asks whether random search is better than grid search at equal numbers of trials (Bergstra and Bengio 2012):
`popnet.search` on samples of a table's rows, a repetition a sample and a seed, each winner trained on the whole sample
and scored on the rest of the table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.accuracy import parts
from benchmarks.limits import fit, write
from benchmarks.table import conditions, cores, markdown
from benchmarks.tables import Table, known, load

STRATEGIES = ("portfolio", "random", "grid", "halving", "tpe")
PEERS = ("sklearn-random", "sklearn-halving", "optuna-torch")
LEARNING_RATES, DECAYS = (1e-4, 3e-2), (1e-6, 1e-1)
WIDTHS, DEPTHS = (32, 64, 128, 256), (1, 2, 3)


# --- the peers, each in a process of its own ------------------------------------------------------


def encoded(train: pd.DataFrame, test: pd.DataFrame, target: str) -> tuple[np.ndarray, ...]:
    """Return scaled and one-hot columns, and class numbers, of training and test rows."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore", min_frequency=5, sparse_output=False),
         make_column_selector(dtype_exclude="number")),
    )  # fmt: skip
    _, codes = np.unique(pd.concat([train, test])[target].astype(str), return_inverse=True)
    x = np.asarray(columns.fit_transform(train.drop(columns=target)), np.float32)
    X = np.asarray(columns.transform(test.drop(columns=target)), np.float32)
    return x, codes[: len(x)], X, codes[len(x) :]


def sklearn_search(name: str, data: tuple[np.ndarray, ...], trials: int, seed: int) -> np.ndarray:
    """Return probabilities of the test rows by one of scikit-learn's searches."""
    import warnings

    from scipy.stats import loguniform
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV, RandomizedSearchCV
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore")
    x, y, X, _ = data
    space = {
        "learning_rate_init": loguniform(*LEARNING_RATES),
        "alpha": loguniform(*DECAYS),
        "hidden_layer_sizes": [(w,) * d for w in WIDTHS for d in DEPTHS],
        "activation": ["relu", "tanh"],
        "batch_size": [64, 128, 256],
    }
    net = MLPClassifier(early_stopping=True, n_iter_no_change=10, max_iter=100, random_state=seed)
    shared: dict[str, Any] = {"cv": 3, "n_jobs": cores(), "random_state": seed, "scoring": "neg_log_loss"}  # fmt: skip
    if name == "sklearn-random":
        search = RandomizedSearchCV(net, space, n_iter=trials, **shared)
    else:
        search = HalvingRandomSearchCV(
            net, space, n_candidates=trials, min_resources=max(200, len(x) // 16), **shared
        )
    return search.fit(x, y).predict_proba(X)


def torch_net(trial: Any, inputs: int, outputs: int) -> Any:
    """Return the net of a trial."""
    from torch import nn

    width = trial.suggest_categorical("width", WIDTHS)
    dropout = trial.suggest_float("dropout", 0.0, 0.5)
    kind = trial.suggest_categorical("activation", ["relu", "elu", "tanh"])
    activation = {"relu": nn.ReLU, "elu": nn.ELU, "tanh": nn.Tanh}[kind]
    layers: list[Any] = []
    for k in range(trial.suggest_int("depth", *(DEPTHS[0], DEPTHS[-1]))):
        layers += [nn.Linear(width if k else inputs, width), nn.BatchNorm1d(width)]
        layers += [activation(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def optuna_torch(
    data: tuple[np.ndarray, ...], trials: int, seed: int, worker: int, home: Path
) -> None:
    """Run a worker's part of the study; the best trial's probabilities of the test rows are kept in a file."""
    import optuna
    import torch
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from sklearn.model_selection import train_test_split
    from torch.nn import functional

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(1)
    x, y, X, _ = data
    a, v = train_test_split(np.arange(len(x)), test_size=0.1, random_state=seed, stratify=y)
    tensors = [torch.from_numpy(np.ascontiguousarray(part)) for part in (x[a], y[a], x[v], y[v], X)]
    xt, yt, xv, yv, xx = tensors
    outputs, epochs = int(y.max()) + 1, 40

    def objective(trial: Any) -> float:
        torch.manual_seed(seed + trial.number)
        net = torch_net(trial, x.shape[1], outputs)
        batch = trial.suggest_categorical("batch_size", [64, 128, 256])
        optimizer = torch.optim.AdamW(
            net.parameters(), trial.suggest_float("learning_rate", *LEARNING_RATES, log=True),
            weight_decay=trial.suggest_float("weight_decay", *DECAYS, log=True),
        )  # fmt: skip
        steps = -(-len(xt) // batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, optimizer.param_groups[0]["lr"], total_steps=epochs * steps
        )
        best, waited, kept = np.inf, 0, None
        for epoch in range(epochs):
            net.train()
            order = torch.randperm(len(xt))
            for rows in order.split(batch):
                if len(rows) < 2:
                    continue
                optimizer.zero_grad()
                functional.cross_entropy(net(xt[rows]), yt[rows]).backward()
                optimizer.step()
                schedule.step()
            net.eval()
            with torch.no_grad():
                loss = float(functional.cross_entropy(net(xv), yv))
            if loss < best:
                best, waited = loss, 0
                with torch.no_grad():
                    kept = net(xx).softmax(1).numpy()
            else:
                waited += 1
            trial.report(best, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
            if waited >= 10:
                break
        if kept is not None:
            np.savez(home / f"trial{trial.number}.npz", loss=best, proba=kept)
        return best

    study = optuna.create_study(
        study_name="search", load_if_exists=True,
        storage=JournalStorage(JournalFileBackend(str(home / "journal"))),
        sampler=optuna.samplers.TPESampler(seed=seed + worker, multivariate=True, constant_liar=True),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=3),
    )  # fmt: skip
    study.optimize(objective, n_trials=trials // cores() + (worker < trials % cores()))


def optuna_workers(paths: tuple[Path, Path], target: str, trials: int, seed: int) -> np.ndarray:
    """Run the study with a process a core, and return the best trial's probabilities."""
    with tempfile.TemporaryDirectory() as home:
        workers = [
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "benchmarks.search", "--worker", str(k), "--home", home,
                 "--job", *map(str, paths), target, "optuna-torch", str(trials), str(seed)]
            )
            for k in range(cores())
        ]  # fmt: skip
        if any(w.wait() for w in workers):
            sys.exit("a worker of Optuna's study failed")
        kept = [np.load(p) for p in Path(home).glob("trial*.npz")]
        return min(kept, key=lambda f: float(f["loss"]))["proba"]


def job(arguments: list[str], worker: int | None, home: Path | None) -> None:
    """Run one peer and print its scores as JSON."""
    from sklearn import metrics as sk

    train_path, test_path, target, name, trials, seed = arguments
    paths = Path(train_path), Path(test_path)
    train, test = (pd.read_csv(p) for p in paths)
    data = encoded(train, test, target)
    if worker is not None and home is not None:
        optuna_torch(data, int(trials), int(seed), worker, home)
        return
    if name == "keras-tuner":
        from benchmarks.peers_keras import hyperband

        proba = hyperband(data, WIDTHS, DEPTHS, LEARNING_RATES, DECAYS, int(seed))
    elif name == "optuna-torch":
        proba = optuna_workers(paths, target, int(trials), int(seed))
    else:
        proba = sklearn_search(name, data, int(trials), int(seed))
    truth = data[3]
    print(json.dumps({
        "log_loss": float(sk.log_loss(truth, proba, labels=np.arange(proba.shape[1]))),
        "accuracy": float((proba.argmax(1) == truth).mean()),
    }))  # fmt: skip


# --- the comparison ------------------------------------------------------------------------------


def peer(
    name: str, paths: tuple[Path, Path], target: str, trials: int, seed: int
) -> dict[str, float]:
    """Run a peer as a process of its own."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.search", "--job", *map(str, paths), target, name,
         str(trials), str(seed)],
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr}")
    return {**json.loads(done.stdout), "seconds": time.perf_counter() - began}


def popnet(
    search: str, limit: float, paths: tuple[Path, Path], target: str, seed: int
) -> dict[str, float]:
    """Run ``popnet fit``, then score its model on the test rows."""
    with tempfile.TemporaryDirectory() as home:
        model = Path(home) / "model"
        # The log-loss of the test rows is what all are compared by, so the ensemble is chosen for it.
        ended = fit(
            paths[0], target, model, "--time-limit", f"{limit:g}s", "--search", search, "--seed", str(seed),
            "--metric", "log_loss", "--test-size", "0",
        )  # fmt: skip
        scored = subprocess.run(
            [sys.executable, "-m", "popnet", "evaluate", str(model), str(paths[1]), "--json"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    found = json.loads(scored.stdout)["metrics"]
    return {
        "log_loss": found["log_loss"], "accuracy": found["accuracy"], "seconds": ended.seconds,
        "members": ended.found["members"],
    }  # fmt: skip


def compare(
    table: Table,
    trials: int,
    limits: list[float],
    seeds: int,
    folder: Path,
    strategies: list[str],
    peers: list[str],
) -> tuple[list[list[str]], list[list[str]]]:
    """Return lines of scores and times, and lines that say when popnet reached each peer's score."""
    train, test = parts(table, 0)
    paths = write(train, folder, f"{table.name}-train"), write(test, folder, f"{table.name}-test")
    lines, races = [], []
    found: dict[str, list[dict[str, float]]] = {}

    def note(name: str, one: dict[str, float]) -> None:
        found.setdefault(name, []).append(one)
        print(table.name, name, one, file=sys.stderr, flush=True)

    for seed in range(seeds):
        for name in peers:
            words = name if name == "keras-tuner" else f"{name}, {trials} trials"
            note(words, peer(name, paths, table.target, trials, seed))
        for search in strategies:
            for limit in limits:
                one = popnet(search, limit, paths, table.target, seed)
                note(f"popnet {search}, {limit:g} s", one)
    middle = {
        n: {k: float(np.median([r[k] for r in runs])) for k in runs[0]} for n, runs in found.items()
    }
    for name, one in middle.items():
        lines.append([
            f"{table.name} ({len(train):,})", name, f"{one['log_loss']:.4f}", f"{one['accuracy']:.4f}",
            f"{one['seconds']:.1f}", f"{one['members']:.0f}" if "members" in one else "",
        ])  # fmt: skip
    for name, one in middle.items():
        if name.startswith("popnet"):
            continue
        for search in strategies:
            reached = [
                p["seconds"] for n, p in middle.items()
                if n.startswith(f"popnet {search},") and p["log_loss"] <= one["log_loss"]
            ]  # fmt: skip
            first = min(reached, default=None)
            races.append([
                table.name, name, search, "not reached" if first is None else f"{first:.1f} s",
                "" if first is None else f"{one['seconds'] / first:.1f}",
            ])  # fmt: skip
    return lines, races


# --- random against grid -------------------------------------------------------------------------

AXES: dict[str, tuple[float, float]] = {
    "learning_rate": (1e-4, 1e-1), "weight_decay": (1e-5, 1e-1), "dropout": (0.0, 0.6), "label_smoothing": (0.0, 0.2),
}  # fmt: skip
LOGARITHMIC = ("learning_rate", "weight_decay")


def levels(field: str, count: int) -> list[float]:
    """Return the middles of so many equal parts of a field's range."""
    low, high = AXES[field]
    parts = (np.arange(count) + 0.5) / count
    if field in LOGARITHMIC:
        return [float(v) for v in low * (high / low) ** parts]
    return [float(v) for v in low + (high - low) * parts]


def winner_error(
    X: Any, y: Any, rows: Any, rest: Any, strategy: str, per_axis: int, seed: int
) -> tuple[float, float]:
    """Return log-loss and error rate on the other rows of the recipe that a search found on some rows."""
    from popnet import Dataset, Recipe, search, train_population
    from popnet.population.predict import Net, predict
    from popnet.tuning.space import user_space
    from popnet.tuning.space.space import Space

    trials = per_axis ** len(AXES)
    ranges: dict[str, Any] = {
        f: levels(f, per_axis)
        if strategy == "grid"
        else f"{'log:' if f in LOGARITHMIC else ''}{lo}:{hi}"
        for f, (lo, hi) in AXES.items()
    }
    # Both searches try the base first; its values are the ends of the ranges, so that it gives neither the best.
    ends = {f: low for f, (low, _) in AXES.items()}
    base = Recipe(
        depth=2, width=32, batch_size=64, epochs=25, patience=25, schedule="one_cycle", **ends
    )
    mean, std = X[rows].mean(0), X[rows].std(0) + 1e-9
    scaled = ((X - mean) / std).astype(np.float32)
    data = Dataset.from_arrays(scaled[rows], y[rows], "classification")
    space = Space(base, user_space.dimensions(ranges))
    found = search(data, space, strategy, trials + 1, folds=3, seed=seed, remeasure=False)
    both = Dataset.from_arrays(scaled, y, "classification")
    held = rows[: len(rows) // 10]
    final = train_population(
        both, recipes=[found.best_recipe_], seeds=[seed], folds=[(rows[len(held) :], held)]
    )[0]
    net = Net(final.member.recipe, final.shape, final.parameters, final.running)
    outputs = predict([net], both.features, rest)[0]
    outputs = outputs - outputs.max(1, keepdims=True)
    logs = outputs - np.log(np.exp(outputs).sum(1, keepdims=True))
    truth = y[rest]
    loss = -float(logs[np.arange(len(rest)), truth].mean())
    return loss, float((logs.argmax(1) != truth).mean())


def random_against_grid(tables: list[Table], repetitions: int, rows: int) -> list[list[str]]:
    """Return a line a table and number of trials: mean log-losses and errors, and the paired differences."""
    lines = []
    for table in tables:
        train, test = load(table)
        X, codes, _, _ = encoded(pd.concat([train, test]), test, table.target)
        for per_axis in (2, 3):
            scores = []
            for r in range(repetitions):
                rng = np.random.default_rng(r)
                order = rng.permutation(len(X))
                some, rest = order[:rows], order[rows : rows + 20_000]
                scores.append([
                    winner_error(X, codes, some, rest, s, per_axis, r) for s in ("random", "grid")
                ])  # fmt: skip
            values = np.array(scores)  # repetitions, strategies, (log-loss, error)
            gains = values[:, 1] - values[:, 0]
            rng = np.random.default_rng(0)
            draws = gains[rng.integers(0, len(gains), (4000, len(gains)))].mean(1)
            low, high = np.percentile(draws, [2.5, 97.5], axis=0)
            means = values.mean(0)
            lines.append([
                table.name, f"{per_axis ** len(AXES)}", f"{means[0, 0]:.4f}", f"{means[1, 0]:.4f}",
                f"{gains[:, 0].mean():+.4f} ({low[0]:+.4f} to {high[0]:+.4f})",
                f"{100 * gains[:, 1].mean():+.2f} ({100 * low[1]:+.2f} to {100 * high[1]:+.2f})",
                f"{(gains[:, 0] > 0).sum()} of {len(gains)}",
            ])  # fmt: skip
            print(lines[-1], file=sys.stderr, flush=True)
    return lines


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", default="phoneme,adult,bank,letter")
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--trials", type=int, default=40, help="of each peer")
    parser.add_argument("--limits", default="10,30,90", help="popnet's time limits, in seconds")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--grid", action="store_true", help="random against grid")
    parser.add_argument("--repetitions", type=int, default=20, help="of random against grid")
    parser.add_argument("--rows", type=int, default=1000, help="training rows of random against grid")  # fmt: skip
    parser.add_argument("--markdown", type=Path, help="also write the tables to this file")
    parser.add_argument("--job", nargs=6, help=argparse.SUPPRESS)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        job(args.job, args.worker, args.home)
        return
    wanted = known(args.tables)
    if args.grid:
        head = ["table", "trials", "random: log-loss", "grid: log-loss"]
        head += ["random is better by", "errors fewer by", "random won"]
        texts = [markdown(head, random_against_grid(wanted, args.repetitions, args.rows))]
    else:
        lines, races = [], []
        limits = [float(v) for v in args.limits.split(",")]
        with tempfile.TemporaryDirectory() as home:
            for table in wanted:
                more = compare(
                    table, args.trials, limits, args.seeds, Path(home), args.strategies.split(","),
                    args.peers.split(","),
                )  # fmt: skip
                lines += more[0]
                races += more[1]
        texts = [
            markdown(
                ["table (training rows)", "system", "log-loss", "accuracy", "seconds", "nets"],
                lines,
            ),
            markdown(
                ["table", "peer", "popnet", "reached its log-loss after", "times faster"], races
            ),
        ]
    print("\n\n".join(texts))
    if args.markdown:
        args.markdown.write_text(
            "\n\n".join([*texts, *conditions("benchmarks.search")]) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
