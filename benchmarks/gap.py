"""Where a peer is ahead of popnet: which rows and columns make the difference on a table's held-out rows.

    python -m benchmarks.gap TABLE [--peer lightgbm|xgboost|catboost|hgb|xgboost-tuned|...] [--nets] [--limit 20]
        [--seed 0] [--loss log_loss|error] [--markdown FILE]

popnet (with ``--nets`` its nets alone) and the peer, boosted trees with their defaults or tuned for as long as popnet
has, are fitted to the same training rows of `benchmarks.accuracy` and predict the same test rows. Then the difference
of their losses of each row is taken apart: over all rows, by groups of each column's values, by rules of several
columns, and beside it the splits that the peer's trees use most. A lead that is spread over all rows has no groups;
that is said then.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.accuracy import Case, job_of, parts, predict_by_popnet, scores, true_values
from benchmarks.gap_groups import (
    Group,
    bootstrap_interval,
    column_groups,
    numbered,
    row_losses,
    rules,
    without_extremes,
)
from benchmarks.peers_trees import BOOSTED, read
from benchmarks.standings import shown
from benchmarks.table import conditions, markdown
from benchmarks.tables import KNOWN, Table
from benchmarks.tree_splits import most_followed, most_used, splits_of

MOST = 10
"""Groups that are shown."""


@dataclass(frozen=True)
class Compared:
    """Two systems' predictions of the same test rows.

    Attributes:
        table: whose rows.
        own: popnet's name, ``popnet`` or ``popnet-nets``.
        peer: the peer's name.
        train_rows: how many both were fitted to.
        test: test rows with the target.
        repeated: whether a training row has the same values in all columns but the target, ``(N,)`` bool.
        true: class numbers, or numbers, of the test rows.
        predicted: of each system, probabilities ``(N, C)`` or numbers ``(N,)``.
        seconds: of each system's fit, its process's start included for popnet.
        members: nets that popnet trained.
        splits: of the peer, see `benchmarks.tree_splits`.
    """

    table: Table
    own: str
    peer: str
    train_rows: int
    test: pd.DataFrame
    repeated: np.ndarray
    true: np.ndarray
    predicted: dict[str, np.ndarray]
    seconds: dict[str, float]
    members: int
    splits: pd.DataFrame


def compare(table: Table, own: str, peer: str, limit: float, seed: int) -> Compared:
    """Fit popnet and a peer to the training rows and predict the test rows."""
    train, test = parts(table, seed)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        job = job_of(Case(table, own, seed, limit, ""), train, test, folder)
        predicted, facts, _ = predict_by_popnet(job, sys.executable, folder, 60 + 10 * limit)
        rows = read(job, folder)
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = BOOSTED[peer](replace(job, system=peer, began=time.time()), rows)
        theirs = np.asarray(fitted.predict(rows.X_test), float)
    seconds = {own: facts["seconds"], peer: time.perf_counter() - began}
    columns = [str(c) for c in train.columns if c != table.target]
    return Compared(
        table, own, peer, len(train), test, is_repeated(train[columns], test[columns]), true_values(job, test),
        {own: predicted, peer: theirs}, seconds, facts["members"], splits_of(peer, fitted, columns),
    )  # fmt: skip


def is_repeated(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Return of each test row whether a training row has the same values in all columns, ``(N,)`` bool."""
    seen, asked = (pd.util.hash_pandas_object(frame, index=False) for frame in (train, test))
    return asked.isin(seen).to_numpy()


# --- the report -----------------------------------------------------------------------------------


