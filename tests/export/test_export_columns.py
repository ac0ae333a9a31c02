"""The encoder as a graph gives what the encoder gives, to the bit but for a rounding of what dates become."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.models import FRAME, NEW, make_frame, prepared
from popnet.data.tables.columns import Categorical
from popnet.data.tables.markers import NULL_TOKENS
from popnet.errors import InputError
from popnet.export.columns import encode
from popnet.export.graph import Graph
from popnet.export.inputs import as_inputs, input_of
from popnet.export.run import session


class Encoding:
    """The encoder of a table, and its graph."""

    def __init__(self) -> None:
        self.encoder = prepared("two").encoder
        g = Graph()
        encoded = encode(g, self.encoder)
        for name, value, dtype in zip(
            ("numeric", "flags", "codes"),
            encoded[:3],
            (np.float32, np.float32, np.int64),
            strict=True,
        ):
            assert value is not None
            g.add_output(name, value, dtype, len(getattr(self.encoder.names, name)))
        self.session = session(g.model(18, {}).SerializeToString(), 1)

    def check(self, frame: pl.DataFrame) -> None:
        """Compare every column of a table."""
        own = self.encoder.transform(frame)
        found = self.session.run(None, as_inputs(self.encoder, frame))
        for name, values in zip(("numeric", "flags", "codes"), found, strict=True):
            expected = getattr(own, name)
            names = getattr(self.encoder.names, name)
            for i, column in enumerate(names):
                np.testing.assert_allclose(
                    values[:, i], expected[:, i], rtol=2e-7, atol=2e-7, err_msg=column
                )


@pytest.fixture(scope="module")
def encoding():
    return Encoding()


def test_every_kind_of_column_is_there(encoding):
    kinds = {r.kind for r in encoding.encoder.columns}
    assert kinds == {"numeric", "discrete", "boolean", "categorical", "datetime"}
    types = {r.name: input_of(r).type for r in encoding.encoder.columns}
    assert types["colour"] == "string"
    assert types["code"] == types["yes"] == types["euro"] == "double"
    assert types["when"] == types["day"] == "int64"


@pytest.mark.parametrize("frame", [FRAME, NEW], ids=["seen", "new"])
def test_rows_of_a_table(encoding, frame):
    encoding.check(frame)


NUMBERS = st.one_of(
    st.none(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-3, 140).map(float),
    st.sampled_from([0.0, -0.0, 1e-300, 1e300, -1e6]),
)
WORDS = st.one_of(
    st.none(), st.sampled_from(["red", "blue", "NA", "unknown", "", "?", "Red", " red"]), st.text(max_size=3)
)  # fmt: skip
TIMES = st.one_of(
    st.none(), st.datetimes(datetime.datetime(1000, 1, 1), datetime.datetime(9999, 12, 31))
)
KINDS = {
    **dict.fromkeys(
        ("plain", "gaps", "few", "few gaps", "spiked", "flag", "code", "euro"), NUMBERS
    ),
    "yes": st.sampled_from(["yes", "no", "YES", None, ""]),
    "truth": st.sampled_from([True, False, None]),
    **dict.fromkeys(("colour", "colour gaps", "town"), WORDS),
    "when": TIMES,
    "day": TIMES,
}
TYPES = {
    **dict.fromkeys(KINDS, pl.Float64),
    **dict.fromkeys(("yes", "colour", "colour gaps", "town"), pl.String),
    "truth": pl.Boolean,
    **dict.fromkeys(("when", "day"), pl.Datetime("us")),
}


@given(st.lists(st.fixed_dictionaries(KINDS), min_size=1, max_size=8))
def test_any_rows(encoding, rows):
    frame = pl.DataFrame(
        {name: pl.Series([r[name] for r in rows], dtype=TYPES[name]) for name in KINDS}
    )
    encoding.check(frame)


@given(
    st.lists(st.sampled_from(["7", "104", "104.0", "0104", "x", "NA", "", None, "1e2"]), min_size=1)
)
def test_numbers_that_are_categories_may_come_as_text(encoding, words):
    frame = FRAME.head(len(words)) if len(words) <= FRAME.height else FRAME
    code = pl.Series("code", words[: frame.height], dtype=pl.String)
    encoding.check(frame.with_columns(code))


@pytest.mark.parametrize("year", [*range(1890, 2110, 7), 1900, 2000, 2100, 1, 9999])
def test_every_day_of_a_year_has_its_parts(encoding, year):
    start = datetime.datetime(year, 1, 1, 23, 59, 59, 999_999)
    days = [start + datetime.timedelta(days=d) for d in range(365)]
    frame = make_frame(365).with_columns(pl.Series("when", days, dtype=pl.Datetime("us")))
    encoding.check(frame)


def categories(levels: tuple[str, ...], **fields: Any) -> Categorical:
    return Categorical(name="c", levels=levels, **{"numbers": False, "missing": True, **fields})


def test_a_missing_value_has_a_word_that_is_no_level():
    assert input_of(categories(("a", "b"))).missing == ""
    assert input_of(categories(("", "NA"))).missing == "N/A"
    with pytest.raises(InputError, match="Every word"):
        input_of(categories(NULL_TOKENS))
    with pytest.raises(InputError, match="no name"):
        input_of(categories(("a",)).model_copy(update={"name": ""}))


def test_long_numbers_stay_text():
    assert input_of(categories(("7", "1.5"), numbers=True)).type == "double"
    assert input_of(categories(("7", "9007199254740993"), numbers=True)).type == "string"
