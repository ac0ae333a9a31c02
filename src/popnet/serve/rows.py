"""The body of a request, made into what a model predicts: JSON, CSV, Parquet, images.

Every bad value is said by its row and column, and nothing of this machine (a path, say) is in what is said.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl

from popnet.data.dataset import Features, Images
from popnet.data.tables.cast import show, spell, to_numbers, to_text, to_times
from popnet.data.tables.columns import Boolean, Categorical, Datetime, Record
from popnet.data.tables.frames import from_objects, plain
from popnet.data.tables.number_format import EITHER_DECIMAL
from popnet.data.tables.read import read_batches
from popnet.errors import InputError
from popnet.model.model import Model
from popnet.runtime import strict_json
from popnet.serve.limits import Limits, Problem, Refused

JSON, CSV = "application/json", "text/csv"
PARQUET = ("application/vnd.apache.parquet", "application/x-parquet")

MAX_IGNORED = 50
"""Names of ignored columns that an answer lists."""


@dataclass(frozen=True)
class Rows:
    """The rows of a request.

    Attributes:
        features: encoded, N rows.
        ignored: names of columns that the model does not read, nor its table had.
        notes: what was noticed, for people.
    """

    features: Features | Images
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_json(body: bytes, model: Model, limits: Limits) -> Rows:
    """Return the rows of ``{"rows": [...]}``, of a list of objects, or of one object."""
    rows = records(parse(body, limits))
    _check_count(len(rows), limits)
    needed = {column.name: column for column in model.encoder.columns}
    problems: list[Problem] = []
    seen: dict[str, None] = {}
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            what = f"a row must be an object of columns and values; this is {_kind(row)}"
            problems.append(Problem(i + 1, None, what))
            continue
        fields = cast("dict[str, Any]", row)
        seen.update(dict.fromkeys(fields))
        for name in needed:
            if name not in fields:
                what = "the column is missing; null stands for a value that is not known"
                problems.append(Problem(i + 1, name, what))
            elif isinstance(fields[name], dict | list):
                what = f"the value is {_kind(fields[name])}; give one value"
                problems.append(Problem(i + 1, name, what))
            elif isinstance(fields[name], str) and not _is_text(fields[name]):
                problems.append(Problem(i + 1, name, "the text is not valid Unicode"))
    ignored = _ignored(seen, model)
    _refuse(problems, ignored)
    objects = cast("Sequence[Mapping[str, Any]]", rows)
    columns = [_json_column(r, [row[n] for row in objects]) for n, r in needed.items()]
    return encoded(pl.DataFrame(columns), model, ignored)


def parse(body: bytes, limits: Limits) -> Any:
    """Return what JSON says.

    Raises:
        Refused: it is no JSON in UTF-8, says NaN or Infinity, has a key twice, or is nested too deeply.
    """
    if strict_json.depth(body) > limits.depth:
        raise Refused(400, f"The JSON is nested more than {limits.depth} levels deep.")
    try:
        return json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=strict_json.unique,
            parse_constant=strict_json.no_constant,
        )
    except UnicodeDecodeError:
        raise Refused(400, "The body is not UTF-8; JSON is written in UTF-8.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Refused(400, f"The body is not JSON ({error.msg}, {where}).") from None
    except (ValueError, RecursionError) as error:
        known = isinstance(error, strict_json.RefusedJsonError)
        said = str(error) if known else "a number has too many digits"
        raise Refused(400, f"The body is not JSON that can be read: {said}.") from None


def records(content: Any) -> list[Any]:
    """Return the rows that parsed JSON means."""
    if isinstance(content, dict):
        fields = cast("dict[str, Any]", content)
        return fields["rows"] if isinstance(fields.get("rows"), list) else [fields]
    if isinstance(content, list):
        return cast("list[Any]", content)
    raise Refused(
        422, f'The body is {_kind(content)}; give {{"rows": [...]}}, a list of objects, or one object.'
    )  # fmt: skip


def read_file(body: bytes, ending: str, model: Model, limits: Limits) -> Rows:
    """Return the rows of a table's file.

    Args:
        body: its bytes.
        ending: ``.csv`` or ``.parquet``.
        model: whose columns are read.
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
            raise Refused(422, _without(str(error), path)) from None
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError):
            said = "The body is damaged, or not of the type that its Content-Type says."
            raise Refused(422, said) from None
    _check_count(frame.height, limits)
    ignored = _ignored(names, model)
    lacking = [n for n in needed if n not in frame.columns]
    _refuse([Problem(None, n, "the column is missing; add it") for n in lacking], ignored)
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
    _refuse([p for r in model.encoder.columns for p in bad_values(r, frame[r.name])], ignored)
    notes: list[str] = []
    try:
        features = model.encoder.transform(frame, report=notes)
    except InputError as error:
        raise Refused(422, str(error)) from None
    return Rows(features, ignored, tuple(dict.fromkeys(notes)))


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


def read_images(files: Sequence[tuple[str, bytes]], model: Model, limits: Limits) -> Rows:
    """Return images, a row each, of any size and format that a fit reads.

    Args:
        files: names, which are only said in messages, and contents.
        model: of images.
        limits: of their number.
    """
    from popnet.data.images.decode import MAX_PIXELS, pixel_count  # loads Pillow

    form = model.encoder.image
    assert form is not None
    _check_count(len(files), limits)
    problems: list[Problem] = []
    pixels: list[np.ndarray] = []
    seen = 0
    with tempfile.TemporaryDirectory(prefix="popnet") as folder:
        for i, (name, content) in enumerate(files):
            path = Path(folder) / f"image{i}.png"  # what it is, its content says
            path.write_bytes(content)
            try:
                seen += pixel_count(path)
                if seen > MAX_PIXELS:
                    most = f"{MAX_PIXELS // 1_000_000} million pixels"
                    raise Refused(
                        413, f"The images have more than {most} together; send fewer at a time."
                    )
                pixels.append(np.asarray(form.read(str(path), strict=True).pixels))
            except InputError as error:
                problems.append(Problem(i + 1, name, _without(str(error), path, "the image")))
            path.unlink()
    _refuse(problems, ())
    return Rows(form.images(np.concatenate(pixels)))


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


def _ignored(names: Any, model: Model) -> tuple[str, ...]:
    encoder = model.encoder
    known = {*(c.name for c in encoder.columns), *encoder.other, *encoder.target.names}
    new = [str(n) for n in names if n not in known]
    return tuple(n.encode("utf-8", "replace").decode() for n in new[:MAX_IGNORED])


def _check_count(count: int, limits: Limits) -> None:
    if count < 1:
        raise Refused(422, "The body has no rows; give at least one.")
    if count > limits.rows:
        raise Refused(413, f"The body has more than {limits.rows:,} rows; send fewer at a time.")


def _refuse(problems: list[Problem], ignored: tuple[str, ...]) -> None:
    if problems:
        fields = "field" if len(problems) == 1 else "fields"
        raise Refused(422, f"{len(problems)} {fields} cannot be used.", problems, ignored)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return "text"
    return "null" if value is None else "a truth value" if isinstance(value, bool) else "a number"


def _without(text: str, path: Path, name: str = "the body") -> str:
    """Return a message without the place of a temporary file."""
    for place in (path, path.parent):
        text = text.replace(str(place), name)
    return text.replace(path.name, name)
