"""The page: complete, well formed, harmless and the same every time, whatever the run was like."""

from __future__ import annotations

import copy
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from popnet.errors import InputError
from popnet.report import html
from popnet.report.fit_page import (
    board,
    curves,
    ensemble,
    fields,
    headline,
    nets,
    recipes,
    table,
    test_scores,
    timing,
)
from popnet.report.fit_page.facts import FitFacts, from_json, to_json
from popnet.report.fit_page.ranking import recipes_by_score
from popnet.report.fit_page.scores import Scores, dot_chart
from popnet.report.html import render, write_text

VOID = frozenset({"meta", "link", "br", "wbr", "hr", "img", "input"})
HOSTILE = "<script>alert('x')</script>\"'&<b>\x00\ud800 {{ 7*7 }} \u202e"
SECTIONS = [
    "result",
    "data",
    "test",
    "calibration",
    "slices",
    "ensemble",
    "curves",
    "members",
    "recipes",
    "augmentation",
    "making",
]


class Checker(HTMLParser):
    """Balanced tags, unique ids, no doubled attributes; collects tags and text."""

    void = VOID

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []
        assert len(set(self.ids)) == len(self.ids)

    def handle_startendtag(self, tag, attrs):
        self._note(tag, attrs)

    def handle_starttag(self, tag, attrs):
        self._note(tag, attrs)
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"]):
            self.words.append(data)

    def _note(self, tag, attrs):
        assert len({k for k, _ in attrs}) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        self.ids += [v for k, v in attrs if k == "id"]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [a for t, a in self.tags if t == tag and wanted.items() <= a.items()]


def read(raw) -> tuple[FitFacts, Scores]:
    """Return made-up facts as records, and how their scores are compared."""
    facts = from_json(raw)
    return facts, Scores(facts)


def page(raw) -> str:
    """Return the page of made-up facts."""
    return render(from_json(raw))


def shown(section, raw):
    """Return what a section shows of made-up facts."""
    return section.show(*read(raw))


def ranked_recipes(raw):
    """Return made-up facts of recipes, best first."""
    _, scores = read(raw)
    return scores.best_first(raw["recipes"], lambda r: r["score"])


def one_member(make):
    return make(recipes=1, folds=1)


def no_members(make):
    facts = make(recipes=0)
    return facts | {
        "score": None,
        "interval": None,
        "metrics": {},
        "ensemble": None,
        "confusion": None,
    }


def all_diverged(make):
    facts = make(recipes=3)
    for m in facts["members"]:
        m.update(score=math.nan, status="diverged", weight=0.0, best_epoch=0)
        m["curves"] = {k: [None] * 3 for k in m["curves"]}
    for r in facts["recipes"]:
        r.update(score=None, weight=0.0)
    return facts | {"score": math.nan, "interval": [math.nan] * 2, "metrics": {}, "ensemble": {}}


def linear_model_kept(make):
    facts = all_diverged(make)
    return facts | {"score": 0.8513, "interval": [0.846, 0.857]}


def no_test_part(make):
    facts = make()
    facts["data"]["test_rows"] = 0
    return facts | {"scored_on": "on out-of-fold predictions of 900 rows: slightly optimistic"}


def many_classes(make):
    return make(task="multiclass", classes=100)


def some_classes(make):
    return make(task="multiclass", classes=30)


def regression(make):
    return make(task="regression")


def two_targets(make):
    facts = make(task="regression")
    facts["target"]["names"] = ["price", "rent"]
    for key in ("true", "predicted"):
        facts["predictions"][key] = [[v, v / 200] for v in facts["predictions"][key]]
    facts["predictions"]["true"][0] = [None, math.nan]
    return facts


def wide_table(make):
    return make(columns=300)


def very_wide_table(make):
    return make(columns=3000, recipes=1)


def nothing_varies(make):
    facts = make(recipes=3)
    for item in [*facts["members"], *facts["recipes"]]:
        item["recipe"] = facts["recipes"][0]["recipe"]
    return facts


def equal_scores(make):
    facts = make()
    for m in facts["members"]:
        m["score"] = 0.5
    return facts


def one_outlier(make):
    facts = make()
    facts["members"][-1].update(score=-1e9, weight=0.0)
    return facts


