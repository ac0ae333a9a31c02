"""Encoding: against independent arithmetic, and properties that hold for any values."""

from __future__ import annotations

import datetime as dt

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from sklearn.preprocessing import OrdinalEncoder, RobustScaler, StandardScaler

from popnet.data.tables import delimited
from popnet.data.tables.encode import Encoder, fit_encoder
from popnet.data.tables.fit_columns import fit_levels, fit_record, spiked
from popnet.data.tables.read import read_batches, read_table
from popnet.data.tables.roles import group_numbers, time_numbers
from popnet.data.tables.scale import KNOTS, fit_scale
from popnet.data.tables.schema import infer_schema
from popnet.errors import InputError

N = 240
RNG = np.random.default_rng(1)
quick = settings(max_examples=60, deadline=None)


def cycle(values, n=N):
    return [values[i % len(values)] for i in range(n)]


def mixed(seed=0):
    """Make a table with a column of each kind, all but `full` with missing values."""
    rng = np.random.default_rng(seed)
    holes = pl.Series(rng.random(N) < 0.1)
    start = dt.datetime(2024, 1, 1)
    frame = pl.DataFrame(
        {
            "full": rng.normal(size=N),
            "numeric": rng.standard_cauchy(N),
            "discrete": rng.integers(0, 5, N),
            "boolean": rng.random(N) < 0.4,
            "words": pl.Series(rng.choice(["yes", "no"], N)),
            "category": pl.Series(rng.choice(["red", "green", "blue"], N, p=[0.5, 0.3, 0.2])),
            "when": [start + dt.timedelta(hours=int(h)) for h in rng.integers(0, 20_000, N)],
        }
    )
    holed = [pl.when(~holes).then(pl.col(c)).alias(c) for c in frame.columns[1:]]
    return frame.with_columns(holed).with_columns(y=pl.Series(rng.choice(["a", "b", "c"], N)))


def fitted(frame, target="y", rows=None, **options):
    return fit_encoder(frame, infer_schema(frame, target, **options), rows)


def test_numbers_are_those_of_the_robust_scaler():
    frame = pl.DataFrame({"x": RNG.standard_cauchy(N), "z": RNG.normal(5, 1e-8, N)})
    frame = frame.with_columns(y=pl.Series(RNG.normal(size=N)))
    rows = np.arange(0, N, 2)
    X = frame.select("x", "z").to_numpy()
    z = RobustScaler().fit(X[rows]).transform(X)
    expected = z / np.sqrt(1 + (z / 3) ** 2)
    features = fitted(frame, rows=rows).transform(frame)
    np.testing.assert_allclose(features.numeric, expected, rtol=2e-6, atol=1e-6)
    assert features.numeric.dtype == np.float32
    assert features.flags.shape == (N, 0)


def test_scale_when_the_quartiles_are_equal():
    rare = pl.Series([0.5] * 200 + [*np.linspace(0, 1, 37)] + [50.0] * 3)
    encoder = fitted(pl.DataFrame({"x": rare, "y": cycle(["a", "b"])}))
    q01, q99 = np.quantile(rare, [0.01, 0.99])
    assert encoder.columns[0].scale.scale == (q99 - q01) / 2
    once = pl.Series([0.5] * (N - 2) + [0.75, 2.5])
    encoder = fitted(pl.DataFrame({"x": once, "y": cycle(["a", "b"])}))
    assert encoder.columns[0].scale.scale == 1.0


def test_missing_numbers_are_zero_and_flagged():
    x = pl.Series([None, float("nan"), *np.linspace(0.5, 9, N - 2)], strict=False)
    frame = pl.DataFrame({"x": x.fill_nan(None), "y": cycle(["a", "b"])})
    features = fitted(frame).transform(frame)
    assert features.numeric[:2, 0].tolist() == [0, 0]
    assert features.flags[:, 0].tolist() == [1, 1] + [0] * (N - 2)


def test_codes_are_by_frequency_and_other_is_zero():
    levels = ["b"] * 100 + ["a"] * 50 + ["c"] * 50 + ["rare"] + [None] * (N - 201)
    frame = pl.DataFrame({"x": levels, "y": cycle(["a", "b"])})
    features = fitted(frame).transform(frame)
    code = dict(zip(levels, features.codes[:, 0].tolist(), strict=True))
    assert code == {"b": 1, "a": 2, "c": 3, "rare": 0, None: 4}
    assert features.levels == (5,)


