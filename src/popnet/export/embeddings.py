"""What the first layer of a net is made of, as a graph: plain inputs, waves and learned vectors.

See `popnet.nn.table_map` and `popnet.nn.embeddings`, which this follows operation by operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from popnet.export.columns import Encoded
from popnet.export.graph import Graph, Value, f32, f64, i64
from popnet.nn.embeddings import OUTERMOST
from popnet.spec.bins import Bounds
from popnet.spec.shape import Shape, split_levels

SINE = (-2.5052108e-8, 2.7557319e-6, -1.9841270e-4, 8.3333333e-3, -1.6666667e-1, 1.0)
"""Coefficients of the sine's polynomial, those of `popnet.nn.embeddings`, the highest power first."""

NEAR_TOP = (
    2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
    13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608,
)  # fmt: skip
NEAR_BOTTOM = (
    5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
    5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0,
)  # fmt: skip
FAR_TOP = (
    7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
    3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734,
)  # fmt: skip
FAR_BOTTOM = (
    1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
    0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0,
)  # fmt: skip
"""Quantiles of the normal distribution as ratios of polynomials (Wichura 1988, AS 241, PPND16), the highest power
first: near the median, and up to 1e-11 from both ends."""


class Inputs:
    """The parts of the first layer's inputs; what nets have in common is made once.

    Args:
        graph: that they are added to.
        encoded: rows.
        knots: ``(F, K)``, of the encoder.
    """

    def __init__(self, graph: Graph, encoded: Encoded, knots: np.ndarray) -> None:
        self.graph, self.encoded, self.knots = graph, encoded, knots
        self._made: dict[object, str | None] = {}

    def plain(self, shape: Shape) -> str | None:
        """Return numbers, bins, flags and one-hot levels side by side, ``(N, D)``; None if there are none."""
        key = "plain", shape.bounds
        if key not in self._made:
            parts = [
                self.encoded.numeric,
                self._bins(shape.bounds),
                self.encoded.flags,
                self._one_hot(shape.levels),
            ]
            there = [p for p in parts if p is not None]
            self._made[key] = self.graph.concat(there, 1) if there else None
        return self._made[key]

    def _bins(self, bounds: tuple[Bounds, ...]) -> str | None:
        """Return how far numbers have passed through each bin, ``(N, bins)``."""
        column: list[int] = []
        low: list[float] = []
        rise: list[float] = []
        for f, bound in enumerate(bounds):
            for a, b in pairwise(np.asarray(self.knots, np.float32)[f][list(bound)]):
                column.append(f)
                low.append(float(a))
                rise.append(float(1 / (b - a)))
        if not column:
            return None
        g = self.graph
        assert self.encoded.numeric is not None
        off = g.op("Sub", g.gather(self.encoded.numeric, column, 1), f32(low))
        return g.op("Clip", g.op("Mul", off, f32(rise)), f32(0.0), f32(1.0))

    def _one_hot(self, levels: tuple[int, ...]) -> str | None:
        key = "one-hot"
        if key not in self._made:
            one_hot, _ = split_levels(levels)
            self._made[key] = None
            if one_hot:
                column = np.repeat(one_hot, [levels[c] for c in one_hot])
                g = self.graph
                assert self.encoded.codes is not None
                own = np.concatenate([np.arange(levels[c]) for c in one_hot])
                equal = g.op("Equal", g.gather(self.encoded.codes, column, 1), i64(own))
                self._made[key] = g.cast(equal, np.float32)
        return self._made[key]

    def waves(
        self, shape: Shape, quantiles: bool, frequency: np.ndarray, phase: np.ndarray
    ) -> str | None:
        """Return periodic features, ``(M, 1, N, F k)``; None if nets have none.

        Args:
            shape: of the nets.
            quantiles: whether they are of quantiles.
            frequency, phase: ``(M, 1, 1, F k)``.
        """
        if not shape.frequencies:
            return None
        g = self.graph
        key = "waves", quantiles, shape.frequencies
        if key not in self._made:
            x = self._quantiles() if quantiles else self.encoded.numeric
            assert x is not None
            many = np.repeat(np.arange(shape.n_numeric), shape.frequencies)
            self._made[key] = g.cast(g.gather(x, many, 1), np.float64)
        x = self._made[key]
        assert x is not None
        # Products of two float32 are exact in float64, as they are in the fused operation that XLA makes of this.
        t = g.cast(g.op("Add", g.op("Mul", x, f64(frequency)), f64(phase)), np.float32)
        return cos2pi(g, t)

    def _quantiles(self) -> str:
        if "quantiles" not in self._made:
            assert self.encoded.numeric is not None
            self._made["quantiles"] = quantiles(self.graph, self.encoded.numeric, self.knots)
        found = self._made["quantiles"]
        assert found is not None
        return found

    def vectors(self, shape: Shape, tables: Sequence[np.ndarray]) -> str | None:
        """Return learned vectors of levels, ``(M, 1, N, E)``; None if there are none.

        Args:
            shape: of the nets.
            tables: of each column that has vectors, ``(M, levels, e)``.
        """
        _, learned = split_levels(shape.levels)
        if not learned:
            return None
        g = self.graph
        assert self.encoded.codes is not None
        parts: list[str] = []
        for c, table in zip(learned, tables, strict=True):
            code = g.gather(self.encoded.codes, c, 1)  # (N,)
            parts.append(g.op("Gather", f32(table), code, axis=1))
        return g.op("Unsqueeze", g.concat(parts, 2), i64([1]))


