"""Delimited text (CSV, TSV) in blocks of whole records, checked as they pass.

Polars fills short rows with nulls and reports a bad byte without its place, and a stream of
compressed text cannot be handed to it at all; so the text is cut into blocks of whole records
here, each is checked (UTF-8, number of fields), and polars parses a block at a time; the next
one while the columns of the last one get their types.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import polars as pl

from popnet.data.tables import limits, preamble
from popnet.data.tables.cast import clean_frame, plain_text, type_frame
from popnet.data.tables.markers import protect_quoted, rare_as_null, unprotect
from popnet.errors import InputError

FIRST_BYTES, BLOCK_BYTES = 1 << 20, 16 << 20
"""Of the first block, so that who looks at the first rows alone does not wait for many, and of later ones."""
DELIMITERS = ",;\t|"
SNIFFED_RECORDS, SNIFFED_BYTES = 200, 1 << 18
_NEWLINE, _QUOTE = 10, 34
_MAGIC = {
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"%PDF": "a PDF document",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
}


T = TypeVar("T")


class Layout(NamedTuple):
    """How a file's records are cut into fields."""

    delimiter: str
    names: tuple[str, ...]

    @property
    def undecided_points(self) -> bool:
        """Whether 1.342 may be a number of thousands, for numbers may have decimal commas."""
        return self.delimiter != ","


class Block(NamedTuple):
    """Whole records, each ended by a newline, and the number of their first line in the file."""

    data: bytes
    line: int


def read_delimited(path: Path, as_written: Sequence[str] | None = ()) -> pl.DataFrame:
    """Read a delimited file whole, each column typed by all of its values.

    A column is Int64 if every value is an integer, else Float64 if every value is a number (or a null token, or
    empty), else String, where null tokens without quotes are null if they are rare. The text is never held whole.
    Costs a second pass over the file only if a column turns to text after a block of numbers.

    Args:
        path: of the file.
        as_written: columns of text in which null tokens stay as they are; None: in all.

    Raises:
        InputError: see `string_blocks`.
    """
    parts: dict[str, list[pl.Series]] = {}
    text: set[str] = set()
    had_tokens: set[str] = set()
    names: list[str] = []
    held = 0
    for layout, frame in ahead(string_blocks(path)):
        names = frame.columns
        held += limits.frame_size(frame)
        limits.check_held(held, path)
        known = [c for c in frame.columns if c in text]
        for name in known:
            parts[name].append(plain_text(frame[name]))
        for part in type_frame(frame.drop(known), layout.undecided_points):
            if part.dtype == pl.String:
                text.add(part.name)
            elif part.null_count() > frame[part.name].null_count():
                had_tokens.add(
                    part.name
                )  # they are null now, and would be levels in a column of text
            parts.setdefault(part.name, []).append(part)
    torn = [
        name
        for name in parts
        if name in text
        and (
            name in had_tokens
            or any(p.dtype != pl.String and p.null_count() < len(p) for p in parts[name])
        )
    ]
    if torn:
        again: dict[str, list[pl.Series]] = {name: [] for name in torn}
        for _, frame in string_blocks(path, torn):
            for name in torn:
                again[name].append(plain_text(frame[name]))
        parts.update(again)
    return pl.DataFrame([settled(_join(parts[name]), as_written) for name in names])


def settled(column: pl.Series, as_written: Sequence[str] | None) -> pl.Series:
    """Return a column in which rare null tokens are null if it is text, but for those that stay as they are written."""
    if column.dtype != pl.String:
        return column
    kept = as_written is None or column.name in as_written
    return unprotect(column) if kept else rare_as_null(column)


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield what an iterator does, the next one made by a thread meanwhile; None ends it."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item


def _join(pieces: list[pl.Series]) -> pl.Series:
    types = {p.dtype for p in pieces}
    if len(types) > 1:
        common = pl.String if pl.String in types else pl.Float64
        pieces = [p.cast(common) for p in pieces]
    return pl.concat(pieces, rechunk=True)


def string_batches(path: Path) -> Iterator[pl.DataFrame]:
    """Stream a delimited file as frames of text without blanks at both ends, null where empty."""
    for _, frame in string_blocks(path):
        yield clean_frame(frame)


