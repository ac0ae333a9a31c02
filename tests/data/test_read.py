"""Reading: every format gives the same table; every bad file gives one sentence."""

from __future__ import annotations

import datetime as dt
import gzip
import threading
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings

from popnet.data.tables import delimited, read
from popnet.data.tables.read import read_batches, read_table
from popnet.errors import InputError

TABLE = pl.DataFrame(
    {
        "a": [1, 2, None, 4],
        "b": [0.5, None, -2.25, 1e300],
        "c": ["x", "y, z", 'say "so"', None],
        "d": ["true", "false", "true", "true"],
    }
)


def write(path: Path, text: str | bytes) -> Path:
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


WRITERS = {
    "t.csv": lambda p: TABLE.write_csv(p),
    "t.csv.gz": lambda p: p.write_bytes(gzip.compress(TABLE.write_csv().encode())),
    "t.tsv": lambda p: TABLE.write_csv(p, separator="\t"),
    "t.txt": lambda p: TABLE.write_csv(p, separator="|"),
    "t.parquet": lambda p: TABLE.write_parquet(p),
    "t.feather": lambda p: TABLE.write_ipc(p),
    "t.arrow": lambda p: TABLE.write_ipc_stream(p),
    "t.jsonl": lambda p: TABLE.write_ndjson(p),
    "t.ndjson.gz": lambda p: p.write_bytes(gzip.compress(TABLE.write_ndjson().encode())),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_table(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    assert read_table(path).equals(TABLE)
    assert read_table(str(path)).equals(TABLE)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("rows", [1, 3, 4, 100])
def test_batches_join_to_the_table(tmp_path, name, rows):
    path = tmp_path / name
    WRITERS[name](path)
    batches = list(read_batches(path, rows))
    assert [b.height for b in batches] == [rows] * (4 // rows) + [4 % rows] * (4 % rows > 0)
    joined = pl.concat(batches, how="diagonal_relaxed")
    assert joined.cast(dict(TABLE.schema)).equals(TABLE)  # type: ignore[arg-type]


def test_frames_are_streamed_in_slices():
    assert [b.height for b in read_batches(TABLE, 3)] == [3, 1]


CSV = {
    "semicolons and decimal commas": ("a;b\n1,5;x\n2;y,z\n", [("1,5", "x"), ("2", "y,z")]),
    "a word among decimal commas": (
        "a;b\n1,5;0,125\nx;1,500\n1,5,2;-2,5e3\n,5;\n",
        [("1,5", "0,125"), ("x", "1,500"), ("1,5,2", "-2,5e3"), (",5", None)],
    ),
    "commas in quotes": ('a,b\n"1,5",x\n"2,5",y\n', [("1,5", "x"), ("2,5", "y")]),
    "sep= in front": ("sep=;\na;b\n1,5;x\n2;y\n", [("1,5", "x"), ("2", "y")]),
    "sep= with an odd sign": ("SEP=:\r\na:b\r\n1:x\r\n", [(1, "x")]),
    "comments in front": ("# made by hand\n# x, y\n\na,b\n1,x\n2,y\n", [(1, "x"), (2, "y")]),
    "NumPy's header": ("# made by\n# a,b\n1,2\n3,4\n", [(1, 2), (3, 4)]),
    "a title in front": ("Sales of 2024\n\na,b\n1,x\n2,y\n", [(1, "x"), (2, "y")]),
    "titles in front": ('Sales, "all"\nof 2024\na;b\n1;x\n2;y\n', [(1, "x"), (2, "y")]),
    "R's row names": ("a b,b\nr1,1,x\nr2,2,y\n", [("r1", 1, "x"), ("r2", 2, "y")]),
    "a header with a hash": ("#a\tb\n1\tx\n", [(1, "x")]),
    "one column": ("a\n1\n2\n", [(1,), (2,)]),
    "tabs": ("a\tb\n1\tx\n", [(1, "x")]),
    "bars": ("a|b\n1|x,y\n", [(1, "x,y")]),
    "byte-order mark": ("\ufeffa,b\n1,x\n", [(1, "x")]),
    "carriage returns": ("a,b\r\n1,x\r\n2,y\r\n", [(1, "x"), (2, "y")]),
    "old Mac": ("a,b\r1,x\r2,y\r", [(1, "x"), (2, "y")]),
    "no newline at the end": ("a,b\n1,x", [(1, "x")]),
    "blank lines": ("\n\na,b\n\n1,x\n\r\n2,y\n\n", [(1, "x"), (2, "y")]),
    "quoted newlines": ('a,b\n1,"x\ny"\n2,"say ""z"""\n', [(1, "x\ny"), (2, 'say "z"')]),
    "blanks around": ("a, b\n 1, x\n2 , NA\n", [(1, "x"), (2, "NA")]),
    "null tokens": (
        'a,b\n1,x\n,NA\n?,N/A\nnan,null\nNaN,?\nNone,""\n',
        [(1, "x"), (None, "NA"), (None, "N/A"), (None, "null"), (None, None), (None, None)],
    ),
    "integers beyond 64 bits": (
        "a,b\n1,x\n99999999999999999999,y\n",
        [("1", "x"), ("99999999999999999999", "y")],
    ),
    "unicode": ("a,größe\n1,naïve 東京\n", [(1, "naïve 東京")]),
}


@pytest.mark.parametrize("case", CSV)
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_csv_dialects(tmp_path, case, name):
    text, rows = CSV[case]
    frame = read_table(write(tmp_path / name, text))
    assert frame.rows() == rows
    batch = next(read_batches(tmp_path / name))
    for column in frame.columns:
        typed = batch[column].cast(frame.schema[column], strict=False)
        known = typed.is_not_null() & (typed.cast(pl.String) != "?")
        assert typed.filter(known).to_list() == frame[column].drop_nulls().to_list()


def test_a_header_may_be_quoted_and_an_empty_name_gets_its_position(tmp_path):
    frame = read_table(write(tmp_path / "t.csv", ',"b, c","d\ne"\n0,1,2\n'))
    assert frame.columns == ["column_1", "b, c", "d\ne"]


def in_blocks(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Have files read in blocks of so many bytes."""
    for name in ("FIRST_BYTES", "BLOCK_BYTES"):
        monkeypatch.setattr(delimited, name, size)


def test_types_follow_from_all_rows(tmp_path, monkeypatch):
    in_blocks(monkeypatch, 4096)
    n = 10_000
    lines = [f"{i},{i},{i},007" for i in range(n)] + ["1.5,x,,z", "2,3,4,5"]
    frame = read_table(write(tmp_path / "t.csv", "a,b,c,d\n" + "\n".join(lines)))
    assert frame.dtypes == [pl.Float64, pl.String, pl.Int64, pl.String]
    assert frame.height == n + 2
    assert frame["b"].to_list() == [*map(str, range(n)), "x", "3"]
    assert frame["d"][0] == "007"  # as it stood, although the first blocks were all numbers
    assert frame["a"][n] == 1.5


def test_decimal_commas_read_the_same_whatever_the_block(tmp_path, monkeypatch):
    lines = [f"{i},50;{i},25" for i in range(500)] + ["word;7", "1,5;8"]
    path = write(tmp_path / "t.csv", "a;b\n" + "\n".join(lines))
    whole = read_table(path)
    assert whole["a"].to_list() == [f"{i},50" for i in range(500)] + ["word", "1,5"]
    assert whole["b"].to_list() == [f"{i},25" for i in range(500)] + ["7", "8"]
    in_blocks(monkeypatch, 256)
    assert read_table(path).equals(whole)
    assert pl.concat(read_batches(path, 3)).cast(dict(whole.schema)).equals(whole)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8),
            st.text("ab,;\"\n' ", max_size=8),
        ),
        min_size=1,
        max_size=30,
    ),
    st.integers(8, 64),
)
def test_any_text_survives_whatever_the_block_size(tmp_path_factory, rows, size):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    # "k" keeps columns text, and rows apart from null tokens and blank lines.
    rows = [(f"k{a}k", f"k{b}k") for a, b in rows]
    frame = pl.DataFrame(rows, schema=["a", "b"], orient="row")
    frame.write_csv(path)
    with pytest.MonkeyPatch.context() as patch:
        in_blocks(patch, size)
        assert read_table(path).rows() == rows


def parquet_twice(path: Path) -> Path:
    pl.DataFrame({"a": [1]}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def cut_gzip(path: Path) -> Path:
    text = "".join(f"{i},{i * i}\n" for i in range(5000))
    path.write_bytes(gzip.compress(b"a,b\n" + text.encode())[:-200])
    return path


LATIN = "name,x\nAnna,1\nJürgen,2\n".encode("latin-1")
PARQUET_HEAD = b"PAR1\x15\x04\x15\x10"
BAD = {
    "missing file": (lambda p: p / "none.csv", ["none.csv", "no file"]),
    "missing folder": (lambda p: p / "none" / "a" / "t.csv", ["no file", "none; check"]),
    "file for a folder": (lambda p: write(p / "t.csv", "a\n1\n") / "u.csv", ["u.csv", "no file"]),
    "stdin": (lambda p: "-", ["stdin", "write it to a file first"]),
    "device": (lambda p: "/dev/null", ["/dev/null", "write it to a file first"]),
    "folder": (lambda p: folder(p / "t.csv"), ["folder"]),
    "empty": (lambda p: write(p / "t.csv", ""), ["t.csv", "empty"]),
    "empty gz": (lambda p: write(p / "t.csv.gz", ""), ["empty"]),
    "only blanks": (lambda p: write(p / "t.csv", "\n \n\n"), ["empty"]),
    "header only": (lambda p: write(p / "t.csv", "a,b\n"), ["header", "no rows"]),
    "header only, no newline": (lambda p: write(p / "t.csv", "a,b"), ["header", "no rows"]),
    "binary": (lambda p: write(p / "t.csv", b"a,b\n1,\0\n"), ["binary", "line 2"]),
    "parquet as csv": (lambda p: write(p / "t.csv", PARQUET_HEAD), ["a Parquet file"]),
    "excel as csv": (lambda p: write(p / "t.csv", b"PK\x03\x04xx"), ["Excel"]),
    "unknown suffix": (
        lambda p: write(p / "t.xlsx", "a"),
        ["'.xlsx'", "save it as CSV or Parquet", ".csv"],
    ),
    "no suffix": (lambda p: write(p / "t", "a"), ["no ending", ".csv"]),
    "dotted": (lambda p: write(p / "t.v1.json", "a"), ["ending '.json';"]),
    "parquet gz": (lambda p: write(p / "t.parquet.gz", "a"), [".parquet.gz"]),
    "names twice": (lambda p: write(p / "t.csv", "a,b,a,c,b\n1,2,3,4,5\n"), ["'a', 'b'"]),
    "no header": (lambda p: write(p / "t.csv", "1,1,2\n1,2,3\n"), ["'1'", "header line missing"]),
    "short row": (
        lambda p: write(p / "t.csv", "a,b,c\n1,2,3\n4,5\n6\n"),
        ["line 3", "2 fields", "header has 3"],
    ),
    "long row": (
        lambda p: write(p / "t.csv", 'a,b\n"1\n",2\n\n4,5,6\n'),
        ["line 5", "3 fields", "header has 2"],
    ),
    "latin-1": (lambda p: write(p / "t.csv", LATIN), ["line 3", "0xfc", "UTF-8"]),
    "latin-1 header": (lambda p: write(p / "t.csv", b"gr\xf6\xdfe,b\n1,2\n"), ["line 1", "UTF-8"]),
    "utf-16": (lambda p: write(p / "t.csv", "a,b\n1,2\n".encode("utf-16")), ["UTF-16", "UTF-8"]),
    "open quote": (lambda p: write(p / "t.csv", 'a,b\n1,2\n3,"4\n5,6\n'), ["line 3", "quotation"]),
    "quote inside": (lambda p: write(p / "t.csv", 'a,b\n4" pipe,5" bolt\n'), ["quotation"]),
    "cut gz": (lambda p: cut_gzip(p / "t.csv.gz"), ["damaged or cut short"]),
    "no gz": (lambda p: p.joinpath("t.csv.gz").write_bytes(b"a") and p / "t.csv.gz", ["gzip"]),
    "cut parquet": (lambda p: parquet_twice(p / "t.parquet"), ["Parquet", "damaged"]),
    "text as parquet": (lambda p: write(p / "t.parquet", "a,b\n1,2\n"), ["Parquet", "damaged"]),
    "text as arrow": (lambda p: write(p / "t.arrow", "a,b\n1,2\n"), ["Arrow", "damaged"]),
    "cut json": (lambda p: write(p / "t.jsonl", '{"a":1}\n{"a":\n'), ["line 1", "JSON"]),
    "json list": (lambda p: write(p / "t.jsonl", "[1]\n"), ["JSON"]),
    "nested json": (lambda p: write(p / "t.jsonl", '{"a":[1]}\n'), ["'a'", "List"]),
    "blank json": (lambda p: write(p / "t.jsonl", "\n\n"), ["no rows"]),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("reader", [read_table, lambda p: list(read_batches(p))])
def test_bad_files(tmp_path, case, reader):
    make, words = BAD[case]
    with pytest.raises(InputError) as caught:
        reader(make(tmp_path))
    one_sentence(str(caught.value), words)


def one_sentence(message: str, words: list[str]) -> None:
    assert "\n" not in message
    assert message.endswith((".", "?"))
    for word in words:
        assert word in message


BAD_OBJECTS = {
    "1-d": (np.zeros(3), ["1-d", "2-d"]),
    "3-d": (np.zeros((2, 2, 2)), ["3-d"]),
    "no columns": (np.zeros((3, 0)), ["no columns"]),
    "no rows": (np.zeros((0, 3)), ["no rows"]),
    "empty frame": (pd.DataFrame({"a": []}), ["no rows"]),
    "complex": (np.zeros((2, 2), complex), ["complex"]),
    "names twice": (pd.DataFrame([[1, 2]], columns=["a", "a"]), ["'a'"]),
    "ragged lists": ([[1, 2], [3]], ["row 2", "1 values", "2"]),
    "no lists": ([1, 2], ["row 1", "int"]),
    "nested": (pl.DataFrame({"a": [[1]]}), ["'a'", "List"]),
    "objects": (pd.DataFrame({"a": [{1: 2}, None]}), ["'a'", "dict"]),
    "number": (3, ["int"]),
}


@pytest.mark.parametrize("case", BAD_OBJECTS)
def test_bad_objects(case):
    source, words = BAD_OBJECTS[case]
    with pytest.raises(InputError) as caught:
        read_table(source)
    one_sentence(str(caught.value), words)


def test_batches_need_a_row():
    with pytest.raises(InputError, match="rows must be at least 1"):
        list(read_batches(TABLE, 0))


def test_pandas_columns_of_every_type():
    when = [dt.datetime(2024, 1, 31, 12), None]
    frame = pd.DataFrame(
        {
            "int": [1, 2],
            "float": np.array([1.5, np.nan], np.float32),
            "bool": [True, False],
            "Int64": pd.array([1, None], "Int64"),
            "Float64": pd.array([1.5, None], "Float64"),
            "boolean": pd.array([True, None], "boolean"),
            "string": pd.array(["a", None], "string"),
            "category": pd.Categorical(["x", None]),
            "numbers": pd.Categorical([3, None]),
            "datetime": pd.to_datetime(when),
            "zoned": pd.to_datetime(when).tz_localize("Europe/Berlin"),
            "delta": pd.to_timedelta([1.5, None], unit="s"),
            "mixed": np.array(["a", 3.0], object),
            "numeric object": np.array([1, 2.5], object),
            "gaps": np.array([None, np.nan], object),
            "dates": np.array([dt.date(2024, 1, 1), None], object),
            7: [1, 2],
        },
        index=[5, 5],
    )
    assert {k: v.to_list() for k, v in read_table(frame).to_dict().items()} == {
        "int": [1, 2],
        "float": [1.5, None],
        "bool": [True, False],
        "Int64": [1, None],
        "Float64": [1.5, None],
        "boolean": [True, None],
        "string": ["a", None],
        "category": ["x", None],
        "numbers": [3, None],
        "datetime": when,
        "zoned": [dt.datetime(2024, 1, 31, 11), None],
        "delta": [1.5, None],
        "mixed": ["a", "3.0"],
        "numeric object": [1.0, 2.5],
        "gaps": [None, None],
        "dates": [dt.datetime(2024, 1, 1), None],
        "7": [1, 2],
    }


def test_arrow_backed_pandas_columns():
    frame = pd.DataFrame({"a": pd.array([1, None], "int64[pyarrow]")})
    assert read_table(frame)["a"].to_list() == [1, None]


def test_polars_columns_are_made_plain():
    frame = pl.DataFrame(
        {
            "cat": pl.Series(["a", "b"], dtype=pl.Categorical),
            "enum": pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"])),
            "nan": [float("nan"), 1.0],
            "null": [None, None],
            "big": pl.Series([2**63, 1], dtype=pl.UInt64),
            "time": [dt.time(1), dt.time(0, 0, 1)],
            "delta": [dt.timedelta(days=1), None],
            "object": pl.Series([1, "a"], dtype=pl.Object),
        }
    )
    assert read_table(frame).to_dict(as_series=False) == {
        "cat": ["a", "b"],
        "enum": ["a", "b"],
        "nan": [None, 1.0],
        "null": [None, None],
        "big": [2.0**63, 1.0],
        "time": [3600.0, 1.0],
        "delta": [86400.0, None],
        "object": ["1", "a"],
    }


def test_arrays_and_lists():
    assert read_table(np.arange(4).reshape(2, 2)).to_dict(as_series=False) == {
        "x0": [0, 2],
        "x1": [1, 3],
    }
    mixed = [[1, "a", None], [2.5, True, float("nan")]]
    expected = {"x0": [1.0, 2.5], "x1": ["a", "True"], "x2": [None, None]}
    assert read_table(mixed).to_dict(as_series=False) == expected
    assert read_table(np.array(mixed, object)).to_dict(as_series=False) == expected
    assert read_table(np.array([["a", "b"]])).rows() == [("a", "b")]
    assert read_table(np.asfortranarray(np.eye(2, dtype=np.float16)))["x0"].to_list() == [1, 0]


def test_reading_needs_no_pandas():
    # The name of the module is all that is asked.
    assert "import pandas" not in Path(read.__file__).read_text()
    assert "import pandas" not in Path(delimited.__file__).with_name("frames.py").read_text()


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=80), st.text('a1,;\t"\n\r é', max_size=60).map(str.encode)))
def test_any_bytes_give_a_table_or_one_sentence(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(data)
    try:
        frame = read_table(path)
    except InputError as error:
        one_sentence(str(error), [])
        with pytest.raises(InputError):
            list(read_batches(path))
    else:
        assert sum(b.height for b in read_batches(path, 2)) == frame.height > 0


def test_a_key_that_some_json_lines_lack(tmp_path, monkeypatch):
    in_blocks(monkeypatch, 30)
    lines = ['{"a":1,"b":2}', '{"a":2}', '{"a":3,"b":4.5}', '{"a":null,"b":null,"c":"x"}']
    frame = read_table(write(tmp_path / "t.jsonl", "\n".join(lines)))
    assert frame.dtypes == [pl.Int64, pl.Float64, pl.String]
    assert frame.rows() == [(1, 2.0, None), (2, None, None), (3, 4.5, None), (None, None, "x")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("place", [0, 1, 5000, 9998])
def test_a_long_record_and_a_short_one_are_found_though_delimiters_are_as_many(
    tmp_path, end, place
):
    lines = [f"{i},{i % 7},x{i}" for i in range(10_000)]
    good = read_table(write(tmp_path / "good.csv", end.join(["a,b,c", *lines])))
    assert good.rows()[place] == (place, place % 7, f"x{place}")
    for first, second in (("1,2,3,4", "5,6"), ("5,6", "1,2,3,4")):
        lines[place : place + 2] = [first, second]
        fields = first.count(",") + 1
        with pytest.raises(InputError, match=f"line {place + 2}: {fields} fields"):
            read_table(write(tmp_path / "bad.csv", end.join(["a,b,c", *lines])))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["1,2,3", "1,2,", ",,", "1,2", "1,2,3,", "NA,é,x", "", "\r", ' "q",1,2', "1\r2,3,4"])),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.integers(2, 40),
)  # fmt: skip
def test_a_look_at_blocks_as_a_whole_sees_what_a_look_at_each_record_does(
    tmp_path_factory, lines, end, ended, size
):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    text = end.join(["a,b,c", *lines]) + (end if ended else "")
    path.write_bytes(text.encode())

    def found() -> tuple[list[str], list[tuple]] | str:
        try:
            frame = read_table(path)
        except InputError as error:
            return str(error)
        return frame.columns, frame.rows()

    with pytest.MonkeyPatch.context() as patch:
        in_blocks(patch, size)
        quick = found()
        patch.setattr(delimited, "_evenly_cut", lambda block, layout: None)
        assert found() == quick


def test_an_error_in_a_later_block_is_told_and_no_thread_stays(tmp_path, monkeypatch):
    in_blocks(monkeypatch, 64)
    path = write(tmp_path / "t.csv", "a,b\n" + "1,2\n" * 500 + "1,2,3\n" + "1,2\n" * 500)
    before = threading.active_count()
    with pytest.raises(InputError, match="line 502: 3 fields"):
        read_table(path)
    ahead = delimited.ahead(iter([1, 2, 3]))
    assert next(ahead) == 1
    ahead.close()
    assert threading.active_count() == before


def test_a_header_longer_than_the_first_block(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "FIRST_BYTES", 16)
    names = [f"column {i}" for i in range(40)]
    for end in ("\n", "\r\n", "\r"):
        lines = [",".join(names), *[",".join(map(str, range(k, k + 40))) for k in range(3)]]
        frame = read_table(write(tmp_path / "t.csv", end.join(lines) + end))
        assert frame.columns == names
        assert frame.rows() == [tuple(range(k, k + 40)) for k in range(3)]
