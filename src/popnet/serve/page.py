"""The page for people: a form with a field for each column, and the answer; no network but this server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from popnet.data.tables.columns import Boolean, Categorical, Datetime, Record
from popnet.model import summary
from popnet.model.model import Model
from popnet.predictions.conformal import REPORTED
from popnet.report.format import clean
from popnet.serve.schema import example, truth_values

FILES = {"page.css": "text/css", "page.js": "text/javascript"}
"""What the page loads: files of their own, so that a strict content security policy holds."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's content security policy."""

MAX_OPTIONS = 50
"""Levels up to which a column has a list to choose from; with more, text with suggestions."""


@dataclass(frozen=True)
class Field:
    """An input of the form.

    Attributes:
        id: of the input.
        name: the column's.
        kind: "number", "select", "text" (with suggestions) or "datetime".
        value: what stands in it at first.
        options: values and texts of a select, or suggestions.
        hint: what the value may be.
    """

    id: str
    name: str
    kind: str
    value: str
    options: tuple[tuple[str, str], ...] = ()
    hint: str = ""


def fields(model: Model) -> list[Field]:
    """Return the form's inputs, one for each column that the model reads."""
    first = example(model)
    return [
        _field(f"field{i}", record, first[record.name])
        for i, record in enumerate(model.encoder.columns)
    ]


def _field(name: str, record: Record, value: Any) -> Field:
    text = "" if value is None else str(value)
    if isinstance(record, Boolean):
        known = [str(v).lower() if isinstance(v, bool) else f"{v:g}" for v in truth_values(record)]
        words = {"true": "yes", "false": "no"}
        options = tuple((v, words.get(v, v)) for v in known)
        return Field(name, record.name, "select", known[0], options)
    if isinstance(record, Categorical):
        levels = tuple((level, level) for level in record.levels)
        kind = "select" if len(levels) <= MAX_OPTIONS else "text"
        return Field(name, record.name, kind, text, levels[:MAX_OPTIONS])
    if isinstance(record, Datetime):
        return Field(name, record.name, "datetime", text)
    return Field(name, record.name, "number", text)


def render(model: Model) -> str:
    """Return the page."""
    target = model.encoder.target
    return (
        _environment()
        .get_template("page.html")
        .render(
            target=", ".join(target.names),
            classes=list(target.classes),
            score=summary.score(model),
            fields=fields(model),
            image=model.encoder.image,
            intervals=model.conformal is not None and model.conformal.gives(REPORTED),
        )
    )


def file(name: str) -> str:
    """Return a file that the page loads."""
    return resources.files("popnet.serve").joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("popnet.serve", ""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _finalize(value: Any) -> Any:
    """Clean every text on its way into the page."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
