"""Students: what they learn, their limits, the score that is lost, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import popnet
from popnet.data.dataset import Dataset
from popnet.data.tables.combinations import Combination
from popnet.data.tables.scale import Scale
from popnet.distillation import students
from popnet.distillation.comparison import compare
from popnet.distillation.material import Scored, gather
from popnet.distillation.students import Limits, as_model
from popnet.errors import InputError
from popnet.fitting.run import Options, prepare
from popnet.model import baselines
from popnet.model.folder import write_folder
from popnet.predictions import metrics
from popnet.runtime.memory import Memory

pytestmark = pytest.mark.usefixtures("short")


def test_a_student_learns_a_known_function(line, tmp_path):
    found = popnet.distil(line.folder, line.table, time_limit=600, width=32)
    x = np.random.default_rng(5).uniform(-1.5, 1.5, (500, 2))
    rows = pl.DataFrame({"a": x[:, 0], "b": x[:, 1]})
    off = found.model.predict(rows) - (3 * x[:, 0] - 2 * x[:, 1] + 10)
    assert np.sqrt((off**2).mean()) < 0.15 * np.sqrt(13)  # of the target's standard deviation
    assert found.comparison.agreement > 0.95
    assert len(found.model.nets) == 1
    assert not found.model.trees
    assert found.model.nets[0].recipe.width == 32
    # Errors on rows that nobody is known not to have seen make no intervals.
    assert found.model.conformal is None
    assert "--test" in found.notes[0]
    found.save(tmp_path / "s")
    again = popnet.load(tmp_path / "s")
    np.testing.assert_array_equal(again.predict(rows), found.model.predict(rows))
    assert found.student_cost.bytes == sum(f.stat().st_size for f in (tmp_path / "s").iterdir())
    with pytest.raises(InputError, match="holds a model already"):
        found.save(tmp_path / "s")


def test_rows_to_be_scored_on_make_intervals(line, tmp_path):
    frame = pl.read_csv(line.table)
    found = popnet.distil(line.model, frame[:200], test=frame[200:], time_limit=600, width=8)
    assert found.comparison.where == "on 100 test rows"
    assert not found.notes
    told = found.model.predict_frame(frame[200:], interval=0.8)
    inside = (told["y_low"] <= frame["y"][200:]) & (frame["y"][200:] <= told["y_high"])
    assert 0.75 <= inside.mean() <= 0.95  # of the rows that they were made from


def test_the_test_part_of_the_fit_is_found_again(classes):
    known = classes.model.facts.scores
    found = gather(classes.model, str(classes.table), None, 9, Memory())
    assert found.scored.where == f"on {known.scored_rows} held-out test rows"
    assert not found.scored.seen
    assert len(found.features) + known.scored_rows == 300
    own = classes.model.score_outputs(found.scored.target, found.scored.outputs[None])
    assert own["log_loss"] == pytest.approx(known.metrics["log_loss"])
    # Of a table with other rows nothing is known.
    other = gather(classes.model, pl.read_csv(classes.table)[7:], None, 9, Memory())
    assert other.scored.seen
    assert "may have been trained on" in other.scored.where


def test_size_is_kept_and_the_nearest_is_said(classes, tmp_path):
    found = popnet.distil(classes.model, classes.table, size=22_000, time_limit=600)
    write_folder(tmp_path / "s", found.model)
    assert sum(f.stat().st_size for f in (tmp_path / "s").iterdir()) <= 22_000
    with pytest.raises(
        InputError, match=r"No student is within --size 2 kB: the smallest .* takes \d+ kB"
    ):
        popnet.distil(classes.model, classes.table, size=2_000)


def test_the_largest_net_within_the_latency_is_taken(classes, monkeypatch):
    """With times that are known: a microsecond a weight."""
    features = classes.model.encoder.transform(pl.read_csv(classes.table))
    data = Dataset(features, classes.model.scores(features), "classification", 2)

    def seconds(model: popnet.Model, _: pl.DataFrame) -> float:
        sizes = [leaf.size for leaf in leaves(model.nets[0].parameters)]
        return 1e-6 * sum(sizes)

    monkeypatch.setattr(students, "row_seconds", seconds)
    monkeypatch.setattr(students, "EACH", 10)
    every = students.within(classes.model, data, Limits(latency=1.0), None, 0)
    assert {r.width for r in every} == {8, 16, 32}
    drawn = {r: seconds(students._drawn(classes.model, r, data), None) for r in every}
    limit = sorted(drawn.values())[len(drawn) // 2]
    found = students.within(classes.model, data, Limits(latency=limit), None, 0)
    assert set(found) == {r for r, s in drawn.items() if s <= limit}
    assert {r.width for r in students.within(classes.model, data, Limits(width=5), None, 0)} == {5}
    with pytest.raises(
        InputError, match=r"No student is within --latency 0.001 ms: the quickest .*width 8"
    ):
        students.within(classes.model, data, Limits(latency=1e-6), None, 0)


def leaves(tree) -> list[np.ndarray]:
    return [x for v in tree.values() for x in leaves(v)] if isinstance(tree, dict) else (
        [x for v in tree for x in leaves(v)] if isinstance(tree, list | tuple) else [tree]
    )  # fmt: skip


def test_the_difference_is_paired(line):
    """Of the shares of right classes the interval of the difference is known, about, by the normal distribution."""
    rng = np.random.default_rng(0)
    n = 2000
    x = line.model.encoder.transform(
        pl.DataFrame({"a": rng.standard_normal(n), "b": rng.standard_normal(n)})
    )
    own = line.model.scores(x)
    target = own + 0.5 * rng.standard_normal(own.shape)
    theirs = own + 0.2 * rng.standard_normal(own.shape)
    scored = Scored(x, target, None, None, theirs, "on rows", False)
    student = as_model(line.model, line.model.nets[0])
    found = compare(student, replace(line.model, metric="mae"), scored, 0)
    std = line.model.encoder.scales[0].std
    gap = std * (np.abs(own - target) - np.abs(theirs - target))[:, 0]
    assert found.lost == pytest.approx(gap.mean())
    half = 1.96 * gap.std() / np.sqrt(n)
    assert (found.low, found.high) == pytest.approx(
        (gap.mean() - half, gap.mean() + half), abs=half / 5
    )
    r2 = metrics.METRICS["r2"](theirs, own)
    assert found.agreement == pytest.approx(r2, abs=1e-6)


def test_command_and_its_record(classes, run, tmp_path):
    out, err = run(
        "distil", classes.folder, classes.table, "--out", tmp_path / "s", "--width", 8, "--time-limit", "10m", "--json"
    )  # fmt: skip
    found = json.loads(out)
    assert set(found) == {
        "model", "task", "metric", "score", "interval", "metrics", "ensemble", "lost", "lost_interval", "agreement",
        "scored_on", "scored_rows", "bytes", "row_seconds", "recipe", "students", "rows", "made_up_rows", "seconds",
        "interrupted", "notes",
    }  # fmt: skip
    assert not err
    assert found["lost"] == pytest.approx(found["ensemble"]["score"] - found["score"])
    assert found["lost_interval"][0] <= found["lost"] <= found["lost_interval"][1]
    assert found["rows"] > 100
    assert found["made_up_rows"] in (0, found["rows"])
    shown, _ = run("show", tmp_path / "s")
    assert "ensemble model:" in shown
    _, err = run("distil", classes.folder, classes.table, "--out", tmp_path / "s", fails=2)
    assert "--overwrite" in err
    _, err = run(
        "distil", classes.folder, classes.table, "--out", classes.folder, "--overwrite", fails=2
    )
    assert "own folder" in err
    _, err = run(
        "distil",
        classes.folder,
        classes.table,
        "--out",
        tmp_path / "t",
        "--latency",
        "soon",
        fails=2,
    )
    assert "'soon' is no duration" in err


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ({"metric": "pinball_90"}, {}, "quantiles follow from"),
        ({}, {"width": 0}, "width must be at least 1"),
        ({}, {"latency": 0}, "latency must be above 0"),
        ({}, {"size": "1MB"}, "size must be a number"),
        ({}, {"test": pl.DataFrame({"a": [1.0], "b": [2.0]})}, "lacks the target column 'y'"),
    ],
)
def test_what_cannot_be_distilled_is_refused(line, change, options, said):
    with pytest.raises(InputError, match=said):
        popnet.distil(replace(line.model, **change), line.table, **options)


def test_students_take_the_columns_that_the_ensemble_combines(line):
    frame = pl.read_csv(line.table)
    product = Combination(
        operation="product", first="a", second="b", scale=Scale(centre=0, scale=1)
    )
    found = prepare(frame.with_columns(y=2 * pl.col("a") * pl.col("b")), "y", Options())
    encoder = found.encoder.model_copy(update={"combinations": (product,)})
    data = replace(found.data, features=encoder.combine(found.data.features))
    net = baselines.linear(data, found.train, 0)
    ensemble = replace(line.model, schema=found.schema, encoder=encoder, nets=(net,))
    taught = popnet.distil(ensemble, frame.with_columns(y=0.0), time_limit=600, width=8)
    student = taught.model.nets[0]
    assert student.shape.n_numeric == 3
    off = taught.model.predict(frame) - ensemble.predict(frame)
    assert np.sqrt((off**2).mean()) < 0.5 * ensemble.predict(frame).std()
