"""Claims: measuring functions against closed forms, verdicts of made-up numbers, and some claims tried for real."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from popnet.ablation.transformations import small_images
from popnet.course import evidence, lab, page, registry, schedule
from popnet.course import material as materials
from popnet.course.base import CheckedClaim, Claim, ClaimOutcome, Criterion, joint_verdict
from popnet.course.evidence import Interval
from popnet.course.experiments import (
    augmenting,
    capacity,
    drift,
    dying,
    ensembles,
    evaluation,
    gradient_flow,
    passes,
    patience,
    random_search,
    rates,
    regularising,
    scales,
    shrinking,
    vanishing,
)
from popnet.course.lab import Bench, OutOfTimeError, twins_of_seed
from popnet.course.material import FACTORS, Material
from popnet.course.nets import ADAM, PLAIN
from popnet.course.run import claims
from popnet.data.dataset import Dataset, Images
from popnet.errors import InputError
from popnet.options import Options
from popnet.population.members import Member, Probes
from popnet.prepare.source import prepare_source
from popnet.runtime import keys
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Shape

DIGITS = materials.digits(4, 0)


def a_bench(table: Material = DIGITS[0], **changes: object) -> Bench:
    return Bench(table, DIGITS[1], effort=0.05, workers=1, **changes)


def an_interval(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, (high - low) / 4, 0.5)


# --- intervals and verdicts -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "above", "below", "gains"),
    [
        (0.2, 0.4, "holds", "does not hold", "holds"),
        (-0.4, -0.2, "does not hold", "holds", "does not hold"),
        (-0.1, 0.3, "not decided", "not decided", "not decided"),
        (-0.1, 0.04, "not decided", "not decided", "does not hold"),
        (np.nan, np.nan, "not decided", "not decided", "not decided"),
    ],
)
def test_verdicts_of_an_interval(low, high, above, below, gains):
    found = an_interval(low, high)
    assert evidence.holds_above(found) == above
    assert evidence.holds_below(found) == below
    assert evidence.holds_for_gain(found, 0.05) == gains


def test_a_threshold_moves_the_verdict():
    found = an_interval(0.2, 0.4)
    assert evidence.holds_above(found, 0.3) == "not decided"
    assert evidence.holds_above(found, 0.5) == "does not hold"
    assert evidence.holds_below(found, 0.5) == "holds"


def test_all_main_parts_must_hold():
    assert joint_verdict(["holds", "holds"]) == "holds"
    assert joint_verdict(["holds", "not decided"]) == "not decided"
    assert joint_verdict(["not decided", "does not hold", "holds"]) == "does not hold"
    assert joint_verdict([]) == "not decided"
    side = Criterion("a", "b", "does not hold", an_interval(0, 1), main=False)
    main = replace(side, verdict="holds", main=True)
    assert ClaimOutcome((main, side)).verdict == "holds"


def test_crossed_is_the_sum_of_both_variances():
    values = np.array([[1.0, 2.0, 6.0], [3.0, 2.0, 4.0]])
    found = evidence.crossed_interval(values, overlap=0.5)
    of_repeats = np.var([3.0, 3.0], ddof=1) * (1 / 2 + 0.5)
    of_rows = np.var([2.0, 2.0, 5.0], ddof=1) / 3
    assert found.mean == pytest.approx(3.0)
    assert found.error == pytest.approx(np.sqrt(of_repeats + of_rows))
    assert found.high - found.mean == pytest.approx(12.706 * found.error, rel=1e-3)


def test_crossed_covers_what_repetitions_alone_do_not():
    # Repetitions, rows and both together have effects; the mean of all is 0.
    rng = np.random.default_rng(1)
    hits, alone = 0, 0
    for _ in range(400):
        values = rng.standard_normal((8, 1)) + 4 * rng.standard_normal((1, 60))
        values = values + rng.standard_normal((8, 60))
        found, narrow = evidence.crossed_interval(values), evidence.interval(values.mean(1))
        hits += found.low <= 0 <= found.high
        alone += narrow.low <= 0 <= narrow.high
    assert 0.93 <= hits / 400 <= 0.995
    assert alone / 400 < 0.9


def test_what_could_not_be_measured_is_left_out():
    nan = np.nan
    assert evidence.mean_known([[1.0, nan], [2.0, 4.0], [nan, nan]]).tolist()[:2] == [1.0, 3.0]
    assert np.isnan(evidence.mean_known([[nan, nan]])[0])
    found = evidence.known_interval([1.0, nan, 2.0, 3.0])
    assert found == evidence.interval([1.0, 2.0, 3.0])
    assert np.isnan(evidence.known_interval([1.0, 2.0, nan]).low)
    mean, low, high = evidence.mean_band([[1.0, nan, 5.0], [3.0, nan, nan]])
    assert mean[0] == 2.0
    assert low[0] == pytest.approx(2 - 12.706, rel=1e-3)
    assert np.isnan(mean[1])
    assert (mean[2], low[2], high[2]) == (5.0, 5.0, 5.0)


def test_intervals_in_words():
    assert evidence.as_points(an_interval(0.01, 0.03)) == "2.0 points (1.0 to 3.0)"
    assert evidence.as_percent(an_interval(0.01, 0.03)) == "2.0 % (1.0 to 3.0 %)"
    assert evidence.as_factor(an_interval(-3.0, -1.0)) == "0.01 (0.001 to 0.1)"
    assert evidence.as_number(an_interval(1.0, 2.0), 2, "s") == "1.5 s (1 to 2)"


# --- rows -------------------------------------------------------------------------------------------


def material(rows: int = 1800, repeats: int = 10) -> Material:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, 3))
    table = Dataset.from_arrays(X, (X[:, 0] > 0).astype(int), "binary")
    pool, test = np.arange(rows * 2 // 3), np.arange(rows * 2 // 3, rows)
    return Material("made up", table, pool, test, repeats)


def test_repetitions_have_rows_of_their_own():
    made = material()
    for factor in FACTORS:
        for k in range(10):
            train, valid = made.folds[made.fold(k, factor)]
            assert len(train) == 120 * factor
            assert len(valid) == 120
            assert not set(train) & set(valid)
            assert not (set(train) | set(valid)) & set(made.test)
    everything = np.concatenate([made.folds[made.fold(k)][0] for k in range(10)])
    assert sorted(everything) == made.pool.tolist()


@pytest.mark.parametrize(("factor", "shared"), [(0.5, 0), (1, 0), (2, 1 / 9), (4, 3 / 9)])
def test_overlap_of_windows_of_blocks(factor, shared):
    # Windows of 2 of 10 blocks share half with 2 of the 9 others; of 4 blocks 3/4, 1/2, 1/4 with 2 each.
    assert material().overlap(factor) == pytest.approx(shared / (1 - shared))


def test_few_rows_are_shared():
    made = material(rows=120)
    assert made.rows() == 40  # half of the pool
    assert made.overlap() > 0.5
    assert max(len(train) for train, _ in made.folds) == 72  # one block is left to validate on
    assert all(len(valid) for _, valid in made.folds)
    with pytest.raises(InputError, match="at least 60 rows"):
        material(rows=45)


def test_a_guess_is_the_entropy_or_the_variance():
    made = material()
    shares = np.bincount(made.data.target[made.pool]) / len(made.pool)
    assert made.guess == pytest.approx(-(shares * np.log(shares)).sum())
    y = np.random.default_rng(1).standard_normal(1800) * 3
    numbers = replace(made, data=Dataset.from_arrays(np.zeros((1800, 1)), y, "regression"))
    assert numbers.guess == pytest.approx(y[:1200].var(), rel=1e-5)


def test_a_users_table_is_cut_to_size():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"a": rng.standard_normal(4000), "b": rng.standard_normal(4000)})
    frame = frame.with_columns(y=(pl.col("a") > 0).cast(pl.String))
    prepared = prepare_source(frame, "y", Options(test_size=1 / 3))
    table, images = materials.user_material("mine", prepared, 10, 0)
    assert images is None
    assert (len(table.pool), len(table.test)) == (1200, 600)
    assert len(table.data) == 1800
    assert not set(table.pool) & set(table.test)
    # The rows are still who they were: the sign of the first column is the class.
    right = (table.data.features.numeric[:, 0] > table.data.features.numeric[:, 0].mean()).astype(
        int
    )
    assert (right == table.data.target).mean() > 0.97


def test_images_become_columns_and_smaller():
    pixels = np.arange(2 * 4 * 6, dtype=np.uint8).reshape(2, 4, 6, 1)
    found = small_images.smaller(pixels, most=2)
    assert found.shape == (2, 2, 3, 1)
    assert found[0, 0, 0, 0] == round((0 + 1 + 6 + 7) / 4)
    assert small_images.smaller(pixels, most=4) is pixels
    table, images = DIGITS
    assert isinstance(images.data.features, Images)
    grey = images.data.features.pixels[5].ravel() / 255 * 16
    assert np.allclose(table.data.features.numeric[5] * 6 + 5, grey, atol=0.05)


# --- the bench --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nets():
    """Nets of two repetitions, by their best and by their last weights."""
    made = a_bench()
    recipe = PLAIN.replace(learning_rate=0.1, epochs=6, dropout=0.5)
    groups = [
        twins_of_seed([recipe, recipe.replace(dropout=0.0)], 7 + k, made.table.fold(k))
        for k in range(2)
    ]
    return made, made.train(groups), made.train(groups, last=False)


def test_the_last_epochs_weights(nets):
    made, last, best = nets
    for group_last, group_best in zip(last, best, strict=True):
        for a, b in zip(group_last, group_best, strict=True):
            valid = made.table.folds[a.member.fold][1]
            curve = a.curves["valid_loss"]
            assert np.array_equal(curve, b.curves["valid_loss"])
            assert made.losses([a], rows=valid).mean() == pytest.approx(curve[-1], rel=1e-3)
            assert made.losses([b], rows=valid).mean() == pytest.approx(curve.min(), rel=1e-3)
    assert any(r.curves["valid_loss"].argmin() < 5 for g in best for r in g)


def test_errors_and_losses_are_those_of_the_outputs(nets):
    made, last, _ = nets
    outputs = made.outputs(last[0])
    target = made.table.data.target[made.table.test]
    assert np.array_equal(made.errors(last[0])[1], outputs[1].argmax(1) != target)
    p = np.exp(outputs[0].astype(float))
    p = p[np.arange(len(p)), target] / p.sum(1)
    assert made.losses(last[0])[0] == pytest.approx(-np.log(p), rel=1e-4, abs=1e-5)
    diverged = replace(last[0][0], status="diverged")
    assert not made.outputs([diverged]).any()


def test_regression_is_judged_by_the_squared_error():
    made = replace(
        material(60, 4), data=Dataset.from_arrays(np.zeros((60, 1)), np.arange(60), "regression")
    )
    outputs = np.array([[[1.0], [5.0]]])
    assert lab.errors(outputs, made, np.array([3, 4])).tolist() == [[4.0, 1.0]]
    assert np.array_equal(lab.losses(outputs, made, [3, 4]), lab.errors(outputs, made, [3, 4]))


def test_a_curve_of_a_net_that_diverged_is_as_bad_as_a_guess():
    result = SimpleNamespace(status="diverged", curves={"loss": np.array([1.0, 0.5, np.inf])})
    assert lab.training_curve(result, 5, 2.0).tolist() == [0.5, 0.25, 1.0, 1.0, 1.0]
    result.status = "finished"
    assert lab.training_curve(result, 2, 2.0).tolist() == [0.5, 0.25]


class UnreadableImage:
    """A trainer that does not come to one net's end."""

    def __init__(self, *_, **__):
        pass

    def run(self, members):
        for i, segment in members:
            status = "interrupted" if i == 9 else "paused"
            yield i, SimpleNamespace(status=status, pause=None, member=segment.member)


