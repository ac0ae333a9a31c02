"""Dates and times as people write them: finding the strptime format of a column, and reading it.

A format that the schema keeps may be several, joined by ``|``: each value is read by the first that it fits.
"""

from __future__ import annotations

import polars as pl

from popnet.data.tables.formats import FIRST_YEAR, ISO_FORMATS, LAST_YEAR

DATE_FORMATS = (
    *ISO_FORMATS,
    "%Y-%m-%d %H:%M:%S%.f UTC",
    "%Y-%m-%d %H:%M:%S%.f %z",
    "%Y-%m-%d %H:%M UTC",
    "%Y-%m-%d %I:%M:%S %p",
    "%Y-%m-%d %I:%M %p",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M",
    "%Y.%m.%d",
    "%Y%m%dT%H%M%S",
    # Month first wins where both orders fit, as in pandas.
    "%m/%d/%Y",
    "%m/%d/%Y %H:%M:%S%.f",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
    "%d/%m/%Y",
    "%d/%m/%Y %H:%M:%S%.f",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y %I:%M:%S %p",
    "%d/%m/%Y %I:%M %p",
    "%m/%d/%y",
    "%m/%d/%y %H:%M",
    "%m/%d/%y %I:%M %p",
    "%d/%m/%y",
    "%d/%m/%y %H:%M",
    "%d/%m/%y %I:%M %p",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M:%S%.f",
    "%d.%m.%Y %H:%M",
    "%d.%m.%y",
    "%d.%m.%y %H:%M",
    "%m-%d-%Y",
    "%m-%d-%Y %H:%M:%S%.f",
    "%m-%d-%Y %H:%M",
    "%d-%m-%Y",
    "%d-%m-%Y %H:%M:%S%.f",
    "%d-%m-%Y %H:%M",
    "%d-%b-%Y",
    "%d-%b-%Y %H:%M:%S%.f",
    "%d-%b-%y",
    "%d %b %Y",
    "%d %b %Y %H:%M:%S%.f",
    "%d %b %Y %H:%M",
    "%d %B %Y",
    "%b %d, %Y",
    "%b %d %Y",
    "%B %d, %Y",
    "%b %d, %Y %I:%M %p",
    "%b %d, %Y %H:%M",
    # RFC 2822, HTTP, ctime, the date command, web servers' logs.
    "%a, %d %b %Y %H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S GMT",
    "%a, %d %b %Y %H:%M:%S UTC",
    "%a, %d %b %Y",
    "%a %b %d %H:%M:%S %Y",
    "%a %b %d %H:%M:%S UTC %Y",
    "%a %b %d %H:%M:%S GMT %Y",
    "%d/%b/%Y:%H:%M:%S %z",
    "%Y-%m",
    "%Y/%m",
    "%m/%Y",
    "%b %Y",
    "%b-%Y",
    "%b-%y",
)
COMPACT_DATE = "%Y%m%d"
"""Dates written as one number, 20240131."""

MONTH_FIRST, DAY_FIRST = ("%m/%d", "%m-%d-%Y"), ("%d/%m", "%d-%m-%Y")
"""How the formats begin that take the one number first, or the other."""

SAMPLE = 200
MAX_FORMATS = 4
"""Formats that are told apart in one column."""

_DATE_LIKE = r"^(\d{1,4}[-/. ]|\d{8}T|\d{1,2}/[A-Za-z]{3}/|[A-Za-z]{3,9}[ -]\d|[A-Za-z]{3,9},? (\d|[A-Za-z]{3} ))"
"""How every text in one of `DATE_FORMATS` starts."""


def parse(text: pl.Series, form: str) -> pl.Series:
    """Return the points in time that texts hold, ``(N,)`` Datetime of microseconds without a zone.

    Null where a text does not fit, or its year is below 1000. Times with a zone are taken to UTC; of a month the first
    day is taken.

    Args:
        text: ``(N,)`` String without blanks at both ends.
        form: strptime formats, joined by ``|``.
    """
    first, *others = form.split("|")
    times = _parse_one(text, first)
    for other in others:
        if times.null_count() == text.null_count():
            break
        times = pl.select(pl.coalesce(times, _parse_one(text, other))).to_series()
    return times


