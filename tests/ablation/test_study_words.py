"""What a study says: every change by what it is changed to, results before how they were measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from popnet import Recipe
from popnet.ablation import page, summary
from popnet.ablation.intervals import Interval
from popnet.ablation.results import Effect, Interaction, StudyFacts, StudyResults
from popnet.ablation.verdicts import EffectVerdict, PairPlan
from popnet.ablation.words import Unit, change_of, detectable, sentence, value_of
from popnet.report.html import render_document

LOG_LOSS = Unit.of("classification", "log_loss")
ERROR = Unit.of("classification", "error")
NEAR, WIDE = Interval(0.001, -0.002, 0.004, 0, 0.5), Interval(0.01, -0.01, 0.03, 0, 0.5)
BETTER, WORSE = Interval(0.02, 0.01, 0.03, 0, 1e-4), Interval(-0.02, -0.03, -0.01, 0, 1e-4)
NONE = Interval(0.0, -0.01, 0.01, 0, 1.0)


def effect(
    level: str, verdict: EffectVerdict, gain: Interval = NEAR, base: str = "batch", factor: str = "norm"
) -> Effect:  # fmt: skip
    return Effect(
        factor, base, level, 1.0, gain, gain.p, verdict, 0.2 - gain.mean, 0.2, NONE, NONE, NONE, 1.5, 0, 12,
        np.zeros(12), 5000 if verdict == "not detectable" else 0,
    )  # fmt: skip


def study(*effects: Effect, interactions: list[Interaction] | None = None) -> StudyFacts:
    found = StudyResults(
        Recipe(), "log_loss", 0.01, 12, 12, list(effects), [], interactions or [], {1.0: Interval(0.2, 0.1, 0.3, 0, 0)},
        {1.0: 100}, 20, 2.4, 99, 2,
    )  # fmt: skip
    plan, remarks = PairPlan(12, 0.02, 3000), ("a column is left out",)
    return StudyFacts(found, plan, "data/table.csv", "classification", 150, remarks, 1.0, 0)


SOME = (
    effect("norm layer", "harms", WORSE),
    effect("norm none", "not decided", WIDE),
    effect("mean of 4 nets", "helps", BETTER, "one net", "ensemble"),
    effect("dropout 0.25", "no effect", NEAR, "0.1", "dropout"),
    effect("turns up to 12 degrees", "not detectable", WIDE, "without", "rotation"),
)


def plain(text: str) -> str:
    return text.replace("−", "-")


@pytest.mark.parametrize(
    ("verdict", "gain", "text"),
    [
        (
            "helps",
            BETTER,
            "error rate lower by 2.00 percentage points, 10 % of the baseline's "
            "(95 % interval: lower by 1.00 to 3.00 percentage points)",
        ),
        (
            "harms",
            WORSE,
            "error rate higher by 2.00 percentage points, 10 % of the baseline's "
            "(95 % interval: higher by 1.00 to 3.00 percentage points)",
        ),
        (
            "no effect",
            NEAR,
            "error rate changes by at most 0.40 percentage points "
            "(95 % interval: between 0.40 percentage points lower and 0.20 higher)",
        ),
        ("not decided", WIDE, "error rate between 3.00 percentage points lower and 1.00 higher"),
        (
            "not decided",
            BETTER._replace(p=0.2),
            "error rate lower by 1.00 to 3.00 percentage points, which may be chance among 31 comparisons",
        ),
        (
            "not detectable",
            WIDE,
            "error rate between 3.00 percentage points lower and 1.00 higher; at least 5,000 rows would be needed to "
            "tell",
        ),
    ],
)
def test_an_effect_is_told_with_what_its_interval_shows(verdict, gain, text):
    assert plain(sentence(effect("norm layer", verdict, gain), ERROR, 31)) == text


def test_units_write_errors_as_people_say_them():
    assert ERROR.level(0.0123) == "an error rate of 1.23 %"
    assert ERROR.difference(-0.0123) == "1.23 percentage points"
    assert plain(ERROR.range(Interval(0.01, -0.002, 0.03, 0, 0))) == "-0.20 to +3.00"
    assert LOG_LOSS.level(0.5) == "a log-loss of 0.5000"
    assert Unit.of("regression", "error").difference(0.02) == "2.00 percentage points"


def test_a_change_is_named_by_what_replaces_what():
    assert [change_of(e) for e in SOME] == [
        "norm: layer instead of batch",
        "norm: none instead of batch",
        "ensemble: mean of 4 nets instead of one net",
        "dropout: 0.25 instead of 0.1",
        "rotation: turns up to 12 degrees",
    ]
    assert value_of(effect("norm_position after", "helps", factor="norm_position")) == "after"


def test_pairs_are_told_by_what_they_can_detect():
    told = detectable(PairPlan(12, 0.02, 3000), 0.01, 0.2, LOG_LOSS)
    assert told == (
        "changes of the log-loss above 0.0200 (10 % of the baseline's) can be detected; the smallest that matters is "
        "0.0100, which takes at least 3,000 rows, however many pairs"
    )
    assert "baseline" not in detectable(PairPlan(3, 5.0, 0), 0.01, 0.2, LOG_LOSS)


def test_the_terminal_says_the_results_before_how_they_were_measured():
    lines = summary.told(study(*SOME))
    assert lines[0] == (
        "On data/table.csv (150 rows) the baseline net has a log-loss of 0.2000. Of 5 changes to it, tried one at a "
        "time, 1 helped, 1 harmed, 1 made no difference that matters, 1 is not decided and 1 cannot be decided with so "
        "few rows."
    )
    text = "\n".join(lines)
    assert (
        "Helped:\n  ensemble: mean of 4 nets instead of one net: log-loss lower by 0.0200" in text
    )
    assert "Harmed:\n  norm: layer instead of batch: log-loss higher by 0.0200" in text
    results, measured = text.split("How this was measured:")
    for word in ("Student", "Holm", "pairs of nets for", "A column is left out"):
        assert word in measured
        assert word not in results
    assert "control variates" not in text


def test_what_techniques_do_together_is_told_where_it_is_clear():
    both = Interaction("norm layer", "dropout 0.25", BETTER, 0.01, 0.0)
    chance = Interaction("norm none", "dropout 0.25", WIDE, 0.4, 0.0)
    assert summary.interactions(study(*SOME, interactions=[both, chance])) == (
        "norm layer with dropout 0.25: log-loss lower by 0.0200 than by what each does alone "
        "(95 % interval: lower by 0.0100 to 0.0300)",
    )
    assert "No two changes" in "\n".join(summary.told(study(*SOME, interactions=[chance])))


@pytest.mark.parametrize(
    ("verdicts", "text", "tone"),
    [
        ({"layer": "harms"}, "harms", "bad"),
        ({"layer": "harms", "none": "not decided"}, "layer harms", "bad"),
        ({"a": "helps", "b": "helps", "c": "harms"}, "a and b help; c harms", "neutral"),
        ({"a": "no effect", "b": "no effect"}, "no effect", "neutral"),
        ({"a": "no effect", "b": "not decided"}, "no clear effect", "neutral"),
        ({f"level number {i}": "helps" for i in range(9)}, "of 9 levels 9 help", "good"),
    ],
)
def test_the_badge_of_a_factor_names_the_levels_that_it_is_about(verdicts, text, tone):
    effects = [effect(f"norm {level}", verdict) for level, verdict in verdicts.items()]
    assert page.badge(effects) == (text, tone)


def test_the_page_folds_how_it_was_measured_below_the_results():
    document = page.document(study(*SOME), "popnet study", "1", "now")
    titles = {s.title: s.badge for s in document.sections}
    assert titles["norm (baseline: batch)"] == "layer harms"
    assert titles["ensemble: mean of 4 nets instead of one net"] == "helps"
    html = render_document(document)
    results, measured = html.split('<details id="method">')
    assert "Harmed: norm: layer instead of batch" in results
    for words in ("Student", "control variates", "crossed random effects", "A column is left out"):
        assert words not in results
        assert words in measured.split("</details>")[0]
    assert 'href="#norm"' in html  # the table leads to the factor's section


def test_without_a_second_net_of_the_baseline_no_control_is_told():
    facts = study(*SOME)
    alone = replace(facts, found=replace(facts.found, base_nets=1))
    assert len(summary.method(alone)) == len(summary.method(facts)) - 1


def test_of_what_is_not_decided_the_nearest_to_it_comes_first_and_the_page_names_some():
    many = [effect(f"norm {i}", "not decided", WIDE._replace(p=0.5 - i / 100)) for i in range(12)]
    found = summary.by_verdict(many)["not decided"]
    assert [value_of(e) for e in found[:2]] == ["11", "10"]
    lead = page.document(study(*many), "popnet study", "1", "now").lead[1]
    assert lead.startswith("Not decided (more pairs may tell")
    assert "): norm: 11 instead of batch; norm: 10 instead" in lead
    assert lead.endswith("norm: 4 instead of batch; and 4 more, see the overview.")
