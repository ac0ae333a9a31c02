"""The page for people: a form with a field for each column, and the answer; no network but this server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from popnet.export.description import Column, Description
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


def fields(described: Description) -> list[Field]:
    """Return the form's inputs, one for each column that the model reads."""
    first = example(described)
    return [_field(f"field{i}", c, first[c.name]) for i, c in enumerate(described.columns)]


def _field(name: str, column: Column, value: Any) -> Field:
    text = "" if value is None else str(value)
    if column.kind == "boolean":
        known = [str(v).lower() if isinstance(v, bool) else f"{v:g}" for v in truth_values(column)]
        words = {"true": "yes", "false": "no"}
        options = tuple((v, words.get(v, v)) for v in known)
        return Field(name, column.name, "select", known[0], options)
    if column.kind == "categorical":
        levels = tuple((str(level), str(level)) for level in column.levels)
        kind = "select" if len(levels) <= MAX_OPTIONS else "text"
        return Field(name, column.name, kind, text, levels[:MAX_OPTIONS])
    return Field(name, column.name, "datetime" if column.kind == "datetime" else "number", text)


def render(described: Description) -> str:
    """Return the page."""
    return (
        _environment()
        .get_template("page.html")
        .render(
            target=", ".join(described.targets),
            classes=list(described.classes),
            score=described.headline,
            fields=fields(described),
            image=described.image,
            intervals=described.reported,
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
