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


def test_kept_results_go_to_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    kept = importlib.import_module("benchmarks.kept")
    here, there, file = tmp_path / "here", tmp_path / "there", tmp_path / "results.jsonl"
    kept.keep(here / "adult" / "a.json", {"system": "lightgbm", "accuracy": 0.87})
    kept.keep(here / "bank" / "b.json", {"system": "popnet", "accuracy": 0.91})
    assert kept.pack(here, file, ["lightgbm"]) == 1
    kept.keep(there / "adult" / "c.json", {"system": "popnet", "accuracy": 0.9})
    assert kept.unpack(file, there) == 1
    assert kept.unpack(file, there) == 0  # what is there stays
    assert kept.kept(there / "adult" / "a.json") == {"system": "lightgbm", "accuracy": 0.87}
    assert kept.kept(there / "bank" / "b.json") is None


def test_published_scores_are_read_and_placed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    published = importlib.import_module("benchmarks.published")
    folder = tmp_path / "collections" / "reference_tables"
    folder.mkdir(parents=True)
    (folder / "cls_bin.md").write_text(
        "| Dataset | svm | tabpfn | mlp |\n| --- | --- | --- | --- |\n"
        "| bank_of_others | 0.1+0.0 | 0.1+0.0 | 0.1+0.0 |\n| bank | *0.90+0.01* | nan+nan | **0.92+0.01** |\n"
    )
    found = published.published("bank", tmp_path)
    assert found == {"svm": 0.90, "mlp": 0.92}
    assert published.line("bank", [0.90, 0.93], found, True)[1:3] == [
        "0.9150 (0.9000 to 0.9300)",
        "2 of 3",
    ]
    assert published.line("bank", [0.90], found, False)[2] == "1 of 3"
