"""Bad input through the command line: one sentence that names the thing, exit status 2, nothing left behind."""

from __future__ import annotations

import errno
import gzip
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import polars as pl
import pytest

from popnet.cli import app
from popnet.runtime import atomic_file

ROWS = 120
RECIPE = 'depth = 1\nwidth = 8\nbatch_size = 32\nepochs = 3\nnorm = "none"\n'
CHEAP = ["--members", "2", "--folds", "2", "--workers", "1"]


def frame(rows: int = ROWS) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    size, age = rng.standard_normal((2, rows)).round(6)
    colour = rng.choice(["red", "green", "blue"], rows)
    bought = np.where(size + (colour == "red") > 0.3, "yes", "no")
    return pl.DataFrame({"size": size, "age": age, "colour": colour, "bought": bought})


def altered(**values: object) -> Callable[[Path], None]:
    """Return what writes the table with some columns replaced: a list for the first rows, else for all."""

    def write(path: Path) -> None:
        table = frame()
        for name, value in values.items():
            if isinstance(value, list):
                old = table[name].to_list() if name in table.columns else [None] * ROWS
                table = table.with_columns(pl.Series(name, value + old[len(value) :], strict=False))
            else:
                table = table.with_columns(pl.lit(value).alias(name))
        table.write_csv(path)

    return write