def test_a_repetition_that_is_cut_short_ends_the_population(monkeypatch):
    monkeypatch.setattr(lab, "Trainer", UnreadableImage)
    made = a_bench()
    pairs = [twins_of_seed([PLAIN, PLAIN], k, 0) for k in range(8)]
    assert len(made.train(pairs)) == 4  # the tenth net is of the fifth pair
    with pytest.raises(OutOfTimeError):
        made.train([twins_of_seed([PLAIN] * 4, k, 0) for k in range(8)])


def test_nothing_is_trained_after_the_deadline_or_a_stop():
    with pytest.raises(OutOfTimeError):
        a_bench(deadline=time.monotonic() - 1).train([twins_of_seed([PLAIN], 0, 0)])
    stop = threading.Event()
    stop.set()
    with pytest.raises(OutOfTimeError):
        a_bench(stop=stop).train([twins_of_seed([PLAIN], 0, 0)])


# --- passes -----------------------------------------------------------------------------------------


def test_gradient_of_a_linear_net_is_the_closed_form():
    made = a_bench(material(384, 4))
    state = passes.untrained(made, [Member(Recipe(depth=0, batch_size=32), 3)])[0]
    found = passes.gradients(made, [state])[0]
    rng = keys.generator(3, "claims", "gradient")
    rows = rng.permutation(made.table.pool)[:256]
    X = np.asarray(made.table.data.features.numeric[rows], float)
    w = np.asarray(state.parameters["output"]["w"], float)
    p = np.exp(X @ w) / np.exp(X @ w).sum(1, keepdims=True)
    gradient = X.T @ (p - np.eye(2)[made.table.data.target[rows]]) / 256
    assert found.shape == (1,)
    assert found[0] == pytest.approx(np.sqrt((gradient**2).mean()), rel=1e-4)


