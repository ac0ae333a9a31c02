"""popnet on two collections of small UCI sets, with their published splits, beside the published figures.

    python -m benchmarks.uci --set regression [--sets yacht,energy] [--splits 20] [--limit 20] [--report]
    python -m benchmarks.uci --set classification [--sets iris,wine] [--splits 4] [--limit 20] [--report]

Regression: the 9 sets and 20 splits (protein: 5) of Hernandez-Lobato and Adams 2015, as RMSE in the target's own unit
and as the negative log-likelihood of a Gaussian with the standard deviation that the model gives for each row, as the
published nets do.
Classification: the sets of Fernandez-Delgado et al. 2014 whose data is complete, four splits or the given test part, as
mean accuracy beside the 179 classifiers. Those were tuned with the test rows in sight (Wainberg et al. 2016); popnet
never sees them.

popnet runs in this one process, by its estimators, so that start-up and most compiling count once. Each fit is a
file of results, which is not measured again (see `benchmarks.accuracy`).
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.accuracy import load_average, version
from benchmarks.kept import HOME, keep, kept
from benchmarks.sources import Collection, classification_rows, regression_rows
from benchmarks.standings import Result, disturbed, mean
from benchmarks.table import conditions, markdown
from popnet.errors import InputError

LEAVE_OUT = (
    "annealing", "hayes-roth", "soybean", "horse-colic", "image-segmentation", "audiology-std", "hill-valley",
    "trains", "post-operative",
)  # fmt: skip
"""Classification sets whose files differ from what the paper was measured on."""

PUBLISHED: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "bostonHousing": ((3.01, 2.97, 3.28, 2.83, 2.90), (2.57, 2.46, 2.41)),
    "concrete": ((5.67, 5.23, 6.03, 4.93, 4.82), (3.16, 3.04, 3.06)),
    "energy": ((1.80, 1.66, 2.09, 1.08, 0.54), (2.04, 1.99, 1.38)),
    "kin8nm": ((0.10, 0.10, 0.09, 0.09, 0.08), (-0.90, -0.95, -1.20)),
    "naval-propulsion-plant": ((0.01, 0.01, 0.00, 0.00, 0.00), (-3.73, -3.80, -5.63)),
    "power-plant": ((4.12, 4.02, 4.11, 4.00, 4.01), (2.84, 2.80, 2.79)),
    "protein-tertiary-structure": ((4.73, 4.36, 4.71, 4.27, 4.27), (2.97, 2.89, 2.83)),
    "wine-quality-red": ((0.64, 0.62, 0.64, 0.61, 0.62), (0.97, 0.93, 0.94)),
    "yacht": ((1.02, 1.11, 1.58, 0.70, 0.67), (1.63, 1.55, 1.18)),
}
"""RMSE of PBP (2015), MC dropout (2016), deep ensembles (2017), and MC dropout again with Bayesian optimisation and
with a grid search (2018); the negative log-likelihood of the first three."""

METHODS = ("PBP", "MC dropout", "deep ensembles", "dropout, BayesOpt", "dropout, grid")
SHOWN = (
    "parRF_caret", "rf_caret", "svm_C", "svmPoly_caret", "elm_kernel_matlab", "C5.0_caret", "avNNet_caret",
    "nnet_caret", "mlp_caret", "mlp_C", "MultilayerPerceptron_weka", "multinom_caret", "knn_caret",
)  # fmt: skip
"""Classifiers that the report always has, beside the ten best."""


@dataclass(frozen=True)
class Split:
    """A set's training and test rows."""

    name: str
    number: int
    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


# --- regression -----------------------------------------------------------------------------------


def regression_splits(source: Collection, name: str, most: int) -> Iterator[Split]:
    """Give a set's splits."""
    X, y = regression_rows(source, name)
    count = source.numbers(f"{name}/data/n_splits.txt")
    for k in range(min(most, int(count[0]))):
        train, test = (
            source.numbers(f"{name}/data/index_{part}_{k}.txt").astype(int)
            for part in ("train", "test")
        )
        yield Split(name, k, X[train], y[train], X[test], y[test])


def regress(split: Split, limit: float) -> Result:
    """Fit and score a split: each row's error is taken to be normal with the deviation that the model says."""
    from popnet import Regressor

    model = Regressor(time_limit=limit, seed=split.number).fit(split.X, split.y)
    origin = "rows"
    try:
        predicted, deviation = model.predict(split.X_test, return_std=True)
    except InputError:  # no net in time
        predicted, origin = model.predict(split.X_test), "training rows"
        deviation = np.full(len(predicted), model.facts_["metrics"]["rmse"])
    error = split.y_test - predicted
    likelihood = 0.5 * np.log(2 * math.pi * deviation**2) + error**2 / (2 * deviation**2)
    return {
        "rmse": float(np.sqrt(np.mean(error**2))), "nll": float(likelihood.mean()),
        "deviation": float(deviation.mean()), "deviation_of": origin, "members": len(model.facts_["members"]),
    }  # fmt: skip


