"""How fast popnet trains, against PyTorch and scikit-learn: ``python -m benchmarks.speed``.

What is measured is the whole training of a multi-layer perceptron (32 inputs, three hidden layers,
four classes; batches of 256): the gather of shuffled batches, batch norm, ReLU, dropout, AdamW with
a cosine schedule, the evaluation of a validation set each epoch, and early stopping's bookkeeping
with the best weights kept.

Every measurement is a fresh process (``benchmarks/child.py``), so popnet compiles anew each time. A
round measures each case once, and ratios are taken within a round: a machine that slows down for a
minute hurts all alike. Progress goes to stderr, the tables to stdout. The exit status is 1 if nets
of the same kind do not score alike.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.case import Case, Measurement
from benchmarks.table import cores

PEERS = ("torch", "torch-processes", "torch-compile", "sklearn")
ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Round:
    """One time through all cases of one width.

    Attributes:
        width: of the nets.
        popnet: a measurement for each number of members.
        peers: a measurement for each peer.
        peaks: GFLOP/s of the machine's matrix product around each popnet case, the mean of before
            and after.
    """

    width: int
    popnet: dict[int, Measurement] = field(default_factory=dict)
    peers: dict[str, Measurement] = field(default_factory=dict)
    peaks: dict[int, float] = field(default_factory=dict)


def note(text: str) -> None:
    """Report progress."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


# --- child processes ------------------------------------------------------------------------------


def ask_child(case: Case, environment: dict[str, str]) -> tuple[dict[str, Any], float]:
    """Run a case in a fresh process; returns what it printed and its whole wall time."""
    command = [sys.executable, "-m", "benchmarks.child", json.dumps(case.to_dict())]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=False)
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise SystemExit(f"{case.system} failed at width {case.width}; its message is above.")
    return json.loads(done.stdout.splitlines()[-1]), seconds


def environment(cache: str, **others: str) -> dict[str, str]:
    """Return a child's environment: caches in one folder, no thread settings of the caller's."""
    dropped = (
        "JAX_COMPILATION_CACHE_DIR",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
    )
    kept = {k: v for k, v in os.environ.items() if k not in dropped}
    return {**kept, "POPNET_CACHE": cache, "TORCHINDUCTOR_CACHE_DIR": cache, **others}


def measure(case: Case, cache: str | None = None, **others: str) -> Measurement:
    """Measure a case in a fresh process, by default with an empty cache of compiled programs."""
    with tempfile.TemporaryDirectory(prefix="popnet-bench-") as empty:
        found, seconds = ask_child(
            case, environment(cache or empty, **{"JAX_PLATFORMS": "cpu", **others})
        )
    measurement = replace(Measurement.from_dict(found), process_seconds=seconds)
    note(
        f"{case.system:>15} width {case.width:3d}: {case.members:3d} nets"
        f" in {measurement.run_seconds:6.2f} s + {measurement.compile_seconds:5.2f} s compiling,"
        f" {measurement.ms_per_epoch:6.1f} ms a net-epoch"
    )
    return measurement


class Peak:
    """The process that measures the machine's matrix products; see ``benchmarks/peak.py``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.found: list[dict[str, float]] = []

    def __call__(self) -> float:
        """Return GFLOP/s now, by the better of JAX and PyTorch."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.found.append(json.loads(self._process.stdout.readline()))
        return max(self.found[-1].values())


