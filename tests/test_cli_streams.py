"""What becomes of a command's streams, and of Ctrl-C while it still imports, costs neither a model nor a clear end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from popnet import Model
from popnet.cli import status_line
from popnet.cli.status_line import Watcher
from popnet.runtime.progress import Progress

KEPT = Path(__file__).parent / "model" / "kept"
FIT = [
    "fit", "ärger.csv", "-t", "y", "--recipe", "recipe.toml", "--folds", "2", "--members", "2",
    "--workers", "1",
]  # fmt: skip
PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a table whose names are not of ASCII."""
    folder = tmp_path_factory.mktemp("streams")
    x = np.random.default_rng(0).standard_normal((40, 2)).round(3)
    labels = np.where(x[:, 0] > 0, "groß", "klein")
    pl.DataFrame({"x": x[:, 0], "z": x[:, 1], "maß": 1.0, "y": labels}).write_csv(
        folder / "ärger.csv"
    )
    (folder / "recipe.toml").write_text("depth = 1\nwidth = 4\nbatch_size = 32\nepochs = 2\n")
    return folder


def ended(place: Path, words: list[str], shell: str = "", **env: str) -> tuple[int, bytes, bytes]:
    """Run a command, with its streams as a shell sets them; return its status, stdout and stderr."""
    done = subprocess.run(
        ["bash", "-c", f'"$@" {shell}; exit ${{PIPESTATUS[0]}}', "bash", sys.executable, "-m", "popnet", *words],
        cwd=place, env={**os.environ, **env}, capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("shell", "env"),
    [
        ("", {"PYTHONIOENCODING": "ascii"}),
        ("", PLAIN),
        (">&-", {}),
        ("2>&-", {}),
        ("<&- >&- 2>&-", {}),
        ("| true", {}),
        (">/dev/full", {}),
        (">/dev/full 2>/dev/full", {}),
    ],
)
def test_a_model_is_written_whatever_becomes_of_the_streams(place, tmp_path, shell, env):
    if "/dev/full" in shell and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    status, out, err = ended(place, [*FIT, "-o", str(tmp_path / "m")], shell, **env)
    assert status == 0, err
    assert b"Traceback" not in err
    assert Model.load(tmp_path / "m").classes == ("groß", "klein")
    if env:
        assert b"left out: ma? (" in out
        assert out.isascii()
    if shell == ">/dev/full":
        assert err.startswith(b"popnet: the output cannot be written (")
        assert b"; the model is in " in err


@pytest.mark.parametrize("shell", [">&- 2>&-", "| true"])
@pytest.mark.parametrize("words", [["show", str(KEPT)], ["recipe"], ["--version"], ["--help"], []])
def test_commands_that_only_print_end_as_ever(place, shell, words):
    status, _, err = ended(place, words, shell)
    assert status == ended(place, words)[0]
    assert b"Traceback" not in err


@pytest.mark.parametrize("shell", ["2>/dev/full", ">&- 2>&-"])
def test_mistakes_keep_their_status_where_they_cannot_be_told(place, shell):
    for words in (["show", "nowhere"], ["show"]):
        assert ended(place, words, shell) == (2, b"", b"")


def test_json_is_json_in_ascii(place, tmp_path):
    status, out, _ = ended(
        place, [*FIT, "-o", str(tmp_path / "grün"), "--json"], PYTHONIOENCODING="ascii"
    )
    assert status == 0
    assert json.loads(out)["model"] == str(tmp_path / "grün")


def test_a_terminal_that_goes_away_does_not_end_the_work(monkeypatch):
    class Terminal:
        encoding = "utf-8"
        gone = False

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            if self.gone:
                raise OSError(5, "Input/output error")
            return len(text)

        flush = fileno = lambda self: 0

    terminal = Terminal()
    monkeypatch.setattr(status_line.sys, "stderr", terminal)
    with Watcher(quiet=False) as watch:
        watch(Progress("reading", note="a note"))
        terminal.gone = True
        for _ in range(3):
            watch(Progress("reading", note="another"))
            watch(Progress("training", 1, 2))


# --- Ctrl-C while modules are imported --------------------------------------------------------------

INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell has had it ignored
name, sys.argv = sys.argv[1], ["popnet", *sys.argv[2:]]
class Interrupt:
    def find_spec(self, wanted, *_):
        if wanted == name:
            print("interrupted at", name, flush=True)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from popnet.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("words", "modules"),
    [
        (["--version"], ["popnet.cli", "typer", "popnet.cli.models"]),
        (["recipe"], ["popnet.cli.app", "pydantic"]),
        (["space"], ["popnet.tuning"]),
        (["show", str(KEPT)], ["numpy", "jax", "safetensors"]),
        (["predict", str(KEPT), "ärger.csv"], ["polars", "popnet.model.model"]),
        (["evaluate", str(KEPT), "ärger.csv"], ["jax._src", "jaxlib"]),
        ([*FIT, "-o", "never"], ["popnet.model.folder", "popnet.cli.status_line"]),
        (["study", "ärger.csv", "-t", "y"], ["popnet.ablation"]),
        (["doctor", "ärger.csv", "-t", "y"], ["popnet.diagnosis"]),
        (["claims"], ["popnet.course"]),
        (["augment", ".", "--check"], ["popnet.ablation.transformations"]),
        (["warm"], ["popnet.fitting"]),
    ],
)
def test_ctrl_c_while_a_command_imports_is_one_line(place, words, modules):
    for module in modules:
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTED, module, *words],
            cwd=place, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.stdout == f"interrupted at {module}\n"
        assert done.stderr == "popnet: interrupted; nothing was written\n"
        assert done.returncode == 130
    assert not (place / "never").exists()
