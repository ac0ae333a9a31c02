"""Boosted trees of a fit: a baseline, members where they help, and left out where they are not wanted."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from popnet import Model, Recipe
from popnet.errors import InputError
from popnet.fitting import boosted_trees
from popnet.fitting.run import Fitted, Options, fit
from popnet.model.folder import write_folder
from popnet.trees import worker
from popnet.trees.sequence import TreesJob

QUICK = {"members": 2, "folds": 2, "workers": 1}
NET = Recipe(depth=1, width=8, epochs=2, norm="none", numeric_embedding="none")


def steps(rows: int = 600) -> pl.DataFrame:
    """Return a table whose target is a rough function of two columns, which trees find and small nets do not."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 8, (rows, 3))
    y = (np.floor(x[:, 0]) * 5 % 3) + (np.floor(x[:, 1]) * 7 % 4) + 0.1 * rng.normal(size=rows)
    kind = rng.choice(["a", "b", "c", "d"], rows)
    return pl.DataFrame(
        {
            "x": x[:, 0],
            "z": x[:, 1],
            "noise": x[:, 2],
            "kind": kind,
            "y": y + 2 * (kind == "c"),
            "class": np.where(y > 2.5, "high", "low"),
            "day": np.arange(rows),
            "weight": rng.uniform(0.5, 2, rows),
            "family": rng.integers(0, 60, rows),
        }
    )


TABLE = steps()
BY = ("day", "weight", "family")


def trees_of(target: str = "y", **more: object) -> Fitted:
    other = {"y": "class", "class": "y"}[target]
    used = {more.get(role) for role in ("time", "weight", "group")}
    drop = [other, *(name for name in BY if name not in used)]
    return fit(
        TABLE, target, Options(**{"recipe": NET, "trees": "hist", "drop": drop, **QUICK, **more})
    )


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return trees_of()


def test_trees_that_do_better_have_most_of_the_weight(fitted: Fitted) -> None:
    facts = fitted.facts
    assert facts.trees is not None
    assert facts.trees.weight > 0.5
    assert facts.trees.weight == pytest.approx(fitted.model.weights[len(fitted.model.nets) :].sum())
    assert facts.ensemble is not None
    assert facts.ensemble.nets_alone is not None
    assert facts.ensemble.score is not None
    assert facts.ensemble.score < facts.ensemble.nets_alone
    names = [b.name for b in facts.baselines]
    assert names == ["constant", "linear", "trees"]
    assert not facts.warnings


def test_the_baseline_is_the_mean_of_the_trees_of_all_folds(fitted: Fitted) -> None:
    trees = next(b for b in fitted.facts.baselines if b.name == "trees")
    linear = next(b for b in fitted.facts.baselines if b.name == "linear")
    assert trees.metrics["rmse"] < 0.7 * linear.metrics["rmse"]
    assert trees.gain is not None
    assert trees.gain[1] <= trees.gain[0] <= trees.gain[2]


def test_a_seed_determines_the_trees(fitted: Fitted) -> None:
    again, other = trees_of(), trees_of(seed=1)
    rows = TABLE.drop("y", "class")
    assert again.model.predict_frame(rows).equals(fitted.model.predict_frame(rows))
    assert not other.model.predict_frame(rows).equals(fitted.model.predict_frame(rows))


def test_a_folder_with_trees_predicts_as_the_fit_did(fitted: Fitted, tmp_path) -> None:
    write_folder(tmp_path / "m", fitted.model)
    loaded = Model.load(tmp_path / "m")
    rows = TABLE.drop("y", "class")
    found, expected = (m.predict_frame(rows, interval=0.9) for m in (loaded, fitted.model))
    assert found.equals(expected)


@pytest.mark.parametrize(
    "more", [{"trees": "none"}, {"trees": "auto"}, {"trees": "hist", "ensemble": "average"}]
)
def test_no_member_is_of_trees_where_nets_alone_are_asked_for(more: dict[str, str]) -> None:
    found = trees_of(**more)
    assert not found.model.trees
    there = "trees" in [b.name for b in found.facts.baselines]
    assert there == (found.facts.trees is not None) == (more["trees"] == "hist")


@pytest.mark.parametrize("target", ["y", "class"])
@pytest.mark.parametrize(
    "by", [{"time": "day"}, {"group": "family"}, {"weight": "weight"}, {"folds": 1}]
)
def test_trees_keep_to_parts_and_weights(target: str, by: dict[str, object]) -> None:
    found = trees_of(target, **by)
    assert found.facts.trees is not None
    assert found.facts.trees.score is not None
    assert not found.facts.warnings
    assert np.isfinite(found.facts.score)


def test_metrics_with_decisions_and_quantiles_take_trees() -> None:
    for target, metric in (
        ("class", "f1"),
        ("class", "roc_auc"),
        ("y", "pinball_90"),
        ("y", "mae"),
    ):
        found = trees_of(target, metric=metric)
        assert np.isfinite(found.facts.score)
        assert "trees" in [b.name for b in found.facts.baselines]


def test_without_a_test_part_trees_are_compared_out_of_fold() -> None:
    found = trees_of(test_size=0.0)
    trees = next(b for b in found.facts.baselines if b.name == "trees")
    assert found.facts.trees is not None
    assert trees.metrics["rmse"] == pytest.approx(found.facts.trees.score, rel=1e-6)


def test_trees_that_fail_leave_the_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path, job: TreesJob) -> None:
        (folder / "job.json").write_text("no job")

    monkeypatch.setattr(worker, "write", broken)
    found = trees_of()
    assert not found.model.trees
    assert any("boosted trees could not be fitted" in text for text in found.facts.warnings)


def test_files_of_the_current_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "numpy", "sklearn"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported by mistake')")
    monkeypatch.chdir(tmp_path)
    found = trees_of()
    assert found.facts.trees is not None
    assert not found.facts.warnings


def test_a_fit_that_is_stopped_begins_no_more_trees() -> None:
    stop = threading.Event()
    stop.set()
    found = fit(TABLE, "y", Options(trees="hist", **QUICK), stop=stop)
    assert found.facts.trees is None
    assert np.isfinite(found.facts.score)


def test_a_time_limit_too_short_for_anything_leaves_a_model() -> None:
    options = Options(trees="hist", time_limit=1.0, drop=["class", *BY])
    found = fit(TABLE, "y", options, began=time.monotonic())
    assert np.isfinite(found.facts.score)


def test_a_library_that_is_not_installed_is_said_before_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="LightGBM is not installed: pip install"):
        fit(TABLE, "y", Options(trees="lightgbm"))


def test_many_targets_and_images_have_no_trees() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    many = pl.DataFrame(
        {"a": x[:, 0], "b": x[:, 1]}
        | {f"t{i}": x[:, i % 2] + i for i in range(boosted_trees.MAX_TARGETS + 1)}
    )
    targets = [c for c in many.columns if c.startswith("t")]
    found = fit(many, targets, Options(trees="hist", recipe=NET, **QUICK))
    assert found.facts.trees is None
