"""Claim 13: early stopping helps, and stopping at the first rise is too early."""

from __future__ import annotations

import numpy as np

from popnet.course.base import ClaimOutcome, Criterion
from popnet.course.evidence import Interval, as_number, as_points, crossed_interval, holds_for_gain
from popnet.course.lab import Bench, twins_of_seeds
from popnet.course.nets import ADAM
from popnet.population.members import Result
from popnet.report.document import Dot, Dots, Line, Lines, Table
from popnet.report.format import fixed, number

PATIENCES = (1, 3, 10, 30)
SEEDS = 6
STEPS = 1200
MIN_GAIN = 0.01


def stopping_epochs(valid: np.ndarray, patience: int) -> tuple[int, int]:
    """Return the epoch (from 1) at which training stops and the one that is kept, given the validation losses.

    Args:
        valid: ``(E,)``.
        patience: epochs without a better one after which training stops; 1 is the first rise.
    """
    best, kept = np.inf, 0
    for epoch, value in enumerate(valid, 1):
        if value < best:
            best, kept = value, epoch
        elif epoch - kept >= patience:
            return epoch, kept
    return len(valid), kept


def patience(bench: Bench) -> ClaimOutcome:
    """Test claim 13."""
    table = bench.table
    epochs = bench.epochs(STEPS, table.rows())
    base = ADAM.replace(schedule="constant", learning_rate=1e-3, epochs=epochs)
    folds = [table.fold(k) for k in range(table.repeats)]
    rules = [base.replace(patience=p) for p in PATIENCES]
    stopped = bench.train(
        [twins_of_seeds(bench, rules, "patience", f, SEEDS) for f in folds], last=False
    )  # fmt: skip
    endless = bench.train([twins_of_seeds(bench, [base], "patience", f, SEEDS) for f in folds])
    count, each = min(len(stopped), len(endless)), len(PATIENCES)
    # Of each repetition and seed the nets of all rules, then the one that was never stopped.
    groups = [
        [[*stopped[k][each * s : each * (s + 1)], endless[k][s]] for s in range(SEEDS)]
        for k in range(count)
    ]
    losses = np.array([[bench.losses(g) for g in seeds] for seeds in groups]).mean(1)
    wrong = np.array([[bench.errors(g) for g in seeds] for seeds in groups]).mean(1)
    overlap = table.overlap()
    later = crossed_interval(losses[:, 0] - losses[:, PATIENCES.index(10)], overlap)
    stops = crossed_interval(losses[:, -1] - losses[:, PATIENCES.index(30)], overlap)
    later_wrong = crossed_interval(wrong[:, 0] - wrong[:, PATIENCES.index(10)], overlap)
    stops_wrong = crossed_interval(wrong[:, -1] - wrong[:, PATIENCES.index(30)], overlap)
    longer = crossed_interval(
        losses[:, PATIENCES.index(10)] - losses[:, PATIENCES.index(30)], overlap
    )
    parts = (
        Criterion(
            "the net kept with patience 10 has a lower test loss than the net kept by stopping at the first rise",
            f"patience 10 instead of stopping at the first rise lowers the test loss by {as_number(later, 2)}",
            holds_for_gain(later, MIN_GAIN),
            later,
        ),
        Criterion(
            "the net kept with patience 30 has a lower test loss than the net after all epochs",
            f"stopping with patience 30 instead of never lowers it by {as_number(stops, 2)}",
            holds_for_gain(stops, MIN_GAIN),
            stops,
        ),
        Criterion(
            "the net kept with patience 30 has a lower test loss than the net kept with patience 10",
            f"patience 30 instead of 10 lowers the test loss by {as_number(longer, 2)}",
            holds_for_gain(longer, MIN_GAIN),
            longer,
            main=False,
        ),
        Criterion(
            "the test error, too, is lower with patience 10 than at the first rise",
            f"patience 10 instead of stopping at the first rise lowers the test error by {as_points(later_wrong)}",
            holds_for_gain(later_wrong, bench.min_gain),
            later_wrong,
            main=False,
        ),
        Criterion(
            "the test error, too, is lower with patience 30 than after all epochs",
            f"stopping with patience 30 instead of never lowers the test error by {as_points(stops_wrong)}",
            holds_for_gain(stops_wrong, bench.min_gain),
            stops_wrong,
            main=False,
        ),
    )
    names = ("first rise", *(f"patience {p}" for p in PATIENCES[1:]), "never")
    dots: list[Dot] = []
    rows: list[tuple[str, ...]] = []
    for i, name in enumerate(names):
        found = crossed_interval(losses[:, i], overlap)
        dots.append(Dot(name, *found[:3], number(found.mean, 3)))
        rows.append(
            _row(name, found, float(wrong[:, i].mean()), [g[i] for seeds in groups for g in seeds])
        )
    return ClaimOutcome(
        parts,
        (
            f"ReLU nets of 3 layers of 64 units, AdamW at a constant rate on {table.rows()} rows, at most {epochs} "
            "epochs. After each epoch the validation loss is measured; training stops after so many epochs "
            "without a better one, and the best epoch's weights are kept (Prechelt 1998). All rules see the same "
            f"training: the same seed, batches and rows. {count} repetitions of {SEEDS} seeds each, judged on "
            f"{len(table.test)} test rows that no rule has seen.",
        ),
        (Dots(tuple(dots), "test loss; left is better", None), _curve(endless[0][0])),
        Table(("rule", "test loss", "test error", "epochs trained", "epoch kept"), tuple(rows)),
    )  # fmt: skip


def _row(name: str, loss: Interval, wrong: float, results: list[Result]) -> tuple[str, ...]:
    kept = [r.best_epoch if name != "never" else r.epochs for r in results]
    return (
        name, as_number(loss), f"{fixed(100 * wrong, 1)} %", fixed(float(np.mean([r.epochs for r in results])), 0),
        fixed(float(np.mean(kept)), 0),
    )  # fmt: skip


def _curve(result: Result) -> Lines:
    valid = np.asarray(result.curves["valid_loss"], float)
    epochs = range(1, len(valid) + 1)
    lines = [
        Line("training loss", epochs, np.asarray(result.curves["loss"], float).tolist()),
        Line("validation loss", epochs, valid.tolist()),
    ]
    for p in PATIENCES:
        _, kept = stopping_epochs(valid, p)
        name = "kept by the first rise" if p == 1 else f"kept by patience {p}"
        lines.append(Line(name, [float(kept)], [float(valid[kept - 1])]))
    return Lines(tuple(lines), "epoch (one net that was never stopped)", "loss")