def cos2pi(g: Graph, t: str) -> str:
    """Return cos(2 pi t), float32."""
    r = g.op("Sub", t, g.op("Round", t))
    x = g.op("Mul", g.op("Sub", g.op("Abs", r), f32(0.25)), f32(2 * np.pi))
    p = _polynomial(g, g.op("Mul", x, x), [f32(c) for c in SINE])
    return g.op("Neg", g.op("Mul", p, x))


def quantiles(g: Graph, x: str, knots: np.ndarray) -> str:
    """Return numbers ``(N, F)`` float32 as quantiles of the normal distribution, float32.

    Each column's knots cut the line into U + 1 parts, U its number of different knots. A number's place among the
    training values is linear in each, and on a knot that of its middle.

    Args:
        g: the graph.
        x: the numbers.
        knots: ``(F, K)``, ascending.
    """
    there = np.flatnonzero(knots[:, 0] != knots[:, -1]) if knots.shape[1] > 1 else np.zeros(0, int)
    if not len(there):
        return x
    size = knots.shape[1] + 1
    edges = np.full((len(there), knots.shape[1]), np.inf)
    start, base, slope, middle = np.zeros((4, len(there), size))
    places = np.linspace(0, 1, knots.shape[1])
    for i, column in enumerate(np.asarray(knots, np.float64)[there]):
        values, first, counts = np.unique(column, return_index=True, return_counts=True)
        begin, end = places[first], places[first + counts - 1]
        n = len(values)
        edges[i, :n] = values
        start[i, 1 : n + 1] = values
        middle[i, 1 : n + 1] = begin + (counts - 1) / (2 * (len(column) - 1))
        base[i, 1 : n + 1] = [*end[:-1], 1.0]
        slope[i, 1:n] = (begin[1:] - end[:-1]) / np.diff(values)
    start[:, 0] = start[:, 1]  # below all knots the place is 0, whatever the distance
    given = g.cast(g.gather(x, there, 1), np.float64)
    # The part is the number of knots that are not above.
    above = g.op("GreaterOrEqual", g.op("Unsqueeze", given, i64([2])), edges)
    part = g.op("ReduceSum", g.cast(above, np.int64), i64([2]), keepdims=0)
    row = g.op("Add", part, i64(np.arange(len(there)) * size))

    def of(table: np.ndarray) -> str:
        return g.op("Gather", table.reshape(-1), row, axis=0)

    begun = of(start)
    place = g.op("Add", g.op("Mul", g.op("Sub", given, begun), of(slope)), of(base))
    on = g.op("And", g.op("Equal", given, begun), g.op("Greater", part, i64(0)))
    place = g.op("Where", on, of(middle), place)
    place = g.op("Clip", place, f64(OUTERMOST), f64(1 - OUTERMOST))
    found = g.cast(_ndtri(g, place), np.float32)
    if len(there) == len(knots):
        return found
    others = np.setdiff1d(np.arange(len(knots)), there)
    joined = g.concat([found, g.gather(x, others, 1)], 1)
    return g.gather(joined, np.argsort(np.concatenate([there, others])), 1)


def _ndtri(g: Graph, place: str) -> str:
    """Return quantiles of the normal distribution, float64, of probabilities from 1e-11 to 1 - 1e-11."""
    q = g.op("Sub", place, f64(0.5))
    square = g.op("Sub", f64(0.180625), g.op("Mul", q, q))
    near = g.op("Mul", q, _ratio(g, square, NEAR_TOP, NEAR_BOTTOM))
    tail = g.op("Min", place, g.op("Sub", f64(1.0), place))
    r = g.op("Sub", g.op("Sqrt", g.op("Neg", g.op("Log", tail))), f64(1.6))
    far = g.op("Mul", g.op("Sign", q), _ratio(g, r, FAR_TOP, FAR_BOTTOM))
    is_near = g.op("LessOrEqual", g.op("Abs", q), f64(0.425))
    return g.op("Where", is_near, near, far)


def _ratio(g: Graph, x: str, top: Sequence[float], bottom: Sequence[float]) -> str:
    return g.op("Div", *(_polynomial(g, x, [f64(c) for c in part]) for part in (top, bottom)))


def _polynomial(g: Graph, x: str, coefficients: Sequence[np.ndarray]) -> str:
    """Return a polynomial by Horner's rule, the highest power first."""
    p: Value = coefficients[0]
    for c in coefficients[1:]:
        p = g.op("Add", g.op("Mul", p, x), c)
    assert isinstance(p, str)
    return p
