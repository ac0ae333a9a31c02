"""From measurements to the text of a benchmark: tables, notes, the check of the scores."""

from __future__ import annotations

import math
import statistics
from argparse import Namespace
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from benchmarks.case import Measurement
from benchmarks.table import conditions, markdown, pair, spread

if TYPE_CHECKING:
    from benchmarks.speed import Round

NAMES = {
    "popnet": "popnet",
    "torch": "(a) PyTorch, one net after another",
    "torch-processes": "(b) PyTorch, a process a core",
    "torch-compile": "(b') as (b), torch.compile",
    "sklearn": "(c) scikit-learn, a process a core",
}
SAME_NET = ("torch", "torch-processes", "torch-compile")
"""Peers that train the very same net, so that the scores must agree."""

TOLERANCE = 0.005
PEAK_TARGET = {(64, 32): 0.6, (128, 32): 0.6}
SPEED_TARGETS = {"torch": 10.0, "torch-processes": 3.5}


def section(
    rounds: Sequence[Round],
    peaks: Sequence[dict[str, float]],
    started: Sequence[Measurement],
    options: Namespace,
) -> tuple[str, bool]:
    """Return the whole text, and whether all nets of the same kind score alike."""
    accuracy, agree = accuracy_table(rounds)
    parts = [
        "## Speed on the CPU",
        "\n".join(f"- {line}" for line in [*conditions(), work_line(options), peak_line(peaks)]),
        "### popnet",
        popnet_table(rounds),
        POPNET_NOTE,
        "### Times faster than the peers, time for time per net",
        speed_table(rounds),
        SPEED_NOTE,
        "### The peers",
        peer_table(rounds),
        PEER_NOTE,
        "### Validation accuracy",
        accuracy,
        ACCURACY_NOTE,
    ]
    if started:
        parts += [
            f"### From nothing to {started[0].case.members} trained nets",
            start_up_table(started),
            START_UP_NOTE,
        ]
    targets = target_lines(rounds)
    if targets:
        parts += ["### Targets", "\n".join(targets)]
    return "\n\n".join(parts), agree


POPNET_NOTE = (
    "Median over n rounds (least-greatest). Each run is a fresh process with an empty cache of "
    "compiled programs. GFLOP/s count the matrix products alone; the share is of the GEMM peak, the "
    "mean of one measurement just before and one just after. Memory is the process' peak resident "
    "memory, imports and compilation included."
)
SPEED_NOTE = (
    "Each cell: compilation left out (least-greatest) / counted in. Ratios are taken within a "
    "round; medians over the rounds. Compilation is once a width, whatever the members and epochs."
)
PEER_NOTE = (
    "Threads: (a) takes the faster of one and one a core, found in its warm-up. "
    "Imports, start of the processes and one untimed warm-up epoch are left out (see --start-up "
    "for whole processes). Memory is summed over the processes; pages of libraries that they share "
    "count in each. scikit-learn's net has no batch norm, dropout, decoupled decay or schedule, and is "
    "evaluated once at the end instead of each epoch: it does less. GFLOP/s count the products that "
    "popnet's training would need."
)
ACCURACY_NOTE = (
    "Mean over nets, and their standard deviation. OK: the means differ by no more than three "
    "standard errors + 0.5 %. scikit-learn's is another net (no dropout, no batch norm, constant "
    "rate), so its difference is shown, not judged."
)
START_UP_NOTE = (
    "Wall time of the whole command: the interpreter, imports, data, start of processes, "
    "compilation, training. Start-up is what is left when compilation and training are taken off."
)


def work_line(options: Namespace) -> str:
    """Say what is trained."""
    return (
        f"Work: {options.features} inputs, 3 hidden layers, 4 classes, float32; {options.rows} "
        f"training and {options.rows // 5} validation rows, batches of 256, {options.epochs} "
        "epochs; batch norm, ReLU, dropout 0.1, AdamW, cosine schedule, validation each epoch, "
        "best weights kept; the same for popnet and PyTorch"
    )


def peak_line(peaks: Sequence[dict[str, float]]) -> str:
    """Say what the machine's matrix product reached during the run."""
    by_jax, by_torch = ([p[k] for p in peaks] for k in ("jax", "torch"))
    return (
        f"GEMM peak, 1024 x 1024 float32, all cores: JAX {spread(by_jax, 0)}, PyTorch "
        f"{spread(by_torch, 0)} GFLOP/s (n = {len(peaks)}, between the cases; the larger counts)"
    )