def string_blocks(
    path: Path, columns: Sequence[str] | None = None
) -> Iterator[tuple[Layout, pl.DataFrame]]:
    """Yield the file in frames of String columns with the marks of `markers.protect_quoted`; null where empty.

    Raises:
        InputError: the file is empty, has only a header, is binary or damaged, is not UTF-8, has
            a column name twice, a quotation mark that is never closed, or a row with more or
            fewer fields than the header.
    """
    layout: Layout | None = None
    any_rows = False
    for block in _blocks(path):
        _check_encoding(block, path)
        if layout is None:
            if not block.data.strip():
                continue
            layout, block = _read_header(block, path)
        frame = _evenly_cut(block, layout)
        if frame is None and (data := _check_fields(block, layout, path)):
            frame = _parse(data, layout, path, block.line)
        if frame is not None:
            any_rows = True
            yield layout, frame if columns is None else frame.select(columns)
    if layout is None:
        raise InputError(f"{path} is empty; give a table with a header line and rows.")
    if not any_rows:
        raise InputError(f"{path} has a header line but no rows; add the data.")


def open_bytes(path: Path) -> io.BufferedIOBase:
    """Open a file for reading, decompressed if it is gzip (by content, whatever its name)."""
    with path.open("rb") as f:
        packed = f.read(2) == b"\x1f\x8b"
    if path.suffix.lower() == ".gz" and not packed and path.stat().st_size:
        raise InputError(f"{path} is not gzip-compressed although its name says so; rename it.")
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]


def chunks(path: Path) -> Iterator[bytes]:
    """Yield a file's (decompressed) bytes in pieces, the first of `FIRST_BYTES`, the others of `BLOCK_BYTES`.

    Raises:
        InputError: the file cannot be opened, or is a damaged or truncated gzip file.
    """
    try:
        with open_bytes(path) as stream:
            piece = stream.read(FIRST_BYTES)
            if b"\n" not in piece:  # how lines end is seen by the first piece
                piece += stream.read(BLOCK_BYTES - FIRST_BYTES)
            while piece:
                yield piece
                piece = stream.read(BLOCK_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{path} is damaged or cut short ({error}); make or fetch it again."
        ) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None


def _blocks(path: Path) -> Iterator[Block]:
    """Cut the file after record ends; lines that end in a lone carriage return get a newline."""
    rest, line, first, old_mac = b"", 1, True, False
    for piece in chunks(path):
        if first:
            piece = _check_start(piece, path)
            old_mac = b"\r" in piece and b"\n" not in piece
            first = False
        if old_mac:
            piece = piece.replace(b"\r", b"\n")
        rest += piece
        end = _last_record_end(rest)
        if end:
            yield Block(rest[:end], line)
            line += rest.count(b"\n", 0, end)
            rest = rest[end:]
        if len(rest) > limits.LONGEST_RECORD:
            raise _open_quote(path, rest, line)
    if rest.count(b'"') % 2:
        raise _open_quote(path, rest, line)
    if rest:
        yield Block(rest + b"\n", line)


def _open_quote(path: Path, rest: bytes, line: int) -> InputError:
    if b'"' not in rest:
        return limits.too_long(path, line)
    line += rest.count(b"\n", 0, max(rest.find(b'"'), 0))
    return InputError(
        f"{path}, line {line}: a quotation mark is opened and never closed; close it, or double it "
        "if it belongs to the text."
    )


def _check_start(data: bytes, path: Path) -> bytes:
    """Refuse what is plainly no text; take off a byte-order mark."""
    for magic, what in _MAGIC.items():
        if data.startswith(magic):
            raise InputError(f"{path} is {what}, not delimited text; save the table as CSV.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path} is encoded as UTF-16; convert it to UTF-8.")
    return data.removeprefix(b"\xef\xbb\xbf")


def _last_record_end(data: bytes) -> int:
    """Return the position after the last newline that stands outside quotes; 0 if none."""
    if b'"' not in data:
        return data.rfind(b"\n") + 1
    ends = _outside(np.frombuffer(data, np.uint8), (_NEWLINE,))[0]
    return int(ends[-1]) + 1 if len(ends) else 0


def _outside(array: np.ndarray, characters: Sequence[int]) -> list[np.ndarray]:
    """Return the positions of each character where it stands outside quotes."""
    quotes = array == _QUOTE
    # uint8 wraps at 256, which keeps the parity: odd means inside quotes.
    outside = (np.cumsum(quotes, dtype=np.uint8) & 1) == 0 if quotes.any() else True
    return [np.flatnonzero((array == c) & outside) for c in characters]


def _check_encoding(block: Block, path: Path) -> None:
    zero = block.data.find(b"\0")
    if zero >= 0:
        line = block.line + block.data.count(b"\n", 0, zero)
        raise InputError(
            f"{path} is a binary file (line {line} has a zero byte), not delimited text; "
            "save the table as CSV in UTF-8."
        )
    if block.data.isascii():
        return
    try:
        block.data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = block.line + block.data.count(b"\n", 0, error.start)
        raise InputError(
            f"{path}, line {line}: the byte 0x{block.data[error.start]:02x} is not valid UTF-8; "
            "convert the file to UTF-8."
        ) from None


