"""Documents: their geometry against closed forms, and a page that is whole, harmless and the same every time."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from test_page import Checker as PageChecker  # pyright: ignore[reportMissingImports]

from popnet.errors import InputError
from popnet.report import document_view as view
from popnet.report import html
from popnet.report.charts import curves_plot, forest
from popnet.report.charts.log_axis import LogAxis, log_axis, log_texts, log_values
from popnet.report.document import Document, Dot, Dots, Line, Lines, Section, Table
from popnet.report.html import render_document, write_document

HOSTILE = "<script>alert('x')</script>\"'&<b>\x00\ud800 {{ 7*7 }} \u202e</style>-->"
POSITIVE = st.floats(1e-300, 1e300)
ANY = st.floats(allow_nan=True, allow_infinity=True, width=32)


class Checker(PageChecker):
    """A page has no elements without an end but these."""

    void = frozenset({"meta", "link"})


def document(*sections: Section, **changes) -> Document:
    parts = {
        "brand": "popnet study",
        "title": "What helps",
        "lead": ("In short.", "At length."),
        "overview": None,
        "sections": sections,
        "command": "popnet study adult.csv --seed 0",
        "version": "0.1.0",
        "created": "2025-11-20T14:03:22+00:00",
    }
    return Document(**parts | changes)


def rich(text: str = "") -> Document:
    """Return a document with pictures of all kinds; ``text`` stands in all of its places."""
    t = text
    dots = Dots(
        (
            Dot("a" + t, 0.8, 0.3, 1.3, "0.8 more" + t, "good"),
            Dot("b" + t, -0.2, -0.4, 0.1, "nothing" + t),
            Dot("c" + t, 0.1, -0.3, 0.2, "nothing" + t),
            Dot("d" + t, 0.2, -0.2, 0.4, "nothing" + t),
            Dot("e" + t, -400.0, -500.0, 0.3, "far off" + t, "bad"),
            Dot("f" + t, math.nan, None, None, "not run" + t),
        ),
        "points" + t,
    )
    xs = [1, 2, 3, 4]
    lines = Lines(
        (
            Line("one" + t, xs, [1.0, math.nan, 0.5, 0.2]),
            Line("two" + t, xs, [2.0, 1, 0.7, 0.6], [1.5, 0.8, 0, 0.5], [3, 2, 1, 0.7]),
        ),
        "epoch" + t,
        "loss" + t,
        log_y=True,
    )
    table = Table(("what" + t, "n"), (("first" + t, "1,234"), ("second" + t, "–")))
    sections = (
        Section(
            "one", "Does it help?" + t, "helps" + t, "good", ("Yes." + t,), (dots, lines), table
        ),
        Section("two", "And this?" + t, "harms" + t, "bad", pictures=(lines, lines, dots)),
        Section("three", "Unknown" + t),
    )
    overview = Table(("question", "answer"), tuple((s.title, s.badge) for s in sections))
    texts = {k: f"{k}{t}" for k in ("brand", "title", "command", "version", "created")}
    return document(*sections, overview=overview, lead=("So." + t,), **texts)


# Logarithmic axes


def test_a_logarithmic_axis_gives_each_decade_the_same_width():
    axis = LogAxis(1, 1000)
    assert [axis.at(v) for v in (1, 10, 100, 1000)] == [0, 33.33, 66.67, 100]
    assert axis._replace(upward=True).at(10) == 66.67
    assert axis.at(math.sqrt(1000)) == 50


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        (1, 1000, [1, 10, 100, 1000]),
        (0.9e-6, 1.1e6, [1e-6, 1e-4, 1e-2, 1, 1e2, 1e4, 1e6]),
        (3, 120, [5, 10, 20, 50, 100]),
        (0.9, 60, [1, 2, 5, 10, 20, 50]),
        (0.91, 0.97, [0.92, 0.94, 0.96]),
        (2.2, 4.4, [2.5, 3.0, 3.5, 4.0]),
    ],
)
def test_ticks_are_powers_of_ten_or_one_two_five_or_round(low, high, values):
    assert log_values(low, high) == pytest.approx(values)


def test_texts_of_ticks_are_plain_or_powers():
    assert log_texts([0.001, 0.01, 0.1]) == ["0.001", "0.01", "0.1"]
    assert log_texts([500, 1000, 2000]) == ["500", "1,000", "2,000"]
    assert log_texts([1e-6, 1e-3, 1]) == ["10⁻⁶", "10⁻³", "10⁰"]
    assert log_texts([1e7, 2e7, 5e7]) == ["10⁷", "2·10⁷", "5·10⁷"]
    assert log_texts([0.92, 0.94, 1.0]) == ["0.92", "0.94", "1.00"]
    assert log_texts([]) == []


@given(st.lists(POSITIVE, min_size=1, max_size=20), st.booleans())
def test_a_logarithmic_axis_holds_its_values_and_has_ticks(values, upward):
    axis = log_axis(values, upward=upward)
    assert 0 < axis.low < axis.high < math.inf
    assert all(0 <= axis.at(v) <= 100 for v in values)
    assert all(-0.01 <= t.at <= 100.01 for t in axis.ticks)
    assert 1 <= len(axis.ticks) <= 9
    assert len({t.text for t in axis.ticks}) == len(axis.ticks)


@given(st.floats(-8, 8), st.floats(0, 6), st.floats(0, 1))
def test_places_are_linear_in_the_logarithm(start, decades, share):
    low, high = 10**start, 10 ** (start + decades + 0.01)
    middle = low ** (1 - share) * high**share
    assert LogAxis(low, high).at(middle) == pytest.approx(100 * share, abs=0.011)


@pytest.mark.parametrize("values", [[], [0.0, -3.0, math.nan, None, math.inf]])
def test_a_logarithmic_axis_of_nothing(values):
    axis = log_axis(values)
    assert axis.low < 1 < 10 < axis.high


# Dots


def test_dots_share_an_axis_with_the_line_of_reference():
    found = forest.show(Dots((Dot("a", 1, 0.5, 2, ""), Dot("b", 3, None, None, "")), "gain"))
    a, b = found.rows
    axis = found.axis
    assert (a.at, a.low, a.high) == (axis.at(1), axis.at(0.5), axis.at(2))
    assert (b.at, b.low, b.high) == (axis.at(3), None, None)
    assert found.zero == axis.at(0)
    assert found.zero_text == ""
    assert axis.low < 0 < 3 < axis.high
    assert not found.cut


def test_a_line_of_reference_between_ticks_is_said_in_words():
    dots = (Dot("a", 0.872, 0.867, 0.877, ""), Dot("b", 0.8513, None, None, ""))
    assert forest.show(Dots(dots, "accuracy", 0.8513)).zero_text == "0.8513"
    nothing = forest.show(Dots(dots, "accuracy", None))
    assert nothing.zero is None
    assert nothing.axis.low > 0.8


def test_what_is_far_off_stands_at_the_edge_as_an_arrow():
    near = [Dot("", v / 10, v / 10 - 0.1, v / 10 + 0.1, "") for v in range(8)]
    far = Dot("", 900, 800, 1000, "")
    wide = Dot("", 0.3, -700, 0.5, "")
    open_ended = Dot("", 0.2, 0.1, math.inf, "")
    rows = forest.show(Dots((*near, far, wide, open_ended), "gain")).rows
    assert all(not r.beyond and not r.cut_low and not r.cut_high for r in rows[:8])
    assert (rows[8].at, rows[8].beyond, rows[8].low) == (100, 1, None)
    assert (rows[9].low, rows[9].cut_low, rows[9].cut_high, rows[9].beyond) == (0, True, False, 0)
    assert (rows[10].high, rows[10].cut_high) == (100, True)


def test_a_few_dots_are_drawn_in_full():
    rows = forest.show(Dots(tuple(Dot("", v, None, None, "") for v in (0, 1, 2, 900)), "")).rows
    assert not any(r.beyond for r in rows)


@given(st.lists(st.tuples(ANY, st.none() | ANY, st.none() | ANY), max_size=12), st.none() | ANY)
def test_all_places_of_dots_are_in_the_picture(triples, zero):
    found = forest.show(Dots(tuple(Dot("", v, a, b, "") for v, a, b in triples), "", zero))
    for row, (value, *_) in zip(found.rows, triples, strict=True):
        assert (row.at is None) == math.isnan(value)
        assert (row.low is None) == (row.high is None)
        assert all(0 <= p <= 100 for p in (row.at, row.low, row.high) if p is not None)
        assert row.low is None or row.high is None or row.low <= row.high


# Lines


def test_missing_values_break_a_curve():
    x, y = LogAxis(1, 1000), LogAxis(1, 100, upward=True)
    parts = curves_plot.runs([1, 10, 100, 1000], [1, 10, math.nan, 100], x, y)
    assert parts == [[(0, 100), (33.33, 50)], [(100, 0)]]
    assert curves_plot.runs([0, 10, 100], [1, -1, 0], x, y) == []


def test_curves_are_in_per_cent_of_common_axes():
    found = curves_plot.show(
        Lines((Line("a", [0, 1], [0, 10]), Line("b", [0, 1], [5, 5])), "x", "y")
    )
    a, b = found.curves
    start, end = ([float(v) for v in p.split(",")] for p in a.parts[0].split())
    assert start == [found.x.at(0), found.y.at(0)]
    assert end == [found.x.at(1), found.y.at(10)]
    assert a.marks == [tuple(start), tuple(end)]
    assert {p.split(",")[1] for p in b.parts[0].split()} == {f"{found.y.at(5):g}"}
    assert not found.outside
    assert not found.unplaced


def test_a_band_is_outlined_and_breaks_too():
    x, y = LogAxis(1, 1000), LogAxis(1, 100, upward=True)
    nan = math.nan
    found = curves_plot.band([1, 10, 100, 1000], [1, 0, 1, 1], [10, 10, nan, 100], x, y)
    assert found == ["0,50 33.33,50 33.33,100 0,100"]
    assert curves_plot.band([1, 10], [1, nan], [10, 10], x, y) == []


def test_every_curve_looks_different():
    styles = [curves_plot.style(i) for i in range(curves_plot.COLOURS * curves_plot.DASHES)]
    assert styles[0] == (1, 1, 1)
    assert len({s[:2] for s in styles}) == len(styles)
    style = html._source("page.css")
    assert all(f".series-{c}" in style for c, _, _ in styles)
    assert all(f".dash-{d}" in style for _, d, _ in styles if d > 1)


def test_a_dense_curve_keeps_its_spikes():
    ys = [1.0] * 5000
    ys[1234] = 7.0
    ys[3000:3010] = [math.nan] * 10
    found = curves_plot.show(Lines((Line("", list(range(5000)), ys),), "", ""))
    (curve,) = found.curves
    assert len(curve.parts) == 2
    assert sum(len(p.split()) for p in curve.parts) < 500
    assert f",{found.y.at(7):g} " in curve.parts[0]
    assert 1 < len(curve.marks) <= curves_plot.FEW_MARKS


@given(st.integers(curves_plot.DENSE + 1, 3000), st.integers(0, 2**32 - 1))
def test_thinning_keeps_ends_and_extremes(n, seed):
    places = np.random.default_rng(seed).uniform(0, 100, (n, 2)).round(2).tolist()
    points = sorted((x, y) for x, y in places)
    kept = curves_plot.thinned(points)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert {min(p[1] for p in kept), max(p[1] for p in kept)} == (
        {min(p[1] for p in points), max(p[1] for p in points)}
    )
    assert set(kept) <= set(points)
    assert len(kept) <= 4 * (100 / curves_plot.COLUMN + 1)


def test_a_few_extreme_values_do_not_flatten_the_rest():
    ys = [1 + 0.01 * (i % 10) for i in range(100)]
    found = curves_plot.show(Lines((Line("", list(range(100)), [1e30, *ys[1:]]),), "", ""))
    assert found.y.high < 2
    assert found.outside
    assert all(0 <= y <= 100 for _, y in found.curves[0].marks)


def test_arrays_are_numbers_too():
    xs: Any = np.array([1, 10, 100])
    ys: Any = np.array([1, np.nan, 3], dtype=np.float32)
    lists = curves_plot.show(Lines((Line("", [1, 10, 100], [1, math.nan, 3]),), "", "", log_x=True))
    assert curves_plot.show(Lines((Line("", xs, ys, ys, ys),), "", "", log_x=True)).curves[
        0
    ].parts == (lists.curves[0].parts)


def test_a_curve_of_unequal_lengths_is_refused():
    with pytest.raises(ValueError, match="2 xs, 1 ys"):
        Line("a", [1, 2], [1])
    with pytest.raises(ValueError, match="0 lows and 2 highs"):
        Line("a", [1, 2], [1, 2], [], [1, 2])


@given(st.lists(st.tuples(ANY, ANY, ANY, ANY), max_size=30), st.booleans(), st.booleans())
def test_any_numbers_give_a_picture(points, log_x, log_y):
    columns = list(zip(*points, strict=True)) or [()] * 4
    found = curves_plot.show(Lines((Line("", *columns),), "", "", log_x, log_y))
    for curve in found.curves:
        for text in [*curve.parts, *curve.bands]:
            places = [float(v) for p in text.split() for v in p.split(",")]
            assert all(-1000 <= v <= 1100 for v in places)
            assert len(places) >= 4
        assert all(0 <= v <= 100 for mark in curve.marks for v in mark)


# Tables and anchors


@pytest.mark.parametrize(
    "text",
    [
        "1", "−0.3", "+2.5", "1,234.5", "87 %", "87\u202f%", "1e−6", "6.3e-05", "<0.001", "12.3 s", "3 min 4 s",
        "0.3 to 1.3", "−0.4 to −0.2", "0.1 ± 0.02", "3 of 5", "2.4×", "0.1 (−0.2 to 0.4)", "[0.1, 0.2]", "64 MiB",
        "120 MB/s", ".5",
    ],
)  # fmt: skip
def test_what_is_like_a_number(text):
    assert view.is_numeric([text, "–", ""])


@pytest.mark.parametrize(
    "text",
    ["helps", "2025-11-20", "3 more points", "v1", "0.1.0", "layer 1", "-", "1 " * 5000 + "!"],
)
def test_what_is_not(text):
    assert not view.is_numeric([text])
    assert not view.is_numeric([])


def test_a_table_is_rectangular_and_knows_its_columns():
    found = view.grid(Table(("a", "n"), (("x" * 40, "1"), ("y",), ("z", "2", "more"))))
    assert found.head == ["a", "n", ""]
    assert found.columns == ["prose", "num", ""]
    assert [[c.text for c in row] for row in found.rows] == (
        [["x" * 40, "1", ""], ["y", "", ""], ["z", "2", "more"]]
    )


def test_an_overview_leads_to_sections_and_has_their_tones():
    shown = view.show(rich())
    first = shown.overview.rows[0]
    assert first[0] == view.Cell("Does it help?", "one")
    assert first[1] == view.Cell("helps", "", "good")
    assert shown.parts[0].table.rows[0][0] == view.Cell("first")


@given(st.lists(st.text(max_size=8), max_size=12))
def test_anchors_are_unique_and_safe(keys):
    found = view.anchors(keys)
    assert len(set(found)) == len(keys)
    assert all(re.fullmatch(r"[a-z0-9_.-]+", a) for a in found)
    assert not set(found) & set(view.RESERVED)


def test_good_keys_are_anchors_as_they_are():
    assert view.anchors(["dropout", "batch-norm", "dropout", "Two words", "", "overview"]) == (
        ["dropout", "batch-norm", "dropout-2", "two-words", "section", "overview-2"]
    )


# The page


def test_the_page_says_everything():
    doc = rich()
    checked = Checker(render_document(doc))
    for s in doc.sections:
        assert s.title in checked.text
        assert checked.all("section", id=s.key)
        assert len(checked.all("a", href=f"#{s.key}")) == 3  # contents, overview, heading
    for words in ("popnet study", "In short.", "1,234", "far off", "loss, logarithmic", "Yes."):
        assert words in Checker(render_document(document(*doc.sections))).text
    assert len(checked.all("span", **{"class": "badge good"})) == 3
    assert len(checked.all("td", **{"class": "num"})) == 2


def test_the_command_is_there_in_full():
    command = "popnet study " + "--option value " * 400 + "\\\n  --last  'a  b'"
    raw = render_document(document(command=command))
    (shown,) = re.findall(r'<pre class="command">(.*?)</pre>', raw, re.DOTALL)
    assert "".join(Checker(shown).words) == command


def test_the_same_document_gives_the_same_bytes():
    assert render_document(rich()) == render_document(rich())


def test_hostile_texts_stay_texts():
    text = render_document(rich(HOSTILE))
    text.encode()
    checked = Checker(text)
    assert len(checked.all("script")) == 1
    assert not checked.all("b")
    assert "alert('x')" in checked.text
    assert "{{ 7*7 }}" in checked.text
    assert "\x00" not in text
    assert text.count("</style>") == 1


def test_nothing_is_fetched_and_only_the_pages_own_script_runs():
    text = render_document(rich())
    checked = Checker(text)
    ids = {f"#{i}" for i in checked.ids}
    for tag, attrs in checked.tags:
        assert tag not in ("img", "iframe", "object", "embed", "base", "form")
        assert "src" not in attrs
        assert attrs.get("href", "data:,") in {*ids, "data:,"}
        assert not any(k.startswith("on") for k in attrs)
    assert not re.search(r"https?:|@import|url\(", text)
    policy = checked.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    digest = base64.b64encode(hashlib.sha256(html._source("page.js").encode()).digest()).decode()
    scripts = f"script-src 'sha256-{digest}'"
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; {scripts}; img-src data:"


def test_pictures_are_named_for_screen_readers():
    checked = Checker(render_document(rich()))
    assert checked.all("svg", role="img")
    for attrs in checked.all("svg"):
        assert attrs.get("aria-hidden") == "true" or attrs.get("aria-label")


EMPTY = [
    document(),
    document(lead=(), command="", overview=Table((), ())),
    document(Section("a", "Only a title")),
    document(Section("a", "", pictures=(Dots((), ""), Lines((), "", ""), Lines((), "", "")))),
    document(Section("a", "A", pictures=(Lines((Line("l", [], []),), "x", "y", True, True),))),
    document(Section("a", "A", pictures=(Lines((Line("l", [1], [math.nan]),), "x", "y"),))),
    document(Section("a", "A", pictures=(Dots((Dot("", math.nan, None, None, ""),), "x", None),))),
    document(Section("a", "A", table=Table((), ())), Section("a", "A", table=Table(("n",), ()))),
]


@pytest.mark.parametrize("doc", EMPTY, ids=range(len(EMPTY)))
def test_nothing_to_show_is_no_failure(doc):
    checked = Checker(render_document(doc))
    assert not re.search(r"\b(nan|None|inf|Undefined)\b", checked.text)


@settings(max_examples=20)
@given(st.text(max_size=30), st.floats(width=32), st.floats(width=32))
def test_any_text_and_number_gives_a_whole_page(text, a, b):
    dots = Dots((Dot(text, a, b, a, text), Dot(text, b, None, None, text)), text, a)
    lines = Lines((Line(text, [a, b], [b, a], [a, a], [b, b]),), text, text, log_x=True)
    section = Section(text, text, text, "bad", (text,), (dots, lines), Table((text,), ((text,),)))
    render = render_document(document(section, section, title=text, command=text))
    Checker(render)
    render.encode()


def test_a_document_is_written_whole(tmp_path):
    write_document(rich(), tmp_path / "study.html")
    assert [p.name for p in tmp_path.iterdir()] == ["study.html"]
    assert (tmp_path / "study.html").read_bytes() == render_document(rich()).encode()
    with pytest.raises(InputError, match="cannot be written"):
        write_document(rich(), tmp_path / "none" / "study.html")


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize(("scheme", "ground"), [(0, "#fdfdfc"), (1, "#14171b")])
def test_colours_of_curves_can_be_seen(scheme, ground):
    """Contrast of WCAG 2.1 for marks of pictures: 3."""
    style = html._source("page.css")
    block = style.split("/* documents")[1].split(":root {")[scheme + 1].split("}")[0]
    colours = re.findall(r"--\w+: (#[0-9a-f]{6})", block)
    assert len(colours) == 3
    for colour in colours:
        high, low = sorted((_luminance(colour), _luminance(ground)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 3
