"""Numbers and texts as people read them."""

from __future__ import annotations

import math

import pytest

from popnet.report import format, vocabulary

SPACE = format.NARROW


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (16281, "16,281"),
        (-3, "−3"),
        (0.0, "0"),
        (0.87234, "0.8723"),
        (0.5, "0.5"),
        (123456.78, "123,457"),
        (0.000237123, "0.0002371"),
        (1e-7, "1e−7"),
        (1.25e12, "1.25e12"),
        (-2.5e-9, "−2.5e−9"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
        ("text", "–"),
        (True, "–"),
    ],
)
def test_numbers(value, text):
    assert format.number(value) == text


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [(1234.5, 1, "1,234.5"), (-0.0001, 2, "0.00"), (-1.5, 1, "−1.5"), (None, 2, "–")],
)
def test_fixed_decimals(value, places, text):
    assert format.fixed(value, places) == text


@pytest.mark.parametrize(("value", "text"), [(0.004, "+0.004"), (-0.004, "−0.004"), (0.0, "0.000")])
def test_signs(value, text):
    assert format.signed(value, 3) == text


@pytest.mark.parametrize(
    ("value", "half", "places"),
    [
        (0.872, 0.005, 3), (0.872, 0.0004, 4), (45_231.4, 1443.0, 0), (3.2, None, 2), (None, None, 3), (0.0, 1.0, 3),
        (1.0, None, 3),
    ],
)  # fmt: skip
def test_decimals_follow_the_interval(value, half, places):
    assert format.decimals(value, half) == places


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        (0.872, 2, "0.87"), (1.0, 3, "1.000"), (0.99996, 3, "0.99996"), (0.9996, 3, "0.9996"), (0.99949, 3, "0.999"),
        (1 - 1e-12, 3, "0.999999"), (-0.99999, 2, "−0.99999"), (0.7, 0, "1"), (1.9999, 2, "2.00"),
        (0.0, 3, "0.000"), (-0.0004, 3, "−0.0004"), (2e9, 2, "2e9"), (None, 3, "–"),
    ],
)  # fmt: skip
def test_scores_are_not_rounded_to_perfect(value, places, text):
    assert format.score(value, places) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.872, "87"), (0.0583, "5.8"), (1, "100"), (0.999, "99.9"), (0, "0"), (0.0001, f"<{SPACE}0.1")],
)  # fmt: skip
def test_percent(share, text):
    assert format.percent(share) == f"{text}{SPACE}%"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.042, "0.04 s"), (12.34, "12.3 s"), (60, "1 min"), (184.2, "3 min 4 s"), (3720, "1 h 2 min"), (None, "–")],
)  # fmt: skip
def test_durations(seconds, text):
    assert format.duration(seconds).replace(SPACE, " ") == text


def test_short_keeps_both_ends():
    text = format.short("a" * 50 + "z" * 50, 20)
    assert len(text) == 20
    assert text.startswith("a")
    assert text.endswith("z")
    assert format.short("as it is", 20) == "as it is"


def test_clean_takes_out_what_html_cannot_hold():
    assert format.clean("a\x00b\ud800c\td\n") == "a�b�c\td\n"


def test_enumeration_and_count():
    assert format.enumeration([]) == ""
    assert format.enumeration(["a"]) == "a"
    assert format.enumeration(["a", "b", "c"]) == "a, b and c"
    assert format.count(1, "row") == "1 row"
    assert format.count(2000, "class", "classes") == "2,000 classes"


def test_every_metric_of_popnet_has_words():
    from popnet.predictions.metrics import METRICS

    for name, metric in METRICS.items():
        assert vocabulary.METRICS[name].greater == metric.greater_is_better


def test_every_status_of_a_member_has_words():
    from popnet.population.members import STATUSES

    assert set(vocabulary.STATUSES) == set(STATUSES) - {"running", "paused"}
