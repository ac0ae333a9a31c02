"""Models of images: their graphs say what the models say, with and without views."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from export.models import draw, model_of
from popnet import Recipe
from popnet.cli import app
from popnet.data.images.pictures import Pictures
from popnet.export import run
from popnet.fitting.run import Options, prepare
from popnet.model.folder import write_folder
from popnet.predictions.decisions import Decision

CONV = Recipe(kind="conv", depth=2, width=5, stages=2)
RECIPES = {
    3: [
        CONV.model_copy(update={"norm": "batch", "activation": "relu"}),
        CONV.model_copy(update={"norm": "layer", "activation": "maxout", "norm_position": "after"}),
    ],
    1: [
        CONV.model_copy(update={"kind": "residual", "norm": "layer", "activation": "prelu", "patch": 2}),
        CONV.model_copy(update={"kind": "residual", "norm": "batch", "activation": "elu", "norm_position": "after"}),
        Recipe(depth=1, width=6, heads=2, input_scale=2.0, norm="none"),
    ],
}  # fmt: skip
"""By the images' channels."""

GEOMETRIES = [
    {},
    {"reflection": 0.5},
    {"translation": 0.2, "fill": "constant"},
    {"rotation": 20.0, "reflection": 0.5, "fill": "reflect", "elastic_alpha": 3.0, "elastic_sigma": 2.0},
    {"zoomed_crop": 0.4, "shear": 10.0, "vertical_reflection": 0.5, "fill": "edge"},
]  # fmt: skip


def images(channels: int = 1, height: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Digits of 8 x 8 pixels within ``height`` x 10, as bytes, the channels in other brightness."""
    x, y = load_digits(n_class=4, return_X_y=True)
    grey = np.zeros((120, height, 10, 1), np.uint8)
    grey[:, :8, 1:9, 0] = x[:120].reshape(-1, 8, 8) * 15
    return np.concatenate([grey // (c + 1) for c in range(channels)], -1), y[:120]


@pytest.fixture(scope="module")
def tables():
    """Images of one and of three channels."""
    found = {}
    for channels in (1, 3):
        x, y = images(channels)
        found[channels] = prepare(Pictures(x, y.tolist()), None, Options())
    return found


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Images go through a graph a few at a time."""
    monkeypatch.setattr("popnet.export.session.PIXELS", 1000)


def pixels(table) -> np.ndarray:
    size = table.encoder.image.size
    return images(size[2], size[0])[0][::3]


def assert_same(model, given: np.ndarray) -> None:
    data, record = run.as_bytes(model)
    found = run.run(run.session(data, 1), {"image": given}, record["outputs"])
    scores = model.scores(model.encoder.image.images(given))
    assert np.ptp(scores, 0).max() > 0.01
    np.testing.assert_allclose(found["probabilities"], scores, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found["label"], model.predict(given))


@pytest.mark.parametrize("channels", [1, 3])
def test_nets_of_every_kind(tables, channels):
    model = model_of(tables[channels], RECIPES[channels])
    assert_same(model, pixels(tables[channels]))


def test_views(tables):
    """Each net sees an image as its own recipe turns it."""
    conv = Recipe(kind="conv", depth=1, width=4)
    recipes = [conv.model_copy(update=own) for own in GEOMETRIES]
    given = pixels(tables[1])
    for i, recipe in enumerate(recipes):  # by itself, as a mean hides what one does
        model = model_of(tables[1], [recipe])
        one, many = (m.scores(m.encoder.image.images(given)) for m in (model, model.with_views(4)))
        assert (np.abs(one - many).max() > 1e-3) == (i > 0)
        assert_same(model.with_views(4), given)
    dense = RECIPES[1][-1].model_copy(update=GEOMETRIES[3])
    assert_same(model_of(tables[1], [*recipes, dense], views=3), given)


def test_votes_temperatures_and_decisions(tables):
    model = model_of(tables[3], RECIPES[3], weights=[3, 1, 0, 2.5])
    decision = Decision((1, 9, 2, 1), (0.1, 0, 0.3, 0))
    assert_same(replace(model, temperature=2.5, decision=decision), pixels(tables[3]))
    assert_same(replace(model, method="vote"), pixels(tables[3]))


def test_the_command_compares_a_folder_of_images(tables, tmp_path, capsys, monkeypatch):
    """The check reads the files as the model does; a graph of other weights is found out."""
    model = model_of(tables[3], RECIPES[3][:1], views=2)
    write_folder(tmp_path / "m", model, {})
    for i, image in enumerate(pixels(tables[3])[:5]):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(image).resize((30, 20)).save(tmp_path / "photos" / f"{i}.png")
    words = ["popnet", "export", str(tmp_path / "m"), str(tmp_path / "m.onnx"), "--check"]
    monkeypatch.setattr(app.sys, "argv", [*words, str(tmp_path / "photos"), "--json"])
    with pytest.raises(SystemExit) as end:
        app.main()
    said = json.loads(capsys.readouterr().out)
    assert end.value.code == 0
    assert (said["check"]["rows"], said["check"]["passed"]) == (5, True)
    assert said["inputs"] == {"image": "uint8"}
    proto = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(proto, full_check=True)
    metadata = {p.key: p.value for p in proto.metadata_props}
    form = json.loads(metadata["image"])
    assert (form["height"], form["width"], form["channels"], form["fit"]) == (9, 10, 3, "pad")
    other = replace(model, nets=tuple(draw(n.recipe, tables[3], 9) for n in model.nets))
    pictures = model.encoder.image.read(str(tmp_path / "photos"))
    assert not run.check(other, run.export(model, tmp_path / "m.onnx"), pictures).passed
