"""A search space for people: as a table, as JSON, and as TOML to edit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from popnet.errors import InputError
from popnet.spec.recipe import Fields, Recipe
from popnet.tuning.space import image_space, table_space
from popnet.tuning.space.space import Dimension, Space, refuse_fixed

COLUMNS = ("field", "default", "range", "when", "source")


def space_of(images: bool, rows: int, recipe: Recipe | None, own: Sequence[Dimension]) -> Space:
    """Return the default space of an ordinary table (10 continuous columns), or of grey images of 28 x 28.

    Args:
        images: whether of images.
        rows: training rows or images.
        recipe: its fields that were set are kept.
        own: a user's ranges.

    Raises:
        InputError: there are no rows, or a field is fixed and has a range.
    """
    if rows < 1:
        raise InputError(f"rows must be at least 1; got {rows}.")
    refuse_fixed(recipe, own)
    if not images:
        return table_space.table_space(10, rows, recipe).having(own)
    mild = {"translation": 0.06, "rotation": 8.0, "scaling": 0.1}
    return image_space.image_space((28, 28, 1), rows, 16, mild, recipe).having(own)


def record(space: Space) -> dict[str, Any]:
    """Return a space as plain JSON."""
    return {
        "base": space.base.model_dump(),
        "dimensions": [dict(zip(COLUMNS, _cells(space, d), strict=True)) for d in space.dimensions],
        "shapes": [dict(s) for s in space.shapes],
        "grid": {name: list(values) for name, values in space.grid_axes().items()},
        "grid_size": space.grid_size(),
    }


def table(space: Space) -> str:
    """Return a space as lines of text in columns, and what a grid of it is."""
    rows = [COLUMNS, *(_cells(space, d) for d in space.dimensions)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    if any(space.shapes):
        shapes = "; ".join(_pairs(s) or "the default" for s in space.shapes)
        lines += ["", f"structures, in turn: {shapes}"]
    axes = ", ".join(f"{name} {len(values)}" for name, values in space.grid_axes().items())
    lines += ["", f"grid: {space.grid_size():,} recipes ({axes})" if axes else "grid: 1 recipe"]
    return "\n".join(lines) + "\n"


def toml(space: Space) -> str:
    """Return a space as TOML that `popnet.tuning.space.user_space.load` reads."""
    lines: list[str] = []
    for d in space.dimensions:
        spec = json.dumps(str(d.range))
        if d.when:
            when = ", ".join(f"{f} = {json.dumps(list(v))}" for f, v in d.when.items())
            spec = f"{{range = {spec}, when = {{{when}}}}}"
        lines.append(f"{d.field} = {spec}  # {d.source}")
    return "\n".join(lines) + "\n"


def _cells(space: Space, d: Dimension) -> tuple[str, ...]:
    default = getattr(space.base, d.field)
    shown = f"{default:.4g}" if isinstance(default, float) else str(default)
    when = "; ".join(f"{f} = {' or '.join(map(str, v))}" for f, v in d.needs.items())
    return d.field, shown, str(d.range), when, d.source


def _pairs(changes: Fields) -> str:
    return ", ".join(f"{k} {v}" for k, v in changes.items())