def test_codes_group_rows_as_scikit_learn_does():
    frame = mixed().select("category", "y").drop_nulls()
    codes = fitted(frame).transform(frame).codes
    theirs = OrdinalEncoder().fit_transform(frame.select("category").to_numpy())
    pairs = {(int(a), int(b)) for a, b in zip(codes[:, 0], theirs[:, 0], strict=True)}
    assert len(pairs) == len(np.unique(theirs))


def test_discrete_numbers_are_numbers_and_codes():
    frame = pl.DataFrame({"x": cycle([0, 1, 2, 2, 3]), "y": cycle(["a", "b", "c", "d", "e", "f"])})
    encoder = fitted(frame)
    features = encoder.transform(frame)
    assert encoder.names.numeric == encoder.names.codes == ("x",)
    assert features.codes[:5, 0].tolist() == [2, 3, 1, 1, 4]
    assert features.numeric[2, 0] == 0  # the median


def test_dates_become_parts():
    start = dt.datetime(2023, 11, 5, 6, 30)
    times = [start + dt.timedelta(hours=13 * i) for i in range(N)]
    frame = pl.DataFrame({"t": times, "y": cycle(["a", "b"])})
    encoder = fitted(frame)
    assert encoder.names.numeric == (
        "t seconds", "t year", "t month sin", "t month cos", "t weekday sin", "t weekday cos",
        "t hour sin", "t hour cos",
    )  # fmt: skip
    assert set(encoder.names.numeric_sources) == {"t"}
    values = dict(zip(encoder.names.numeric, encoder.transform(frame).numeric.T, strict=True))
    stamps = pd.Series(times)
    hours = (stamps.dt.hour + stamps.dt.minute / 60) / 24
    for name, phase in {
        "month": (stamps.dt.month - 1) / 12,
        "weekday": stamps.dt.day_of_week / 7,
        "hour": hours,
    }.items():
        np.testing.assert_allclose(values[f"t {name} sin"], np.sin(2 * np.pi * phase), atol=1e-6)
        np.testing.assert_allclose(values[f"t {name} cos"], np.cos(2 * np.pi * phase), atol=1e-6)
    seconds = stamps.to_numpy().astype("datetime64[s]").astype(float)[:, None]
    z = RobustScaler().fit_transform(seconds)[:, 0]
    np.testing.assert_allclose(values["t seconds"], z / np.sqrt(1 + (z / 3) ** 2), atol=1e-5)


def test_dates_without_hours_have_no_hour():
    days = [dt.date(2024, 3, 1) + dt.timedelta(days=i % 9) for i in range(N)]
    encoder = fitted(pl.DataFrame({"t": days, "y": cycle(["a", "b"])}))
    assert encoder.names.numeric == ("t seconds", "t weekday sin", "t weekday cos")


def test_only_training_rows_count():
    frame = mixed()
    rows = np.arange(0, N, 3)
    spoiled = frame.with_columns(
        pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.col("full")).otherwise(1e9).alias("full"),
        pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.col("category")).alias("category"),
    )
    schema = infer_schema(frame, "y")
    assert fit_encoder(frame, schema, rows) == fit_encoder(spoiled, schema, rows)


def test_constant_in_training_is_dropped():
    frame = mixed().with_columns(late=pl.Series([1.5] * 200 + [*np.linspace(2, 3, N - 200)]))
    encoder = fitted(frame, rows=np.arange(200))
    assert "late" not in encoder.names.numeric
    assert "late" in encoder.other
    report: list[str] = []
    encoder.transform(frame, report=report)
    assert report == []
    with pytest.raises(InputError, match="no feature varies in the 200 training rows"):
        fitted(frame.select("late", "y"), rows=np.arange(200))


def test_no_column_of_the_result_is_constant():
    frame = mixed()
    features = fitted(frame).transform(frame)
    for block in (features.numeric, features.flags, features.codes):
        assert (block != block[:1]).any(axis=0).all()


def test_the_encoder_survives_json():
    frame = mixed()
    encoder = fitted(frame)
    again = Encoder.model_validate_json(encoder.model_dump_json())
    assert again == encoder
    np.testing.assert_array_equal(again.transform(frame).numeric, encoder.transform(frame).numeric)


