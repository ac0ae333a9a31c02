"""The command line: what is printed where, predictions in every format, Ctrl-C, and what is loaded when."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from popnet import Model, Recipe
from popnet._version import __version__
from popnet.cli import app
from popnet.data.tables import read

RECIPE = 'depth = 1\nwidth = 8\nbatch_size = 32\nepochs = 3\nnorm = "none"\n'
CHEAP = ["--recipe", "recipe.toml", "--folds", "2", "--workers", "1"]
MANY = ",".join(map(str, range(1, 400)))
OF_CLASSES = {
    "accuracy", "balanced_accuracy", "f1", "log_loss", "roc_auc", "average_precision", "ece",
}  # fmt: skip
OF_NUMBERS, OF_INTERVALS = (
    {"rmse", "mae", "rmsle", "r2"},
    {"coverage_90", "width_90", "pinball_5", "pinball_95"},
)
CLASSES, NUMBERS = ("bought", "classes"), ("price", "numbers")


def make_table(rows: int = 120) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    size, age = rng.standard_normal((2, rows)).round(6)
    colour = rng.choice(["red", "green", "blue"], rows)
    score = size + (colour == "red")
    bought = np.where(score > 0.3, "yes", "no")
    table = {"size": size, "age": age, "colour": colour, "bought": bought, "price": 100 + score}
    return pl.DataFrame(table)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a table and two models, made by the command line."""
    place = tmp_path_factory.mktemp("cli")
    make_table().write_csv(place / "table.csv")
    (place / "recipe.toml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for (target, name), other in zip((CLASSES, NUMBERS), ("price", "bought"), strict=True):
            words = ["fit", "table.csv", "-t", target, "-o", name, "--drop", other, *CHEAP]
            words += ["--members", "4", "--ensemble", "average", "--quiet"]
            patch.setattr(app.sys, "argv", ["popnet", *words])
            with pytest.raises(SystemExit) as end:
                app.main()
            assert not end.value.code
    return place


@pytest.fixture(autouse=True)
def _inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


# --- fit ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "other"), [("bought", "price"), ("price", "bought")])
def test_fit_prints_one_json_object_and_nothing_else(run, tmp_path, target, other):
    out, _ = run(
        "fit", "table.csv", "-t", target, "--drop", other, "-o", tmp_path / "m", *CHEAP,
        "--members", 4, "--json",
    )  # fmt: skip
    facts = json.loads(out)
    assert out.count("\n") == 1
    wanted = {
        "model", "task", "metric", "score", "interval", "metrics", "baselines", "members", "seconds",
    }  # fmt: skip
    assert wanted <= set(facts)
    classes = target == "bought"
    assert facts["model"] == str(tmp_path / "m")
    assert facts["task"] == ("binary" if classes else "regression")
    assert facts["metric"] == ("accuracy" if classes else "rmse")
    assert facts["score"] == facts["metrics"][facts["metric"]]
    low, high = facts["interval"]
    assert low <= facts["score"] <= high
    assert set(facts["metrics"]) == (OF_CLASSES if classes else OF_NUMBERS | OF_INTERVALS)
    assert set(facts["baselines"]) == {"constant", "linear"}
    names = OF_CLASSES if classes else OF_NUMBERS
    assert all(set(b) == names for b in facts["baselines"].values())
    assert facts["members"] == 4
    assert facts["seconds"] > 0
    columns = [g["columns"] for g in facts["importance"]["groups"]]
    assert sorted(columns) == [["age"], ["colour"], ["size"]]
    assert {p.name for p in (tmp_path / "m").iterdir()} == {
        "model.json",
        "weights.safetensors",
        "report.html",
        "population.parquet",
    }


def test_fit_tells_people_score_baselines_and_where_the_model_is(run, tmp_path):
    out, _ = run(
        "fit", "table.csv", "-t", "bought", "--drop", "price", "-o", tmp_path / "m", *CHEAP,
        "--members", 2,
    )  # fmt: skip
    assert "\naccuracy " in out
    for words in (
        "left out: price",
        "95 % interval",
        "constant",
        "linear",
        "2 nets trained",
        str(tmp_path / "m"),
    ):
        assert words in out


def test_a_column_that_looks_like_an_identifier_is_used_if_it_is_to_be_kept(run, tmp_path):
    table = make_table().with_columns(order_id=pl.Series(np.arange(120)))
    table.write_csv(tmp_path / "numbered.csv")
    words = ["fit", tmp_path / "numbered.csv", "-t", "bought", "--drop", "price", *CHEAP, "-q"]
    for name, keep in (("left_out", []), ("kept", ["--keep", "order_id"])):
        run(*words, "--members", 2, *keep, "-o", tmp_path / name)
    left_out, kept = (
        {c.name: c.used for c in Model.load(tmp_path / name).schema.columns}
        for name in ("left_out", "kept")
    )
    assert not left_out["order_id"]
    assert kept == {**left_out, "order_id": True}


def test_quiet_prints_nothing_and_the_folder_is_named_after_the_table(run):
    words = ["fit", "table.csv", "-t", "bought", "--drop", "price", *CHEAP, "--members", 2]
    assert run(*words, "--quiet") == ("", "")
    assert Path("table.popnet/model.json").exists()


def test_fit_is_determined_by_its_seed(run, tmp_path):
    words = ["fit", "table.csv", "-t", "bought", "--drop", "price", *CHEAP, "--members", 4, "-q"]
    weights = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run(*words, "-o", tmp_path / name, "--seed", seed, "--ensemble", "average")
        weights.append((tmp_path / name / "weights.safetensors").read_bytes())
    assert weights[0] == weights[1] != weights[2]


# --- predict, evaluate, show ----------------------------------------------------------------------


@pytest.mark.parametrize("model", ["classes", "numbers"])
def test_predictions_are_the_same_in_every_format(run, tmp_path, model):
    printed, err = run("predict", model, "table.csv", "--quiet")
    assert err == ""
    expected = pl.read_csv(io.StringIO(printed))
    assert expected.columns == [{"classes": "bought", "numbers": "price"}[model]]
    assert expected.height == 120
    readers = {
        "p.csv": pl.read_csv,
        "p.csv.gz": lambda p: pl.read_csv(gzip.decompress(p.read_bytes())),
        "p.jsonl": pl.read_ndjson,
        "p.parquet": pl.read_parquet,
    }
    for name, reader in readers.items():
        run("predict", model, "table.csv", "-o", tmp_path / name)
        found = reader(tmp_path / name)
        assert found.columns == expected.columns
        if model == "classes":
            assert found.equals(expected), name
        else:
            np.testing.assert_allclose(found[:, 0], expected[:, 0], rtol=1e-9, err_msg=name)
    assert {p.name for p in tmp_path.iterdir()} == set(readers)


def test_probabilities(run):
    printed, _ = run("predict", "classes", "table.csv", "--proba", "-q")
    found = pl.read_csv(io.StringIO(printed))
    assert found.columns == ["bought", "probability_no", "probability_yes"]
    np.testing.assert_allclose(found["probability_no"] + found["probability_yes"], 1)


@pytest.mark.parametrize("form", ["csv", "csv.gz", "jsonl", "parquet"])
def test_a_stream_of_batches_predicts_as_one_batch(run, tmp_path, monkeypatch, form):
    run("predict", "classes", "table.csv", "--proba", "-o", tmp_path / f"one.{form}")
    whole, sizes = read.read_batches, []

    def small(path, rows=50_000):
        for batch in whole(path, 50):
            sizes.append(batch.height)
            yield batch

    monkeypatch.setattr(read, "read_batches", small)
    run("predict", "classes", "table.csv", "--proba", "-o", tmp_path / f"many.{form}")
    assert sizes == [50, 50, 20]

    def read_back(name: str) -> pl.DataFrame:
        path = tmp_path / f"{name}.{form}"
        return pl.read_ndjson(path) if form == "jsonl" else read.read_table(path)

    one, many = read_back("one"), read_back("many")
    assert one["bought"].equals(many["bought"])
    np.testing.assert_allclose(one[:, 1:].to_numpy(), many[:, 1:].to_numpy(), rtol=1e-5)


def test_evaluate_prints_one_json_object(run):
    for model, names in (
        ("classes", OF_CLASSES),
        ("numbers", OF_NUMBERS | OF_INTERVALS),
    ):
        out, err = run("evaluate", model, "table.csv", "--json")
        found = json.loads(out)
        assert err == ""
        assert set(found) == {"rows", "metrics"}
        assert found["rows"] == 120
        assert set(found["metrics"]) == names
        out, _ = run("evaluate", model, "table.csv")
        assert out.startswith("120 rows")
        assert all(n in out for n in names)


def test_intervals_stand_beside_the_predictions(run):
    wide, _ = run("predict", "numbers", "table.csv", "-q", "--interval", "90%")
    wide = pl.read_csv(io.StringIO(wide))
    assert wide.columns == ["price", "price_low", "price_high"]
    narrow, _ = run("predict", "numbers", "table.csv", "-q", "--interval", "0.5")
    narrow = pl.read_csv(io.StringIO(narrow))
    assert (wide["price_low"] < narrow["price_low"]).all()
    assert (narrow["price_high"] < wide["price_high"]).all()
    plain, _ = run("predict", "numbers", "table.csv", "-q")
    assert pl.read_csv(io.StringIO(plain))["price"].equals(wide["price"])
    inside = make_table()["price"].is_between(wide["price_low"], wide["price_high"])
    out, _ = run("evaluate", "numbers", "table.csv", "--json")
    assert json.loads(out)["metrics"]["coverage_90"] == pytest.approx(inside.mean())


def test_quantiles_stand_beside_the_predictions_and_are_the_ends_of_intervals(run):
    out, _ = run(
        "predict", "numbers", "table.csv", "-q", "--quantile", "5%,0.5,0.95", "--interval", "0.9"
    )
    found = pl.read_csv(io.StringIO(out))
    assert found.columns == [
        "price", "price_low", "price_high", "price_q5", "price_q50", "price_q95",
    ]  # fmt: skip
    assert found["price_q5"].equals(found["price_low"].alias("price_q5"))
    assert found["price_q95"].equals(found["price_high"].alias("price_q95"))
    assert (found["price_q5"] < found["price_q50"]).all()
    assert (found["price_q50"] < found["price_q95"]).all()
    said, err = run("predict", "numbers", "table.csv", "-q", "--quantile", "0.5,0.5", fails=2)
    assert said == ""
    assert "a quantile is given twice" in err
    _, err = run("predict", "numbers", "table.csv", "-q", "--quantile", "0.0001", fails=2)
    assert "too few for a quantile of 0.0001; ask for one between" in err


def test_evaluated_accuracy_is_that_of_the_predictions(run):
    printed, _ = run("predict", "classes", "table.csv", "-q")
    hits = pl.read_csv(io.StringIO(printed))["bought"] == make_table()["bought"]
    out, _ = run("evaluate", "classes", "table.csv", "--json")
    assert json.loads(out)["metrics"]["accuracy"] == pytest.approx(hits.mean())


def test_show(run):
    out, _ = run("show", "classes")
    for words in ("bought (binary)", "accuracy", "6 nets, average", "left out: price"):
        assert words in out
    shown = json.loads(run("show", "classes", "--json")[0])
    assert shown["target"]["names"] == ["bought"]
    assert sum(n["weight"] for n in shown["nets"]) == pytest.approx(1)
    depths = {Recipe.from_mapping(net["recipe"]).depth for net in shown["nets"]}
    assert depths - {0} == {1}  # 0 is the linear model, which may have a share


def test_trees_stand_beside_the_nets_or_are_left_out(run, tmp_path):
    words = [
        "fit",
        "table.csv",
        "-t",
        "bought",
        "--members",
        "2",
        "--folds",
        "2",
        "--drop",
        "price",
    ]
    net = ["--fix", "depth=1", "--fix", "width=8", "--fix", "epochs=2"]
    out = json.loads(run(*words, *net, "--trees", "hist", "-o", tmp_path / "a", "--json")[0])
    assert "trees" in out["baselines"]
    assert 0 <= out["trees_share"] <= 1
    shown = json.loads(run("show", tmp_path / "a", "--json")[0])
    of_trees = sum(t["weight"] for t in shown["trees"])
    assert of_trees == pytest.approx(out["trees_share"])
    assert of_trees + sum(n["weight"] for n in shown["nets"]) == pytest.approx(1)
    for more in (["--without", "trees"], ["--trees", "none"], []):
        out = json.loads(run(*words, *net, *more, "-o", tmp_path / "b", "--overwrite", "--json")[0])
        assert "trees" not in out["baselines"]
        assert "trees_share" not in out


def test_recipe_is_checked_and_completed(run):
    out, _ = run("recipe", "recipe.toml")
    assert "depth = 1\n" in out
    assert out.count("\n") == len(Recipe.model_fields)
    lines = run("recipe")[0].splitlines()[1:]
    assert "\n".join(line.removeprefix("# ") for line in lines) + "\n" == Recipe().to_toml()
    Path("mine.toml").write_text("\n".join(lines).replace("# depth = 3", "depth = 1"))
    assert Recipe.load("mine.toml").model_fields_set == {"depth"}


def test_the_space_is_printed_and_read_again(run):
    assert "log:0.0048:0.096" in run("space")[0]
    out = run("space", "--images", "--set", "dropout=0:0.3", "--fix", "activation=elu", "--json")[0]
    shown = json.loads(out)
    assert shown["base"]["activation"] == "elu"
    (dropout,) = (d for d in shown["dimensions"] if d["field"] == "dropout")
    assert (dropout["range"], dropout["source"]) == ("0:0.3", "user-defined")
    Path("space.toml").write_text(run("space", "--toml")[0])
    again = run("space", "--space", "space.toml", "--set", "ema=0,0.9")[0]
    assert "log:0.0048:0.096" in again
    assert "0,0.9 " in again


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "dropuot=0:0.5"], "Did you mean 'dropout'"),
        (["--set", "dropout=0.5:0"], "reversed"),
        (["--set", "dropout"], "FIELD=VALUE"),
        (["--fix", "dropout=2"], "'dropout'"),
        (["--fix", "dropout=0.1", "--set", "dropout=0:0.5"], "fixed"),
        (["--space", "nowhere.toml"], "cannot be read"),
        (
            ["--search", "grid", "--set", f"epochs={MANY}", "--set", f"patience={MANY}"],
            "477,603 recipes (structures 3 x epochs 399 x patience 399)",
        ),
    ],
)  # fmt: skip
def test_ranges_that_cannot_be_are_one_sentence(run, tmp_path, words, said):
    command = ["fit", "table.csv", "-t", "bought", "-o", tmp_path / "m", *words, "--quiet"]
    _, err = run(*command, fails=2)
    assert said in err
    assert "Traceback" not in err


