"""What a model takes and gives, for programs (``/schema``, OpenAPI) and for the form on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from popnet.export.description import Column, Description
from popnet.serve.served import NO_BACKGROUND

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


ERRORS = {
    400: "The body is no JSON, is not UTF-8, is nested too deeply, or has a key twice.",
    408: "The body did not arrive in time.",
    413: "Too many rows, bytes or pixels.",
    415: "A Content-Type that the model does not take, or a compressed body.",
    422: "Rows or parameters that cannot be used.",
    503: "Too much waits; `Retry-After` says when to try again.",
    504: "Predicting took longer than the time limit.",
}
"""What ``/predict`` refuses with, by its status."""

PROBLEM = {
    "type": "object",
    "properties": {
        "row": {"type": ["integer", "null"]},
        "field": {"type": ["string", "null"]},
        "problem": {"type": "string"},
    },
    "required": ["row", "field", "problem"],
    "additionalProperties": False,
}
ERROR = {
    "type": "object",
    "properties": {
        "error": {"type": "string"},
        "problems": {"type": "array", "items": PROBLEM},
        "more_problems": {"type": "integer"},
        "ignored": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["error"],
    "additionalProperties": False,
}
"""Of every answer that is a refusal."""


def describe_routes(found: dict[str, Any], model: Description, kinds: Sequence[str]) -> None:
    """Write what each route takes and gives into OpenAPI's description.

    Args:
        found: the description, which is changed.
        model: that is served.
        kinds: types of a table's bodies.
    """
    paths = found["paths"]
    body = request_body(model, kinds)
    predict = paths["/predict"]["post"]
    predict["requestBody"] = body
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    predict["responses"] = {
        "200": _object("The predictions, a row each.", _predictions(model)),
        **{str(status): {"description": text, "content": error} for status, text in ERRORS.items()},
    }
    if "/explain" in paths:
        explain = paths["/explain"]["post"]
        explain["requestBody"] = body
        explain["responses"] = predict["responses"] | {
            "200": _object("Why the rows have their answers.", {"explanations": {"type": "array"}}),
            "404": {"description": NO_BACKGROUND, "content": error},
        }
    listed = {"type": "array", "items": {"type": "object"}}
    names = {"type": "array", "items": {"type": "string"}}
    described = {
        "target": names, "task": {"type": "string"}, "classes": {"type": "array"}, "intervals": {"type": "boolean"},
        "columns": listed, "example": {"type": "object"},
    }  # fmt: skip
    healthy = {
        "status": {"enum": ["ok", "degraded"]}, "popnet": {"type": "string"}, "target": names,
        "model_sha256": {"type": "string"}, "models_loaded": {"type": "integer"}, "rows_waiting": {"type": "integer"},
    }  # fmt: skip
    texts = {"description": "Metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    paths["/schema"]["get"]["responses"] = {"200": _object("What the model takes.", described)}
    paths["/health"]["get"]["responses"] = {"200": _object("How the server is.", healthy)}
    paths["/metrics"]["get"]["responses"] = {"200": texts}
    found["components"] = {"schemas": {"Error": ERROR}}


def _object(description: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": dict(properties), "required": list(properties)}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _predictions(model: Description) -> dict[str, Any]:
    """Return what an answer holds: labels of any type, or numbers; what is asked for beside them are numbers."""
    own = {} if model.is_classifier else {"type": ["number", "null"]}
    targets = list(model.targets)
    row = {"type": "object", "properties": dict.fromkeys(targets, own), "required": targets}
    names = {"type": "array", "items": {"type": "string"}}
    return {
        "predictions": {"type": "array", "items": row}, "rows": {"type": "integer"}, "target": names,
        "ignored": names, "notes": names,
    }  # fmt: skip


def _csv(row: Mapping[str, Any]) -> str:
    def cell(value: Any) -> str:
        text = "" if value is None else str(value)
        return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text

    return "\n".join(",".join(map(cell, cells)) for cells in (row.keys(), row.values())) + "\n"