def test_rows_are_encoded_one_by_one_as_together():
    frame = mixed()
    encoder = fitted(frame)
    whole = encoder.transform(frame)
    parts = [encoder.transform(frame.slice(i, 7)) for i in range(0, N, 7)]
    for block in ("numeric", "flags", "codes"):
        joined = np.concatenate([getattr(p, block) for p in parts])
        np.testing.assert_array_equal(joined, getattr(whole, block))


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(N)))
def test_the_order_of_rows_does_not_matter(order):
    frame = mixed()
    schema = infer_schema(frame, "y")
    encoder, other = fit_encoder(frame, schema), fit_encoder(frame[order], schema)
    assert other.columns == encoder.columns


@quick
@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=12, max_size=40),
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=10),
)
def test_any_numbers_become_finite(train, new):
    n = len(train)
    frame = pl.DataFrame({"x": train, "z": np.linspace(0, 1, n), "y": cycle(["a", "b"], n)})
    frame = frame.with_columns(pl.col("x").fill_nan(None))
    encoder = fitted(frame)
    later = pl.DataFrame({"x": new, "z": [0.5] * len(new)})
    for table in (frame, later):
        features = encoder.transform(table)
        assert np.isfinite(features.numeric).all()
        assert (np.abs(features.numeric) <= 3).all()
        assert (features.codes < np.array(features.levels, int)).all()
        assert (features.codes >= 0).all()


@quick
@given(st.lists(st.floats(-1e200, 1e200), min_size=12, max_size=30, unique=True))
def test_scaling_keeps_the_order(values):
    frame = pl.DataFrame({"x": values, "y": cycle(["a", "b"], len(values))})
    z = fitted(frame).transform(frame).numeric[:, 0]
    assert (np.diff(z[np.argsort(values)]) >= 0).all()


# --- other types at another time ---------------------------------------------------------------


def test_text_for_everything_gives_the_same():
    frame = mixed()
    encoder = fitted(frame)
    text = frame.with_columns(pl.col("when").dt.strftime("%Y-%m-%d %H:%M:%S")).select(
        pl.all().cast(pl.String)
    )
    a, b = encoder.transform(frame), encoder.transform(text)
    for block in ("numeric", "flags", "codes"):
        np.testing.assert_array_equal(getattr(a, block), getattr(b, block))
    np.testing.assert_array_equal(encoder.encode_target(text)[0], encoder.encode_target(frame)[0])


def test_numbers_for_text_and_truth_values():
    n = 40
    train = pl.DataFrame(
        {
            "code": cycle(["1", "2", "x"], n),
            "flag": cycle(["no", "yes"], n),
            "two": cycle([1, 2], n),
            "y": cycle(["a", "b", "a"], n),
        }
    )
    encoder = fitted(train)
    later = {"code": [2, 1], "flag": [True, False], "two": ["2", "1"]}
    old = {"code": ["2", "1"], "flag": ["yes", "no"], "two": [2, 1]}
    a, b = (encoder.transform(pl.DataFrame(d)) for d in (later, old))
    np.testing.assert_array_equal(a.codes, b.codes)
    np.testing.assert_array_equal(a.flags, b.flags)
    floats = pl.DataFrame({"code": [2.0, 1.0], "flag": [1, 0], "two": [2.0, 1.0]})
    np.testing.assert_array_equal(encoder.transform(floats).codes, b.codes)


def test_the_report_says_what_is_new():
    frame = mixed().with_columns(pl.col("full").alias("extra"))
    encoder = fitted(mixed())
    odd = frame.with_columns(
        category=pl.Series(["purple"] * N),
        full=pl.Series([None, float("inf"), *frame["full"][2:]]),
        discrete=pl.Series([77] * N),
    )
    report: list[str] = []
    features = encoder.transform(odd, report=report)
    text = "\n".join(report)
    assert "1 new column ignored: 'extra'" in text
    assert "'category': 240 values are levels" in text
    assert "'purple'" in text
    assert "'full': 1 missing value, training had none" in text
    assert "'full': 1 infinite value, taken as" in text
    assert "'discrete': 240 values" in text
    place = dict(zip(encoder.names.codes, features.codes.T, strict=True))
    assert (place["category"] == 0).all()
    quiet: list[str] = []
    encoder.transform(mixed(), report=quiet)
    assert quiet == []