def cells(rounds: Iterable[Round]) -> dict[tuple[int, int], list[Round]]:
    """Return the rounds that measured popnet, by width and members."""
    found: dict[tuple[int, int], list[Round]] = defaultdict(list)
    for r in rounds:
        for members in r.popnet:
            found[r.width, members].append(r)
    return dict(sorted(found.items()))


def peak_shares(rounds: Sequence[Round], members: int) -> list[float]:
    """Return popnet's share of the GEMM peak in each round."""
    return [r.popnet[members].gflops / r.peaks[members] for r in rounds]


def popnet_table(rounds: Sequence[Round]) -> str:
    """Return popnet's own figures."""
    head = ["width", "members", "n", "ms/member-epoch", "s/member", "with compile", "compile s"]
    head += ["GFLOP/s", "GEMM peak", "share", "memory MB"]
    rows = []
    for (width, members), those in cells(rounds).items():
        ms = [r.popnet[members] for r in those]
        rows.append([
            str(width), str(members), str(len(ms)),
            spread([m.ms_per_epoch for m in ms]),
            spread([m.per_member() for m in ms], 3),
            spread([m.per_member(with_compile=True) for m in ms], 3),
            spread([m.compile_seconds for m in ms]),
            spread([m.gflops for m in ms], 0),
            spread([r.peaks[members] for r in those], 0),
            spread([100 * s for s in peak_shares(those, members)], 0) + " %",
            f"{max(m.memory_mb for m in ms):.0f}",
        ])  # fmt: skip
    return markdown(head, rows)


def ratios(
    rounds: Sequence[Round], width: int, members: int, peer: str, with_compile: bool = False
) -> list[float]:
    """Return how many times faster than a peer popnet was, round by round.

    A case that was not repeated is compared with the peer's measurement in its own round only, and
    the other way round.
    """
    found = []
    for r in rounds:
        if r.width == width and members in r.popnet and peer in r.peers:
            own, other = r.popnet[members], r.peers[peer]
            # A peer compiles once too, whatever the number of nets: its share is that of as many.
            compiling = other.compile_seconds / members if with_compile else 0.0
            found.append((other.per_member() + compiling) / own.per_member(with_compile))
    return found


def measured_peers(rounds: Sequence[Round]) -> list[str]:
    """Return the peers that were measured, in their order."""
    return [name for name in NAMES if any(name in r.peers for r in rounds)]


def short(name: str) -> str:
    """Return a system's letter, ``(a)``."""
    return NAMES[name].split(" ")[0]


def speed_table(rounds: Sequence[Round]) -> str:
    """Return popnet's speed-up over each peer, without and with compilation."""
    peers = measured_peers(rounds)
    rows = [
        [str(width), str(members)]
        + [
            pair(ratios(rounds, width, members, p), ratios(rounds, width, members, p, True))
            for p in peers
        ]
        for width, members in cells(rounds)
    ]
    return markdown(["width", "members", *(f"x {short(p)}" for p in peers)], rows)


def by_peer(rounds: Sequence[Round]) -> dict[tuple[int, str], list[Measurement]]:
    """Return the peers' measurements, by width and name."""
    found: dict[tuple[int, str], list[Measurement]] = defaultdict(list)
    for r in rounds:
        for name, measurement in r.peers.items():
            found[r.width, name].append(measurement)
    order = list(NAMES)
    return dict(sorted(found.items(), key=lambda item: (item[0][0], order.index(item[0][1]))))


def peer_table(rounds: Sequence[Round]) -> str:
    """Return the peers' own figures."""
    head = [
        "width",
        "system",
        "n",
        "nets each",
        "threads",
        "ms/member-epoch",
        "s/member",
        "compile s",
        "GFLOP/s",
        "memory MB",
    ]
    rows = [
        [
            str(width), NAMES[name], str(len(ms)), str(ms[0].case.members),
            "/".join(sorted({str(m.threads) for m in ms})),
            spread([m.ms_per_epoch for m in ms]),
            spread([m.per_member() for m in ms], 3),
            spread([m.compile_seconds for m in ms]) if name == "torch-compile" else "-",
            spread([m.gflops for m in ms], 0),
            f"{max(m.memory_mb for m in ms):.0f}",
        ]
        for (width, name), ms in by_peer(rounds).items()
    ]  # fmt: skip
    return markdown(head, rows)


