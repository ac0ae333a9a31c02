"""Tables from files, frames and arrays: the only place that knows how they become frames.

Text formats are in ``delimited.py``, Python objects in ``frames.py``; both are used through here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import polars as pl

from popnet.data.tables import limits
from popnet.data.tables.delimited import chunks, read_delimited, string_batches, string_blocks
from popnet.data.tables.frames import frame_categories, from_frame, not_empty, plain
from popnet.errors import InputError
from popnet.runtime.fork import begin_threads
from popnet.runtime.memory import check_fits

FORMATS = {
    ".csv": "delimited",
    ".tsv": "delimited",
    ".tab": "delimited",
    ".txt": "delimited",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "ipc",
    ".feather": "ipc",
    ".ipc": "ipc",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
PACKED = ("delimited", "jsonl")
"""Formats that may also be gzip-compressed (.csv.gz, ...)."""

_SLICE_ROWS = 200_000

T = TypeVar("T")


def read_table(source: Any, as_written: Sequence[str] | None = ()) -> pl.DataFrame:
    """Read a whole table.

    Args:
        source: a path (CSV, TSV, JSON lines, each also .gz; Parquet; Arrow, Feather), a pandas or
            polars DataFrame (a pandas index is ignored), a 2-d array or a list of rows (columns
            x0, x1, ...).
        as_written: columns of text of a text file in which null tokens stay text, however rare; None: all columns.

    Returns:
        Frame of N rows whose columns are Boolean, integer, float, String, Date or Datetime
        (microseconds, UTC, no zone). Missing values, and NaN, are null. In text files the delimiter
        (comma, semicolon, tab or bar) is found by itself, a column's type follows from all of its
        values, and blanks around values are taken off; the texts of `markers.NULL_TOKENS` are null among numbers, and
        among text where they are rare and stand without quotes. Dates, and numbers that are not plain ("1,5", "$2",
        "007"), stay text: the schema finds them.

    Raises:
        InputError: there is no such file, it is a folder, empty, without rows or columns, of an
            unknown kind, damaged, binary where text is due, not UTF-8, has a column name twice or
            rows of different lengths.
        ForkError: this process was forked from one that had used polars.
    """
    begin_threads()
    if not isinstance(source, str | PathLike):
        return _frame(source)
    path, form = _locate(cast("str | PathLike[str]", source))
    if form == "delimited":
        return read_delimited(path, as_written)
    if form == "jsonl":
        frames: list[pl.DataFrame] = []
        for frame in _json_frames(path):
            frames.append(frame)
            limits.check_held(sum(map(limits.frame_size, frames)), path)
        return not_empty(_stack(frames), str(path))
    return not_empty(plain(_columnar(path, form), str(path)), str(path))


def declared_categories(source: Any) -> tuple[str, ...]:
    """Return the columns that a frame or a file with types declares to be categories.

    Args:
        source: as `read_table` takes it.
    """
    if isinstance(source, str | PathLike):
        path, form = _locate(cast("str | PathLike[str]", source))
        if form in PACKED:
            return ()
        types = _guarded(lambda: _scan(path, form).collect_schema(), path, form)
        return tuple(n for n, t in types.items() if t in (pl.Categorical, pl.Enum))
    return frame_categories(source)


def read_batches(path: Any, rows: int = 50_000) -> Iterator[pl.DataFrame]:
    """Stream a table in frames of at most ``rows`` rows, in constant memory.

    Args:
        path: as ``source`` of `read_table`; frames and arrays are cut into slices.
        rows: most rows of a batch, at least 1.

    Yields:
        Frames as of `read_table`, but columns of delimited text are all String: what a column
        holds is known only at its end, and a fitted encoder casts them.

    Raises:
        InputError: as `read_table`; of a bad row, when the stream reaches it.
        ForkError: see `read_table`.
    """
    begin_threads()
    if rows < 1:
        raise InputError(f"rows must be at least 1, got {rows}.")
    if not isinstance(path, str | PathLike):
        frames: Iterator[pl.DataFrame] = iter((_frame(path),))
    else:
        place, form = _locate(cast("str | PathLike[str]", path))
        if form == "delimited":
            frames = string_batches(place)
        elif form == "jsonl":
            frames = _json_frames(place)
        else:
            frames = _columnar_frames(place, form)
    yield from _rebatch(frames, rows)


def first_rows(path: str | PathLike[str], rows: int = 1000) -> pl.DataFrame | None:
    """Return some of a file's first rows as they stand there, text unstripped; None if there are none.

    Raises:
        InputError: as `read_table`.
    """
    place, form = _locate(path)
    if form != "delimited":
        return next(read_batches(path, rows), None)
    block = next(string_blocks(place), None)
    return None if block is None else block[1].head(rows)


def table_format(source: str | PathLike[str]) -> tuple[Path, str]:
    """Return a table's path, and its format: ``delimited``, ``jsonl``, ``parquet`` or ``ipc``.

    Raises:
        InputError: there is no such file, or its ending is of none of these.
    """
    return _locate(source)


def count_rows(path: Path, form: str) -> int | None:
    """Return the rows of a Parquet or Arrow file without reading them; None where that is not possible."""
    if form == "ipc" and not _is_arrow_file(path):
        return None
    return int(_guarded(_scan(path, form).select(pl.len()).collect, path, form).item())


def _frame(source: Any) -> pl.DataFrame:
    frame = from_frame(source)
    if frame is None:
        raise InputError(
            f"cannot read a table from a {type(source).__name__}; give a path, a pandas or polars "
            "DataFrame, a 2-d array or a list of rows."
        )
    return frame


def _rebatch(frames: Iterator[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """Cut and join frames so that all but the last have exactly ``rows`` rows."""
    rest: list[pl.DataFrame] = []
    held = 0
    for frame in frames:
        start = 0
        while held + frame.height - start >= rows:
            take = rows - held
            rest.append(frame.slice(start, take))
            yield _stack(rest)
            start, rest, held = start + take, [], 0
        if start < frame.height:
            rest.append(frame.slice(start))
            held += frame.height - start
    if rest:
        yield _stack(rest)


def _stack(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Put frames below each other; a column of nulls takes the type it has elsewhere."""
    if len(frames) == 1:
        return frames[0]
    if not frames:
        return pl.DataFrame()
    loose = [
        f.with_columns(pl.lit(None).alias(c.name) for c in f if c.null_count() == f.height)
        for f in frames
    ]
    frame = pl.concat(loose, how="diagonal_relaxed")
    return frame.with_columns(pl.col(pl.Null).cast(pl.String))