def test_one_value_is_said_in_the_singular():
    frame = mixed()
    odd = frame.with_columns(
        category=pl.Series(["purple", *frame["category"][1:]]),
        numeric=pl.Series([1e300, *frame["numeric"][1:]]),
    )
    report: list[str] = []
    fitted(frame).transform(odd, report=report)
    assert report == [
        "column 'numeric': 1 value is far outside the training's usual range, e.g. 1e+300; taken "
        "as the bound",
        "column 'category': 1 value is a level that training did not have or had rarely, e.g. "
        "'purple'; taken as 'other'",
    ]


def test_huge_values_are_said_and_bounded():
    frame = mixed()
    encoder = fitted(frame)
    huge = pl.Series([1e300, -1e12, float("inf"), 1e4, *frame["full"][4:]])
    report: list[str] = []
    features = encoder.transform(frame.with_columns(full=huge), report=report)
    place = encoder.names.numeric.index("full")
    np.testing.assert_allclose(features.numeric[:4, place], [3, -3, 3, 3], rtol=1e-3)
    assert report == [
        "column 'full': 1 infinite value, taken as ±3 after scaling",
        "column 'full': 2 values are far outside the training's usual range, e.g. 1e+300; taken as "
        "the bound",
    ]


def test_the_training_table_is_reported_as_such():
    rare = ["a", "b", "c"] * 60 + [f"r{i}" for i in range(59)] + [None]
    frame = mixed().with_columns(
        rare=pl.Series(rare), full=pl.Series([None, 1e300, *RNG.normal(size=N - 2)])
    )
    rows = np.arange(2, N - 1)
    encoder = fitted(frame, rows=rows)
    report: list[str] = []
    a = encoder.transform(frame, report=report, training=True)
    assert report == ["column 'rare': 59 values of rare levels are taken together as 'other'"]
    later: list[str] = []
    b = encoder.transform(frame, report=later)
    np.testing.assert_array_equal(a.codes, b.codes)
    assert len(later) == 4
    assert later[2] == "column 'rare': 1 missing value, training had none; taken as 'other'"
    assert "59 values are levels that training did not have" in later[3]
    one: list[str] = []
    encoder.transform(frame.slice(180, 1), report=one, training=True)
    assert one == ["column 'rare': 1 value of a rare level is taken as 'other'"]


@pytest.mark.parametrize(("third", "taken"), [(None, "missing"), (1, "0")])
def test_a_third_number_in_a_boolean_is_said_as_it_is_taken(third, taken):
    frame = pl.DataFrame({"x": cycle([0, 1, third]), "y": cycle(["a", "b"])})
    encoder = fitted(frame)
    report: list[str] = []
    features = encoder.transform(pl.DataFrame({"x": [2, 1]}), report=report)
    assert features.flags.tolist() == ([[0, 1], [1, 0]] if third is None else [[0], [1]])
    assert report == [f"column 'x': 1 value is neither 0 nor 1, e.g. 2; taken as {taken}"]


def test_a_third_word_in_a_boolean_is_counted():
    frame = pl.DataFrame({"x": cycle(["yes", "no", None]), "y": cycle(["a", "b"])})
    report: list[str] = []
    words = pl.DataFrame({"x": ["maybe", "yes", "later", "NA"]})
    features = fitted(frame).transform(words, report=report)
    assert features.flags.tolist() == [[0, 1], [1, 0], [0, 1], [0, 1]]
    assert report == ["column 'x': 2 values are neither 0 nor 1, e.g. 'maybe'; taken as missing"]


def test_numbers_without_their_unit_are_noted():
    frame = pl.DataFrame({"x": [f"{i / 7:.2f} %" for i in range(N)], "y": cycle(["a", "b"])})
    encoder = fitted(frame)
    report: list[str] = []
    encoder.transform(pl.DataFrame({"x": [0.14, 0.2]}), report=report)
    assert report == [
        "column 'x': numbers without the unit '%' that training had; taken as they are"
    ]


GERMAN = ["1,5", "2,5", "10,0", "1,50", "x"]


