"""Write predictions batch by batch: CSV (also .gz), JSON lines, Parquet; to a file as a whole or not at all."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import polars as pl

from popnet.errors import InputError
from popnet.runtime.atomic_file import atomic_file


def write_batches(batches: Iterator[pl.DataFrame], out: Path | None) -> int:
    """Write frames of equal columns one after another.

    Args:
        batches: frames.
        out: file, by its suffix ``.csv``, ``.csv.gz``, ``.jsonl``, ``.ndjson`` or ``.parquet``; None for CSV on stdout.

    Returns:
        The number of rows.

    Raises:
        InputError: an unknown suffix, or the file cannot be written; nothing half-written is left.
    """
    if out is None:
        return _stream(batches, sys.stdout.buffer, "csv")
    name = out.name.lower()
    form = next(
        (f for f, ends in {"csv": (".csv", ".csv.gz"), "json": (".jsonl", ".ndjson"), "parquet": (".parquet",)}.items()
         if name.endswith(ends)), None)  # fmt: skip
    if form is None:
        raise InputError(f"{out} has no known suffix; use .csv, .csv.gz, .jsonl or .parquet.")
    with atomic_file(out) as file:
        if form == "parquet":
            frame = pl.concat(list(batches))
            # In memory first: where polars itself writes to a full disk, its error is none of the operating system.
            content = io.BytesIO()
            frame.write_parquet(content)
            file.write(content.getbuffer())
            rows = frame.height
        elif name.endswith(".gz"):
            with gzip.GzipFile("", "wb", fileobj=file) as packed:
                rows = _stream(batches, packed, form)
        else:
            rows = _stream(batches, file, form)
    return rows


def _stream(batches: Iterator[pl.DataFrame], file: IO[bytes] | gzip.GzipFile, form: str) -> int:
    rows = 0
    for i, frame in enumerate(batches):
        if form == "csv":
            file.write(frame.write_csv(include_header=i == 0).encode())
        else:
            file.write(frame.write_ndjson().encode())
        rows += frame.height
    file.flush()
    return rows
