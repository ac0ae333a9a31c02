"""Whatever fails while a file is written: the earlier one is whole, nothing is left behind, and a second run works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from inject import DENIED, FULL, INTERRUPT, MEMORY, Fault, content, faults

from popnet import Model
from popnet.data.row_file import RowFile
from popnet.errors import InputError
from popnet.model import folder as folders
from popnet.model.folder import write_folder
from popnet.report import html
from popnet.report.document import Document
from popnet.tuning.journal import Journal

KEPT = Path(__file__).parents[1] / "model" / "folders"
OLD, NEW = KEPT / "numbers-6652543", KEPT / "trees-6652543"
FAULTS = {"full disk": FULL, "permission": DENIED, "interrupt": INTERRUPT, "memory": MEMORY}


@dataclass(frozen=True)
class Writer:
    """Something that writes.

    Attributes:
        write: does it, into a folder.
        says: whether it says of a full disk what cannot be written, in a sentence.
    """

    write: Callable[[Path], object]
    says: bool = True


def model() -> Model:
    return Model.load(NEW)


PAGE = Document("popnet study", "A page", ("A line.",), None, (), "popnet study", "1", "now")

WRITERS = {
    "model folder": Writer(lambda home: write_folder(home / "m", model(), {"report.html": b"new"})),
    "Model.save": Writer(lambda home: model().save(home / "m"), says=False),
    "export": Writer(lambda home: model().export(home / "m.onnx")),
    "page": Writer(lambda home: html.write_document(PAGE, home / "study.html")),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a model, and with files of an earlier run."""
    home = tmp_path / "home"
    shutil.copytree(OLD, home / "m", ignore=shutil.ignore_patterns("rows*", "predictions*"))
    for name in ("m.onnx", "study.html", *(f"out{e}" for e in ENDINGS)):
        (home / name).write_bytes(b"earlier")
    return home


ENDINGS = (".csv", ".csv.gz", ".jsonl", ".parquet")


@pytest.mark.parametrize("name", WRITERS)
def test_every_change_may_fail(name, home):
    writer, before = WRITERS[name], content(home)
    with faults(home) as changes:
        writer.write(home)
    after = content(home)
    assert after != before
    assert changes.count("write") >= 1
    assert changes.count("fsync") >= 1
    for kind, fault in FAULTS.items():
        for place in range(len(changes)):
            restore(home, before)
            try:
                with faults(home, place, fault):
                    writer.write(home)
            except BaseException as error:
                assert_one_sentence(error, fault, writer.says)
                assert content(home) == before, (kind, place, changes[place])
            else:  # a folder that is there already need not be made
                assert changes[place] == "mkdir"
                assert content(home).keys() == after.keys()
    writer.write(home)
    assert content(home).keys() == after.keys()


def assert_one_sentence(error: BaseException, fault: Fault, says: bool) -> None:
    if fault in (INTERRUPT, MEMORY):
        assert type(error) is fault
    elif says:
        assert isinstance(error, InputError)
        assert "cannot be written" in str(error)
        assert "\n" not in str(error)
    else:
        assert isinstance(error, OSError)


def restore(home: Path, files: dict[str, bytes | None]) -> None:
    shutil.rmtree(home)
    home.mkdir()
    for name, data in files.items():
        if data is None:
            (home / name).mkdir()
        else:
            (home / name).write_bytes(data)


@pytest.mark.parametrize("ending", ENDINGS)
def test_predict_may_fail_at_every_change(ending, home, run, monkeypatch):
    command = ("predict", home / "m", OLD / "rows.csv", "--out", home / f"out{ending}")
    before, loaded = content(home), Model.load(home / "m")
    monkeypatch.setattr(Model, "load", lambda path: loaded)  # its programs are compiled once
    with faults(home) as changes:
        run(*command)
    for kind, fault in FAULTS.items() if ending == ".csv" else [("full disk", FULL)]:
        for place in range(len(changes)):
            restore(home, before)
            status = {INTERRUPT: 130, MEMORY: 1}.get(fault, 2)
            with faults(home, place, fault):
                _, said = run(*command, fails=status)
            if fault in (FULL, DENIED):
                assert said.startswith("popnet: ")
                assert "cannot be written" in said
            assert said.count("\n") == (0 if fault is INTERRUPT else 1), said
            assert content(home) == before, (kind, place, changes[place])
    run(*command)