def _locate(source: str | PathLike[str]) -> tuple[Path, str]:
    """Return the path and its format."""
    path = Path(source)
    try:
        found = path.exists()
    except OSError:  # a name that is too long
        found = False
    if not found:
        raise InputError(_no_file(path))
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the path of one table.")
    if not path.is_file():
        raise InputError(
            f"{path} is a pipe or a device, and a table is read only from a file; write it to a "
            "file first."
        )
    suffixes = [s.lower() for s in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] == ".gz"
    last = suffixes[-2] if packed and len(suffixes) > 1 else suffixes[-1] if suffixes else ""
    form = FORMATS.get(last)
    if form is None or (packed and form not in PACKED):
        ending = "".join(suffixes[-2:]) if packed else last
        what = f"no table format has the ending '{ending}'" if ending else "the name has no ending"
        raise InputError(
            f"{path}: {what}; save it as CSV or Parquet (known are {', '.join(FORMATS)}, and .gz "
            "after a text format)."
        )
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty; give a table with a header line and rows.")
    return path, form


def _no_file(path: Path) -> str:
    if str(path) == "-":
        return "a table cannot be read from stdin (-); write it to a file first and give its path."
    missing = path
    try:
        while not missing.parent.exists():
            missing = missing.parent
    except OSError:
        missing = path
    if missing == path:
        return f"there is no file {path}; check the path."
    return f"there is no file {path}, for there is no folder {missing}; check the path."


