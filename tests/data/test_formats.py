"""Numbers and dates as people write them, and words for "missing": the same values from every kind of table."""

from __future__ import annotations

import datetime as dt
import io

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import assume, given, settings

from popnet.data.tables.encode import fit_encoder
from popnet.data.tables.read import read_batches, read_table
from popnet.data.tables.reading import ReadingChoices
from popnet.data.tables.schema import Schema, conform, infer_schema
from popnet.errors import InputError

N = 120
RNG = np.random.default_rng(7)


def _grouped(sign: str, decimal: str = "."):
    """Return a writer of numbers with a sign between groups of three digits."""

    def write(value: float) -> str:
        text = f"{value:,.2f}".replace(",", "\0").replace(".", decimal)
        return text.replace("\0", sign)

    return write


WRITERS = {
    "plain": lambda v: f"{v:.2f}",
    "thousands": _grouped(","),
    "dollars": lambda v: f"${v:,.2f}" if v >= 0 else f"-${-v:,.2f}",
    "German": _grouped(".", ","),
    "Swiss": _grouped("'"),
    "blanks": _grouped(" "),
    "no-break blanks": _grouped("\u00a0"),
    "narrow no-break blanks and a comma": _grouped("\u202f", ","),
    "decimal comma": lambda v: f"{v:.2f}".replace(".", ","),
    "euros in front": lambda v: "€ " + _grouped(".", ",")(v),
    "euros behind": lambda v: f"{v:.2f} EUR",
    "per cent": lambda v: f"{v:.2f} %",
    "kilograms": lambda v: f"{v:.2f}kg",
    "brackets": lambda v: f"{v:.2f}" if v >= 0 else f"({-v:.2f})",
    "minus behind": lambda v: f"{v:.2f}" if v >= 0 else f"{-v:.2f}-",
    "Unicode minus": lambda v: f"{v:.2f}".replace("-", "\u2212"),
    "underscores": lambda v: f"{v:_.2f}",
}
MARKERS = [
    "-", "--", ".", "n/a", "NA", "none", "None", "#N/A", "<NA>", "NaT", "\\N", "*", "missing", "N.D.", "#DIV/0!", "?",
]  # fmt: skip
DATE_WRITERS = [
    "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S UTC", "%Y/%m/%d", "%m/%d/%Y",
    "%d/%m/%Y", "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%d/%m/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p", "%a, %d %b %Y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y", "%Y%m%dT%H%M%S",
]  # fmt: skip


def from_csv(frame: pd.DataFrame, tmp_path, sep=",") -> pl.DataFrame:
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False, sep=sep)
    return read_table(path)


def from_parquet(frame: pd.DataFrame, tmp_path) -> pl.DataFrame:
    path = tmp_path / "t.parquet"
    pl.DataFrame(frame.to_dict("list")).write_parquet(path)
    return read_table(path)


SOURCES = {
    "csv": from_csv,
    "tsv": lambda f, p: from_csv(f, p, "\t"),
    "semicolons": lambda f, p: from_csv(f, p, ";"),
    "parquet": from_parquet,
    "pandas": lambda f, p: read_table(f),
    "polars": lambda f, p: read_table(pl.DataFrame(f.to_dict("list"))),
}


def table(**columns) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    return pd.DataFrame(columns | {"y": np.resize(["a", "b"], n)})


def found(frame: pl.DataFrame, **reading) -> tuple[Schema, pl.DataFrame]:
    schema = infer_schema(frame, "y", reading=ReadingChoices(**reading), keep=["x"])
    return schema, conform(frame, schema)


@pytest.mark.parametrize("source", SOURCES)
def test_numbers_in_every_format_from_every_source(tmp_path, source):
    values = np.round(RNG.normal(0, 3000, N), 2)
    values[:3] = [1.5, -0.25, 1234567.5]
    written = {f"c{i}": [write(v) for v in values] for i, write in enumerate(WRITERS.values())}
    frame = SOURCES[source](table(x=values, **written), tmp_path)
    schema = infer_schema(frame, "y", keep=list(written))
    read = conform(frame, schema)
    for name in written:
        assert (schema.column(name).kind, schema.column(name).guess) == ("numeric", "")
        np.testing.assert_allclose(read[name].to_numpy(), values, rtol=1e-12)
    # A model reads the text of new rows as it read that of the training rows.
    encoder = fit_encoder(read, schema)
    np.testing.assert_array_equal(encoder.transform(frame).numeric, encoder.transform(read).numeric)