@contextmanager
def peak_meter() -> Iterator[Peak]:
    """Start the process that measures matrix products, and end it afterwards."""
    command = [sys.executable, "-m", "benchmarks.peak", str(cores())]
    env = {**os.environ, "JAX_PLATFORMS": "cpu"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        peak = Peak(process)
        peak()  # the first is slow: it imports and compiles
        peak.found.clear()
        yield peak
        assert process.stdin is not None
        process.stdin.close()


# --- rounds ---------------------------------------------------------------------------------------


def cases(width: int, turn: int, options: argparse.Namespace) -> list[Case]:
    """Return the cases of one width in the order of this turn: every other turn backwards."""
    base = Case(
        "popnet",
        width,
        0,
        options.epochs,
        options.rows,
        options.features,
        cores=cores(),
        first_seed=0,
    )
    # Peers get new seeds each turn, so that their accuracy is that of many nets.
    nets = {"torch": options.nets, **{p: options.nets * cores() for p in PEERS if p != "torch"}}
    found = [replace(base, members=m) for m in options.members if "popnet" in options.only]
    found += [
        replace(base, system=p, members=nets[p], first_seed=turn * nets[p])
        for p in PEERS
        if p in options.only
    ]
    return found[::-1] if turn % 2 else found


def run_round(
    width: int,
    turn: int,
    peak: Peak,
    skipped: set[tuple[int, str, int]],
    options: argparse.Namespace,
) -> Round:
    """Measure each case of a width once, but those to be skipped; adds to these what took long."""
    found = Round(width)
    for case in cases(width, turn, options):
        label = (width, case.system, case.members)
        if label in skipped:
            continue
        before = peak() if case.system == "popnet" else 0.0
        measurement = measure(case)
        if case.system == "popnet":
            found.popnet[case.members] = measurement
            found.peaks[case.members] = (before + peak()) / 2
        else:
            found.peers[case.system] = measurement
        if measurement.seconds > options.longest:
            skipped.add(label)
    return found


def warn_if_busy() -> None:
    """Say so if other programs use the cores: figures of a busy machine mean little, PyTorch's least of all."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.3:
        note(
            f"the machine is busy (load {load:.1f}): the figures, PyTorch's with several threads first, will suffer"
        )


def run_rounds(options: argparse.Namespace) -> tuple[list[Round], list[dict[str, float]]]:
    """Measure all widths, several times; Ctrl-C ends early with what there is."""
    rounds: list[Round] = []
    skipped: set[tuple[int, str, int]] = set()
    with peak_meter() as peak:
        warn_if_busy()
        try:
            for turn in range(options.repeats):
                note(f"round {turn + 1} of {options.repeats}")
                for width in options.widths:
                    rounds.append(run_round(width, turn, peak, skipped, options))
        except KeyboardInterrupt:
            note("interrupted: the tables show what was measured so far")
        return rounds, peak.found


# --- start-up and GPU -----------------------------------------------------------------------------


def start_up(options: argparse.Namespace) -> list[Measurement]:
    """Measure whole processes, from nothing to trained nets: popnet cold and warm, and (b)."""
    case = Case("popnet", 64, 32, options.epochs, options.rows, options.features, cores=cores())
    if options.quick:
        case = replace(case, width=32, members=4)
    with tempfile.TemporaryDirectory(prefix="popnet-bench-") as cache:
        cold, warm = measure(case, cache), measure(case, cache)
    pool = measure(replace(case, system="torch-processes", warm_up=False))
    return [cold, warm, pool]


def gpu(options: argparse.Namespace) -> str:
    """Measure 1 and 128 members of width 128 on a GPU, and the ratio of their times."""
    case = Case("popnet", 128, 1, options.epochs, options.rows, options.features)
    with tempfile.TemporaryDirectory(prefix="popnet-bench-") as cache:
        env = environment(cache)
        info, _ = ask_child(replace(case, system="platform"), env)
        if info["platform"] not in ("gpu", "cuda", "rocm"):
            return f"No GPU: JAX's first device is {info['device']}; nothing was measured."
        found: dict[int, list[Measurement]] = {1: [], 128: []}
        for _ in range(options.repeats):
            for members, list_ in found.items():
                platforms = {"JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "")}
                list_.append(measure(replace(case, members=members), cache, **platforms))
    return report.gpu_section(info["device"], found)


# --- command line ---------------------------------------------------------------------------------


def numbers(text: str) -> list[int]:
    """Read ``32,64,128``."""
    return [int(part) for part in text.split(",")]


def systems(text: str) -> list[str]:
    """Read ``popnet,torch``; refuses an unknown name."""
    names = text.split(",")
    for name in names:
        if name not in ("popnet", *PEERS):
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(('popnet', *PEERS))}")
    return names


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed",
        description="Measure how fast popnet trains, against PyTorch and scikit-learn.",
    )
    add = parser.add_argument
    add("--images", action="store_true", help="nets of images instead; see benchmarks.speed_images")
    add("--probes", action="store_true", help="what probes cost; see benchmarks.probes")
    add("--widths", type=numbers, default=[32, 64, 128, 256], help="default 32,64,128,256")
    add("--members", type=numbers, default=[8, 32, 128], help="of popnet; default 8,32,128")
    add("--epochs", type=int, default=6, help="of each net; default %(default)s")
    add("--rows", type=int, default=25_600, help="training rows; a fifth more to validate on")
    add("--features", type=int, default=32, help="default %(default)s")
    add(
        "--nets",
        "--seeds",
        type=int,
        default=2,
        help="that a process of a peer trains each round; default 2",
    )
    add("--repeats", type=int, default=3, help="rounds; default %(default)s")
    add(
        "--longest",
        type=float,
        default=45.0,
        help="a case that takes more seconds is not repeated; default 45",
    )
    add("--only", type=systems, default=None, help=f"some of popnet,{','.join(PEERS)}")
    add(
        "--torch-compile",
        action="store_true",
        help="also PyTorch's compiled mode, one process a core",
    )
    add("--start-up", action="store_true", help="also whole processes from nothing to 32 members")
    add("--gpu", action="store_true", help="measure a GPU instead: 128 members against 1")
    add("--quick", action="store_true", help="tiny settings, to try the benchmark itself")
    add("--json", type=Path, metavar="FILE", help="write all measurements")
    add(
        "--markdown", type=Path, metavar="FILE", help="write the tables of docs/benchmarks/speed.md"
    )
    options = parser.parse_args(arguments)
    if options.quick:
        options.widths, options.members, options.epochs = options.widths[:2], [4], 4
        options.rows, options.nets, options.repeats = 5_120, 1, 2
    if options.only is None:
        options.only = ["popnet", "torch", "torch-processes", "sklearn"]
    if options.torch_compile and "torch-compile" not in options.only:
        options.only.append("torch-compile")
    return options


def write_json(
    path: Path, rounds: list[Round], peaks: list[dict[str, float]], started: list[Measurement]
) -> None:
    """Write every single measurement."""
    found = [m.to_dict() for r in rounds for m in (*r.popnet.values(), *r.peers.values())]
    per_round = [{"width": r.width, "peaks": r.peaks} for r in rounds]
    values = {"measurements": found, "rounds": per_round, "peaks": peaks}
    values["start_up"] = [m.to_dict() for m in started]
    path.write_text(json.dumps(values, indent=1), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit status."""
    options = parse(arguments)
    began = time.perf_counter()
    if options.images:
        from benchmarks import speed_images

        speed_images.main(["--repeats", str(options.repeats)])
        return 0
    if options.probes:
        from benchmarks import probes

        text, agree = probes.cost(options.repeats), True
    elif options.gpu:
        text, agree = gpu(options), True
    else:
        rounds, peaks = run_rounds(options)
        started = start_up(options) if options.start_up else []
        text, agree = report.section(rounds, peaks, started, options)
        if options.json:
            write_json(options.json, rounds, peaks, started)
    print(text)
    if options.markdown:
        options.markdown.write_text(text + "\n", encoding="utf-8")
    note(f"done in {(time.perf_counter() - began) / 60:.1f} min")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
