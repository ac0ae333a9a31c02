"""popnet beside published figures on tables with a split of their own.

    python -m benchmarks.published [--limit 60] [--seeds 3] [--folder .benchmarks/accuracy] [--markdown FILE]

bank, mfeat_factors and cpu_act have TALENT's splits and the test scores of about thirty tuned methods there (Liu et
al. 2024, arXiv:2407.00956), adult UCI's split and the scores of TabM's paper (Gorishniy et al. 2025, arXiv:2410.24210)
and of TabPack: means over 15 seeds. A seed of popnet is one fit; runs are those of `benchmarks.accuracy`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.accuracy import Case, once, version
from benchmarks.kept import FOLDER
from benchmarks.sources import folder as data_folder
from benchmarks.standings import main_metric, shown
from benchmarks.table import publish
from benchmarks.tables import known

SHOWN = ("catboost", "lightgbm", "xgboost", "mlp", "mlp_plr", "tabr", "modernNCA", "realmlp", "ftt")
SOURCES = {
    "bank": ("cls_bin.md", "bank"),
    "mfeat_factors": ("cls_multi.md", "mfeat-factors"),
    "cpu_act": ("regression.md", "cpu_act"),
    "adult": ("tabm_paper_test_scores.csv", "adult"),
}
"""Of each table: the file of published scores, and its name there."""

QUOTED = {"adult": {"tabpack": 0.8693}}
"""Scores that are in none of the files."""


def published(table: str, folder: Path) -> dict[str, float]:
    """Return the published mean score of each method."""
    file, name = SOURCES[table]
    path = folder / "collections" / "reference_tables" / file
    if file.endswith(".csv"):
        frame = pd.read_csv(path)
        frame = frame[frame["dataset"] == name]
        return dict(zip(frame["model"], frame["mean"], strict=True))
    lines = [
        [cell.strip(" *") for cell in line.strip().strip("|").split("|")]
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    head = lines[0]
    row = next(line for line in lines if line[0] == name)
    means = {m: float(cell.split("+")[0]) for m, cell in zip(head[1:], row[1:], strict=True)}
    return {m: x for m, x in means.items() if np.isfinite(x)}


def line(table: str, scores: list[float], others: dict[str, float], larger: bool) -> list[str]:
    """Return a table's line: popnet's mean and spread, its place, the best three, and known methods."""
    mine = float(np.mean(scores))
    order = sorted(others, key=lambda m: others[m], reverse=larger)
    place = 1 + sum(others[m] > mine if larger else others[m] < mine for m in order)
    best = ", ".join(f"{m} {shown(others[m])}" for m in order[:3])
    some = ", ".join(f"{m} {shown(others[m])}" for m in SHOWN if m in others and m not in order[:3])
    spread = f"{shown(min(scores))} to {shown(max(scores))}"
    return [table, f"{shown(mine)} ({spread})", f"{place} of {len(others) + 1}", best, some]


def main() -> None:
    """Measure what is missing, and print all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=float, default=60.0, help="seconds")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tables", default=",".join(SOURCES))
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--markdown", type=Path)
    args = parser.parse_args()
    own, lines = version("popnet", sys.executable), []
    for table in known(args.tables):
        metric, scores = main_metric(table), []
        for seed in range(args.seeds):
            case = Case(table, "popnet", seed, args.limit, own)
            result, _ = once(case, sys.executable, args.folder, 3600.0)
            print(table.name, seed, result.get(metric), file=sys.stderr, flush=True)
            scores.append(result[metric])
        others = published(table.name, data_folder().parent) | QUOTED.get(table.name, {})
        lines.append(line(table.name, scores, others, metric == "accuracy"))
    head = ["table", "popnet (range)", "place", "best published", "others"]
    publish(head, lines, "benchmarks.published", args.markdown)


if __name__ == "__main__":
    main()
