"""Do limits hold, and does a run that was killed end in the same model?

    python -m benchmarks.limits [--parts time,memory,huge,kills,workers] [--kills 20] [--seed 0] [--markdown FILE]

Everything is measured of ``popnet fit`` as a whole process, from its start to its end. Time limits of 10 s, 30 s and
2 minutes on a small table (phoneme), a middle one (adult) and one of 500,000 made rows; a limit is kept if the process
ends within 5 % or 5 s more and leaves a model. A memory limit of 1 GB on the largest, with no program compiled before.
Huge: 30,000,000 made rows in a Parquet file within 2 GB and 5 minutes.
Kills: ``kill -9`` at random moments of a run that ends by its number of members, each followed by ``--resume``; the
weights file must be that of the undisturbed run, byte for byte. Workers: a local Ray cluster (extra ``ray``) of 2 and
of 4 actors, one of them killed in the middle; every member must be the one that was trained without Ray, bit for bit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from benchmarks.table import conditions, markdown
from benchmarks.tables import KNOWN, generated, load

LIMITS = (10, 30, 120)
LARGE_ROWS = 500_000
MEMORY_LIMIT = 1e9
HUGE_ROWS, HUGE_PARTS = 30_000_000, 30
HUGE_LIMIT = 2e9
KILLED_TABLE = KNOWN["phoneme"]


@dataclass(frozen=True)
class Ended:
    """A process: its exit status, wall seconds, peak memory in bytes, and the JSON that it printed."""

    status: int
    seconds: float
    peak: float
    found: dict[str, Any]


def fit(
    data: Path, target: str, out: Path, *options: str, kill_after: float | None = None, cache: Path | None = None
) -> Ended:  # fmt: skip
    """Run ``popnet fit`` to its end, or kill it after some seconds.

    Args:
        data: a table.
        target: its column.
        out: model folder.
        options: more of the command's.
        kill_after: seconds; None for never.
        cache: folder of compiled programs; None for the usual one.
    """
    command = [sys.executable, "-m", "popnet", "fit", str(data), "--target", target]
    command += ["--out", str(out), "--json"]
    environment = {**os.environ, **({} if cache is None else {"POPNET_CACHE": str(cache)})}
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    timer = None if kill_after is None else threading.Timer(kill_after, process.kill)
    if timer is not None:
        timer.start()
    out_text, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    seconds = time.perf_counter() - began
    if timer is not None:
        timer.cancel()
    if status and timer is None:
        sys.exit(f"failed: {' '.join(command)} {' '.join(options)}\n{errors}")
    return Ended(
        status, seconds, 1024.0 * usage.ru_maxrss, json.loads(out_text) if out_text else {}
    )


def write(frame: pd.DataFrame, folder: Path, name: str) -> Path:
    """Write a table and return its path."""
    path = folder / f"{name}.csv"
    frame.to_csv(path, index=False)
    return path


def digest(model: Path) -> str:
    """Return a digest of a model's weights."""
    return hashlib.sha256((model / "weights.safetensors").read_bytes()).hexdigest()[:12]


def times(folder: Path, large: Path) -> list[list[str]]:
    """Fit each table within each limit; return a line of each."""
    cases = []
    for table in (KILLED_TABLE, KNOWN["adult"]):
        train, test = load(table)
        rows = pd.concat([train, test])
        cases.append((table.name, len(rows), write(rows, folder, table.name), table.target))
    cases.append(("generated", LARGE_ROWS, large, "y"))
    lines = []
    for name, rows, path, target in cases:
        for limit in LIMITS:
            ended = fit(path, target, folder / "model", "--time-limit", f"{limit}s", "--overwrite")
            kept = ended.seconds <= limit + max(5.0, 0.05 * limit)
            constant = ended.found["baselines"]["constant"]["accuracy"]
            lines.append([
                f"{name} ({rows:,})", f"{limit} s", f"{ended.seconds:.1f} s", "yes" if kept else "NO",
                f"{ended.found['members']}", f"{ended.found['metrics']['accuracy']:.4f}",
                f"{constant:.4f}", f"{ended.peak / 1e6:,.0f} MB",
            ])  # fmt: skip
            print(lines[-1], file=sys.stderr, flush=True)
    return lines