def content(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def lines(change: Callable[[list[str]], None]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        text = frame().write_csv().splitlines()
        change(text)
        path.write_text("\n".join(text) + "\n")

    return write


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


class Shell:
    """Runs commands in an own folder, in this process, and looks at what they leave."""

    def __init__(self, folder: Path, monkeypatch, capfd) -> None:
        self.folder, self._monkeypatch, self._capfd = folder, monkeypatch, capfd
        monkeypatch.chdir(folder)
        Path("recipe.toml").write_text(RECIPE)

    def __call__(self, *words: object) -> Outcome:
        self._monkeypatch.setattr(sys, "argv", ["popnet", *map(str, words)])
        self._capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            app.main()
        out, err = self._capfd.readouterr()
        return Outcome(end.value.code or 0, out, err)

    def files(self) -> set[str]:
        return {str(p.relative_to(self.folder)) for p in self.folder.rglob("*")}

    def fit(self, table: str = "table.csv", *words: object, target: str = "bought") -> Outcome:
        recipe = () if "--recipe" in words else ("--recipe", "recipe.toml")
        return self("fit", table, "-t", target, "-o", "model", *recipe, *CHEAP, *words)

    def refuses(self, outcome: Outcome, *said: str) -> str:
        """Check that there is one line, which names the things said."""
        assert outcome.status == 2, outcome.err
        assert outcome.out == ""
        assert outcome.err.count("\n") == 1, outcome.err
        assert outcome.err.startswith("popnet: ")
        assert "Traceback" not in outcome.err
        for words in said:
            assert words in outcome.err
        return outcome.err


@pytest.fixture
def shell(tmp_path, monkeypatch, capfd) -> Shell:
    return Shell(tmp_path, monkeypatch, capfd)


# --- tables that fit refuses ----------------------------------------------------------------------

TABLES = {
    "missing file": (lambda path: None, "bought", ["there is no file table.csv"]),
    "empty file": (content(b""), "bought", ["table.csv is empty"]),
    "blank file": (content(b"\n\n\n"), "bought", ["table.csv"]),
    "header only": (content(b"size,age,colour,bought\n"), "bought", ["table.csv", "row"]),
    "no such target": (altered(), "bougth", ["'bougth'", "Did you mean 'bought'?"]),
    "one class": (altered(bought="yes"), "bought", ["'bought'", "one class", "'yes'"]),
    "class of one row": (altered(bought=["maybe"]), "bought", ["'bought'", "'maybe'", "one row"]),
    "target all missing": (altered(bought=None), "bought", ["'bought'"]),
    "infinite target": (altered(age=["inf"]), "age", ["'age'", "row 1"]),
    "huge target": (altered(age=[0.5, 1e300]), "age", ["'age'", "row 2"]),
    "name twice": (
        lines(lambda t: t.__setitem__(0, "size,age,size,bought")), "bought", ["'size'", "table.csv"],
    ),
    "ragged, too long": (lines(lambda t: t.__setitem__(7, t[7] + ",9")), "bought", ["line 8"]),
    "ragged, too short": (lines(lambda t: t.__setitem__(7, "1,2")), "bought", ["line 8"]),
    "wrong encoding": (
        content(frame().write_csv().replace("red", "rouge clair\u00e9").encode("latin-1")),
        "bought", ["table.csv", "UTF-8"],
    ),
    "UTF-16": (content(frame().write_csv().encode("utf-16")), "bought", ["table.csv", "UTF-"]),
    "binary file": (content(bytes(range(256)) * 20), "bought", ["table.csv"]),
    "identifier as target": (
        altered(bought=[f"customer {i}" for i in range(ROWS)]), "bought", ["'bought'", "identifier"],
    ),
    "only constant features": (
        altered(size=1.0, age=2, colour="red"), "bought", ["'size'", "'age'", "'colour'"],
    ),
    "no features": (lambda p: frame().select("bought").write_csv(p), "bought", ["no other column"]),
    "two rows": (lambda p: frame(2).write_csv(p), "bought", ["row"]),
    "one row": (lambda p: frame(1).write_csv(p), "bought", ["row"]),
    "dates as target": (
        altered(bought=[f"2020-0{1 + i % 9}-11" for i in range(ROWS)]), "bought --task regression",
        ["'bought'", "row 1"],
    ),
    "text for regression": (altered(), "bought --task regression", ["'bought'", "row 1", "regression"]),
    "target also dropped": (altered(), "bought --drop bought", ["'bought'", "drop"]),
    "no such weight column": (altered(w=1.0), "bought --weight W2", ["'W2'"]),
    "negative weight": (altered(w=[1.0, -1.0] * 60), "bought --weight w", ["'w'", "row 2"]),
    "one group": (altered(g="a"), "bought --group g", ["group"]),
    "one time": (altered(t=5), "bought --time t", ["time"]),
    "two targets of classes": (altered(), "bought -t colour", ["'bought'"]),
    "binary task of three classes": (altered(), "colour --task binary", ["'colour'", "3 classes"]),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLES)
def test_fit_refuses_the_table(shell, case):
    write, target, said = TABLES[case]
    write(Path("table.csv"))
    before = shell.files()
    target, *more = target.split()
    shell.refuses(shell.fit("table.csv", *more, target=target), *said)
    assert shell.files() == before


def test_fewer_rows_than_folds(shell):
    frame(12).with_columns(bought=pl.Series(["yes", "no"] * 6)).write_csv("table.csv")
    before = shell.files()
    shell.refuses(shell.fit("table.csv", "--folds", 50), "rows cannot be split into 50 folds")
    assert shell.files() == before


@pytest.mark.parametrize("name", ["table.csv.gz", "table.parquet", "table.jsonl", "table.arrow"])
def test_damaged_files_of_other_formats(shell, name):
    data = (
        gzip.compress(frame().write_csv().encode())[:200] if name.endswith("gz") else b"\x07damaged"
    )
    Path(name).write_bytes(data)
    shell.refuses(shell.fit(name), name)
    assert shell.files() == {name, "recipe.toml"}


def test_a_folder_or_an_unknown_ending_as_table(shell):
    Path("folder.csv").mkdir()
    shell.refuses(shell.fit("folder.csv"), "folder.csv", "is empty")
    Path("table.xlsx").write_bytes(b"PK")
    shell.refuses(shell.fit("table.xlsx"), "table.xlsx", "'.xlsx'")


# --- tables that look bad and are not -------------------------------------------------------------


@pytest.mark.parametrize("bad", ["1e300", "-1e300", "inf"])
def test_a_huge_feature_value_survives(shell, bad):
    altered(size=["0.1", bad])(Path("table.csv"))
    outcome = shell.fit("table.csv", "--quiet")
    assert outcome == (0, "", "")
    assert shell("predict", "model", "table.csv", "-o", "p.csv").status == 0
    assert pl.read_csv("p.csv").height == ROWS


def test_a_column_without_values_is_left_out_and_said(shell):
    altered(empty=None)(Path("table.csv"))
    assert shell.fit("table.csv", "--quiet").status == 0
    shown = shell("show", "model").out
    assert "left out: empty" in shown


def test_rows_without_a_target_are_left_out_and_counted(shell):
    altered(bought=[None] * 20)(Path("table.csv"))
    assert shell.fit("table.csv", "--quiet").status == 0
    assert "20 rows without a target are left out" in shell("show", "model").out


# --- options --------------------------------------------------------------------------------------

OPTIONS = {
    "negative limit": ("--time-limit -5m", ["-5m"]),
    "limit 0": ("--time-limit 0", ["time limit", "above 0"]),
    "memory without a unit": ("--memory-limit 4", ["'4'", "4GB"]),
    "memory in words": ("--memory-limit much", ["'much'", "500MB"]),
    "memory 0": ("--memory-limit 0GB", ["memory limit", "above 0"]),
    "too little memory": ("--memory-limit 50MB", ["50 MB is too little", "give at least"]),
    "limit in words": ("--time-limit soon", ["'soon'", "time limit"]),
    "no members": ("--members 0", ["members", "at least 1"]),
    "negative members": ("--members -3", ["members", "-3"]),
    "no folds": ("--folds 0", ["folds", "at least 1"]),
    "no workers": ("--workers 0", ["workers", "at least 1"]),
    "text for members": ("--members many", ["--members", "integer. See"]),
    "all rows held out": ("--test-size 1", ["test_size"]),
    "test size not a number": ("--test-size nan", ["test_size"]),
    "unknown search": ("--search genetic", ["search must be one of random", "'genetic'"]),
    "unknown engine": ("--engine cloud", ["engine must be local", "'cloud'"]),
    "nothing to resume": ("--resume", ["no run to resume"]),
    "unknown ensemble": ("--ensemble stack", ["--ensemble", "stack"]),
    "unknown task": ("--task ranking", ["--task", "ranking"]),
    "unknown metric": ("--metric acuracy", ["'acuracy'", "Did you mean 'accuracy'?"]),
    "metric of another task": ("--metric rmse", ["'rmse'", "binary"]),
    "unknown option": ("--speed 3", ["--speed"]),
    "no such column to drop": ("--drop sise", ["'sise'", "Did you mean 'size'?"]),
    "no such time column": ("--time when", ["'when'"]),
    "no such recipe": ("--recipe none.toml", ["none.toml"]),
    "vote for numbers": ("-t age --ensemble vote", ["vote"]),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_fit_refuses_the_option(shell, case):
    options, said = OPTIONS[case]
    altered()(Path("table.csv"))
    before = shell.files()
    words = ["fit", "table.csv", "-o", "model", "--recipe", "recipe.toml", *options.split()]
    if "-t " not in options:
        words += ["-t", "bought"]
    shell.refuses(shell(*words), *said)
    assert shell.files() == before


def test_missing_argument_and_unknown_command(shell):
    shell.refuses(shell("fit"), "DATA", "See popnet fit --help.")
    shell.refuses(shell("fit", "table.csv"), "there is no file table.csv")
    altered()(Path("table.csv"))
    shell.refuses(shell("fit", "table.csv"), "--target", "size, age, colour, bought")
    shell.refuses(shell("train"), "train", "See popnet --help.")


def test_the_command_alone_gets_its_help(shell):
    alone = shell()
    assert alone.status == 2
    assert alone.err.count("\n") > 10
    assert "Usage: popnet" in alone.err


RECIPES = {
    "unknown key": ("widht = 8", ["'widht'", "Did you mean 'width'?"]),
    "impossible value": ("width = 0", ["'width'", "0"]),
    "a rate of one": ("dropout = 1.0", ["'dropout'"]),
    "unknown choice": ('activation = "rellu"', ["'activation'", "rellu"]),
    "text for a number": ('depth = "deep"', ["'depth'", "deep"]),
    "not TOML": ("width 8", ["recipe.toml"]),
    "decay with Adam": ('optimizer = "adam"\nweight_decay = 0.1', ["weight_decay"]),
    "binary": ("\x00\x01", ["recipe.toml"]),
}


@pytest.mark.parametrize("case", RECIPES)
def test_fit_refuses_the_recipe(shell, case):
    text, said = RECIPES[case]
    altered()(Path("table.csv"))
    Path("recipe.toml").write_text(text)
    before = shell.files()
    shell.refuses(shell.fit("table.csv"), "recipe.toml", *said)
    assert shell.files() == before
    shell.refuses(shell("recipe", "recipe.toml"), "recipe.toml", *said)


# --- output ---------------------------------------------------------------------------------------


@pytest.fixture
def fitted(shell) -> Shell:
    altered()(Path("table.csv"))
    outcome = shell.fit("table.csv", "--quiet")
    assert outcome == (0, "", "")
    return shell


def contents(folder: str) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in Path(folder).iterdir()}


def test_an_output_folder_with_another_model(fitted):
    before, files = contents("model"), fitted.files()
    fitted.refuses(fitted.fit(), "model", "--overwrite")
    assert contents("model") == before
    assert fitted.files() == files
    assert fitted.fit("table.csv", "--overwrite", "--quiet", "--seed", 1).status == 0
    assert contents("model")["model.json"] != before["model.json"]
    assert fitted.files() == files


def test_an_output_that_cannot_be_written(shell):
    altered()(Path("table.csv"))
    before = shell.files()
    shell.refuses(
        shell("fit", "table.csv", "-t", "bought", "-o", "table.csv"), "table.csv", "--out"
    )
    inside = "table.csv/model"
    shell.refuses(
        shell("fit", "table.csv", "-t", "bought", "-o", inside), inside, "cannot be written"
    )
    assert shell.files() == before


def test_a_disk_that_is_full_when_the_model_is_written(shell, monkeypatch):
    altered()(Path("table.csv"))
    before = shell.files()
    sync = atomic_file._sync

    def full(file: IO[bytes]) -> None:
        if "report.html" in file.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(file)

    monkeypatch.setattr(atomic_file, "_sync", full)
    shell.refuses(shell.fit("table.csv", "--quiet"), "model", "No space left on device")
    assert {f for f in shell.files() if not str(f).startswith("model.run")} == set(before)
    monkeypatch.setattr(atomic_file, "_sync", sync)
    again = shell.fit("table.csv", "--quiet", "--resume")  # nothing that was trained is lost
    assert again.status == 0, again.err
    assert not any(str(f).startswith("model.run") for f in shell.files())


def test_a_disk_that_is_full_when_predictions_are_written(fitted, monkeypatch):
    before = fitted.files()

    def full(frame: pl.DataFrame, file: IO[bytes], **_: object) -> None:
        file.write(b"PAR1")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    outcome = fitted("predict", "model", "table.csv", "-o", "p.parquet")
    fitted.refuses(outcome, "p.parquet", "No space left on device")
    assert fitted.files() == before


# --- predict and evaluate -------------------------------------------------------------------------


def test_predictions_do_not_replace_the_table_or_the_model(fitted):
    before, inside = fitted.files(), contents("model")
    fitted.refuses(fitted("predict", "model", "table.csv", "-o", "./table.csv"), "the table itself")
    fitted.refuses(
        fitted("predict", "model", "table.csv", "-o", "model/p.csv"), "lies in the model's folder"
    )
    assert fitted.files() == before
    assert contents("model") == inside


PREDICT = {
    "lacks a column": (lambda: frame().drop("age"), ["'age'"]),
    "lacks a column, another is like it": (
        lambda: frame().rename({"colour": "color"}), ["'colour'", "Did you mean 'color'?"],
    ),
    "text where numbers are due": (
        lambda: frame().with_columns(size=pl.lit("tall")), ["'size'", "row 1", "'tall'"],
    ),
    "a bad value further down": (
        lambda: frame().with_columns(
            size=pl.when(pl.int_range(pl.len()) == 100).then(pl.lit("tall")).otherwise("size")
        ),
        ["'size'", "row 101", "'tall'"],
    ),
    "no rows": (lambda: frame().head(0), ["new.csv", "no rows"]),
}  # fmt: skip


@pytest.mark.parametrize("case", PREDICT)
@pytest.mark.parametrize("out", ["p.csv", "p.parquet"])
def test_predict_refuses_the_table(fitted, case, out):
    make, said = PREDICT[case]
    make().write_csv("new.csv")
    before = fitted.files()
    fitted.refuses(fitted("predict", "model", "new.csv", "-o", out), *said)
    fitted.refuses(fitted("evaluate", "model", "new.csv", "--json"), *said)
    assert fitted.files() == before


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--interval", "0.9", "Intervals and quantiles are for regression; this model predicts classes."),
        ("--interval", "0", "between 0 and 1, as 0.9; got 0."),
        ("--interval", "90", "between 0 and 1, as 0.9; got 90."),
        ("--interval", "nan", "between 0 and 1"),
        ("--interval", "wide", "--interval takes a number"),
        ("--quantile", "0.1,0.9", "Intervals and quantiles are for regression; this model predicts classes."),
        ("--quantile", "0.1,90", "a quantile must be between 0 and 1, as 0.9; got 90."),
        ("--quantile", "0.1,,0.9", "--quantile takes a number"),
    ],
)  # fmt: skip
def test_predict_refuses_intervals_and_quantiles(fitted, option, value, said):
    before = fitted.files()
    words = ("predict", "model", "table.csv", "-o", "p.csv", option, value)
    fitted.refuses(fitted(*words), said)
    assert fitted.files() == before


