"""Study and doctor at the command line: pages, records, and one sentence for what cannot be done."""

from __future__ import annotations

import gc
import json
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from popnet.cli.status_line import Watcher
from popnet.errors import InputError
from popnet.runtime.atomic_file import atomic_file
from popnet.runtime.progress import Progress

RECIPE = "depth = 1\nwidth = 8\nbatch_size = 32\nepochs = 3\nnumeric_embedding = 'none'\n"


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with a table: `leak` gives the target away, `number` numbers the rows."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.standard_normal((200, 3)), columns=["a", "b", "c"]).round(5)
    bought = frame.a + 0.5 * frame.b + 0.4 * rng.standard_normal(200) > 0
    frame["leak"] = (bought * 2 - 1 + 0.05 * rng.standard_normal(200)).round(5)
    frame.insert(0, "number", np.arange(200) + 1001)
    frame["bought"] = np.where(bought, "yes", "no")
    frame.to_csv(tmp_path / "table.csv", index=False)
    frame.assign(c=frame.c + 3).to_csv(tmp_path / "moved.csv", index=False)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_study_writes_a_page_and_a_table(run, here):
    out, _ = run(
        "study", "table.csv", "-t", "bought", "-f", "dropout=0,0.9", "-f", "seed", "--pairs", "3",
        "--recipe", "recipe.toml", "--workers", "1",
    )  # fmt: skip
    assert "page    study.html" in out
    assert out.startswith("On table.csv (200 rows) the baseline net has a log-loss of")
    assert "dropout: 0.9 instead of" in out
    assert out.index("dropout: 0.9") < out.index("How this was measured:")
    page = (here / "study.html").read_text()
    assert "dropout" in page
    assert "<span>study</span> <span>table.csv</span> <span>-t</span> <span>bought</span>" in page
    lines = (here / "study.csv").read_text().splitlines()
    assert lines[0].startswith("factor,base,level")
    assert len(lines) >= 3
    assert sorted(p.name for p in here.iterdir()) == [
        "moved.csv", "recipe.toml", "study.csv", "study.html", "table.csv",
    ]  # fmt: skip


def test_study_as_json_prints_one_object(run, here):
    out, _ = run(
        "study", "table.csv", "-t", "bought", "-f", "l2=0.5", "--pairs", "3", "--recipe", "recipe.toml",
        "--workers", "1", "--json", "--out", "page.html",
    )  # fmt: skip
    found = json.loads(out)
    assert found["page"] == "page.html"
    assert [e["level"] for e in found["effects"]] == ["l2 0.5"]
    assert found["effects"][0]["gain"]["low"] <= found["effects"][0]["gain"]["high"]


def test_doctor_finds_what_was_planted(run, here):
    out, _ = run(
        "doctor", "table.csv", "-t", "bought", "--recipe", "recipe.toml", "--no-prove", "--workers", "1", "--json"
    )  # fmt: skip
    found = json.loads(out)["findings"]
    by_rule = {f["rule"]: f for f in found}
    assert by_rule["target_leakage"]["columns"] == ["leak"]
    assert "number" in by_rule["identifiers"]["columns"]
    assert "leak" in (here / "doctor.html").read_text()


def test_doctor_of_a_model_knows_its_data_and_new_data(run, here):
    run(
        "fit", "table.csv", "-t", "bought", "-o", "model", "--recipe", "recipe.toml", "--members", "2",
        "--folds", "2", "--workers", "1", "--drop", "leak",
    )  # fmt: skip
    out, _ = run("doctor", "model", "--against", "moved.csv", "--workers", "1", "--json")
    found = json.loads(out)
    assert found["shift"]["shifted"]
    assert found["shift"]["columns"][0] == "c"
    assert "leak" not in found["shift"]["columns"]
    assert any("was" in n and "on the new data" in n for n in found["notes"])
    out, _ = run("doctor", "model", "--no-prove", "--workers", "1", "--overwrite")
    assert "rules were applied" in out
    (here / "table.csv").rename(here / "elsewhere.csv")
    _, err = run("doctor", "model", "--overwrite", fails=2)
    assert "--data" in err
    out, _ = run(
        "doctor", "model", "--data", "elsewhere.csv", "--no-prove", "--workers", "1", "--overwrite"
    )
    assert "rules were applied" in out


CHEAP = {
    "study": "study table.csv -t bought -f l2=0.5 --pairs 3 --recipe recipe.toml --workers 1",
    "doctor": "doctor table.csv -t bought --recipe recipe.toml --workers 1",
    "claims": "claims --only sigmoid --only tanh --workers 1",
}


@pytest.mark.parametrize("command", CHEAP)
def test_a_page_that_exists_is_replaced_only_if_asked(run, here, command):
    page = here / f"{command}.html"
    page.write_text("earlier")
    out, err = run(*CHEAP[command].split(), fails=2)
    assert out == ""
    assert (
        err == f"popnet: {page.name} exists already; choose another --out, or give --overwrite.\n"
    )
    assert page.read_text() == "earlier"


@pytest.fixture(autouse=True)
def ends_here(monkeypatch):
    """Let the process stay where Ctrl-C ends it."""
    monkeypatch.setattr("popnet.cli.interrupts.os._exit", sys.exit)


@pytest.fixture
def ctrl_c(monkeypatch):
    """Press Ctrl-C when progress says that so much is done."""

    def press(done: int) -> None:
        shown = Watcher.__call__

        def watch(self: Watcher, p: Progress) -> None:
            shown(self, p)
            if p.stage in CHEAP and not p.note and p.done == done:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(Watcher, "__call__", watch)

    return press


