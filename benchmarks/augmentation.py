"""How fast images are augmented, against torchvision v2, albumentations and kornia: ``python -m benchmarks.augmentation``.

Each cell is the rate of one transformation of images of one size that lie in memory, with parameters drawn for each
image: the median of repeats within about a second. *One thread* is one process with one thread. *All cores* is for
popnet one call with a thread a core; for the peers a process a core, all at the same time, their rates added up: the
transport of images between processes, which a loader of data needs, is not counted against them.

popnet compiles one program for each size of images; what that takes is shown by itself, and in a rate over 60,000
images. Progress goes to stderr, the tables to stdout.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import peers_augmentation as peers
from benchmarks.table import conditions, cores, markdown

SIDES = {28: 1, 32: 3, 96: 3, 224: 3}
"""Pixels a side, and channels."""

VALUES = 3 << 20
"""Values of the images in memory for a process, about."""

EPOCH = 60_000
"""Images over which the time of compiling is spread."""

TURNS = 3
"""Repeats of a measurement, at least."""


@dataclass(frozen=True)
class Cell:
    """One measurement.

    Attributes:
        side, transformation, system: what was measured.
        threads: 1, or the number of cores.
        rates: images a second, of each repeat.
        compile_seconds: popnet's first call of a size, less the time of a later one; None where nothing was compiled.
    """

    side: int
    transformation: str
    system: str
    threads: int
    rates: list[float]
    compile_seconds: float | None = None

    @property
    def rate(self) -> float:
        """Median, images a second; 0 if it failed."""
        return statistics.median(self.rates) if self.rates else 0.0


def note(text: str) -> None:
    """Report progress."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def pictures(side: int, share: float = 1.0) -> np.ndarray:
    """Return smooth random images ``(N, side, side, C)`` uint8; ``share`` of what is usual."""
    channels = SIDES.get(side, 3)
    n = max(8, int(share * VALUES) // (side * side * channels))
    coarse = np.random.default_rng(side).uniform(0, 255, (n, 8, 8, channels))
    at = np.minimum(np.arange(side) * 8 // side, 7)
    return coarse[:, at][:, :, at].astype(np.uint8)


def measure(task: tuple[str, str, int, int, float]) -> tuple[list[float], float]:
    """Measure in this process; returns rates, and the seconds of the very first call.

    Args:
        task: system, transformation, side, threads, seconds.
    """
    system, transformation, side, threads, seconds = task
    warnings.simplefilter("ignore")
    images = pictures(side)
    run = peers.SYSTEMS[system](transformation, images[:8], threads)
    began = time.perf_counter()
    run()
    each = (time.perf_counter() - began) / 8
    if system != "popnet":  # as many as a fifth of the time is enough for
        images = images[: max(8, min(len(images), int(seconds / 5 / each)))]
    run = peers.SYSTEMS[system](transformation, images, threads)
    began = time.perf_counter()
    run()
    first = time.perf_counter() - began
    rates, began = [], time.perf_counter()
    while len(rates) < TURNS or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        run()
        rates.append(len(images) / (time.perf_counter() - start))
    return rates, first - len(images) / statistics.median(rates)


class Workers:
    """A process a core that measure the same thing at the same time."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.barrier = context.Barrier(cores())
        self.pool = context.Pool(cores(), _start, (self.barrier,))

    def together(self, task: tuple[Any, ...]) -> list[float]:
        """Return rates added up over all processes."""
        found = self.pool.map(_together, [task] * cores(), chunksize=1)
        return [sum(rates) for rates in zip(*(r for r, _ in found), strict=False)]

    def alone(self, task: tuple[Any, ...]) -> tuple[list[float], float]:
        """Return rates of one process, and the extra time of its first call."""
        return self.pool.apply(measure, (task,))


_barrier: Any = None


def _start(barrier: Any) -> None:
    global _barrier
    _barrier = barrier
    # Threads are chosen by the systems; none of their libraries may add its own.
    os.environ["OMP_NUM_THREADS"] = "1"


def _together(task: tuple[Any, ...]) -> tuple[list[float], float]:
    _barrier.wait()
    return measure(task)


def run(options: argparse.Namespace) -> tuple[list[Cell], dict[str, str]]:
    """Measure all cells; returns them, and why systems are missing."""
    absent = {s: why for s in options.systems if (why := peers.missing(s))}
    for system, why in absent.items():
        note(f"{system} is not measured: {why}")
    systems = [s for s in options.systems if s not in absent]
    cells: list[Cell] = []
    workers = Workers()
    try:
        for side in options.sides:
            compiled = False
            for transformation in options.transformations:
                for system in systems:
                    for threads in dict.fromkeys((1, cores())):
                        task = (system, transformation, side, threads, options.seconds)
                        extra = None
                        try:
                            if system == "popnet":
                                # In this process: its programs are compiled once a size.
                                rates, first = measure(task)
                                if not compiled:
                                    extra, compiled = first, True
                            elif threads == 1:
                                rates, _ = workers.alone(task)
                            else:
                                rates = workers.together((*task[:3], 1, options.seconds))
                        except Exception as error:
                            note(f"{system} fails at {transformation}, {side} pixels: {error}")
                            rates = []
                        cells.append(Cell(side, transformation, system, threads, rates, extra))
                rate = ", ".join(
                    f"{c.system} {c.rate:,.0f}"
                    for c in cells
                    if (c.side, c.transformation, c.threads) == (side, transformation, 1)
                )
                note(f"{side} pixels, {transformation}: {rate} images/s on one thread")
    except KeyboardInterrupt:
        note("interrupted: the tables show what was measured so far")
    finally:
        workers.pool.terminate()
    return cells, absent


# --- text -----------------------------------------------------------------------------------------


def section(cells: Sequence[Cell], absent: dict[str, str]) -> str:
    """Return the tables."""
    parts = ["## Speed of augmentation", "\n".join(f"- {line}" for line in conditions())]
    if absent:
        parts.append("\n".join(f"- not measured: {s} ({why})" for s, why in absent.items()))
    for threads in sorted({c.threads for c in cells}):
        parts += [f"### Images a second, {threads} thread{'s' * (threads > 1)}"]
        parts += [rate_table([c for c in cells if c.threads == threads])]
    parts += ["### popnet's compiling", compile_table(cells)]
    return "\n\n".join(parts)


def rate_table(cells: Sequence[Cell]) -> str:
    """Return rates by size and transformation, and popnet's as a multiple of the best peer's."""
    systems = list(dict.fromkeys(c.system for c in cells))
    rows = []
    for side, transformation in dict.fromkeys((c.side, c.transformation) for c in cells):
        found = {
            c.system: c.rate for c in cells if (c.side, c.transformation) == (side, transformation)
        }
        best = max((rate for s, rate in found.items() if s != "popnet"), default=0.0)
        ratio = f"{found['popnet'] / best:.2f}" if best and "popnet" in found else "-"
        rates = [f"{found[s]:,.0f}" if found.get(s) else "-" for s in systems]
        rows.append([str(side), transformation, *rates, ratio])
    return markdown(["side", "what", *systems, "popnet / best peer"], rows)


def compile_table(cells: Sequence[Cell]) -> str:
    """Return the time of compiling for each size, and the rates over an epoch with it counted in."""
    rows = []
    for side in dict.fromkeys(c.side for c in cells):
        own = [c for c in cells if c.side == side and c.system == "popnet"]
        seconds = next((c.compile_seconds for c in own if c.compile_seconds is not None), None)
        if seconds is None:
            continue
        for c in own:
            if c.rates and c.transformation in ("affine", "policy"):
                with_it = EPOCH / (seconds + EPOCH / c.rate)
                rows.append([
                    str(side), c.transformation, str(c.threads), f"{seconds:.2f}",
                    f"{c.rate:,.0f}", f"{with_it:,.0f}",
                ])  # fmt: skip
    head = ["side", "what", "threads", "compile s", "images/s", f"with it, {EPOCH:,} images"]
    return markdown(head, rows)


# --- command line ---------------------------------------------------------------------------------


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.augmentation",
        description="Measure how fast popnet augments images, against torchvision, albumentations, kornia.",
    )
    add = parser.add_argument
    add("--sides", type=lambda t: [int(p) for p in t.split(",")], default=list(SIDES))
    add("--transformations", type=lambda t: t.split(","), default=list(peers.TRANSFORMATIONS))
    add("--systems", type=lambda t: t.split(","), default=list(peers.SYSTEMS))
    add("--seconds", type=float, default=1.0, help="a cell; default %(default)s")
    add("--quick", action="store_true", help="a fifth of the time, to try the benchmark itself")
    add("--json", type=Path, metavar="FILE", help="write all measurements")
    options = parser.parse_args(arguments)
    known = {"transformations": peers.TRANSFORMATIONS, "systems": tuple(peers.SYSTEMS)}
    for name, choices in known.items():
        for value in getattr(options, name):
            if value not in choices:
                parser.error(f"--{name}: {value!r} is none of {', '.join(choices)}")
    if options.quick:
        options.seconds /= 5
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    options = parse(arguments)
    began = time.perf_counter()
    cells, absent = run(options)
    print(section(cells, absent))
    if options.json:
        values = {"cells": [asdict(c) for c in cells], "absent": absent}
        options.json.write_text(json.dumps(values, indent=1), encoding="utf-8")
    note(f"done in {(time.perf_counter() - began) / 60:.1f} min")
    return 0


if __name__ == "__main__":
    # Before JAX and PyTorch start: no thread of their own beside those asked for.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    sys.exit(main())
