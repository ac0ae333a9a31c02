"""The targets: each takes any bytes, and nothing but errors of the project may come out of what reads them."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from popnet import Model
from popnet.data.images.read import read_images
from popnet.data.tables.encode import fit_encoder
from popnet.data.tables.read import declared_categories, read_batches, read_table
from popnet.data.tables.schema import infer_schema
from popnet.model.folder import MODEL, WEIGHTS
from popnet.report.describe import describe
from popnet.serve.app import make_app
from popnet.serve.limits import Limits
from popnet.serve.reload import ServedModel

from .holding import Bytes, folder, holding
from .worlds import model, table

TEXT_ENDINGS = (".csv", ".csv.gz", ".tsv", ".txt", ".jsonl", ".jsonl.gz")
COLUMNAR_ENDINGS = (".parquet", ".arrow", ".feather")


def text(data: bytes) -> None:
    """Read a CSV file, or JSON lines: whole, in batches, and as a table to fit."""
    taken = Bytes(data)
    ending, packed = TEXT_ENDINGS[taken.number(len(TEXT_ENDINGS), 1)], taken.number(2, 1)
    body = taken.rest()
    if ending.endswith(".gz") and packed:
        body = gzip.compress(body, 1)
    _read(folder() / f"table{ending}", body)


def columnar(data: bytes) -> None:
    """Read a Parquet or Arrow file."""
    taken = Bytes(data)
    ending = COLUMNAR_ENDINGS[taken.number(len(COLUMNAR_ENDINGS), 1)]
    _read(folder() / f"table{ending}", taken.rest())


def _read(path: Path, body: bytes) -> None:
    path.write_bytes(body)
    with holding():
        declared_categories(path)
        frame = read_table(path)
        heights = [batch.height for batch in read_batches(path, 7)]
        assert sum(heights) == frame.height
        assert all(height == 7 for height in heights[:-1])
        schema = infer_schema(frame, frame.columns[-1], single_rows=True)
        features = fit_encoder(frame, schema).transform(frame, report=[])
        assert np.isfinite(features.numeric).all()


IMAGE_ENDINGS = (".png", ".npz", "-images-idx3-ubyte", "-images-idx3-ubyte.gz")


def images(data: bytes) -> None:
    """Read an image file, an .npz or an IDX file."""
    taken = Bytes(data)
    ending = IMAGE_ENDINGS[taken.number(len(IMAGE_ENDINGS), 1)]
    channels = (None, 1, 3)[taken.number(3, 1)]
    path = folder() / f"it{ending}"
    path.write_bytes(taken.rest())
    with holding():
        found = read_images(
            path, need_labels=False, channels=channels, size=(6, 5) if channels else None, workers=1
        )
        assert found.pixels.dtype == np.uint8
    with holding():
        if ending == ".npz":
            read_images(path, workers=1)


NETS = (b"bought", b"price", b"images")
VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 255, 2**31, 2**63, 10**400, 0.5, -1e308, 1e308, 1e-320, "", "x", "\ud800",
    "yyyy %s {} \x1b[0m \n", "a" * 300, "4" * 5000, [], [[]], {}, [None], [0, 1], [1e308, -1e308], {"kind": "numeric"},
    "NaN", "nan", "mean", "regression", "binary", "multiclass", "periodic", "conv", "%Y-%m-%d %H:%M:%S", "periodic",
    "numeric", "discrete", "boolean", "categorical", "datetime", ["a", "a"], 16384, 100, 3, 4, 8, 1_000_000,
)  # fmt: skip


@cache
def saved(target: str) -> tuple[bytes, bytes]:
    """Return what the two files of a model hold."""
    place = folder() / f"sound-{target}"
    place.mkdir()
    model(target).save(place)
    return (place / MODEL).read_bytes(), (place / WEIGHTS).read_bytes()


def sign(content: Any, weights: bytes) -> bytes:
    """Return ``model.json`` with the digests that it should have: damage that was done on purpose has them, too."""
    if isinstance(content, dict):
        content.pop("sha256", None)
        content["weights_sha256"] = hashlib.sha256(weights).hexdigest()
        plain = json.dumps(content, sort_keys=True, separators=(",", ":"))
        content["sha256"] = hashlib.sha256(plain.encode()).hexdigest()
    return json.dumps(content).encode()


def description(data: bytes) -> None:
    """Load and use a model whose ``model.json`` is any text, or a sound one with some values exchanged."""
    taken = Bytes(data)
    target = NETS[taken.number(3, 1)].decode()
    text_, weights = saved(target)
    if taken.number(8, 1) == 0:
        changed = taken.rest()
    else:
        content = json.loads(text_)
        for _ in range(1 + taken.number(4, 1)):
            _change(content, taken)
        changed = sign(content, weights)
    _use(changed, weights, taken)


def _change(content: Any, taken: Bytes) -> None:
    """Exchange, remove, repeat or copy one value of a tree of JSON."""
    places = list(_places(content))
    if not places:
        return
    parent, key = places[taken.number(len(places))]
    action = taken.number(8, 1)
    if action == 0:
        del parent[key]
    elif action == 1 and isinstance(parent, list):
        parent.insert(taken.number(len(parent) + 1), parent[key])
    elif action == 2:
        other, at = places[taken.number(len(places))]
        parent[key] = json.loads(json.dumps(other[at]))
    elif action == 3:
        parent[key] = taken.take(taken.number(40, 1)).decode("latin-1")
    elif action == 4:
        parent[key] = struct.unpack("<d", taken.take(8).ljust(8, b"\0"))[0]
    elif action == 5:
        parent[key] = int.from_bytes(taken.take(8), "little", signed=True)
    else:
        parent[key] = VALUES[taken.number(len(VALUES), 1)]


def _places(content: Any) -> Any:
    keys = content if isinstance(content, dict) else range(len(content))
    for key in list(keys):
        yield content, key
        if isinstance(content[key], dict | list):
            yield from _places(content[key])


TYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u4", "u8", "?"]
NUMBERS = (0, 1, -1, 2, 3, 63, 64, 255, 256, 2**31 - 1, -(2**31))


def weights(data: bytes) -> None:
    """Load and use a model whose weights are any bytes, or sound ones with tensors or numbers exchanged."""
    taken = Bytes(data)
    target = NETS[taken.number(3, 1)].decode()
    text_, sound = saved(target)
    if taken.number(4, 1) == 0:
        changed = taken.rest()
    else:
        tensors = load_tensors(sound)
        for _ in range(1 + taken.number(4, 1)):
            _change_tensor(tensors, taken)
        changed = save_tensors({k: np.ascontiguousarray(v) for k, v in tensors.items()})
    _use(sign(json.loads(text_), changed), changed, taken)


def _change_tensor(tensors: dict[str, np.ndarray], taken: Bytes) -> None:
    if not tensors:
        return
    names = sorted(tensors, key=lambda n: (not n.startswith("trees"), n))
    name = names[taken.number(len(names), 1)]
    array, action = tensors[name], taken.number(10, 1)
    if action == 0:
        del tensors[name]
    elif action == 1:
        with np.errstate(all="ignore"):
            tensors[name] = array.astype(TYPES[taken.number(len(TYPES), 1)])
    elif action == 2:
        tensors[name] = array.reshape(array.shape[::-1])
    elif action == 3:
        tensors[name] = array[: taken.number(len(array) + 1, 1)]
    elif action == 4:
        tensors[name] = np.concatenate([array, array])
    elif action == 5:
        tensors[name] = tensors[names[taken.number(len(names), 1)]]
    elif array.size:
        flat = array.copy().reshape(-1)
        place = taken.number(flat.size)
        if flat.dtype.kind == "f":
            flat[place] = np.frombuffer(taken.take(4).ljust(4, b"\0"), np.float32)[0]
        else:
            flat[place] = np.array(NUMBERS[taken.number(len(NUMBERS), 1)]).astype(flat.dtype)
        tensors[name] = flat.reshape(array.shape)


def _use(text_: bytes, tensors: bytes, taken: Bytes) -> None:
    """Load a model folder and predict with it."""
    place = folder() / "model"
    place.mkdir(exist_ok=True)
    (place / MODEL).write_bytes(text_)
    (place / WEIGHTS).write_bytes(tensors)
    with holding(), np.errstate(all="ignore"):
        loaded = Model.load(place)
        describe(loaded)
        repr(loaded)
        if loaded.encoder.image is not None:
            pixels = np.zeros((2, *loaded.encoder.image.size), np.uint8)
            features: Any = loaded.encoder.image.images(pixels)
        else:
            features = loaded.encoder.transform(table().head(9), report=[])
        for forest in loaded.trees:
            assert forest.predict(features).shape == (len(features), loaded.encoder.n_outputs)
        # A net of another form would be compiled, which takes a second; its weights would have to fit, too.
        if [n.shape for n in loaded.nets] == [n.shape for n in model(_named(loaded)).nets]:
            loaded.predict_features(
                features,
                proba=loaded.is_classifier,
                interval=None if loaded.is_classifier else 0.5,
            )


def _named(loaded: Model) -> str:
    if loaded.encoder.image is not None:
        return "images"
    return "bought" if loaded.is_classifier else "price"


KINDS = (
    b"application/json", b"text/csv", b"application/vnd.apache.parquet", b"image/png",
    b"multipart/form-data; boundary=b", b"application/x-parquet",
)  # fmt: skip
QUERIES = (
    b"", b"proba=true", b"interval=0.5", b"quantile=0.1,0.9", b"interval=nan", b"quantile=,", b"proba=x",
    b"interval=1e400&quantile=0.5", b"quantile=0.5,0.5",
)  # fmt: skip
STATUSES = {200, 400, 408, 413, 415, 422, 503}


@cache
def served(target: str) -> Callable[[dict[str, Any], bytes], tuple[int, bytes]]:
    """Return what asks the server of a model in this process."""
    saved(target)
    runner = asyncio.Runner()
    app = make_app(
        ServedModel(folder() / f"sound-{target}", seconds=None),
        limits=Limits(rows=50, bytes=1 << 20),
    )

    async def ask(scope: dict[str, Any], body: bytes) -> tuple[int, bytes]:
        sent: list[dict[str, Any]] = []
        pieces = [body[:100], body[100:]]

        async def receive() -> dict[str, Any]:
            more = len(pieces) > 1
            return {"type": "http.request", "body": pieces.pop(0), "more_body": more}

        async def send(message: Any) -> None:
            sent.append(message)

        await app(scope, receive, send)
        return sent[0]["status"], b"".join(m.get("body", b"") for m in sent[1:])

    return lambda scope, body: runner.run(ask(scope, body))


def server(data: bytes) -> None:
    """Ask the server for predictions with any body."""
    taken = Bytes(data)
    target = NETS[taken.number(3, 1)].decode()
    kind, query = KINDS[taken.number(len(KINDS), 1)], QUERIES[taken.number(len(QUERIES), 1)]
    body = taken.rest()
    scope = {
        "type": "http", "method": "POST", "path": "/predict", "raw_path": b"/predict", "query_string": query,
        "http_version": "1.1", "scheme": "http", "root_path": "", "client": ("a", 1), "server": ("b", 2),
        "headers": [(b"content-type", kind), (b"host", b"b")],
    }  # fmt: skip
    with holding():
        status, answer = served(target)(scope, body)
        said = json.loads(answer, parse_constant=_refused)
        assert status in STATUSES, status
        if status == 200:
            assert said["rows"] == len(said["predictions"]) > 0
        else:
            assert said["error"].strip()
            assert str(folder().parent) + "/popnet" not in answer.decode()
            assert "/tmp" not in said["error"]


def _refused(word: str) -> Any:
    raise AssertionError(f"{word} in an answer")


Target = Callable[[bytes], None]

TARGETS: dict[str, Target] = {
    "text": text,
    "columnar": columnar,
    "images": images,
    "description": description,
    "weights": weights,
    "server": server,
}


def parquet(frame: pl.DataFrame, **options: Any) -> bytes:
    """Return a frame as Parquet."""
    out = io.BytesIO()
    frame.write_parquet(out, **options)
    return out.getvalue()