def test_passes_see_what_the_net_does(nets):
    made, last, _ = nets
    state, plain = passes.trained(last[0])
    found = passes.ranges(made, [state])[0]
    rows = made.table.folds[made.table.fold(0)][0]
    h = np.asarray(made.table.data.features.numeric[rows], float)
    for i, p in enumerate(state.parameters["hidden"]):
        h = np.maximum(h @ p["w"] + p["b"], 0)
        assert found[i] == pytest.approx(np.ptp(h, axis=0), rel=1e-3, abs=1e-4)
    noisy = passes.noisy(made, [state, plain], 3)
    assert noisy.shape == (2, 3, len(made.table.test), 10)
    outputs = made.outputs(last[0])
    assert noisy[1, 2] == pytest.approx(outputs[1], rel=1e-3, abs=1e-3)  # it has no dropout
    assert np.abs(noisy[0, 0] - noisy[0, 1]).mean() > 0.02
    assert np.abs(noisy[0, 0] - outputs[0]).mean() > 0.02


# --- what claims measure ----------------------------------------------------------------------------


def gradients(left: float, repeats: int = 5) -> np.ndarray:
    """Return gradients at all depths of which so much is left at the end, with some noise."""
    noise = np.random.default_rng(0).normal(0, 0.05, (repeats, 4))
    noise -= noise.mean(0)
    return 10 ** (np.linspace(0, np.log10(left), 4) + noise)


