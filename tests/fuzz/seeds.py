"""The inputs that fuzzing starts from, made by code: sound ones of every kind, small."""

from __future__ import annotations

import gzip
import io
import json
import struct
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from PIL import Image

from .targets import IMAGE_ENDINGS, KINDS, TEXT_ENDINGS, parquet, saved
from .worlds import table

CSV = (
    b"a,b,y\n1,x,0\n2,y,1\n3,,1\n",
    b'name;size;when;y\n"a ""b""";1,5;03/04/2024;ja\nc;2,0;31.12.2023;nein\n',
    b"sep=;\n#note\nt\n\nx;y\n1;2\n",
    b"\xef\xbb\xbfa\tb\r\n1\t2\r\n$1,234.50\t12,5 %\r\n",
    b"a|y\r1|2\r3|4\r",
    b",x,y\n0,NA,None\n1,nan,inf\n2,1e400,-007\n",
    b'a,y\n"open\n2,3\n"",4\n',
    b"\n".join(b"%d,%d,%s" % (i, i % 3, b"ab"[i % 2 : i % 2 + 1]) for i in range(40)),
    b"y,x\n" + b"".join(b"%d,2024-%02d-%02dT10:00:00Z\n" % (i, i % 12 + 1, i) for i in range(1, 29)),
)  # fmt: skip
JSON_LINES = (b'{"a": 1, "y": "x"}\n{"a": null, "y": "z"}\n', b'{"a": [1], "b": {"c": 1}}\n{}\n')


def text() -> Iterator[bytes]:
    """Yield delimited text and JSON lines, plain and compressed."""
    for ending, name in enumerate(TEXT_ENDINGS):
        for body in JSON_LINES if "json" in name else CSV:
            if name.endswith(".gz"):
                yield bytes([ending, 0]) + gzip.compress(body, 1, mtime=0)
            yield bytes([ending, 1]) + body


def columnar() -> Iterator[bytes]:
    """Yield Parquet and Arrow files."""
    nested = pl.DataFrame({"a": [[1], [2, 3]], "y": [1, 2]})
    for frame in (
        table().head(12),
        nested,
        pl.DataFrame({"y": pl.Series(["a", "b"], dtype=pl.Categorical)}),
    ):
        for compression in ("uncompressed", "snappy"):
            yield b"\0" + parquet(frame, compression=compression)
        for write in (frame.write_ipc, frame.write_ipc_stream):
            for packing in ("uncompressed", "lz4", "zstd"):
                out = io.BytesIO()
                write(out, compression=packing)
                yield b"\1" + out.getvalue()


def _pixels(shape: Sequence[int], dtype: str = "uint8") -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, shape).astype(dtype)


def pictures() -> Iterator[bytes]:
    """Yield image files of every kind."""
    for shape in ((7, 5), (7, 5, 3), (7, 5, 4), (7, 5, 2)):
        for form in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"):
            out = io.BytesIO()
            try:
                Image.fromarray(_pixels(shape)).save(out, form)
            except OSError:  # no such mode in this format
                continue
            yield out.getvalue()
    for dtype in ("uint16", "float32", "int32"):
        out = io.BytesIO()
        Image.fromarray(_pixels((7, 5), dtype)).save(out, "TIFF", compression="tiff_deflate")
        yield out.getvalue()
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(_pixels((7, 5, 3))).convert("P").save(out, "PNG", exif=exif, interlace=1)
    yield out.getvalue()


def idx(array: np.ndarray) -> bytes:
    """Return an array as an IDX file."""
    return (
        struct.pack(">HBB", 0, 8, array.ndim)
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


def images() -> Iterator[bytes]:
    """Yield image files, .npz and IDX files."""
    for body in pictures():
        yield b"\0\0" + body
        yield b"\0\1" + body
    for save in (np.savez, np.savez_compressed):
        out = io.BytesIO()
        save(out, x_train=_pixels((12, 4, 4)), y_train=np.arange(12) % 2)
        yield b"\1\0" + out.getvalue()
    raw = idx(_pixels((3, 4, 4)))
    yield b"\2\0" + raw
    yield bytes([len(IMAGE_ENDINGS) - 1, 0]) + gzip.compress(raw, mtime=0)


def description() -> Iterator[bytes]:
    """Yield single changes of sound descriptions, and some texts."""
    rng = np.random.default_rng(0)
    for target, name in enumerate(("bought", "price", "images")):
        yield bytes([target, 0]) + saved(name)[0]
        for _ in range(150):
            yield bytes([target, 1]) + rng.bytes(12)
    yield b"\0\0" + b"[" * 3000
    yield b'\0\0{"format": NaN, "format": 1e999}'


def weights() -> Iterator[bytes]:
    """Yield single changes of sound weights, and sound ones."""
    rng = np.random.default_rng(0)
    for target, name in enumerate(("bought", "price", "images")):
        yield bytes([target, 0]) + saved(name)[1]
        for _ in range(150):
            yield bytes([target, 1, 0]) + rng.bytes(8)


def server() -> Iterator[bytes]:
    """Yield bodies of every kind for models of every kind."""
    frame = table().head(3)
    rows = frame.with_columns(pl.col(pl.Datetime).dt.to_string("iso:strict")).to_dicts()
    bodies = {
        0: [json.dumps({"rows": rows}), json.dumps(rows[:1]), json.dumps(rows[0]), "[1]", '{"rows": []}'],
        1: [frame.write_csv(), frame.drop("size").write_csv(), "a,b\n1,2\n"],
    }  # fmt: skip
    for target in (0, 1):
        for kind, texts in bodies.items():
            for body in texts:
                for query in range(4):
                    yield bytes([target, kind, query]) + body.encode()
        yield bytes([target, 2, 0]) + parquet(frame)
        yield bytes([target, 1, 0]) + gzip.compress(frame.write_csv().encode(), mtime=0)
    for body in pictures():
        yield bytes([2, 3, 1]) + body
    part = b'--b\r\nContent-Disposition: form-data; name="i"; filename="a.png"\r\n\r\n'
    yield bytes([2, 4, 0]) + part + next(pictures()) + b"\r\n--b--\r\n"
    assert len(KINDS) > 4


SEEDS = {
    "text": text,
    "columnar": columnar,
    "images": images,
    "description": description,
    "weights": weights,
    "server": server,
}