def test_batches_of_a_file_are_read_as_the_whole(tmp_path):
    values = np.round(RNG.normal(0, 3000, N), 2)
    frame = table(x=[WRITERS["German"](v) for v in values], z=[f"{v:.1f} %" for v in values])
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False, sep=";")
    whole = read_table(path)
    schema = infer_schema(whole, "y")
    encoder = fit_encoder(conform(whole, schema), schema)
    parts = [encoder.transform(batch).numeric for batch in read_batches(path, 7)]
    np.testing.assert_array_equal(np.concatenate(parts), encoder.transform(whole).numeric)


CENTS = st.integers(-(10**9), 10**9).map(lambda cents: cents / 100)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(CENTS, min_size=30, max_size=60, unique=True),
    st.sampled_from(sorted(WRITERS)),
    st.sampled_from(MARKERS),
    st.floats(0, 0.5),
    st.randoms(use_true_random=False),
)
def test_any_numbers_in_any_format_among_markers_come_back(values, writer, marker, share, random):
    text: list[str] = [WRITERS[writer](v) for v in values]
    lost = random.sample(range(len(text)), int(share * len(text)))
    for i in lost:
        text[i] = marker
    # Nothing tells 1,234 from 1.234 if all values are so written; the next test says what happens then.
    kept = [t for i, t in enumerate(text) if i not in lost]
    assume(len(set(kept)) > 12)
    schema, read = found(read_table(pl.DataFrame({"x": text, "y": (["a", "b"] * 30)[: len(text)]})))
    column = schema.column("x")
    assert column.kind == "numeric"
    assert column.missing == len(lost)
    expected = [np.nan if i in lost else v for i, v in enumerate(values)]
    np.testing.assert_allclose(read["x"].fill_null(float("nan")).to_numpy(), expected, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.datetimes(dt.datetime(1930, 1, 1), dt.datetime(2060, 1, 1)),
        min_size=30, max_size=60, unique_by=lambda d: d.date(),
    ),
    st.sampled_from(DATE_WRITERS),
    st.sampled_from(MARKERS),
    st.floats(0, 0.5),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_any_dates_in_any_format_among_markers_come_back(dates, form, marker, share, random):
    text = [d.strftime(form) for d in dates]
    expected: list[dt.datetime | None] = [dt.datetime.strptime(t, form) for t in text]
    for i in random.sample(range(len(text)), int(share * len(text))):
        text[i], expected[i] = marker, None
    day_first = form.startswith("%d")
    frame = read_table(pl.DataFrame({"x": text, "y": (["a", "b"] * 30)[: len(text)]}))
    schema, read = found(frame, day_first=day_first)
    assert schema.column("x").kind == "datetime"
    assert read["x"].to_list() == expected


@pytest.mark.parametrize(
    ("texts", "reading", "values"),
    [
        (["1,342", "12,001", "999"], {}, [1342, 12001, 999]),
        (["1,342", "12,001", "999"], {"decimal": ","}, [1.342, 12.001, 999]),
        (["1.342", "12.001", "999"], {"decimal": ","}, [1342, 12001, 999]),
        (["1.342", "12.001", "999"], {"thousands": "."}, [1342, 12001, 999]),
        (["1.342", "12.001", "999"], {}, [1.342, 12.001, 999]),
        (["1,342", "1,5", "999"], {}, [1.342, 1.5, 999]),
        (["0,342", "1,342", "9"], {}, [0.342, 1.342, 9]),
        (["1,342", "1,234,567", "9"], {}, [1342, 1234567, 9]),
    ],
)
@pytest.mark.parametrize("sep", ["\t", ";", "|"])
def test_what_a_comma_is(tmp_path, texts, reading, values, sep):
    frame = from_csv(table(x=np.resize(texts, N)), tmp_path, sep)
    schema, read = found(frame, **reading)
    assert read["x"].to_list() == np.resize(values, N).tolist()
    ends = {len(t) - 1 - max(t.find(","), t.find(".")) for t in texts[:2]}
    doubtful = not reading and ends == {3} and texts[0][0] != "0" and len(texts[1]) < 7
    assert ("--decimal ," in schema.column("x").guess) == doubtful


