"""Populations: who trains beside a member changes nothing; members end in each way that they can."""

from __future__ import annotations

import itertools
import queue
import re
import threading

import jax
import numpy as np
import pytest

from popnet import Dataset, InputError, Member, Recipe, train_population
from popnet.data.dataset import Features
from popnet.population import checkpoint, epoch, feed, lanes, predict, program, train
from popnet.population.feed import Arrays
from popnet.population.members import TrainingSegment
from popnet.spec import shape

BASE = Recipe(depth=2, width=8, batch_size=32, epochs=4, dropout=0.2)
MIXED = [
    BASE,
    BASE.replace(activation="tanh", norm="layer", optimizer="sgd", learning_rate=0.02),
    BASE.replace(epochs=9, patience=2, mixup=0.3, input_noise=0.1),
    BASE.replace(epochs=2, l1=1e-3, optimizer="rmsprop", schedule="one_cycle"),
]
ENDLESS = BASE.replace(epochs=1_000_000, patience=1_000_000, learning_rate=1e-4)
DIVERGING = BASE.replace(optimizer="sgd", learning_rate=1e30, norm="none")
"""Diverges in its first epoch."""


def assert_same(a, b):
    """Two results of a member are equal to the bit."""
    assert (a.status, a.epochs, a.best_epoch) == (b.status, b.epochs, b.best_epoch)
    np.testing.assert_array_equal(a.best_score, b.best_score)
    for trees in ((a.parameters, b.parameters), (a.running, b.running), (a.curves, b.curves)):
        jax.tree.map(np.testing.assert_array_equal, *trees)


@pytest.fixture(scope="module")
def population(table, folds):
    """Four recipes, two seeds, two folds, by one worker."""
    return train_population(table, recipes=MIXED, seeds=[0, 5], folds=folds, workers=1)


# --- independence --------------------------------------------------------------------------------


def test_results_stand_in_the_order_of_recipes_seeds_folds(population):
    expected = [Member(r, s, f) for r, s, f in itertools.product(MIXED, (0, 5), (0, 1))]
    assert [r.member for r in population] == expected
    assert len(population) == 16
    assert population[3] is population.results[3]


def test_a_net_of_muon_alone_is_the_one_among_others(table, folds):
    own = BASE.replace(optimizer="muon", learning_rate=0.02)
    among = train_population(
        table, recipes=[BASE, own, own.replace(beta1=0.8)], folds=folds, workers=2
    )
    alone = train_population(table, recipes=[own], folds=folds, workers=1)
    for f in (0, 1):
        assert_same(alone[f], among[2 + f])
        assert alone[f].curves["loss"][-1] < alone[f].curves["loss"][0]


@pytest.mark.parametrize("i", range(4))
def test_a_member_alone_is_the_member_among_others(population, table, folds, i):
    alone = train_population(table, recipes=[MIXED[i]], seeds=[5], folds=folds, workers=1)
    for f in (0, 1):
        assert_same(alone[f], population[4 * i + 2 + f])


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_order_and_number_of_workers_change_nothing(population, table, folds, workers):
    again = train_population(table, recipes=MIXED[::-1], seeds=[5, 0], folds=folds, workers=workers)
    by_member = {r.member: r for r in again}
    for r in population:
        assert_same(r, by_member[r.member])


KINDS = [
    BASE.replace(activation="mish"),
    BASE.replace(activation="prelu", norm="layer"),
    BASE.replace(activation="maxout", norm="none"),
    BASE.replace(activation="elu", norm_position="after"),
    BASE.replace(depth=0),
]


def test_programs_of_one_normalization_and_activation_give_the_same_weights(table, folds):
    arrays = Arrays(table, table, folds)
    found = []
    for specialised in (False, True):
        trainer = train.Trainer(arrays, workers=1)
        trainer.specialised = specialised
        found.append(dict(trainer.run(enumerate(Member(r, 3) for r in KINDS))))
    for i in range(len(KINDS)):
        assert_same(found[0][i], found[1][i])
        assert found[0][i].shape == found[1][i].shape