def test_what_is_left_of_a_gradient():
    assert vanishing.log10_gradient_ratio(np.array([[1e-2, 3.0, 7.0, 1e-5]])) == pytest.approx(
        [-3.0]
    )
    assert vanishing.log10_gradient_ratio(np.array([[1.0, 1.0, 1.0, 0.0]]))[0] == -30.0
    assert vanishing.mean_losses([[1.0, 0.5, 0.0], [1.0, 1.0, 1.0]]).tolist() == [0.5, 1.0]


def with_gradients(left: float, old: float = 1e-6) -> Bench:
    made = a_bench()
    found = {
        vanishing.NetKind(a, "recommended"): gradients(left) for a in ("sigmoid", "tanh", "relu")
    }
    found |= {vanishing.NetKind(a, "pre-2010"): gradients(old) for a in ("sigmoid", "tanh")}
    made.once("first gradients", lambda: found)
    slow, fast = np.tile([[1.0, 0.9]], (5, 1)), np.tile([[0.5, 0.1]], (5, 1))
    slow = slow + np.random.default_rng(0).normal(0, 0.01, slow.shape)
    slow, fast = vanishing.LearningCurves(0.1, slow), vanishing.LearningCurves(0.1, fast)
    made.once("learning", lambda: {"sigmoid": slow, "tanh": fast})
    made.once("deep learning", lambda: {"sigmoid": slow, "relu": fast})
    return made


@pytest.mark.parametrize(
    ("left", "sigmoid", "tanh", "relu"),
    [
        (1e-3, "holds", "holds", "does not hold"),
        (0.9, "does not hold", "does not hold", "holds"),
        (0.1, "not decided", "not decided", "not decided"),
    ],
)
def test_verdicts_about_gradients(left, sigmoid, tanh, relu):
    made = with_gradients(left)
    assert vanishing.sigmoid(made).verdict == sigmoid
    assert vanishing.tanh(made).verdict == tanh
    assert vanishing.relu(made).verdict == relu