def test_the_decimal_sign_is_that_of_the_whole_file(tmp_path):
    frame = table(x=np.resize(["1,342", "12,001", "7"], N), z=np.resize(["1,5", "2,25", "3"], N))
    schema, read = found(from_csv(frame, tmp_path, ";"))
    assert read["x"].head(3).to_list() == [1.342, 12.001, 7]
    german = table(x=np.resize(["1.342", "12.001", "7"], N), z=np.resize(["1,5", "2,25", "3"], N))
    schema, read = found(from_csv(german, tmp_path, ";"))
    assert read["x"].head(3).to_list() == [1342, 12001, 7]
    assert "--decimal ." in schema.column("x").guess


@pytest.mark.parametrize(
    "texts",
    [
        ["1,2", "1,2,3", "2,2"],
        ["A12", "A13", "B7"],
        ["01", "02", "10"],
        ["1-2", "3-4", "5-9"],
        ["1st", "2nd", "3rd"],
        ["$5", "5 kg", "€ 7"],
    ],
)
@pytest.mark.parametrize("source", SOURCES)
def test_what_is_no_number_stays_text(tmp_path, source, texts):
    schema, _ = found(SOURCES[source](table(x=np.resize(texts, N)), tmp_path))
    assert (schema.column("x").kind, schema.column("x").distinct) == ("categorical", 3)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5])
def test_a_marker_of_any_share_does_not_lose_the_numbers(tmp_path, source, share):
    values = RNG.permutation(N) * 1.5
    lost = {f"c{i}": RNG.permutation(N) < share * N for i in range(len(MARKERS))}
    columns = {
        name: np.where(missing, marker, values.astype(str))
        for (name, missing), marker in zip(lost.items(), MARKERS, strict=True)
    }
    schema, read = found(SOURCES[source](table(x=values, **columns), tmp_path))
    for name, missing in lost.items():
        assert (schema.column(name).kind, schema.column(name).missing) == ("numeric", missing.sum())
        expected = np.where(missing, np.nan, values)
        np.testing.assert_array_equal(read[name].fill_null(float("nan")).to_numpy(), expected)


def test_one_unreadable_date_of_a_thousand_counts_as_missing():
    dates = [str(dt.date(2020, 1, 1) + dt.timedelta(i % 400)) for i in range(1000)]
    dates[500] = "31 Juni"
    schema, read = found(read_table(table(x=dates)))
    column = schema.column("x")
    assert (column.kind, column.missing, column.nulls) == ("datetime", 1, ("31 Juni",))
    encoder = fit_encoder(read, schema)
    report: list[str] = []
    encoder.transform(pl.DataFrame({"x": ["2020-03-01", "soon", "later"]}), report=report)
    assert any("2 values are not a date or time" in line and "'soon'" in line for line in report)


def test_month_first_is_a_guess_that_is_said():
    dates = [f"{1 + i % 12}/{1 + i % 11}/2024" for i in range(N)]
    schema, read = found(read_table(table(x=dates)))
    assert "--day-first" in schema.column("x").guess
    assert read["x"][1] == dt.datetime(2024, 2, 2)
    assert read["x"][11] == dt.datetime(2024, 12, 1)
    schema, read = found(read_table(table(x=dates)), day_first=True)
    assert schema.column("x").guess == ""
    assert read["x"][11] == dt.datetime(2024, 1, 12)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("writer", ["dollars", "German", "per cent", "kilograms", "brackets"])