def test_a_journal_that_cannot_be_written_costs_no_fit(home):
    for fault in (FULL, DENIED):
        said: list[str] = []
        journal = Journal(home / "m.run", warn=said.append)
        with faults(home, 0, fault):
            journal.same({"seed": 0})
        assert len(said) == 1
        assert "the run goes on without" in said[0]
        journal.close()
        assert not (home / "m.run").exists()


def test_no_place_for_temporary_rows_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(InputError, match="set TMPDIR to one that can be written"):
        RowFile(np.dtype("f4"))


KILL = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from inject import faults
from popnet.model import folder as folders
from popnet.runtime.atomic_file import write_together
if sys.argv[4] == "two moves":
    folders.exchange = lambda one, other: False
home, new = Path(sys.argv[2]), Path(sys.argv[3])
class Model:
    def save(self, folder):
        write_together(folder, {n: (new / n).read_bytes() for n in ("model.json", "weights.safetensors")})
place = 0
while True:
    child = os.fork()
    if child == 0:
        one = home / f"{place:02d}"
        with faults(one, place, lambda: os._exit(9), removals=True):
            folders.write_folder(one / "m", Model(), {"report.html": b"new"})
        os._exit(0)
    _, status = os.waitpid(child, 0)
    place += 1
    if os.waitstatus_to_exitcode(status) != 9:
        break
print(place)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are killed after a fork")
@pytest.mark.parametrize("how", ["one move", "two moves"])
def test_a_process_that_is_killed_leaves_a_whole_model(how, tmp_path):
    files = ("model.json", "weights.safetensors")
    old, new = ({n: (f / n).read_bytes() for n in files} for f in (OLD, NEW))
    for place in range(40):
        (tmp_path / f"{place:02d}" / "m").mkdir(parents=True)
        for n in files:
            (tmp_path / f"{place:02d}" / "m" / n).write_bytes(old[n])
    done = subprocess.run(
        [sys.executable, "-c", KILL, Path(__file__).parent, tmp_path, NEW, how],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    places, lost = int(done.stdout), 0
    assert 10 < places < 40
    for place in range(places):
        model = tmp_path / f"{place:02d}" / "m"
        if not model.exists():
            lost += 1
            with pytest.raises(InputError, match=r"the earlier model lies in .*\.m\.old: rename"):
                Model.load(model)
            folders.check_output(model, overwrite=True)  # as the next fit does
        found = {n: (model / n).read_bytes() for n in files}
        assert found == (new if place == places - 1 or (model / "report.html").exists() else old)
        write_folder(model, Model.load(NEW))
        assert [p.name for p in model.parent.iterdir()] == ["m"]
    assert lost == (1 if how == "two moves" else 0)


def test_a_fit_whose_model_cannot_be_saved_can_be_resumed(tmp_path, run, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(80)
    pl.DataFrame({"x": x, "y": x + 0.1 * rng.standard_normal(80)}).write_csv(tmp_path / "t.csv")
    out = tmp_path / "m"
    shutil.copytree(OLD, out, ignore=shutil.ignore_patterns("rows*", "predictions*"))
    before = content(out)
    command = (
        "fit", tmp_path / "t.csv", "--target", "y", "--out", out, "--members", 2, "--folds", 2, "--fix", "depth=1",
        "--fix", "width=8", "--fix", "epochs=2", "--overwrite", "--quiet", "--workers", 1,
    )  # fmt: skip
    with faults(tmp_path) as changes:
        run(*command)
    restore(out, before)
    with faults(tmp_path, len(changes) - 2, FULL):
        _, said = run(*command, fails=2)
    assert "cannot be written: No space left on device" in said
    assert said.count("\n") == 1
    assert content(out) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "m.run", "t.csv"]
    run(*command, "--resume")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "t.csv"]
    assert content(out)["model.json"] != before["model.json"]