def test_changing_one_member_leaves_the_others(population, table, folds):
    changed = [MIXED[0], DIVERGING, *MIXED[2:]]
    again = train_population(table, recipes=changed, seeds=[0, 5], folds=folds, workers=2)
    for a, b in zip(population, again, strict=True):
        if a.member == b.member:
            assert_same(a, b)
        else:
            assert b.status == "diverged"


@pytest.mark.parametrize("batches", [1, 2, 64])
def test_how_steps_are_cut_into_calls_changes_nothing(
    population, table, folds, monkeypatch, batches
):
    monkeypatch.setattr(feed, "block_batches", lambda form: batches)
    calls = []
    call = program.Program.__call__

    def counted(self, *args):
        calls.append(args)
        return call(self, *args)

    monkeypatch.setattr(program.Program, "__call__", counted)
    some = MIXED[:2]
    again = train_population(table, recipes=some, seeds=[0], folds=folds, workers=1)
    before = {r.member: r for r in population}
    for b in again:
        assert_same(before[b.member], b)
    # 171 and 177 rows are 6 batches of 32.
    assert len(calls) == sum(r.epochs for r in again) * -(-6 // batches)


def test_how_epochs_share_a_timetable_changes_nothing(population, table, folds, monkeypatch):
    monkeypatch.setattr(lanes, "EPOCHS_AT_ONCE", 3)
    again = train_population(table, recipes=MIXED[:2], seeds=[0], folds=folds, workers=1)
    before = {r.member: r for r in population}
    for b in again:
        assert_same(before[b.member], b)


@pytest.mark.parametrize("gathered", ["whole", "by columns"])
@pytest.mark.parametrize("kept", [0, 2**24])
def test_how_rows_are_gathered_changes_nothing(
    population, table, folds, monkeypatch, gathered, kept
):
    table.features.__dict__.pop("_feed")  # what was gathered before
    monkeypatch.setattr(feed, "WHOLE_BYTES", 2**28 if gathered == "whole" else 0)
    monkeypatch.setattr(lanes, "KEPT_BYTES", kept)
    (again, *_) = train_population(table, recipes=MIXED[:1], seeds=[0], folds=folds, workers=1)
    assert_same(next(r for r in population if r.member == again.member), again)


PADDED = [
    BASE.replace(
        depth=2, optimizer="muon", learning_rate=0.02, weight_decay=0.1,
        numeric_embedding="periodic", embedding_size=3, input_scale=6.0, ema=0.9,
    ),
    BASE.replace(
        parametrization="ntk", optimizer="sgd", learning_rate=0.01, dropout=0,
        numeric_embedding="piecewise", embedding_size=5, label_smoothing=0.1,
    ),
    BASE.replace(heads=2, norm="layer", l1=1e-3, gradient_clip=0.5, dropout=0),
]  # fmt: skip


def test_padding_changes_nothing_but_by_rounding(table, folds, monkeypatch):
    # Features that are dropped are drawn by their place, which does not move here: recipes drop no inputs.
    plain = train_population(table, recipes=PADDED, folds=folds[:1])
    other = shape.size_class
    monkeypatch.setattr(shape, "size_class", lambda *n, **how: 3 * other(*n, **how))
    monkeypatch.setattr(shape, "output_class", lambda n, task: n if task == "regression" else 11)
    padded = train_population(table, recipes=PADDED, folds=folds[:1])
    for a, b in zip(plain, padded, strict=True):
        assert (a.status, a.epochs, a.best_epoch) == (b.status, b.epochs, b.best_epoch)
        np.testing.assert_allclose(b.curves["loss"], a.curves["loss"], rtol=1e-4)
        np.testing.assert_allclose(b.curves["valid_loss"], a.curves["valid_loss"], rtol=1e-4)
        assert jax.tree.structure(a.parameters) == jax.tree.structure(b.parameters)
        for x, y in zip(jax.tree.leaves(a.parameters), jax.tree.leaves(b.parameters), strict=True):
            np.testing.assert_allclose(y, x, rtol=1e-3, atol=1e-3)


def test_curves_go_on_over_many_calls(table, folds):
    long = BASE.replace(epochs=150, patience=1000, ema=0.99)
    result, _ = train_population(table, recipes=[long], folds=folds, workers=1)
    assert result.status == "finished"
    assert result.epochs == 150
    assert {len(c) for c in result.curves.values()} == {150}
    assert np.all(result.curves["learning_rate"][1:] < result.curves["learning_rate"][:-1])
    best = np.argmin(result.curves["valid_loss"])
    assert result.best_epoch == best + 1
    assert result.best_score == result.curves["valid_loss"][best]


def test_a_seed_is_another_member(population):
    a, b = population[0], population[2]
    assert not np.any(a.parameters["output"]["w"] == b.parameters["output"]["w"])


def test_a_fold_sees_its_own_training_rows_only(population, table, folds):
    spoiled = table.target.copy()
    rest = np.setdiff1d(np.arange(len(table)), folds[0][0])
    spoiled[rest] = (spoiled[rest] + 1) % 3
    data = Dataset(table.features, spoiled, "classification", 3, table.weights)
    again = train_population(data, recipes=[BASE.replace(patience=50)], folds=folds, workers=1)[0]
    for name in ("loss", "learning_rate"):
        np.testing.assert_array_equal(again.curves[name], population[0].curves[name])
    assert np.all(again.curves["valid_loss"] != population[0].curves["valid_loss"])


def test_a_validation_set_is_a_fold_by_another_name(table, folds):
    recipe = BASE.replace(depth=0)

    def part(rows):
        f = table.features
        some = Features(f.numeric[rows], f.flags[rows], f.codes[rows], f.levels)
        return Dataset(some, table.target[rows], "classification", 3, table.weights[rows])

    (alone,) = train_population(part(folds[0][0]), part(folds[0][1]), [recipe], [5])
    among = train_population(table, recipes=[recipe], seeds=[5], folds=folds)[0]
    assert (alone.status, alone.best_epoch) == (among.status, among.best_epoch)
    # Another program (other sizes), so equality to the bit is not promised.
    np.testing.assert_allclose(alone.best_score, among.best_score, rtol=1e-5)
    for a, b in zip(
        jax.tree.leaves(alone.parameters), jax.tree.leaves(among.parameters), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


# --- programs ------------------------------------------------------------------------------------


def test_one_program_a_bucket(table, folds, compiled):
    recipes = [*MIXED, BASE.replace(ema=0.9), BASE.replace(maxout_pieces=4), BASE.replace(depth=0)]
    recipes.append(BASE.replace(depth=0, width=16))
    train_population(table, recipes=recipes, seeds=[1, 2], folds=folds, workers=2)
    # Training and evaluation, of depths 2 and 0; width means nothing without a hidden layer.
    assert len(set(compiled)) == 4
    assert len(compiled) <= 8  # on each of two devices


def test_tables_of_about_the_same_size_share_programs(table, compiled):
    # Other rows, columns and classes; of the same kinds.
    rng = np.random.default_rng(0)
    for rows, columns, classes in ((100, 20, 2), (517, 23, 5), (2000, 22, 8)):
        X = rng.standard_normal((rows, columns)).astype(np.float32)
        y = np.arange(rows) % classes
        data = Dataset.from_arrays(X, y, "multiclass")
        split = rows // 2
        folds = [(np.arange(split), np.arange(split, rows))] * (1 + columns % 3)
        recipe = BASE.replace(epochs=1)
        train_population(data, recipes=[recipe], folds=folds, workers=1)
    assert len(compiled) == 2  # to train and to evaluate


# Each kernel takes its share of the time of compiling; the default structures had 249 of them.
MAX_KERNELS = 119
MAX_KERNELS_WITH_VECTORS = 125


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "muon", "numeric_embedding": "piecewise"},
        {"optimizer": "muon", "numeric_embedding": "periodic", "embedding_quantiles": True},
        {"optimizer": "adamw", "numeric_embedding": "none", "width": 256},
    ],
    ids=lambda c: f"{c['optimizer']}-{c['numeric_embedding']}",
)
@pytest.mark.parametrize("vectors", [False, True])
def test_programs_of_default_structures_have_few_kernels(table, folds, changes, vectors):
    if not vectors:
        f = table.features
        plain = Features(f.numeric, f.flags, f.codes[:, :1], f.levels[:1], f.knots)
        table = Dataset(plain, table.target, "classification", 3)
    recipe = BASE.replace(depth=3, activation="mish", norm="batch", input_scale=6.0, **changes)
    own = shape.Shape.of(recipe, table)
    form = shape.Form.of(own.specialised(recipe))
    arrays = Arrays(table, table, folds)
    device = program.places(1)[0].device
    made = lanes.Lanes(arrays, form, device)
    lane = lanes.Lane(arrays, Member(recipe), own, form, np.uint32(1), device)
    arguments = made._arguments([lane])
    text = jax.jit(lambda *a: epoch.train_steps(*a, form)).lower(*arguments).compile().as_text()
    assert text is not None
    assert 20 < kernels(text) <= (MAX_KERNELS_WITH_VECTORS if vectors else MAX_KERNELS)