def test_targets_are_read_as_features_are(tmp_path, source, writer):
    values = np.round(RNG.normal(0, 3000, N), 2)
    frame = pd.DataFrame({"x": RNG.normal(size=N), "y": [WRITERS[writer](v) for v in values]})
    read = SOURCES[source](frame, tmp_path)
    for task in (None, "regression"):
        schema = infer_schema(read, "y", task=task)
        assert schema.target.task == "regression"
        np.testing.assert_allclose(conform(read, schema)["y"].to_numpy(), values, rtol=1e-12)
        encoder = fit_encoder(conform(read, schema), schema)
        found, there = encoder.encode_target(read)
        assert there.all()
        np.testing.assert_allclose(encoder.decode_target(found)[:, 0], values, atol=2e-3)


def test_an_example_says_how_a_column_is_read():
    frame = table(
        price=[f"${9 * v * v:,}.50" for v in range(N)],
        when=[f"{1 + i % 28}/{1 + i % 12}/2024" for i in range(N)],
        iso=[f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(N)],
    )
    schema = infer_schema(read_table(frame), "y")
    assert schema.column("price").reason == "'$101,124.50' is read as 101124.5"
    assert schema.column("when").reason == "'10/10/2024' is read as 10 October 2024"
    assert schema.column("iso").reason == ""


# --- text ---------------------------------------------------------------------------------------


def csv(text: str, tmp_path) -> pl.DataFrame:
    path = tmp_path / "t.csv"
    path.write_text(text)
    return read_table(path, as_written=["y"])


@pytest.mark.parametrize("word", ["None", "NA", "null", "N/A", "NULL", "nan"])
@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("source", ["csv", "parquet"])
def test_a_class_named_like_a_marker_is_kept_and_said(tmp_path, word, quote, source):
    labels = np.resize(["red", "green", word], N)
    rows = "\n".join(f"{i * i},{quote}{label}{quote}" for i, label in enumerate(labels))
    if source == "csv":
        frame = csv(f"x,y\n{rows}\n", tmp_path)
    else:
        frame = read_table(pl.DataFrame({"x": [i * i for i in range(N)], "y": labels}))
    schema = infer_schema(frame, "y")
    assert set(schema.target.classes) == {"red", "green", word}
    assert schema.rows_without_target == 0
    assert "--na-values" in schema.target.guesses[0]
    asked = infer_schema(frame, "y", reading=ReadingChoices(na_values=(word,)))
    assert set(asked.target.classes) == {"red", "green"}
    assert asked.rows_without_target == N // 3
    # A model of the one source knows the class in the other.
    encoder = fit_encoder(frame, schema)
    for other in (frame, pl.DataFrame({"x": [1, 2], "y": [word, "red"]})):
        codes, there = encoder.encode_target(other)
        assert there.all()
        assert (np.asarray(schema.target.classes)[codes] == other["y"].to_numpy()).all()


@pytest.mark.parametrize("word", ["None", "NA", "?"])
def test_a_rare_marker_in_a_target_of_text_is_asked_about(tmp_path, word):
    labels = [*np.resize(["red", "green"], 500), word, word]
    frame = csv("x,y\n" + "\n".join(f"{i * i},{v}" for i, v in enumerate(labels)) + "\n", tmp_path)
    with pytest.raises(InputError, match=f"is '[{word}]+' in 2 rows.*--na-values"):
        infer_schema(frame, "y")
    schema = infer_schema(frame, "y", reading=ReadingChoices(na_values=()))
    assert word in schema.target.classes


@pytest.mark.parametrize("labels", [["yes", "no"], ["0", "1"], ["true", "false"], ["1", "2", "3"]])
def test_a_marker_among_truth_values_or_numbers_is_no_class(tmp_path, labels):
    values = np.resize([*labels, *labels, "NA"], N)
    frame = csv("x,y\n" + "\n".join(f"{i * i},{v}" for i, v in enumerate(values)) + "\n", tmp_path)
    schema = infer_schema(frame, "y")
    assert {str(c) for c in schema.target.classes} == set(labels)
    assert schema.rows_without_target == (values == "NA").sum()


