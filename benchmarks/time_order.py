"""Does popnet say that a random split flatters where it does, and only there?

    python -m benchmarks.time_order [--rows 5000] [--seeds 3] [--made 40] [--out FILE]

Three questions. Which columns of real tables are taken to order the rows in time, and what is measured along them? How
often is a difference reported of real tables that are given a column of random dates, along which there is none? And on
made tables of hourly rows, how often is one reported, and how often does an interval hold the mean over all of them?
"""

from __future__ import annotations

import argparse
import datetime as dt
import time
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.sources import folder
from benchmarks.table import conditions, markdown
from popnet.data.tables.read import read_table
from popnet.data.tables.schema import conform, infer_schema
from popnet.diagnosis.tables.time_order import TimeGap, time_columns, time_gap

DROPPED = {"bike_sharing": ["casual", "registered"]}
"""Columns that make up the target."""

MADE_ROWS = 1000


def table(name: str, rows: int, seed: int) -> tuple[pl.DataFrame, str]:
    """Return some rows of a real table in its order, and its target."""
    [path, *_] = sorted(p for p in (folder() / name).glob("*.csv.gz") if "test" not in p.name)
    frame = read_table(path).drop(DROPPED.get(name, []))
    frame = frame.filter(pl.col(frame.columns[-1]).is_not_null())
    chosen = np.random.default_rng(seed).permutation(frame.height)[:rows]
    return frame[np.sort(chosen)], frame.columns[-1]


def along(frame: pl.DataFrame, target: str, name: str, seed: int) -> TimeGap | None:
    """Return what is measured along a column."""
    schema = infer_schema(frame, target, single_rows=True)
    return time_gap(conform(frame, schema), schema, schema.column(name), seed)


def real(rows: int) -> list[list[str]]:
    """Return a line for each column of a real table that may order its rows."""
    lines: list[list[str]] = []
    for name in names():
        frame, target = table(name, rows, 0)
        schema = infer_schema(frame, target, single_rows=True)
        for column in time_columns(conform(frame, schema), schema):
            lines.append([name, column.name, *told(along(frame, target, column.name, 0))])
    return lines


def undated(rows: int, seeds: int) -> tuple[int, list[list[str]], float]:
    """Return how often random dates were measured along, the reports, and the mean processor time in seconds."""
    measured, reports, seconds = 0, list[list[str]](), list[float]()
    for name in names():
        if name in DROPPED:  # it has dates
            continue
        for seed in range(seeds):
            frame, target = table(name, rows, seed)
            minutes = np.random.default_rng(seed).integers(0, 10**6, frame.height).tolist()
            dates = [dt.datetime(2020, 1, 1) + dt.timedelta(minutes=m) for m in minutes]
            frame = frame.with_columns(pl.Series("made", dates))
            began = time.process_time()
            gap = along(frame, target, "made", seed)
            if gap is None:
                continue
            measured += 1
            seconds.append(time.process_time() - began)
            if gap.flatters:
                reports.append([name, str(seed), *told(gap)])
    return measured, reports, float(np.mean(seconds))


def made(kind: str, classes: bool, seed: int) -> pl.DataFrame:
    """Return hourly rows: a target without any order, with a daily cycle, or with a level that wanders."""
    rng = np.random.default_rng(seed)
    a, b, noise = rng.normal(size=(3, MADE_ROWS))
    hour = np.arange(MADE_ROWS)
    level = np.zeros(MADE_ROWS)
    if kind == "daily cycle":
        level = 1.5 * np.sin(2 * np.pi * hour / 24)
    elif kind == "wandering level":
        for i, step in enumerate(rng.normal(size=MADE_ROWS)):
            level[i] = 0.98 * level[i - 1] + 0.4 * step
    y = a + level + noise
    target = pl.Series(np.where(y > 0, "high", "low") if classes else y)
    when = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=int(h)) for h in hour]
    return pl.DataFrame({"when": when, "a": a, "b": b, "y": target})


def simulated(count: int) -> list[list[str]]:
    """Return a line for each kind of made table."""
    lines: list[list[str]] = []
    for kind in ("no order", "daily cycle", "wandering level"):
        for classes in (False, True):
            each = (along(made(kind, classes, s), "y", "when", s) for s in range(count))
            gaps = [g for g in each if g is not None]
            mean = float(np.expm1(np.mean([np.log1p(g.gap) for g in gaps])))
            held = np.mean([g.low <= mean <= g.high for g in gaps])
            lines.append([
                kind, "classes" if classes else "numbers", f"{len(gaps)}", f"{100 * mean:.0f} %",
                f"{100 * held:.0f} %", f"{sum(g.flatters for g in gaps)}",
            ])  # fmt: skip
    return lines


def told(gap: TimeGap | None) -> list[str]:
    return ["not measured", ""] if gap is None else [f"{gap.metric} {gap.words}", yes(gap.flatters)]


def yes(value: bool) -> str:
    return "yes" if value else "no"


def names() -> list[str]:
    return sorted(p.name for p in folder().iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=5000, help="rows of real tables, at most")
    parser.add_argument("--seeds", type=int, default=3, help="columns of random dates a table")
    parser.add_argument("--made", type=int, default=40, help="made tables of each kind")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    head = ["table", "column", "higher on later rows", "reported"]
    parts = [*conditions("benchmarks.time_order"), "", markdown(head, real(args.rows)), ""]
    measured, reports, seconds = undated(args.rows, args.seeds)
    head = ["table", "seed", "higher on later rows", "reported"]
    parts += [
        f"{len(reports)} of {measured} with random dates are reported; {seconds:.1f} s each",
        "",
    ]
    parts += [markdown(head, reports), ""] if reports else []
    head = ["made tables", "target", "measured", "mean", "intervals that hold it", "reported"]
    parts += [markdown(head, simulated(args.made))]
    text = "\n".join(parts)
    print(text)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