def _read_header(block: Block, path: Path) -> tuple[Layout, Block]:
    """Sniff the delimiter, read the names, and return the block without all up to its header."""
    before = preamble.find(block.data)
    skipped = before.length
    skipped += len(block.data) - skipped - len(block.data[skipped:].lstrip(b"\r\n"))
    data = block.data[skipped:]
    delimiter, fields = _sniff(data, path)
    if before.delimiter and before.delimiter != delimiter:
        delimiter, fields = before.delimiter, _fields(data, before.delimiter)
    titles = _titles(data, delimiter, fields)
    data, fields = data[_record_start(data, titles) :], fields[titles:]
    line = block.line + block.data.count(b"\n", 0, len(block.data) - len(data))
    ends = _outside(np.frombuffer(data, np.uint8), (_NEWLINE,))[0]
    if not len(ends):
        raise _not_fields(path, line)
    end = int(ends[0]) + 1
    limits.check_columns(data.count(delimiter.encode(), 0, end) + 1, path, line)
    try:
        _refuse_packed(data)
        header = pl.read_csv(data[:end], has_header=False, separator=delimiter, infer_schema=False)
    except pl.exceptions.PolarsError:
        raise _not_fields(path, line) from None
    names = [(name or "").strip().removeprefix("# ") for name in header.row(0)]
    if _lacks_first_name(data, delimiter, fields):
        names = ["", *names]
    # pandas writes its index under an empty name; a position makes a stable one.
    names = [name or f"column_{i + 1}" for i, name in enumerate(names)]
    check_names(names, str(path))
    rest = Block(data[end:], line + data.count(b"\n", 0, end))
    return Layout(delimiter, tuple(names)), rest


def check_names(names: Sequence[str], where: str) -> None:
    """Raise an InputError that lists the column names which occur more than once."""
    seen: set[str] = set()
    twice = sorted({n for n in names if n in seen or seen.add(n)})
    if not twice:
        return
    listed = ", ".join(f"'{n}'" for n in twice[:10]) + (", …" if len(twice) > 10 else "")
    numbers = sum(n.replace(".", "", 1).lstrip("+-").isdigit() for n in names)
    hint = " (is the header line missing?)" if numbers > len(names) // 2 else ""
    raise InputError(
        f"{where} has more than one column named {listed}{hint}; give every column its own name."
    )


def _sniff(data: bytes, path: Path) -> tuple[str, list[int]]:
    """Choose the delimiter that cuts the first records into most alike, then most fields; also return their numbers."""
    best, choice = (0.0, 0, 0), ","
    counts: dict[str, list[int]] = {d: _fields(data, d) for d in DELIMITERS}
    suffixes = [s.lower() for s in path.suffixes]
    for delimiter, fields in counts.items():
        titles = _titles(data, delimiter, fields)
        fields = fields[titles:]
        if not fields or fields[0] == 1:
            continue
        if delimiter == "\t" and (".tsv" in suffixes or ".tab" in suffixes):
            return delimiter, counts[delimiter]
        short = _lacks_first_name(data[_record_start(data, titles) :], delimiter, fields)
        alike = 1.0 if short else sum(n == fields[0] for n in fields) / len(fields)
        score = (alike, -bool(titles or short), fields[0])
        if score > best:
            best, choice = score, delimiter
    return choice, counts[choice]


def _record_start(data: bytes, record: int) -> int:
    """Return where a record begins, by its number from 0."""
    if record == 0:
        return 0
    ends = _outside(np.frombuffer(data[:SNIFFED_BYTES], np.uint8), (_NEWLINE,))[0]
    return int(ends[record - 1]) + 1 if record <= len(ends) else len(data)


def _record(data: bytes, record: int) -> str:
    """Return the text of one of the first records, as far as the delimiter is looked for."""
    start, end = _record_start(data, record), _record_start(data, record + 1)
    return data[start : min(end, start + SNIFFED_BYTES)].decode("utf-8", "ignore")


def _titles(data: bytes, delimiter: str, fields: list[int]) -> int:
    """Return how many of the first records are titles before a record of names."""
    titles = preamble.title_lines(fields)
    return titles if preamble.are_names(_record(data, titles).split(delimiter)) else 0


