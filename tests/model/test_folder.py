"""A model that is replaced leaves nothing behind; one that cannot be replaced is said before the work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from popnet.errors import InputError
from popnet.model import folder as folders

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="other permissions")

WRITE = """
import os, sys
from pathlib import Path
from popnet.errors import InputError
from popnet.model.folder import MODEL, check_output, write_folder
class Model:
    def save(self, folder):
        (folder / MODEL).write_text("new")
if os.geteuid() == 0:
    os.setuid(int(sys.argv[2]))
try:
    check_output(Path(sys.argv[1]), overwrite=True)
except InputError as error:
    print(error)
else:
    write_folder(Path(sys.argv[1]), Model(), {"report.html": b"new"})
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that any user may write to, with a model in it."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o777)
    model = root / "m"
    model.mkdir()
    for name in folders.OWN_FILES:
        (model / name).write_text("old")
    yield model
    root.chmod(0o700)
    shutil.rmtree(root)


def written(model: Path, user: int = 65534) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WRITE, str(model), str(user)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout


def give(model: Path, user: int) -> None:
    if os.geteuid() == 0:
        for path in (model, *model.iterdir()):
            os.chown(path, user, user)


@pytest.mark.parametrize("mode", [0o755, 0o555, 0o500, 0o111])
@pytest.mark.parametrize("file_mode", [0o644, 0o444, 0])
def test_nothing_is_left_of_a_protected_model(place, mode, file_mode):
    give(place, 65534)
    for file in place.iterdir():
        file.chmod(file_mode)
    place.chmod(mode)
    said = written(place)
    if mode == 0o111 and said:  # which files there are cannot be told
        assert said == f"{place} cannot be written: Permission denied.\n"
        return
    assert said == ""
    assert [p.name for p in place.parent.iterdir()] == ["m"]
    assert {p.name: p.read_text() for p in place.iterdir()} == {
        "model.json": "new", "report.html": "new",
    }  # fmt: skip


@pytest.mark.parametrize(("around", "mode"), [(0o777, 0o555), (0o777, 0o755), (0o1777, 0o777)])
def test_anothers_model_is_refused_before_the_work(place, around, mode):
    if os.geteuid() != 0:
        pytest.skip("a model of another user needs root")
    place.chmod(mode)
    place.parent.chmod(around)
    assert "holds a model that you may not remove; choose another --out" in written(place)
    assert (place / "model.json").read_text() == "old"
    assert [p.name for p in place.parent.iterdir()] == ["m"]


def test_what_cannot_be_removed_after_all_is_said(place, monkeypatch):
    class Model:
        def save(self, folder: Path) -> None:
            (folder / folders.MODEL).write_text("new")

    monkeypatch.setattr(folders, "_remove", lambda folder: None)
    with pytest.warns(
        UserWarning, match=r"the earlier model cannot be removed; it lies in .*\.m\.(old|new)$"
    ):
        folders.write_folder(place, Model())  # pyright: ignore[reportArgumentType]
    assert (place / "model.json").read_text() == "new"


def test_a_model_that_cannot_be_saved_leaves_the_earlier_one(place):
    class Model:
        def save(self, folder: Path) -> None:
            (folder / folders.MODEL).write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="No space left"):
        folders.write_folder(place, Model())  # pyright: ignore[reportArgumentType]
    assert (place / "model.json").read_text() == "old"
    assert [p.name for p in place.parent.iterdir()] == ["m"]
