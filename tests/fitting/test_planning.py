"""What is searched for a table, by its rows and the time that there is."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from popnet import Dataset, Recipe
from popnet.data.dataset import Features
from popnet.fitting.plan_table import ONE_KIND, plan_table, planned_space
from popnet.fitting.run import prepare
from popnet.options import Options
from popnet.population.feed import Arrays
from popnet.population.members import Result
from popnet.population.train import Trainer
from popnet.tuning.space.user_space import dimensions


@pytest.fixture(scope="module")
def data() -> Dataset:
    rng = np.random.default_rng(0)
    numeric = rng.standard_normal((500, 3)).astype(np.float32)
    knots = np.quantile(numeric, np.linspace(0, 1, 49), axis=0).T
    features = replace(Features.from_numeric(numeric), knots=knots)
    return Dataset(features, rng.integers(0, 2, 500), "classification", 2)


@pytest.mark.parametrize(
    ("seconds", "search", "rows", "shapes", "kinds"),
    [
        (None, None, 20_000, 3, True),
        (90.0, None, 20_000, 3, True),
        (60.0, None, 20_000, 3, False),  # known recipes first leave no time for others
        (60.0, None, 500, 3, True),
        (60.0, "random", 20_000, 3, True),  # who asks for a search gets one
        (45.0, "random", 20_000, 3, True),
        (44.0, None, 20_000, 2, False),
        (44.0, "random", 20_000, 2, False),
        (24.0, None, 20_000, 1, False),
        (20.0, None, 500, 1, True),
        (19.0, None, 500, 1, False),
        (
            60.0,
            None,
            900_000,
            1,
            False,
        ),  # with very many rows a net takes longer, and compiling no less
        (120.0, None, 900_000, 3, False),
        (120.0, None, 9_000_000, 1, False),
    ],
)
def test_kinds_and_structures_that_are_searched(
    data: Dataset, seconds: float | None, search: str | None, rows: int, shapes: int, kinds: bool
) -> None:
    space = planned_space(data, rows, Options(time_limit=seconds, search=search))
    assert len(space.shapes) == shapes
    assert space.fixes(*ONE_KIND) != kinds


def test_short_memory_and_the_users_own_ranges(data: Dataset) -> None:
    assert planned_space(data, 20_000, Options(), short=True).fixes(*ONE_KIND)
    own = Options(time_limit=10.0, ranges=dimensions({"activation": ["relu", "elu"]}))
    assert not planned_space(data, 20_000, own).fixes("activation")


def test_an_epoch_is_timed_also_when_only_the_time_for_the_end_is_left() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"a": rng.standard_normal(300), "y": rng.standard_normal(300)})
    recipe = Recipe(depth=1, width=8, numeric_embedding="none")
    options = Options(
        time_limit=10_000.0, folds=2, test_size=0, recipe=recipe
    )  # 201 s of it for the end
    table = prepare(frame, "y", options)
    over = time.monotonic()  # the end of training
    pilots: list[Result] = []
    trainer = Trainer(Arrays(table.data, table.data, table.folds), deadline=over)
    plan_table(table, options, trainer, lambda _: None, pilots.append)
    assert [r.epochs for r in pilots] == [1]
    assert pilots[0].usable
    assert trainer.deadline == over
