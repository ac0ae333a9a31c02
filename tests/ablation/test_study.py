"""A study: designs, intervals, verdicts against closed forms; twins against trainings made by hand."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from popnet import Dataset, InputError, Recipe, train_population
from popnet.ablation import factors
from popnet.ablation.design import design
from popnet.ablation.experiment import CellOutcome, DesignCell, Experiment
from popnet.ablation.factors import Factor, Level
from popnet.ablation.intervals import Interval, holm, interval
from popnet.ablation.losses import losses_of, row_losses
from popnet.ablation.row_overlap import RowOverlap
from popnet.ablation.run import _run as run_study
from popnet.ablation.run import study
from popnet.ablation.verdicts import NULL_POWER, POWER, Spread, detectable_effect_in_se, verdict_of
from popnet.ablation.words import Unit
from popnet.data.splits import SplitKeys
from popnet.options import Options
from popnet.predictions.ensemble import softmax
from popnet.runtime.progress import Progress
from popnet.tuning.space.table_space import table_space, with_optimizer

BASE = Recipe(depth=1, width=8, batch_size=32, epochs=4, patience=4)


def dataset(n: int = 300, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 4)).astype(np.float32)
    y = (X[:, 0] + 0.5 * X[:, 1] + 0.7 * rng.standard_normal(n) > 0).astype(int)
    return Dataset.from_arrays(X, y, "binary")


def table(n: int = 240) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.standard_normal((n, 3)), columns=["a", "b", "c"])
    frame["y"] = np.where(frame.a + frame.b + 0.5 * rng.standard_normal(n) > 0, "yes", "no")
    return frame  # fmt: skip


# --- designs -------------------------------------------------------------------------------------


@given(st.integers(40, 400), st.integers(1, 25), st.integers(0, 5))
def test_rows_of_a_pair_are_apart_and_a_repeat_tests_every_row_once(n, pairs, seed):
    rows = np.arange(n)
    classes = rows % 3
    found = design(rows, pairs, seed, SplitKeys(classes))
    assert len(found) == pairs
    for p in found:
        together = np.concatenate([p.train, p.valid, p.test])
        assert sorted(together) == list(rows)
    k = min(5, n // 10)
    if pairs >= k:
        assert sorted(np.concatenate([p.test for p in found[:k]])) == list(rows)
    assert len({p.seed for p in found}) == pairs


def test_groups_stay_on_one_side_and_later_rows_are_not_trained_on():
    rows, groups = np.arange(200), np.arange(200) // 4
    for p in design(rows, 10, 0, SplitKeys(groups=groups)):
        learned = set(groups[np.concatenate([p.train, p.valid])])
        assert not learned & set(groups[p.test])
    for p in design(rows, 5, 0, SplitKeys(time=rows.astype(float))):
        assert max(p.train.max(), p.valid.max()) < p.test.min()


def test_a_smaller_share_of_rows_lies_within_a_larger_one():
    pair = design(np.arange(300), 1, 3, SplitKeys())[0]
    small, large = pair.subset(0.1), pair.subset(0.5)
    assert set(small) < set(large) < set(pair.train)
    assert len(small) == round(0.1 * len(pair.train))
    np.testing.assert_array_equal(pair.subset(1.0), pair.train)


# --- intervals and verdicts ----------------------------------------------------------------------


def test_without_overlap_the_interval_is_students():
    values = np.array([0.1, 0.4, -0.2, 0.3, 0.25])
    found = interval(values)
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_what_pairs_share_widens_the_interval():
    values = np.random.default_rng(0).standard_normal(20)
    plain, wide = interval(values), interval(values, 1 / 9)
    assert wide.error / plain.error == pytest.approx(np.sqrt((1 / 20 + 1 / 9) / (1 / 20)))
    assert interval(values, common=0.2).error ** 2 == pytest.approx(plain.error**2 + 0.2)


def test_equal_twins_have_an_interval_of_nothing():
    assert interval(np.zeros(5), 0.1) == Interval(0.0, 0.0, 0.0, 0.0, 1.0)
    assert interval(np.full(5, 0.5), 0.1).p == 0.0


def test_holm_is_as_in_the_textbook_example():
    found = holm(np.array([0.01, 0.04, 0.03, 0.005]))
    np.testing.assert_allclose(found, [0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([])).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_monotone_and_between_the_plain_and_bonferroni(p):
    values = np.array(p)
    found = holm(values)
    assert (found >= values - 1e-12).all()
    assert (found <= np.minimum(1, values * len(values)) + 1e-12).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(found[order]) >= 0).all()


@pytest.mark.parametrize(
    ("found", "p", "floor", "said"),
    [
        (Interval(0.02, 0.01, 0.03, 0.005, 0.001), 0.01, 0.0, "helps"),
        (Interval(-0.02, -0.03, -0.01, 0.005, 0.001), 0.01, 0.0, "harms"),
        (Interval(0.001, -0.004, 0.004, 0.002, 0.6), 0.6, 0.0, "no effect"),
        (Interval(0.01, 0.001, 0.02, 0.005, 0.03), 0.3, 0.001, "not decided"),
        (Interval(0.01, -0.01, 0.03, 0.01, 0.3), 0.3, 0.02, "not detectable"),
        # Surely below what matters: only the surest is more than nothing.
        (Interval(0.002, 0.0005, 0.0035, 0.0007, 0.01), 0.01, 0.0, "no effect"),
        (Interval(0.002, 0.001, 0.003, 0.0004, 1e-5), 1e-4, 0.0, "helps"),
        (Interval(-0.002, -0.003, -0.001, 0.0004, 1e-5), 1e-4, 0.0, "harms"),
    ],
)
def test_verdicts(found, p, floor, said):
    assert verdict_of(found, p, detect=0.005, floor=floor) == said


def test_an_interval_bounds_the_size_of_an_effect():
    assert Interval(0.01, -0.02, 0.04, 0, 0).bound == 0.04
    assert Interval(-0.01, -0.04, 0.02, 0, 0).bound == 0.04


FOLDS = np.array_split(np.arange(100), 10) * 10
DESIGNS = [(k, RowOverlap.of(FOLDS[:k]).weight) for k in range(2, 101)]


def test_as_many_pairs_are_planned_as_both_powers_need():
    spread, size = Spread(1.0, 0.5, 0.0), 1.2
    found = spread.pairs_needed(DESIGNS, size, 1)
    assert found is not None
    pairs, weight = DESIGNS[found - 2]
    assert pairs == found
    error = np.sqrt(1.0 / pairs + 2 * 0.5 * weight)
    assert detectable_effect_in_se(1, pairs) * error <= size
    assert all(
        detectable_effect_in_se(1, k) * np.sqrt(1.0 / k + weight) > size
        for k, weight in DESIGNS[: found - 2]
    )
    assert spread.pairs_needed(DESIGNS, size, 30) > found
    assert Spread(1.0, 100.0, 0.0).pairs_needed(DESIGNS, size, 1) is None


def test_what_pairs_reach_has_the_powers_that_are_promised():
    """Of normal means with a known error: the null is shown, and an effect stands Holm's first step, so often."""
    for comparisons in (1, 29):
        size = detectable_effect_in_se(comparisons)
        null = 2 * stats.norm.cdf(size - stats.norm.ppf(0.975)) - 1
        found = stats.norm.cdf(size - stats.norm.ppf(1 - 0.025 / comparisons))
        assert null >= NULL_POWER - 1e-9
        assert found >= POWER - 1e-9
        assert min(null - NULL_POWER, found - POWER) == pytest.approx(0, abs=1e-9)
    assert (
        detectable_effect_in_se(1, 10)
        > detectable_effect_in_se(1, 100)
        > detectable_effect_in_se(1)
    )


