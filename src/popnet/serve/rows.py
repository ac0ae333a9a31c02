"""The body of a request, encoded as a model folder's model takes it: JSON, CSV, Parquet."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from popnet.data.tables.cast import show, spell, to_numbers, to_text, to_times
from popnet.data.tables.columns import Boolean, Categorical, Datetime, Record
from popnet.data.tables.formats import EITHER_DECIMAL
from popnet.data.tables.frames import from_objects, plain
from popnet.data.tables.read import read_batches
from popnet.errors import InputError
from popnet.export.description import Description
from popnet.model.model import Model
from popnet.serve.body import check_count, ignored_of, json_rows, refuse, without
from popnet.serve.limits import Limits, Problem, Refused
from popnet.serve.served import Rows


def read_json(body: bytes, model: Model, described: Description, limits: Limits) -> Rows:
    """Return the rows of JSON; see `popnet.serve.body.json_rows`."""
    objects, ignored = json_rows(body, described, limits)
    columns = [_json_column(r, [row[r.name] for row in objects]) for r in model.encoder.columns]
    return encoded(pl.DataFrame(columns), model, ignored)


def read_file(
    body: bytes, ending: str, model: Model, described: Description, limits: Limits
) -> Rows:
    """Return the rows of a table's file.

    Args:
        body: its bytes.
        ending: ``.csv`` or ``.parquet``.
        model: whose columns are read.
        described: what it takes.
        limits: of its rows, which are counted before they are held.
    """
    needed = [c.name for c in model.encoder.columns]
    if body.startswith(b"\x1f\x8b"):  # read_batches would unpack it, to any size
        raise Refused(415, "Compressed bodies are not taken (this is gzip); send it as it is.")
    with tempfile.TemporaryDirectory(prefix="popnet") as folder:
        path = Path(folder) / f"body{ending}"
        path.write_bytes(body)
        try:
            read = _parquet if ending == ".parquet" else _csv
            names, frame = read(path, needed, limits.rows + 1)
        except InputError as error:
            raise Refused(422, without(str(error), path)) from None
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError):
            said = "The body is damaged, or not of the type that its Content-Type says."
            raise Refused(422, said) from None
    check_count(frame.height, limits)
    ignored = ignored_of(names, described)
    lacking = [n for n in needed if n not in frame.columns]
    refuse([Problem(None, n, "the column is missing; add it") for n in lacking], ignored)
    return encoded(frame.select(needed), model, ignored)


def _csv(path: Path, needed: Sequence[str], rows: int) -> tuple[list[str], pl.DataFrame]:
    """Return the names of a file's columns, and at most so many rows."""
    frame = next(read_batches(path, rows), pl.DataFrame())
    return frame.columns, frame


def _parquet(path: Path, needed: Sequence[str], rows: int) -> tuple[list[str], pl.DataFrame]:
    """Return the names of a file's columns, and at most so many rows of those that are needed; no other is decoded."""
    file = pl.scan_parquet(path, glob=False)
    names = file.collect_schema().names()
    own = [n for n in names if n in needed]
    # Without a column a frame has no height; any one will do to count by.
    frame = (
        plain(file.select(own).head(rows).collect(), "the body") if own else pl.DataFrame({"": [0]})
    )
    return names, frame


def encoded(frame: pl.DataFrame, model: Model, ignored: tuple[str, ...]) -> Rows:
    """Encode a frame with all columns that a model needs.

    Raises:
        Refused: some values are not of their columns' kinds; all of them are listed.
    """
    refuse([p for r in model.encoder.columns for p in bad_values(r, frame[r.name])], ignored)
    notes: list[str] = []
    try:
        features = model.encoder.transform(frame, report=notes)
    except InputError as error:
        raise Refused(422, str(error)) from None
    return Rows(features, ignored, tuple(dict.fromkeys(notes)), frame)


def bad_values(record: Record, column: pl.Series) -> list[Problem]:
    """Return the values of a column that the encoder would refuse, which it does one by one."""
    if isinstance(record, Boolean | Categorical) or record.format not in ("", EITHER_DECIMAL):
        return []  # these are taken as something else, and a note says so
    if isinstance(record, Datetime):
        wanted, (_, bad) = "a date or time", to_times(column, record.format, record.nulls)
    else:
        wanted, (_, bad) = "a number", to_numbers(column, record.nulls, form=record.format)
    return [
        Problem(int(i) + 1, record.name, f"{show(column[int(i)])} is not {wanted}")
        for i in np.flatnonzero(bad.to_numpy())
    ]


def _json_column(record: Record, values: list[Any]) -> pl.Series:
    """Make a column of JSON values, each of which is read as it would be alone, whatever stands beside it."""
    mixed = len({isinstance(v, str) for v in values if v is not None}) > 1
    if isinstance(record, Boolean | Datetime) or not mixed:
        return from_objects(record.name, values)
    if isinstance(record, Categorical):
        texts = [v if isinstance(v, str) or v is None else _level(record, v) for v in values]
        return pl.Series(record.name, texts, pl.String)
    text = pl.Series(record.name, [v if isinstance(v, str) else None for v in values], pl.String)
    read, bad = to_numbers(text, record.nulls, form=record.format)
    if bad.any() and record.format in ("", EITHER_DECIMAL):
        return text  # as it came, for what is said of it: its place among the others is kept
    numbers = [None if isinstance(v, str) else v for v in values]
    return from_objects(record.name, numbers).cast(pl.Float64).fill_null(read)


def _level(record: Categorical, value: Any) -> str:
    """Write a number or a truth value as the level that it is."""
    alone = from_objects(record.name, [value])
    text = str(to_text(alone)[0])
    spelled = list(record.levels) if record.numbers else spell(record.levels, alone.dtype)
    return record.levels[spelled.index(text)] if text in spelled else text