def test_every_net_has_what_was_fixed_and_what_was_set(run, tmp_path):
    words = ["--set", "dropout=0.2:0.3", "--search", "sobol", "--drop", "price", "--members", "6"]
    for value in ("activation=elu", "depth=1", "width=8", "epochs=3"):
        words += ["--fix", value]
    run("fit", "table.csv", "-t", "bought", "-o", tmp_path / "m", "--folds", "2", *words, "-q")
    nets = pl.read_parquet(tmp_path / "m" / "population.parquet")
    assert set(nets["recipe.activation"]) == {"elu"}
    assert set(nets["recipe.depth"]) == {1}
    searched = nets.filter(pl.col("recipe_id") > 0)["recipe.dropout"]
    assert searched.is_between(0.2, 0.3).all()
    assert searched.n_unique() == 2


def test_version_and_help(run):
    assert run("--version")[0] == f"popnet {__version__}\n"
    out, _ = run("--help")
    assert all(c in out for c in ("fit", "predict", "evaluate", "show", "recipe"))


# --- in processes of their own --------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "import popnet",
        "import popnet.cli.app",
        "import sys, popnet.cli.app\nsys.argv = ['popnet', '--help']\n"
        "try: popnet.cli.app.main()\nexcept SystemExit as end: assert not end.code",
    ],
    ids=["package", "command line", "help"],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code):
    code += "\nimport sys; print(sorted(m for m in sys.modules if '.' not in m), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(json.loads(done.stderr.replace("'", '"')))
    assert "popnet" in loaded
    heavy = {"jax", "jaxlib", "sklearn", "optuna", "polars", "pandas", "scipy", "torch", "numpy"}
    assert not loaded & heavy