def plus_minus(results: Sequence[Result], key: str) -> str:
    """Return a mean and, of several, its standard error."""
    values = [r[key] for r in results]
    digits = 2 if abs(mean(results, key)) > 0.2 else 5
    text = f"{np.mean(values):.{digits}f}"
    if len(values) == 1:
        return text
    return f"{text} +- {np.std(values, ddof=1) / math.sqrt(len(values)):.{digits}f}"


def regression_report(source: Collection, found: dict[str, list[Result]]) -> str:
    """Return the tables of RMSE and of the negative log-likelihood."""
    errors, likelihoods = [], []
    for name, results in found.items():
        rmse, nll = PUBLISHED[name]
        start = [name, str(len(results))]
        seconds = f"{mean(results, 'seconds'):.1f}"
        errors.append([*start, plus_minus(results, "rmse"), *(f"{v:.2f}" for v in rmse), seconds])
        sure = sum(r["deviation_of"] == "rows" for r in results)
        likelihoods.append(
            [*start, plus_minus(results, "nll"), *(f"{v:.2f}" for v in nll), f"{sure}"]
        )
    head = ["set", "splits", "popnet"]
    return "\n\n".join([
        "### RMSE, mean +- standard error over the splits", markdown([*head, *METHODS, "seconds a fit"], errors),
        "### Negative log-likelihood; popnet's is a Gaussian with the deviation that it gives for each row",
        markdown([*head, *METHODS[:3], "of each row"], likelihoods),
    ])  # fmt: skip


# --- classification -------------------------------------------------------------------------------