def test_tanh_that_learns_no_faster_does_not_hold():
    made = with_gradients(1e-3)
    same = np.random.default_rng(0).normal(0.5, 0.001, (5, 2))
    curves = (vanishing.LearningCurves(0.1, losses) for losses in (same, same[::-1]))
    made._kept["learning"] = dict(zip(("sigmoid", "tanh"), curves, strict=True))
    assert vanishing.tanh(made).criteria[0].verdict == "does not hold"
    assert vanishing.tanh(made).verdict == "does not hold"


def test_dead_units_give_the_same_for_every_row():
    assert dying.dead_share([[0.0, 1.0], [5e-4, 2.0]]) == 0.5
    nan = np.nan
    shares = np.array([[0.1, 0.2, 0.5, nan], [0.0, 0.3, nan, nan], [0.0, 0.0, nan, 0.4], [0.0] * 4])
    assert dying.largest_stable_rate(shares) == 3
    assert np.isnan(dying.dead_share_increase(shares)).tolist() == [True, True, False, False]
    assert dying.dead_share_increase(shares)[2:].tolist() == [0.4, 0.0]
    assert dying.largest_stable_rate(shares[:3]) == 1  # of the others only a third is left
    assert dying.dead_share_increase(shares[:3]) == pytest.approx([0.1, 0.3, 0.0])


def test_the_way_of_the_means():
    nan = np.nan
    steps = np.array([[nan, nan, nan], [nan, nan, nan], [0.1, 0.3, nan], [0.2, 0.2, nan]])
    probes = Probes(np.array([0, 1, 5, 7]), {"drift": steps}, {})
    assert drift.mean_path_length(probes) == pytest.approx(
        ((4 * 0.1 + 2 * 0.2) + (4 * 0.3 + 2 * 0.2)) / 2
    )
    assert np.isnan(drift.mean_path_length(Probes(np.array([0, 1]), {"drift": steps[:2]}, {})))


def test_exploding_and_vanishing_bend_alike():
    found = gradient_flow.orders_of_magnitude(np.array([[1.0, 100.0], [1.0, 0.01], [2.0, 2.0]]))
    assert found == pytest.approx([2.0, 2.0, 0.0])


def test_range_of_rates_and_dependence_on_the_scale():
    assert rates.trainable_range([[1.0, 0.4, 0.1, 0.6], [1.0, 1.0, 1.0, 1.0]]).tolist() == [
        1.0,
        0.0,
    ]
    assert scales.error_range([[0.9, 0.1, 0.5], [0.2, 0.2, 0.2]]) == pytest.approx([0.8, 0.0])
    both = np.array([[[0.9, 0.1, 0.5], [0.3, 0.1, 0.2]], [[0.9, 0.1, 0.9], [0.9, 0.1, 0.9]]])
    assert scales.range_reduction(both) == pytest.approx([0.75, 0.0])


def test_the_rate_is_chosen_by_validation():
    assert regularising.best_rate([[0.3, 0.1, 0.2], [0.3, 0.2, 0.0]]) == 2
    result = SimpleNamespace(status="finished", curves={"valid_error": np.array([0.5, 0.25])})
    assert regularising.validation_error(result) == 0.25
    result.status = "diverged"
    assert regularising.validation_error(result) == 1.0


def test_wrong_targets_are_exchanged():
    target = np.arange(100)
    found = capacity.permuted(target, 0.2, np.random.default_rng(0))
    assert sorted(found) == target.tolist()
    assert 10 <= (found != target).sum() <= 20
    assert np.array_equal(capacity.permuted(target, 0.0, np.random.default_rng(0)), target)


def test_size_zeros_and_paths_of_weights():
    def net(*values: float) -> dict:
        w = np.array([values], np.float32)
        return {"hidden": [], "output": {"w": w}}

    assert shrinking.weight_rms(net(3.0, -4.0)) == pytest.approx(np.sqrt(12.5))
    assert shrinking.zero_share(net(0.5, -5e-4, 0.0, 2.0)) == 0.5
    results = [SimpleNamespace(parameters=net(*v)) for v in ((1, -3, 2), (0.5, 0.1, 0.2))]
    assert shrinking.weight_paths(results, 2) == pytest.approx(np.array([[-3, 2], [0.1, 0.2]]))


