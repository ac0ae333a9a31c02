"""What a model takes and gives, for programs (``/schema``, OpenAPI) and for the form on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from popnet.export.description import Column, Description

MAX_LEVELS = 200
"""Levels of a column that are listed; an answer of thousands helps nobody."""


def describe(described: Description) -> dict[str, Any]:
    """Return the columns that a model reads, its target and an example row, as plain JSON."""
    image = described.image
    found: dict[str, Any] = {
        "target": list(described.targets),
        "task": described.task,
        "classes": list(described.classes),
        "intervals": described.intervals,
        "columns": [_column(column) for column in described.columns],
        "example": example(described),
    }
    if image is not None:
        found["image"] = {"height": image.height, "width": image.width, "channels": image.channels}
    return found


def _column(column: Column) -> dict[str, Any]:
    """Return a column's name, kind, and what of its values is known."""
    found: dict[str, Any] = {"name": column.name, "kind": column.kind, "missing": column.missing}
    if column.kind == "categorical":
        found["levels"] = list(column.levels[:MAX_LEVELS])
        if len(column.levels) > MAX_LEVELS:
            found["more_levels"] = len(column.levels) - MAX_LEVELS
    elif column.kind == "boolean":
        found["levels"] = truth_values(column)
    elif column.kind == "discrete" and column.levels:
        found["usual"] = sorted(map(float, column.levels[:MAX_LEVELS]))
    return found


def truth_values(column: Column) -> list[Any]:
    """Return the two values of a column, as JSON may have them."""
    if (column.false, column.true) == (0.0, 1.0):
        return [False, True]
    return [column.false, column.true]


def example(described: Description) -> dict[str, Any]:
    """Return a row that the model takes: usual values of the training rows."""
    return {column.name: _usual(column) for column in described.columns}


def _usual(column: Column) -> Any:
    if column.kind == "categorical":
        return column.levels[0] if column.levels else None
    if column.kind == "boolean":
        return truth_values(column)[0]
    if column.kind == "datetime":
        moment = datetime.fromtimestamp(round(column.centre or 0.0), UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S")
    usual = column.levels[0] if column.levels else column.centre
    return None if usual is None else _short(float(usual))


def _short(value: float) -> float | int:
    """Return a number with four digits, without a fraction where it has none."""
    short = float(f"{value:.4g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


JSON_TYPES: Mapping[str, list[str]] = {
    "numeric": ["number", "string", "null"],
    "discrete": ["number", "string", "null"],
    "boolean": ["boolean", "number", "string", "null"],
    "categorical": ["string", "number", "boolean", "null"],
    "datetime": ["string", "null"],
}
"""What JSON may hold for each kind of column; text where the table's format is text."""


def request_body(described: Description, kinds: Sequence[str]) -> dict[str, Any]:
    """Return OpenAPI's description of the body of ``/predict``.

    Args:
        described: the model.
        kinds: types of a table's bodies.
    """
    if described.image is not None:
        one = {"schema": {"type": "string", "format": "binary"}}
        files = {"type": "array", "items": one["schema"]}
        form = {"type": "object", "properties": {"images": files}, "required": ["images"]}
        return {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form},
                "image/png": one,
                "image/jpeg": one,
            },
        }
    properties = {c.name: {"type": JSON_TYPES[c.kind]} for c in described.columns}
    row = {"type": "object", "properties": properties, "required": list(properties)}
    listed = {"type": "array", "items": row}
    rows = {"type": "object", "properties": {"rows": listed}, "required": ["rows"]}
    one = example(described)
    content: dict[str, Any] = {
        "application/json": {
            "schema": {"anyOf": [rows, listed, row]},
            "examples": {
                "rows": {"summary": "Some rows", "value": {"rows": [one]}},
                "row": {"summary": "One row", "value": one},
            },
        },
        "text/csv": {"schema": {"type": "string"}, "example": _csv(one)},
        "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
    }
    return {"required": True, "content": {k: v for k, v in content.items() if k in kinds}}


def _csv(row: Mapping[str, Any]) -> str:
    def cell(value: Any) -> str:
        text = "" if value is None else str(value)
        return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text

    return "\n".join(",".join(map(cell, cells)) for cells in (row.keys(), row.values())) + "\n"
