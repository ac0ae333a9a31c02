"""The accuracy benchmark's report: ranks without popnet's nets alone, and distances to boosters."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def standings(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.standings")


def _result(seed: int = 0, **metrics: float) -> dict[str, Any]:
    return {"seed": seed, "rows": 100, "test_rows": 20, "seconds": 1.0, "MB": 1.0, **metrics}


FOUND = {
    "phoneme": {
        "popnet": {0: _result(accuracy=0.90, log_loss=0.30)},
        "popnet-nets": {0: _result(accuracy=0.91, log_loss=0.31)},
        "lightgbm-tuned": {0: _result(accuracy=0.92, log_loss=0.29)},
        "xgboost-tuned": {0: _result(accuracy=0.89, log_loss=0.32)},
        "hgb": {0: _result(accuracy=0.905, log_loss=0.33)},
    },
    "california": {
        "popnet": {0: _result(rmse=90.0)},
        "popnet-nets": {0: _result(rmse=110.0)},
        "lightgbm-tuned": {0: _result(rmse=100.0)},
        "xgboost-tuned": {0: _result(rmse=120.0)},
        "hgb": {0: _result(rmse=100.0)},
    },
}


def test_how_far_popnet_and_its_nets_are_behind(standings: Any) -> None:
    lines = standings.behind(FOUND, ["lightgbm-tuned", "xgboost-tuned"])
    assert {n: {o: (s, round(g, 6)) for o, (s, g) in by.items()} for n, by in lines.items()} == {
        "phoneme": {"popnet": ("lightgbm-tuned", 2.0), "popnet-nets": ("lightgbm-tuned", 1.0)},
        "california": {"popnet": ("lightgbm-tuned", -10.0), "popnet-nets": ("lightgbm-tuned", 10.0)},
    }  # fmt: skip
    text = standings.behind_tuned(FOUND)
    assert "popnet at most +2.00 points of accuracy (phoneme)" in text
    assert "popnet-nets at most +10.00 % of RMSE (california)" in text


def test_a_failure_is_not_a_distance(standings: Any) -> None:
    failed = {"phoneme": {**FOUND["phoneme"], "popnet": {0: {"seed": 0, "error": "no"}}}}
    assert set(standings.behind(failed, ["hgb"])["phoneme"]) == {"popnet-nets"}


def test_how_often_popnet_is_worse_than_hgb(standings: Any) -> None:
    assert standings.worse_than_hgb(FOUND) == (
        "popnet is worse than hgb on 1 of 2 tables (phoneme +0.50 points of accuracy). "
        "popnet-nets is worse than hgb on 1 of 2 tables (california +10.00 % of RMSE)."
    )


def test_the_nets_alone_have_no_part_in_the_ranks(standings: Any) -> None:
    systems = list(FOUND["phoneme"])
    text = standings.report(FOUND, systems, dict.fromkeys(systems, "1"))
    ranks = text.split("### All tables")[1].split("###")[0]
    lines = [line.split("|")[1:3] for line in ranks.splitlines() if line.startswith("|")][2:]
    assert [(name.strip(), rank.strip()) for name, rank in lines] == [
        ("lightgbm-tuned", "1.75"), ("popnet", "2.00"), ("hgb", "2.25"), ("xgboost-tuned", "4.00"),
    ]  # fmt: skip
    assert "in popnet's place its mean rank by error would be 2.50 (2 tables)" in ranks
    assert "popnet-nets" in text.split("### At a glance")[1].split("###")[0]
