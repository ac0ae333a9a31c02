"""The body of a request as far as it says what it is, whatever model it is for: JSON, rows, columns, how many.

Every bad value is said by its row and column, and nothing of this machine (a path, say) is in what is said.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from popnet.errors import InputError
from popnet.export.description import Description
from popnet.runtime import strict_json
from popnet.serve.limits import Limits, Problem, Refused

MAX_IGNORED = 50
"""Names of ignored columns that an answer lists."""


def json_rows(
    body: bytes, described: Description, limits: Limits
) -> tuple[list[Mapping[str, Any]], tuple[str, ...]]:
    """Return the rows of ``{"rows": [...]}``, of a list of objects, or of one object, and the columns that are ignored.

    Args:
        body: JSON.
        described: what the model takes.
        limits: of the rows.

    Raises:
        Refused: it is no such JSON, or a row lacks a column, or has a value that is none of JSON's plain ones.
    """
    rows = records(parse(body, limits))
    check_count(len(rows), limits)
    needed = {column.name: column for column in described.columns}
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
    ignored = ignored_of(seen, described)
    refuse(problems, ignored)
    return cast("list[Mapping[str, Any]]", rows), ignored


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


def ignored_of(names: Iterable[Any], described: Description) -> tuple[str, ...]:
    """Return those of a request's columns that the model does not read, nor its table had."""
    known = {*(c.name for c in described.columns), *described.others, *described.targets}
    new = [str(n) for n in names if n not in known]
    return tuple(n.encode("utf-8", "replace").decode() for n in new[:MAX_IGNORED])


def check_count(count: int, limits: Limits) -> None:
    """Refuse no rows, and too many."""
    if count < 1:
        raise Refused(422, "The body has no rows; give at least one.")
    if count > limits.rows:
        raise Refused(413, f"The body has more than {limits.rows:,} rows; send fewer at a time.")


def refuse(problems: list[Problem], ignored: tuple[str, ...]) -> None:
    """Refuse a request if there are problems."""
    if problems:
        fields = "field" if len(problems) == 1 else "fields"
        raise Refused(422, f"{len(problems)} {fields} cannot be used.", problems, ignored)


def read_images(
    files: Sequence[tuple[str, bytes]], read: Callable[[Path], np.ndarray], limits: Limits
) -> np.ndarray:
    """Return the pixels of images ``(N, H, W, C)``.

    Args:
        files: names, which are only said in messages, and contents.
        read: a file's pixels ``(1, H, W, C)``; raises an `InputError`.
        limits: of their number.
    """
    from popnet.data.images.decode import MAX_PIXELS, pixel_count  # loads Pillow

    check_count(len(files), limits)
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
                pixels.append(read(path))
            except InputError as error:
                problems.append(Problem(i + 1, name, without(str(error), path, "the image")))
            path.unlink()
    refuse(problems, ())
    return np.concatenate(pixels)


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


def without(text: str, path: Path, name: str = "the body") -> str:
    """Return a message without the place of a temporary file."""
    for place in (path, path.parent):
        text = text.replace(str(place), name)
    return text.replace(path.name, name)
