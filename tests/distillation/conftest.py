"""Ensembles to learn from: one of classes, fitted to a file, and one that is a known function."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from popnet import Model, Recipe
from popnet.distillation import students, teaching
from popnet.fitting.run import Options, fit, prepare
from popnet.model import baselines
from popnet.model.folder import write_folder

ROWS = 300


class Ensemble(NamedTuple):
    """A model, its folder and the table that it was fitted to."""

    model: Model
    folder: Path
    table: Path


@pytest.fixture(scope="session")
def classes(tmp_path_factory) -> Ensemble:
    """Two classes, of columns of several kinds with missing values; scored on a test part."""
    rng = np.random.default_rng(0)
    size, colour = rng.standard_normal(ROWS), rng.choice(["red", "green", "blue"], ROWS)
    bought = np.where(size + (colour == "red") + 0.3 * rng.standard_normal(ROWS) > 0.3, "yes", "no")
    gaps = [
        None if g else round(v, 3)
        for g, v in zip(rng.random(ROWS) < 0.3, rng.random(ROWS), strict=True)
    ]
    frame = pl.DataFrame({"size": size, "gaps": gaps, "colour": colour, "bought": bought})
    folder = tmp_path_factory.mktemp("distil")
    frame.write_csv(folder / "bought.csv")
    recipe = Recipe(depth=1, width=8, batch_size=64, epochs=3, numeric_embedding="none")
    options = Options(members=2, folds=2, recipe=recipe, test_size=0.37, seed=3)
    model = fit(str(folder / "bought.csv"), "bought", options).model
    write_folder(folder / "m", model)
    return Ensemble(model, folder / "m", folder / "bought.csv")


@pytest.fixture(scope="session")
def line(tmp_path_factory) -> Ensemble:
    """A linear model of two numbers: a function that is known."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((ROWS, 2)).round(3)
    table = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": 3 * x[:, 0] - 2 * x[:, 1] + 10})
    folder = tmp_path_factory.mktemp("line")
    table.write_csv(folder / "line.csv")
    found = prepare(table, "y", Options())
    net = baselines.linear(found.data, found.train, 0)
    model = Model(found.schema, found.encoder, (net,), np.ones(1), "average", "rmse")
    write_folder(folder / "m", model)
    return Ensemble(model, folder / "m", folder / "line.csv")


@pytest.fixture
def short(monkeypatch):
    """Trainings of few steps, and few students, whatever the time."""
    monkeypatch.setattr(teaching, "MAX_STEPS", 120)
    monkeypatch.setattr(students, "EACH", 1)
    monkeypatch.setattr(students, "DEPTHS", (1,))
    monkeypatch.setattr(students, "CALLS", 2)
    monkeypatch.setattr(students, "WIDTHS", (32, 16, 8))
