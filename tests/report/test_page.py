"""The page: complete, well formed, harmless and the same every time, whatever the run was like."""

from __future__ import annotations

import copy
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from popnet.errors import InputError
from popnet.report import page, view
from popnet.report.page import render, write

VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = "<script>alert('x')</script>\"'&<b>\x00\ud800 {{ 7*7 }} \u202e"
SECTIONS = ["result", "test", "ensemble", "members", "curves", "recipes", "data", "making"]


class Checker(HTMLParser):
    """Balanced tags, unique ids, no doubled attributes; collects tags and text."""

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
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    def _note(self, tag, attrs):
        assert len({k for k, _ in attrs}) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        self.ids += [v for k, v in attrs if k == "id"]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))


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
    text = render(case(make_facts))
    checked = Checker(text)
    assert [i for i in checked.ids if i in SECTIONS] == SECTIONS
    assert not re.search(r"\b(nan|None|inf|undefined|Undefined)\b", checked.text)
    assert len(text) < 1_500_000


def test_the_page_is_the_same_every_time_and_leaves_the_facts_alone(make_facts):
    facts = make_facts()
    before = copy.deepcopy(facts)
    assert render(facts) == render(json.loads(json.dumps(facts)))
    assert facts == before


def test_the_headline_in_plain_words(make_facts):
    text = Checker(render(make_facts())).text
    assert "0.872" in text
    assert "interval 0.867 to 0.877" in text
    assert "16,281 rows that no choice saw" in text
    assert "Better than the baselines." in text
    assert "14 % fewer wrong answers" in text


def test_a_score_of_rows_that_were_seen_is_called_optimistic(make_facts):
    text = Checker(render(no_test_part(make_facts))).text
    assert "slightly optimistic" in text
    assert "no choice saw" not in text


@pytest.mark.parametrize(
    ("score", "interval", "verdict"),
    [
        (0.90, [0.88, 0.92], "better"),
        (0.86, [0.84, 0.88], "level"),
        (0.80, [0.78, 0.82], "worse"),
        (0.90, None, "higher"),
        (0.80, None, "not_higher"),
    ],
)
@pytest.mark.parametrize("greater", [True, False])
def test_the_verdict_follows_interval_and_direction(make_facts, score, interval, verdict, greater):
    facts = make_facts() | {"score": score, "interval": interval}
    facts["metric"]["greater_is_better"] = greater
    if not greater:
        facts["score"] = 1 - score
        facts["interval"] = interval and [1 - interval[1], 1 - interval[0]]
        for b in facts["baselines"]:
            b["metrics"]["accuracy"] = 1 - b["metrics"]["accuracy"]
    assert view.headline(facts, view.Scores(facts))["verdict"] == verdict


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [
        ([0.01, 0.002, 0.018], "better"),
        ([0.01, -0.002, 0.022], "level"),
        ([-0.02, -0.03, -0.01], "worse"),
    ],
)
def test_the_verdict_follows_the_difference_on_the_same_rows(make_facts, gain, verdict):
    """Whatever the ensemble's own interval says: it is as wide as the rows are unlike each other."""
    facts = make_facts() | {"score": 0.86, "interval": [0.80, 0.92]}
    for b in facts["baselines"]:
        b["gain"] = gain
    assert view.headline(facts, view.Scores(facts))["verdict"] == verdict
    text = Checker(render(facts)).text
    assert "on the same rows the difference is" in text or verdict == "worse"


def test_recipes_of_the_ensemble_are_always_shown(make_facts, monkeypatch):
    monkeypatch.setattr(view, "RECIPES_SHOWN", 1)
    facts = make_facts()
    board = view.leaderboard(facts, view.Scores(facts))
    weighted = {r["id"] for r in facts["recipes"] if r["weight"] > 0}
    assert weighted <= {row["id"] for row in board["rows"]}
    assert board["hidden"] == len(facts["recipes"]) - len(board["rows"])


def test_unequal_values_are_never_shown_equal(make_facts):
    facts = make_facts()
    facts["metrics"]["roc_auc"] = 0.99871
    for b in facts["baselines"]:
        b["metrics"]["roc_auc"] = 0.99869
    row = next(
        r for r in view.metrics(facts, view.Scores(facts))["rows"] if r["title"] == "ROC AUC"
    )
    assert len({c["text"] for c in row["cells"]}) == 2


def test_parts_of_the_time_make_up_the_whole(make_facts):
    facts = make_facts()
    facts["seconds"] = {"total": 40.0, "reading": 2.0, "compiling": 60.0, "training": 35.0}
    made = view.making(facts)
    assert [p["name"] for p in made["parts"]] == ["reading", "training", "everything else"]
    assert sum(p["width"] for p in made["parts"]) == pytest.approx(100, abs=0.1)
    assert made["compiling"].startswith("1")


