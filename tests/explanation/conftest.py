"""A table with columns of every kind, and models of its two targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from popnet import Model, Recipe
from popnet.fitting.run import fit
from popnet.model.folder import write_folder
from popnet.options import Options

RECIPE = Recipe(depth=1, width=8, batch_size=32, epochs=15)


def make_table(rows: int = 240) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    size, noise = rng.standard_normal((2, rows)).round(2)
    colour = rng.choice(["red", "green", "blue"], rows)
    member = rng.choice([True, False], rows)
    day = np.datetime64("2024-01-01") + rng.integers(0, 700, rows)
    score = size + (colour == "red") + 0.5 * member
    return pl.DataFrame(
        {
            "size": [None if x < -1.8 else x for x in size],
            "noise": noise,
            "colour": colour,
            "member": member,
            "joined": day.astype("datetime64[us]"),
            "rooms": rng.integers(1, 5, rows),
            "bought": np.where(score > 0.6, "yes", "no"),
            "price": 100 + 5 * score,
        }
    )


@pytest.fixture(scope="session")
def table() -> pl.DataFrame:
    return make_table()


def fitted(table: pl.DataFrame, target: str) -> Model:
    drop = ("price",) if target == "bought" else ("bought",)
    return fit(table, target, Options(members=2, folds=2, recipe=RECIPE, drop=drop, trees="hist")).model  # fmt: skip


@pytest.fixture(scope="session")
def classifier(table) -> Model:
    return fitted(table, "bought")


@pytest.fixture(scope="session")
def regressor(table) -> Model:
    return fitted(table, "price")


@pytest.fixture(scope="session")
def folder(classifier, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("explained") / "bought.popnet"
    write_folder(place, classifier)
    return place


@pytest.fixture(scope="session")
def csv(table, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("explained") / "table.csv"
    table.write_csv(path)
    return path
