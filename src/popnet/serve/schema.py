"""What a model takes and gives, for programs (``/schema``, OpenAPI) and for the form on the page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from popnet.data.tables.columns import Boolean, Categorical, Datetime, Discrete, Numeric, Record
from popnet.model.model import Model

MAX_LEVELS = 200
"""Levels of a column that are listed; an answer of thousands helps nobody."""


def describe(model: Model) -> dict[str, Any]:
    """Return the columns that a model reads, its target and an example row, as plain JSON."""
    target, image = model.encoder.target, model.encoder.image
    found: dict[str, Any] = {
        "target": list(target.names),
        "task": target.task,
        "classes": list(target.classes),
        "intervals": model.conformal is not None,
        "columns": [column(record) for record in model.encoder.columns],
        "example": example(model),
    }
    if image is not None:
        found["image"] = {"height": image.height, "width": image.width, "channels": image.channels}
    return found


def column(record: Record) -> dict[str, Any]:
    """Return a column's name, kind, and what of its values is known."""
    found: dict[str, Any] = {"name": record.name, "kind": record.kind, "missing": record.missing}
    if isinstance(record, Categorical):
        found["levels"] = list(record.levels[:MAX_LEVELS])
        if len(record.levels) > MAX_LEVELS:
            found["more_levels"] = len(record.levels) - MAX_LEVELS
    elif isinstance(record, Boolean):
        found["levels"] = truth_values(record)
    elif isinstance(record, Discrete) and record.levels:
        found["usual"] = sorted(record.levels[:MAX_LEVELS])
    return found


def truth_values(record: Boolean) -> list[Any]:
    """Return the two values of a column, as JSON may have them."""
    if (record.false, record.true) == (0.0, 1.0):
        return [False, True]
    return [record.false, record.true]


def example(model: Model) -> dict[str, Any]:
    """Return a row that the model takes: usual values of the training rows."""
    return {record.name: _usual(record) for record in model.encoder.columns}


def _usual(record: Record) -> Any:
    match record:
        case Categorical():
            return record.levels[0] if record.levels else None
        case Boolean():
            return truth_values(record)[0]
        case Datetime():
            seconds = record.seconds.centre if record.seconds else 0.0
            return datetime.fromtimestamp(round(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%S")
        case Discrete() if record.levels:
            return _short(record.levels[0])
        case Discrete() | Numeric():
            return _short(record.scale.centre) if record.scale else None


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


def request_body(model: Model) -> dict[str, Any]:
    """Return OpenAPI's description of the body of ``/predict``."""
    if model.encoder.image is not None:
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
    properties = {r.name: {"type": JSON_TYPES[r.kind]} for r in model.encoder.columns}
    row = {"type": "object", "properties": properties, "required": list(properties)}
    listed = {"type": "array", "items": row}
    rows = {"type": "object", "properties": {"rows": listed}, "required": ["rows"]}
    one = example(model)
    return {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"anyOf": [rows, listed, row]},
                "examples": {
                    "rows": {"summary": "Some rows", "value": {"rows": [one]}},
                    "row": {"summary": "One row", "value": one},
                },
            },
            "text/csv": {"schema": {"type": "string"}, "example": _csv(one)},
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        },
    }


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


def describe_routes(found: dict[str, Any], model: Model) -> None:
    """Write what each route takes and gives into OpenAPI's description.

    Args:
        found: the description, which is changed.
        model: that is served.
    """
    paths = found["paths"]
    predict = paths["/predict"]["post"]
    predict["requestBody"] = request_body(model)
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    predict["responses"] = {
        "200": _object("The predictions, a row each.", _predictions(model)),
        **{str(status): {"description": text, "content": error} for status, text in ERRORS.items()},
    }
    listed = {"type": "array", "items": {"type": "object"}}
    names = {"type": "array", "items": {"type": "string"}}
    described = {
        "target": names, "task": {"type": "string"}, "classes": {"type": "array"}, "intervals": {"type": "boolean"},
        "columns": listed, "example": {"type": "object"},
    }  # fmt: skip
    healthy = {
        "status": {"enum": ["ok", "degraded"]}, "popnet": {"type": "string"}, "target": names,
        "models_loaded": {"type": "integer"}, "rows_waiting": {"type": "integer"},
    }  # fmt: skip
    texts = {"description": "Metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    paths["/schema"]["get"]["responses"] = {"200": _object("What the model takes.", described)}
    paths["/health"]["get"]["responses"] = {"200": _object("How the server is.", healthy)}
    paths["/metrics"]["get"]["responses"] = {"200": texts}
    found["components"] = {"schemas": {"Error": ERROR}}


def _object(description: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": dict(properties), "required": list(properties)}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _predictions(model: Model) -> dict[str, Any]:
    """Return what an answer holds: labels of any type, or numbers; what is asked for beside them are numbers."""
    own = {} if model.is_classifier else {"type": ["number", "null"]}
    targets = list(model.encoder.target.names)
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
