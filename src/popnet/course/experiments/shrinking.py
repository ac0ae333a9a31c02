"""Claim 12: L2 and L1 shrink the weights and the gap; L1 makes many of them 0."""

from __future__ import annotations

import numpy as np

from popnet.course.base import ClaimOutcome, Criterion
from popnet.course.evidence import (
    as_factor,
    as_number,
    as_percent,
    as_points,
    crossed_interval,
    holds_above,
    holds_below,
    holds_for_gain,
    interval,
    log_band,
    mean_band,
)
from popnet.course.lab import Bench, losses
from popnet.course.nets import PLAIN
from popnet.nn import net
from popnet.population.members import Result
from popnet.report.document import Line, Lines, Table
from popnet.report.format import number, percent
from popnet.types import Tree

L2 = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
L1 = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3)
NO_PENALTY = 1e-7
"""Where pictures with a logarithmic axis show nets without a penalty."""

STEPS = 800
ZERO = 1e-3
"""Weights smaller than this are called 0: gradient descent only comes near."""

MIN_MORE_ZEROS = 0.1
MIN_GAIN = 0.01
N_PATHS = 6
"""Weights whose path is drawn."""


def weight_rms(parameters: Tree) -> float:
    """Return the root mean square of all layers' weights."""
    flat = np.concatenate([np.ravel(w) for w in net.weights(parameters)])
    return float(np.sqrt((flat.astype(float) ** 2).mean()))


def zero_share(parameters: Tree) -> float:
    """Return the share of weights that are nearly 0."""
    flat = np.concatenate([np.ravel(w) for w in net.weights(parameters)])
    return float((np.abs(flat) < ZERO).mean())


def weight_paths(results: list[Result], count: int = N_PATHS) -> np.ndarray:
    """Return the first layer's largest weights of the first net, in all nets, ``(nets, count)``."""
    first = [np.ravel(net.weights(r.parameters)[0]) for r in results]
    places = np.argsort(-np.abs(first[0]), kind="stable")[:count]
    return np.stack([w[places] for w in first])