def overall(compared: Compared, difference: np.ndarray, kind: str) -> str:
    """Return both systems' scores, those of the mean of their predictions, and the difference with its interval."""
    of = {**compared.predicted, "mean of both": sum(compared.predicted.values()) / 2}
    metrics = ("accuracy", "log_loss") if compared.table.classes else ("rmse", "mae")
    lines = []
    for name, predicted in of.items():
        found = scores(compared.true, np.asarray(predicted))
        seconds = compared.seconds.get(name)
        cells = [shown(found[m]) for m in metrics]
        lines.append([name, *cells, "" if seconds is None else f"{seconds:.0f}"])
    low, high = bootstrap_interval(difference)
    mean = difference.mean()
    if low > 0:
        said = f"{compared.peer} is ahead"
    elif high < 0:
        said = f"{compared.own} is ahead"
    else:
        said = "neither is ahead for certain"
    text = (
        f"{compared.train_rows:,} training and {len(difference):,} test rows; {compared.own} trained "
        f"{compared.members} nets. {named(compared, kind).capitalize()} of {compared.own} less that of "
        f"{compared.peer}, a row: {mean:+.4g} (95 % bootstrap interval {low:+.4g} to {high:+.4g}): {said}."
    )
    head = ["system", *(m.replace("_", "-") for m in metrics), "seconds"]
    return "\n\n".join([text, markdown(head, lines)])


def named(compared: Compared, kind: str) -> str:
    """Return the loss of a row in words."""
    if not compared.table.classes:
        return "squared error"
    return "log-loss" if kind == "log_loss" else "error (1 for a wrong class)"


def lines_of(groups: Sequence[Group], mean: float, rule: bool = False) -> str:
    """Return a table of groups; the share of the lead is shown where there is a lead."""
    lines = []
    for g in groups:
        share = f"{100 * g.adds / mean:.0f} %" if mean > 0 else "-"
        where = [g.values] if rule else [g.column, g.values]
        lines.append([
            *where, f"{g.rows:,}", f"{100 * g.share_of_rows:.1f} %", f"{g.mean:+.4g}",
            f"{g.low:+.4g} to {g.high:+.4g}", f"{g.adds:+.4g}", share,
        ])  # fmt: skip
    head = ["rule"] if rule else ["column", "values"]
    head += ["rows", "of all", "difference a row", "interval", "adds to the mean", "of the lead"]
    return markdown(head, lines)


def by_row(compared: Compared, difference: np.ndarray, most: int = 5) -> str:
    """Return how much single rows matter: the difference without the most extreme ones, and the peer's best rows."""
    rest = without_extremes(difference)
    low, high = bootstrap_interval(rest)
    lines = []
    for row in np.argsort(-difference)[:most]:
        predicted = [p[row] for p in (compared.predicted[s] for s in (compared.own, compared.peer))]
        label = compared.test[compared.table.target].iloc[row]
        cells = [f"{p[compared.true[row]]:.3f}" if p.ndim else numbered(p) for p in predicted]
        adds = difference[row] / len(difference)
        lines.append([str(row), str(label), *cells, f"{adds:+.4g}"])
    what = "probability of the true class" if compared.table.classes else "prediction"
    text = (
        f"Without the {len(difference) - len(rest)} rows (1 %) of the greatest differences, either way, the mean is "
        f"{rest.mean():+.4g} ({low:+.4g} to {high:+.4g}). The rows that add most to {compared.peer}'s side, with the "
        f"{what} of both:"
    )
    head = ["test row", compared.table.target, compared.own, compared.peer, "adds to the mean"]
    return "\n\n".join(["### Single rows", text, markdown(head, lines)])


def by_column(compared: Compared, difference: np.ndarray) -> str:
    """Return the groups of values where the peer is ahead for certain, or that there are none; and where popnet is."""
    target = f"{compared.table.target} (target)"
    frame = compared.test.rename(columns={compared.table.target: target})
    frame["an equal training row"] = np.where(compared.repeated, "yes", "no")
    groups = column_groups(frame, difference)
    ahead = [g for g in groups if g.low > 0]
    behind = [g for g in groups if g.high < 0]
    text = (
        f"{len(groups)} groups of values were looked at, the true target's among them; 95 % intervals (Student) hold "
        f"for all of them together (Bonferroni). {compared.peer} is ahead for certain in {len(ahead)} of them, "
        f"{compared.own} in {len(behind)}. Groups of the true target need care: a system that gives a class more "
        "probability, or larger numbers, is ahead there and behind elsewhere."
    )
    mean = float(difference.mean())
    texts = [f"### Groups where {compared.peer} is ahead", text]
    if ahead:
        texts.append(lines_of(ahead[:MOST], mean))
    else:
        texts.append("There is no group of which this is certain.")
        if adding := [g for g in groups[:5] if g.adds > 0]:
            texts += ["Those that add most, which may be chance:", lines_of(adding, mean)]
    if behind:
        texts += [f"Groups where {compared.own} is ahead:", lines_of(behind[::-1][:5], mean)]
    return "\n\n".join(texts)


