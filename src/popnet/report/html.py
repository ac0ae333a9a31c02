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


def render(facts: FitFacts, model: str = "") -> str:
    """Return the page of a fit as HTML; the same facts give the same text, byte for byte.

    Args:
        facts: of the fit.
        model: the model folder's name, for the commands; "" if it is not known.
    """
    return _page(
        "page.html", facts.version, facts.title, facts=facts, **vars(sections.sections(facts, model))
    )  # fmt: skip


def render_document(document: Document) -> str:
    """Return a document as HTML; the same document gives the same text, byte for byte."""
    shown = document_view.show(document)._asdict()
    return _page("document.html", document.version, document.title, document=document, **shown)


def _page(template: str, version: str, title: str, **shown: Any) -> str:
    """Return a page with its style and its script, which is the only one that a browser runs there."""
    script = _source("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _environment()
        .get_template(template)
        .render(
            title=title,
            version=version,
            style=Markup(_source("page.css") + _source("print.css")),
            script=Markup(script),
            script_hash=f"sha256-{digest}",
            **shown,
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