def test_predict_says_what_is_new_and_goes_on(fitted):
    new = frame().with_columns(
        colour=pl.Series(["violet", *frame()["colour"].to_list()[1:]]), extra=pl.lit(1)
    )
    new.write_csv("new.csv")
    outcome = fitted("predict", "model", "new.csv", "-o", "p.csv")
    assert outcome.status == 0
    assert "'extra'" in outcome.err
    assert "ignored" in outcome.err
    assert "colour" in outcome.err
    assert "violet" in outcome.err
    assert fitted("predict", "model", "new.csv", "-o", "q.csv", "--quiet") == (0, "", "")
    assert Path("p.csv").read_bytes() == Path("q.csv").read_bytes()
    assert pl.read_csv("p.csv").height == ROWS


def test_predict_takes_other_types_of_the_same_values(fitted):
    table = frame().with_columns(pl.col("size", "age").cast(pl.Float32))
    table.write_parquet("numbers.parquet")
    table.with_columns(pl.col("size", "age").cast(pl.String)).write_parquet("text.parquet")
    for name in ("numbers", "text"):
        assert fitted("predict", "model", f"{name}.parquet", "-o", f"{name}.csv").status == 0
    assert Path("numbers.csv").read_bytes() == Path("text.csv").read_bytes()


def test_evaluate_refuses_what_it_cannot_score(fitted):
    frame().drop("bought").write_csv("new.csv")
    fitted.refuses(fitted("evaluate", "model", "new.csv"), "'bought'")
    frame().with_columns(bought=pl.lit("perhaps")).write_csv("new.csv")
    fitted.refuses(fitted("evaluate", "model", "new.csv"), "'bought'", "'perhaps'")
    frame().with_columns(bought=pl.lit(None)).write_csv("new.csv")
    fitted.refuses(fitted("evaluate", "model", "new.csv"), "target")


def test_predict_refuses_an_unknown_ending_and_a_place_that_is_not_there(fitted):
    before = fitted.files()
    fitted.refuses(
        fitted("predict", "model", "table.csv", "-o", "p.xlsx"), "p.xlsx", "must end in .csv"
    )
    outcome = fitted("predict", "model", "table.csv", "-o", "nowhere/p.csv")
    fitted.refuses(outcome, "nowhere/p.csv", "there is no folder nowhere")
    assert fitted.files() == before


@pytest.mark.parametrize("command", ["predict", "evaluate", "show"])
@pytest.mark.parametrize("file", ["model.json", "weights.safetensors"])
def test_a_model_folder_cut_short(fitted, command, file):
    path = Path("model") / file
    table = () if command == "show" else ("table.csv",)
    path.write_bytes(path.read_bytes()[:-100])
    fitted.refuses(fitted(command, "model", *table), file, "cut short")
    path.unlink()
    fitted.refuses(fitted(command, "model", *table), file)
    fitted.refuses(fitted(command, "nowhere", *table), "no folder nowhere")
