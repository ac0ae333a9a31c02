"""Tables, spreads, and the lines that say under which conditions a figure was measured."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Return median and, of several values, least and greatest: ``3.1 (2.9-3.4)``."""
    if not values:
        return "-"
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def pair(without: Sequence[float], with_compile: Sequence[float]) -> str:
    """Return two spreads, without and with compilation: ``12.3 (11.8-12.6) / 4.5``."""
    if not without:
        return "-"
    return f"{spread(without)} / {statistics.median(with_compile):.1f}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns stand under each other in plain text too."""
    cells = [list(head), *[list(r) for r in rows]]
    widths = [max(3, *(len(r[i]) for r in cells)) for i in range(len(head))]
    lines = [
        "| " + " | ".join(c.rjust(w) for c, w in zip(r, widths, strict=True)) + " |" for r in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 1) + ":" for w in widths) + "|")
    return "\n".join(lines)


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu() -> str:
    """Return the CPU's name, and which vector instructions it has."""
    fields: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    except OSError:
        return platform.processor() or platform.machine()
    flags = fields.get("flags", "").split()
    vector = next(
        (v for f, v in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if f in flags), "no AVX2"
    )
    family, model = fields.get("cpu family", "?"), fields.get("model", "?")
    return (
        f"{fields.get('model name', platform.machine())} (family {family}, model {model}, {vector})"
    )


def versions() -> str:
    """Return the versions of Python and of all that is measured."""
    parts = [f"Python {platform.python_version()}"]
    for name in ("popnet", "jax", "jaxlib", "torch", "lightgbm", "scikit-learn", "numpy"):
        try:
            parts.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            parts.append(f"{name} absent")
    return ", ".join(parts)


def commit() -> str:
    """Return ``, commit 1a2b3c4``, or nothing outside a repository."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f", commit {done.stdout.strip()}"


def conditions(module: str = "benchmarks.speed") -> list[str]:
    """Return the conditions of a measurement, one line each: date, machine, versions, command."""
    now = datetime.datetime.now(datetime.UTC)
    return [
        f"Date: {now:%Y-%m-%d %H:%M} UTC",
        f"Machine: {cpu()}, {cores()} cores, {platform.system()} {platform.release()}",
        f"Versions: {versions()}{commit()}",
        f"Command: `{' '.join([f'python -m {module}', *sys.argv[1:]])}`",
    ]


def replace_table(file: Path, text: str) -> None:
    """Put a table and its conditions in the place of those of a page: from its first table on to its end."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    first = next((i for i, line in enumerate(lines) if line.startswith("|")), len(lines))
    file.write_text("\n".join([*lines[:first], text, ""]), encoding="utf-8")


def publish(
    head: Sequence[str], rows: Sequence[Sequence[str]], module: str, file: Path | None
) -> None:
    """Print a table with the conditions of a benchmark, and write it to a file if there is one."""
    text = "\n\n".join([markdown(head, rows), *conditions(module)])
    print(text)
    if file:
        file.write_text(text + "\n", encoding="utf-8")