def _json_frames(path: Path) -> Iterator[pl.DataFrame]:
    """Stream JSON lines; a key that a block lacks is a column of nulls in it."""
    names: dict[str, None] = {}
    rest, line = b"", 1
    for piece in chunks(path):
        rest += piece
        end = rest.rfind(b"\n") + 1
        if end:
            yield from _json_block(rest[:end], line, path, names)
            line += rest.count(b"\n", 0, end)
            rest = rest[end:]
        if len(rest) > limits.LONGEST_RECORD:
            raise limits.too_long(path, line)
    yield from _json_block(rest, line, path, names)
    if not names:
        raise InputError(f"{path} holds no rows; give one JSON object a line.")


def _json_block(
    data: bytes, line: int, path: Path, names: dict[str, None]
) -> Iterator[pl.DataFrame]:
    if not data.strip():
        return
    try:
        if not data.lstrip().startswith(
            b"{"
        ):  # polars would unpack what begins like gzip, zlib or zstd
            raise pl.exceptions.ComputeError("a line is no object")
        frame = pl.read_ndjson(data, infer_schema_length=None)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = (str(error).splitlines() or ["damaged"])[0].rstrip(".")
        raise InputError(
            f"{path}: the text from line {line} on is not JSON lines ({reason}); write one JSON "
            "object a line, in UTF-8."
        ) from None
    names.update(dict.fromkeys(frame.columns))
    lacking = [pl.lit(None, pl.String).alias(n) for n in names if n not in frame.columns]
    yield plain(frame.with_columns(lacking), str(path))


def _columnar(path: Path, form: str) -> pl.DataFrame:
    if rows := count_rows(path, form):
        types = _guarded(_scan(path, form).collect_schema, path, form).dtypes()
        check_fits(rows * sum(map(_value_bytes, types)), str(path))
    return _guarded(lambda: _scan(path, form).collect(), path, form)


def _value_bytes(dtype: pl.DataType) -> int:
    """Return what a value takes in memory, at least: a file may hold a billion equal ones in a few bytes."""
    if dtype == pl.String:
        return 16
    return 8 if dtype in (pl.Int64, pl.UInt64, pl.Float64) else 1


def _columnar_frames(path: Path, form: str) -> Iterator[pl.DataFrame]:
    """Stream by slices: polars decodes only the row groups that a slice touches."""
    table = _guarded(lambda: _scan(path, form), path, form)
    start = 0
    while True:
        part = _guarded(table.slice(start, _SLICE_ROWS).collect, path, form)
        if part.height or start == 0:
            yield plain(not_empty(part, str(path)), str(path))
        start += part.height
        if part.height < _SLICE_ROWS:
            return


def _scan(path: Path, form: str) -> pl.LazyFrame:
    if form == "parquet":
        return pl.scan_parquet(path, glob=False)
    if not _is_arrow_file(path):
        return pl.read_ipc_stream(cast(BinaryIO, io.BytesIO(path.read_bytes()))).lazy()
    return pl.scan_ipc(path)


def _is_arrow_file(path: Path) -> bool:
    """Return whether an Arrow file can be read in parts: the stream format lacks this mark."""
    with path.open("rb") as f:
        return f.read(6) == b"ARROW1"


def _guarded(read: Callable[[], T], path: Path, form: str) -> T:
    """Call ``read`` and turn what polars raises into one sentence."""
    what = "a Parquet" if form == "parquet" else "an Arrow"
    try:
        return read()
    except pl.exceptions.DuplicateError:
        raise InputError(
            f"{path} has a column name twice; give every column its own name."
        ) from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(
            f"{path} is not {what} file, or is damaged ({reason}); make or fetch it again."
        ) from None


__all__ = [
    "FORMATS",
    "count_rows",
    "declared_categories",
    "read_batches",
    "read_table",
    "table_format",
]
