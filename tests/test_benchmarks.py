"""The benchmarks, which take hours, at least import what there is, and read their results aright."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_a_benchmark_imports(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    try:
        importlib.import_module(f"benchmarks.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(("benchmarks", "popnet")):
            raise
        pytest.skip(f"needs {error.name}, of the extra 'bench'")


def test_the_time_to_match_is_that_of_the_first_run_as_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    match, tables = (importlib.import_module(f"benchmarks.{m}") for m in ("match", "tables"))
    runs = [
        {"log_loss": 0.3, "seconds": 5.0},
        {"log_loss": 0.2, "seconds": 10.0},
        {"log_loss": 0.1, "seconds": 20.0},
    ]
    systems = {
        "slow": {"log_loss": 0.2, "seconds": 40.0},
        "better": {"log_loss": 0.05, "seconds": 1.0},
        "broken": {"error": "out of memory"},
    }
    lines = match.lines_of(tables.KNOWN["phoneme"], systems, runs)
    assert lines == [
        ["phoneme", "slow", "0.2000", "40.0", "10.0 (0.2000)", "4.00"],
        ["phoneme", "better", "0.0500", "1.0", "not in 20 s (0.1000)", ""],
        ["phoneme", "broken", "failed", "", "", ""],
    ]