def missing_keys(make):
    facts = make()
    for key in ("confusion", "predictions", "warnings"):
        del facts[key]
    del facts["ensemble"]["path"]
    del facts["target"]["class_counts"]
    facts["members"][0]["curves"] = {}
    return facts


def no_baselines(make):
    return make() | {"baselines": []}


def very_long_names(make):
    facts = make()
    facts["title"] = "t" * 5000
    facts["target"]["names"] = ["y" * 5000]
    facts["target"]["classes"] = ["a" * 900, "b" * 900]
    for c in facts["data"]["columns"]:
        c["name"] *= 500
    return facts


CASES = [
    one_member, no_members, all_diverged, linear_model_kept, no_test_part, many_classes, some_classes,
    regression, two_targets, wide_table, very_wide_table, nothing_varies, equal_scores, one_outlier,
    missing_keys, no_baselines, very_long_names,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.__name__)
def test_every_case_gives_a_whole_page(make_facts, case):
    text = page(case(make_facts))
    checked = Checker(text)
    hidden = {"augmentation", "calibration", "slices"}
    if case in (no_members, all_diverged, linear_model_kept):
        hidden.add("ensemble")
    assert [i for i in checked.ids if i in SECTIONS] == [i for i in SECTIONS if i not in hidden]
    assert not re.search(r"\b(nan|None|inf|undefined|Undefined)\b", checked.text)
    assert len(text) < 1_500_000


def test_the_page_is_the_same_every_time_and_leaves_the_facts_alone(make_facts):
    facts = from_json(make_facts())
    before = copy.deepcopy(facts)
    assert render(facts) == render(from_json(json.loads(json.dumps(to_json(facts)))))
    assert facts == before


def test_the_headline_in_plain_words(make_facts):
    text = Checker(page(make_facts())).text
    assert "0.872" in text
    assert "interval 0.867 to 0.877" in text
    assert "16,281 held-out test rows" in text
    assert "A better score than that of the linear model." in text
    assert "14 % fewer wrong predictions" in text


def test_a_score_of_rows_that_were_seen_is_called_optimistic(make_facts):
    text = Checker(page(no_test_part(make_facts))).text
    assert "slightly optimistic" in text
    assert "held-out test" not in text


@pytest.mark.parametrize("greater", [True, False])
@pytest.mark.parametrize(("score", "verdict"), [(0.90, "higher"), (0.80, "not_higher")])
def test_without_an_interval_of_the_difference_nothing_is_claimed(
    make_facts, score, verdict, greater
):
    facts = make_facts() | {"score": score, "interval": [score - 0.001, score + 0.001]}
    facts["metric"]["greater_is_better"] = greater
    if not greater:
        facts |= {"score": 1 - score, "interval": None}
        for b in facts["baselines"]:
            b["metrics"]["accuracy"] = 1 - b["metrics"]["accuracy"]
    assert shown(headline, facts).verdict == verdict
    text = Checker(page(facts)).text
    assert "How sure this difference is was not measured." in text
    assert "Clearly better" not in text


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [
        ([0.01, 0.002, 0.018], "better"),
        ([0.01, -0.002, 0.022], "level"),
        ([-0.02, -0.03, -0.01], "worse"),
        ([0.01, None, math.nan], "higher"),
        (None, "higher"),
    ],
)
def test_the_verdict_follows_the_difference_on_the_same_rows(make_facts, gain, verdict):
    """Whatever the ensemble's own interval says: it is as wide as the rows are unlike each other."""
    facts = make_facts() | {"score": 0.86, "interval": [0.80, 0.92]}
    for b in facts["baselines"]:
        b["gain"] = gain
    assert shown(headline, facts).verdict == verdict
    text = Checker(page(facts)).text
    said = {
        "better": "Clearly better than the linear model, the strongest of the baselines. It reaches 0.85. The ensemble "
        "is better by +0.010, with a 95 % interval from +0.002 to +0.018",
        "level": "No clear difference from the linear model",
        "worse": "Worse than the linear model. It reaches 0.85. The difference on the same rows is −0.020",
        "higher": "How sure this difference is was not measured.",
    }
    assert said[verdict] in text.replace("0.851", "0.85")


