"""The report, or a document, as one HTML page that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from popnet.report import document_view, format
from popnet.report.document import Document
from popnet.report.fit_page import sections
from popnet.report.fit_page.facts import FitFacts
from popnet.runtime.atomic_file import write_atomic


def render(facts: FitFacts) -> str:
    """Return the page of a fit as HTML; the same facts give the same text, byte for byte."""
    env = _environment()
    style, script = _source("page.css"), _source("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return env.get_template("page.html").render(
        facts=facts,
        title=facts.title,
        version=facts.version,
        style=Markup(style),
        script=Markup(script),
        script_hash=f"sha256-{digest}",
        **vars(sections.sections(facts)),
    )


def render_document(document: Document) -> str:
    """Return a document as HTML; the same document gives the same text, byte for byte. It needs no script."""
    return (
        _environment()
        .get_template("document.html")
        .render(
            document=document,
            title=document.title,
            version=document.version,
            style=Markup(_source("page.css")),
            script_hash="",
            **document_view.show(document)._asdict(),
        )
    )


def write_document(document: Document, path: str | os.PathLike[str]) -> None:
    """Write a document to a file; the file is there whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    write_text(render_document(document), path)


def write_text(text: str, path: str | os.PathLike[str]) -> None:
    """Write a file; it is there whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    write_atomic(path, text.encode())


@cache
def _environment() -> Environment:
    env = Environment(
        loader=PackageLoader("popnet.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "number": format.number,
        "percent": format.percent,
        "duration": format.duration,
        "short": format.short,
        "count_of": format.count,
        "capital": format.capital,
        "enumeration": format.enumeration,
    }
    env.filters.update(filters)
    return env


def _finalize(value: Any) -> Any:
    """Clean every text on its way into the page."""
    return (
        format.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
    )


def _source(name: str) -> str:
    """Return a template file as it stands."""
    env = _environment()
    assert env.loader is not None
    return env.loader.get_source(env, name)[0]
