"""The scale of numbers, as a graph."""

from __future__ import annotations

import numpy as np

from popnet.data.tables.scale import FAR, LIMIT, Scale
from popnet.export.graph import Graph, f64


def scale(g: Graph, values: str, absent: str, scales: list[Scale]) -> str:
    """Return numbers ``(N, k)`` within their bounds, float32, as `Scale.apply` does; missing ones are 0."""
    centre, size = (f64([getattr(s, of) for s in scales]) for of in ("centre", "scale"))
    z = g.op("Div", g.op("Sub", g.op("Where", absent, centre, values), centre), size)
    z = g.op("Clip", z, f64(-FAR), f64(FAR))
    part = g.op("Div", z, f64(LIMIT))
    root = g.op("Sqrt", g.op("Add", g.op("Mul", part, part), f64(1.0)))
    return g.cast(g.op("Div", z, root), np.float32)
