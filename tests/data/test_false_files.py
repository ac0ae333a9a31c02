"""Files from a stranger that are small and pretend, or unpack, to be large: refused before memory is taken."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from popnet.data.images import decode
from popnet.data.images.read import read_images
from popnet.data.tables import limits
from popnet.data.tables.read import read_batches, read_table
from popnet.errors import InputError
from popnet.runtime import memory
from popnet.spec.recipe import Recipe


@pytest.fixture
def little_memory(monkeypatch) -> None:
    """Let 3 MB be all that is free."""
    monkeypatch.setattr(memory, "free", lambda: 3e6)


def refused(path: Path, *parts: str) -> None:
    with pytest.raises(InputError) as error:
        read_table(path)
    for part in parts:
        assert part in str(error.value)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("name", ["bomb.csv.gz", "bomb.csv", "bomb.jsonl.gz"])
def test_a_gzip_bomb(tmp_path, name):
    rows = b'{"a": 1, "b": 2}\n' if "jsonl" in name else b"a,b\n"
    with gzip.open(tmp_path / name, "wb") as file:
        for _ in range(8):
            file.write(rows * 50_000)
    assert (tmp_path / name).stat().st_size < 100_000
    refused(tmp_path / name, name, "does not fit into memory")
    height = sum(batch.height for batch in read_batches(tmp_path / name))
    assert height >= 399_999  # in batches nothing is held


@pytest.mark.usefixtures("little_memory")
def test_a_column_of_a_billion_equal_values(tmp_path):
    path = tmp_path / "bomb.parquet"
    pl.select(a=pl.repeat(1, 2_000_000, dtype=pl.Int64)).write_parquet(path)
    assert path.stat().st_size < 100_000
    refused(path, "bomb.parquet holds 16 MB when it is unpacked")


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.csv.gz"])
@pytest.mark.parametrize("start", [b'a,b\n"', b"a,b\n1,"])
def test_a_row_without_end(tmp_path, monkeypatch, name, start):
    monkeypatch.setattr(limits, "LONGEST_RECORD", 1 << 20)
    if "jsonl" in name:
        start = b'{"a": "'
    body = start + b"x" * (17 << 20)  # more than a block
    (tmp_path / name).write_bytes(gzip.compress(body, 1) if name.endswith("gz") else body)
    quote = "quotation mark" if b'"' in start and "csv" in name else "longer than 1 MB"
    for read in (read_table, lambda path: list(read_batches(path))):
        with pytest.raises(InputError, match=quote):
            read(tmp_path / name)


def test_what_is_packed_within_text_is_not_unpacked(tmp_path):
    body = zlib.compress(b"a,b\n1,2\n" * 1000, 1)
    assert body.startswith(b"x\x01")
    for name, data in (
        ("t.jsonl", gzip.compress(b'{"a": 1}\n')),
        ("t.jsonl.gz", gzip.compress(gzip.compress(b'{"a": 1}\n'))),
        ("t.jsonl", body),
        ("t.csv", b"x\x01,b\n1,2\n"),
        ("t.csv", b"a,b\nx\x01,2\n"),
    ):
        (tmp_path / name).write_bytes(data)
        if name == "t.jsonl" and data.startswith(b"\x1f"):
            assert (
                read_table(tmp_path / name).height == 1
            )  # gzip is known by its content, and unpacked once
        else:
            refused(tmp_path / name, name)


def test_columns_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_COLUMNS", 1000)
    (tmp_path / "t.csv").write_bytes(b"," * 1000 + b"\n")
    refused(tmp_path / "t.csv", "line 1 has 1,001 columns, more than 1,000")


@pytest.mark.parametrize(
    "dtype", [pl.Datetime("us"), pl.Datetime("ms"), pl.Datetime("ns", "UTC"), pl.Date]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_times_of_no_calendar(tmp_path, dtype, sign):
    large = 2**31 - 1 if dtype == pl.Date else 2**63 - 1
    column = pl.Series("when", [None, sign * large], pl.Int32 if dtype == pl.Date else pl.Int64)
    path = tmp_path / "t.parquet"
    pl.DataFrame([column.cast(dtype), pl.Series("y", [1, 2])]).write_parquet(path)
    if isinstance(dtype, pl.Datetime) and dtype.time_unit == "ns":
        assert read_table(path)["when"].dt.year()[1] in (
            1677,
            2262,
        )  # all that fits is of the calendar
    else:
        refused(path, "'when'", "years 1 to 9999")


def npy(shape: str, kind: str = "|u1", values: bytes = b"\0" * 16) -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (63 - (len(text) + 10) % 64) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + values


def packed(path: Path, content: bytes, name: str = "x_train.npy", size: int | None = None) -> Path:
    """Write an .npz file, perhaps with a size in its directory that is not the content's."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    data = out.getvalue()
    if size is not None:
        data = data.replace(struct.pack("<I", len(content)), struct.pack("<I", size))
    path.write_bytes(data)
    return path


def no_images(path: Path, part: str) -> None:
    with pytest.raises(InputError) as error:
        read_images(path, need_labels=False)
    assert part in str(error.value)


@pytest.mark.usefixtures("little_memory")
def test_a_zip_bomb_and_headers_that_lie(tmp_path):
    path = tmp_path / "t.npz"
    no_images(packed(path, npy("(4, 1000, 1000)", values=b"\0" * 4_000_000)), "more than fits")
    for shape in (
        "(999999999, 28, 28)",
        "(1, 10**9, 28)",
        f"({2**62}, 4, 4)",
        f"({2**70},)",
        "(-1, 4)",
    ):
        no_images(packed(path, npy(shape)), "damaged")
    no_images(packed(path, npy("(1, 4, 4)"), size=2**31 - 1), "more than fits")
    no_images(packed(path, npy("(1, 4, 4)"), size=100), "damaged")
    no_images(packed(path, npy("(1,)", "|O")), "Python objects")
    outside = packed(
        path, npy("(1, 4, 4)"), "../../x_train.npy"
    )  # a name, no path: nothing is unpacked
    no_images(outside, "none of which are known")
    assert not (tmp_path.parent.parent / "x_train.npy").exists()


@pytest.mark.usefixtures("little_memory")
def test_idx_files_that_lie(tmp_path):
    path = tmp_path / "a-images-idx3-ubyte"
    head = struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1)
    path.write_bytes(head + b"\0" * 100)
    no_images(path, "is not whole")
    bomb = struct.pack(">HBB3I", 0, 8, 3, 4000, 40, 40) + b"\0" * 6_400_000
    path.with_suffix(".gz").write_bytes(gzip.compress(bomb))
    no_images(path.with_suffix(".gz"), "more than fits")


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def test_pixel_bombs(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(png(60_000, 60_000))
    no_images(path, "more than 100 million")
    path.write_bytes(png(4000, 4000))
    assert decode.pixel_count(path) == 16_000_000
    no_images(path, "cut short")
    monkeypatch.setattr(memory, "free", lambda: 100.0)
    Image.new("L", (20, 20)).save(path)
    no_images(path, "do not fit into memory")


def test_recipes_without_end(tmp_path):
    for name, text in (("r.json", "[" * 100_000), ("r.toml", "a = " + "[" * 100_000)):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match="not valid TOML or JSON"):
            Recipe.load(tmp_path / name)


def test_numbers_of_any_length_are_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "9" * 5000 + ",1\n1e400,2\n-1e400,3\n")
    assert read_table(path).height == 3
    assert np.isinf(
        read_table(path)["a"].cast(pl.Float64, strict=False).drop_nulls().to_numpy()
    ).any()
