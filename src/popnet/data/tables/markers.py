"""Words that stand for a missing value, and words for truth values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

NULL_TOKENS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
"""Texts that may mean "missing" among text, where they are rare: a class or a level may bear such a name, too."""

MARKERS = frozenset(
    """
    na n/a n.a. n.a nan -nan null nil none <na> nat <nat> <null> <none> (null) (none) (blank) nd n/d n.d. n.d n/k nr tbd
    missing unknown undefined void ? ?? - -- --- . .. ... * ** \\n
    #n/a #na #div/0! #value! #ref! #name? #null! #num! 1.#ind -1.#ind 1.#qnan -1.#qnan
    """.split()  # noqa: SIM905
) | {"", "#n/a n/a", "not available", "not applicable"}
"""Texts, in lower case, that mean "missing" among numbers and dates. Those of pandas and of spreadsheets are here."""

TRUE_WORDS = ("true", "t", "yes", "y")
FALSE_WORDS = ("false", "f", "no", "n")

RARE_SHARE = 0.01
"""Share of a column of text below which a null token without quotes means "missing"; else it is a level ("?" never)."""

PROTECTED = "\x1a"
"""Put in front of a null token in quotes while text is cut into fields, after which quotes are gone."""


def truth_pair(words: Iterable[str]) -> tuple[str, str] | None:
    """Return the words for false and true, in lower case, if these are all the words; else None."""
    known = {word.strip().lower() for word in words}
    pairs = zip(FALSE_WORDS, TRUE_WORDS, strict=True)
    return next((pair for pair in pairs if set(pair) == known), None)


def protect_quoted(data: bytes, delimiter: str) -> bytes:
    """Mark null tokens that stand in quotes as text, so that `unprotect` tells them from those without.

    Args:
        data: whole records of delimited text.
        delimiter: of its fields.
    """
    # A search for each takes a hundredth of the time of the pattern's.
    there = [t.encode() for t in NULL_TOKENS if t and b'"%b"' % t.encode() in data]
    if not there:
        return data
    words = b"|".join(map(re.escape, there))
    end = re.escape(delimiter.encode()) + rb"\r\n"
    pattern = rb"(?:(?<=[" + end + rb'])|\A)"(' + words + rb')"(?=[' + end + rb"]|\Z)"
    return re.sub(pattern, b'"' + PROTECTED.encode() + rb'\1"', data)


def unprotect(text: pl.Series) -> pl.Series:
    """Return text without the marks of `protect_quoted`."""
    return text.str.strip_prefix(PROTECTED)


def rare_as_null(text: pl.Series) -> pl.Series:
    """Return text of a file in which null tokens without quotes are null where they are rare, see `RARE_SHARE`.

    Args:
        text: ``(N,)`` with the marks of `protect_quoted`, which the result lacks.
    """
    marked = text.is_in(NULL_TOKENS)
    if marked.any():
        counts = text.filter(marked).value_counts(name="rows")
        words, rows = counts[text.name], counts["rows"]
        few = words.filter((rows < RARE_SHARE * len(text)) | (words == "?")).to_list()
        if few:
            text = text.set(text.is_in(few), None)
    return unprotect(text)


def is_marker(text: pl.Series) -> pl.Series:
    """Return ``(N,)`` Boolean, true for a text that means "missing" among numbers and dates; null stays null."""
    return text.str.strip_chars().str.to_lowercase().is_in(list(MARKERS))
