"""Runs that are killed and go on: the same model, whatever happened between."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest

from popnet import Recipe
from popnet.errors import InputError
from popnet.fitting.plan import FitPlan
from popnet.fitting.run import Fitted, fit
from popnet.options import Options
from popnet.report.fit_page.facts import AugmentationFacts
from popnet.runtime.progress import Progress
from popnet.tuning import journal as journals
from popnet.tuning.journal import Journal
from popnet.tuning.space.image_space import image_space
from popnet.tuning.space.table_space import table_space

RECIPE = Recipe(depth=1, width=8, batch_size=32, epochs=4, norm="none")
OPTIONS = Options(members=8, folds=2, recipe=RECIPE, workers=1, ensemble="greedy")
RACE = replace(OPTIONS, search="halving", ensemble="average")
STRATEGIES = {
    "random": replace(OPTIONS, ensemble="greedy"),
    "halving": RACE,
    "tpe": replace(OPTIONS, search="tpe"),
}


def make_table(rows: int = 120, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, rows))
    return pl.DataFrame({"a": a, "b": b, "y": np.where(a * b + 0.3 * a > 0.1, "yes", "no")})


TABLE = make_table()


class KilledError(Exception):
    """What stands for the end of the process."""


def killed(folder: Path, options: Options, after: int, table: pl.DataFrame = TABLE) -> None:
    """Begin a run that is killed after so many messages of its training."""
    told = 0

    def tell(progress: Progress) -> None:
        nonlocal told
        told += progress.stage == "training"
        if told > after:
            raise KilledError

    journal = Journal(folder)
    with pytest.raises(KilledError):
        fit(table, "y", options, on_progress=tell, journal=journal)
    journal.close()


def resumed(folder: Path, options: Options, **kwargs) -> tuple[Fitted, int]:
    """Continue a run; returns what it gave and how many members or legs it trained."""
    journal = Journal(folder, resume=True, **kwargs)
    trained = 0
    note = journal.note

    def count(run, result) -> None:
        nonlocal trained
        trained += 1
        note(run, result)

    journal.note = count
    fitted = fit(TABLE, "y", options, journal=journal)
    journal.done()
    return fitted, trained


def assert_same(a: Fitted, b: Fitted) -> None:
    assert [r.member for r in a.results] == [r.member for r in b.results]
    for x, y in zip(a.results, b.results, strict=True):
        assert (x.status, x.epochs, x.best_epoch) == (y.status, y.epochs, y.best_epoch)
        jax.tree.map(np.testing.assert_array_equal, x.parameters, y.parameters)
        jax.tree.map(np.testing.assert_array_equal, x.last, y.last)
        jax.tree.map(np.testing.assert_array_equal, x.curves, y.curves)
    np.testing.assert_array_equal(a.model.weights, b.model.weights)
    assert a.facts.score == b.facts.score


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Fitted]:
    return {name: fit(TABLE, "y", options) for name, options in STRATEGIES.items()}


# Optuna's sampler asks anew for what it had not been told: a later kill may take another way.
@pytest.mark.parametrize(
    ("name", "after"),
    [*((n, a) for n in ("random", "halving") for a in (0, 1, 3, 6)), ("tpe", 0), ("tpe", 1)],
)
def test_a_killed_run_that_goes_on_ends_in_the_same_model(tmp_path, undisturbed, name, after):
    folder, options = tmp_path / "run", STRATEGIES[name]
    killed(folder, options, after)
    fitted, trained = resumed(folder, options)
    assert_same(fitted, undisturbed[name])
    assert not folder.exists()
    whole = fit_with_count(tmp_path / "whole", options)
    assert trained == whole - after - 1 if after else trained < whole


def fit_with_count(folder: Path, options: Options) -> int:
    journal = Journal(folder)
    notes = []
    note = journal.note
    journal.note = lambda run, result: (notes.append(run), note(run, result))[1]
    fit(TABLE, "y", options, journal=journal)
    journal.done()
    return len(notes)


def test_a_run_may_be_killed_again_and_again_and_have_other_workers(tmp_path, undisturbed):
    folder = tmp_path / "run"
    killed(folder, RACE, 2)
    for _ in range(2):
        journal = Journal(folder, resume=True)
        with pytest.raises(KilledError):
            fit(TABLE, "y", RACE, journal=journal, on_progress=raise_after(journal))
        journal.close()
    fitted, _ = resumed(folder, replace(RACE, workers=2))
    assert_same(fitted, undisturbed["halving"])


def raise_after(journal: Journal, count: int = 2):
    noted = 0
    note = journal.note

    def counting(run, result) -> None:
        nonlocal noted
        note(run, result)
        noted += 1

    journal.note = counting

    def tell(progress: Progress) -> None:
        if noted >= count:
            raise KilledError

    return tell


def aged(folder: Path, seconds: float) -> None:
    """Make a killed run look as if it had taken so long."""
    for path in (folder / journals.MEMBERS).glob("*.npz"):
        with np.load(path) as arrays:
            content = dict(arrays)
        entry = json.loads(str(content.pop("entry")))
        np.savez(path, entry=np.array(json.dumps({**entry, "seconds": seconds})), **content)


def test_time_that_was_used_counts(tmp_path):
    folder = tmp_path / "run"
    killed(folder, OPTIONS, 2)
    aged(folder, 500.0)
    journal = Journal(folder, resume=True)
    assert journal.before == 500.0
    fitted = fit(TABLE, "y", OPTIONS, journal=journal)
    journal.done()
    assert fitted.facts.seconds.total > 500


def test_a_run_without_time_left_uses_what_it_had(tmp_path):
    folder, limited = tmp_path / "run", replace(OPTIONS, time_limit=1000.0)
    killed(folder, limited, 5)
    aged(folder, 5000.0)
    fitted, trained = resumed(folder, limited)
    assert trained == 0
    assert len(fitted.results) == 6


def test_a_damaged_checkpoint_costs_its_member_only(tmp_path, undisturbed):
    folder = tmp_path / "run"
    killed(folder, RACE, 4)
    damaged, emptied, *_ = sorted((folder / journals.MEMBERS).glob("*.npz"))
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 0xFF
    damaged.write_bytes(data)
    emptied.write_bytes(b"")
    said = []
    fitted, _ = resumed(folder, RACE, warn=said.append)
    assert_same(fitted, undisturbed["halving"])
    assert all("is damaged" in text for text in said)
    assert any(emptied.name in text for text in said)


def test_a_full_disk_costs_the_journal_only(tmp_path, undisturbed, monkeypatch):
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    said = []
    journal = Journal(tmp_path / "run", warn=said.append)
    monkeypatch.setattr(os, "fsync", full)
    assert_same(fit(TABLE, "y", OPTIONS, journal=journal), undisturbed["random"])
    assert len(said) == 1
    assert "No space left on device" in said[0]


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (make_table(seed=1), OPTIONS, "the data differ"),
        (TABLE, replace(OPTIONS, seed=3), "--seed"),
        (TABLE, replace(OPTIONS, members=10), r"--members differ.*\(then 8, now 10\)"),
        (TABLE, replace(OPTIONS, recipe=RECIPE.replace(dropout=0.1)), "the recipe"),
        (TABLE.rename({"y": "z"}), OPTIONS, "the target"),
    ],
)
def test_another_run_is_not_continued_and_says_what_differs(tmp_path, table, options, message):
    folder = tmp_path / "run"
    killed(folder, OPTIONS, 0)
    journal = Journal(folder, resume=True)
    with pytest.raises(InputError, match=message):
        fit(table, table.columns[-1], options, journal=journal)
    journal.close()
    assert (folder / journals.RUN).exists()


def test_another_version_is_not_continued(tmp_path):
    folder = tmp_path / "run"
    killed(folder, OPTIONS, 0)
    header = json.loads((folder / journals.RUN).read_text())
    (folder / journals.RUN).write_text(json.dumps({**header, "popnet's version": "0.0.1"}))
    journal = Journal(folder, resume=True)
    with pytest.raises(InputError, match=r"popnet's version differ.*then 0\.0\.1"):
        fit(TABLE, "y", OPTIONS, journal=journal)
    journal.close()
    (folder / journals.RUN).write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        fit(TABLE, "y", OPTIONS, journal=Journal(folder, resume=True))


def test_a_folder_belongs_to_one_process_and_one_run(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(InputError, match="no run to resume"):
        Journal(folder, resume=True)
    killed(folder, OPTIONS, 0)
    with pytest.raises(InputError, match="continue it with --resume"):
        Journal(folder)
    code = (
        "import sys; from pathlib import Path; from popnet.tuning.journal import Journal; "
        "Journal(Path(sys.argv[1]), True)"
    )
    journal = Journal(folder, resume=True)
    other = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False
    )
    assert "Another process is at work" in other.stderr
    journal.close()
    assert not Journal(folder, anew=True).members()


def test_a_run_that_never_began_leaves_nothing(tmp_path):
    journal = Journal(tmp_path / "run")
    with pytest.raises(InputError):
        fit(TABLE, "missing", OPTIONS, journal=journal)
    journal.close()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "space",
    [
        table_space(4, 1000),
        table_space(0, 100_000, Recipe(dropout=0.1, optimizer="sgd")),
        image_space((28, 28, 1), 60_000, 24, {"rotation": 8.5, "reflection": 0.5}, None),
    ],
)
def test_a_plan_is_the_same_after_it_was_written(space):
    plan = FitPlan(space, 7, 12, paced=True, check=AugmentationFacts(0.1, 3, 600, 200, [], {}))
    again = FitPlan.from_json(json.loads(json.dumps(plan.to_json())))
    assert replace(again, space=space) == plan
    assert again.space.base == space.base
    assert again.space.base.model_fields_set == space.base.model_fields_set
    units = np.random.default_rng(0).random((20, len(space.dimensions)))
    for u in units:
        assert again.space.at(u) == space.at(u)
    assert list(again.space.grid()) == list(space.grid())


def test_kill_9_and_resume_on_the_command_line(tmp_path, run):
    table = tmp_path / "table.csv"
    TABLE.write_csv(table)
    recipe = tmp_path / "recipe.json"
    recipe.write_text(RECIPE.replace(epochs=600, patience=600).to_json())
    arguments = ["fit", table, "--target", "y", "--members", "8", "--folds", "2", "-q"]
    arguments += ["--recipe", recipe, "--workers", "1"]
    first = [*arguments, "--out", tmp_path / "a.popnet"]
    process = subprocess.Popen([sys.executable, "-m", "popnet", *map(str, first)])
    members = tmp_path / "a.popnet.run" / journals.MEMBERS
    until = time.monotonic() + 120
    while len(list(members.glob("*.npz"))) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    run(*first, "--resume")
    run(*arguments, "--out", tmp_path / "b.popnet")
    a, b = ((tmp_path / f"{n}.popnet" / "weights.safetensors").read_bytes() for n in "ab")
    assert a == b
    assert not members.parent.exists()
