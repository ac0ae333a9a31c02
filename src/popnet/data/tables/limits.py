"""How much a file of text may hold: a small one can unpack to rows, columns or a line without end."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from popnet.errors import InputError
from popnet.runtime import memory
from popnet.runtime.sizes import words

LONGEST_RECORD = 64 << 20
"""Bytes of a row."""

MAX_COLUMNS = 200_000
"""A frame takes 3 to 4 KB a column, whatever is in it (polars 2.1): a row of 64 MB of commas would take 250 GB."""


def check_columns(count: int, path: Path, line: int) -> None:
    """Raise an InputError for a header of too many fields."""
    if count > MAX_COLUMNS:
        raise InputError(
            f"{path}, line {line} has {count:,} columns, more than {MAX_COLUMNS:,}; give a table with a row a line."
        )


def frame_size(frame: pl.DataFrame) -> int:
    """Return about how many bytes a frame takes: its texts, and 8 a value, which polars leaves out of short texts."""
    return int(frame.estimated_size()) + 8 * frame.height * frame.width


def check_held(held: float, path: Path) -> None:
    """Raise an InputError once the rows that were read so far leave no room for their copy.

    Args:
        held: their bytes.
        path: the file.
    """
    if held > memory.free():
        raise InputError(
            f"{path} does not fit into memory: {words(held)} of it are read, and {words(memory.free())} are left; give "
            "fewer rows or columns."
        )


def too_long(path: Path, line: int) -> InputError:
    """Return what is said of a row without an end."""
    return InputError(
        f"{path}, line {line} is longer than {LONGEST_RECORD >> 20} MB; end each row with a line break."
    )