def test_a_frequent_marker_in_text_is_a_level_and_a_rare_one_is_missing(tmp_path):
    pool = np.resize(["good", "NA", "NA"], 400)
    wire = np.resize(["a", "b"], 400).astype(object)
    wire[7] = "NA"
    wire[8] = '"NA"'
    rows = [f"{p},{w},{i * i},{'uv'[i % 2]}" for i, (p, w) in enumerate(zip(pool, wire, strict=True))]  # fmt: skip
    frame = csv("pool,wire,n,y\n" + "\n".join(rows) + "\n", tmp_path)
    schema = infer_schema(frame, "y")
    assert (schema.column("pool").distinct, schema.column("pool").missing) == (2, 0)
    assert schema.column("wire").missing == 1  # the one without quotes
    assert frame["wire"][8] == "NA"
    # pandas reads the same file with missing values: they are the level that they were in training.
    encoder = fit_encoder(frame, schema)
    theirs = pd.read_csv(io.StringIO("pool,wire,n,y\n" + "\n".join(rows)))
    report: list[str] = []
    codes = encoder.transform(read_table(theirs), report=report).codes
    np.testing.assert_array_equal(codes[:, 0], encoder.transform(frame).codes[:, 0])
    assert any("'pool'" in line and "taken as 'NA'" in line for line in report)


@pytest.mark.parametrize("source", ["csv", "parquet", "pandas", "polars"])
def test_missing_levels_that_training_did_not_have_are_noted(tmp_path, source):
    frame = table(x=np.resize(["u", "v", "w"], N))
    ours = SOURCES[source](frame, tmp_path)
    encoder = fit_encoder(ours, infer_schema(ours, "y"))
    report: list[str] = []
    encoder.transform(pl.DataFrame({"x": ["u", None, "NA", "v"]}), report=report)
    assert report == ["column 'x': 2 missing values, training had none; taken as 'other'"]


# --- declared categories, zeros in front, the positive class, indices ---------------------------

LEVELS = [3, 17, 4, 99, 12, 60, 7, 21, 33, 45, 58, 81, 90, 11]


@pytest.mark.parametrize(
    "values",
    [
        pd.Categorical(np.resize(LEVELS, N)),
        pd.Categorical(np.resize(LEVELS, N) * 1.5),
        pd.Categorical(np.resize([str(v) for v in LEVELS], N)),
        pl.Series(np.resize([str(v) for v in LEVELS], N)).cast(pl.Categorical),
        pl.Series(np.resize([str(v) for v in LEVELS], N)).cast(pl.Enum([str(v) for v in LEVELS])),
    ],
)
def test_declared_categories_are_honoured(values, tmp_path):
    from popnet.options import Options
    from popnet.prepare.table import prepare_table

    y = np.resize(["a", "b"], N)
    if isinstance(values, pl.Series):
        frame = pl.DataFrame({"x": values, "y": y})
        path = tmp_path / "t.parquet"
        frame.write_parquet(path)
        sources = [frame, path]
    else:
        sources = [pd.DataFrame({"x": values, "y": y})]
    for source in sources:
        prepared = prepare_table(source, "y", Options())
        assert prepared.schema.column("x").kind == "categorical"
        assert prepared.data.features.levels == (1 + len(LEVELS),)


@pytest.mark.parametrize("source", SOURCES)
def test_a_column_may_be_said_to_be_categorical(tmp_path, source):
    frame = SOURCES[source](table(x=np.resize(LEVELS, N)), tmp_path)
    assert infer_schema(frame, "y").column("x").kind == "numeric"
    assert found(frame, categorical=("x",))[0].column("x").kind == "categorical"
    with pytest.raises(InputError, match=r"no column 'z'.*categorical"):
        found(frame, categorical=("z",))


@pytest.mark.parametrize("source", SOURCES)
def test_zeros_in_front_make_text(tmp_path, source):
    frame = table(x=np.resize(["1", "01", "001"], N))
    frame["y"] = np.resize(["01", "02", "10"], N)
    read = SOURCES[source](frame, tmp_path)
    schema = infer_schema(read, "y")
    assert schema.target.classes == ("01", "02", "10")
    assert schema.column("x").distinct == 3
    encoder = fit_encoder(read, schema)
    assert encoder.encode_target(pl.DataFrame({"y": ["10", "01"]}))[0].tolist() == [2, 0]