def test_endless_pairs_of_few_rows_have_a_floor():
    spread = Spread(1.0, 60.0, 50.0)
    assert spread.floor(100) == pytest.approx(1.96)
    n = spread.rows_needed(0.5, 1)
    # With so many rows the error of endless pairs is just small enough.
    errors = (np.sqrt(2 * 50 / rows) for rows in (n, n - 1))
    enough, fewer = (detectable_effect_in_se(1) * error for error in errors)
    assert enough <= 0.5 < fewer


def test_pairs_that_happen_to_agree_are_not_taken_at_their_word():
    values = np.tile([1.0, -1.0], 30)
    shared = RowOverlap.of([np.arange(20), np.arange(20, 40), np.arange(40, 60)])
    assert Spread.of(values, shared).pairs == pytest.approx(values[:20].var(ddof=1) / 20)
    values[:20] += 9
    means = [9.0, 0.0, 0.0]
    assert Spread.of(values, shared).pairs == pytest.approx(np.var(means, ddof=1))


def planned(seed: int, gain: float, own: float = 0.0) -> tuple[str, int, list[int]]:
    """Return what a study says of made-up losses, whose differences have known parts, and the pairs it took."""
    rng = np.random.default_rng(seed)
    data = dataset(400, seed)
    rows = design(np.arange(400), 100, seed, SplitKeys(data.target))
    run = Experiment(data, rows, BASE, [Factor("seed", "", (Level("x", seeds=(1,)),))], workers=1)
    level, of_row = DesignCell.of(run.levels[0][1]), own * rng.standard_normal(400)
    steps: list[int] = []

    def train(pairs: Any, on_net: Any = None) -> None:
        for k in pairs:
            if (k, DesignCell()) not in run.outcomes:
                test = rows[k].test
                each = gain + of_row[test] + 0.1 * rng.standard_normal(len(test))
                for cell, loss in ((DesignCell(), np.full(len(test), 0.4)), (level, 0.4 - each)):
                    run.outcomes[k, cell] = CellOutcome(
                        float(loss.mean()), float("nan"), 0.0, 0.0, 1.0, False, {"loss": loss, "wrong": loss}
                    )  # fmt: skip
        steps.append(len(run.done()))

    run.run = train
    unit = Unit.of("classification", "log_loss")
    asked, least = run_study(run, None, None, None, unit, lambda _: None)
    assert least == pytest.approx(0.02)  # a twentieth
    return run.found(least, asked).effects[0].verdict, asked, steps