def german(n):
    """Return lines of a file whose columns hold decimal commas, two of them among words."""
    rng = np.random.default_rng(5)
    numbers = [f"{v:.3f}".replace(".", ",") for v in rng.normal(size=n)]
    few = [f"{v},0" for v in rng.integers(0, 4, n)]
    stray = ["unknown" if i % 40 == 7 else f"{v},25" for i, v in enumerate(rng.permutation(n))]
    levels = rng.choice(GERMAN, n)
    marks = rng.choice(["1,3", "2,0", "5,0", "ill"], n)
    return [";".join(row) for row in zip(levels, numbers, few, stray, marks, strict=True)]


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
def test_decimal_commas_encode_equally_in_any_batch_and_in_a_file_of_their_own(tmp_path, ending):
    def write(name, lines):
        path = tmp_path / (name + ending)
        text = "\n".join(["level;number;few;stray;mark", *lines]) + "\n"
        path.write_text(text.replace(";", "\t" if ending == ".tsv" else ";"))
        return path

    lines = german(N)
    path = write("t", lines)
    frame = read_table(path)
    schema = infer_schema(frame, "mark")
    assert {c.name: c.kind for c in schema.columns} == {
        "level": "categorical", "number": "numeric", "few": "discrete", "stray": "numeric",
    }  # fmt: skip
    encoder = fit_encoder(frame, schema)
    whole, marks = encoder.transform(frame), encoder.encode_target(frame)[0]

    def same(frames, rows):
        parts = [encoder.transform(f) for f in frames]
        for block in ("numeric", "flags", "codes"):
            joined = np.concatenate([getattr(p, block) for p in parts])
            np.testing.assert_array_equal(joined, getattr(whole, block)[rows])
        found = np.concatenate([encoder.encode_target(f)[0] for f in frames])
        np.testing.assert_array_equal(found, marks[rows])

    for size in (1, 7, N):
        same(list(read_batches(path, size)), slice(None))
    tame = [i for i, line in enumerate(lines) if not set(line) & set("xkl")]
    assert 20 < len(tame) < N
    own = write("own", [lines[i] for i in tame])
    same(list(read_batches(own, 9)), tame)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FIRST_BYTES", "BLOCK_BYTES"):
            patch.setattr(delimited, name, 64)
        same(list(read_batches(own, 9)), tame)
        same([read_table(path)], slice(None))


def test_levels_that_are_numbers_are_known_in_a_table_of_numbers(tmp_path):
    levels = ["1.5", "10.0", "007", "7", "True", "false", "x"]
    encoder = fitted(pl.DataFrame({"c": cycle(levels), "y": cycle(levels)}))
    codes = dict(
        zip(levels, encoder.transform(pl.DataFrame({"c": levels})).codes[:, 0], strict=True)
    )
    numbers = pl.DataFrame({"c": [1.5, 10.0, 7.0]})
    assert encoder.transform(numbers).codes[:, 0].tolist() == [
        codes["1.5"], codes["10.0"], codes["7"],
    ]  # fmt: skip
    truth = pl.DataFrame({"c": [True, False]})
    assert encoder.transform(truth).codes[:, 0].tolist() == [codes["True"], codes["false"]]
    labels = encoder.encode_target(truth.rename({"c": "y"}))[0]
    assert encoder.decode_target(labels).tolist() == ["True", "false"]
    labels = encoder.encode_target(numbers.rename({"c": "y"}))[0]
    assert encoder.decode_target(labels).tolist() == ["1.5", "10.0", "7"]


WORDS = st.sampled_from(["maybe", "True", "false", "1,5", "007", "7.0", "x y", "2024-01-01"])
MIXED = st.lists(
    st.one_of(
        st.booleans(),
        WORDS,
        st.none(),
        st.integers(-3, 3),
        st.sampled_from([0.5, 2.0, -1e-7, 1e20, float("inf")]),
        st.just(dt.date(2024, 1, 1)),
    ),
    min_size=4,
    max_size=8,
).filter(lambda values: any(isinstance(v, str) for v in values))


@quick
@given(MIXED)
def test_a_frame_and_its_csv_encode_equally(tmp_path_factory, values):
    frame = pd.DataFrame({"x": pd.Series(cycle(values), dtype=object)})
    frame["z"] = np.linspace(0, 1, N) ** 2
    frame["y"] = cycle(["a", "b"])
    path = tmp_path_factory.mktemp("t") / "t.csv"
    frame.to_csv(path, index=False)
    ours, theirs = read_table(frame), read_table(path)
    encoder = fitted(ours)
    assert fitted(theirs) == encoder
    a = encoder.transform(ours)
    for other in (theirs, *read_batches(path)):
        b = encoder.transform(other)
        for block in ("numeric", "flags", "codes"):
            np.testing.assert_array_equal(getattr(a, block), getattr(b, block))