@pytest.mark.parametrize(
    ("labels", "positive"),
    [
        (["stayed", "stayed", "left"], "left"),
        (["healthy", "ill", "healthy"], "ill"),
        (["yes", "no", "yes"], "yes"),
        (["TRUE", "FALSE", "TRUE"], "TRUE"),
        ([1, 0, 1], 1),
        ([2, 1, 2], 2),
        (["0", "1", "1"], "1"),
        (["<=50K", "<=50K", ">50K"], ">50K"),
    ],
)
def test_the_positive_class(labels, positive):
    frame = pl.DataFrame({"x": np.arange(N) ** 2, "y": np.resize(labels, N)})
    schema = infer_schema(frame, "y")
    assert schema.target.classes[-1] == positive
    assert any(f"the positive class is {positive}" in line for line in schema.describe())
    other = str(schema.target.classes[0])
    turned = infer_schema(frame, "y", reading=ReadingChoices(positive=other)).target
    assert str(turned.classes[-1]) == other
    with pytest.raises(InputError, match="no class 'maybe'"):
        infer_schema(frame, "y", reading=ReadingChoices(positive="maybe"))


@pytest.mark.parametrize(
    "name", ["", "Unnamed: 0", "index", "__index_level_0__", "level_0", "Unnamed: 17"]
)
@pytest.mark.parametrize("density", [1, 3, 7, 400])
@pytest.mark.parametrize("in_order", [True, False])
def test_an_index_is_known_by_its_name_at_any_density(tmp_path, name, density, in_order):
    picked = RNG.choice(N * density, N, replace=False)
    frame = pd.DataFrame({name: np.sort(picked) if in_order else picked, "x": RNG.normal(size=N)})
    frame["y"] = np.resize(["a", "b"], N)
    column = infer_schema(from_csv(frame, tmp_path), "y").columns[0]
    assert (column.kind, column.used) == ("identifier", False)
    read = read_table(frame)
    assert not infer_schema(read, "y").columns[0].used
    assert infer_schema(read, "y", keep=[read.columns[0]]).columns[0].used


