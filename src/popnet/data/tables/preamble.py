"""What may stand before the header of a delimited file, ``sep=;``, comments, titles, and a header that lacks a name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

MAX_LINES = 50
"""Lines before the header, at most."""

_NUMBER = re.compile(r"[-+]?[.,]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?\Z")
_SEPARATOR = re.compile(rb'\A"?sep=(.)"?[ \t]*\r?\n', re.IGNORECASE)


class Preamble(NamedTuple):
    """How many bytes stand before the header, and the delimiter if it is said there ("" if not)."""

    length: int
    delimiter: str


def find(data: bytes) -> Preamble:
    """Find what stands before the header.

    A first line ``sep=X`` names the delimiter, as Excel takes it. Lines that begin with ``#`` are comments, but for the
    last one before the data if it has as many fields and no blank (``#chrom``), or stands before a number, as NumPy's
    ``savetxt`` writes a header.

    Args:
        data: the beginning of a file.
    """
    start, delimiter = 0, ""
    if said := _SEPARATOR.match(data):
        start, delimiter = said.end(), said.group(1).decode("latin-1")
    for _ in range(MAX_LINES):
        end = data.find(b"\n", start) + 1
        line = data[start:end]
        following = data[end : end + (1 << 16)].lstrip(b"\r\n").split(b"\n", 1)[0]
        if not end or not following or (line.strip() and not line.startswith(b"#")):
            break
        signs = [delimiter] if delimiter else [",", ";", "\t", "|"]
        alike = any(line.count(s.encode()) == following.count(s.encode()) > 0 for s in signs)
        names = not line.startswith(b"# ") or re.match(rb"[\s\"]*[-+.]?\d", following)
        if line.startswith(b"#") and alike and names and not following.startswith(b"#"):
            break
        start = end
    return Preamble(start, delimiter)


def title_lines(fields: Sequence[int]) -> int:
    """Return how many of the first records are titles: single fields before records that nearly all have several.

    Args:
        fields: number of fields of each of the first records, empty lines as 1.
    """
    first = next((i for i, n in enumerate(fields) if n > 1), 0)
    rest = fields[first:]
    if len(fields) < 3 or not 0 < first <= MAX_LINES or len(rest) < 2:
        return 0
    alike = sum(n in (rest[0], 1) for n in rest) / len(rest)
    return first if alike >= 0.9 else 0


def are_names(fields: Sequence[str]) -> bool:
    """Tell whether the fields of a record can be names of columns: none of them is a number."""
    return not any(_NUMBER.match(field.strip(' "\r\n\t')) for field in fields)


def lacks_first_name(header: int, fields: Sequence[int]) -> bool:
    """Tell whether a header names all columns but the first, as R's ``write.table`` leaves out that of row names.

    Args:
        header: its number of fields.
        fields: of the records after it.
    """
    # One name over two fields is more likely a column of numbers with decimal commas.
    return header > 1 and len(fields) > 1 and all(n == header + 1 for n in fields)