def by_rule(compared: Compared, difference: np.ndarray) -> str:
    """Return the rules of a shallow tree of the differences."""
    found = rules(compared.test.drop(columns=compared.table.target), difference)
    certain = sum(g.low > 0 for g in found)
    text = (
        "A tree of the rows' differences, found on half of the test rows; the figures are those of the other half, "
        f"and the intervals hold for all {len(found)} rules together. {compared.peer} is ahead for certain by "
        f"{certain} of them."
    )
    return "\n\n".join(["### Rules", text, lines_of(found, float(difference.mean()), rule=True)])


def by_splits(compared: Compared) -> str:
    """Return which columns, thresholds and pairs of columns the peer's trees use most."""
    splits = compared.splits
    lines = []
    for used in most_used(splits):
        often = ", ".join(f"{numbered(v)} ({n})" for v, n in used.thresholds) or "levels"
        counts = [f"{100 * used.share:.1f} %", f"{used.splits:,}", f"{used.distinct:,}"]
        lines.append([used.column, *counts, often])
    pairs = [[a, b, f"{n:,}", f"{factor:.1f}"] for a, b, n, factor in most_followed(splits)]
    return "\n\n".join([
        f"### What {compared.peer}'s trees ask for",
        f"{splits['tree'].nunique():,} trees with {len(splits):,} splits. Columns by their share of the gain, with the "
        "thresholds used most (how often):",
        markdown(["column", "gain", "splits", "different thresholds", "most used"], lines),
        "Pairs of columns that follow each other in a tree most; the factor is how much oftener than by chance:",
        markdown(["column", "column", "times", "factor"], pairs),
    ])  # fmt: skip


def report(compared: Compared, kind: str) -> str:
    """Return the whole report as Markdown."""
    own, theirs = (
        row_losses(compared.true, compared.predicted[s], kind)
        for s in (compared.own, compared.peer)
    )
    difference = own - theirs
    rows = (
        [] if kind == "error" and compared.table.classes else [by_row(compared, difference)]
    )  # all errors are equal
    return "\n\n".join([
        f"## {compared.table.name}: {compared.own} and {compared.peer}", overall(compared, difference, kind), *rows,
        by_column(compared, difference), by_rule(compared, difference), by_splits(compared),
    ])  # fmt: skip


def main() -> None:
    """Fit both, and print where the difference is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", choices=tuple(KNOWN), metavar="TABLE")
    parser.add_argument("--peer", choices=tuple(BOOSTED), default="lightgbm")
    parser.add_argument("--nets", action="store_true", help="popnet's nets alone, without trees")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds that popnet has")
    parser.add_argument("--seed", type=int, default=0, help="of the split and of both systems")
    parser.add_argument(
        "--loss", choices=("log_loss", "error"), default="log_loss", help="of tables with classes"
    )
    parser.add_argument("--markdown", type=Path, help="also write the report to this file")
    args = parser.parse_args()
    own = "popnet-nets" if args.nets else "popnet"
    compared = compare(KNOWN[args.table], own, args.peer, args.limit, args.seed)
    said = "\n".join(f"- {line}" for line in conditions("benchmarks.gap"))
    text = f"{report(compared, args.loss)}\n\n{said}"
    print(text)
    if args.markdown:
        args.markdown.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
