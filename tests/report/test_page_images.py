"""The page of a fit of images: which transformations keep the class, and settings that say something."""

from __future__ import annotations

import json
import math
import re
import tomllib
from dataclasses import asdict

import numpy as np
import pytest
from test_page import HOSTILE, SECTIONS, Checker, page, ranked_recipes, shown  # pyright: ignore[reportMissingImports]

from popnet.augment.strengths import ALL
from popnet.report.fit_page import augmentation, board, fields, recipes
from popnet.report.fit_page.facts import from_json
from popnet.spec.recipe import GEOMETRY, Recipe


def usual(make):
    return make()


def no_twins(make):
    return make() | {"augmentation": None}


def without_the_key(make):
    facts = make()
    del facts["augmentation"]
    return facts


def regression(make):
    facts = make(task="regression")
    facts["augmentation"]["error"] = 0.31
    for t in facts["augmentation"]["transformations"]:
        t["confused"] = []
    return facts


def no_numbers(make):
    facts = make()
    for t in facts["augmentation"]["transformations"]:
        t.update(gain=math.nan, low=None, high=None, verdict="not decided")
    facts["augmentation"]["error"] = math.nan
    return facts


def one_transformation(make):
    facts = make()
    del facts["augmentation"]["transformations"][1:]
    return facts


def all_equal(make):
    facts = make()
    for t in facts["augmentation"]["transformations"]:
        t.update(gain=0.0, low=0.0, high=0.0, verdict="not decided")
    return facts


def no_nets(make):
    return make(recipes=0) | {"score": None, "interval": None, "metrics": {}, "ensemble": None}


CASES = [
    usual, no_twins, without_the_key, regression, no_numbers, one_transformation,
    all_equal, no_nets,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.__name__)
def test_every_case_gives_a_whole_page(make_image_facts, case):
    text = page(case(make_image_facts))
    checked = Checker(text)
    hidden = {"augmentation"} if case in (no_twins, without_the_key) else set()
    hidden |= {"ensemble"} if case is no_nets else set()
    hidden |= {"calibration", "slices"}  # nothing is known of them
    assert [i for i in checked.ids if i in SECTIONS] == [i for i in SECTIONS if i not in hidden]
    links = {a.get("href") for t, a in checked.tags if t == "a"}
    assert ("#augmentation" in links) == ("augmentation" in checked.ids)
    assert ("Which transformations of images help" in checked.text) == (
        "augmentation" in checked.ids
    )
    assert not re.search(r"\b(nan|None|inf|undefined|Undefined)\b", checked.text)
    facts = case(make_image_facts)
    assert page(json.loads(json.dumps(facts))) == text


def cells(checked: Checker) -> dict[str, str]:
    """Return the text of each row of transformations, found in the page's text by itself."""
    text = checked.text.split("verdictused")[1].split("Right of the dashed")[0]
    names = [
        "shifts up to 8 % of the side", "turns up to 12 degrees", "nonlinear morphing",
        "brightness changed up to 30 %", "left and right exchanged", "half turns",
    ]  # fmt: skip
    places = [text.index(n) for n in names]
    assert places == sorted(places)
    return {n: text[a:b] for n, a, b in zip(names, places, [*places[1:], len(text)], strict=True)}


def test_each_transformation_is_told_in_words_and_numbers(make_image_facts):
    checked = Checker(page(make_image_facts()))
    rows = cells(checked)
    assert "+2.10+1.50 to +2.70 helps yes" in rows["shifts up to 8 % of the side"]
    assert "−0.10−0.50 to +0.30 not decided no" in rows["brightness changed up to 30 %"]
    assert (
        "−15.50−17.00 to −14.00 harms6 taken for 9, 14 more; 9 taken for 6, 11 more no"
        in (rows["half turns"])
    )
    assert "taken for" not in rows["nonlinear morphing"]  # chance, where nothing is measurable
    assert "yes" in rows["nonlinear morphing"]
    assert "Of 6 transformations of the images 2 help; 2 harm (left and right" in checked.text
    assert "The nets are trained with 3 of them." in checked.text
    assert "trained on 3,000 images, once without any transformation" in checked.text
    assert "on 2,000 images that were not transformed" in checked.text
    assert "without any transformation it is 4.3 %." in checked.text
    assert "this was repeated 4 times" in checked.text


def test_the_picture_shows_the_numbers(make_image_facts):
    found = augmentation.show(from_json(make_image_facts()))
    assert found is not None
    axis = found.axis
    value = lambda place: axis.low + place / 100 * (axis.high - axis.low)  # noqa: E731
    rows = {r.name: r for r in found.rows}
    shift = rows["shifts up to 8 % of the side"]
    for key, points in (("at", 2.1), ("low", 1.5), ("high", 2.7)):
        assert value(getattr(shift, key)) == pytest.approx(points, abs=0.01)
    assert value(found.zero) == pytest.approx(0, abs=0.01)
    assert axis.high < 5  # one great harm does not hide the others: it stands at the edge
    assert rows["half turns"].at == 0
    assert rows["half turns"].beyond == -1
    assert sum(r.beyond != 0 for r in found.rows) == 1
    assert all(0 <= v <= 100 for r in found.rows for v in (r.at, r.low, r.high))


