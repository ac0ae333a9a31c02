"""Small tables that a notebook shows for an object: HTML that needs nothing but itself, light and dark, no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

STYLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"
HEAD = "text-align:left;font-weight:600;padding:2px 16px 2px 0;vertical-align:top;color:inherit"
CELL = "text-align:left;padding:2px 0;vertical-align:top;color:inherit"
"""Colours are those of the notebook, so that a table is right in a light and in a dark one."""


def table(caption: str, rows: Sequence[tuple[str, str]]) -> str:
    """Return a table of names and what there is to say of them, a line each; all text is escaped."""
    lines = "".join(
        f'<tr><th scope="row" style="{HEAD}">{_shown(name)}</th><td style="{CELL}">{_shown(text)}</td></tr>'
        for name, text in rows
    )
    title = f'<caption style="text-align:left;font-weight:600;color:inherit">{_shown(caption)}</caption>'
    return f'<table style="{STYLE}">{title}<tbody>{lines}</tbody></table>'


def _shown(text: str) -> str:
    """Escape a text; halves of surrogate pairs, which no page can hold, become a replacement character."""
    return escape(text.encode("utf-8", "replace").decode())
