"""Which predictions are worth a look."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from popnet.predictions.telling import most_wrong, surest


def drawn(seed: int, n: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(classes), n)
    return rng.integers(0, classes, n), p.argmax(1), p


@given(st.integers(0, 10**6), st.integers(0, 60), st.integers(2, 5), st.integers(0, 20))
def test_the_worst_come_first_and_nothing_right_is_among_them(seed, n, classes, count):
    true, decided, p = drawn(seed, n, classes)
    rows = most_wrong(true, decided, p, count)
    of_true = p[np.arange(n), true]
    assert len(rows) == min(count, int((decided != true).sum()))
    assert np.all(decided[rows] != true[rows])
    assert np.all(np.diff(of_true[rows]) >= 0)
    left = np.setdiff1d(np.flatnonzero(decided != true), rows)
    assert not len(left) or not len(rows) or of_true[left].min() >= of_true[rows].max()


@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(2, 5), st.integers(1, 20))
def test_the_surest_are_right_and_of_each_class_in_turn(seed, n, classes, count):
    true, decided, p = drawn(seed, n, classes)
    rows = surest(true, decided, p, count)
    right = np.flatnonzero(decided == true)
    assert len(rows) == min(count, len(right))
    assert np.all(decided[rows] == true[rows])
    there = np.unique(true[right])
    first = rows[: len(there)]
    assert len(np.unique(true[first])) == len(first)  # no class twice before each was there once
    for row in first:
        same = right[true[right] == true[row]]
        assert p[row, true[row]] == p[same, true[row]].max()
