"""Is a study to be believed? Factors that do nothing, effects of known size, and the same study with another seed.

    python -m benchmarks.study [--parts null,planted,stable] [--repetitions 20] [--data phoneme,digits]
        [--markdown FILE]

- null: a factor that does nothing (another seed) on samples of a real table; how often a study that plans its pairs
  says that it has no effect, and how often that it has one.
- planted: made-up tables, on which the true effect of a factor is known from hundreds of independent trainings on fresh
  rows; how often a study's 95 % interval holds it, with two cross-validations and with six.
- stable: the default study of real tables and of scikit-learn's digits, with two seeds; how many verdicts are the same.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.table import conditions, markdown
from benchmarks.tables import KNOWN, known, load
from popnet.data.splits import SplitKeys

PHONEME = KNOWN["phoneme"]
STABLE = "phoneme,adult,churn,digits"

TRIED_PAIRS = (10, 30)
"""Two cross-validations and six."""


def null(repetitions: int) -> list[list[str]]:
    """Return how often a study that plans its pairs says that another seed has no effect."""
    from popnet.ablation.run import study
    from popnet.options import Options

    frame = pd.concat(load(PHONEME))
    said: list[str] = []
    pairs: list[int] = []
    for r in range(repetitions):
        rows = frame.sample(1500, random_state=r)
        found = study(rows, PHONEME.target, Options(seed=r), factor=["seed"]).found
        said.append(found.effects[0].verdict)
        pairs.append(found.pairs)
        print("null", r, pairs[-1], said[-1], found.effects[0].gain, file=sys.stderr, flush=True)
    wrong = sum(s in CLEAR for s in said)
    return [[
        "another seed", "0", f"planned: {min(pairs)} to {max(pairs)}", f"{repetitions}", f"{said.count('no effect')}",
        f"said to have no effect; {wrong} times called one",
    ]]  # fmt: skip


def made(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and classes of a made-up table: six columns, an interaction, a tenth of the classes turned."""
    X = rng.standard_normal((n, 6)).astype(np.float32)
    y = X[:, 0] * X[:, 1] + X[:, 2] > 0
    return X, (y ^ (rng.random(n) < 0.1)).astype(int)


def planted(repetitions: int, sets: int = 300) -> list[list[str]]:
    """Return for each planted effect: its true size, and how often a study's interval holds it."""
    from popnet import Dataset, Recipe
    from popnet.ablation import factors
    from popnet.ablation.design import FOLDS, design
    from popnet.ablation.experiment import Experiment
    from popnet.population.feed import Arrays
    from popnet.population.members import Member
    from popnet.population.predict import Net, predict
    from popnet.population.train import Trainer

    rows = 500
    base = Recipe(
        depth=2, width=32, batch_size=32, epochs=30, patience=30, dropout=0.0, numeric_embedding="none", ema=0.0,
        activation="relu", weight_decay=0.01, learning_rate=2e-3,
    )  # fmt: skip
    levels: dict[str, tuple[str, dict[str, Any]]] = {
        "dropout 0.6": ("dropout=0,0.6", {"dropout": 0.6}),
        "weight decay 1": ("weight_decay=0.01,1", {"weight_decay": 1.0}),
        "sigmoid for ReLU": ("activation=relu,sigmoid", {"activation": "sigmoid"}),
    }
    # The truth: tables of the size that a pair trains on, and fresh rows.
    rng = np.random.default_rng(12345)
    learned = round((1 - 1 / FOLDS) * rows)
    X, y = made(sets * learned + 10_000, rng)
    data = Dataset.from_arrays(X, y, "binary")
    fresh = np.arange(sets * learned, len(X))
    cut = round(0.8 * learned)
    folds = []
    for k in range(sets):
        mine = np.arange(k * learned, (k + 1) * learned)
        folds.append((mine[:cut], mine[cut:]))
    recipes = [base, *(base.replace(**fields) for _, fields in levels.values())]
    members = [Member(r, k, k) for k in range(sets) for r in recipes]
    errors = np.zeros(len(members))
    for i, result in Trainer(Arrays(data, data, folds)).run(enumerate(members)):
        net = Net(result.member.recipe, result.shape, result.parameters, result.running)
        errors[i] = (predict([net], data.features, fresh)[0].argmax(1) != y[fresh]).mean()
    errors = errors.reshape(sets, len(recipes))
    truths = (errors[:, :1] - errors[:, 1:]).mean(0)
    spreads = (errors[:, :1] - errors[:, 1:]).std(0, ddof=1) / np.sqrt(sets)
    wanted = [factors.parse(text, base, True, None) for text, _ in levels.values()]
    shape = (len(TRIED_PAIRS), len(levels))
    held, decided, widths = np.zeros(shape, int), np.zeros(shape, int), np.zeros(shape)
    for r in range(repetitions):
        X, y = made(rows, np.random.default_rng(r))
        data = Dataset.from_arrays(X, y, "binary")
        twins = design(np.arange(rows), max(TRIED_PAIRS), r, SplitKeys(y))
        run = Experiment(data, twins, base, wanted, metric="error")
        for i, pairs in enumerate(TRIED_PAIRS):
            run.run(range(pairs))
            for k, e in enumerate(run.found(0.01, pairs).effects):  # a level each
                held[i, k] += e.gain.low <= truths[k] <= e.gain.high
                decided[i, k] += e.verdict in ("helps", "harms")
                widths[i, k] += (e.gain.high - e.gain.low) / 2 / repetitions
        print("planted", r, (held / (r + 1)).tolist(), file=sys.stderr, flush=True)
    return [
        [
            name, f"{-100 * truths[k]:+.2f} ± {100 * spreads[k]:.2f} points", f"{pairs}", f"{repetitions}",
            f"{held[i, k]}",
            f"inside the interval, ± {100 * widths[i, k]:.1f} points; called an effect {decided[i, k]} times",
        ]
        for k, name in enumerate(levels)
        for i, pairs in enumerate(TRIED_PAIRS)
    ]  # fmt: skip


