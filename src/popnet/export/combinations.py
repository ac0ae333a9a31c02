"""Columns made of two others, as a graph (see `popnet.data.tables.combinations`)."""

from __future__ import annotations

import numpy as np

from popnet.data.tables.combinations import BOUND, Combination, Operation
from popnet.data.tables.encode import Encoder
from popnet.data.tables.scale import LIMIT
from popnet.export.graph import Graph, f64
from popnet.export.scale import scale

OPERATORS: dict[Operation, str] = {
    "sum": "Add",
    "difference": "Sub",
    "product": "Mul",
    "ratio": "Div",
}


def with_combinations(g: Graph, numeric: str, encoder: Encoder) -> str:
    """Return encoded numbers ``(N, F)`` with the encoder's combinations after them, ``(N, F + K)`` float32."""
    if not encoder.combinations:
        return numeric
    blocks, order = [numeric], list[Combination]()
    for operation in OPERATORS:
        some = [c for c in encoder.combinations if c.operation == operation]
        if some:
            blocks.append(_of(g, numeric, encoder, operation, some))
            order += some
    width = len(encoder.names.numeric)
    places = [*range(width), *(width + order.index(c) for c in encoder.combinations)]
    joined = g.concat(blocks, 1)
    return joined if places == sorted(places) else g.gather(joined, places, 1)


def _of(
    g: Graph, numeric: str, encoder: Encoder, operation: Operation, some: list[Combination]
) -> str:
    """Return the combinations of one operation, ``(N, len(some))``."""
    first = _operand(g, numeric, encoder, [c.first for c in some], in_units=operation == "ratio")
    second = _operand(g, numeric, encoder, [c.second for c in some], in_units=operation == "ratio")
    if operation == "ratio":
        zero = g.op("Equal", second, f64(0.0))
        quotient = g.op("Div", first, g.op("Where", zero, f64(1.0), second))
        made = g.op("Where", zero, f64(0.0), quotient)
    else:
        made = g.op(OPERATORS[operation], first, second)
    return scale(g, made, g.op("IsNaN", made), [c.scale for c in some])


def _operand(g: Graph, numeric: str, encoder: Encoder, names: list[str], *, in_units: bool) -> str:
    """Return columns ``(N, len(names))`` float64 without the bound of `Scale.apply`, scaled or in the table's units."""
    columns = [encoder.numbers[name] for name in names]
    bounded = g.cast(g.gather(numeric, [place for place, _ in columns], 1), np.float64)
    bounded = g.op("Clip", bounded, f64(-BOUND), f64(BOUND))
    part = g.op("Div", bounded, f64(LIMIT))
    scaled = g.op("Div", bounded, g.op("Sqrt", g.op("Sub", f64(1.0), g.op("Mul", part, part))))
    if not in_units:
        return scaled
    centre, size = (f64([getattr(s, of) for _, s in columns]) for of in ("centre", "scale"))
    return g.op("Add", centre, g.op("Mul", size, scaled))