BAD = {
    "a column lacks": (lambda f: f.drop("full"), ["'full'", "lacks"]),
    "a column is renamed": (lambda f: f.rename({"category": "Categry"}), ["Did you mean"]),
    "several lack": (lambda f: f.select("full"), ["'numeric'", "'when'", "columns"]),
    "text for a number": (
        lambda f: f.with_columns(full=pl.Series(["1.5", "abc", "b"] + ["2"] * (N - 3))),
        ["'full'", "row 2", "'abc'", "1 more"],
    ),
    "a date for a number": (lambda f: f.with_columns(full=pl.col("when")), ["'full'", "number"]),
    "text for a date": (lambda f: f.with_columns(when=pl.lit("soon")), ["'when'", "'soon'"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables(case):
    spoil, words = BAD[case]
    encoder = fitted(mixed())
    with pytest.raises(InputError) as caught:
        encoder.transform(spoil(mixed()))
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith((".", "?"))
    for word in words:
        assert word in message


def test_row_numbers_go_on_in_a_stream():
    encoder = fitted(mixed())
    bad = mixed().head(1).with_columns(full=pl.lit("abc"))
    with pytest.raises(InputError, match="row 1001:"):
        encoder.transform(bad, first_row=1001)


def test_rows_are_named_by_their_numbers_in_the_users_table():
    frame = mixed().with_columns(w=pl.Series(RNG.random(N)), g=pl.Series(cycle(["u", "v"])))
    frame = frame.with_columns(n=pl.Series(RNG.random(N)), t=pl.Series(np.arange(N)))
    schema = infer_schema(frame, "y", weight="w", group="g", time="t")
    encoder = fit_encoder(frame, schema)
    two, numbers = frame.head(2), np.array([7, 9])
    second = pl.int_range(pl.len()) == 1

    def bad(**values):
        cells = [pl.when(second).then(pl.lit(v)).otherwise(c).alias(c) for c, v in values.items()]
        return two.with_columns(cells)

    calls = [
        lambda **k: encoder.transform(bad(full="abc"), **k),
        lambda **k: encoder.encode_target(bad(y="zz"), **k),
        lambda **k: encoder.weights(bad(w=-1.0), **k),
        lambda **k: group_numbers(bad(g=None), "g", **k),
        lambda **k: time_numbers(bad(t=None), schema, **k),
        lambda **k: time_numbers(bad(t="soon"), schema, **k),
        lambda **k: fitted(frame, "n").encode_target(bad(n="abc"), **k),
        lambda **k: fit_encoder(bad(full="abc"), schema, np.array([0, 1]), **k),
        lambda **k: fit_encoder(bad(full="abc"), schema, np.array([1]), **k),
        lambda **k: fit_encoder(bad(n="abc"), infer_schema(frame, "n"), np.array([0, 1]), **k),
    ]
    for call in calls:
        with pytest.raises(InputError, match=r"row 2\b"):
            call()
        with pytest.raises(InputError, match=r"row 9\b"):
            call(row_numbers=numbers)


# --- targets and weights -----------------------------------------------------------------------

LABELS = {
    "text": cycle(["b", "a", "c"]),
    "bool": cycle([True, False]),
    "integers": cycle([0, 1, 2]),
    "large integers": cycle([2**60 + 1, 2**60]),
    "floats": cycle([1.0, 2.0]),
    "fractions": cycle([0.5, 2.0]),
}


@pytest.mark.parametrize("case", LABELS)
def test_decode_undoes_encode_for_classes(case):
    labels = LABELS[case]
    encoder = fitted(pl.DataFrame({"x": RNG.normal(size=N), "y": labels}))
    encoder = Encoder.model_validate_json(encoder.model_dump_json())
    target, keep = encoder.encode_target(pl.DataFrame({"y": labels}))
    assert target.dtype == np.int32
    assert keep.all()
    back = encoder.decode_target(target)
    assert back.tolist() == labels
    assert back.dtype.kind == np.asarray(labels).dtype.kind
    assert encoder.n_outputs == len(set(labels))


@quick
@given(st.lists(st.floats(-1e29, 1e29), min_size=12, max_size=40, unique=True))
def test_decode_undoes_encode_for_numbers(values):
    x = np.linspace(0, 1, len(values))
    frame = pl.DataFrame({"x": x, "y": values})
    encoder = fitted(frame, task="regression")
    target, keep = encoder.encode_target(frame)
    assert keep.all()
    assert np.isfinite(target).all()
    back = encoder.decode_target(target)[:, 0]
    np.testing.assert_allclose(back, values, rtol=1e-6, atol=1e-6 * np.ptp(values))


def test_numbers_are_standardised_by_training_rows():
    frame = pl.DataFrame({"x": RNG.normal(size=N), "a": RNG.normal(3, 5, N), "b": RNG.random(N)})
    rows = np.arange(100)
    target, _ = fitted(frame, ["a", "b"], rows).encode_target(frame)
    Y = frame.select("a", "b").to_numpy()
    expected = StandardScaler().fit(Y[rows]).transform(Y)
    assert target.dtype == np.float32
    np.testing.assert_allclose(target, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        fitted(frame, "a").decode_target(np.zeros(3)), np.full(3, Y[:, 0].mean())
    )


def test_predictions_keep_to_the_range_of_the_training_rows():
    frame = pl.DataFrame({"x": RNG.normal(size=N), "a": RNG.normal(3, 5, N), "b": RNG.random(N)})
    rows = np.arange(100)
    encoder = fitted(frame, ["a", "b"], rows)
    encoder = Encoder.model_validate_json(encoder.model_dump_json())
    seen = frame.select("a", "b").to_numpy()[rows]
    wild = np.array([[-1e6, 1e6], [1e6, -1e6], [0.1, -0.2]])
    kept = encoder.decode_target(encoder.within_range(wild))
    expected = np.clip(encoder.decode_target(wild), seen.min(0), seen.max(0))
    np.testing.assert_allclose(kept, expected, rtol=1e-12)


def test_predictions_of_what_is_ordered_by_time_may_go_beyond_what_was_seen():
    frame = pl.DataFrame({"x": RNG.normal(size=N), "when": range(N), "y": RNG.normal(size=N)})
    encoder = fit_encoder(frame, infer_schema(frame, "y", time="when"))
    assert encoder.within_range(np.array([[1e6]])).tolist() == [[1e6]]


def test_rows_without_a_target_are_marked():
    frame = pl.DataFrame(
        {"x": RNG.normal(size=N), "a": RNG.normal(size=N), "b": cycle([1.5, None, 2])}
    )
    target, keep = fitted(frame, ["a", "b"]).encode_target(frame)
    np.testing.assert_array_equal(keep, frame["b"].is_not_null().to_numpy())
    assert (target[~keep] == 0).all()
    frame = pl.DataFrame({"x": RNG.normal(size=N), "y": cycle(["a", None, "b"])})
    target, keep = fitted(frame).encode_target(frame)
    np.testing.assert_array_equal(keep, frame["y"].is_not_null().to_numpy())
    assert (target[~keep] == 0).all()


BAD_TARGETS = {
    "unknown class": (cycle(["a", "b"]), ["a", "zz"], ["'y'", "row 2", "'zz'", "'a'"]),
    "unknown number": (cycle([0, 1]), [0, 2], ["row 2", "2"]),
    "text for a class number": (cycle([0, 1]), ["0", "x"], ["row 2", "'x'"]),
    "text": (RNG.normal(size=N), ["1", "x"], ["row 2", "'x'"]),
    "infinite": (RNG.normal(size=N), [1.0, float("inf")], ["row 2", "inf"]),
}


@pytest.mark.parametrize("case", BAD_TARGETS)
def test_bad_targets(case):
    train, later, words = BAD_TARGETS[case]
    encoder = fitted(pl.DataFrame({"x": RNG.normal(size=N), "y": train}))
    with pytest.raises(InputError) as caught:
        encoder.encode_target(pl.DataFrame({"y": later}))
    for word in words:
        assert word in str(caught.value)


def test_the_target_must_be_there():
    with pytest.raises(InputError, match="lacks the target column 'y'"):
        fitted(mixed()).encode_target(mixed().drop("y"))


def test_weights_have_mean_one():
    frame = mixed().with_columns(w=pl.Series(RNG.random(N)))
    encoder = fitted(frame, weight="w")
    weights = encoder.weights(frame)
    assert weights is not None
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, frame["w"] / frame["w"].mean(), rtol=1e-6)
    assert encoder.weights(frame.with_columns(w=1e308)).tolist() == [1.0] * N  # type: ignore
    assert fitted(mixed()).weights(mixed()) is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, -1], ["'w'", "row 2", "-1"]),
        ([1, None], ["row 2", "missing"]),
        ([1, float("inf")], ["row 2", "inf"]),
        ([0, 0], ["all weights", "0"]),
        (["1", "x"], ["row 2", "'x'"]),
    ],
)
def test_bad_weights(values, words):
    frame = mixed().with_columns(w=pl.Series(RNG.random(N)))
    encoder = fitted(frame, weight="w")
    with pytest.raises(InputError) as caught:
        encoder.weights(pl.DataFrame({"w": pl.Series(values, strict=False)}))
    for word in words:
        assert word in str(caught.value)