def test_patience_on_a_made_up_curve():
    curve = np.array([5.0, 4.0, 4.5, 3.0, 3.5, 3.4, 3.3, 2.0, 2.5])
    assert patience.stopping_epochs(curve, 1) == (3, 2)
    assert patience.stopping_epochs(curve, 3) == (7, 4)
    assert patience.stopping_epochs(curve, 10) == (9, 8)


def test_passes_that_disagree_and_their_mean():
    outputs = np.log(np.array([[[[0.9, 0.1], [0.4, 0.6]], [[0.2, 0.8], [0.2, 0.8]]]]))
    assert evaluation.disagreement(outputs).tolist() == [0.5]
    expected = np.array([[[0.55, 0.45], [0.3, 0.7]]])
    assert evaluation.mean_prediction(outputs, True) == pytest.approx(expected)
    assert evaluation.mean_prediction(outputs, False) == pytest.approx(outputs.mean(1))


def test_a_vote_and_an_average_can_differ():
    made = replace(material(90, 4), test=np.arange(60, 80))
    target = np.asarray(made.data.target)[made.test]
    true, other = np.eye(2)[target], np.eye(2)[1 - target]
    # Two members are a little wrong, one is very right: the vote errs, the average does not.
    said = np.stack([0.45 * true + 0.55 * other, 0.45 * true + 0.55 * other, true])
    assert ensembles.ensemble_errors(said, 3, True, made).tolist() == [1.0] * 20
    assert ensembles.ensemble_errors(said, 3, False, made).tolist() == [0.0] * 20
    # One member alone: two of the three err.
    assert ensembles.ensemble_errors(said, 1, True, made) == pytest.approx([2 / 3] * 20)
    # Of two with a vote each the average decides: (1, 3) and (3, 1) are right, (1, 2) is not.
    assert ensembles.ensemble_errors(said, 2, True, made) == pytest.approx([1 / 3] * 20)


def test_grids_and_searches():
    places = random_search.grid(2)
    assert places.shape == (16, 4)
    assert set(places.ravel()) == {0.25, 0.75}
    assert len(np.unique(places, axis=0)) == 16
    recipe = random_search.recipe([0.5, 0.5, 0.5, 0.5], 7)
    assert recipe.learning_rate == pytest.approx(0.01)
    assert recipe.dropout == pytest.approx(0.35)
    assert recipe.epochs == 7
    assert random_search.search_winners([3.0, 1.0, 2.0, 0.5, 9.0], 2) == [1, 3]
    assert random_search.search_winners([3.0, 1.0, 2.0], 3) == [1]


def test_recipes_of_claims_can_be_trained():
    for units in ([0.0] * 5, [1.0] * 5, [0.4, 0.6, 0.5, 0.5, 0.5]):
        made = ensembles.recipe(units, 5)
        assert Shape.of(made, DIGITS[0].data) == Shape.of(ADAM, DIGITS[0].data)
    base = augmenting.twin_recipe((8, 8, 1), 100)
    assert base.replace(**augmenting.CLASS_CHANGING).half_turn == 0.5
    assert base.replace(**augmenting.CLASS_KEEPING).rotation == 10.0


# --- all together -----------------------------------------------------------------------------------


def test_the_list_is_the_courses():
    assert [c.number for c in registry.CLAIMS] == list(range(1, 18))
    assert len({c.key for c in registry.CLAIMS}) == 17
    assert len({c.measure for c in registry.CLAIMS}) == 17
    assert [c.key for c in registry.chosen(("16", "sigmoid"))] == ["sigmoid", "ensembles"]
    assert registry.chosen(()) == list(registry.CLAIMS)
    with pytest.raises(InputError, match=r"no claim 'ensemble'.* Did you mean 'ensembles'"):
        registry.chosen(("ensemble",))


def a_claim(number: int, measure, share: float = 1.0) -> Claim:
    return Claim(number, f"claim-{number}", "It is so", "So it is.", "Me", "More.", measure, share)