def test_a_factor_that_does_nothing_is_said_to_have_no_effect_in_19_of_20_studies():
    found = [planned(seed, 0.0) for seed in range(60)]
    assert sum(said == "no effect" for said, _, _ in found) >= 57
    for _, asked, steps in found:
        assert steps == sorted(steps)
        assert steps[-1] == max(10, asked)


def test_an_effect_of_the_size_that_matters_is_found():
    assert sum(planned(seed, 0.02)[0] == "helps" for seed in range(40)) >= 30
    assert sum(planned(seed, -0.02)[0] == "harms" for seed in range(10)) >= 7


def test_a_large_effect_takes_the_fewest_pairs():
    said, asked, _ = planned(0, 0.3)
    assert (said, asked) == ("helps", 10)


def test_where_rows_are_lacking_more_pairs_are_not_planned():
    said, asked, _ = planned(0, 0.0, own=1.0)
    assert said == "not detectable"
    assert asked < 100


def test_gains_and_interactions_have_their_rows():
    """What rows add is the difference of losses, by the rows' weights, so that its means are the pairs' gains."""
    data = dataset()
    weights = np.random.default_rng(5).uniform(0.5, 2, len(data)).astype(np.float32)
    data = replace(data, weights=weights)
    rows = design(np.arange(len(data)), 3, 0, SplitKeys(data.target))
    run = Experiment(
        data, rows, BASE, [Factor("x", "", (Level("d", {"dropout": 0.6}),))], workers=1
    )
    run.run(range(3))
    level = DesignCell.of(run.levels[0][1])
    for what in ("loss", "wrong"):
        found = run.measured((1, DesignCell()), (-1, level), what=what)
        assert found.rows is not None
        parts = np.split(found.rows, np.cumsum([len(p.test) for p in rows])[:-1])
        np.testing.assert_allclose([p.mean() for p in parts], found.values, rtol=1e-5)
    assert run.measured((1, DesignCell()), what="gap").rows is None
    effect = run.found(0.01, 3).effects[0]
    assert effect.gain == interval(
        run.measured((1, DesignCell()), (-1, level)).values
    )  # one repeat