def test_recipes_of_the_ensemble_are_always_shown(make_facts, monkeypatch):
    monkeypatch.setattr(board, "SHOWN", 1)
    facts = make_facts()
    found = shown(board, facts)
    weighted = {r["id"] for r in facts["recipes"] if r["weight"] > 0}
    assert weighted <= {row.id for row in found.rows}
    assert found.hidden == len(facts["recipes"]) - len(found.rows) > 0


def test_unequal_values_are_never_shown_equal(make_facts):
    facts = make_facts()
    facts["metrics"]["roc_auc"] = 0.99871
    for b in facts["baselines"]:
        b["metrics"]["roc_auc"] = 0.99869
    row = next(r for r in test_scores.metrics(*read(facts)).rows if r.title == "ROC AUC")
    assert len({c.text for c in row.cells}) == 2


def test_parts_of_the_time_make_up_the_whole(make_facts):
    facts = make_facts()
    facts["seconds"] = {"total": 40.0, "reading": 2.0, "compiling": 60.0, "training": 35.0}
    made = timing.show(from_json(facts))
    assert [p.name for p in made.parts] == ["reading", "training", "everything else"]
    assert sum(p.width for p in made.parts) == pytest.approx(100, abs=0.1)
    assert made.compiling.startswith("1")


def test_a_training_cut_short_by_the_limit_is_said(make_facts):
    facts = make_facts() | {"time_limit": 30.0, "wanted_epochs": 200}
    usable = [m for m in facts["members"] if m["score"] is not None]
    for m in usable:
        m["best_epoch"] = m["epochs"]
    assert (
        "The time limit shortened the training to 100 epochs, of 200" in Checker(page(facts)).text
    )
    assert f"Most nets, {len(usable)} of {len(usable)}, were still improving" in (
        Checker(page(facts)).text
    )
    for m in usable[1:]:
        m["best_epoch"] = m["epochs"] - 1
    assert "a longer limit should help" not in Checker(page(facts)).text
    assert curves.shortened(from_json(facts)) is not None
    assert curves.shortened(from_json(facts | {"time_limit": None})) is None
    assert curves.shortened(from_json(facts | {"wanted_epochs": 100})) is None


@pytest.mark.parametrize(
    ("split", "folds", "said"),
    [
        ("random", 4, "cut into 4 folds. Each recipe trains a net for every fold"),
        ("grouped", 4, "rows of one group are always in the same fold"),
        ("time-ordered", 4, "cut by time into 5 blocks"),
        ("time-ordered", 1, "the latest were kept for validation"),
        ("random", 1, "one part was kept for validation"),
    ],
)
def test_the_split_is_told_as_it_is(make_facts, split, folds, said):
    facts = make_facts(folds=folds)
    facts["data"]["split"] = split
    assert said in table.show(from_json(facts)).folds
    text = Checker(page(facts)).text
    assert said in text
    assert ("all the other folds" in text) == (folds > 1 and split != "time-ordered")


@pytest.mark.parametrize("flat", [True, False])
def test_targets_whose_predictions_are_known_are_drawn(make_facts, flat):
    facts = two_targets(make_facts)
    if flat:
        for key in ("true", "predicted"):
            facts["predictions"][key] = [row[0] for row in facts["predictions"][key]]
    assert [p.name for p in test_scores.scatter(from_json(facts))] == ["price", "rent"][
        : 1 if flat else 2
    ]
    assert ("Only price of the 2 targets is shown." in Checker(page(facts)).text) == flat


def lucky_net(make):
    """One fold of a middling recipe is the best net of all."""
    facts = make()
    middle = ranked_recipes(facts)[12]
    lucky = next(m for m in facts["members"] if m["recipe_id"] == middle["id"] and m["score"])
    lucky["score"] = 0.99
    return facts, middle, ranked_recipes(facts)[0]


def test_recipes_are_ranked_over_all_folds_everywhere(make_facts):
    facts, lucky, best = lucky_net(make_facts)
    assert recipes_by_score(*read(facts))[0].id == best["id"] != lucky["id"]
    name = best["name"] or f"recipe {best['id']}"
    assert shown(nets, facts).best.recipe == name
    assert shown(curves, facts).panels[0].name == name
    found = shown(recipes, facts)
    assert found.heads[0].name == found.best_name == name
    assert "best member" not in page(facts).lower()