def test_groups_and_times_for_splits():
    days = [f"{1 + i % 9}.02.2024" for i in range(N)]
    frame = pl.DataFrame({"g": cycle(["b", "a"]), "t": days, "x": RNG.normal(size=N)})
    frame = frame.with_columns(y=pl.Series(cycle(["u", "v"])))
    schema = infer_schema(frame, "y", group="g", time="t")
    assert group_numbers(frame, "g")[:3].tolist() == [1, 0, 1]
    times = time_numbers(frame, schema)
    assert times is not None
    assert (np.diff(times[:9]) == 86_400).all()
    with pytest.raises(InputError, match="row 1"):
        group_numbers(frame.with_columns(g=pl.lit(None)), "g")
    with pytest.raises(InputError, match="'t'"):
        time_numbers(frame.with_columns(t=pl.lit("x")), schema)


def test_knots_of_few_values_are_all_of_them_and_of_very_few_there_are_none():
    values = np.concatenate([np.repeat([3.0, -1.0, 7.0], [90, 5, 5]), np.arange(37)])
    scaled = np.unique(fit_scale(values).apply(values)).astype(np.float32)
    assert np.array_equal(np.unique(fit_scale(values).knots), scaled)
    assert np.ptp(fit_scale(np.arange(100) % 16).knots) == 0


