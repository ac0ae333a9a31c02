"""Geometry against closed forms."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given

from popnet.report.charts import axes

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


def test_an_axis_is_linear_and_turns_upward():
    axis = axes.Axis(10, 20)
    assert [axis.at(v) for v in (10, 12.5, 20)] == [0, 25, 100]
    assert [axis._replace(upward=True).at(v) for v in (10, 12.5, 20)] == [100, 75, 0]


@given(st.lists(NUMBERS, min_size=1, max_size=30))
def test_an_axis_holds_its_values_and_its_ticks(values):
    axis = axes.axis(values)
    assert all(0 <= axis.at(v) <= 100 for v in values)
    assert all(0 <= t.at <= 100 for t in axis.ticks)
    assert 1 <= len(axis.ticks) <= 12
    assert len({t.text for t in axis.ticks}) == len(axis.ticks)


@pytest.mark.parametrize("values", [[], [math.nan, None], [3.0], [0.0, 0.0], [1e300, 1e300]])
def test_an_axis_of_nothing_or_of_one_value(values):
    axis = axes.axis(values)
    assert axis.high > axis.low


def test_round_values():
    assert axes.round_values(0.76, 0.88, 6) == [0.76, 0.78, 0.8, 0.82, 0.84, 0.86, 0.88]
    assert axes.round_values(-1, 1, 4) == [-1, -0.5, 0, 0.5, 1]
    assert axes.tick_texts([0.76, 0.78, 0.8]) == ["0.76", "0.78", "0.80"]
    assert axes.tick_texts([0, 20_000]) == ["0", "20,000"]


@pytest.mark.parametrize(
    ("width", "about", "step"), [(10, 5, 2), (1, 4, 0.2), (7, 7, 1), (50, 10, 5)]
)
def test_steps_are_one_two_or_five(width, about, step):
    assert axes.step_of(width, about) == pytest.approx(step)


def test_quantiles_are_interpolated():
    assert axes.quantile([4, 1, 3, 2], 0.5) == 2.5
    assert axes.quantile([4, 1, 3, 2], 0) == 1
    assert axes.quantile([7], 0.25) == 7


def test_robust_limits_leave_out_what_is_far_off():
    values = [*range(100), 10_000, -5_000, math.nan]
    assert axes.robust_limits(values) == (0, 99)
    assert axes.robust_limits([1, 1, 1, 1, 50]) == (1, 50)


@given(st.integers(0, 2000), st.integers(2, 200), st.data())
def test_thinning_keeps_the_ends_and_the_best(n, most, data):
    keep = data.draw(st.integers(0, n - 1)) if n else None
    places = axes.thin(n, most, keep)
    assert places == sorted(set(places))
    assert len(places) <= max(most, 2 + (keep is not None))
    if n:
        assert {0, n - 1, keep} <= set(places)
    if n <= most:
        assert places == list(range(n))


def test_lines_break_where_values_are_missing():
    x, y = axes.Axis(0, 4), axes.Axis(0, 1, upward=True)
    found = axes.lines([0, 1, 2, 3, 4], [0.0, 1.0, None, math.nan, 0.5], x, y)
    assert found == ["0,100 25,0", "100,50 100,50"]
    assert axes.lines([0, 1], [None, None], x, y) == []


@given(st.lists(st.floats(0, 100), max_size=80), st.sampled_from([0.5, 1.0, 5.0]))
def test_a_swarm_has_no_overlaps(places, diameter):
    dealt = axes.swarm(places, diameter)
    assert [x for x, _ in dealt] == places
    assert axes.apart(dealt, diameter)
    for i, (a, level) in enumerate(dealt):
        for b, other in dealt[:i]:
            assert level != other or abs(a - b) >= diameter - 1e-6


def test_a_swarm_of_equal_values_is_a_balanced_column():
    assert sorted(level for _, level in axes.swarm([5.0] * 5, 1)) == [-2, -1, 0, 1, 2]
    assert max(abs(level) for _, level in axes.swarm([5.0] * 99, 1, most=3)) == 3
    assert axes.swarm([0, 10, 20], 1) == [(0, 0), (10, 0), (20, 0)]


def test_a_full_column_goes_on_beside_itself():
    dealt = axes.swarm([5.0] * 9, 1, most=1, aside=1)
    assert sorted({x for x, _ in dealt}) == [4.0, 5.0, 6.0]
    assert axes.apart(dealt, 1)
    crowded = axes.swarm([5.0] * 10, 1, most=1, aside=1)
    assert crowded[:9] == dealt
    assert not axes.apart(crowded, 1)


def test_whole_ticks():
    assert [t.text for t in axes.axis([1, 2], about=6, whole=True).ticks] == ["1", "2"]
    assert [t.text for t in axes.axis([1, 50], about=5, whole=True).ticks] == (
        ["0", "10", "20", "30", "40", "50"]
    )


def test_shares_of_a_stacked_bar():
    assert axes.shares([1, 2, 1]) == [(0, 25), (25, 50), (75, 25)]
    assert axes.shares([0, 0]) == [(0, 0), (0, 0)]


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=6))
def test_an_axis_shows_all_values_and_nothing_beyond_what_can_be(values):
    axis = axes.axis(values, within=(0.0, 1.0))
    assert axis.low <= min(values) <= max(values) <= axis.high
    assert axis.low < axis.high
    assert axis.low >= min(0.0, *values)
    assert axis.high <= max(1.0, *values)