def test_repeats_do_not_make_rows():
    """Pairs on the same rows again: the interval of a study keeps the rows' parts of the variance."""
    data = dataset(40)
    rows = design(np.arange(40), 12, 0, SplitKeys(data.target))
    run = Experiment(
        data, rows, BASE, [Factor("x", "", (Level("d", {"dropout": 0.6}),))], workers=1
    )
    run.run(range(12))
    found = run.found(0.01, 12)
    assert found.repeats == pytest.approx(3)  # four folds of ten rows
    level = DesignCell.of(run.levels[0][1])
    gain = run.measured((1, DesignCell()), (-1, level))
    assert gain.rows is not None
    places = np.concatenate([p.test for p in rows])
    centred = gain.rows - gain.rows.mean()
    # The mean product of two tests of a row; each has three.
    own = sum(
        centred[places == i].sum() ** 2 - (centred[places == i] ** 2).sum() for i in range(40)
    ) / (40 * 6)
    expected = gain.values.var(ddof=1) / 12 + 2 * max(own, 0) * (2 / 3) * (12 / 11) / 40
    assert found.effects[0].gain.error ** 2 == pytest.approx(expected)


# --- factors -------------------------------------------------------------------------------------


def test_the_bases_own_value_is_no_level():
    factor = factors.parse("dropout=0,0.1,0.5", Recipe(dropout=0.1), True, None)
    assert [level.fields for level in factor.levels] == [{"dropout": 0.0}, {"dropout": 0.5}]
    assert factor.base == "0.1"


def test_another_optimizer_comes_with_the_rate_that_suits_it() -> None:
    base = Recipe(optimizer="muon", learning_rate=0.06, weight_decay=0.2)
    factor = factors.parse("optimizer=muon,adamw,adam,sgd", base, True, None)
    assert factor.base == "muon"
    assert [level.fields["optimizer"] for level in factor.levels] == ["adamw", "adam", "sgd"]
    adamw, adam, sgd = (base.replace(**level.fields) for level in factor.levels)
    assert adamw.learning_rate == adam.learning_rate == pytest.approx(0.01)
    assert (adamw.weight_decay, adam.decay) == (0.5, 0.0)
    assert sgd.learning_rate == pytest.approx(0.25)
    assert factor.levels[0].label == "optimizer adamw at 0.01"
    # There and back again is the same recipe.
    back = factors.parse("optimizer=muon", adamw, True, None).levels[0].fields
    assert adamw.replace(**back).learning_rate == pytest.approx(0.06)
    assert adamw.replace(**back).weight_decay == pytest.approx(0.2)


def test_the_default_recipe_with_another_optimizer_has_that_ones_default_decay() -> None:
    muon, adamw = (table_space(4, 6000, Recipe(optimizer=o)).base for o in ("muon", "adamw"))
    assert muon.weight_decay != adamw.weight_decay
    for base, other in ((muon, adamw), (adamw, muon)):
        changed = base.replace(**with_optimizer(base, other.optimizer))
        assert changed.weight_decay == pytest.approx(other.weight_decay)
        assert changed.learning_rate == pytest.approx(other.learning_rate)


def test_the_classic_factors_all_change_the_recipe():
    base = Recipe(activation="silu", norm="batch")
    for factor in factors.classic(base, True, None):
        for level in factor.levels:
            changed = base.replace(**level.fields)
            assert changed != base or level.seeds != (0,)
    names = {f.name for f in factors.classic(base, True, (28, 28, 1))}
    assert {"activation", "dropout", "l1", "l2", "patience", "ensemble", "rotation"} <= names
    without = {f.name for f in factors.classic(base.replace(norm="none"), False, None)}
    assert not {"norm_position", "label_smoothing"} & without


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dropuot", "dropout"),
        ("dropout=2", "dropout"),
        ("dropout=0.1", "is the baseline's dropout already"),
        ("beta2", "needs values"),
        ("ensemble=3", "takes no values"),
        ("activation=relu,softplus", "softplus"),
        ("dropout=" + ",".join(str(i / 100) for i in range(20, 40)), "more than"),
    ],
)
def test_a_factor_that_is_none_is_one_sentence(text, words):
    with pytest.raises(InputError) as error:
        factors.parse(text, Recipe(dropout=0.1), True, None)
    assert words in str(error.value)


# --- twins ---------------------------------------------------------------------------------------


def experiment(levels: list[Level], pairs: int = 3, **options: Any) -> Experiment:
    data = dataset()
    rows = design(np.arange(len(data)), pairs, 0, SplitKeys(data.target))
    factor = Factor("one", "base", tuple(levels))
    options = {"metric": "error", **options}
    return Experiment(data, rows, BASE, [factor], workers=1, **options)


