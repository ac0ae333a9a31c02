"""A model folder from a stranger: whatever it pretends is refused by a sentence, and nothing else comes out."""

from __future__ import annotations

import hashlib
import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from popnet import Model
from popnet.errors import ModelError
from popnet.model import files
from popnet.model.folder import MODEL, WEIGHTS
from popnet.runtime import strict_json

KEPT = Path(__file__).parent / "kept"


def sign(content: dict[str, Any], weights: bytes) -> bytes:
    """Return ``model.json`` with digests that are right."""
    content.pop("sha256", None)
    content["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return json.dumps(content | {"sha256": hashlib.sha256(text.encode()).hexdigest()}).encode()


@pytest.fixture
def place(tmp_path) -> Path:
    """A copy of a sound folder."""
    for name in (MODEL, WEIGHTS):
        (tmp_path / name).write_bytes((KEPT / name).read_bytes())
    return tmp_path


def refused(place: Path, *parts: str) -> None:
    with pytest.raises(ModelError) as error:
        Model.load(place)
    said = str(error.value)
    assert "\n" not in said
    assert len(said) < 1000
    for part in parts:
        assert part in said


def changed(place: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((place / MODEL).read_bytes())
    change(content)
    (place / MODEL).write_bytes(sign(content, (place / WEIGHTS).read_bytes()))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no links or pipes")
@pytest.mark.parametrize("name", [MODEL, WEIGHTS])
def test_links_out_of_the_folder_and_what_is_no_file(place, name, tmp_path_factory):
    path, elsewhere = place / name, tmp_path_factory.mktemp("elsewhere") / name
    (place / "inside").write_bytes(path.read_bytes())
    elsewhere.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(place / "inside")
    Model.load(place)  # within the folder: a mounted configuration looks so
    for goal in (elsewhere, Path("..") / elsewhere.parent.name / name, Path("/dev/zero")):
        path.unlink()
        path.symlink_to(goal)
        refused(place, name, name if goal.parent.name == "dev" else "leads out of the folder")
    path.unlink()
    path.symlink_to(path)
    refused(place, name)
    path.unlink()
    os.mkfifo(path)  # whoever opens it waits for ever
    refused(place, name)


def test_a_file_larger_than_memory_is_not_read(place, monkeypatch):
    monkeypatch.setattr(files.memory, "free", lambda: 1000.0)
    refused(place, MODEL, "memory")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (b'{"format": ' + b"[" * 100_000, "damaged"),
        (b'{"format": 1, "format": 2}', "'format' stands twice"),
        (b'{"format": NaN}', "NaN"),
        (b'{"format": -Infinity}', "Infinity"),
        (b'{"format": 1e999}', "too large"),
        (b'{"format": ' + b"9" * 5000 + b"}", "300 digits"),
        (b'\xff{"format": 1}', "damaged"),
    ],
)
def test_json_that_others_would_read_otherwise(place, text, part):
    (place / MODEL).write_bytes(text)
    refused(place, part)


def test_strict_json_reads_what_it_writes():
    value = {"a": [1, 2.5, None, "ü", {"b": {}}], "c": "[{"}
    assert strict_json.loads(strict_json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        (b"1", 0),
        (b'{"a": [1, {"b": "[[["}]}', 3),
        (rb'["\"[", "\\", [], "[', 2),
        (b'"' + b"a" * 1_000_000, 0),
        (b'"' + b'\\"' * 500_000 + b'"[', 1),
        (b"[" * 1_000_000, 1_000_000),
    ],
    ids=["number", "nested", "escapes", "a long string", "long escapes", "brackets"],
)
def test_how_deep_json_is_and_that_it_takes_little_to_tell(text, depth):
    tracemalloc.start()
    try:
        assert strict_json.depth(text) == depth
        assert tracemalloc.get_traced_memory()[1] < 15 * len(text) + 10_000
    finally:
        tracemalloc.stop()


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a net of terabytes": lambda c: c["nets"][0]["recipe"].update(width=16384, depth=100),
    "heads that are not there": lambda c: c["nets"][0]["recipe"].update(heads=256),
    "no nets": lambda c: c.update(nets=[]),
    "nets that are no objects": lambda c: c.update(nets=[1]),
    "weights that sum to 2": lambda c: c["nets"][0].update(weight=2),
    "a metric that is none": lambda c: c.update(metric=None),
    "endless views": lambda c: c.update(views=10**9),
    "a whole number beyond floats": lambda c: c.update(temperature=10**299 * 10**299),
    "classes of a regression": lambda c: c["encoder"]["target"].update(task="regression"),
    "no classes": lambda c: c["encoder"]["target"].update(classes=[]),
    "a column twice": lambda c: c["encoder"]["columns"].append(c["encoder"]["columns"][0]),
    "a level twice": lambda c: next(
        k for k in c["encoder"]["columns"] if k["kind"] == "categorical"
    ).update(levels=["red", "red", "blue"]),
    "a schema without classes": lambda c: c["schema"]["target"].update(classes=[]),
    "a scale of nothing": lambda c: c["encoder"]["columns"][0]["scale"].update(scale=0),
    "an unknown field": lambda c: c["encoder"].update(path="../../etc/passwd"),
    "trees that are not there": lambda c: c.update(trees=[{"weight": 0.0}]),
    "an encoder that is a list": lambda c: c.update(encoder=[]),
    "a value without end": lambda c: c.update(method="x" * 100_000),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_description_that_is_signed_and_false(place, name):
    changed(place, CHANGES[name])
    refused(place)


TENSORS: dict[str, Callable[[dict[str, np.ndarray], str], object]] = {
    "another type": lambda t, name: t.update({name: t[name].astype(np.float64)}),
    "another shape": lambda t, name: t.update({name: np.concatenate([t[name], t[name]])}),
    "not finite": lambda t, name: t.update({name: np.full_like(t[name], np.nan)}),
    "missing": lambda t, name: t.pop(name),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_weights_that_are_signed_and_false(place, kind):
    tensors = load_tensors((place / WEIGHTS).read_bytes())
    TENSORS[kind](tensors, next(name for name in tensors if "hidden" in name))
    data = save_tensors(tensors)
    (place / WEIGHTS).write_bytes(data)
    (place / MODEL).write_bytes(sign(json.loads((place / MODEL).read_bytes()), data))
    refused(place)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 8,  # a header of 2**64 bytes
        (2**40).to_bytes(8, "little") + b"{}",
        (63).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[9999999],"data_offsets":[0,4]}}   ' + b"\0" * 4,
        (2).to_bytes(8, "little") + b"{}",
    ],
)  # fmt: skip
def test_a_header_of_tensors_that_lies(place, data):
    (place / WEIGHTS).write_bytes(data)
    (place / MODEL).write_bytes(sign(json.loads((place / MODEL).read_bytes()), data))
    refused(place, "cannot be read as a model")
