"""Images through the command line: from a folder to a model, its predictions, its page; and what is refused."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from popnet import Model
from popnet.ablation.transformations import catalogue, check

RECIPE = 'kind = "conv"\ndepth = 1\nwidth = 6\nstages = 2\nbatch_size = 16\nepochs = 40\nlearning_rate = 0.01\n'
CHEAP = ["--recipe", "recipe.toml", "--folds", "2", "--members", "2", "--augment", "none"]
NAMES = ["zero", "one", "two"]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Three classes of digits in folders, a recipe, and one file that is no image."""
    place = tmp_path_factory.mktemp("images")
    x, y = load_digits(n_class=3, return_X_y=True)
    for i in range(240):
        folder = place / "digits" / NAMES[y[i]]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((x[i] * 15.9).astype(np.uint8).reshape(8, 8)).save(folder / f"{i:03}.png")
    (place / "digits" / "one" / "broken.png").write_text("not an image")
    (place / "recipe.toml").write_text(RECIPE)
    return place


@pytest.fixture(scope="module")
def model(place) -> Path:
    from popnet.fitting.run import fit
    from popnet.options import Options
    from popnet.report.folder import write_all
    from popnet.spec.recipe import Recipe

    recipe = Recipe.load(place / "recipe.toml")
    options = Options(recipe=recipe, folds=2, members=2, augment="none", tta=2)
    fitted = fit(str(place / "digits"), None, options)
    write_all(place / "model", fitted.model, fitted.facts)
    return place / "model"


@pytest.fixture(autouse=True)
def _inside(place, monkeypatch):
    monkeypatch.chdir(place)


def test_fit_of_a_folder(run, tmp_path):
    out, _ = run("fit", "digits", "-o", tmp_path / "m", *CHEAP, "--json")
    facts = json.loads(out)
    assert facts["score"] > 0.9
    assert facts["score"] > facts["baselines"]["constant"]["accuracy"]
    assert any("broken.png" in note for note in facts["notes"])
    page = (tmp_path / "m" / "report.html").read_text()
    assert "240 images" in page
    loaded = Model.load(tmp_path / "m")
    assert loaded.classes == ("one", "two", "zero")
    assert loaded.encoder.image is not None
    assert loaded.encoder.image.size == (8, 8, 1)


