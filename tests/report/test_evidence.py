"""Sections of what held-out predictions show: thresholds, calibration, errors, groups, cautions and next steps."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from test_page import (  # pyright: ignore[reportMissingImports]
    HOSTILE,
    SECTIONS,
    Checker,
    page,
    read,
)

from popnet.predictions.reliability import coverage, error_bins, reliability
from popnet.predictions.slices import SliceColumn, worse_slices
from popnet.predictions.thresholds import threshold_counts
from popnet.report.fit_page import calibration, cautions, population, slices, steps, thresholds
from popnet.report.fit_page.facts import Evidence, SliceFacts, from_json, to_json
from popnet.report.html import render

ROWS = 900


def of_classes(make, *, wrong=1.0, label="far"):
    """Facts of two classes; probabilities to the power of ``wrong`` are not right."""
    rng = np.random.default_rng(0)
    p = rng.random(ROWS)
    happened = rng.random(ROWS) < p**wrong
    place = rng.integers(0, 3, ROWS)
    lost = ((p > 0.5) != happened) | ((place == 1) & (rng.random(ROWS) < 0.4))
    groups = SliceColumn(label, place, ["a", label, "c"])
    seen = Evidence(
        ROWS,
        threshold_counts(happened, p, [0.5]),
        0.5,
        reliability(happened, p),
        worse=SliceFacts("wrong", worse_slices(lost.astype(float), [groups])),
    )
    return replace(from_json(make()), evidence=seen)


def of_numbers(make):
    rng = np.random.default_rng(1)
    predicted = rng.lognormal(12, 0.5, ROWS)
    true = predicted * rng.lognormal(0, 0.15, ROWS) + np.where(predicted > 2.5e5, 4e4, 0)
    half = 0.1 * predicted
    seen = Evidence(
        ROWS,
        errors=error_bins(true, predicted),
        coverage=[coverage(c, true, predicted - half, predicted + half) for c in (0.5, 0.9)],
        worse=SliceFacts("absolute", worse_slices(np.zeros(ROWS), [SliceColumn("x", np.arange(ROWS) % 2, ["0", "1"])])),
    )  # fmt: skip
    return replace(from_json(make(task="regression")), evidence=seen)


@pytest.mark.parametrize("make", [of_classes, of_numbers])
def test_evidence_goes_to_json_and_back_and_makes_a_whole_page(make_facts, make):
    facts = make(make_facts)
    assert from_json(json.loads(json.dumps(to_json(facts)))) == facts
    text = render(facts, "adult.popnet")
    checked = Checker(text)
    assert [i for i in checked.ids if i in SECTIONS] == [i for i in SECTIONS if i != "augmentation"]
    assert not re.search(r"\b(nan|None|inf|undefined)\b", checked.text)
    assert len(text.encode()) < 500_000
    for tag, attrs in checked.tags:
        if tag == "a":
            assert (attrs["href"] or "")[1:] in checked.ids


def test_thresholds_are_drawn_where_they_are(make_facts):
    facts = of_classes(make_facts)
    found = thresholds.show(facts)
    known = facts.evidence.thresholds
    counts = json.loads(found.counts)
    assert counts["thresholds"][counts["chosen"]] == 0.5
    x, y = found.roc.chosen
    i = found.place
    assert x == pytest.approx(100 * known.mistaken[i] / known.negatives, abs=0.01)
    assert y == pytest.approx(100 - 100 * known.found[i] / known.positives, abs=0.01)
    points = [tuple(map(float, p.split(","))) for p in found.roc.lines[0].split()]
    assert points[0] == (100, 0)
    assert points[-1] == (0, 100)
    assert thresholds.show(from_json(make_facts())) is None


def test_what_is_not_kept_is_a_caution(make_facts):
    right, wrong = of_classes(make_facts), of_classes(make_facts, wrong=3.0)
    assert not any(c.anchor == "calibration" for c in cautions.show(*read(to_json(right))))
    said = next(c for c in cautions.show(*read(to_json(wrong))) if c.anchor == "calibration")
    worst = max(wrong.evidence.reliability, key=lambda b: abs(b.predicted - b.happened))
    assert f"{100 * worst.predicted:.0f}\u202f%, it happens in" in said.text
    assert calibration.show(wrong).probabilities.off == sum(
        b.off != 0 for b in wrong.evidence.reliability
    )
    numbers = [c.text for c in cautions.show(*read(to_json(of_numbers(make_facts))))]
    assert any("too low by" in text for text in numbers)
    assert any("they are too narrow" in text for text in numbers)


def test_groups_that_are_worse_are_named_with_their_intervals(make_facts):
    facts = of_classes(make_facts)
    found = slices.show(facts)
    assert [r.label for r in found.rows] == ["far"]
    one = facts.evidence.worse.slices.found[0]
    assert found.rows[0].worse == f"+{100 * one.worse:.1f} points"
    assert found.picture.rows[0].low < found.picture.rows[0].at < found.picture.rows[0].high
    text = Checker(render(facts)).text
    assert "For 1 group of 3 the share of wrong predictions is certainly higher" in text
    assert "The model is worse for one group of rows: far is far." in text
    none = Checker(render(of_numbers(make_facts))).text
    assert "For none of 2 groups is the mean absolute error certainly higher" in none


def test_hostile_names_of_groups_stay_names(make_facts):
    text = render(of_classes(make_facts, label=HOSTILE))
    text.encode()
    checked = Checker(text)
    assert len(checked.all("script")) == 1
    assert all(not any(k.startswith("on") for k in attrs) for _, attrs in checked.tags)
    assert "alert('x')" in checked.text


def test_doubts_and_few_rows_are_cautions(make_facts):
    facts = make_facts()
    facts["data"] |= {"doubts": ["'boat' gives the target away."], "test_rows": 40}
    facts["target"]["class_counts"] = [37_155, 12]
    said = cautions.show(*read(facts))
    assert [c.anchor for c in said] == ["data", "test", "data"]
    assert said[0].text == "'boat' gives the target away."
    assert "40 test rows" in said[1].text
    assert "Only 12 rows are of the class >50K" in said[2].text
    assert "What to watch out for" in Checker(page(facts)).text


def test_commands_name_the_data_and_the_model(make_facts):
    facts = from_json(make_facts())
    said = [s.command for s in steps.show(facts, "my model.popnet")]
    assert said[0] == "popnet predict 'my model.popnet' new.csv --out predictions.csv"
    assert "popnet study adult.csv.gz --target income" in said
    assert "popnet export 'my model.popnet' 'my model.onnx'" in said
    assert not steps.show(replace(facts, score=None))
    memory = replace(facts, data=replace(facts.data, source="DataFrame"))
    assert not any("study" in s.command for s in steps.show(memory))


def test_the_populations_curves_have_the_ensemble_on_top(make_facts):
    facts, scores = read(make_facts(recipes=60))
    found = population.show(facts, scores)
    assert len(found.curves) == population.MAX_NETS < found.total
    chosen = [c.chosen for c in found.curves]
    assert chosen == sorted(chosen)
    assert sum(chosen) == found.chosen == sum(m.weight > 0 for m in facts.members)
    assert all(len(p.split()) <= population.POINTS for c in found.curves for p in c.points)
    assert population.show(*read(make_facts(recipes=1, folds=1))) is None
