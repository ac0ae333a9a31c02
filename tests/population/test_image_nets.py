"""Populations of nets of images: members alone and together, on either path, with every way of augmentation."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from sklearn.datasets import load_digits

from popnet import Dataset, Recipe, train_population
from popnet.data.dataset import Images
from popnet.nn import net as nets
from popnet.nn.inputs import Pixels
from popnet.population import augmented, program
from popnet.population.predict import Net, predict
from popnet.predictions.ensemble import softmax
from popnet.spec.shape import Form, Numbers

BASE = Recipe(
    kind="conv", depth=1, width=4, stages=2, batch_size=32, epochs=2, dropout=0.1, learning_rate=5e-3
)  # fmt: skip
NUMBERS = [
    BASE,
    BASE.replace(rotation=15, translation=0.1, elastic_alpha=2, elastic_sigma=1.5, fill="reflect"),
    BASE.replace(brightness=0.3, erasing=0.4, input_noise=0.1, reflection=0.5),
    BASE.replace(mixup=0.3, cutmix=1.0, label_smoothing=0.1, optimizer="sgd", ema=0.9),
]
SHAPES = [
    BASE.replace(kind="residual", depth=2, norm="layer"),
    BASE.replace(kind="mlp", width=8),
    BASE.replace(optimizer="muon", learning_rate=0.02),
]


@pytest.fixture(scope="module")
def digits() -> Dataset:
    x, y = load_digits(return_X_y=True)
    pixels = (x * 15.9).astype(np.uint8).reshape(-1, 8, 8, 1)[:400]
    return Dataset(Images.measured(pixels), y[:400].astype(np.int32), "classification", 10)


@pytest.fixture(scope="module")
def parts():
    order = np.random.default_rng(0).permutation(400)
    return [(order[:300], order[300:]), (order[111:], order[:111])]


@pytest.fixture(scope="module")
def population(digits, parts):
    return train_population(digits, recipes=[*NUMBERS, *SHAPES], seeds=[3], folds=parts)


def leaves(result):
    return jax.tree.leaves((result.parameters, result.running, result.curves))


def test_members_alone_are_those_of_the_population_bit_for_bit(population, digits, parts):
    for i in (3, 5, 9):
        member = population[i].member
        alone = train_population(
            digits, recipes=[member.recipe], seeds=[3], folds=[parts[member.fold], parts[0]], workers=1
        )[0]  # fmt: skip
        for a, b in zip(leaves(alone), leaves(population[i]), strict=True):
            np.testing.assert_array_equal(a, b)


def test_every_augmentation_changes_the_training_and_nothing_diverges(population):
    losses = [tuple(r.curves["loss"]) for r in population]
    assert len(set(losses)) == len(losses)
    assert {r.status for r in population} == {"finished"}


def test_one_program_serves_all_strengths(digits, parts, compiled):
    train_population(digits, recipes=NUMBERS, folds=parts)
    assert len(set(compiled)) == 2  # to train and to evaluate


def test_members_side_by_side_are_those_alone(population, digits, parts, monkeypatch):
    place = program.Place(jax.local_devices(backend="cpu")[0], lanes=4)
    monkeypatch.setattr(program, "places", lambda workers=None: [place])
    monkeypatch.setattr(program, "fitting_lanes", lambda *args: 2)
    together = train_population(digits, recipes=NUMBERS[:2], seeds=[3], folds=parts)
    for a, b in zip(list(population)[:4], together, strict=True):
        np.testing.assert_allclose(b.curves["loss"], a.curves["loss"], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "fields",
    [{"kind": "residual", "depth": 2, "width": 8}, {"kind": "mlp", "width": 32, "heads": 3}],
)
def test_it_learns(digits, parts, fields):
    recipe = BASE.replace(**fields, epochs=25, batch_size=16, learning_rate=1e-2, dropout=0.0)
    result = train_population(digits, recipes=[recipe], folds=parts[:1])[0]
    net = Net(recipe, result.shape, result.parameters, result.running)
    rows = parts[0][1]
    right = predict([net], digits.features, rows)[0].argmax(1) == digits.target[rows]
    assert right.mean() > 0.9
    best = result.curves["valid_error"][result.best_epoch - 1]
    assert best == pytest.approx(1 - right.mean(), abs=1e-6)


def pixels(digits, rows) -> Pixels:
    f = digits.features
    return Pixels(f.pixels[rows], f.mean, f.std, f.background)


def test_views_are_averaged_and_do_not_depend_on_the_place(population, digits):
    result = population[2]
    net = Net(result.member.recipe, result.shape, result.parameters, result.running)
    one = predict([net], digits.features, np.arange(20))[0]
    three = predict([net], digits.features, np.arange(20), views=3)[0]
    assert not np.allclose(one, three)
    turned = predict([net], digits.features, np.arange(20)[::-1].copy(), views=3)[0]
    np.testing.assert_allclose(turned[::-1], three, rtol=1e-4, atol=1e-4)

    x = pixels(digits, np.arange(20))
    numbers = Numbers.of(result.member.recipe)
    probabilities = [softmax(one)]
    for v in (1, 2):
        seen = augmented.view(numbers, x, np.int32(v))
        form = Form.of(net.shape)
        padded = nets.pad(net.parameters, net.running, net.shape, form)
        trees = [x.split(v) for x, v in zip(nets.form_layouts(form), padded, strict=True)]
        outputs = nets.evaluate(*trees, form, numbers, seen)
        probabilities.append(softmax(outputs[:, : net.shape.n_outputs]))
    np.testing.assert_allclose(softmax(three), np.mean(probabilities, 0), atol=1e-4)


def test_the_second_view_is_the_mirror_image_where_the_recipe_mirrors(digits):
    x = pixels(digits, np.arange(7))
    mirroring = Recipe(kind="conv", rotation=20.0, translation=0.1, reflection=0.5)
    seen = augmented.view(Numbers.of(mirroring), x, np.int32(1))
    expected = x.standardised(x.pixels[:, :, ::-1])
    np.testing.assert_array_equal(seen, expected)
    turned = augmented.view(Numbers.of(mirroring.replace(reflection=0.0)), x, np.int32(1))
    assert not np.allclose(turned, expected)


def test_views_without_geometry_are_the_image(population, digits):
    result = population[4]  # brightness and reflection only
    plain = result.member.recipe.replace(reflection=0)
    net = Net(plain, result.shape, result.parameters, result.running)
    one, two = (predict([net], digits.features, np.arange(9), views=v)[0] for v in (1, 2))
    np.testing.assert_allclose(softmax(one), softmax(two), atol=1e-5)
