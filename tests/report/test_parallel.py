"""Parallel coordinates: where the lines run."""

from __future__ import annotations

import json

from test_page import page, read, shown  # pyright: ignore[reportMissingImports]

from popnet.report.fit_page import parallel
from popnet.report.fit_page.parallel import _axis


def places(values):
    axis = _axis("field", values)
    return [axis.place(v) for v in values]


def test_numbers_stand_by_size_and_by_logarithm_where_they_span_a_decade():
    assert places([1.0, 2.0, 3.0, 5.0]) == [100, 75, 50, 0]
    assert places([1e-4, 1e-3, 1e-2, 1e-1]) == [100, 66.67, 33.33, 0]
    assert places([0.0, 1.0, 2.0, 100.0])[:2] == [100, 99]


def test_choices_and_few_numbers_have_a_place_each():
    assert places(["relu", "elu", "relu", "tanh"]) == [50, 100, 50, 0]
    assert places([2, 1, 3]) == [50, 100, 0]
    assert places([None, 1, 2]) == [0, 100, 50]
    assert places([True, False]) == [0, 100]


def test_equal_numbers_do_not_divide_by_nothing():
    assert places([3.0]) == [100]
    axis = parallel._scale("score", 1.0, 1.0, False, ["1", "1"])
    assert axis.place(1.0) == 50


def test_the_best_recipes_are_bold_and_end_at_the_top_of_the_scores(make_facts):
    facts = make_facts()
    facts["importance"] = {"dropout": 0.7, "learning_rate": 0.26, "activation": 0.04}
    _, scores = read(facts)
    found = shown(parallel, facts)
    assert found is not None
    names = [a.name for a in found.axes]
    assert names[:2] == ["dropout", "learning_rate"]  # by what they explain
    assert names[-1] == scores.words.title
    assert [a.at for a in found.axes][0 :: len(names) - 1] == [0, 100]
    assert len(found.lines) == found.shown
    assert {len(line.points.split()) for line in found.lines} == {len(names)}
    # From the worst recipe on, so that the best lie on top.
    ends = [float(line.points.split(",")[-1]) for line in found.lines]
    assert ends == sorted(ends, reverse=True) if scores.greater else ends == sorted(ends)
    assert [line.tone == "best" for line in found.lines].count(True) == found.best
    assert found.lines[-1].tone == "best"
    steps = json.loads(found.axes[-1].ends)
    assert [steps[0], steps[-1]] == [t.text for t in found.axes[-1].ticks]
    assert [(r.field, r.bar) for r in found.importance] == [
        ("dropout", 100.0), ("learning_rate", 37.1),
    ]  # fmt: skip
    assert found.rest == 1
    text = page(facts)
    assert "Parallel coordinates" in text
    assert "1 setting explains less than" in text


def test_few_recipes_have_no_picture(make_facts):
    facts = make_facts()
    facts["recipes"] = facts["recipes"][:3]
    assert shown(parallel, facts) is None
