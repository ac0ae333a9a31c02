"""Export a model to an ONNX file, and see whether onnxruntime says the same of a table's rows, or of images."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from popnet._version import __version__
from popnet.data.images.pictures import Pictures
from popnet.errors import InputError
from popnet.export.description import Description
from popnet.export.inputs import as_inputs, input_of
from popnet.export.session import need, run, session
from popnet.model import saving
from popnet.runtime.atomic_file import check_output_file, write_atomic

if TYPE_CHECKING:
    from popnet.model.model import Model

MAX_BYTES = 2**31 - 1
"""Of an ONNX file in one piece."""

OWN = {"digest", "intervals", "reported"}
"""Fields of a description that an exported file's metadata say otherwise: as ``model_sha256``, and by its outputs."""

TOLERANCE = 1e-5
"""Largest difference of probabilities, or of values in deviations of the target, that passes the check: float32 sums in
another order differ by some 1e-6."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: of the file.
        bytes: of the file.
        opset: version of the operators.
        inputs: name and type of each.
        outputs: names.
        members: those with a weight.
    """

    path: str
    bytes: int
    opset: int
    inputs: dict[str, str]
    outputs: list[str]
    members: int

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Check:
    """How far onnxruntime's predictions are from popnet's.

    Attributes:
        rows: compared.
        largest: difference of a probability, or of a value in deviations of the target.
        equal_labels: share of rows; None for numbers.
    """

    rows: int
    largest: float
    equal_labels: float | None

    @property
    def passed(self) -> bool:
        """Whether the difference is within `TOLERANCE`."""
        return self.largest <= TOLERANCE

    def __str__(self) -> str:
        if self.equal_labels is None:
            what = f"values differ by at most {self.largest:.2g} standard deviations of the target"
        else:
            equal = f"{100 * self.equal_labels:.6g} % of labels are equal"
            what = f"probabilities differ by at most {self.largest:.2g}, {equal}"
        return f"onnxruntime on {self.rows:,} rows: {what}"


def export(model: Model, path: str | Path, *, opset: int | None = None) -> Exported:
    """Write a model as an ONNX file.

    Args:
        model: of a table, or of images, with the views that it has (`Model.with_views`).
        path: of the file; one that is there is replaced.
        opset: version of the operators, from 18 on; default 18.

    Raises:
        InputError: onnx is not installed, the model cannot be exported, no such version, or the file cannot be written.
    """
    check_output_file("the ONNX file", Path(path), (".onnx",))
    data, record = as_bytes(model, opset)
    write_atomic(path, data)
    return Exported(str(path), len(data), **record)


def as_bytes(model: Model, opset: int | None = None) -> tuple[bytes, dict[str, Any]]:
    """Return a model as an ONNX file's content, and what `Exported` says beside path and size; see `export`."""
    need("onnx")
    from popnet.export import graph, images
    from popnet.export.ensemble import whole

    opset = graph.OPSET if opset is None else opset
    if not graph.LOWEST_OPSET <= opset <= graph.highest_opset():
        raise InputError(
            f"--opset must be between {graph.LOWEST_OPSET} and {graph.highest_opset()}, the newest that the installed "
            f"onnx knows; got {opset}."
        )
    g, outputs = whole(model)
    described = Description.of(model)
    inputs = {
        i.name: {"type": i.type, "missing": i.missing} for i in map(input_of, model.encoder.columns)
    }
    if described.image is not None:
        inputs = {images.NAME: {"type": "uint8", "size": list(described.image.size)}}
    score = None if model.facts is None else model.facts.scores.score
    metadata: dict[str, Any] = {
        "popnet": __version__,
        **described.model_dump(mode="json", exclude_defaults=True, exclude=OWN),
        "metric": model.metric,
        "score": score,
        "inputs": inputs,
        "outputs": outputs,
        "model_sha256": saving.digest(model),
    }
    proto = g.model(
        opset, {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    )
    try:
        data = proto.SerializeToString()
    except ValueError:
        data = b""
    if not 0 < len(data) <= MAX_BYTES:
        raise InputError("The model is too large for an ONNX file, which holds at most 2 GB.")
    return data, {
        "opset": opset,
        "inputs": {name: str(given["type"]) for name, given in inputs.items()},
        "outputs": outputs,
        "members": int(np.count_nonzero(np.asarray(model.weights) > 0)),
    }


def check(model: Model, exported: Exported, data: pl.DataFrame | Pictures) -> Check:
    """Compare an exported file's predictions with the model's own.

    Args:
        model: that was exported.
        exported: what `export` returned.
        data: rows of a table with the model's columns, or images in the model's format.

    Raises:
        InputError: onnxruntime is not installed, or the rows do not fit the model.
    """
    own = session(exported.path)
    count = len(data) if isinstance(data, pl.DataFrame) else len(data.pixels)
    if not count:
        raise InputError("The table has no rows, so there is nothing to check.")
    if isinstance(data, pl.DataFrame):
        said = model.predict_frame(data, proba=model.is_classifier)
        found = run(own, as_inputs(model.encoder, data), exported.outputs)
    else:
        said = model.predict_pictures(data, proba=model.is_classifier)[:, 1:]
        (name,) = exported.inputs
        found = run(own, {name: data.pixels}, exported.outputs)
    names = model.encoder.target.names
    first, second = exported.outputs[0], exported.outputs[-1]
    if model.is_classifier:
        labels = np.array(said[names[0]].to_list(), object)
        p = said.select(pl.nth(range(1, said.width))).to_numpy()
        equal = float((labels == found[first].astype(object)).mean())
        return Check(count, float(np.abs(found[second] - p).max()), equal)
    values = said.select(names).to_numpy()
    off = found[first].reshape(values.shape) - values
    return Check(count, float(np.abs(off / deviations(model, values)).max()), None)


def deviations(model: Model, values: np.ndarray) -> np.ndarray:
    """Return the targets' standard deviations at predicted values ``(N, T)``, in the targets' units.

    Of a target whose logarithm is predicted, it is that of the logarithm, times what a small step of it changes.
    """
    scales = model.encoder.scales
    return np.stack([s.std * (1 + values[:, t] if s.log else 1) for t, s in enumerate(scales)], -1)