def test_recipes_without_all_folds_stand_behind_the_others(make_facts):
    facts, lucky, best = lucky_net(make_facts)
    next(r for r in facts["recipes"] if r["id"] == lucky["id"])["score"] = None
    ranked = recipes_by_score(*read(facts))
    assert ranked[0].id == best["id"]
    rest = [r for r in ranked if r.score is None]
    assert lucky["id"] in [r.id for r in rest]
    assert ranked[-len(rest) :] == rest


def test_curves_are_of_the_fold_of_the_median_score(make_facts):
    facts = make_facts(recipes=2, folds=3)
    for fold, m in enumerate(facts["members"]):
        m.update(status="finished", score=[0.7, 0.9, 0.8][fold % 3])
    assert [p.fold for p in shown(curves, facts).panels] == [2, 2]
    facts = make_facts(recipes=1, folds=3)
    assert [p.fold for p in shown(curves, facts).panels] == [0, 1, 2]


def with_linear(make, share=0.5, score=0.869):
    facts = make()
    for item in [*facts["members"], *facts["recipes"]]:
        item["weight"] *= 1 - share
    return facts | {"linear": {"score": score, "weight": share}}


def test_the_linear_model_in_the_ensemble_is_named_with_its_share(make_facts):
    facts = with_linear(make_facts)
    facts["ensemble"]["best_member"] = 0.869
    checked = Checker(page(facts)).text
    assert "(50 % of the weight) and the linear model (50 % of the weight)" in checked
    assert (
        "against 0.869 for the linear model, the best of the recipes and the linear model"
        in checked
    )
    row = next(r for r in shown(board, facts).rows if r.id == -1)
    assert row.standing.weight == "50\u202f%"
    assert row.standing.score == "0.869"
    assert "nets do better" not in checked
    del facts["linear"]  # older facts: what no net holds is the linear model's
    assert "the linear model (50\u202f% of the weight)" in shown(headline, facts).made_of


def with_trees(make_facts, share=0.25, score=0.864):
    facts = make_facts()
    for m in facts["members"]:
        m["weight"] *= 1 - share
    facts["ensemble"] |= {"trees": share, "nets_alone": 0.868 if share else None}
    facts["baselines"].append(
        {"name": "trees", "metrics": {"accuracy": 0.861}, "gain": [0.01, 0.004, 0.016]}
    )
    return facts | {"trees": {"score": score, "weight": share, "settings": 3}}


def test_boosted_trees_are_named_with_their_share_and_what_nets_reach_without_them(make_facts):
    facts = with_trees(make_facts)
    checked = Checker(page(facts)).text
    assert "(75 % of the weight) and boosted trees (25 % of the weight)" in checked
    assert "Chosen from nets alone, without the trees, it reaches 0.868" in checked
    assert "the best boosted trees alone 0.864" in checked
    assert "Clearly better than boosted trees alone, the strongest of the baselines" in checked
    assert "boosted trees are the best of 3 settings" in checked
    row = next(r for r in shown(board, facts).rows if r.name == "boosted trees")
    assert (row.standing.weight, row.standing.score) == ("25\u202f%", "0.864")


def test_boosted_trees_without_a_share_are_a_baseline_and_a_row_of_the_table(make_facts):
    facts = with_trees(make_facts, share=0.0)
    checked = Checker(page(facts)).text
    assert "% of the weight)" not in checked
    assert "Chosen from nets alone" not in checked
    assert "boosted trees may be chosen as recipes may" in checked
    assert any(r.name == "boosted trees" for r in shown(board, facts).rows)


def test_the_linear_model_stands_among_the_recipes_by_its_score(make_facts):
    facts = with_linear(make_facts, share=0.0, score=0.8660)
    rows = shown(board, facts).rows
    place = next(i for i, r in enumerate(rows) if r.id == -1)
    assert 0 < place < len(rows) - 1
    assert rows[place - 1].standing.sort > 0.8660 > rows[place + 1].standing.sort
    assert "% of the weight)" not in Checker(page(facts)).text