def _lacks_first_name(data: bytes, delimiter: str, fields: list[int]) -> bool:
    """Tell whether a header lacks the first name; records that all end with a delimiter have an empty field more."""
    if not preamble.lacks_first_name(fields[0], fields[1:]):
        return False
    empty = all(_record(data, i).rstrip("\r\n").endswith(delimiter) for i in range(1, len(fields)))
    return not empty and preamble.are_names(_record(data, 0).split(delimiter))


def _fields(data: bytes, delimiter: str) -> list[int]:
    """Return the number of fields of each of the first records."""
    array = np.frombuffer(data[:SNIFFED_BYTES], np.uint8)
    ends, places = _outside(array, (_NEWLINE, ord(delimiter)))
    ends = ends[:SNIFFED_RECORDS]
    if not len(ends):  # the first record is longer than the sample
        return [len(places) + 1]
    return (np.diff(np.searchsorted(places, ends), prepend=0) + 1).tolist()


def _evenly_cut(block: Block, layout: Layout) -> pl.DataFrame | None:
    """Return a block's rows, if a look at it as a whole is enough to know that none is long or short.

    Without quotes, polars refuses a record with too many fields; if there are as many delimiters as records need
    together, none has too few either. Finding each one's place, as `_check_fields` does, takes longer than the parsing.
    """
    data, wanted = block.data, len(layout.names) - 1
    blank = data[:1] in (b"\n", b"\r") or b"\n\n" in data or b"\n\r" in data
    if not data or not wanted or blank or b'"' in data:
        return None
    rows = data.count(b"\n")
    if data.count(layout.delimiter.encode()) != rows * wanted:
        return None
    try:
        frame = _read(data, layout)
    except pl.exceptions.PolarsError:
        return None
    return frame if frame.height == rows else None


def _check_fields(block: Block, layout: Layout, path: Path) -> bytes:
    """Return the block without blank lines, after a check that no record is long or short."""
    if not block.data:
        return b""
    array = np.frombuffer(block.data, np.uint8)
    ends, places = _outside(array, (_NEWLINE, ord(layout.delimiter)))
    wanted = len(layout.names) - 1
    starts = np.concatenate(([0], ends[:-1] + 1))
    if len(places) == len(ends) * wanted and wanted:
        cut = places.reshape(len(ends), wanted)
        if (cut[:, 0] >= starts).all() and (cut[:, -1] < ends).all():
            return block.data
    counts = np.diff(np.searchsorted(places, ends), prepend=0)
    lengths = ends - starts
    blank = (lengths == 0) | ((lengths == 1) & (array[starts] == ord("\r")))
    wrong = np.flatnonzero((counts != wanted) & ~blank)
    if len(wrong):
        first = wrong[0]
        line = block.line + block.data.count(b"\n", 0, int(starts[first]))
        fields = int(counts[first]) + 1
        if b'"' in block.data[starts[first] : ends[first]]:
            cure = "check its quotation marks"
        elif fields > wanted + 1:
            last = (
                block.data[starts[first] : ends[first]]
                .rstrip(b"\r")
                .endswith(layout.delimiter.encode())
            )
            cure = f"put quotes around text that holds the delimiter {layout.delimiter!r}"
            if last and fields == wanted + 2:
                cure = f"take off the delimiter {layout.delimiter!r} at the end of rows"
        else:
            cure = "add what is missing"
        raise InputError(
            f"{path}, line {line}: {fields} field{'s' if fields > 1 else ''} where the header has "
            f"{wanted + 1}; {cure}."
        )
    if not wanted or not blank.any():
        return block.data
    # With several columns a blank line is no row; polars would make it a row of nulls.
    return b"".join(
        block.data[s : e + 1] for s, e in zip(starts[~blank], ends[~blank], strict=True)
    )


def _parse(data: bytes, layout: Layout, path: Path, line: int) -> pl.DataFrame:
    try:
        return _read(data, layout)
    except pl.exceptions.PolarsError:
        raise _not_fields(path, line) from None


def _refuse_packed(data: bytes) -> None:
    """Raise for what polars would take for zlib and unpack; gzip and zstd do not begin like UTF-8."""
    if data.startswith(b"x\x01"):
        raise pl.exceptions.ComputeError("compressed")


def _read(data: bytes, layout: Layout) -> pl.DataFrame:
    _refuse_packed(data)
    return pl.read_csv(
        protect_quoted(data, layout.delimiter),
        has_header=False,
        separator=layout.delimiter,
        schema=dict.fromkeys(layout.names, pl.String),
    )


def _not_fields(path: Path, line: int) -> InputError:
    return InputError(
        f"{path}: the text from line {line} on cannot be cut into fields; check its quotation "
        "marks."
    )