def classification_splits(source: Collection, name: str, most: int) -> Iterator[Split]:
    """Give a set's splits, or its one of a training and a test file."""
    if f"{source.name}/{name}/{name}_train_R.dat" in source.zip.namelist():
        parts = [classification_rows(source, f"{name}/{name}_{p}_R.dat") for p in ("train", "test")]
        yield Split(name, 0, *parts[0], *parts[1])
        return
    X, y = classification_rows(source, f"{name}/{name}_R.dat")
    lines = [line for line in source.text(f"{name}/conxuntos_kfold.dat").splitlines() if line]
    for k in range(min(most, len(lines) // 2)):
        train, test = (np.array(line.split(), int) for line in lines[2 * k : 2 * k + 2])
        yield Split(name, k, X[train], y[train], X[test], y[test])


def usable(source: Collection) -> list[str]:
    """Return the names of the classification sets that may be compared."""
    lines = csv.DictReader(
        io.StringIO(source.text("_reference/summary_with_published_accuracy.csv"))
    )
    return [
        r["dataset"] for r in lines if r["status"] == "complete" and r["dataset"] not in LEAVE_OUT
    ]


def classify(split: Split, limit: float) -> Result:
    """Fit and score a split."""
    from popnet import Classifier

    model = Classifier(time_limit=limit, seed=split.number).fit(split.X, split.y)
    return {
        "accuracy": float(np.mean(model.predict(split.X_test) == split.y_test)),
        "members": len(model.facts_["members"]),
    }


def published(source: Collection) -> pd.DataFrame:
    """Return the published accuracies in percent, a row a set, a column a classifier."""
    lines = source.text("_reference/delgado2014_results.txt").splitlines()
    names = lines[0].split()[1:]
    rows = {}
    for line in lines[1:]:
        name, *values = line.split()
        if len(values) == len(names) and name not in ("mean", "std"):
            rows[name] = [float(v) if v != "--" else np.nan for v in values]
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=names)
    return frame.drop(columns=["min", "max", "mean", "std"])


def classification_report(source: Collection, found: dict[str, list[Result]]) -> str:
    """Return the table of sets, and that of classifiers beside popnet on the same sets."""
    others = published(source).loc[list(found)]
    own = pd.Series({name: 100 * mean(results, "accuracy") for name, results in found.items()})
    own = own.round(1)  # as the published ones: equal is equal
    sets = [
        [name, str(found[name][0]["rows"]), str(len(found[name])), f"{own[name]:.1f}",
         *(f"{others.loc[name, c]:.1f}" for c in ("parRF_caret", "svm_C", "avNNet_caret", "mlp_caret")),
         f"{others.loc[name].max():.1f} {others.loc[name].idxmax()}", f"{mean(found[name], 'seconds'):.1f}"]
        for name in found
    ]  # fmt: skip
    head = ["set", "training rows", "splits", "popnet"]
    head += ["random forest", "SVM", "avNNet", "mlp", "best of 179", "seconds"]
    texts = ["### Accuracy in percent", markdown(head, sets)]
    there = others.notna()
    gains = others.rsub(
        own, axis=0
    )  # popnet less the classifier, on the sets that the classifier has
    ranks = others.assign(popnet=own).rank(axis=1, ascending=False, na_option="bottom").mean()
    ahead = gains.mean().sort_values()
    order = [c for i, c in enumerate(ahead.index) if i < 10 or c in SHOWN]
    lines = [
        [c, f"{others[c].mean():.2f}", f"{own[there[c]].mean():.2f}", f"{gains[c].mean():+.2f}",
         f"{(gains[c] > 0).sum()} / {(gains[c] == 0).sum()} / {(gains[c] < 0).sum()}", str(there[c].sum()),
         f"{ranks[c]:.1f}"]
        for c in order
    ]  # fmt: skip
    head = ["classifier", "mean accuracy", "popnet's there", "popnet gains"]
    head += ["wins / ties / losses", "sets", "mean rank"]
    text = (
        f"On {len(found)} sets popnet's mean accuracy is {own.mean():.2f} %, its mean rank {ranks['popnet']:.1f} of "
        f"{len(ranks)} (place {int((ranks < ranks['popnet']).sum()) + 1}); {int((ahead < 0).sum())} of {len(ahead)} "
        "classifiers have a higher mean on the sets that they have."
    )
    return "\n\n".join([*texts, "### The published classifiers", text, markdown(head, lines)])


# --- the run --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """What belongs to one of the two collections."""

    collection: str
    names: Callable[[Collection], list[str]]
    splits: Callable[[Collection, str, int], Iterator[Split]]
    score: Callable[[Split, float], Result]
    report: Callable[[Collection, dict[str, list[Result]]], str]


KINDS = {
    "regression": Kind(
        "uci_regression_gal", lambda _: list(PUBLISHED), regression_splits, regress, regression_report,
    ),
    "classification": Kind(
        "uci121_delgado", usable, classification_splits, classify, classification_report,
    ),
}  # fmt: skip


def measure(kind: Kind, split: Split, limit: float) -> Result:
    """Fit and score a split; an error is noted in a line."""
    began = time.perf_counter()
    found: Result = {
        "set": split.name, "split": split.number, "rows": len(split.y), "limit": limit, "load": load_average(),
    }  # fmt: skip
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return {**found, **kind.score(split, limit), "seconds": time.perf_counter() - began}
    except Exception as error:
        return {**found, "error": f"{type(error).__name__}: {error}".splitlines()[0]}


def main() -> None:
    """Measure what is missing, and print all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", choices=tuple(KINDS), required=True)
    parser.add_argument("--sets", help="names of the collection's sets [default: all]")
    parser.add_argument("--splits", type=int, default=20, help="of each set, at most")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds a fit")
    parser.add_argument("--folder", type=Path, default=HOME / ".benchmarks" / "uci")
    parser.add_argument("--report", action="store_true", help="only print what was measured")
    parser.add_argument("--retry", action="store_true", help="measure what failed once more")
    parser.add_argument("--version-of-popnet", help="use results of this version, not the present")
    parser.add_argument("--markdown", type=Path, help="also write the report to this file")
    args = parser.parse_args()
    kind = KINDS[args.set]
    source = Collection(kind.collection)
    names = kind.names(source)
    wanted = names if args.sets is None else args.sets.split(",")
    if unknown := [n for n in wanted if n not in names]:
        sys.exit(f"There is no set {unknown[0]}; there are {', '.join(names)}.")
    of = args.version_of_popnet or version("popnet", sys.executable)
    found: dict[str, list[Result]] = defaultdict(list)
    failed = []
    for name in wanted:
        for split in kind.splits(source, name, args.splits):
            path = args.folder / args.set / name / f"split{split.number}-{args.limit:g}s-{of}.json"
            result = kept(path, args.retry)
            if result is None and args.report:
                continue
            if result is None:
                result = measure(kind, split, args.limit)
                keep(path, result)
                print(path.relative_to(args.folder), result, file=sys.stderr, flush=True)
            if "error" in result:
                failed.append(f"{name}, split {split.number}, failed: {result['error']}")
            else:
                found[name].append(result)
    texts = [kind.report(source, found)] if found else ["Nothing was measured."]
    lines = [*conditions("benchmarks.uci"), f"popnet {of}, {args.limit:g} s a fit"]
    lines.append(disturbed([r for results in found.values() for r in results]))
    text = "\n\n".join([*texts, *failed, "\n".join(f"- {line}" for line in lines)])
    print(text)
    if args.markdown:
        args.markdown.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
