"""The time that popnet needs to be as good as a system with its defaults, on real tables.

    python -m benchmarks.match [--tables phoneme,adult] [--systems catboost,lightgbm] [--limits 5,10,20,40,60]
        [--seed 0] [--folder .benchmarks/accuracy] [--python-of realmlp=PYTHON] [--markdown FILE]

Each system is fitted once and takes the time it takes. Then popnet is fitted under one time limit after another, the
shortest first, each a run of its own from nothing, until its log-loss (or RMSE) of the test rows is no worse than
every system's. A ratio is the system's time over that of the first such run: above 1, popnet is quicker. Rows,
processes, times and kept results are those of `benchmarks.accuracy`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.accuracy import LIMITED, STANDARD, SYSTEMS, Case, once, present, pythons
from benchmarks.kept import FOLDER
from benchmarks.standings import Result, shown
from benchmarks.table import conditions, markdown
from benchmarks.tables import Table, known


def smooth_metric(table: Table) -> str:
    """Return what runs are compared by: accuracies are too coarse to tell when one is reached."""
    return "log_loss" if table.classes else "rmse"


def first_as_good(system: Result, runs: list[Result], metric: str) -> Result | None:
    """Return popnet's first run that is no worse than a system; None if none is, or the system failed."""
    if "error" in system:
        return None
    return next((r for r in runs if r.get(metric, float("inf")) <= system[metric]), None)


def lines_of(table: Table, systems: dict[str, Result], runs: list[Result]) -> list[list[str]]:
    """Return a line for each system: its score and time, popnet's first run as good, and the ratio of times."""
    metric = smooth_metric(table)
    best = min((r[metric] for r in runs if metric in r), default=float("nan"))
    lines = []
    for name, found in systems.items():
        if "error" in found:
            lines.append([table.name, name, "failed", "", "", ""])
            continue
        first = first_as_good(found, runs, metric)
        own = [f"{shown(found[metric])}", f"{found['seconds']:.1f}"]
        if first is None:
            most = max((r["seconds"] for r in runs if "seconds" in r), default=float("nan"))
            lines.append([table.name, name, *own, f"not in {most:.0f} s ({shown(best)})", ""])
        else:
            reached = f"{first['seconds']:.1f} ({shown(first[metric])})"
            lines.append([table.name, name, *own, reached, f"{found['seconds'] / first['seconds']:.2f}"])  # fmt: skip
    return lines


def main() -> None:
    """Measure what is missing, and print a line for each table and system."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", default=STANDARD)
    parser.add_argument("--systems", default="catboost,lightgbm")
    parser.add_argument("--limits", default="5,10,20,40,60", help="popnet's, in seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument(
        "--most", type=float, default=3600.0, help="seconds after which a fit is killed"
    )
    parser.add_argument(
        "--python-of", action="append", default=[], metavar="SYSTEM[,SYSTEM]=PYTHON"
    )
    parser.add_argument("--markdown", type=Path, help="also write the table to this file")
    args = parser.parse_args()
    wanted = args.systems.split(",")
    if wrong := [s for s in wanted if s not in SYSTEMS or s in LIMITED]:
        sys.exit(f"{wrong[0]} is no system that takes its own time.")
    python = pythons(args.python_of)
    versions = present(["popnet", *wanted], python, {}, lambda line: print(line, file=sys.stderr))

    def result(table: Table, system: str, limit: float) -> Result:
        case = Case(table, system, args.seed, limit, versions[system])
        found, _ = once(case, python[system], args.folder, args.most)
        said = found.get("error") or shown(found[smooth_metric(table)])
        print(table.name, system, f"{limit:g} s:", said, file=sys.stderr, flush=True)
        return found

    lines = []
    for table in known(args.tables):
        systems = {s: result(table, s, 0.0) for s in wanted if s in versions}
        runs: list[Result] = []
        for limit in sorted(float(v) for v in args.limits.split(",")):
            runs.append(result(table, "popnet", limit))
            metric = smooth_metric(table)
            if all(first_as_good(s, runs, metric) for s in systems.values() if "error" not in s):
                break
        lines += lines_of(table, systems, runs)
    head = ["table", "system", "log-loss or RMSE", "seconds", "popnet as good after, s", "times quicker"]  # fmt: skip
    words = ", ".join(f"{s} {v}" for s, v in versions.items())
    text = "\n\n".join(
        [markdown(head, lines), *conditions("benchmarks.match"), f"Systems: {words}"]
    )
    print(text)
    if args.markdown:
        args.markdown.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