def test_time_is_shared_and_what_has_none_is_not_decided(monkeypatch):
    given = []

    def late(made: Bench) -> ClaimOutcome:
        given.append(made.deadline - time.monotonic())
        raise OutOfTimeError

    def quick(made: Bench) -> ClaimOutcome:
        given.append(made.deadline - time.monotonic())
        part = Criterion("a", "it is 2", "holds", an_interval(1, 3))
        return ClaimOutcome((part,))

    listed = [a_claim(1, late, 3.0), a_claim(2, quick), a_claim(3, quick)]
    monkeypatch.setattr(schedule, "chosen", lambda only: listed)
    seen = []
    found = schedule.run(
        a_bench(), deadline=time.monotonic() + 100, on_claim=lambda *args: seen.append(args[:2])
    )
    assert [o.verdict for _, o in found] == ["not decided", "holds", "holds"]
    assert found[0][1].statement == "Skipped: the time limit was reached."
    assert found[1][1].statement == "It is 2."
    # A claim that ends early leaves its time to those after it.
    assert given == pytest.approx([60, 50, 100], abs=2)
    assert seen == [(0, 3), (1, 3), (2, 3)]
    stop = threading.Event()
    stop.set()
    stopped = schedule.run(a_bench(stop=stop))
    assert {o.reason for _, o in stopped} == {schedule.STOPPED}


def test_page_and_record_of_outcomes():
    good = Criterion("more than 1", "it is 2", "holds", an_interval(1, 3))
    side = Criterion(
        "more than 9", "it is unknown", "not decided", an_interval(np.nan, np.nan), False
    )
    bad = replace(good, verdict="does not hold")
    found = [
        CheckedClaim(a_claim(1, None), ClaimOutcome((good, side), ("How.",))),
        CheckedClaim(a_claim(2, None), ClaimOutcome((bad,))),
        CheckedClaim(a_claim(3, None), ClaimOutcome()),
    ]
    made = page.document(found, "rows", ["a note"], "popnet claims", "1", "today")
    assert [(s.badge, s.tone) for s in made.sections] == [
        ("holds", "good"), ("does not hold", "bad"), ("not decided", "neutral"), ("", "neutral"),
    ]  # fmt: skip
    assert "1 holds, 1 does not hold, 1 not decided" in made.lead[0]
    assert made.lead[-1] == "A note."
    assert made.sections[0].paragraphs[0] == "It is 2."
    assert made.sections[0].method == (
        "Criterion: more than 1. Found: it is 2. This holds.",
        "Not required, but of interest: more than 9. Found: it is unknown. This is not decided.",
        "How.",
    )
    assert made.overview is not None
    assert [row[2] for row in made.overview.rows] == ["holds", "does not hold", "not decided"]
    record = json.loads(json.dumps(page.record(found), allow_nan=False))
    assert record[0]["parts"][0]["low"] == 1
    assert record[0]["parts"][1]["low"] is None
    assert record[2]["parts"] == []


def test_claims_for_real_are_repeatable():
    told = []
    options = Options(workers=1, seed=3)
    both = [
        claims(
            options=options, only=("dropout-evaluation", "13"), repeats=4, effort=0.05,
            on_progress=told.append,
        )
        for _ in range(2)
    ]  # fmt: skip
    records = [b.record()["claims"] for b in both]
    for record in records:
        assert [c["key"] for c in record] == ["early-stopping", "dropout-evaluation"]
        for claim in record:
            del claim["seconds"]
    assert records[0] == records[1]
    assert records[0][1]["verdict"] == "holds"
    assert records[0][1]["parts"][0]["low"] > 0.02
    assert {p.stage for p in told} == {"claims"}
    document = both[0].document("popnet claims --only 13", "today")
    assert [s.key for s in document.sections] == ["early-stopping", "dropout-evaluation", "method"]
    other = claims(options=Options(workers=1, seed=4), only=("15",), repeats=4, effort=0.05)
    assert other.record()["claims"][0]["parts"] != records[0][1]["parts"]


def test_claims_of_a_users_table():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((240, 4))
    frame = pl.DataFrame(X, ["a", "b", "c", "d"])
    frame = frame.with_columns(y=pl.Series(X[:, 0] - X[:, 1] + 0.1 * rng.standard_normal(240)))
    found = claims(frame, "y", Options(workers=1), only=("13",), repeats=4, effort=0.05)
    assert found.record()["claims"][0]["verdict"] in ("holds", "does not hold", "not decided")
    assert len(found.record()["claims"][0]["parts"]) == 5
    assert any("160 training rows" in note for note in found.notes)
    with pytest.raises(InputError, match="no claim"):
        claims(frame, "y", only=("18",))
