"""Ranges: every place of the unit interval is a value inside, distributed as said; texts say what they mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from popnet.errors import InputError
from popnet.tuning.space import ranges
from popnet.tuning.space.ranges import Choice, Integer, Linear, Log, OrZero

UNITS = np.random.default_rng(0).random(20_000)
EXAMPLES = [
    (Linear(0.1, 0.5), "0.1:0.5"),
    (Linear(-2.0, 3.0), "-2:3"),
    (Log(1e-4, 1e-1), "log:0.0001:0.1"),
    (Integer(1, 4), "int:1:4"),
    (Integer(16, 512, log=True), "logint:16:512"),
    (Choice(("relu", "elu", "elu")), "relu,elu,elu"),
    (Choice((1, 2.5, True)), "1,2.5,true"),
    (OrZero(Log(0.003, 0.1)), "0|log:0.003:0.1"),
    (OrZero(Linear(0.0, 0.5), 0.3), "0 30%|0:0.5"),
]


@pytest.mark.parametrize(("made", "text"), EXAMPLES)
def test_a_text_and_its_range(made, text):
    assert ranges.parse(text) == made
    assert str(made) == text


@given(st.floats(0, 1), st.sampled_from([r for r, _ in EXAMPLES]))
def test_every_place_is_a_value_inside(unit, made):
    value = made.at(unit)
    if isinstance(made, Choice):
        assert value in made.values
    elif isinstance(made, OrZero):
        assert value == 0 or made.inside.low <= value <= made.inside.high
    else:
        assert made.low <= value <= made.high


def test_linear_and_log_have_the_distributions_of_scipy():
    linear = [Linear(2.0, 5.0).at(u) for u in UNITS]
    assert stats.kstest(linear, stats.uniform(2, 3).cdf).pvalue > 0.01
    log = [Log(1e-4, 1e-1).at(u) for u in UNITS]
    assert stats.kstest(log, stats.loguniform(1e-4, 1e-1).cdf).pvalue > 0.01


def test_whole_numbers_and_choices_are_equally_frequent():
    for made in (Integer(1, 5), Choice(tuple("abcde"))):
        _, counts = np.unique([made.at(u) for u in UNITS], return_counts=True)
        assert len(counts) == 5
        assert stats.chisquare(counts).pvalue > 0.01


def test_logarithmic_whole_numbers_double_alike():
    drawn = np.array([Integer(16, 1024, log=True).at(u) for u in UNITS])
    counts, _ = np.histogram(np.log2(drawn), bins=[4, 5, 6, 7, 8, 9, 10.001])
    assert np.all(np.abs(counts / len(UNITS) - 1 / 6) < 0.02)


@pytest.mark.parametrize("share", [0.5, 0.3, 0.8])
def test_off_is_as_frequent_as_said(share):
    made = OrZero(Log(0.01, 1.0), share)
    drawn = np.array([made.at(u) for u in UNITS])
    assert np.mean(drawn == 0) == pytest.approx(share, abs=0.02)
    assert stats.kstest(drawn[drawn > 0], stats.loguniform(0.01, 1.0).cdf).pvalue > 0.01


@pytest.mark.parametrize(
    ("made", "points"),
    [
        (Linear(0.0, 1.0), [0.0, 0.5, 1.0]),
        (Log(1e-4, 1e-2), [1e-4, 1e-3, 1e-2]),
        (Integer(1, 3), [1, 2, 3]),
        (Integer(1, 101), [1, 51, 101]),
        (Integer(16, 256, log=True), [16, 64, 256]),
        (Choice(("a", "b", "b", "c", "d")), ["a", "b", "c", "d"]),
        (OrZero(Linear(0.1, 0.5)), [0.0, 0.1, 0.5]),
    ],
)
def test_points_of_a_grid(made, points):
    assert made.points(3) == pytest.approx(points) if not isinstance(points[0], str) else points


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.5:0.5", "empty"),
        ("log:0.1:0.1", "empty"),
        ("0.5:0.1", "reversed"),
        ("int:4:1", "reversed"),
        ("log:0:1", "above 0"),
        ("logint:0:8", "above 0"),
        ("0|log:0:1", "above 0"),
        ("log:1e-4", "a range is"),
        ("log:a:b", "a range is"),
        ("1:2:3", "a range is"),
        ("int:1.5:3", "a range is"),
        ("0:inf", "finite"),
        (",", "at least one value"),
        ("", "at least one value"),
        ("0|a,b", "off or a range"),
        ("0 100%|0:1", "off or a range"),
    ],
)
def test_what_is_no_range_is_refused_in_one_sentence(text, said):
    with pytest.raises(InputError, match=said) as caught:
        ranges.parse(text)
    assert "\n" not in str(caught.value)