def test_a_linear_model_alone_has_gained_nothing_to_show(make_facts):
    facts = no_members(make_facts) | {
        "score": 0.85,
        "linear": {"score": 0.85, "weight": 1.0},
        "ensemble": {"method": "greedy", "score": 0.85, "best_member": 0.85, "mean_member": 0.85, "on": "x"},
    }  # fmt: skip
    checked = Checker(page(facts))
    assert "ensemble" not in checked.ids
    assert "#ensemble" not in [a.get("href") for _, a in checked.tags]
    assert "What the ensemble gained" not in checked.text
    assert "linear model alone" in checked.text


def test_recipes_are_shown_in_few_columns_and_nothing_is_lost(make_facts):
    facts = make_facts()
    found = shown(board, facts)
    assert len(found.columns) == board.COLUMNS
    assert set(found.columns) | set(found.others) == set(
        board.varying_fields(from_json(facts).recipes)
    )
    assert found.columns[0] == "learning_rate"
    default = next(r for r in facts["recipes"] if r["name"] == "default")["recipe"]
    for row in found.rows:
        recipe = next(r for r in facts["recipes"] if r["id"] == row.id)["recipe"]
        changed = {f for f in found.others if recipe[f] != default[f]}
        assert {f for f, _ in row.others} == changed


def test_metrics_are_written_as_the_headline_and_tell_the_digits(make_facts):
    facts = make_facts(task="regression") | {"score": 5.2468, "interval": [5.0, 5.5]}
    facts["metrics"] = {"rmse": 5.2468, "mae": 3.1234, "r2": 0.99996}
    facts["baselines"][0]["metrics"] = {"rmse": 186.3, "mae": 91.0, "r2": -0.0004}
    facts["baselines"][1]["metrics"] = {"rmse": 25.31, "mae": 20.0, "r2": 0.95}
    rows = {r.title: [c.text for c in r.cells] for r in test_scores.metrics(*read(facts)).rows}
    assert rows["RMSE"] == ["5.25", "25.31", "186.30"]
    assert rows["MAE"][0] == "3.12"
    assert rows["R²"] == ["0.99996", "0.950", "−0.0004"]
    assert shown(headline, facts).score == "5.25"


def test_axes_end_where_the_metric_does(make_facts):
    facts = make_facts()
    chart = dot_chart([("a", 0.999, True), ("b", 0.9, False)], [0.99, 1.0], read(facts)[1])
    assert chart.axis.high == 1.0
    assert max(float(t.text) for t in chart.axis.ticks) <= 1


def test_a_short_path_has_whole_steps_on_its_axis(make_facts):
    facts = make_facts()
    facts["ensemble"]["path"] = [0.86, 0.87]
    found = shown(ensemble, facts)
    assert found is not None
    assert [t.text for t in found.path.x.ticks] == ["1", "2"]


def test_equal_scores_do_not_make_a_thin_line(make_facts):
    found = shown(nets, equal_scores(make_facts))
    for band in found.bands:
        assert len({d.x for d in band.dots}) > 1
        assert band.height <= nets.STRIP_HEIGHT + 2 * nets.DOT_SIZES[0]
    assert found.aside


def test_members_are_ranked_by_the_metrics_direction(make_facts):
    for facts, better in ((make_facts(), max), (make_facts(task="regression"), min)):
        known = [m["score"] for m in facts["members"] if m["score"] is not None]
        ranked = read(facts)[1].best_first(facts["members"], lambda m: m["score"])
        assert ranked[0]["score"] == better(known)
        assert ranked[-1]["score"] is None


def test_only_fields_that_vary_have_a_column(make_facts):
    facts = make_facts()
    varying = board.varying_fields(from_json(facts).recipes)
    assert "learning_rate" in varying
    assert "epochs" not in varying
    found = shown(board, facts)
    rest = set(facts["recipes"][0]["recipe"]) - set(varying)
    assert {f for f, _ in found.fixed} == rest - set(fields.IMAGES)


def test_the_best_recipe_can_be_used_again(make_facts):
    import tomllib

    from popnet.spec.recipe import Recipe

    facts = make_facts()
    best = ranked_recipes(facts)[0]
    text = shown(recipes, facts).toml
    assert Recipe(**tomllib.loads(text)).model_dump() == best["recipe"]