def memory(folder: Path, large: Path) -> list[list[str]]:
    """Fit the largest table within the memory limit, and without; return a line of each."""
    lines = []
    for words, options in (("none", ()), ("1 GB", ("--memory-limit", "1GB"))):
        with tempfile.TemporaryDirectory() as cache:
            ended = fit(
                large, "y", folder / "model", "--time-limit", "60s", "--overwrite", *options,
                cache=Path(cache),
            )  # fmt: skip
        kept = "" if not options else "yes" if ended.peak <= MEMORY_LIMIT else "NO"
        lines.append([
            f"generated ({LARGE_ROWS:,})", words, f"{ended.peak / 1e6:,.0f} MB", kept,
            f"{ended.found['members']}", f"{ended.found['metrics']['accuracy']:.4f}", f"{ended.seconds:.1f} s",
        ])  # fmt: skip
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def huge(folder: Path) -> list[list[str]]:
    """Fit a table that is larger than the memory limit; return its line."""
    parts = folder / "parts"
    parts.mkdir()
    for k in range(HUGE_PARTS):
        part = pl.from_pandas(generated(HUGE_ROWS // HUGE_PARTS, seed=k))
        part.write_parquet(parts / f"{k:03d}.parquet")
    path = folder / "huge.parquet"
    pl.scan_parquet(parts / "*.parquet").sink_parquet(path)
    shutil.rmtree(parts)
    limits = ("--memory-limit", "2GB", "--time-limit", "5m")
    ended = fit(path, "y", folder / "huge", *limits)
    kept = ended.peak <= HUGE_LIMIT and ended.seconds <= 1.05 * 300
    line = [
        f"generated ({HUGE_ROWS:,}), Parquet of {path.stat().st_size / 1e9:.1f} GB", "2 GB, 5 min",
        f"{ended.peak / 1e6:,.0f} MB", "yes" if kept else "NO", f"{ended.found['members']}",
        f"{ended.found['metrics']['accuracy']:.4f}", f"{ended.seconds:.1f} s",
    ]  # fmt: skip
    return [line]


def kills(folder: Path, count: int, seed: int) -> list[list[str]]:
    """Kill runs at random moments and resume them; return a line for each strategy."""
    train, test = load(KILLED_TABLE)
    path = write(pd.concat([train, test]), folder, "killed")
    rng = np.random.default_rng(seed)
    lines = []
    searches = ("random", "halving")
    for k, search in enumerate(searches):
        options = ("--members", "20", "--folds", "2", "--search", search, "--fix", "epochs=12")
        model = folder / f"whole-{search}"
        fit(path, KILLED_TABLE.target, model, *options)  # compiles the programs
        whole = fit(path, KILLED_TABLE.target, model, *options, "--overwrite")
        expected, same, begun, extra = digest(model), 0, 0, []
        trials = count // len(searches) + (k < count % len(searches))
        for i in range(trials):
            out = folder / f"killed-{search}-{i}"
            moment = float(rng.uniform(0.3, whole.seconds))
            first = fit(path, KILLED_TABLE.target, out, *options, kill_after=moment)
            if out.exists():  # it had ended before it was killed
                begun += 1
                same += digest(out) == expected
                continue
            # Killed before it had noted anything, there is nothing to resume: it is begun again.
            resume = out.with_name(out.name + ".run").joinpath("run.json").exists()
            begun += resume
            second = fit(
                path, KILLED_TABLE.target, out, *options, *(["--resume"] if resume else [])
            )
            same += digest(out) == expected
            extra.append(first.seconds + second.seconds - whole.seconds)
        lines.append([
            search, f"{trials}", f"{begun}", f"{same}", f"{whole.seconds:.1f} s",
            f"{np.median(extra):.1f} s ({min(extra):.1f} to {max(extra):.1f})" if extra else "-",
        ])  # fmt: skip
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def workers() -> list[list[str]]:
    """Train members on 2 and 4 actors, one of which is killed; return a line for each."""
    import jax
    import ray

    from popnet import Dataset, Recipe
    from popnet.population import engines
    from popnet.population.feed import Arrays
    from popnet.population.members import Member, Result

    train, test = load(KILLED_TABLE)
    rows = pd.concat([train, test])
    X = rows.drop(columns=KILLED_TABLE.target).to_numpy(float)
    X = (X - X.mean(0)) / X.std(0)
    data = Dataset.from_arrays(X, rows[KILLED_TABLE.target].to_numpy(), "binary")
    order = np.random.default_rng(0).permutation(len(X))
    half = len(X) // 2
    arrays = Arrays(data, data, [(order[:half], order[half:]), (order[half:], order[:half])])
    recipes = [Recipe(depth=2, width=w, epochs=300, patience=300) for w in (32, 64)]
    members = [Member(r, s, f) for r in recipes for s in range(10) for f in range(2)]

    def equal(a: Result, b: Result) -> bool:
        pairs = zip(jax.tree.leaves(a.parameters), jax.tree.leaves(b.parameters), strict=True)
        return a.best_score == b.best_score and all(np.array_equal(x, y) for x, y in pairs)

    runs = []
    for count in (2, 4):  # before JAX begins its threads here
        began = time.perf_counter()
        trainer = engines.make("ray", arrays, workers=count)
        list(trainer.run(enumerate(members[:1])))  # actors begin with the first run
        victim = ray.get(trainer._actors[-1].__ray_call__.remote(lambda _: os.getpid()))  # pyright: ignore
        found: dict[int, Result] = {}
        for i, result in trainer.run(enumerate(members)):
            found[i] = result
            if len(found) == 4:
                os.kill(victim, signal.SIGKILL)
        deaths = trainer._deaths  # pyright: ignore
        trainer.close()
        runs.append((count, found, deaths, time.perf_counter() - began))
    began = time.perf_counter()
    local = dict(engines.make("local", arrays).run(enumerate(members)))
    lines = [["local", "", f"{len(local)}", "", "", f"{time.perf_counter() - began:.1f} s"]]
    for count, found, deaths, seconds in runs:
        same = sum(equal(found[i], local[i]) for i in found)
        lines.append([
            f"Ray, {count} workers", "1", f"{len(found)}", f"{same}", f"{deaths}", f"{seconds:.1f} s",
        ])  # fmt: skip
    return lines


HEADS: dict[str, Sequence[str]] = {
    "time": ("table (rows)", "limit", "took", "kept", "members", "accuracy", "of a constant", "peak memory"),
    "memory": ("table (rows)", "limit", "peak", "kept", "members", "accuracy", "took"),
    "huge": ("table (rows)", "limits", "peak", "kept", "members", "accuracy", "took"),
    "kills": ("search", "kills", "had begun to train", "same weights", "undisturbed", "both parts took more by"),
    "workers": ("engine", "killed", "members", "the same bit for bit", "deaths noticed", "took"),
}  # fmt: skip


def main() -> None:
    """Measure the parts asked for and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="time,memory,huge,kills,workers")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--markdown", type=Path, help="also write the tables to this file")
    args = parser.parse_args()
    wanted = args.parts.split(",")
    texts = []
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        large = (
            write(generated(LARGE_ROWS), folder, "large")
            if {"time", "memory"} & set(wanted)
            else folder
        )
        for part in wanted:
            if part == "time":
                lines = times(folder, large)
            elif part == "memory":
                lines = memory(folder, large)
            elif part == "huge":
                lines = huge(folder)
            elif part == "workers":
                lines = workers()
            else:
                lines = kills(folder, args.kills, args.seed)
            texts.append(markdown(HEADS[part], lines))
            print(texts[-1], flush=True)
    if args.markdown:
        lines = [*texts, *conditions("benchmarks.limits")]
        args.markdown.write_text("\n\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