def test_knots_are_quantiles_where_values_are_all_different():
    values = np.random.default_rng(0).gamma(2, size=5000)
    scale = fit_scale(values)
    expected = np.quantile(scale.apply(values), np.linspace(0, 1, KNOTS))
    np.testing.assert_allclose(scale.knots, expected, atol=0.02)
    assert scale.knots[-1] == np.float32(scale.apply(values).max())


def test_knots_do_not_all_go_to_a_value_that_most_rows_have():
    values = np.concatenate([np.zeros(9000), np.arange(1.0, 1001)])
    assert len(np.unique(fit_scale(values).knots)) > KNOTS / 2


def test_knots_of_an_encoder_belong_to_its_numeric_columns():
    rng = np.random.default_rng(0)
    times = pl.datetime_range(dt.datetime(2020, 1, 1), dt.datetime(2020, 12, 30), "1d", eager=True)
    frame = pl.DataFrame({"when": times, "x": rng.random(365), "y": rng.random(365)})
    encoder = fit_encoder(frame, infer_schema(frame, "y"), np.arange(365))
    features = encoder.transform(frame)
    assert encoder.knots.shape == (features.numeric.shape[1], KNOTS)
    flat = np.ptp(encoder.knots, axis=1) == 0
    circles = np.array([n.endswith(("sin", "cos")) for n in encoder.names.numeric])
    assert np.array_equal(flat, circles)
    ends = features.numeric[:, ~flat].min(0), features.numeric[:, ~flat].max(0)
    np.testing.assert_allclose(encoder.knots[~flat][:, [0, -1]].T, ends, rtol=1e-6)


def test_sums_around_one_value_are_numbers_with_bins_and_have_codes():
    """As a tax table's: most rows 0, the others one of few sums that are far apart."""
    rng = np.random.default_rng(0)
    sums = np.array([500.0, 2174.0, 5178.0, 7688.0, 15024.0, *np.arange(16000.0, 99000.0, 2000.0)])
    values = np.where(rng.random(4000) < 0.8, 0.0, rng.choice(sums, 4000))
    levels, _ = fit_levels(pl.Series(values))
    assert spiked(pl.Series(values), levels)
    record = fit_record(pl.Series("gain", values), "numeric")
    assert len(record.slots.numeric) == len(record.slots.codes) == 1
    assert record.scales[0] is not None
    # Counts have values that follow each other, and measurements hardly one twice.
    for other in (rng.poisson(0.4, 4000), np.where(values > 0, rng.normal(size=4000), 0.0)):
        found = pl.Series(other.astype(float))
        assert not spiked(found, fit_levels(found)[0])
        assert not fit_record(found.alias("x"), "numeric").slots.codes
