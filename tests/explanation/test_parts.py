"""Mixed rows, distances, changes and the choice of rows against NumPy and against the model itself."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest

from popnet import InputError
from popnet.explanation.answers import Answers
from popnet.explanation.background import Background, share_below
from popnet.explanation.changes import ChangeSearch
from popnet.explanation.input_columns import InputColumns
from popnet.explanation.rows import chosen

COLUMNS = ["size", "noise", "colour", "member", "joined", "rooms"]


@pytest.fixture(scope="module")
def background(classifier, table) -> Background:
    return Background.of(classifier, table)


def test_mixed_rows_are_what_mixed_tables_are_encoded_to(classifier, table):
    rng = np.random.default_rng(1)
    encoder = classifier.encoder
    features, blocks = encoder.transform(table), InputColumns.of(encoder)
    i, j = rng.integers(0, len(table), (2, 50))
    taken = rng.random((50, len(blocks))) < 0.5
    frame = pl.DataFrame({
        name: [table[name][int(a if t else b)] for a, b, t in zip(i, j, taken[:, c], strict=True)]
        for c, name in enumerate(blocks.names)
    })  # fmt: skip
    true, mixed = encoder.transform(frame), blocks.mixed(features, i, features, j, taken)
    for part in ("numeric", "flags", "codes"):
        np.testing.assert_array_equal(getattr(mixed, part), getattr(true, part))
    differ = blocks.differ(features, i, features, j)
    for c, name in enumerate(blocks.names):
        same = [table[name][int(a)] == table[name][int(b)] for a, b in zip(i, j, strict=True)]
        assert not (differ[:, c] & np.array(same)).any()
        assert differ[:, c].any()


def test_two_background_rows_are_1_apart_in_the_mean_and_each_column_weighs_the_same(background):
    every = np.arange(len(background.features))
    square = background.distances.squared(background.features, every, background.features)
    assert square.mean() == pytest.approx(1, abs=1e-4)
    d = len(background.blocks)
    for column in range(d):
        own = background.distances.in_column(
            column, background.features, every[:, None], background.features, every[None]
        )
        assert own.mean() == pytest.approx(1 / d, abs=1e-4)


def test_the_nearest_rows_are_those_of_all_distances(background):
    f = background.features
    square = background.distances.squared(f, np.arange(20), f)
    found, distance = background.distances.nearest(f.take(np.arange(20)), f, 4)
    np.testing.assert_allclose(distance, np.sqrt(np.sort(square, 1)[:, :4]), rtol=1e-6)
    assert (found[:, 0] == np.arange(20)).all()
    assert not distance[:, 0].any()
    others, apart = background.distances.nearest(
        f.take(np.arange(20)), f, 3, np.where(np.arange(20) % 2, np.arange(20), -1)
    )
    np.testing.assert_array_equal(others[1::2], found[1::2, 1:])
    np.testing.assert_array_equal(apart[::2], distance[::2, :3])


def test_shares_below():
    assert share_below(np.array([0.5, 2.0, 9.0]), np.array([1.0, 2.0, 3.0, 4.0])).tolist() == [0, 0.25, 1]  # fmt: skip


def other_class(answers):
    """Return a margin for changes: how far another class is ahead of that with the greatest answer."""
    predicted = answers.argmax(1)

    def margin(changed, i):
        own = changed[np.arange(len(i)), predicted[i]]
        rest = changed.copy()
        rest[np.arange(len(i)), predicted[i]] = -np.inf
        return rest.max(1) - own

    return margin


@pytest.mark.parametrize("fixed", [(), ("size",)])
def test_the_smallest_change_is_that_of_all_values_of_few_rows(classifier, table, fixed):
    """With 20 background rows all values of all columns are tried, so brute force knows the best single change."""
    few = table[np.arange(100, 120)]
    back = Background.of(classifier, few)
    answers, names = Answers(classifier), back.blocks.names
    rows = classifier.encoder.transform(table[:25])
    margin = other_class(answers(rows))
    found = ChangeSearch(answers, back, fixed).find(rows, margin)
    labels = classifier.predict(table)
    free = [c for c, name in enumerate(names) if name not in fixed]
    kinds = [0, 0, 0]
    for r, change in enumerate(found):
        row = table[r : r + 1]
        many = pl.concat([row] * len(few))
        changed = pl.concat([many.with_columns(few[names[c]]) for c in free])
        size = [
            back.distances.in_column(c, rows, np.array([r]), back.features, np.arange(len(few)))
            for c in free
        ]
        flips = classifier.predict(changed) != labels[r]
        best = np.sqrt(np.concatenate(size)[flips]).min(initial=np.inf)
        kinds[0 if change is None else len(change.columns)] += 1
        if change is None:
            assert best == np.inf
            continue
        new = [
            few[names[c]][[int(back.drawn[j])]]
            for c, j in zip(change.columns, change.sources, strict=True)
        ]
        after = row.with_columns(new)
        assert classifier.predict(after)[0] != labels[r]
        np.testing.assert_allclose(change.answers, classifier.predict_proba(after)[0], atol=1e-6)
        if len(change.columns) == 1:
            assert change.distance == pytest.approx(best, abs=1e-6)
        else:
            assert change.distance < best
    assert kinds[1] > 3
    assert not fixed or kinds[2] > 3, kinds


def test_fixed_columns_stay_and_more_values_give_smaller_changes(classifier, table, background):
    answers = Answers(classifier)
    rows = classifier.encoder.transform(table[:40])
    margin = other_class(answers(rows))
    free = ChangeSearch(answers, background).find(rows, margin)
    kept = ChangeSearch(answers, background, ["size", "member"]).find(rows, margin)
    names = background.blocks.names
    for a, b in itertools.zip_longest(free, kept):
        if b is not None:
            assert not {names[c] for c in b.columns} & {"size", "member"}
            assert a is not None
            assert a.distance <= b.distance + 0.05  # pairs are tried of some changes only
    few = Background.of(classifier, table[:12])
    coarse = ChangeSearch(answers, few).find(rows, margin)
    assert np.mean([c.distance for c in coarse if c]) > np.mean([c.distance for c in free if c])
    assert ChangeSearch(answers, background, COLUMNS).find(rows, margin) == [None] * 40


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0:3", [0, 1, 2]), ("3", [3]), (" 3, 1:3,2 ", [3, 1, 2]), ("-2:", [8, 9]), ("-1", [9]), (":", list(range(10))),
        ("8:30", [8, 9]),
    ],
)  # fmt: skip
def test_rows_are_chosen_as_python_slices(text, numbers):
    assert chosen(text, 10).tolist() == numbers


@pytest.mark.parametrize("text", ["", "a", "1:2:3", "10", "-11", "5:5", "1.5", "0:3;4"])
def test_rows_that_are_not_there_are_said(text):
    with pytest.raises(InputError, match="--rows"):
        chosen(text, 10)
