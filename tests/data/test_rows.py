"""Splits: partitions, shares and orders that hold whatever the rows."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from popnet.data.splits import folds, holdout, latest, max_folds
from popnet.errors import InputError

SIZES = st.integers(2, 300)
SEEDS = st.integers(0, 2**31)
quick = settings(max_examples=60, deadline=None)


def is_split(fold, rows):
    joined = np.concatenate([fold.train, fold.valid])
    assert fold.train.dtype == fold.valid.dtype == np.int32
    assert len(fold.train)
    assert len(fold.valid)
    assert (np.diff(fold.train) > 0).all()
    assert (np.diff(fold.valid) > 0).all()
    np.testing.assert_array_equal(np.sort(joined), np.sort(rows))


@quick
@given(SIZES, st.floats(0.01, 0.99), SEEDS)
def test_holdout_is_a_split_of_the_asked_size(n, fraction, seed):
    fold = holdout(n, fraction, seed)
    is_split(fold, np.arange(n))
    assert abs(len(fold.valid) - fraction * n) <= 1 or len(fold.valid) in (1, n - 1)
    again = holdout(n, fraction, seed)
    np.testing.assert_array_equal(fold.valid, again.valid)


@quick
@given(SIZES, st.floats(0.05, 0.5), SEEDS, st.integers(2, 6))
def test_stratified_holdout_keeps_shares(n, fraction, seed, classes):
    y = np.random.default_rng(seed).integers(0, classes, n) ** 2
    fold = holdout(n, fraction, seed, stratify=y)
    is_split(fold, np.arange(n))
    for label in np.unique(y):
        count, held = (y == label).sum(), (y[fold.valid] == label).sum()
        assert abs(held - fraction * count) < 1 + 1e-9 or len(fold.valid) == 1
        assert held < count or count == 1


@quick
@given(SIZES, st.integers(2, 7), SEEDS)
def test_folds_are_a_partition(n, k, seed):
    k = min(k, n)
    rows = np.random.default_rng(seed).permutation(1000)[:n]
    parts = folds(rows, k, seed)
    assert len(parts) == k
    for fold in parts:
        is_split(fold, rows)
        assert n // k <= len(fold.valid) <= -(-n // k)
    held = np.concatenate([f.valid for f in parts])
    np.testing.assert_array_equal(np.sort(held), np.sort(rows))


@quick
@given(SIZES, st.integers(2, 7), SEEDS)
def test_stratified_folds_spread_each_class_evenly(n, k, seed):
    k = min(k, n)
    y = np.array(list("abc"))[np.random.default_rng(seed).integers(0, 3, n) ** 2 // 2]
    for fold in folds(np.arange(n), k, seed, stratify=y):
        for label in np.unique(y):
            count = (y == label).sum()
            assert count // k <= (y[fold.valid] == label).sum() <= -(-count // k)


@quick
@given(st.integers(10, 300), st.integers(2, 5), SEEDS, st.floats(0.05, 0.9))
def test_groups_are_never_split(n, k, seed, fraction):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, max(n // 3, k), n)
    groups[:k] = np.arange(k)
    parts = folds(np.arange(n), k, seed, groups=groups)
    for fold in [*parts, holdout(n, fraction, seed, groups=groups)]:
        is_split(fold, np.arange(n))
        assert not set(groups[fold.train]) & set(groups[fold.valid])
    largest = np.bincount(groups).max()
    sizes = [len(f.valid) for f in parts]
    assert max(sizes) - min(sizes) <= largest


@quick
@given(st.integers(10, 300), st.integers(1, 5), SEEDS, st.floats(0.05, 0.9))
def test_time_never_runs_backwards(n, k, seed, fraction):
    rng = np.random.default_rng(seed)
    time = rng.permutation(n * 2)[:n] / 7
    held = holdout(n, fraction, seed, time=time)
    is_split(held, np.arange(n))
    assert abs(len(held.valid) - fraction * n) <= 1
    parts = folds(np.arange(n), k, seed, time=time)
    for fold in [held, *parts]:
        assert time[fold.train].max() < time[fold.valid].min()
    for before, after in itertools.pairwise(parts):
        expected = np.sort(np.concatenate([before.train, before.valid]))
        np.testing.assert_array_equal(after.train, expected)


@quick
@given(st.integers(12, 300), SEEDS, st.floats(0.1, 0.9))
def test_rows_of_one_time_stay_together(n, seed, fraction):
    time = np.random.default_rng(seed).integers(0, 6, n)
    time[:6] = np.arange(6)
    fold = holdout(n, fraction, seed, time=time)
    assert not set(time[fold.train]) & set(time[fold.valid])


def test_one_fold_holds_out_a_fifth():
    rows = np.arange(50) * 2
    (fold,) = folds(rows, 1, 0)
    is_split(fold, rows)
    assert len(fold.valid) == 10


def test_the_seed_matters():
    assert not np.array_equal(holdout(100, 0.2, 0).valid, holdout(100, 0.2, 1).valid)
    # A negative seed is as good as any, and differs from the one without its sign.
    assert not np.array_equal(holdout(100, 0.2, -1).valid, holdout(100, 0.2, 1).valid)
    assert len(folds(np.arange(9), 3, -1)) == 3


@quick
@given(st.integers(2, 60), st.integers(1, 60), SEEDS, st.sampled_from(["rows", "groups", "time"]))
def test_rows_can_be_cut_into_the_max_folds_and_no_more(n, values, seed, by):
    labels = np.random.default_rng(seed).integers(0, values, n + 5) ** 2
    rows = np.arange(n) + 5
    arrange = {} if by == "rows" else {by: labels}
    most = max_folds(rows, **arrange)
    distinct = len(np.unique(labels[rows]))
    assert most == max({"rows": n, "groups": distinct, "time": distinct - 1}[by], 1)
    if distinct > 1 or by == "rows":
        for k in {1, 2, most // 2, most} & set(range(1, most + 1)):
            parts = folds(rows, k, seed, **arrange)
            assert len(parts) == k
            for fold in parts:
                assert len(fold.train)
                assert len(fold.valid)
                if by == "time":
                    assert labels[fold.train].max() < labels[fold.valid].min()
    with pytest.raises(InputError, match=f"{most + 1} folds"):
        folds(rows, most + 1, seed, **arrange)


def test_max_folds_by_group_and_time_at_once():
    with pytest.raises(InputError, match="at once"):
        max_folds(np.arange(9), np.arange(9), np.arange(9))


def test_a_class_smaller_than_the_folds_is_spread():
    y = np.array([0] * 20 + [1] * 2)
    held = [(y[f.valid] == 1).sum() for f in folds(np.arange(22), 5, 0, stratify=y)]
    assert sorted(held) == [0, 0, 0, 1, 1]


BAD = {
    "fewer rows than folds": (lambda: folds(np.arange(3), 5, 0), ["3 rows", "5 folds"]),
    "no folds": (lambda: folds(np.arange(3), 0, 0), ["at least 1", "0"]),
    "one row": (lambda: holdout(1, 0.2, 0), ["1 rows"]),
    "share 0": (lambda: holdout(10, 0.0, 0), ["0.0"]),
    "share nan": (lambda: holdout(10, float("nan"), 0), ["nan"]),
    "fewer groups than folds": (
        lambda: folds(np.arange(9), 3, 0, groups=np.arange(9) % 2),
        ["2 groups", "3 folds"],
    ),
    "one group": (lambda: holdout(9, 0.2, 0, groups=np.zeros(9)), ["one group"]),
    "one time": (lambda: holdout(9, 0.2, 0, time=np.zeros(9)), ["same time"]),
    "fewer times than folds": (
        lambda: folds(np.arange(9), 3, 0, time=np.arange(9) % 2),
        ["2 distinct times", "3 folds"],
    ),
    "no time": (lambda: holdout(2, 0.5, 0, time=np.array([0, np.nan])), ["row 2", "no time"]),
    "both": (lambda: holdout(9, 0.2, 0, groups=np.arange(9), time=np.arange(9)), ["at once"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_splits(case):
    call, words = BAD[case]
    with pytest.raises(InputError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


@quick
@given(SIZES.filter(lambda n: n >= 10), SEEDS, st.integers(1, 40))
def test_latest_rows_without_sorting(n, seed, distinct):
    times = np.random.default_rng(seed).integers(0, distinct, n).astype(float)
    try:
        test, valid = latest(times, n // 5, n // 5)
    except InputError:
        assert distinct < 10 or len(np.unique(times)) < 10
        return
    train = np.setdiff1d(np.arange(n), np.concatenate([test, valid]))
    assert times[valid].max() < times[test].min()
    assert len(test) <= n // 5 + 1
    if len(train):
        assert times[train].max() < times[valid].min()


@quick
@given(st.integers(60, 300), SEEDS, st.integers(2, 5), st.integers(2, 4))
def test_classes_are_spread_over_grouped_folds(n, seed, k, classes):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 40, n)
    # Classes go with groups, so that folds made without regard to them would be uneven.
    y = (groups + (rng.random(n) < 0.2)) % classes
    parts = folds(np.arange(n), k, seed, stratify=y, groups=groups)
    assert sorted(np.concatenate([f.valid for f in parts])) == list(range(n))
    for fold in parts:
        is_split(fold, np.arange(n))
        assert not set(groups[fold.train]) & set(groups[fold.valid])
    held = np.array([np.bincount(y[f.valid], minlength=classes) for f in parts])
    counts = np.bincount(y, minlength=classes)
    largest = np.max([np.bincount(y[groups == g], minlength=classes) for g in np.unique(groups)], 0)
    # No class is further from its share than the largest group of it allows, twice over.
    assert (np.abs(held - counts / k) <= 2 * largest + 1).all()


def test_grouped_folds_are_as_even_as_scikit_learns():
    from sklearn.model_selection import StratifiedGroupKFold

    def unevenness(tested):
        held = np.array([np.bincount(y[t], minlength=3) for t in tested]) / np.bincount(y)
        return np.abs(held - 0.2).max()

    ours, theirs = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        groups = rng.integers(0, 60, 2000)
        y = rng.choice(3, 60, p=[0.7, 0.25, 0.05])[groups]
        y = np.where(rng.random(2000) < 0.1, rng.integers(0, 3, 2000), y)
        ours.append(
            unevenness(
                [f.valid for f in folds(np.arange(2000), 5, seed, stratify=y, groups=groups)]
            )
        )
        splitter = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        theirs.append(unevenness([t for _, t in splitter.split(y, y, groups)]))
    assert np.mean(ours) <= np.mean(theirs) * 1.1


@quick
@given(st.integers(60, 300), SEEDS, st.floats(0.1, 0.4))
def test_a_grouped_holdout_has_the_classes_shares(n, seed, fraction):
    rng = np.random.default_rng(seed)
    groups = rng.permutation(n) // 3
    y = (groups % 3 == 0).astype(int)
    fold = holdout(n, fraction, seed, stratify=y, groups=groups)
    is_split(fold, np.arange(n))
    assert not set(groups[fold.train]) & set(groups[fold.valid])
    for label in (0, 1):
        share = (y[fold.valid] == label).sum() / (y == label).sum()
        assert abs(share - fraction) < 3 / (y == label).sum() + 0.02