def _parse_one(text: pl.Series, form: str) -> pl.Series:
    if "%d" not in form:
        text, form = text + " 1", form + " %d"
    times = text.str.strptime(pl.Datetime("us"), form, strict=False)
    if isinstance(times.dtype, pl.Datetime) and times.dtype.time_zone is not None:
        times = times.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    # "%Y" takes "24" for the year 24; such text is meant for "%y".
    wrong = times.dt.year() < 1000
    if "%y" in form:  # a version such as 1.2.3 is no date
        wrong |= ~text.str.contains(r"[-/. ]\d\d( |$)")
    if "%d" in form.removesuffix(" %d"):
        return times.set(wrong, None) if wrong.any() else times
    wrong |= ~times.dt.year().is_between(FIRST_YEAR, LAST_YEAR)  # 1009-10 is a range
    return times.set(wrong, None) if wrong.any() else times


def find(distinct: pl.Series, min_share: float, day_first: bool = False) -> str:
    """Return the format of most of a column's values, or several joined by ``|``; "" if too few are dates.

    One that suits all values is taken alone. Formats that read day and month in another order than a better one of the
    same kind are never mixed with it: the values that fit both would be read wrongly.

    Args:
        distinct: different values, String without blanks at both ends and without words for "missing".
        min_share: of them, those that must be dates.
        day_first: whether day first wins where both orders fit.
    """
    sample = distinct.gather_every(max(len(distinct) // SAMPLE, 1))
    alike = sample.str.contains(_DATE_LIKE)
    if len(sample) == 0 or (alike.mean() or 0.0) < min_share:  # type: ignore[operator]
        return ""
    formats = _in_order(day_first)
    found = _best(sample, formats)
    # The sample first: a pass over all values is dear, and most formats fail on it.
    rest = distinct.filter(parse(distinct, "|".join(found)).is_null()) if found else distinct
    if found and len(rest) > (1 - min_share) * len(distinct):
        found = _best(distinct, formats)
        rest = distinct.filter(parse(distinct, "|".join(found)).is_null())
    return "|".join(found) if found and len(rest) <= (1 - min_share) * len(distinct) else ""


def other_order(form: str, distinct: pl.Series) -> str:
    """Return the format with day and month the other way round, if it fits all values that ``form`` fits; else "".

    Args:
        form: a format of `DATE_FORMATS`, or several.
        distinct: different values.
    """
    swapped = "|".join(_swap(f) for f in form.split("|"))
    if swapped == form:
        return ""
    fits = parse(distinct, form).is_not_null()
    return swapped if parse(distinct.filter(fits), swapped).null_count() == 0 else ""


def _swap(form: str) -> str:
    for one, two in (("%m/%d", "%d/%m"), ("%m-%d-%Y", "%d-%m-%Y")):
        if form.startswith(one):
            return two + form.removeprefix(one)
        if form.startswith(two):
            return one + form.removeprefix(two)
    return form


def _in_order(day_first: bool) -> tuple[str, ...]:
    if not day_first:
        return DATE_FORMATS
    return tuple(sorted(DATE_FORMATS, key=lambda f: f.startswith(MONTH_FIRST)))


def _best(values: pl.Series, formats: tuple[str, ...]) -> list[str]:
    """Return the formats that suit most of the values, each those that are left by the ones before it."""
    found: list[str] = []
    while len(values) and len(found) < MAX_FORMATS:
        best, fits = "", 0
        for form in formats:
            if any(_swap(f).startswith(form[:5]) and _swap(f) != f for f in found):
                continue
            n = len(values) - parse(values, form).null_count()
            if n > fits:
                best, fits = form, n
            if n == len(values):
                break
        if not best:
            break
        found.append(best)
        values = values.filter(parse(values, best).is_null())
    return found