def test_learning_curves_are_of_different_recipes_and_thin(make_facts):
    facts = make_facts()
    for m in facts["members"]:
        m["curves"] = {"loss": [1 / (i + 1) for i in range(5000)], "valid_loss": [0.5] * 5000}
        m.update(epochs=5000, best_epoch=777)
    found = shown(curves, facts)
    assert found is not None
    assert len({p.name for p in found.panels}) == curves.PANELS
    assert all(len(p.loss[0].split()) <= 120 for p in found.panels)


def test_diverged_members_are_named(make_facts):
    facts = make_facts()
    text = Checker(page(facts)).text
    lost = [m for m in facts["members"] if m["status"] == "diverged"]
    assert lost
    assert all(f"net {m['id']} (" in text for m in lost)


def test_hostile_names_stay_names(make_facts):
    def spoil(value):
        if isinstance(value, str):
            return HOSTILE
        if isinstance(value, dict):
            return {k: spoil(v) for k, v in value.items()}
        return [spoil(v) for v in value] if isinstance(value, list) else value

    facts = make_facts()
    facts |= {k: spoil(facts[k]) for k in ("title", "version", "created", "command")}
    facts["warnings"] = [HOSTILE]
    facts["data"] |= {k: spoil(facts["data"][k]) for k in ("source", "notes", "columns")}
    facts["target"] |= {k: spoil(facts["target"][k]) for k in ("names", "classes")}
    facts["ensemble"]["on"] = HOSTILE
    for r in facts["recipes"]:
        r["name"] = HOSTILE
        r["recipe"] = {HOSTILE + k: HOSTILE for k in r["recipe"]} | {"width": r["id"]}
    known = from_json(facts)
    text = render(replace(known, members=[replace(m, status=HOSTILE) for m in known.members]))
    text.encode()
    checked = Checker(text)
    assert sum(tag == "script" for tag, _ in checked.tags) == 1
    assert all(tag not in ("b", "img") or not attrs.get("onerror") for tag, attrs in checked.tags)
    assert "alert('x')" in checked.text
    assert "49" not in re.findall(r"\{\{ (.*?) \}\}", checked.text)
    assert "{{ 7*7 }}" in checked.text
    assert "\x00" not in text


def test_nothing_is_fetched(make_facts):
    text = page(make_facts(task="regression"))
    checked = Checker(text)
    for tag, attrs in checked.tags:
        assert tag not in ("img", "iframe", "object", "embed", "base", "form")
        assert "src" not in attrs
        href = attrs.get("href") or "#"
        assert href == "data:," or href[1:] in SECTIONS or href == "#"
        assert not any(k.startswith("on") for k in attrs)
    assert not re.search(r"https?:|@import|url\(", text)
    policy = next(a["content"] for t, a in checked.tags if t == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_pictures_are_named_for_screen_readers(make_facts):
    checked = Checker(page(make_facts()))
    for tag, attrs in checked.tags:
        if tag == "svg":
            assert attrs.get("aria-hidden") == "true" or attrs.get("aria-label")


def test_a_thousand_members_make_a_small_page(make_facts):
    facts = make_facts(recipes=250, columns=300)
    text = page(facts)
    assert len(facts["members"]) == 1000
    assert len(text.encode()) < 1_500_000
    Checker(text)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _contrast(a: str, b: str) -> float:
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_read(scheme):
    """Contrasts of WCAG 2.1: text 4.5, marks of pictures 3."""
    style = html._source("page.css")
    block = style.split("}")[0] if scheme == 0 else style.split("dark) {")[1].split("}")[0]
    named = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
    for text in ("ink", "quiet", "accent", "warm"):
        assert _contrast(named[text], named["ground"]) >= 4.5
    assert _contrast(named["ink"], named["panel"]) >= 4.5
    for mark in ("accent", "warm", "dim"):
        assert _contrast(named[mark], named["ground"]) >= 3


def test_a_report_is_written_whole_or_not_at_all(make_facts, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    write_text(page(make_facts()), path)
    first = path.read_text(encoding="utf-8")
    assert first == page(make_facts())

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match=r"report\.html cannot be written: No space left"):
        write_text(page(make_facts(recipes=2)), path)
    assert path.read_text(encoding="utf-8") == first
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_missing_folder_is_one_sentence(make_facts, tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_text(page(make_facts()), tmp_path / "absent" / "report.html")