def test_predictions_of_other_sizes_and_modes(run, model, tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()
    with Image.open("digits/two/002.png") as file:
        original = file.copy()
    original.save(folder / "a.png")
    original.resize((32, 32), Image.Resampling.NEAREST).convert("RGB").save(folder / "b.png")
    original.convert("RGBA").save(folder / "c.png")
    original.resize((16, 8), Image.Resampling.NEAREST).save(folder / "d.bmp")
    (folder / "e.png").write_bytes(b"")
    out, err = run("predict", model, folder, "--proba")
    table = pl.read_csv(io.StringIO(out))
    assert table["image"].to_list() == ["a.png", "b.png", "c.png", "d.bmp"]
    assert table.columns == [
        "image",
        "class",
        *(f"probability_{c}" for c in ("one", "two", "zero")),
    ]
    assert table["class"].to_list()[:3] == ["two"] * 3
    assert "e.png" in err
    a, b = (table.select(pl.col("^probability_.*$")).row(i) for i in (0, 2))
    np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_allclose(np.sum(table.select(pl.col("^probability_.*$")).to_numpy(), 1), 1)
    run("predict", model, folder, "--strict", fails=2)
    one, _ = run("predict", model, folder / "a.png", "--tta", 1, "-q")
    assert pl.read_csv(io.StringIO(one))["class"].to_list() == ["two"]


def test_evaluation_is_that_of_the_predictions(run, model):
    out, _ = run("evaluate", model, "digits", "--json")
    found = json.loads(out)
    assert found["rows"] == 240
    predictions, _ = run("predict", model, "digits", "-q")
    table = pl.read_csv(io.StringIO(predictions))
    right = [
        name.split("/")[0] == c for name, c in zip(table["image"], table["class"], strict=True)
    ]
    assert found["metrics"]["accuracy"] == pytest.approx(np.mean(right))


def test_views_are_saved_with_the_model(model):
    loaded = Model.load(model)
    assert loaded.views == 2
    assert loaded.with_views(None).views == 2
    assert loaded.with_views(5).views == 5


def test_a_model_of_images_takes_no_table(run, model, tmp_path):
    pl.DataFrame({"a": [1, 2]}).write_csv(tmp_path / "t.csv")
    _, err = run("predict", model, tmp_path / "t.csv", fails=2)
    assert "image" in err
    assert "Traceback" not in err
    _, err = run("predict", model, "digits", "--interval", 0.9, fails=2)
    assert (
        err == "popnet: Intervals and quantiles are for regression; this model predicts classes.\n"
    )


def test_augment_draws_a_sheet_and_trains_twins(run, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "STEPS", 40)
    tried = catalogue.transformations((8, 8, 1))
    some = [t for t in tried if t.name in ("translation", "half_turn")]
    monkeypatch.setattr(check, "transformations", lambda image: some)
    out, _ = run(
        "augment", "digits", "--out", tmp_path / "s.png", "--check", "--pairs", 2, "--json"
    )
    found = json.loads(out)
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.format == "PNG"
    assert [t["name"] for t in found["check"]["transformations"]] == ["translation", "half_turn"]
    for t in found["check"]["transformations"]:
        assert t["low"] <= t["gain"] <= t["high"]
    text, _ = run("augment", "digits", "--check", "--pairs", 2)
    assert "half turns" in text
    assert text.count("\n") >= 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit", "digits/one"], "subfolder"),
        (["fit", "digits/one/001.png"], "one image"),
        (["fit", "nothing"], "nothing"),
        (["fit", "digits", "--image-size", "big"], "--image-size 'big' is no size"),
        (["fit", "digits", "--image-size", "0"], "image size"),
        (["fit", "digits", "--strict"], "broken.png"),
        (["fit", "digits", "--group", "a"], "group is for the columns of a table"),
        (["fit", "digits", "--tta", "0"], "tta must be at least 1"),
        (["fit", "digits", "--recipe", "deep.toml"], "use fewer stages"),
        (["augment", "digits"], "--out FILE.png"),
        (["augment", "digits", "--out", "a.jpg"], "must end in .png"),
        (["augment", "table.csv", "--check"], "image"),
    ],
)
def test_mistakes_are_one_sentence(run, place, words, message):
    (place / "deep.toml").write_text('kind = "conv"\nstages = 7\n')
    (place / "table.csv").write_text("a,b\n1,2\n3,4\n")
    before = sorted(p.name for p in place.iterdir())
    _, err = run(*words, *(["--augment", "none"] if words[0] == "fit" else []), fails=2)
    assert message in err
    assert err.count("\n") == 1
    assert sorted(p.name for p in place.iterdir()) == before


def test_the_report_shows_images_that_are_wrong_and_those_it_is_surest_of(model):
    page = (model / "report.html").read_text(encoding="utf-8")
    facts = json.loads((model / "model.json").read_text(encoding="utf-8"))["facts"]
    wrong = facts["scored_rows"] - sum(row[i] for i, row in enumerate(facts["confusion"]))
    shelf = page[page.index('<section id="images">') :]
    shelf = shelf[: shelf.index("</section>")]
    assert len(re.findall(r'alt="[^"]* that is taken for', shelf)) == min(wrong, 12)
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', shelf)
    right = facts["scored_rows"] - wrong
    assert len(pictures) == min(wrong, 12) + min(right, 12)
    for text in pictures:
        with Image.open(io.BytesIO(base64.b64decode(text))) as image:
            assert image.size == (8, 8)
