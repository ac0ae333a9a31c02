"""One text at a time is read as a column of it is."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from popnet.data.tables import cast, date_format, number_format, one_value
from popnet.data.tables.formats import CLOCK, EITHER_DECIMAL, FORMATS

MOMENTS = [
    dt.datetime(2024, 2, 29, 13, 5, 7, 250000),
    dt.datetime(1969, 1, 9),
    dt.datetime(1999, 12, 1),
]
ODD_TIMES = """
2024-01-01T10:00:00Z|2024-01-01 10:00:00+02|2024-1-5|24-01-01|2024-13-01|2023-02-29|12:30|x|2024-01-01T10
2024-01-01  10:00|20240131|2024||1/2/2024|31/12/24|1.2.3|May 2024|sept 2024|jan 5 2024|2024-01-01 10:00:60
2024-01-01 10:00:61|2024-01-01 10:00:00.1234567|1500-01|Mon, 01 Jan 2024|Tue, 01 Jan 2024|٢٠٢٤-01-01
""".strip().replace("\n", "|").split("|")  # fmt: skip
NUMBERS = """
1|1.5|1,5|1,234.5|1.234,5|1 234,5|1'234.5|1’234.5|(12)|-5|5-|(5|5)|€ 5|5 €|EUR 5|5%|12 %|1e5|1e-5|+3|.5|5.
inf|NaN|-inf|1_000|0x1|1.2.3|12,34,567.5|3K|3.5 Mio|3 k €|$-5|-$5|$(5)|13:05|1:05 PM|100:05:30.5|-1:30|13:05 pm|1:65|٣|
−5|–5 €|1\u00a0234,5|12 kgs|3 B|1.|1,|1d
""".strip().replace("\n", "|").split("|")  # fmt: skip


def written(form: str) -> list[str]:
    zone = dt.timezone(dt.timedelta(hours=2, minutes=30))
    own = form.replace("%.f", ".%f").replace("%#z", "%z")
    return [m.replace(tzinfo=zone if "z" in own else None).strftime(own) for m in MOMENTS]


@pytest.mark.parametrize("form", [*date_format.DATE_FORMATS, "", "%Y%m%d", "%d/%m/%Y|%Y-%m-%d"])
def test_times(form):
    texts = [*written(form or "%Y-%m-%d"), *written("%m/%d/%y"), *ODD_TIMES]
    times, _ = cast.to_times(pl.Series(texts), form)
    assert times.null_count() < len(texts)
    assert [one_value.time(t, form) for t in texts] == times.dt.epoch("us").to_list()


@pytest.mark.parametrize("unit", ["", " €", " EUR", " %", " kg", " B"])
def test_numbers(unit):
    for form in FORMATS if unit else ["", EITHER_DECIMAL, CLOCK, *FORMATS]:
        wanted = number_format.parse(pl.Series(NUMBERS), form + unit).to_list()
        assert sum(v is not None for v in wanted) > 2
        assert list(map(repr, wanted)) == [repr(one_value.number(t, form + unit)) for t in NUMBERS]
