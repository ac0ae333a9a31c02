"""Durations as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popnet.errors import InputError
from popnet.runtime.durations import seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("90s", 90),
        ("5m", 300),
        ("1.5h", 5400),
        ("1h30m", 5400),
        ("1h 30m 15s", 5415),
        ("2M", 120),
        ("0.5", 0.5),
    ],
)
def test_what_people_write(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "5 minutes", "-5m", "m", "5d", "1,5h", "nan", "1e3"])
def test_what_is_no_duration_is_refused_and_named(text):
    with pytest.raises(InputError, match="is no time limit; write for example") as raised:
        seconds(text)
    assert f"'{text}'" in str(raised.value)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_hours_minutes_and_seconds_add_up(h, m, s):
    assert seconds(f"{h}h{m}m{s}s") == 3600 * h + 60 * m + s