def test_outcomes_are_those_of_nets_trained_by_hand():
    run = experiment([Level("wide", {"dropout": 0.5}), Level("two", seeds=(0, 1))])
    run.run(range(3))
    assert run.done() == [0, 1, 2]
    data, pair = run.data, run.design[1]
    plan = run.members_of(1)
    nets = [m for members in plan.values() for m in members]
    assert len({(m.recipe.dropout, m.seed) for m in nets}) == 3  # the base's net is trained once
    probabilities = []
    for seed in sorted({m.seed for m in nets if m.recipe == BASE}):
        one = train_population(
            data, recipes=[BASE], seeds=[seed], folds=[(pair.train, pair.valid)]
        )[0]
        h = np.asarray(data.features.numeric[pair.test], float)
        p = one.parameters["hidden"][0]
        z = h @ p["w"] + p["b"] * 0  # batch normalization takes the bias out
        before = one.running[0]["before"]
        y = (z - before.mean) / np.sqrt(before.var + BASE.norm_epsilon)
        y = y * p["before"]["gamma"] + p["before"]["beta"]
        out = one.parameters["output"]
        probabilities.append(softmax(np.maximum(y, 0) @ out["w"] + out["b"]))
    target = data.target[pair.test]
    own = {m.seed for m in plan[DesignCell()]}
    order = sorted({m.seed for m in nets if m.recipe == BASE})
    base = probabilities[order.index(own.pop())]
    assert run.outcomes[1, DesignCell()].loss == pytest.approx((base.argmax(1) != target).mean())
    mean = np.mean(probabilities, axis=0)
    both = run.outcomes[1, DesignCell.of(Level("two", seeds=(0, 1)))]
    assert both.loss == pytest.approx((mean.argmax(1) != target).mean())


def test_nets_that_are_known_already_are_not_trained_again():
    level = Level("drop", {"dropout": 0.6})
    fresh = experiment([level])
    fresh.run(range(3))
    base = fresh.members_of(0)[DesignCell()][0]
    pair = fresh.design[0]
    result = train_population(
        fresh.data, recipes=[BASE], seeds=[base.seed], folds=[(pair.train, pair.valid)]
    )[0]
    again = experiment([level], known={base: result})
    again.run(range(3))
    assert (fresh.nets, again.nets) == (6, 5)
    for key, outcome in fresh.outcomes.items():
        assert again.outcomes[key].loss == outcome.loss


def test_a_factor_that_changes_nothing_has_no_effect_at_all():
    run = experiment([Level("unused", {"step_factor": 0.5})])
    run.run(range(3))
    found = run.found(0.01, 3).effects[0]
    assert found.values.tolist() == [0.0, 0.0, 0.0]
    assert found.verdict == "no effect"


def test_a_training_that_diverges_counts_as_guessing():
    run = experiment([Level("wild", {"optimizer": "sgd", "learning_rate": 1e18, "norm": "none"})])
    run.run(range(3))
    found = run.found(0.01, 3).effects[0]
    assert found.diverged == 3
    share = float(np.mean(dataset().target))
    assert found.error == pytest.approx(min(share, 1 - share), abs=0.02)  # parts are stratified


def test_losses_are_as_scikit_learn_counts_them():
    from sklearn.metrics import log_loss

    rng = np.random.default_rng(0)
    p = softmax(rng.standard_normal((50, 3)))
    y = rng.integers(0, 3, 50)
    assert losses_of(p, y, "classification", "log_loss").mean() == pytest.approx(log_loss(y, p))
    assert losses_of(p, y, "classification", "error").mean() == (p.argmax(1) != y).mean()
    out, true = rng.standard_normal((9, 2)), rng.standard_normal((9, 2))
    np.testing.assert_allclose(
        losses_of(out, true, "regression", "error"), ((out - true) ** 2).mean(1)
    )


def test_a_net_that_is_worse_than_a_constant_counts_as_one():
    target = np.array([0, 0, 0, 1] * 10, np.int32)
    features = Dataset.from_arrays(np.zeros((40, 1)), target, "binary").features
    data = Dataset(features, target, "classification", 2)
    rows = np.arange(40)
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    wrong = np.eye(2)[1 - target]
    assert row_losses(data, rows, wrong, rows, "log_loss").mean() == pytest.approx(entropy)
    assert row_losses(data, rows, None, rows, "log_loss").mean() == pytest.approx(entropy)
    assert row_losses(data, rows, wrong, rows, "error").mean() == 1.0
    good = 0.1 + 0.8 * np.eye(2)[target]
    assert row_losses(data, rows, good, rows, "log_loss").mean() == pytest.approx(-np.log(0.9))


