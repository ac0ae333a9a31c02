"""An exported file, served by onnxruntime: neither the library that trained it nor data frames are imported."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from popnet.errors import InputError
from popnet.export.description import Description
from popnet.export.session import run, session
from popnet.model.summary import NO_PROBABILITIES
from popnet.predictions.conformal import REPORTED, check_coverage
from popnet.serve import body as bodies
from popnet.serve import onnx_values
from popnet.serve.limits import Limits, Problem, Refused
from popnet.serve.onnx_values import Input
from popnet.serve.served import CSV, JSON, PARQUET, Asked, Predictions, Rows

DELIMITERS = ",;\t|"

FIELDS = {"task", "targets", "classes", "columns", "others", "image", "headline"}
"""Of a description, in a file's metadata."""


@dataclass(frozen=True)
class OnnxModel:
    """See `popnet.serve.served.Served`.

    Attributes:
        session: of onnxruntime.
        description: what the file says of itself.
        inputs: of the graph, those of a table by its columns.
        outputs: of the graph: label and probabilities, or values and, if there are any, the ends of intervals.
    """

    session: Any
    description: Description
    inputs: Mapping[str, Input]
    outputs: list[str]

    @classmethod
    def load(cls, path: Path) -> OnnxModel:
        """Read an exported file.

        Raises:
            InputError: there is none, it is damaged, or no export of this version.
        """
        if not path.is_file():
            raise InputError(f"There is no file {path}; check the path.")
        try:
            opened = session(path)
        except InputError:
            raise
        except Exception as error:  # onnxruntime's errors have no common class of their own
            raise InputError(
                f"{path} cannot be read ({type(error).__name__}); export it again."
            ) from None
        try:
            described, inputs, outputs = _said(opened.get_modelmeta().custom_metadata_map)
        except (KeyError, ValueError, ValidationError):
            raise InputError(f"{path} was not written by popnet export.") from None
        if described.image is None and [c.name for c in described.columns] != list(inputs):
            raise InputError(
                f"{path} was exported by an older popnet, which did not say enough of its columns; export it again."
            )
        return cls(opened, described, inputs, outputs)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The types of bodies that it takes."""
        return (JSON, CSV, *PARQUET) if find_spec("pyarrow") is not None else (JSON, CSV)

    def check(self, asked: Asked) -> None:
        """Raise an `InputError` if it does not have what is asked for."""
        if asked.proba and not self.description.is_classifier:
            raise InputError(NO_PROBABILITIES)
        if asked.interval is None and not asked.quantiles:
            return
        if asked.interval is not None:
            check_coverage(asked.interval)
        if self.description.is_classifier:
            raise InputError(
                "Intervals and quantiles are for regression; this model predicts classes."
            )
        if not self.description.intervals:
            raise InputError("The model has no held-out errors to make intervals from.")
        if asked.quantiles or asked.interval != REPORTED:
            raise InputError(
                f"An exported file has intervals of {REPORTED:g} and no others, and no quantiles; serve the model's "
                "folder for those."
            )

    def read(self, kind: str, body: bytes, limits: Limits) -> Rows:
        """Return the rows of a body."""
        described = self.description
        if kind == JSON:
            objects, ignored = bodies.json_rows(body, described, limits)
            columns = {c.name: [row[c.name] for row in objects] for c in described.columns}
            return self._rows(columns, ignored)
        read = _csv if kind == CSV else _parquet
        names, columns = read(body, [c.name for c in described.columns], limits)
        ignored = bodies.ignored_of(names, described)
        lacking = [c.name for c in described.columns if c.name not in columns]
        bodies.refuse([Problem(None, n, "the column is missing; add it") for n in lacking], ignored)
        return self._rows(columns, ignored)

    def _rows(self, columns: Mapping[str, Sequence[Any]], ignored: tuple[str, ...]) -> Rows:
        """Return rows of columns of plain values, None where missing."""
        inputs: dict[str, np.ndarray] = {}
        problems: list[Problem] = []
        notes: list[str] = []
        for column in self.description.columns:
            found = onnx_values.read(column, self.inputs[column.name], columns[column.name])
            inputs[column.name] = found.values
            problems += found.problems
            notes += found.notes
        bodies.refuse(problems, ignored)
        return Rows(Inputs(inputs), ignored, tuple(notes))

    def read_images(self, files: Sequence[tuple[str, bytes]], limits: Limits) -> Rows:
        """Return images."""
        from popnet.data.images.decode import UnreadableImage, decode, quiet

        form = self.description.image
        assert form is not None

        def read(path: Path) -> np.ndarray:
            try:
                return decode(path, form.size[:2], form.fit, form.channels, form.deep_range)[0][
                    None
                ]
            except UnreadableImage as error:
                raise InputError(f"The image cannot be read: {error}.") from None

        with quiet():
            pixels = bodies.read_images(files, read, limits)
        (name,) = self.inputs
        return Rows(Inputs({name: pixels}))

    def take(self, features: Inputs, start: int, stop: int) -> Inputs:
        """Return some rows."""
        return Inputs({k: v[start:stop] for k, v in features.values.items()})

    def join(self, parts: Sequence[Inputs]) -> Inputs:
        """Return the rows of several requests."""
        names = parts[0].values
        return Inputs({k: np.concatenate([p.values[k] for p in parts]) for k in names})

    def predict(self, features: Inputs, asked: Asked) -> Predictions:
        """Predict rows."""
        wanted = self.outputs[: 2 if asked.proba else 1]
        if asked.interval is not None:
            wanted = self.outputs
        first, *others = run(self.session, features.values, wanted).values()
        described = self.description
        if described.is_classifier:
            columns = {described.targets[0]: first.tolist()}
            for p in others:
                columns |= {
                    f"probability_{c}": p[:, k].tolist() for k, c in enumerate(described.classes)
                }
            return Predictions(columns)
        each = [v.reshape(len(features), -1) for v in (first, *others)]
        return Predictions({
            f"{name}{end}": v[:, t].tolist()
            for t, name in enumerate(described.targets)
            for v, end in zip(each, ("", "_low", "_high"), strict=False)
        })  # fmt: skip

    def warm(self) -> None:
        """Predict one row with nothing in it: memory is taken when the first comes."""
        if (form := self.description.image) is not None:
            (name,) = self.inputs
            rows = Inputs({name: np.zeros((1, *form.size), np.uint8)})
        else:
            rows = self._rows({c.name: [None] for c in self.description.columns}, ()).features
        self.predict(rows, Asked())


def _said(metadata: Mapping[str, str]) -> tuple[Description, dict[str, Input], list[str]]:
    """Return what a file says of itself, of its inputs and its outputs."""
    texts = {"task", "headline"}
    fields: dict[str, Any] = {
        k: v if k in texts else json.loads(v) for k, v in metadata.items() if k in FIELDS
    }
    outputs: list[str] = json.loads(metadata["outputs"])
    given: dict[str, Any] = json.loads(metadata["inputs"])
    intervals = fields["task"] == "regression" and len(outputs) == 3
    described = Description(
        **fields, digest=metadata["model_sha256"], intervals=intervals, reported=intervals
    )
    return described, {k: Input(v["type"], v.get("missing", "")) for k, v in given.items()}, outputs


@dataclass(frozen=True)
class Inputs:
    """N rows as the graph takes them: ``(N, 1)`` each, or images ``(N, H, W, C)``."""

    values: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))


def _csv(
    body: bytes, needed: Sequence[str], limits: Limits
) -> tuple[list[str], dict[str, list[Any]]]:
    """Return the names of all columns of CSV, and the values of those that are needed; what is empty is None."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(422, "The body is not UTF-8.") from None
    first = text.lstrip("\r\n").split("\n", 1)[0]
    if not first.strip():
        raise Refused(422, "The body is empty.")
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=first.count))
    rows: list[list[str]] = []
    try:
        for line in lines:
            if line:
                rows.append(line)
            if len(rows) > limits.rows + 1:
                break
    except csv.Error as error:
        raise Refused(422, f"Line {lines.line_num} of the body cannot be read: {error}.") from None
    names = [name.strip() for name in rows[0]]
    if len(set(names)) < len(names):
        raise Refused(422, "Two columns of the body have the same name.")
    for i, row in enumerate(rows[1:], 1):
        if len(row) != len(names):
            raise Refused(
                422, f"Row {i} of the body has {len(row)} fields, its first line {len(names)}."
            )
    bodies.check_count(len(rows) - 1, limits)
    places = {name: names.index(name) for name in needed if name in names}
    return names, {n: [row[p].strip() or None for row in rows[1:]] for n, p in places.items()}


def _parquet(
    body: bytes, needed: Sequence[str], limits: Limits
) -> tuple[list[str], dict[str, list[Any]]]:
    """Return the names of all columns of a Parquet file, and the values of those that are needed."""
    parquet: Any = import_module("pyarrow.parquet")
    arrow: Any = import_module("pyarrow")
    try:
        file = parquet.ParquetFile(io.BytesIO(body))
        bodies.check_count(file.metadata.num_rows, limits)
        names: list[str] = file.schema_arrow.names
        table = file.read([n for n in needed if n in names])
        found = {n: [_plain(v) for v in table[n].to_pylist()] for n in table.column_names}
    except (arrow.ArrowException, OSError, ValueError, TypeError):
        said = "The body is damaged, or not of the type that its Content-Type says."
        raise Refused(422, said) from None
    return names, found


def _plain(value: Any) -> Any:
    """Return a value of Parquet as JSON would have it."""
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if value is None or value != value:
        return None
    if isinstance(value, bool | int | float | str):
        return value
    return float(value)  # a decimal number; others raise a TypeError
