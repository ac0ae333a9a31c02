"""Images augmented a second, against torchvision, albumentations and kornia: ``python -m benchmarks.augmentation``.

Rotation, affine maps, elastic deformation, crop, flip and all of them as one policy, at 28 (grey), 32, 96 and 224
pixels (colour), on one core and on all of them. Each system is used as its documentation has it
(``benchmarks/augmenters.py``); every figure is the median of several calls. The first call of a size (with popnet it
compiles the one program that serves all operations) is apart, and is in the rate over 60,000 images. Systems that are
not installed are named.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.augmenters import BATCHED, OPERATIONS, SIZES, SYSTEMS, channels
from benchmarks.table import cores

ROOT = Path(__file__).resolve().parent.parent
EPOCH = 60_000


def batch_of(system: str, size: int) -> np.ndarray:
    """Return images: as many for a call as suit the system."""
    count = {28: 2048, 32: 2048, 96: 256, 224: 64}[size]
    if system not in BATCHED:
        count = max(16, count // 8)
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, size, size, channels(size)), dtype=np.uint8)


def rate(system: str, operation: str, size: int, threads: int, seconds: float) -> dict[str, float]:
    """Return images a second (median of calls for so many seconds, at least one) and the first call's seconds."""
    batch = batch_of(system, size)
    began = time.perf_counter()
    run = SYSTEMS[system](operation, size, threads)
    run(batch)
    first = time.perf_counter() - began
    times: list[float] = []
    began = time.perf_counter()
    while not times or (time.perf_counter() - began < seconds and len(times) < 50):
        t = time.perf_counter()
        run(batch)
        times.append(time.perf_counter() - t)
    return {"rate": len(batch) / float(np.median(times)), "first": first}


def child(system: str, threads: int, core: int, options: argparse.Namespace) -> None:
    """Measure all cells of a system in this process and print them as JSON."""
    warnings.simplefilter("ignore")
    if core >= 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[core]})
    found = {}
    for size in options.sizes:
        for operation in options.operations:
            key = f"{operation} {size}"
            found[key] = rate(system, operation, size, threads, options.seconds)
            print(
                f"{system} {threads} {key}: {found[key]['rate']:,.0f}", file=sys.stderr, flush=True
            )
    print(json.dumps(found))


def measure(system: str, threads: int, options: argparse.Namespace) -> dict[str, Any] | None:
    """Measure a system in fresh processes; None if it cannot be imported."""
    many = threads > 1 and system not in BATCHED
    pinned = many or threads == 1
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": str(1 if many else threads)}  # fmt: skip
    started = []
    for core in range(threads if many else 1):
        command = [
            sys.executable, "-m", "benchmarks.augmentation", "--child", system, "--threads",
            str(1 if many else threads), "--core", str(core if pinned else -1), "--seconds",
            str(options.seconds), "--sizes", *map(str, options.sizes), "--operations", *options.operations,
        ]  # fmt: skip
        started.append(
            subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        )
    outputs = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        return None
    parts = [json.loads(out.splitlines()[-1]) for out in outputs]
    return {
        key: {"rate": sum(p[key]["rate"] for p in parts), "first": max(p[key]["first"] for p in parts)}
        for key in parts[0]
    }  # fmt: skip


def version(system: str) -> str | None:
    """Return an installed version, or None."""
    try:
        return importlib.metadata.version(system)
    except importlib.metadata.PackageNotFoundError:
        return None


def table(found: dict[str, dict[str, Any]], options: argparse.Namespace) -> str:
    """Return a Markdown table of images a second; the fastest of a row is bold."""
    systems = list(found)
    lines = [
        "| operation | pixels | " + " | ".join(systems) + " | popnet / best peer |",
        "|---|---|" + "---|" * (len(systems) + 1),
    ]
    for operation in options.operations:
        for size in options.sizes:
            rates = {s: found[s][f"{operation} {size}"]["rate"] for s in systems}
            most = max(rates.values())
            cells = [f"**{r:,.0f}**" if r == most else f"{r:,.0f}" for r in rates.values()]
            peers = [r for s, r in rates.items() if s != "popnet"]
            ratio = f"{rates['popnet'] / max(peers):.1f}" if peers and "popnet" in rates else "-"
            lines.append(f"| {operation} | {size} | " + " | ".join(cells) + f" | {ratio} |")
    return "\n".join(lines)


def compile_table(found: dict[str, Any], options: argparse.Namespace) -> str:
    """Return popnet's first call of the policy, and the rate over an epoch with it."""
    lines = ["| pixels | first call, s | images/s | 60,000 with the first |", "|---|---|---|---|"]
    for size in options.sizes:
        rate = found[f"policy {size}"]["rate"]
        first = max(found[f"{operation} {size}"]["first"] for operation in options.operations)
        lines.append(
            f"| {size} | {first:.1f} | {rate:,.0f} | {EPOCH / (EPOCH / rate + first):,.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0.7, help="of each figure")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--operations", nargs="+", default=list(OPERATIONS), choices=OPERATIONS)
    parser.add_argument("--only", nargs="+", default=list(SYSTEMS), choices=list(SYSTEMS))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, default=-1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.threads, options.core, options)
        return
    results: dict[int, dict[str, Any]] = {}
    missing = [s for s in options.only if version(s) is None and s != "popnet"]
    for threads in sorted({1, cores()}):
        results[threads] = {}
        for system in options.only:
            if system in missing:
                continue
            found = measure(system, threads, options)
            if found is None:
                missing.append(system)
            else:
                results[threads][system] = found
    if options.json:
        print(json.dumps({"results": results, "missing": missing}))
        return
    names = [f"{s} {version(s)}" for s in options.only if s not in missing]
    print(f"{time.strftime('%Y-%m-%d')}, {cores()} cores, {', '.join(names)}; images a second\n")
    for system in missing:
        print(f"{system} is not installed, or its build does not start here: left out.\n")
    for threads, found in results.items():
        print(f"### {threads} core{'s' if threads > 1 else ''}\n\n{table(found, options)}\n")
    if "popnet" in options.only and "policy" in options.operations:
        print("### The policy with popnet's compilation\n")
        print(compile_table(results[max(results)]["popnet"], options))


if __name__ == "__main__":
    main()