def test_interactions_are_the_difference_of_differences():
    data = dataset()
    rows = design(np.arange(len(data)), 3, 0, SplitKeys(data.target))
    a, b = Level("drop", {"dropout": 0.6}), Level("decay", {"weight_decay": 0.9})
    run = Experiment(
        data, rows, BASE, [Factor("x", "", (a,)), Factor("y", "", (b,))], interactions=True, workers=1,
    )  # fmt: skip
    run.run(range(3))
    cells = [DesignCell(), DesignCell.of(a), DesignCell.of(b), DesignCell.of(a, b)]
    losses = np.array([[run.outcomes[k, c].loss for c in cells] for k in range(3)])
    extra = losses[:, 1] + losses[:, 2] - losses[:, 3] - losses[:, 0]
    found = run.found(0.01, 3).interactions[0]
    assert found.extra.mean == pytest.approx(extra.mean())


# --- the whole -----------------------------------------------------------------------------------


def quick(**options: Any) -> Any:
    recipe = BASE.replace(numeric_embedding="none", norm="batch")
    return study(table(), "y", Options(seed=2, workers=1, recipe=recipe), **options)


def test_a_study_says_its_effects_in_all_its_forms():
    notes: list[str] = []
    found = quick(
        factor=["dropout=0.1,0.9"], pairs=4, sizes=[0.5], on_progress=lambda p: notes.append(p.note)
    )
    assert any("4 pairs are planned" in n and "can be detected" in n for n in notes)
    record = json.loads(json.dumps(found.record()))
    assert any(n.startswith("with 4 pairs changes of the log-loss above") for n in record["notes"])
    assert [e["level"] for e in record["effects"]] == ["dropout 0.1", "dropout 0.9"]
    assert {e["share"] for e in record["curves"]} == {0.5}
    lines = found.csv().splitlines()
    assert len(lines) == 1 + len(record["effects"]) + len(record["curves"])
    document = found.document("popnet study table.csv", "now")
    assert document.sections[0].pictures
    assert document.overview is not None
    assert len(document.overview.rows) == len(record["effects"])


def test_the_same_seed_gives_the_same_study():
    first, second = (quick(factor=["l2=0.1"], pairs=3) for _ in range(2))
    a, b = first.record(), second.record()
    for record in (a, b):
        record.pop("seconds")
        for e in record["effects"]:
            e.pop("time")
    assert a == b


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pairs": 1}, "at least 3 pairs"),
        ({"detect": -1.0}, "above 0"),
        ({"sizes": [2.0]}, "share of the rows"),
        ({"rows": 3}, "at least 20 rows"),
        ({"metric": "auc"}, "metric must be"),
        ({"factor": ["nothing"]}, "no factor"),
    ],
)
def test_what_cannot_be_studied_is_one_sentence(options, words):
    with pytest.raises(InputError) as error:
        quick(**options)
    assert words in str(error.value)
    assert str(error.value).count("\n") == 0


def test_no_time_for_three_pairs_is_said():
    options = Options(seed=0, workers=1, time_limit=0.01)
    with pytest.raises(InputError) as error:
        study(table(), "y", options, factor=["l2=0.1"])
    assert "time limit was reached" in str(error.value)


def test_a_study_that_is_interrupted_compares_the_complete_pairs_and_says_so():
    stop = threading.Event()

    def progress(p: Progress) -> None:
        if p.stage == "study" and p.done >= 10:  # of two nets a pair
            stop.set()

    found = quick(factor=["dropout=0.5"], pairs=20, on_progress=progress, stop=stop)
    assert 3 <= found.found.pairs < 20
    note = f"the study was interrupted after {found.found.pairs} of 20 planned pairs of nets"
    assert note in found.remarks
    with pytest.raises(InputError, match="was interrupted before 3 pairs"):
        quick(factor=["dropout=0.5"], pairs=20, stop=stop)
