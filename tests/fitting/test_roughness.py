"""How fast a target changes along a table's numbers, and what is tried where it does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from popnet import Dataset, Recipe
from popnet.data.dataset import Features, StoredFeatures, stored_type
from popnet.data.row_file import RowFile
from popnet.fitting.plan import FitPlan
from popnet.fitting.plan_table import has_periods, plan_table, planned_space
from popnet.fitting.roughness import FASTEST, SLOWEST, explained, roughness
from popnet.fitting.run import prepare
from popnet.options import Options
from popnet.population.feed import Arrays
from popnet.population.train import Trainer
from popnet.runtime.progress import Progress
from popnet.tuning.space import portfolio
from popnet.tuning.space.table_space import default_space, table_space
from popnet.tuning.space.user_space import dimensions

ROWS = 6000
X = np.random.default_rng(0).standard_normal((ROWS, 5)).astype(np.float32)
NOISE = 0.3 * np.random.default_rng(1).standard_normal(ROWS)
ALL = np.arange(ROWS)


def steps(width: float, x: np.ndarray = X) -> np.ndarray:
    return np.floor(x[:, 0] / width) % 2 + np.floor(x[:, 1] / width) % 2 + NOISE


def smooth() -> np.ndarray:
    return np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + NOISE


def regression(y: np.ndarray, x: np.ndarray = X) -> Dataset:
    return Dataset.from_arrays(x, (y - y.mean(0)) / y.std(0), "regression")


def scale(y: np.ndarray, seed: int = 0) -> float:
    found = roughness(regression(y), ALL, seed)
    return 0.0 if found is None else found.scale


def test_narrower_steps_have_a_larger_scale():
    scales = [scale(steps(width)) for width in (0.6, 0.1, 0.03)]
    assert SLOWEST <= scales[0] < scales[1] < scales[2] <= FASTEST


@pytest.mark.parametrize("seed", range(4))
def test_smooth_targets_and_noise_have_none_at_any_seed(seed):
    assert scale(smooth(), seed) == 0
    assert scale(NOISE, seed) == 0
    assert scale(X @ np.arange(5) + NOISE, seed) == 0


def test_the_columns_are_named_and_a_chessboard_is_seen_too():
    found = roughness(regression(np.floor(X[:, 3] / 0.3) % 2 + NOISE), ALL, 0)
    assert found is not None
    assert 3 in found.columns
    chess = (np.floor(X[:, 1] / 0.4) + np.floor(X[:, 4] / 0.4)) % 2 + NOISE
    found = roughness(regression(chess), ALL, 0)
    assert found is not None
    assert found.columns == (1, 4)


def test_the_order_of_columns_and_the_scale_of_targets_do_not_matter():
    y = steps(0.1)
    assert scale(y) == scale(10 * y + 3)
    order = [3, 1, 4, 2, 0]
    found = roughness(regression(y, X[:, order]), ALL, 0)
    assert found is not None
    assert found.scale == scale(y)
    assert set(found.columns) & {1, 4}  # where columns 0 and 1 are now


def test_the_same_seed_finds_the_same():
    data = regression(steps(0.3))
    assert roughness(data, ALL, 1) == roughness(data, ALL, 1)


def test_only_training_rows_are_read():
    y = smooth()
    half = ROWS // 2
    y[half:] = steps(0.3)[half:]
    data = regression(y)
    assert roughness(data, ALL[:half], 0) is None
    assert roughness(data, ALL[half:], 0) is not None


def test_classes_and_several_targets():
    place = np.floor(X[:, 0] / 0.2).astype(int)
    for classes in (2, 100):
        found = roughness(Dataset.from_arrays(X, place % classes, "classification"), ALL, 0)
        # A hundred classes are as many intervals: that is finer than what a slow period follows, too.
        assert found is not None
        assert 0 in found.columns
    both = regression(np.stack([smooth(), steps(0.1)], axis=1))
    assert roughness(both, ALL, 0) is not None
    assert roughness(regression(np.stack([smooth()] * 9, axis=1)), ALL, 0) is None


def test_row_weights_categories_and_flags_are_no_obstacle():
    y = steps(0.1)
    rng = np.random.default_rng(2)
    features = Features(
        X, rng.integers(0, 2, (ROWS, 2)).astype(np.uint8),
        rng.integers(0, 4, (ROWS, 2)).astype(np.int32), (4, 50),
    )  # fmt: skip
    data = replace(regression(y), features=features, weights=np.ones(ROWS, np.float32))
    assert roughness(data, ALL, 0) is not None


def test_rows_that_lie_in_a_file_give_the_same():
    data = regression(steps(0.1))
    file = RowFile(stored_type(X.shape[1], 0, 0))
    rows = np.empty(ROWS, file.dtype)
    rows["numeric"] = X
    file.append(rows)
    stored = replace(data, features=StoredFeatures(file, (), None))
    found = roughness(stored, ALL, 0)
    assert found is not None
    assert found == roughness(data, ALL, 0)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (X[:20], NOISE[:20]),
        (X[:, :0], NOISE),
        (np.ones_like(X), NOISE),
        (np.concatenate([np.ones_like(X), X], axis=1), NOISE),
        (np.tile(X, (1, 40)), NOISE),  # more columns than there are periodic embeddings of
        (X, X[:, 0].astype(float)),  # nothing is left by a linear model
    ],
)
def test_where_nothing_can_be_said_nothing_is_found(x, y):
    assert roughness(regression(y, x), np.arange(len(y)), 0) is None
    constant = Dataset.from_arrays(x, np.zeros((len(x), 1)), "regression")
    assert roughness(constant, np.arange(len(y)), 0) is None


def test_explained_shares_are_without_bias():
    """Of pure noise cells explain nothing, however few rows they have: within four standard errors."""
    rng = np.random.default_rng(3)
    x, rest = rng.random((4000, 1)), rng.standard_normal((4000, 1))
    for width in (0.5, 0.01, 0.001):
        share, error = explained(x, rest, width)
        assert abs(share) < 4 * error
    share, _ = explained(x, np.sign(x - 0.5), 0.01)
    assert share == pytest.approx(1, abs=0.02)


# --- what is tried ------------------------------------------------------------------------------------


def test_fast_periods_come_right_after_the_default_recipe_and_cost_no_structure():
    slow, fast = table_space(6, 6000), table_space(6, 6000, fast=4.0)
    assert fast.shapes == slow.shapes
    (base, first, second, *others), (slow_base, *slow_others) = fast.known(), slow.known()
    assert base == slow_base
    assert others == slow_others
    assert (first.embedding_scale, second.embedding_scale) == (4.0, 12.0)
    assert {r.numeric_embedding for r in (first, second)} == {"periodic"}
    assert (first.embedding_quantiles, second.embedding_quantiles) == (True, False)
    assert max(r["embedding_scale"] for r in portfolio.fast(FASTEST)) == portfolio.FASTEST
    ranges = [next(d.range for d in s.dimensions if d.field == "embedding_scale") for s in (slow, fast)]  # fmt: skip
    assert [r.at(1.0) for r in ranges] == pytest.approx([3.0, 30.0])
    assert [r.at(0.0) for r in ranges] == pytest.approx([0.03, 0.03])


def test_what_a_user_fixed_stays():
    own = Recipe(numeric_embedding="piecewise")
    assert table_space(6, 6000, own, fast=4.0).known() == table_space(6, 6000, own).known()
    spread = table_space(6, 6000, Recipe(embedding_spread=2.0), fast=4.0)
    assert {r.embedding_spread for r in spread.known()} == {2.0}


@pytest.mark.parametrize(
    ("options", "periods"),
    [
        (Options(), True),
        (Options(time_limit=30.0), True),
        (Options(time_limit=20.0), False),  # one structure, which is not this
        (Options(recipe=Recipe(embedding_scale=0.1)), False),
        (Options(recipe=Recipe(numeric_embedding="none")), False),
        (Options(ranges=dimensions({"embedding_scale": [0.1, 1.0]})), False),
        (Options(ranges=dimensions({"dropout": [0.1, 0.2]})), True),
        (Options(search="grid"), False),
    ],
)
def test_whether_a_search_has_periods_to_choose(options: Options, periods: bool) -> None:
    knots = np.quantile(X, np.linspace(0, 1, 49), axis=0).T.astype(np.float32)
    features = replace(Features.from_numeric(X), knots=knots)
    data = replace(regression(smooth()), features=features)
    assert has_periods(planned_space(data, ROWS, options), options) == periods


@pytest.mark.parametrize(("rough", "search"), [(True, None), (True, "grid"), (False, None)])
def test_a_fit_is_planned_with_fast_periods_and_says_so_only_where_the_target_is_rough(rough, search):  # fmt: skip
    y = np.floor(X[:, 2] / 0.3) % 2 + NOISE if rough else smooth()
    frame = pl.DataFrame({f"x{i}": X[:, i] for i in range(5)} | {"y": y})
    options = Options(folds=2, test_size=0, members=4, search=search)
    table = prepare(frame, "y", options)
    told: list[Progress] = []
    trainer = Trainer(Arrays(table.data, table.data, table.folds), deadline=0.0)
    plan = plan_table(table, options, trainer, told.append)
    notes = [t.note for t in told if t.note is not None and "changes fast along" in t.note]
    expected = default_space(table.data, table.fold_rows)
    if rough and search is None:
        assert len(notes) == 1
        assert "x2" in notes[0]
        assert list(plan.notes) == notes
        assert plan.space.known()[1].embedding_scale >= SLOWEST
        assert len(plan.space.known()) == len(expected.known()) + 2
    else:
        assert not notes
        assert plan.space.to_json() == expected.to_json()
    assert FitPlan.from_json(plan.to_json()).notes == plan.notes
    old = {k: v for k, v in plan.to_json().items() if k != "notes"}  # of an earlier version
    assert FitPlan.from_json(old).space.to_json() == plan.space.to_json()
