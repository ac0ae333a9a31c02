"""Columns made of two others: what they hold, in Python and in an exported file, and what a folder keeps of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from export.models import draw
from popnet import Model, ModelError, Recipe
from popnet.data.tables.combinations import FURTHEST_SCALED, Combination, combined, unbounded
from popnet.data.tables.encode import fit_encoder
from popnet.data.tables.scale import Scale, fit_scale
from popnet.data.tables.schema import infer_schema
from popnet.fitting.run import Options, prepare

ROWS = 200
RNG = np.random.default_rng(0)
FRAME = pl.DataFrame({
    "a": RNG.normal(50, 5, ROWS), "b": RNG.normal(-2, 8, ROWS), "word": RNG.choice(["x", "y"], ROWS),
    "few": RNG.integers(0, 5, ROWS), "y": RNG.normal(0, 1, ROWS),
})  # fmt: skip
PLAIN = fit_encoder(FRAME, infer_schema(FRAME, "y"))
UNIT = Scale(centre=0.0, scale=1.0)


def made(operation, first="a", second="b", scale=UNIT):
    return Combination(operation=operation, first=first, second=second, scale=scale)


def in_plain_numpy(operation: str, frame: pl.DataFrame = FRAME) -> np.ndarray:
    """Return the same from the table itself: of scaled numbers, or of numbers in the table's units."""
    a, b = frame["a"].to_numpy(), frame["b"].to_numpy()
    if operation == "ratio":
        return a / b
    a, b = ((v - np.median(v)) / np.subtract(*np.quantile(v, [0.75, 0.25])) for v in (a, b))
    return {"sum": a + b, "difference": a - b, "product": a * b}[operation]


@pytest.mark.parametrize("operation", ["sum", "difference", "product", "ratio"])
def test_a_combination_is_that_of_the_table_s_numbers(operation):
    numeric = PLAIN.transform(FRAME).numeric
    columns = [
        (numeric[:, place], scale) for place, scale in (PLAIN.numbers["a"], PLAIN.numbers["b"])
    ]
    found = combined(operation, *columns)
    np.testing.assert_allclose(found, in_plain_numpy(operation), rtol=1e-3, atol=1e-5)
    scale = fit_scale(found)
    assert scale is not None
    encoder = PLAIN.model_copy(update={"combinations": (made(operation, scale=scale),)})
    out = encoder.combine(encoder.transform(FRAME))
    np.testing.assert_allclose(out.numeric[:, -1], scale.apply(found), rtol=1e-6)
    assert out.numeric.shape[1] == len(encoder.member_numbers) == numeric.shape[1] + 1
    assert out.knots.tolist() == encoder.member_knots.tolist()
    assert encoder.combine(out) is out


@given(st.floats(-1e9, 1e9), st.floats(-10, 10), st.floats(1e-3, 1e3))
def test_the_bound_is_undone(value, centre, scale):
    z = np.clip((value - centre) / scale, -FURTHEST_SCALED, FURTHEST_SCALED)
    encoded = Scale(centre=centre, scale=scale).apply(np.array([value])).astype(np.float32)
    assert unbounded(encoded)[0] == pytest.approx(z, rel=1e-3, abs=1e-5)


def test_a_ratio_to_zero_is_a_number():
    zero = (np.zeros(3, np.float32), Scale(centre=0.0, scale=2.0))
    assert combined("ratio", (np.ones(3, np.float32), UNIT), zero).tolist() == [0, 0, 0]


@pytest.mark.parametrize("column", ["word", "nobody"])
def test_combinations_are_of_columns_of_numbers(column):
    with pytest.raises(ValidationError, match=column):
        type(PLAIN)(
            columns=PLAIN.columns, target=PLAIN.target, combinations=(made("sum", second=column),)
        )


def test_missing_numbers_and_far_ones_are_finite():
    encoder = PLAIN.model_copy(
        update={"combinations": tuple(map(made, ("sum", "product", "ratio")))}
    )
    odd = FRAME.head(4).with_columns(
        a=pl.Series([None, 1e300, -np.inf, 0.0]), b=pl.Series([0.0, None, 1e-300, 5.0])
    )
    assert np.isfinite(encoder.combine(encoder.transform(odd)).numeric).all()


def test_a_folder_keeps_them_and_says_so_by_its_format(combined_model, tmp_path):
    combined_model.save(folder(tmp_path, "m"))
    content = json.loads((tmp_path / "m" / "model.json").read_text())
    assert content["format"] == 3
    assert [c["operation"] for c in content["encoder"]["combinations"]] == ["sum", "ratio"]
    back = Model.load(tmp_path / "m")
    assert back.encoder == combined_model.encoder
    rows = FRAME.drop("y")
    assert back.predict(rows).tolist() == combined_model.predict(rows).tolist()


def test_a_folder_without_them_is_as_it_was(plain_model, tmp_path):
    plain_model.save(folder(tmp_path, "m"))
    content = json.loads((tmp_path / "m" / "model.json").read_text())
    assert content["format"] == 1
    assert "combinations" not in content["encoder"]


def test_members_of_other_columns_are_refused(combined_model, plain_model, tmp_path):
    combined_model.save(folder(tmp_path, "m"))
    plain_model.save(folder(tmp_path, "n"))
    (tmp_path / "m" / "model.json").write_bytes((tmp_path / "n" / "model.json").read_bytes())
    with pytest.raises(ModelError):
        Model.load(tmp_path / "m")


def folder(home, name):
    (home / name).mkdir()
    return home / name


@pytest.fixture(scope="module")
def plain_model():
    return _model(())


@pytest.fixture(scope="module")
def combined_model():
    return _model((made("sum"), made("ratio")))


def _model(combinations):
    table = prepare(FRAME, "y", Options())
    encoder = table.encoder.model_copy(update={"combinations": combinations})
    net = draw(Recipe(depth=1, width=4), replace(table, encoder=encoder), 0)
    return Model(table.schema, encoder, (net,), np.ones(1), "greedy", "rmse")
