"""What a run can afford."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from popnet.data import split_sizes
from popnet.fitting import pacing
from popnet.runtime.clock import Clock, Finish, finishing_seconds
from popnet.tuning.strategies.halving import bracket


@pytest.mark.parametrize(
    ("rows", "share"), [(100, 0.2), (9_999, 0.2), (10_000, 0.1), (200_000, 0.1), (2_000_000, 0.01)]
)
def test_a_fifth_is_held_out_and_less_of_many_rows(rows, share):
    assert split_sizes.test_fraction(rows) == pytest.approx(share)


@given(st.integers(1, 10**8))
def test_never_more_than_the_most_test_rows(rows):
    assert split_sizes.test_fraction(rows) * rows <= split_sizes.MAX_TEST_ROWS + 1e-6


@pytest.mark.parametrize(
    ("rows", "members", "folds"),
    [
        (100, None, 5), (50_000, None, 5), (50_001, None, 3), (150_001, None, 1),
        (100, 3, 3), (100, 1, 1), (100, 40, 5), (10**6, 40, 1),
    ],
)  # fmt: skip
def test_folds(rows, members, folds):
    assert split_sizes.fold_count(rows, members) == folds


def test_clock_counts_from_the_commands_start():
    clock = Clock(time.monotonic() - 100.0, 160.0)
    assert 100 <= clock.elapsed() < 160
    assert clock.left() == pytest.approx(160 - clock.elapsed(), abs=1)
    assert clock.training_deadline(10.0) == pytest.approx(clock.began + 150)


def test_clock_without_a_limit_never_ends():
    clock = Clock(time.monotonic(), None)
    assert clock.left() == np.inf
    assert clock.training_deadline(10.0) is None


@given(st.floats(0.01, 1e5), st.integers(0, 20_000))
def test_finishing_takes_less_than_a_third_of_the_limit(limit, rows):
    seconds = finishing_seconds(limit, rows)
    assert 0 < seconds <= 0.3 * limit
    assert finishing_seconds(limit, rows + 1000) >= seconds


def test_finishing_needs_no_time_kept_without_a_limit():
    assert finishing_seconds(None, 20_000) == 0


def test_epochs_fill_the_time_of_all_workers():
    """5 recipes x 5 folds = 25 members; 2 workers x 100 s / 25 = 8 s a member; at 0.1 s an epoch: 80."""
    assert pacing.affordable(200, 24, 0.1, 100.0, 2, 5, None) == (80, 25)
    assert pacing.affordable(30, 24, 0.1, 100.0, 2, 5, None).epochs == 30
    assert pacing.affordable(200, 24, 0.1, 100.0, 2, 5, 10).epochs == 200  # 10 members: 20 s each


def test_rather_few_recipes_than_epochs_that_are_not_enough():
    """2 workers x 20 s at 0.1 s an epoch: 400 epochs, 80 for each of 5 folds; 3 recipes of 24 fit in, not 5."""
    assert pacing.affordable(200, 24, 0.1, 20.0, 2, 5, None) == (26, 400 / 26)
    # Not even one: its five members have eight epochs each, and a race starts with it alone.
    assert pacing.affordable(200, 24, 0.1, 2.0, 2, 5, None) == (8, 5)
    assert bracket(5, 5, 8) == (1, 1)


@pytest.mark.parametrize(("steps", "epochs"), [(10, 16), (60, 16), (100, 10), (250, 4), (9999, 3)])
def test_enough_epochs_are_so_many_steps(steps, epochs):
    assert pacing.enough_epochs(steps) == epochs


@pytest.mark.parametrize(("steps", "epochs"), [(10, 12), (60, 6), (9999, 3)])
def test_muon_needs_fewer(steps, epochs):
    assert pacing.enough_epochs(steps, muon=True) == epochs


@pytest.mark.parametrize(("gain", "epochs"), [(None, 12), (0.3, 12), (0.01, 6), (-0.5, 6)])
def test_where_longer_trainings_gain_little_fewer_epochs_are_enough(gain, epochs):
    assert pacing.enough_epochs(30, muon=True, gain=gain) == epochs


def test_epochs_are_as_wanted_without_a_limit_and_two_at_least():
    assert pacing.affordable(77, 24, 10.0, np.inf, 1, 5, None) == (77, np.inf)
    assert pacing.affordable(77, 24, 10.0, 0.1, 1, 5, None).epochs == 2
    assert pacing.affordable(77, 24, 0.0, 10.0, 1, 5, None).epochs == 77


@given(
    st.integers(2, 500), st.integers(1, 50), st.floats(1e-5, 100), st.floats(0, 1e5), st.integers(1, 16),
    st.integers(1, 5), st.none() | st.integers(1, 100),
)  # fmt: skip
def test_planned_members_fit_the_time(wanted, enough, epoch, seconds, workers, folds, members):
    epochs, trainings = pacing.affordable(wanted, enough, epoch, seconds, workers, folds, members)
    assert 2 <= epochs <= max(2, wanted)
    assert trainings * epochs * epoch / workers <= seconds * (1 + 1e-9)
    # A whole recipe, unless there is no time for two epochs of each of its members.
    assert epochs == 2 or trainings >= folds * (1 - 1e-9)
    assert epochs >= min(enough, wanted) or trainings <= folds
    most = folds * min(pacing.RECIPES_WANTED, max(1, (members or 10**9) // folds))
    assert epochs in (2, wanted) or trainings <= 1.5 * most


@pytest.mark.parametrize(
    ("possible", "workers", "folds", "due", "epochs"),
    [
        (10, 1, 1, 1, 10),  # one training as planned
        (13, 2, 1, 1, 13),  # rather one long training than two short ones
        (18, 2, 1, 1, 9),  # rather two short ones than one long
        (7, 2, 1, 1, 7),  # what is left of the time
        (3, 2, 1, 1, 0),  # too little is left
        (30, 2, 6, 6, 10),  # six members, three after each other
        (30, 2, 6, 4, 15),  # four more, two after each other; with a whole recipe more, 6
        (50, 2, 6, 4, 10),
        (1000, 1, 1, 1, 10),
    ],
)
def test_paced_trainings_end_with_the_time(possible, workers, folds, due, epochs):
    seconds = 2.0 * possible / pacing.PACED_SHARE
    got = pacing.paced_epochs(10, 2.0, seconds + 1e-6, workers, folds, due)
    assert got == epochs


@given(
    st.integers(1, 200), st.floats(1e-3, 100), st.floats(0, 1e5),
    st.integers(1, 64), st.integers(1, 6), st.data(),
)  # fmt: skip
def test_paced_members_fit_the_time_and_have_much_of_their_epochs(
    wanted, epoch, seconds, workers, folds, data
):
    due = data.draw(st.integers(1, folds))
    epochs = pacing.paced_epochs(wanted, epoch, seconds, workers, folds, due)
    assert 0 <= epochs <= 2 * wanted
    assert epochs * epoch <= seconds


def test_the_time_kept_for_finishing_is_counted_from_the_limit_backwards():
    clock = Clock(time.monotonic() - 90_000, 100_000)  # 10,000 s are left
    finish = Finish(clock, 16_000)
    assert finish.has_left(0.6)  # 9,600 s
    assert not finish.has_left(0.7)
    assert not finish.has_left(0.6, seconds=1_000)
    assert finish.moment(0.25) == clock.began + 96_000
    endless = Finish(Clock(clock.began, None), 0.0)
    assert endless.has_left(1.0, seconds=1e9)
    assert endless.moment(0.5) is None