def test_a_training_cut_short_by_the_limit_is_said(make_facts):
    facts = make_facts() | {"time_limit": 30.0}
    for m in facts["members"]:
        m["status"], m["best_epoch"] = "finished", m["epochs"]
    scores = view.Scores(facts)
    assert view.learning_curves(facts, scores)["shortened"]
    assert not view.learning_curves(facts | {"time_limit": None}, scores)["shortened"]


def test_folds_by_time_are_told_as_they_are(make_facts):
    facts = make_facts()
    facts["data"]["split"], facts["data"]["folds"] = "time-ordered", 5
    assert "cut by time into 6 blocks" in Checker(render(facts)).text


def test_members_are_ranked_by_the_metrics_direction(make_facts):
    for facts, better in ((make_facts(), max), (make_facts(task="regression"), min)):
        known = [m["score"] for m in facts["members"] if m["score"] is not None]
        ranked = view.Scores(facts).best_first(facts["members"])
        assert ranked[0]["score"] == better(known)
        assert ranked[-1]["score"] is None


def test_only_fields_that_vary_have_a_column(make_facts):
    facts = make_facts()
    varying = view.varying_fields(facts["recipes"])
    assert "learning_rate" in varying
    assert "epochs" not in varying
    board = view.leaderboard(facts, view.Scores(facts))
    assert {f for f, _ in board["fixed"]} == set(facts["recipes"][0]["recipe"]) - set(varying)


def test_the_best_recipe_can_be_used_again(make_facts):
    import tomllib

    from popnet.recipe import Recipe

    facts = make_facts()
    best = view.Scores(facts).best_first(facts["recipes"])[0]
    text = view.recipes(facts, view.Scores(facts))["toml"]
    assert Recipe(**tomllib.loads(text)).model_dump() == best["recipe"]


def test_learning_curves_are_of_different_recipes_and_thin(make_facts):
    facts = make_facts()
    for m in facts["members"]:
        m["curves"] = {"loss": [1 / (i + 1) for i in range(5000)], "valid_loss": [0.5] * 5000}
        m.update(epochs=5000, best_epoch=777)
    found = view.learning_curves(facts, view.Scores(facts))
    assert found is not None
    assert len({p["name"] for p in found["panels"]}) == view.PANELS
    assert all(len(p["loss"][0].split()) <= 120 for p in found["panels"])


def test_diverged_members_are_named(make_facts):
    facts = make_facts()
    text = Checker(render(facts)).text
    lost = [m for m in facts["members"] if m["status"] == "diverged"]
    assert lost
    assert all(f"member {m['id']} (" in text for m in lost)


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
    for m in facts["members"]:
        m["status"] = HOSTILE
    text = render(facts)
    text.encode()
    checked = Checker(text)
    assert sum(tag == "script" for tag, _ in checked.tags) == 1
    assert all(tag not in ("b", "img") or not attrs.get("onerror") for tag, attrs in checked.tags)
    assert "alert('x')" in checked.text
    assert "49" not in re.findall(r"\{\{ (.*?) \}\}", checked.text)
    assert "{{ 7*7 }}" in checked.text
    assert "\x00" not in text


def test_nothing_is_fetched(make_facts):
    text = render(make_facts(task="regression"))
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
    checked = Checker(render(make_facts()))
    for tag, attrs in checked.tags:
        if tag == "svg":
            assert attrs.get("aria-hidden") == "true" or attrs.get("aria-label")


def test_a_thousand_members_make_a_small_page(make_facts):
    facts = make_facts(recipes=250, columns=300)
    text = render(facts)
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
    style = page._source("page.css")
    block = style.split("}")[0] if scheme == 0 else style.split("dark) {")[1].split("}")[0]
    named = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
    for text in ("ink", "quiet", "accent", "warm"):
        assert _contrast(named[text], named["ground"]) >= 4.5
    assert _contrast(named["ink"], named["panel"]) >= 4.5
    for mark in ("accent", "warm", "dim"):
        assert _contrast(named[mark], named["ground"]) >= 3


def test_a_report_is_written_whole_or_not_at_all(make_facts, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    write(make_facts(), path)
    first = path.read_text(encoding="utf-8")
    assert first == render(make_facts())

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match=r"report\.html cannot be written: No space left"):
        write(make_facts(recipes=2), path)
    assert path.read_text(encoding="utf-8") == first
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_missing_folder_is_one_sentence(make_facts, tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write(make_facts(), tmp_path / "absent" / "report.html")
