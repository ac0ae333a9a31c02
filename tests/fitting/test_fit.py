"""The main job: determined by its seed, honest about the test part, and always leaving a usable model."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import replace

import jax
import numpy as np
import polars as pl
import pytest

from popnet import Recipe
from popnet.data.images.read import read_images
from popnet.errors import InputError
from popnet.fitting import selection, training
from popnet.fitting.candidates import Candidates
from popnet.fitting.run import Fitted, Options, Progress, fit, prepare
from popnet.population.program import Program
from popnet.report.fit_page.gather import population_parquet
from popnet.report.html import render
from popnet.runtime import memory
from popnet.tuning.space import user_space

RECIPE = Recipe(depth=1, width=8, batch_size=32, epochs=3, norm="none")
OPTIONS = Options(members=4, folds=2, recipe=RECIPE, workers=1, ensemble="average")
FEATURES = ["size", "age", "colour"]


def make_table(rows: int = 120) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    size, age = rng.standard_normal((2, rows))
    colour = rng.choice(["red", "green", "blue"], rows)
    score = size + (colour == "red") + 0.2 * rng.standard_normal(rows)
    return pl.DataFrame(
        {
            "size": size,
            "age": age,
            "colour": colour,
            "bought": np.where(score > 0.3, "yes", "no"),
            "score": 100 + 10 * score,
            "other": age - score,
            "weight": rng.uniform(0.5, 2, rows),
            "family": rng.integers(0, 20, rows),
        }
    )


TABLE = make_table()
PEOPLE = TABLE.select(*FEATURES, "bought")


def fitted_weights(fitted: Fitted) -> list[np.ndarray]:
    return [x for r in fitted.results for x in jax.tree.leaves(r.parameters)]


def differ(a: Fitted, b: Fitted) -> bool:
    """Whether weights differ (not all do: a net without normalization leaves its parameters alone)."""
    pairs = zip(fitted_weights(a), fitted_weights(b), strict=True)
    return any(not np.array_equal(x, y) for x, y in pairs)


def assert_same(a: Fitted, b: Fitted) -> None:
    for x, y in zip(fitted_weights(a), fitted_weights(b), strict=True):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(a.model.weights, b.model.weights)
    assert a.model.predict_frame(TABLE).equals(b.model.predict_frame(TABLE))


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return fit(PEOPLE, "bought", OPTIONS)


# --- determined -----------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_same_seed_same_model_whatever_the_workers(fitted, workers):
    again = fit(PEOPLE, "bought", replace(OPTIONS, workers=workers))
    assert [r.member for r in again.results] == [r.member for r in fitted.results]
    assert_same(again, fitted)
    assert again.facts.score == fitted.facts.score


def test_another_seed_is_another_model(fitted):
    other = fit(PEOPLE, "bought", replace(OPTIONS, seed=1))
    assert differ(other, fitted)


# --- honest ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["greedy", "average"])
def test_the_test_part_decides_nothing(method):
    """Its targets are turned round and its features made huge: the same nets, the same ensemble, another score."""
    turned = pl.when(pl.col("bought") == "yes").then(pl.lit("no")).otherwise(pl.lit("yes"))
    # A stratified split looks at the targets, so the rows are given by time instead.
    order = pl.int_range(pl.len()).alias("when")
    options = replace(OPTIONS, ensemble=method, time="when")
    clean_table = PEOPLE.with_columns(order)
    test = prepare(clean_table, "bought", options).test
    held = pl.int_range(pl.len()).is_in(test)
    poisoned = clean_table.with_columns(
        size=pl.when(held).then(1e6).otherwise("size"),
        bought=pl.when(held).then(turned).otherwise("bought"),
    )
    table = prepare(poisoned, "bought", options)
    np.testing.assert_array_equal(table.test, test)
    assert not set(test) & {int(i) for f in table.folds for part in f for i in part}
    clean, found = fit(clean_table, "bought", options), fit(poisoned, "bought", options)
    for x, y in zip(fitted_weights(clean), fitted_weights(found), strict=True):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(clean.model.weights, found.model.weights)
    assert found.facts.score != clean.facts.score


def test_score_is_that_of_the_test_part(fitted):
    table = prepare(PEOPLE, "bought", OPTIONS)
    part = PEOPLE[table.test.tolist()]
    rows, values = fitted.model.evaluate(iter([part]))
    assert rows == len(table.test) == fitted.facts.data.test_rows
    assert fitted.facts.metrics == pytest.approx(values, rel=1e-6)
    assert "held-out test rows" in fitted.facts.scored_on


def test_without_a_test_part_the_score_is_said_to_be_optimistic():
    found = fit(PEOPLE, "bought", replace(OPTIONS, test_size=0.0))
    assert found.facts.data.test_rows == 0
    assert "optimistic" in found.facts.scored_on


def test_without_a_test_part_the_baselines_too_are_scored_out_of_fold():
    """Eighty columns of noise: fitted on all rows the linear model would be right on nearly all of them."""
    rng = np.random.default_rng(2)
    noise = pl.DataFrame(rng.standard_normal((120, 80)), schema=[f"x{i}" for i in range(80)])
    noise = noise.with_columns(y=pl.Series(rng.choice(["a", "b"], 120)))
    found = fit(noise, "y", replace(OPTIONS, test_size=0.0))
    scores = {b.name: b.metrics["accuracy"] for b in found.facts.baselines}
    assert scores.keys() == {"constant", "linear"}
    assert max(scores.values()) < 0.7


def test_each_baseline_is_compared_on_the_same_rows(fitted):
    for b in fitted.facts.baselines:
        better, low, high = b.gain
        assert better == pytest.approx(fitted.facts.score - b.metrics["accuracy"])
        assert low <= better <= high


def test_a_model_no_better_than_a_constant_is_said_to_be_so():
    rng = np.random.default_rng(2)
    noise = PEOPLE.with_columns(bought=pl.Series(np.where(rng.random(120) < 0.75, "yes", "no")))
    found = fit(noise, "bought", OPTIONS)
    constant = next(b for b in found.facts.baselines if b.name == "constant")
    worse = found.facts.score <= constant.metrics["accuracy"]
    assert worse == any("no better than a constant" in w for w in found.facts.warnings)
    assert worse


# --- parts and roles ------------------------------------------------------------------------------


def test_groups_stay_on_one_side():
    table = prepare(
        TABLE.select(*FEATURES, "bought", "family"), "bought", replace(OPTIONS, group="family")
    )
    family = TABLE["family"].to_numpy()
    assert not set(family[table.test]) & set(family[table.train])
    for f in table.folds:
        assert not set(family[f.train]) & set(family[f.valid])


def test_the_latest_rows_are_held_out():
    when = np.random.default_rng(1).permutation(120)
    frame = PEOPLE.with_columns(when=pl.Series(when))
    table = prepare(frame, "bought", replace(OPTIONS, time="when"))
    assert when[table.train].max() < when[table.test].min()
    for f in table.folds:
        assert when[f.train].max() < when[f.valid].min()
    assert table.split == "time-ordered"
    assert len(np.unique(table.test_groups)) == min(len(table.test), 25)
    found = fit(frame, "bought", replace(OPTIONS, time="when"))
    last = max(r.member.fold for r in found.results)
    used = [m.fold for m in found.facts.members if m.weight > 0]
    assert set(used) == {last}  # the nets of earlier folds know the oldest rows only


def test_row_weights_change_the_model_and_are_no_feature():
    frame = TABLE.select(*FEATURES, "bought", "weight")
    plain = fit(frame.drop("weight"), "bought", OPTIONS)
    weighted = fit(frame, "bought", replace(OPTIONS, weight="weight"))
    assert [c.name for c in weighted.model.schema.features] == FEATURES
    assert differ(plain, weighted)
    even = fit(frame.with_columns(weight=pl.lit(3.0)), "bought", replace(OPTIONS, weight="weight"))
    for x, y in zip(fitted_weights(plain), fitted_weights(even), strict=True):
        np.testing.assert_array_equal(x, y)


def test_numbers_are_predicted_within_the_range_of_the_training_rows():
    frame = TABLE.select(*FEATURES, "score")
    model = fit(frame, "score", OPTIONS).model
    seen = TABLE["score"].to_numpy()[prepare(frame, "score", OPTIONS).train]
    for far, end in ((1e3, seen.max()), (-1e3, seen.min())):
        nets = []
        for net in model.nets:
            output = {**net.parameters["output"], "b": np.full(1, far, np.float32)}
            nets.append(net._replace(parameters={**net.parameters, "output": output}))
        predicted = replace(model, nets=tuple(nets)).predict_frame(frame)["score"]
        np.testing.assert_allclose(predicted, end, rtol=1e-9)


def test_several_regression_targets_in_their_own_units():
    found = fit(TABLE.select(*FEATURES, "score", "other"), ["score", "other"], OPTIONS)
    assert found.facts.target.task == "regression"
    predicted = found.model.predict_frame(TABLE)
    assert predicted.columns == ["score", "other"]
    assert 90 < predicted["score"].mean() < 120
    assert abs(predicted["other"].mean()) < 3
    assert set(found.facts.metrics) == {"rmse", "mae", "r2", "coverage_90"}
    ends = found.model.predict_frame(TABLE, interval=0.8)
    assert ends.columns == [
        f"{n}{end}" for n in ("score", "other") for end in ("", "_low", "_high")
    ]


def test_a_metric_of_numbers_of_nothing_or_more_refuses_others_before_anything_is_trained():
    table = TABLE.select(*FEATURES, "other")
    with pytest.raises(InputError, match=r"'rmsle' needs targets of 0 or more, but there is -"):
        fit(table, "other", replace(OPTIONS, metric="rmsle"), on_progress=refuse_training)
    shifted = table.with_columns(pl.col("other") - pl.col("other").min())
    found = fit(shifted, "other", replace(OPTIONS, metric="rmsle"))
    assert found.facts.score == found.facts.metrics["rmsle"] > 0


def refuse_training(progress: Progress) -> None:
    assert progress.stage == "reading"


def test_intervals_are_of_the_held_out_rows_of_the_folds_that_are_kept():
    """Ordered by time only the nets of the last fold are, so only its rows say how far off they are."""
    numbers = TABLE.select(*FEATURES, "score")
    for options, rows in ((OPTIONS, 96), (replace(OPTIONS, folds=1), 19)):
        conformal = fit(numbers, "score", options).model.conformal
        assert conformal is not None
        assert abs(len(conformal.errors) - rows) <= 1
    ordered = fit(numbers.with_row_index("when"), "score", replace(OPTIONS, time="when")).model
    assert ordered.conformal is not None
    assert set(ordered.conformal.folds) == {1}
    assert len(ordered.conformal.errors) == 32


@pytest.mark.parametrize("method", ["greedy", "average", "vote"])
def test_methods(method):
    found = fit(PEOPLE, "bought", replace(OPTIONS, ensemble=method))
    assert found.model.method == method
    assert found.model.weights.sum() == pytest.approx(1)
    if method == "greedy":
        assert found.facts.ensemble.score >= found.facts.ensemble.best_member
    else:
        np.testing.assert_allclose(found.model.weights, 1 / len(found.model.weights))


def test_vote_for_numbers_is_refused():
    with pytest.raises(InputError, match="vote is for classes"):
        fit(TABLE.select(*FEATURES, "score"), "score", replace(OPTIONS, ensemble="vote"))


# --- ends -----------------------------------------------------------------------------------------


def test_a_stop_after_the_first_results_leaves_a_usable_model():
    stop = threading.Event()
    seen: list[Progress] = []

    def watch(p: Progress) -> None:
        seen.append(p)
        if p.stage == "training" and p.done >= 2:
            stop.set()

    found = fit(
        PEOPLE, "bought", replace(OPTIONS, members=100_000), on_progress=watch, stop=stop
    )  # fmt: skip
    assert found.interrupted
    assert 2 <= len(found.results) < 100_000
    assert "training was interrupted" in " ".join(found.facts.warnings)
    assert found.model.predict_frame(PEOPLE).height == 120
    assert [p.stage for p in seen][-1] == "finishing"


def test_without_a_test_part_the_score_is_the_ensembles_of_held_out_rows(monkeypatch):
    monkeypatch.setattr(selection, "FORGIVEN", 1e9)
    recipe = RECIPE.replace(width=32, epochs=30, learning_rate=0.02)
    for target in ("bought", "score"):
        table = TABLE.select(*FEATURES, target)
        options = replace(OPTIONS, ensemble="greedy", test_size=0.0, recipe=recipe, members=6)
        found = fit(table, target, options)
        assert found.facts.ensemble.late > 0
        assert found.facts.score == pytest.approx(found.facts.ensemble.score)


def test_an_epoch_of_very_many_rows_is_a_part_of_a_pass(monkeypatch):
    monkeypatch.setattr(training, "EPOCH_ROWS", 16)
    notes = []
    found = fit(PEOPLE, "bought", OPTIONS, on_progress=lambda p: notes.append(p.note))
    parts = 2  # of 48 training rows a fold, in batches of 32
    assert {r.member.recipe.epochs for r in found.results} == {parts * RECIPE.epochs}
    assert {r.epochs for r in found.results} == {parts * RECIPE.epochs}
    said = "an epoch is 24 of the 48 training rows; 2 epochs are a pass over all of them"
    assert said in notes
    assert said in found.facts.notes
    assert found.facts.wanted_epochs == parts * RECIPE.epochs


def test_a_stop_before_the_first_result_leaves_the_linear_model():
    stop = threading.Event()
    stop.set()
    found = fit(PEOPLE, "bought", OPTIONS, stop=stop)
    assert found.interrupted
    assert not any(r.usable for r in found.results)
    assert {n.recipe.depth for n in found.model.nets} == {0}
    assert found.model.predict_frame(PEOPLE).height == 120


def test_nets_of_some_folds_are_taken_rather_than_the_linear_model_of_all(monkeypatch):
    add = Candidates.add

    def of_first_fold(self, recipe_id, fold, member, net, last=None):
        if (
            recipe_id < 0 or fold == 0
        ):  # as if time had ended before the nets of the other folds did
            add(self, recipe_id, fold, member, net, last)

    monkeypatch.setattr(Candidates, "add", of_first_fold)
    found = fit(PEOPLE, "bought", replace(OPTIONS, ensemble="greedy"))
    assert [net.recipe.depth for net in found.model.nets] == [1, 1]
    assert found.model.method == "average"


def test_a_linear_model_that_takes_long_is_left_out(monkeypatch):
    monkeypatch.setattr("popnet.fitting.training.LINEAR_SHARE", 0.0)
    limited = replace(OPTIONS, time_limit=1000.0, members=2)
    slow = fit(PEOPLE, "bought", limited)
    monkeypatch.setattr("popnet.fitting.training.LINEAR_SHARE", 1.0)
    quick = fit(PEOPLE, "bought", limited)
    depths = [{net.recipe.depth for net in f.model.nets} for f in (slow, quick)]
    assert depths == [{1}, {0, 1}]


def test_a_limit_shorter_than_the_compilation_leaves_the_linear_model(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(Program, "compile", lambda *_: release.wait(60))
    try:
        found = fit(PEOPLE, "bought", replace(OPTIONS, time_limit=1.0))
    finally:
        release.set()
    assert found.facts.warnings == ["no net was trained in time; the model is the linear one"]
    assert [n.recipe.depth for n in found.model.nets] == [0]
    assert found.model.predict_frame(PEOPLE).height == 120
    assert "<html" in render(found.facts)
    for thread in threading.enumerate():
        if thread.name == "popnet worker":
            thread.join(60)


@pytest.mark.parametrize(("limit", "all_kinds"), [(15.0, False), (60.0, True)])
def test_in_little_time_programs_of_one_activation_are_compiled(monkeypatch, limit, all_kinds):
    """More are searched in more time, by a program that holds them all."""
    compiled = []

    def fail(self, *_):
        compiled.append(self.form)
        raise InputError("enough")

    monkeypatch.setattr(Program, "compile", fail)
    with pytest.raises(InputError, match="enough"):
        fit(PEOPLE, "bought", Options(time_limit=limit, workers=1))
    assert [form.activation is None for form in compiled] == [all_kinds]


def test_a_limit_counts_from_the_given_moment():
    """An hour that began two hours ago is over."""
    began = time.monotonic() - 7200
    found = fit(PEOPLE, "bought", replace(OPTIONS, time_limit=3600.0), began=began)
    assert not any(r.usable for r in found.results)
    assert found.facts.seconds.total >= 7200


def test_a_memory_limit_that_the_data_leaves_no_room_in_is_refused_with_what_is_needed():
    with pytest.raises(InputError, match=r"memory limit of 100 MB is too little; give at least"):
        fit(PEOPLE, "bought", replace(OPTIONS, memory_limit=1e8))


def test_a_memory_limit_reached_in_training_leaves_what_has_ended(monkeypatch):
    full = threading.Event()
    monkeypatch.setattr(memory.Memory, "left", lambda _: -1.0 if full.is_set() else 1e12)

    def watch(p: Progress) -> None:
        if p.stage == "training" and p.done >= 2:
            full.set()

    options = replace(OPTIONS, members=100_000, memory_limit=3e9)
    found = fit(PEOPLE, "bought", options, on_progress=watch)
    assert 2 <= len(found.results) < 100_000
    assert "at the memory limit of 3 GB" in " ".join(found.facts.warnings)
    assert not found.interrupted
    assert found.model.predict_frame(PEOPLE).height == 120


def test_where_memory_is_short_only_a_few_recipes_are_kept(monkeypatch):
    monkeypatch.setattr(memory.Memory, "room_for", lambda _, count: count <= 1)
    options = replace(OPTIONS, members=26, memory_limit=None)
    found = fit(PEOPLE, "bought", options)
    kept = [r for r in found.results if r.parameters]
    assert len(found.results) == 26
    assert len(kept) in (18, 20)  # ten recipes on two folds; the linear model may be one of them


# --- what it tells --------------------------------------------------------------------------------


def test_progress_comes_in_order():
    seen: list[Progress] = []
    fit(PEOPLE, "bought", OPTIONS, on_progress=seen.append)
    stages = list(dict.fromkeys(p.stage for p in seen))
    assert stages == ["reading", "compiling", "training", "finishing"]
    assert [p.done for p in seen if p.stage == "training"] == [1, 2, 3, 4]
    assert {p.total for p in seen if p.stage == "training"} == {4}
    assert any("bought: binary" in p.note for p in seen)


def test_the_page_is_made_of_the_facts(fitted):
    page = render(fitted.facts)
    assert page.lower().startswith("<!doctype html>")
    assert "bought" in page


def test_a_row_a_member(fitted):
    table = pl.read_parquet(io.BytesIO(population_parquet(fitted.facts)))
    assert table.height == len(fitted.results) == 4
    for row, result in zip(table.iter_rows(named=True), fitted.results, strict=True):
        recipe = {k.removeprefix("recipe."): v for k, v in row.items() if k.startswith("recipe.")}
        assert Recipe.from_mapping(recipe) == result.member.recipe
        assert (row["seed"], row["fold"]) == (result.member.seed, result.member.fold)
        assert (row["status"], row["epochs"]) == (result.status, result.epochs)
    assert table["score"].is_between(0, 1).all()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"time_limit": 0.0}, "time limit"),
        ({"time_limit": float("nan")}, "time limit"),
        ({"members": 0}, "members"),
        ({"folds": -1}, "folds"),
        ({"test_size": 1.0}, "test_size"),
        ({"search": "genetic"}, "search"),
        ({"engine": "cloud"}, "engine"),
        ({"ensemble": "stack"}, "ensemble"),
    ],
)
def test_impossible_options_are_named(values, said):
    with pytest.raises(InputError, match=said):
        fit(PEOPLE, "bought", replace(OPTIONS, **values))


def test_rows_of_weight_0_are_left_out_and_said():
    few = TABLE.select(*FEATURES, "bought", "weight").with_columns(
        weight=pl.when(pl.int_range(pl.len()) % 3 > 0).then(0.0).otherwise("weight")
    )
    found = fit(few, "bought", replace(OPTIONS, weight="weight"))
    kept = fit(few.filter(pl.col("weight") > 0), "bought", replace(OPTIONS, weight="weight"))
    assert_same(found, kept)
    assert "80 rows of weight 0 are left out" in found.facts.notes


def test_folds_are_no_more_than_the_groups_if_none_are_asked_for():
    four = TABLE.select(*FEATURES, "bought").with_columns(family=pl.int_range(pl.len()) % 4)
    table = prepare(four, "bought", replace(OPTIONS, folds=None, members=None, group="family"))
    assert len(table.folds) == 3  # the fourth is the test part


def test_members_are_rounded_up_to_whole_recipes():
    found = fit(PEOPLE, "bought", replace(OPTIONS, members=3))
    assert len(found.results) == 4


def test_only_the_best_recipes_are_kept(monkeypatch):
    monkeypatch.setattr("popnet.fitting.training.MAX_CANDIDATES", 2)
    found = fit(PEOPLE, "bought", replace(OPTIONS, members=8))
    kept = [r for r in found.results if r.parameters]
    assert 2 <= len(kept) < len(found.results) == 8
    assert len({m.recipe_id for m in found.facts.members if m.weight}) <= 2


def test_several_targets_are_told_on_a_page():
    found = fit(TABLE.select(*FEATURES, "score", "other"), ["score", "other"], OPTIONS)
    assert found.facts.metric.name == "r2"
    assert "score" in render(found.facts)


# --- searches that learn --------------------------------------------------------------------------

SEARCHED = replace(
    OPTIONS, members=16, recipe=RECIPE.replace(epochs=4), search="halving", ensemble="greedy"
)


def test_a_race_drops_recipes_and_goes_the_same_way_for_any_number_of_workers():
    fitted = fit(PEOPLE, "bought", SEARCHED)
    statuses = [r.status for r in fitted.results]
    assert "dropped" in statuses
    assert not {"paused", "running", "interrupted"} & set(statuses)
    assert all(r.pause is None for r in fitted.results)
    folds = {}
    for member in fitted.facts.members:
        folds.setdefault(member.recipe_id, set()).add(member.fold)
    through = [i for i, f in folds.items() if f == {0, 1}]
    assert 0 < len(through) < len(folds)
    assert {m.recipe_id for m in fitted.facts.members if m.weight} <= {-1, *through}
    assert "as other recipes did better" in render(fitted.facts)
    assert_same(fitted, fit(PEOPLE, "bought", replace(SEARCHED, workers=2)))


def test_a_race_that_is_stopped_leaves_a_model():
    stop = threading.Event()

    def tell(progress: Progress) -> None:
        if progress.stage == "training" and progress.done >= 1:
            stop.set()

    fitted = fit(
        PEOPLE,
        "bought",
        replace(SEARCHED, recipe=RECIPE.replace(epochs=300)),
        on_progress=tell,
        stop=stop,
    )
    assert fitted.interrupted
    assert len(fitted.model.predict_frame(PEOPLE)) == len(PEOPLE)


@pytest.mark.parametrize("folds", [1, 2])
def test_a_race_that_ends_before_any_net_leaves_the_best_nets_so_far(folds):
    stop = threading.Event()

    def tell(progress: Progress) -> None:
        if progress.stage == "training":  # after the first pause
            stop.set()

    long = replace(SEARCHED, recipe=RECIPE.replace(epochs=300, patience=300), folds=folds)
    fitted = fit(PEOPLE, "bought", long, on_progress=tell, stop=stop)
    paused = [r for r in fitted.results if r.usable]
    assert {r.status for r in paused} == {"interrupted"}
    assert all(r.epochs < 300 for r in paused)
    assert {net.recipe.depth for net in fitted.model.nets} - {0} == {1}
    assert "linear" not in " ".join(fitted.facts.warnings)


def test_a_grid_is_trained_whole_and_said_before_how_large_it_is_and_how_long_it_takes():
    notes = []
    ranges = user_space.dimensions({"dropout": [0.0, 0.2, 0.4], "weight_decay": [0.01, 0.1]})
    recipe = RECIPE.replace(numeric_embedding="none")  # one structure
    options = replace(OPTIONS, recipe=recipe, search="grid", ranges=ranges, members=None)
    fitted = fit(PEOPLE, "bought", options, on_progress=lambda p: notes.append(p.note))
    [said] = [n for n in notes if "grid" in n]
    assert said.startswith(
        "the grid has 6 recipes, beside the default one; 14 nets are to be trained, at"
    )
    members = fitted.facts.members
    assert len(members) == 14
    pairs = {(m.recipe["dropout"], m.recipe["weight_decay"]) for m in members}
    assert pairs >= {(d, w) for d in (0.0, 0.2, 0.4) for w in (0.01, 0.1)}


def test_a_grid_of_images_is_trained_whole_and_said_before_too():
    notes = []
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 8, 8, 1), dtype=np.uint8)
    images = read_images(pixels, need_labels=False)
    images = replace(images, labels=(np.arange(60) % 2).tolist(), label_name="class")
    options = Options(
        folds=2, workers=1, search="grid", augment="none",
        ranges=user_space.dimensions({"weight_decay": [0.01, 0.1], "ema": [0.9, 0.98]}),
        recipe=Recipe(kind="conv", depth=1, width=4, stages=1, epochs=1, patience=1, patch=1),
    )  # fmt: skip
    fitted = fit(images, None, options, on_progress=lambda p: notes.append(p.note))
    [said] = [n for n in notes if "grid" in n]
    assert said.startswith(
        "the grid has 4 recipes, beside the default one; 10 nets are to be trained, at most about"
    )
    found = [(m.recipe["weight_decay"], m.recipe["ema"]) for m in fitted.facts.members]
    assert len(found) == 10
    assert set(found) >= {(d, e) for d in (0.01, 0.1) for e in (0.9, 0.98)}


def test_tpe_asks_optuna(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    options = replace(SEARCHED, search="tpe", members=8, storage=url)
    fitted = fit(PEOPLE, "bought", options)
    assert len({m.recipe_id for m in fitted.facts.members}) == 4
    import optuna

    study = optuna.load_study(study_name=None, storage=url)
    assert len(study.trials) == 4
    assert_same(fitted, fit(PEOPLE, "bought", replace(options, storage=None)))