def accuracy_table(rounds: Sequence[Round]) -> tuple[str, bool]:
    """Return the nets' scores by system, and whether those of the same net agree.

    popnet's are those of its largest population: its members have the same seeds whatever their
    number, so smaller populations and other rounds repeat them bit for bit.
    """
    rows, agree = [], True
    for width in sorted({r.width for r in rounds}):
        own = max(
            (r.popnet[m].accuracies for r in rounds if r.width == width for m in r.popnet),
            key=len,
            default=[],
        )
        rows += [accuracy_row(width, "popnet", own, "")] if own else []
        for (w, name), ms in by_peer(rounds).items():
            if w != width:
                continue
            other = [a for m in ms for a in m.accuracies]
            difference = statistics.mean(own) - statistics.mean(other) if own else 0.0
            text = f"{100 * difference:+.2f} %"
            if own and name in SAME_NET:
                alike = abs(difference) <= 3 * standard_error(own, other) + TOLERANCE
                agree &= alike
                text += " OK" if alike else " DIFFERENT"
            rows.append(accuracy_row(width, name, other, text if own else ""))
    return markdown(
        ["width", "system", "nets", "accuracy", "deviation", "popnet's is"], rows
    ), agree


def accuracy_row(width: int, name: str, accuracies: Sequence[float], difference: str) -> list[str]:
    """Return a row of the table of scores."""
    mean, deviation = statistics.mean(accuracies), standard_deviation(accuracies)
    return [
        str(width),
        NAMES[name],
        str(len(accuracies)),
        f"{mean:.4f}",
        f"{deviation:.4f}",
        difference,
    ]


def standard_deviation(values: Sequence[float]) -> float:
    """Return the sample standard deviation; 0 of a single value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def standard_error(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the standard error of the difference of two means."""
    return math.sqrt(sum(standard_deviation(v) ** 2 / len(v) for v in (a, b)))


def start_up_table(started: Sequence[Measurement]) -> str:
    """Return whole-process times: popnet cold, popnet with a filled cache, the process pool."""
    cold, warm, pool = started
    named = [
        ("popnet, nothing cached", cold),
        ("popnet, second run", warm),
        (NAMES[pool.case.system], pool),
    ]
    rows = [
        [
            name, f"{m.process_seconds:.1f}", f"{m.compile_seconds:.1f}",
            f"{m.process_seconds - m.seconds:.1f}",
            f"{pool.process_seconds / m.process_seconds:.1f}",
        ]
        for name, m in named
    ]  # fmt: skip
    width = cold.case.width
    return markdown([f"width {width}", "whole s", "compiling s", "start-up s", "x (b)"], rows)


def target_lines(rounds: Sequence[Round]) -> list[str]:
    """Say of each target that was measured whether it was met."""
    lines = []
    measured = cells(rounds)
    for (width, members), target in PEAK_TARGET.items():
        if (width, members) in measured:
            share = statistics.median(peak_shares(measured[width, members], members))
            lines.append(
                verdict(f"width {width}, {members} members: share of the GEMM peak", share, target)
            )
    for peer, target in SPEED_TARGETS.items():
        found = ratios(rounds, 64, 32, peer)
        if found:
            text = f"width 64, 32 members: times faster than {short(peer)}, compilation left out"
            lines.append(verdict(text, statistics.median(found), target))
    return lines


def verdict(text: str, value: float, target: float) -> str:
    """Return a line with a value and its target."""
    shown = [f"{v:.0%}" if target < 1 else f"{v:.1f}" for v in (value, target)]
    return f"- {text}: {shown[0]}, target {shown[1]}: {'met' if value >= target else 'MISSED'}"


def gpu_section(device: str, found: dict[int, list[Measurement]]) -> str:
    """Return the GPU's figures: few and many members, and the ratio of their times."""
    rows = [
        [
            str(members), spread([m.run_seconds for m in ms], 2),
            spread([m.seconds for m in ms], 2),
            spread([m.ms_per_epoch for m in ms], 2), spread([m.gflops for m in ms], 0),
        ]
        for members, ms in found.items()
    ]  # fmt: skip
    few, many = sorted(found)
    ratio = [b.run_seconds / a.run_seconds for a, b in zip(found[few], found[many], strict=True)]
    met = "met" if statistics.median(ratio) <= 4 else "MISSED"
    parts = [
        "## Speed on a GPU",
        "\n".join(f"- {line}" for line in [*conditions(), f"GPU: {device}"]),
        markdown(["members", "s", "s with compile", "ms/member-epoch", "GFLOP/s"], rows),
        f"{many} members of width 128 take {spread(ratio, 2)} times as long as {few}; "
        f"target at most 4: {met}.",
    ]
    return "\n\n".join(parts)