def test_what_the_nets_use_is_what_their_recipes_say(make_image_facts):
    facts = make_image_facts()

    def used() -> set[str]:
        known = from_json(facts)
        assert known.augmentation is not None
        return augmentation.used_names(known, known.augmentation)

    assert used() == {"translation", "rotation", "elastic_alpha"}
    for r in facts["recipes"]:
        r["recipe"] = r["recipe"] | {"rotation": 0.0}  # as with a recipe of the user's
    assert used() == {"translation", "elastic_alpha"}
    facts["recipes"] = []
    assert used() == {"translation", "rotation", "elastic_alpha"}


def test_names_of_classes_stay_names(make_image_facts):
    facts = make_image_facts()
    for t in facts["augmentation"]["transformations"]:
        t.update(words=HOSTILE, verdict="harms")
        t["confused"] = [{"true": HOSTILE, "taken_for": HOSTILE, "more": 7}]
    text = page(facts)
    text.encode()
    checked = Checker(text)
    assert sum(tag == "script" for tag, _ in checked.tags) == 1
    clean = Checker(page(make_image_facts()))
    for name in ("b", "img"):
        assert [t for t, _ in checked.tags].count(name) == [t for t, _ in clean.tags].count(name)
    assert "<script>alert" in checked.text
    assert "\x00" not in text


def test_images_are_called_images(make_image_facts):
    text = Checker(page(make_image_facts())).text
    assert "from images" in text
    assert "16,281 held-out test images" in text
    assert "The test part was the one that the data came with." in text
    for word in (" rows", "columns"):
        assert word not in text.replace("Bold: the best of its row", "")


def test_settings_of_images_are_shown_where_they_say_something(make_image_facts, make_facts):
    facts = make_image_facts()
    found = shown(board, facts)
    names = {f for f, _ in found.fixed} | set(found.columns) | set(found.others)
    assert {"kind", "depth", "width", "stages", "patch", "rotation", "translation"} <= names
    assert {"elastic_alpha", "elastic_sigma", "fill"} <= names
    assert not names & {"reflection", "half_turn", "erasing", "saturation", "cutmix"}  # all 0
    assert not names & {"numeric_embedding", "embedding_size"}
    assert found.columns[:3] == ["learning_rate", "kind", "stages"]
    stages = found.columns.index("stages")
    row = next(r for r in found.rows if r.id == 3)  # the only mlp
    assert row.cells[stages].text == "–"
    facts = make_facts()
    found = shown(board, facts)
    names = {f for f, _ in found.fixed} | set(found.columns) | set(found.others)
    assert names == set(Recipe.model_fields) - set(fields.IMAGES)


def test_no_table_shows_a_setting_of_images(make_facts, make_image_facts):
    facts = make_facts()
    for i, r in enumerate(facts["recipes"]):
        r["recipe"] = r["recipe"] | {"stages": 2 + i % 3, "rotation": float(i)}
    found = shown(board, facts)
    names = {f for f, _ in found.fixed} | set(found.columns) | set(found.others)
    compared = shown(recipes, facts)
    names |= {r.field for r in compared.rows} | set(tomllib.loads(compared.toml))
    assert not names & set(fields.IMAGES)


def test_the_best_recipe_of_images_can_be_used_again(make_image_facts):
    facts = make_image_facts()
    best = ranked_recipes(facts)[0]
    values = tomllib.loads(shown(recipes, facts).toml)
    assert Recipe(**values).model_dump() == best["recipe"]
    assert values["reflection"] == 0  # said, so that a fit does not choose it anew


def test_fields_of_images_are_those_of_the_recipe():
    """The lists stand by themselves, as the page needs no JAX; this holds them to the recipe."""
    assert set(fields.GEOMETRY) == set(GEOMETRY)
    assert set(fields.STRENGTHS) == {*ALL, "cutmix"} - {"input_noise"}  # of tables too
    assert set(fields.IMAGES) | set(fields.TABLES) <= set(Recipe.model_fields)
    default = Recipe()
    assert all(getattr(default, f) == 0 for f in fields.STRENGTHS)
    assert all(fields.idle(f, default.model_dump()) for f in fields.IMAGES if f != "kind")
    assert not fields.idle("fill", {"rotation": 3.0})
    assert not fields.idle("patch", {"kind": "conv", "patch": 1})


def test_a_real_check_is_shown(make_image_facts):
    """What `transformations.check.facts` gives is what the page takes, class numbers and all."""
    from popnet.ablation.transformations.catalogue import transformations
    from popnet.ablation.transformations.check import (
        Check,
        Confusion,
        TransformationEffect,
        facts,
        gain_of,
    )

    tried = transformations((28, 28, 3))
    rng, rows = np.random.default_rng(0), list(np.arange(900).reshape(3, 300))
    found = tuple(
        TransformationEffect(
            t,
            gain_of(list(rng.normal(0.02 * (1 - i / 4), 0.01, (3, 300))), rows),
            "harms" if i > 4 else "helps",
            (Confusion(0, 1, 5),),
        )
        for i, t in enumerate(tried)
    )
    check = Check(found, 0.1, 3, 900, 300, Recipe())
    shown = make_image_facts() | {"augmentation": asdict(facts(check, (6, 9)))}
    checked = Checker(page(json.loads(json.dumps(shown))))
    assert all(t.words in checked.text for t in tried)
    assert "6 taken for 9, 5 more" in checked.text
    assert "14 such intervals about 1 misses by chance" in checked.text