def stable(names: str, pairs: int | None) -> list[list[str]]:
    """Return for each data set how many verdicts two seeds share; None lets each study plan its pairs."""
    from sklearn.datasets import load_digits

    from popnet.ablation.run import study
    from popnet.options import Options
    from popnet.runtime.progress import Progress

    sources: list[tuple[str, Any, str, int]] = []
    for name in names.split(","):
        if name == "digits":
            digits: Any = load_digits(as_frame=True)
            sources.append((name, digits.frame, "target", 1797))
        else:
            table = known(name)[0]
            sources.append((name, pd.concat(load(table)), table.target, 2000))

    def told(progress: Progress) -> None:
        if progress.note:
            print(progress.note, file=sys.stderr, flush=True)

    lines = []
    for name, frame, target, rows in sources:
        began = time.perf_counter()
        both = [
            study(frame, target, Options(seed=s), rows=rows, pairs=pairs, on_progress=told).found
            for s in (0, 1)
        ]
        print(name, [[(e.level, e.verdict) for e in f.effects] for f in both], file=sys.stderr, flush=True)  # fmt: skip
        verdicts = [{(e.factor, e.level): e.verdict for e in f.effects} for f in both]
        keys = list(verdicts[0])
        same = sum(verdicts[0][k] == verdicts[1].get(k) for k in keys)
        against = sum({verdicts[0][k], verdicts[1].get(k)} == set(CLEAR) for k in keys)
        factors = list(dict.fromkeys(f for f, _ in keys))
        agree = sum(_clear(verdicts[0], f) == _clear(verdicts[1], f) for f in factors)
        counts = [Counter(v.values()) for v in verdicts]
        effects = ", ".join(f"{c['helps'] + c['harms']}" for c in counts)
        none = ", ".join(f"{c['no effect']}" for c in counts)
        lines.append([
            name, f"{both[0].pairs}, {both[1].pairs}", f"{agree} of {len(factors)}", f"{same} of {len(keys)}",
            f"{against}", effects, none, f"{time.perf_counter() - began:.0f} s",
        ])  # fmt: skip
    return lines


CLEAR = ("helps", "harms")


def _clear(verdicts: dict[tuple[str, str], str], factor: str) -> frozenset[str]:
    """Return which clear verdicts a factor's levels have."""
    return frozenset(v for (f, _), v in verdicts.items() if f == factor and v in CLEAR)


def main() -> None:
    """Run the parts and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="null,planted,stable")
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--data", default=STABLE, help="of part stable")
    parser.add_argument(
        "--pairs", type=int, help="of each study of part stable; planned if left out"
    )
    parser.add_argument("--markdown", type=Path)
    args = parser.parse_args()
    parts = args.parts.split(",")
    texts = []
    lines = []
    if "null" in parts:
        lines += null(args.repetitions)
    if "planted" in parts:
        lines += planted(2 * args.repetitions)
    if lines:
        head = ["factor", "true change of the error", "pairs", "studies", "right", ""]
        texts.append(markdown(head, lines))
    if "stable" in parts:
        head = [
            "data", "pairs", "factors with the same verdict", "levels with the same verdict", "opposite verdicts",
            "levels with an effect", "levels without", "both took",
        ]  # fmt: skip
        texts.append(markdown(head, stable(args.data, args.pairs)))
    texts += conditions("benchmarks.study")
    print("\n\n".join(texts))
    if args.markdown:
        args.markdown.write_text("\n\n".join(texts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