def shrinking(bench: Bench) -> ClaimOutcome:
    """Test claim 12."""
    table = bench.table
    epochs = bench.epochs(STEPS, table.rows())
    base = PLAIN.replace(schedule="cosine", epochs=epochs)
    recipes = [base, *(base.replace(l2=v) for v in L2), *(base.replace(l1=v) for v in L1)]
    results = bench.train(bench.twins(recipes, "shrinking"))
    kinds = {"L2": [0, *range(1, 1 + len(L2))], "L1": [0, *range(1 + len(L2), len(recipes))]}
    values = {"L2": (NO_PENALTY, *L2), "L1": (NO_PENALTY, *L1)}
    sizes = np.array([[weight_rms(r.parameters) for r in g] for g in results])
    zero = np.array([[zero_share(r.parameters) for r in g] for g in results])
    valid = np.array([[float(r.curves["valid_loss"][-1]) for r in g] for g in results])
    test = np.array([bench.losses(g) for g in results])
    wrong = np.array([bench.errors(g) for g in results])
    train = np.array([[_training_loss(bench, r) for r in g] for g in results])
    gap = test - train[..., None]
    overlap = table.overlap()
    # The penalty that a user would choose: the one with the lowest mean validation loss.
    best = {
        k: p[1:][int(np.nan_to_num(valid[:, p[1:]], nan=np.inf).mean(0).argmin())]
        for k, p in kinds.items()
    }
    parts: list[Criterion] = []
    for name, places in kinds.items():
        ratio = interval(np.log10(sizes[:, places[-1]] / sizes[:, 0]), overlap)
        chosen = _value(values[name], places, best[name])
        parts.append(
            Criterion(
                f"{name} makes the weights smaller: the ratio of their root mean square with the largest penalty to "
                "that without a penalty is below 1",
                f"the largest {name} penalty makes the weights {as_factor(ratio)} times as large",
                holds_below(ratio, 0.0),
                ratio,
            )
        )
        narrower = crossed_interval(gap[:, 0] - gap[:, best[name]], overlap)
        parts.append(
            Criterion(
                f"{name} makes the gap between test and training loss smaller, at the penalty with the lowest "
                "validation loss",
                f"with {name} of {chosen:g} the gap between test and training loss is {as_number(narrower, 2)} smaller",
                holds_for_gain(narrower, MIN_GAIN),
                narrower,
            )
        )
    more = interval(zero[:, best["L1"]] - zero[:, best["L2"]], overlap)
    parts.append(
        Criterion(
            f"L1 makes more of the weights 0 (below {ZERO:g}) than L2, by more than {percent(MIN_MORE_ZEROS)} of all "
            "weights, each at the penalty with the lowest validation loss",
            f"L1 has {as_percent(more)} more weights near 0 than L2",
            holds_above(more, MIN_MORE_ZEROS),
            more,
        )
    )  # fmt: skip
    for name in kinds:
        gain = crossed_interval(wrong[:, 0] - wrong[:, best[name]], overlap)
        parts.append(
            Criterion(
                f"{name} lowers the test error",
                f"{name} lowers the test error by {as_points(gain)}",
                holds_for_gain(gain, bench.min_gain),
                gain,
                main=False,
            )
        )
    size_lines: list[Line] = []
    zero_lines: list[Line] = []
    pictures: list[Lines] = []
    rows: list[tuple[str, ...]] = []
    for name, places in kinds.items():
        xs = values[name]
        size_lines.append(Line(name, xs, *log_band(sizes[:, places])))
        zero_lines.append(Line(name, xs, *mean_band(100 * zero[:, places])))
        drawn = weight_paths([results[0][i] for i in places])
        pictures.append(
            Lines(
                tuple(Line(f"weight {w + 1}", xs, drawn[:, w].tolist()) for w in range(drawn.shape[1])),
                f"{name} penalty (leftmost: none)", "weights of the first layer, one net", log_x=True,
            )
        )  # fmt: skip
        for x, i in zip(xs, places, strict=True):
            rows.append((
                name, "0" if x == NO_PENALTY else f"{x:g}", number(float(sizes[:, i].mean()), 2),
                percent(float(zero[:, i].mean())), number(float(train[:, i].mean()), 2),
                number(float(test[:, i].mean()), 2), percent(float(wrong[:, i].mean())),
            ))  # fmt: skip
    x = "penalty (leftmost: none)"
    return ClaimOutcome(
        tuple(parts),
        (
            f"ReLU nets of 3 layers of 64 units, {epochs} epochs of gradient descent with momentum and a cosine "
            f"schedule on {table.rows()} rows. The penalty is a factor times the sum of all weights' squares (L2) "
            f"or absolute values (L1). {len(results)} repetitions, the same seeds and rows for all penalties. The "
            f"paths follow the {N_PATHS} weights of the first layer that are largest without a penalty, in nets of "
            "one seed.",
            "Gradient descent never makes a weight exactly 0, L1 or not: it oscillates around 0. The learning rate "
            f"falls to 0 by the schedule, so weights below {ZERO:g} in size count as 0 here; exact zeros need a "
            "proximal step (the lasso's, Tibshirani 1996).",
        ),
        (
            Lines(tuple(size_lines), x, "root mean square of the weights", log_x=True, log_y=True),
            Lines(tuple(zero_lines), x, f"weights below {ZERO:g}, %", log_x=True),
            *pictures,
        ),
        Table(
            ("penalty", "factor", "size of weights", "near 0", "training loss", "test loss", "test error"), tuple(rows)
        ),
    )  # fmt: skip


def _value(values: tuple[float, ...], places: list[int], place: int) -> float:
    return values[places.index(place)]


def _training_loss(bench: Bench, result: Result) -> float:
    rows = bench.table.folds[result.member.fold][0]
    return float(losses(bench.outputs([result], rows=rows)[0], bench.table, rows).mean())
