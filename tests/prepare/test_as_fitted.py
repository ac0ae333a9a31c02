"""A model's data is read again as it was read for the fit, whatever was asked for then."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from popnet.data.tables.schema import infer_schema
from popnet.options import Options
from popnet.prepare.as_fitted import as_fitted

FRAME = pl.DataFrame({
    "number": np.arange(60), "text": [f"customer {k}" for k in range(60)], "a": np.sin(np.arange(60.0)),
    "b": np.cos(np.arange(60.0)), "group": np.arange(60) // 3, "when": np.arange(60)[::-1].copy(),
    "weight": np.ones(60), "y": np.arange(60) % 5,
})  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"drop": ("a",)},
        {"keep": ("text", "number")},
        {"weight": "weight", "group": "group", "drop": ("b", "text")},
        {"time": "when", "keep": ("number",), "task": "regression"},
        {"task": "multiclass", "weight": "weight"},
    ],
    ids=str,
)
def test_the_schema_is_the_same_again(asked):
    def schema(options):
        return infer_schema(
            FRAME, "y", task=options.task, weight=options.weight, group=options.group, time=options.time,
            drop=options.drop, keep=options.keep,
        )  # fmt: skip

    def read(found):
        roles = found.weight, found.group, found.time, found.target.task, found.target.classes
        return roles, [(c.name, c.kind, c.format, c.nulls) for c in found.features]

    first = schema(Options(**asked))
    again = schema(as_fitted(Options(), first))
    assert read(again) == read(first)
    assert read(schema(as_fitted(as_fitted(Options(), first), again))) == read(first)


def test_what_the_user_asks_for_now_goes_first():
    fitted = infer_schema(FRAME, "y", weight="weight", drop=["a"])
    options = as_fitted(Options(drop=("b",), group="group", image_size=(9, 9)), fitted, (32, 32))
    assert set(options.drop) == {"a", "b"}
    assert (options.weight, options.group, options.image_size) == ("weight", "group", (9, 9))
    assert "b" not in as_fitted(Options(drop=("b",)), fitted).keep