@pytest.mark.parametrize("density", [1, 2, 5, 30, 500])
@pytest.mark.parametrize("start", [0, 1])
def test_a_sorted_sample_of_a_numbering_is_known_whatever_its_name(density, start):
    picked = np.sort(RNG.choice(N * density, N, replace=False)) + start
    frame = pl.DataFrame({"ref": picked, "x": RNG.normal(size=N), "y": ["a", "b"] * (N // 2)})
    schema = infer_schema(frame, "y")
    assert not schema.column("ref").used


@pytest.mark.parametrize(
    "values",
    [
        np.cumsum(RNG.integers(1, 9, N) ** 3) ** 2,
        10**6 + np.arange(N) * 977 % 7919,
        np.sort(RNG.lognormal(8, 1, N)).astype(int) * 3,
    ],
)
def test_other_whole_numbers_are_used(values):
    frame = pl.DataFrame({"ref": values, "x": RNG.normal(size=N), "y": ["a", "b"] * (N // 2)})
    assert infer_schema(frame, "y").column("ref").used


@pytest.mark.parametrize("digits", [17, 19, 22, 30])
def test_long_whole_numbers_do_not_run_together(tmp_path, digits):
    labels = [f"{10 ** (digits - 1) + i}" for i in range(3)]
    frame = table(x=np.arange(N) ** 2)
    frame["y"] = np.resize(labels, N)
    frame["g"] = np.resize(labels, N)
    read = from_csv(frame, tmp_path)
    schema = infer_schema(read, "y", task="multiclass", group="g")
    assert [str(c) for c in schema.target.classes] == labels
    assert read["g"].n_unique() == 3
    encoder = fit_encoder(read, schema)
    for batch in (read, *read_batches(tmp_path / "t.csv", 50)):
        codes, there = encoder.encode_target(batch)
        assert there.all()
        assert set(codes.tolist()) == {0, 1, 2}


# --- what only looks like a number, a date, a title ---------------------------------------------


@pytest.mark.parametrize(
    "texts",
    [
        ["1.2.3", "2.0.1", "4.5.6"],
        ["192.168.10.100", "10.0.0.1", "192.168.1.12"],
        ["055 100 700", "040 331 220", "089 100 200"],
        ["1009-10", "1010-11", "1011-12"],
    ],
)
def test_what_only_looks_like_a_number_or_a_date_stays_text(texts):
    schema, _ = found(read_table(table(x=np.resize(texts, N))))
    assert (schema.column("x").kind, schema.column("x").format) == ("categorical", "")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["2WD", "4WD"], 2),
        (["1A", "2A", "3A"], 3),
        (["5K", "10K"], 2),
        (["10%", "20%", "30%"], 3),
        (["09:00", "12:00", "17:30"], 3),
    ],
)
def test_labels_that_begin_with_numbers_keep_their_names(labels, classes):
    frame = pl.DataFrame({"x": np.arange(N) ** 1.5, "y": np.resize(labels, N)})
    target = infer_schema(frame, "y").target
    assert set(target.classes) == set(labels)
    assert len(target.classes) == classes


def test_many_values_in_another_format_are_no_missing_words():
    mixed = [f"2024-01-{1 + i % 28:02d} {i % 24:02d}:{i % 60:02d}" for i in range(400)]
    mixed += [f"{1 + i % 28:02d}.01.2024" for i in range(100)]
    schema, read = found(read_table(table(x=mixed)))
    assert (schema.column("x").kind, schema.column("x").missing) == ("datetime", 0)
    assert read["x"][400] == dt.datetime(2024, 1, 1)
    numbers = [f"{i / 7:.2f}" for i in range(400)] + [f"{i}.100,50" for i in range(1, 101)]
    schema, _ = found(read_table(table(x=numbers)))
    assert schema.column("x").missing == 0


def test_null_tokens_that_fill_a_block_stay_levels(tmp_path, monkeypatch):
    from popnet.data.tables import delimited

    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "NA,1\n" * 1000 + "Grvl,2\n" * 500)
    whole = read_table(path)
    for name in ("FIRST_BYTES", "BLOCK_BYTES"):
        monkeypatch.setattr(delimited, name, 4000)
    assert read_table(path).equals(whole)
    assert whole["a"].value_counts(sort=True).rows() == [("NA", 1000), ("Grvl", 500)]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a,b\n1,2,\n3,4,\n5,6,\n", "at the end of rows"),
        ("x\n1,5\n2,5\n3,5\n", "2 fields"),
        ("Report, 2024\na,b,c\n1,2,3\n4,5,6\n", "3 fields"),
    ],
)
def test_rows_are_never_moved_to_other_columns(tmp_path, text, word):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=word):
        read_table(path)


def test_roles_may_be_written_in_a_format(tmp_path):
    from popnet.options import Options
    from popnet.prepare.table import prepare_table

    frame = table(x=RNG.normal(size=N), w=[f"{1 + i % 3},5" for i in range(N)])
    frame["g"] = [f"{i % 30:03d}" for i in range(N)]
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False, sep=";")
    prepared = prepare_table(path, "y", Options(weight="w", group="g"))
    expected = np.array([1.5 + i % 3 for i in range(N)])
    np.testing.assert_allclose(prepared.data.weights, expected / expected.mean(), rtol=1e-6)
    raw = next(read_batches(path))
    np.testing.assert_allclose(prepared.encoder.weights(raw), prepared.data.weights, rtol=1e-6)


def test_a_large_table_is_read_as_a_small_one(tmp_path):
    from popnet.options import Options
    from popnet.prepare.large import prepare_large
    from popnet.prepare.table import prepare_table
    from popnet.runtime.memory import Memory

    frame = pd.DataFrame(
        {
            "x": [f"{1 + i % 9}.{100 + i % 700}" for i in range(N * 4)],
            "z": [f"{i % 50},5" for i in range(N * 4)],
            "y": np.resize(["0", "1", "1", "0", "NA"], N * 4),
        }
    )
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False, sep=";")
    small = prepare_table(path, "y", Options())
    large = prepare_large(path, "y", Options(), Memory(1e12), lambda done, total: None)
    assert small.schema.column("x").format == large.schema.column("x").format == "1.234,5"
    assert small.schema.rows_without_target == large.schema.rows_without_target
    assert len(small.data) == len(large.data)
