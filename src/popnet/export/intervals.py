"""Quantiles of new rows' true values as a graph, all float64; see `popnet.predictions.conformal`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from popnet.export.graph import Graph, f64, i64
from popnet.predictions.conformal import MIN_SIZE, Conformal, Size


def quantiles(
    g: Graph, outputs: str, members: Sequence[int], weights: np.ndarray, conformal: Conformal, levels: Sequence[float]
) -> list[str]:  # fmt: skip
    """Return the value that a new row's true value is below with each of some probabilities, ``(N, T)`` each.

    Args:
        g: the graph.
        outputs: ``(M, N, T)`` of the members that have a weight.
        members: their numbers among all.
        weights: of all members.
        conformal: the errors of held-out rows.
        levels: the probabilities.
    """
    w = np.asarray(weights, np.float64)[list(members)]
    folds = np.asarray(conformal.folds)[list(members)]
    numbers = np.unique(folds)
    shares = np.array([w[folds == f].sum() for f in numbers])
    shares /= shares.sum()
    centres: list[str] = []
    sizes: list[str] = []
    for fold in numbers:
        own = np.flatnonzero(folds == fold)
        part = f64(w[own] / w[own].sum()).reshape(-1, 1, 1)
        found = g.gather(outputs, own, 0)
        centre = _sum(g, g.op("Mul", found, part))
        off = g.op("Sub", found, g.op("Unsqueeze", centre, i64([0])))
        spread = g.op("Sqrt", _sum(g, g.op("Mul", g.op("Mul", off, off), part)))
        centres.append(centre)
        sizes.append(_log_size(g, centre, spread, conformal.sizes))
    centre = _weighted(g, centres, shares)
    size = g.op("Exp", _weighted(g, sizes, shares))
    apart = [g.op("Sub", c, centre) for c in centres]
    between = _weighted(g, [g.op("Mul", a, a) for a in apart], shares)
    square = _weighted(g, [g.op("Exp", g.op("Mul", s, f64(2))) for s in sizes], shares)
    mean_square = (conformal.errors.astype(np.float64) ** 2).mean(0)
    usual = g.op("Add", g.op("Mul", square, mean_square), f64(MIN_SIZE**2))
    narrower = g.op("Sqrt", g.op("Add", g.op("Div", between, usual), f64(1)))
    size = g.op("Div", size, narrower)
    return [
        g.op("Add", centre, g.op("Mul", size, f64(conformal.errors[conformal.place(level)])))
        for level in levels
    ]


def _sum(g: Graph, values: str) -> str:
    return g.op("ReduceSum", values, i64([0]), keepdims=0)


def _weighted(g: Graph, values: Sequence[str], shares: np.ndarray) -> str:
    return g.total([g.op("Mul", v, f64(s)) for v, s in zip(values, shares, strict=True)])


def _log_size(g: Graph, centre: str, spread: str, sizes: Sequence[Size]) -> str:
    """Return the logarithm of the usual size of errors, ``(N, T)``: interpolated, plus a multiple of the spread's."""
    parts: list[str] = []
    for t, size in enumerate(sizes):
        own, apart = (g.gather(v, [t], 1) for v in (centre, spread))
        log = g.op("Log", g.op("Add", apart, f64(size.offset)))
        terms = [g.op("Add", g.op("Mul", log, f64(size.power)), f64(size.logs[0]))]
        knots, logs = np.asarray(size.knots, np.float64), np.asarray(size.logs, np.float64)
        for knot, width, rise in zip(knots, np.diff(knots), np.diff(logs), strict=False):
            passed = g.op("Clip", g.op("Sub", own, f64(knot)), f64(0), f64(width))
            terms.append(g.op("Mul", passed, f64(rise / width)))
        parts.append(g.total(terms))
    return g.concat(parts, 1)
