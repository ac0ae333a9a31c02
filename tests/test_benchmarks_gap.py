"""Where a peer is ahead: groups, rules and splits are found where they are known to lie."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.gap_groups")


@pytest.fixture
def trees(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.tree_splits")


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.peers_trees")


def _made(rows: int = 4000) -> tuple[pd.DataFrame, np.ndarray]:
    """Return columns, and a difference of losses that is 1 on average where ``town`` is ``b``, and else 0."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=rows),
            "town": rng.choice(list("abcd"), rows),
            "flag": rng.choice([0, 1], rows),
            "other": np.where(rng.random(rows) < 0.1, np.nan, rng.random(rows)),
        }
    )
    return frame, (frame["town"] == "b").to_numpy() * 1.0 + rng.normal(size=rows)


def test_the_group_with_the_gap_is_found_and_no_other(groups: Any) -> None:
    frame, difference = _made()
    found = groups.column_groups(frame, difference)
    certain = [g for g in found if g.low > 0 and g.mean > 2 * difference.mean()]
    assert [(g.column, g.values) for g in certain] == [("town", "b")]
    best = found[0]
    assert best == certain[0] or best.adds >= certain[0].adds
    assert certain[0].low < 1.0 < certain[0].high
    assert certain[0].adds == pytest.approx(difference[frame["town"] == "b"].sum() / len(frame))


def test_without_a_gap_no_group_is_certain(groups: Any) -> None:
    frame, _ = _made()
    wrong = 0
    for seed in range(20):
        noise = np.random.default_rng(100 + seed).normal(size=len(frame))
        wrong += any(g.low > 0 or g.high < 0 for g in groups.column_groups(frame, noise))
    assert wrong <= 4  # one expected: the intervals hold for all groups together in 95 %


def test_groups_of_values_divide_the_rows(groups: Any) -> None:
    frame, _ = _made()
    for name in frame.columns:
        rows = np.stack([rows for _, rows in groups.value_groups(frame[name])])
        assert (rows.sum(0) == 1).all(), name
    rare = pd.Series(["a"] * 100 + [f"r{i}" for i in range(40)])
    assert [words for words, _ in groups.value_groups(rare)] == ["a", "40 rare levels together"]


def test_the_rule_with_the_gap_is_found(groups: Any) -> None:
    frame, difference = _made()
    both = (
        ((frame["town"] == "b") & (frame["size"] > 0)).to_numpy() * 3.0
        + difference
        - (frame["town"] == "b")
    )
    found = groups.rules(frame, both, depth=2)
    assert "town is b" in found[0].values
    assert "size >" in found[0].values
    assert found[0].low > 2.0
    assert all(g.low < 0.3 for g in found[1:])


def test_a_rule_in_words_says_the_narrowest_bounds(groups: Any) -> None:
    above = [("a", None, False, 1.0), ("b", "x", True, 0.5), ("a", None, False, 2.0)]
    conditions = [*above, ("a", None, True, 9.0)]
    assert groups.in_words(conditions) == "a > 2 and b is not x and a <= 9"
    assert groups.in_words([]) == "all rows"


def test_rows_that_were_trained_on_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    gap = importlib.import_module("benchmarks.gap")
    train = pd.DataFrame({"a": [1.0, 2.0, np.nan], "b": ["x", "y", "z"]})
    test = pd.DataFrame({"a": [2.0, 2.0, np.nan], "b": ["x", "y", "z"]})
    assert gap.is_repeated(train, test).tolist() == [False, True, True]


def test_losses_of_rows(groups: Any) -> None:
    p = np.array([[0.5, 0.5], [0.2, 0.8]])
    assert groups.row_losses(np.array([0, 1]), p) == pytest.approx(-np.log([0.5, 0.8]))
    assert groups.row_losses(np.array([1, 0]), p, "error").tolist() == [1.0, 1.0]
    numbers = groups.row_losses(np.array([1.0, 2.0]), np.array([3.0, 2.0]))
    assert numbers.tolist() == [4.0, 0.0]


def test_the_most_extreme_rows_are_left_out(groups: Any) -> None:
    values = np.array([1.0, -500.0, 2.0, 3.0, 400.0])
    assert sorted(groups.without_extremes(values)) == [1.0, 2.0, 3.0, 400.0]
    assert sorted(groups.without_extremes(values, 0.4)) == [1.0, 2.0, 3.0]


def test_a_bootstrap_interval_is_that_of_the_mean(groups: Any) -> None:
    values = np.random.default_rng(0).normal(1.0, 2.0, 400)
    low, high = groups.bootstrap_interval(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert low == pytest.approx(values.mean() - half, abs=0.04)
    assert high == pytest.approx(values.mean() + half, abs=0.04)


@pytest.mark.filterwarnings("ignore")  # of the libraries about their own options
@pytest.mark.parametrize("system", ["lightgbm", "xgboost", "catboost", "hgb"])
def test_the_splits_of_trees_say_what_they_ask_for(system: str, trees: Any, peers: Any) -> None:
    if system != "hgb":
        pytest.importorskip(system)
    rng = np.random.default_rng(0)
    n = 2000
    X = pd.DataFrame(
        {
            "c0": rng.random(n),
            "c1": rng.random(n),
            "c2": pd.Categorical(rng.choice(list("abc"), n)),
            "c3": rng.random(n),
        }
    )
    y = 4.0 * ((X["c3"] > 0.4) & (X["c1"] > 0.7)) + (X["c2"] == "b") + rng.normal(0, 0.1, n)
    job = peers.Job(system, "y", None, ["c2"], 0, 10.0, 0.0, 1)
    fitted = peers.BOOSTED[system](job, peers.Rows(X, y.to_numpy(), X))
    names = ["noise", "left", "town", "right"]
    splits = trees.splits_of(system, fitted, names)
    assert list(splits.columns) == trees.HEAD
    # CatBoost also asks for statistics of combined columns.
    assert {part for c in splits["column"] for part in c.split(" x ")} <= set(names)
    used = {u.column: u for u in trees.most_used(splits)}
    assert min(used["left"].share, used["right"].share, used["town"].share) > used["noise"].share
    assert used["right"].thresholds[0][0] == pytest.approx(0.4, abs=0.02)
    assert used["left"].thresholds[0][0] == pytest.approx(0.7, abs=0.02)
    roots = splits[splits["parent"] == ""]
    assert (roots.groupby("tree").size() == 1).all()


def test_columns_that_follow_each_other(trees: Any) -> None:
    lines = [(0, "", "a", 1.0, 1.0), (0, "a", "b", 1.0, 1.0), (0, "a", "b", 2.0, 1.0)]
    lines += [(1, "", "b", 1.0, 1.0), (1, "b", "a", 1.0, 1.0), (1, "a", "a", 1.0, 1.0)]
    splits = pd.DataFrame(lines, columns=trees.HEAD)
    # a is a parent of 3 of 4 and a child of 2 of 4, as is b of 1 and 2: by chance 3/8 + 1/8 of 4 are pairs
    assert trees.most_followed(splits) == [("a", "b", 3, 1.5)]