def test_ctrl_c_leaves_a_model_of_the_members_that_had_ended(folder, tmp_path):
    """Endless members of many recipes; the signal comes once the first have ended, as the compiled program tells."""
    out = tmp_path / "model"
    code = (
        "from popnet.fitting.candidates import Candidates\n"
        "import popnet.cli.app\n"
        "add = Candidates.add\n"
        "def said(self, recipe_id, *rest):\n"
        "    add(self, recipe_id, *rest)\n"
        "    print('added', recipe_id, flush=True)\n"
        "Candidates.add = said\n"
        "popnet.cli.app.main()\n"
    )
    words = ["fit", "table.csv", "-t", "bought", "--drop", "price", "-o", str(out), *CHEAP]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words, "--members", "1000000", "--json"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("added 1"):  # the second recipe
                process.send_signal(signal.SIGINT)
                break
        rest, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "building the model from the nets trained so far" in err
    facts = json.loads((rest or "").splitlines()[-1])
    assert facts["interrupted"] is True
    assert 2 <= facts["members"] < 1_000_000
    assert "training was interrupted" in " ".join(facts["warnings"])
    found = Model.load(out).predict_frame(make_table())
    assert found.height == 120
    assert not list(tmp_path.glob(".*"))


def test_a_disk_that_is_full_behind_stdout_is_one_sentence(folder):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "popnet", "predict", "classes", "table.csv", "-q"],
            cwd=folder, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert (
        done.stderr
        == "popnet: no space is left where the output goes; free some, or give another --out\n"
    )


def test_a_fault_in_the_page_does_not_cost_the_model(run, tmp_path, monkeypatch):
    def fault(facts, model):
        raise ZeroDivisionError

    monkeypatch.setattr("popnet.report.html.render", fault)
    words = ["fit", "table.csv", "-t", "bought", "--drop", "price", *CHEAP, "--members", "2"]
    monkeypatch.setattr(app.sys, "argv", ["popnet", *words, "-q", "-o", str(tmp_path / "m")])
    with pytest.raises(ZeroDivisionError):
        app.main()
    assert Model.load(tmp_path / "m").predict_frame(make_table()).height == 120


def test_a_reader_that_goes_away_is_no_error(folder):
    """As with ``popnet predict … | head``."""
    code = "import popnet.cli.app; popnet.cli.app.main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "predict", "classes", "table.csv", "-q"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 0, err
    assert err == ""