def kernels(text: str) -> int:
    """Return how many programs of its own a compiled module has: fusions, and what is not fused."""
    inside = set(re.findall(r"(?:body|condition)=%?([\w.\-]+)", text))
    for branches in re.findall(r"branch_computations=\{([^}]*)\}", text):
        inside |= set(re.findall(r"[\w.\-]+", branches))
    inside |= set(re.findall(r"(?:true|false)_computation=%?([\w.\-]+)", text))
    inside |= set(re.findall(r" call\(.*to_apply=%?([\w.\-]+)", text))
    # What is no kernel: parts of tuples, views, copies, and products that a library does.
    others = {
        "parameter", "tuple", "get-tuple-element", "while", "conditional", "call", "constant",
        "bitcast", "copy", "custom-call", "after-all", "opt-barrier", "dot",
    }  # fmt: skip
    count, counted = 0, False
    for line in text.splitlines():
        if head := re.match(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$", line):
            counted = bool(head.group(1)) or head.group(2) in inside
        elif counted and (
            found := re.match(r"^\s+(?:ROOT )?%?([\w.\-]+) = (?:\([^=]*?\)|\S+) ([\w\-]+)\(", line)
        ):
            count += found.group(2) not in others and "ynn_fusion" not in found.group(1)
    return count


# --- how members end -----------------------------------------------------------------------------


def test_a_member_that_diverges_disturbs_nobody(population, table, folds):
    again = train_population(table, recipes=[DIVERGING, BASE], seeds=[5], folds=folds, workers=1)
    for r in again.results[:2]:
        assert (r.status, r.epochs, r.best_epoch) == ("diverged", 1, 0)
        assert not r.usable
        assert not np.isfinite(r.curves["valid_loss"][0])
    assert_same(again[2], population[2])
    assert_same(again[3], population[3])


def test_broken_rows_stop_only_the_folds_that_have_them(population, table, folds):
    # Row 0 is read by nobody in fold 0, and trained on in fold 1.
    def without(rows):
        return np.where(rows == 0, 1, rows)

    some = [(without(folds[0][0]), without(folds[0][1])), (folds[1][0].copy(), folds[1][1])]
    some[1][0][0] = 0
    clean = train_population(table, recipes=[BASE], folds=some, workers=1)
    numeric = table.features.numeric.copy()
    numeric[0] = np.nan
    f = Features(numeric, table.features.flags, table.features.codes, table.features.levels)
    broken = Dataset(f, table.target, "classification", 3, table.weights)
    got = train_population(broken, recipes=[BASE], folds=some, workers=1)
    assert_same(got[0], clean[0])
    assert got[1].status == "diverged"


def test_patience_keeps_the_best_weights(table, folds):
    # A rate of nearly nothing: no score is ever better by min_delta.
    slow = BASE.replace(learning_rate=1e-9, patience=3, min_delta=0.1, epochs=50)
    for r in train_population(table, recipes=[slow], folds=folds):
        assert (r.status, r.epochs) == ("stopped", 4)
        assert r.usable


def test_a_time_limit_interrupts_and_leaves_usable_members(table, folds):
    train_population(table, recipes=[BASE], folds=folds, workers=1)  # compiles
    population = train_population(
        table, recipes=[BASE, ENDLESS], folds=folds, workers=1, time_limit=3
    )
    statuses = [r.status for r in population]
    assert statuses == ["finished", "finished", "interrupted", "interrupted"]
    begun, waiting = population[2], population[3]
    assert begun.usable
    assert begun.epochs == len(begun.curves["loss"]) > 0
    net = predict.Net(ENDLESS, begun.shape, begun.parameters, begun.running)
    rows = folds[0][1]
    outputs = np.float64(predict.predict([net], table.features, rows)[0])
    log_p = outputs - np.log(np.exp(outputs).sum(1, keepdims=True))
    loss = -np.average(log_p[np.arange(len(rows)), table.target[rows]], weights=table.weights[rows])
    np.testing.assert_allclose(begun.best_score, loss, rtol=1e-4)
    assert (waiting.epochs, waiting.best_epoch, waiting.usable) == (0, 0, False)


def test_no_time_no_training(table, folds):
    for r in train_population(table, recipes=[BASE], folds=folds, time_limit=0):
        assert (r.status, r.epochs, r.usable) == ("interrupted", 0, False)
        assert all(len(c) == 0 for c in r.curves.values())


def trainer(table, folds, **options) -> train.Trainer:
    return train.Trainer(train.arrange(table, None, folds), **options)


def test_an_endless_stream_of_members_ends_at_a_stop(table, folds):
    stop = threading.Event()
    t = trainer(table, folds, workers=2, stop=stop)
    drawn = []

    def members():
        for seed in itertools.count():
            drawn.append(seed)
            yield seed, Member(BASE, seed, seed % 2)

    got = {}
    for i, result in t.run(members()):
        got[i] = result
        if len(got) == 5:
            stop.set()
    assert t.interrupted
    assert sorted(got) == drawn[: len(got)]
    assert sum(r.status == "finished" for r in got.values()) >= 5
    assert {r.status for r in got.values()} <= {"finished", "interrupted"}


def test_ctrl_c_interrupts_members_and_a_second_one_is_raised(table, folds, monkeypatch):
    strokes = iter([True])

    class Keyboard(queue.Queue):
        def get(self, *args, **kwargs):
            if next(strokes, False):
                assert begun.wait(60)
                raise KeyboardInterrupt
            return super().get(*args, **kwargs)

    train_population(table, recipes=[BASE], folds=folds, workers=1)  # compiles
    begun, validate = threading.Event(), lanes.Lanes.validate

    def validated(self, *args):
        scores = validate(self, *args)
        begun.set()
        return scores

    monkeypatch.setattr(lanes.Lanes, "validate", validated)
    monkeypatch.setattr(train.queue, "Queue", Keyboard)
    t = trainer(table, folds, workers=1)
    results = list(t.run([(0, Member(ENDLESS)), (1, Member(ENDLESS, 1))]))
    assert t.interrupted
    assert {r.status for _, r in results} == {"interrupted"}

    strokes = iter([True, True])
    t = trainer(table, folds, workers=1)
    with pytest.raises(KeyboardInterrupt):
        list(t.run([(0, Member(ENDLESS))]))


def test_closing_the_stream_stops_the_workers(table, folds):
    before = set(threading.enumerate())
    t = trainer(table, folds, workers=2)
    stream = t.run((i, Member(BASE if i == 0 else ENDLESS, i)) for i in itertools.count())
    assert next(stream)[0] == 0
    stream.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert not t.interrupted


def test_an_error_of_a_worker_reaches_the_caller(table, folds, monkeypatch):
    def fail(*args):
        raise MemoryError("no more")

    monkeypatch.setattr(program.Program, "compile", fail)
    with pytest.raises(MemoryError, match="no more"):
        train_population(table, recipes=[BASE], folds=folds, workers=2)


def test_results_are_told_as_they_come_on_the_callers_thread(table, folds):
    told = []

    def tell(result):
        told.append((result, threading.current_thread()))

    population = train_population(table, recipes=MIXED[:2], folds=folds, workers=2, on_result=tell)
    assert {id(r) for r, _ in told} == {id(r) for r in population}
    assert {t for _, t in told} == {threading.current_thread()}


# --- arguments -----------------------------------------------------------------------------------


def test_bad_arguments_are_refused(table, regression, folds):
    n = len(table)
    rows = np.arange(n)
    bad = [
        ("either a validation set or folds", {}),
        ("either a validation set or folds", {"valid": table, "folds": folds}),
        ("at least one recipe", {"valid": table, "recipes": []}),
        ("one seed", {"valid": table, "seeds": []}),
        ("folds is empty", {"folds": []}),
        ("fold 0 has 0 training", {"folds": [(rows[:0], rows)]}),
        ("fold 1 has 240 training and 0", {"folds": [(rows, rows), (rows, rows[:0])]}),
        ("fold 0: its training rows reach outside the 240", {"folds": [(rows + 1, rows)]}),
        ("fold 0: its validation rows reach outside", {"folds": [(rows, rows - 1)]}),
        ("other columns, levels or outputs", {"valid": regression}),
        ("other columns", {"valid": Dataset.from_arrays(rows[:, None], rows % 3, "multiclass")}),
    ]
    for says, arguments in bad:
        with pytest.raises(InputError, match=says):
            train_population(table, **arguments)


# --- legs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cuts", [(1,), (2, 3), (1, 2, 3, 4, 5, 6, 7, 8)])
def test_a_member_that_pauses_and_goes_on_is_the_one_that_never_paused(
    population, table, folds, cuts
):
    member = Member(MIXED[2], 5, 1)
    whole = population[2 * 4 + 3]
    assert whole.member == member
    start = None
    for until in (*cuts, None):
        trainer = train.Trainer(Arrays(table, table, folds), workers=1)
        [(_, result)] = trainer.run([(0, TrainingSegment(member, until, start))])
        if result.status != "paused":
            break
        assert result.epochs == until
        assert result.pause is not None
        assert len(result.curves["loss"]) == until
        kept = jax.tree.map(np.copy, result.pause.state)
        start = result.pause
        list(trainer.run([(0, TrainingSegment(member, None, start))]))
        jax.tree.map(np.testing.assert_array_equal, start.state, kept)  # a pause can be kept
    assert_same(result, whole)


def test_a_leg_up_to_the_last_epoch_is_a_whole_training(table, folds):
    trainer = train.Trainer(Arrays(table, table, folds), workers=1)
    members = [TrainingSegment(Member(BASE, 0, 0), until) for until in (4, 7, None)]
    results = dict(trainer.run(enumerate(members)))
    assert {r.status for r in results.values()} == {"finished"}
    assert_same(results[0], results[1])
    assert_same(results[0], results[2])


# --- the last epoch ------------------------------------------------------------------------------


def valid_loss(net: predict.Net, table: Dataset, rows: np.ndarray) -> float:
    """Return the weighted log-loss of a fold's held-out rows."""
    logits = predict.predict([net], table.features, rows)[0].astype(float)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    each = -log_p[np.arange(len(rows)), np.asarray(table.target)[rows]]
    return float(np.average(each, weights=np.asarray(table.weights)[rows]))


def test_results_keep_the_weights_of_the_last_epoch_where_it_was_not_the_best(table, folds):
    over_fitting = BASE.replace(epochs=12, patience=3, learning_rate=0.02, width=32)
    learning = BASE.replace(epochs=1)
    population = train_population(table, recipes=[over_fitting, learning], folds=folds, workers=1)
    stages = set()
    for r in population:
        at_last, rows = predict.Net.at_last(r), folds[r.member.fold][1]
        stages.add(at_last is None)
        assert (at_last is None) == (r.best_epoch == r.epochs)
        if at_last is not None:
            curve = r.curves["valid_loss"]
            assert valid_loss(at_last, table, rows) == pytest.approx(curve[-1], rel=1e-4)
            best = valid_loss(predict.Net.of(r), table, rows)
            assert best == pytest.approx(curve[r.best_epoch - 1], rel=1e-4)
            assert best < curve[-1]
    assert stages == {True, False}


def test_checkpoints_keep_both_stages(table, folds):
    recipe = BASE.replace(epochs=12, patience=3, learning_rate=0.02, width=32)
    population = train_population(table, recipes=[recipe, BASE], folds=folds, workers=1)
    assert any(r.last is not None for r in population)
    for r in population:
        found = checkpoint.unpack(*checkpoint.pack(r), r.member, table)
        assert_same(found, r)
        assert (found.last is None) == (r.last is None)
        if r.last is not None:
            jax.tree.map(np.testing.assert_array_equal, found.last, r.last)