def test_ctrl_c_before_anything_is_found_writes_nothing(run, here, monkeypatch):
    def read(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the work went on")

    for home in ("ablation.run", "diagnosis.run", "course.run"):
        monkeypatch.setattr(f"popnet.{home}.prepare_source", read)
    before = sorted(here.iterdir())
    for words in (*list(CHEAP.values())[:2], "claims table.csv -t bought --workers 1"):
        out, err = run(*words.split(), fails=130)
        assert (out, err) == ("", "popnet: interrupted; nothing was written\n")
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize("command", ["doctor", "claims"])
def test_ctrl_c_ends_with_a_page_of_what_was_found(run, here, ctrl_c, command):
    ctrl_c(1)
    out, err = run(*CHEAP[command].split(), fails=130)
    assert err == f"popnet: interrupted; {command}.html shows what was found until then\n"
    assert f"page    {command}.html" in out
    page = (here / f"{command}.html").read_text().lower()
    assert "interrupted before all rules" in page or "skipped: the run was interrupted" in page


def test_ctrl_c_before_a_study_has_pairs_enough_writes_nothing(run, here, ctrl_c):
    ctrl_c(1)
    out, err = run(*CHEAP["study"].split(), fails=130)
    assert (out, err) == ("", "popnet: interrupted; nothing was written\n")
    assert not (here / "study.html").exists()


def test_ctrl_c_while_the_page_is_written_leaves_no_half_of_it(run, here, monkeypatch):
    def write(document: object, path: Path) -> None:
        with atomic_file(path) as file:
            file.write(b"half")
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            pytest.fail("the work went on")

    monkeypatch.setattr("popnet.report.html.write_document", write)
    before = sorted(here.iterdir())
    out, err = run(
        "doctor", "table.csv", "-t", "bought", "--against", "moved.csv", "--workers", "1", fails=130
    )
    assert (out, err) == ("", "popnet: interrupted; nothing was written\n")
    assert sorted(here.iterdir()) == before


def test_ctrl_c_is_not_lost_in_a_callback(run, here, monkeypatch):
    """Exceptions that are raised in callbacks of the garbage collector are ignored."""

    def press(*_: object) -> None:
        gc.callbacks.remove(press)
        signal.raise_signal(signal.SIGINT)

    def read(*_: object) -> None:
        gc.callbacks.append(press)
        gc.collect()
        ended.append(True)
        raise SystemExit(130)

    ended: list[bool] = []
    monkeypatch.setattr("popnet.cli.interrupts.os._exit", lambda status: ended.append(status))
    monkeypatch.setattr("popnet.course.run.prepare_source", read)
    _, err = run("claims", "table.csv", "-t", "bought", "--workers", "1", fails=130)
    assert ended[0] == 130
    assert err.startswith("popnet: interrupted; nothing was written\n")


def test_a_second_ctrl_c_stops_at_once(run, here, monkeypatch):
    def twice(self: Watcher, p: Progress) -> None:
        self.done = 1
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the work went on")

    monkeypatch.setattr(Watcher, "__call__", twice)
    out, err = run(*CHEAP["claims"].split(), fails=130)
    assert (out, err) == ("", "popnet: interrupted; nothing was written\n")
    assert not (here / "claims.html").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("study table.csv", "--target"),
        ("study table.csv -t bought -f dropuot", "dropout"),
        ("study table.csv -t bought -f dropout=7", "dropout"),
        ("study table.csv -t bought --pairs 1", "3 pairs"),
        ("study table.csv -t bought --detect much", "--detect"),
        ("study table.csv -t bought --sizes 0.1,3", "share of the rows"),
        ("study table.csv -t bought --metric auc", "metric must be"),
        ("study table.csv -t bought --out page.pdf", ".html"),
        ("study table.csv -t bought --out nowhere/page.html", "no folder"),
        ("study none.csv -t bought", "none.csv"),
        ("study table.csv -t bought --fix dropout=9", "dropout"),
        ("doctor table.csv", "--target"),
        ("doctor table.csv -t bougth", "bought"),
        ("doctor none.csv -t bought", "none.csv"),
        ("doctor table.csv -t bought --against none.csv", "none.csv"),
        ("doctor table.csv -t bought --out page", ".html"),
        ("doctor table.csv -t bought --time-limit 0", "time limit"),
        ("claims --out page", ".html"),
        ("claims --out nowhere/page.html", "no folder"),
        ("claims --only 18", "no claim '18'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(run, here, words, said):
    before = sorted(here.iterdir())
    out, err = run(*words.split(), fails=2)
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert sorted(here.iterdir()) == before


def test_a_study_does_not_replace_the_data_by_its_table(tmp_path):
    from popnet.cli.console import check_page

    data = tmp_path / "data.csv"
    data.write_text("x,y\n1,2\n")
    page = tmp_path / "data.html"
    for overwrite in (False, True):
        with pytest.raises(InputError, match="is the data itself"):
            check_page(page, overwrite, [page.with_suffix(".csv")], [str(data)])
    other = tmp_path / "study.html"
    other.with_suffix(".csv").write_text("old")
    with pytest.raises(InputError, match=r"study\.csv exists already"):
        check_page(other, False, [other.with_suffix(".csv")], [str(data)])
    check_page(other, True, [other.with_suffix(".csv")], [str(data)])
