"""Probes: the same weights with and without, and figures as NumPy finds them."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from popnet import Dataset, Recipe
from popnet.data.dataset import Images
from popnet.population import probes
from popnet.population.members import Member, Result
from popnet.population.train import Trainer, arrange
from popnet.spec.shape import Shape

ROWS = 512
FOLDS = [(np.arange(ROWS), np.arange(ROWS, ROWS + 64))]


def table(seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((ROWS + 64, 6)).astype(np.float32)
    return Dataset.from_arrays(X, (X[:, 0] * X[:, 1] + X[:, 2] > 0).astype(int), "binary")


def train(data: Dataset, recipe: Recipe, probed: bool = True) -> Result:
    trainer = Trainer(arrange(data, None, FOLDS), workers=1, probed=probed)
    return dict(trainer.run([(0, Member(recipe))]))[0]


def softplus_loss(outputs: np.ndarray, target: np.ndarray) -> float:
    logs = outputs - np.log(np.exp(outputs).sum(1, keepdims=True))
    return float(-logs[np.arange(len(target)), target].mean())


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "maxout"])
def test_layers_are_as_a_forward_pass_of_all_rows_finds_them(activation):
    data = table()
    recipe = Recipe(
        depth=2, width=16, batch_size=64, epochs=1, activation=activation, norm="none", dropout=0.3, learning_rate=0.1
    )  # fmt: skip
    result = train(data, recipe)
    assert result.probes is not None
    assert result.probes.epochs.tolist() == [0, 1]
    h = np.asarray(data.features.numeric[:ROWS], float)
    for i, p in enumerate(result.parameters["hidden"]):
        z = h @ np.asarray(p["w"], float) + p["b"]
        s = 1 / (1 + np.exp(-z))
        h, slope = {
            "relu": lambda z=z: (np.maximum(z, 0), np.ones_like(z)),
            "sigmoid": lambda s=s: (s, 4 * s * (1 - s)),
            "tanh": lambda z=z: (np.tanh(z), 1 - np.tanh(z) ** 2),
            # Pieces of a unit stand a width apart.
            "maxout": lambda z=z: (np.maximum(z[:, :16], z[:, 16:]), np.ones_like(z)),
        }[activation]()
        found = {name: values[-1, i] for name, values in result.probes.layers.items()}
        assert found["mean"] == pytest.approx(np.abs(z.mean(0)).mean(), rel=1e-3)
        assert found["spread"] == pytest.approx(z.std(0).mean(), rel=1e-3)
        assert found["signal"] == pytest.approx(np.sqrt((h * h).mean()), rel=1e-3)
        assert found["dead"] == pytest.approx((h == 0).all(0).mean(), abs=1e-6)
        assert found["saturated"] == pytest.approx((slope < probes.FLAT).mean(), abs=2e-3)
        assert found["weight"] == pytest.approx(np.sqrt((p["w"] ** 2).mean()), rel=1e-4)
        assert np.isnan(found["batch_mean"])
    output = result.parameters["output"]
    logits = h @ np.asarray(output["w"], float) + output["b"]
    target = data.target[:ROWS]
    assert result.probes.net["loss"][-1] == pytest.approx(softplus_loss(logits, target), rel=1e-3)
    assert result.probes.net["error"][-1] == pytest.approx((logits.argmax(1) != target).mean())


def test_heads_are_seen_together_and_their_mean_is_the_net():
    data = table()
    recipe = Recipe(
        depth=1, width=16, batch_size=64, epochs=1, heads=3, input_scale=6.0, norm="none", dropout=0, learning_rate=0.05
    )  # fmt: skip
    result = train(data, recipe)
    assert result.probes is not None
    p = jax.tree.map(lambda x: np.asarray(x, float), result.parameters)
    x = np.asarray(data.features.numeric[:ROWS], float) * (1 + 6 * p["scale"])
    z = [(a * x) @ p["hidden"][0]["w"] + p["hidden"][0]["b"] for a in p["adapters"]]
    every = np.concatenate(z)
    found = {name: values[-1, 0] for name, values in result.probes.layers.items()}
    assert found["mean"] == pytest.approx(np.abs(every.mean(0)).mean(), rel=1e-3)
    assert found["spread"] == pytest.approx(every.std(0).mean(), rel=1e-3)
    chances = []
    for own, w, b in zip(z, p["output"]["w"], p["output"]["b"], strict=True):
        e = np.exp(np.maximum(own, 0) @ w + b)
        chances.append(e / e.sum(1, keepdims=True))
    mean, target = np.mean(chances, 0), data.target[:ROWS]
    loss = -np.log(mean[np.arange(ROWS), target]).mean()
    assert result.probes.net["loss"][-1] == pytest.approx(loss, rel=1e-3)
    assert result.probes.net["error"][-1] == pytest.approx((mean.argmax(1) != target).mean())


@pytest.mark.parametrize(
    ("parametrization", "factor"), [("standard", 1), ("ntk", (128 / 3) ** 0.5)]
)
def test_gradient_and_update_of_a_linear_model_are_the_closed_form(parametrization, factor):
    # All rows are the same, so every batch has the gradient of one row and there is no noise.
    X = np.tile(np.array([[1.0, -2.0, 0.5]], np.float32), (ROWS + 64, 1))
    features = Dataset.from_arrays(X, np.arange(len(X)) % 2, "binary").features
    data = Dataset(features, np.zeros(len(X), np.int32), "classification", 2)
    recipe = Recipe(
        depth=0, batch_size=64, epochs=1, learning_rate=1e-3 / factor, weight_decay=0.0, schedule="constant",
        parametrization=parametrization,
    )  # fmt: skip
    result = train(data, recipe)
    assert result.probes is not None
    w, b = (np.asarray(result.parameters["output"][k], float) for k in ("w", "b"))
    x = np.asarray(data.features.numeric[0], float)
    p = np.exp(x @ w + b)
    p /= p.sum()
    gradient = np.outer(x, p - [1.0, 0.0])
    found = {name: values[-1, 0] for name, values in result.probes.layers.items()}
    assert found["gradient"] == pytest.approx(np.sqrt((gradient**2).mean()), rel=1e-3)
    assert result.probes.net["noise"][-1] == pytest.approx(0.0, abs=1e-4)
    # Adam's first steps along a steady gradient have the size of the learning rate.
    size = np.sqrt((w**2).mean())
    assert found["update"] == pytest.approx(1e-3 / size, rel=0.05)


def test_penalties_are_no_part_of_the_gradient_that_is_shown():
    plain = Recipe(depth=2, width=16, batch_size=64, epochs=1, norm="none", dropout=0.0)
    a, b = train(table(), plain), train(table(), plain.replace(l2=10.0))
    assert a.probes is not None
    assert b.probes is not None
    # Before training both nets are the same.
    np.testing.assert_allclose(
        a.probes.layers["gradient"][0], b.probes.layers["gradient"][0], rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_a_member_trains_to_the_same_weights_with_probes_and_without(norm):
    recipe = Recipe(depth=2, width=16, batch_size=64, epochs=7, norm=norm, dropout=0.2)
    with_probes, without = train(table(), recipe), train(table(), recipe, probed=False)
    assert without.probes is None
    assert with_probes.probes is not None
    assert with_probes.probes.epochs[-1] == 7
    for a, b in zip(
        jax.tree.leaves(with_probes.parameters), jax.tree.leaves(without.parameters), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(with_probes.curves["loss"], without.curves["loss"])


def test_running_statistics_are_compared_with_those_of_the_rows():
    slow = Recipe(depth=2, width=16, batch_size=64, epochs=30, learning_rate=1e-6)
    still = train(table(), slow)
    moving = train(table(), slow.replace(epochs=2, norm_momentum=1e-3))
    assert still.probes is not None
    assert moving.probes is not None
    # A net that hardly moves has the statistics of its rows; with a tiny momentum they are still nearly 0 and 1.
    assert still.probes.layers["batch_spread"][-1, 0] < 0.1
    assert moving.probes.layers["batch_spread"][-1, 0] > 0.2


def test_drift_is_in_standard_deviations_an_epoch():
    def probed(mean: float) -> probes.Probed:
        # Two layers, of three units and of two.
        units = np.array([[[mean] * 3, [mean] * 2 + [np.nan]], [[2.0] * 3, [2.0] * 2 + [np.nan]]])
        sizes = (2, len(probes.LAYER_VALUES)), (len(probes.WEIGHT_VALUES), 3), len(probes.NET)
        return probes.Probed(units.astype(np.float32), *(np.zeros(s, np.float32) for s in sizes))

    found = probes.collect([0, 1, 4], [probed(9.0), probed(0.0), probed(3.0)])
    drift = found.layers["drift"]
    assert np.isnan(drift[0, 0])
    assert np.isnan(drift[1, 0])  # from random weights to the first epoch is learning
    assert drift[2, :2] == pytest.approx([3.0 / 2.0 / 3] * 2)


@pytest.mark.parametrize("every", [1, 2, 3, 7, 16, 40, 64])
def test_probes_are_dense_at_first_and_regular_then(every):
    epochs, now = [0], 0
    while now < 50:
        now = probes.next_after(now, every)
        epochs.append(now)
    early = {4**k for k in range(4) if 4**k < every}
    assert set(epochs) == {0, 1} | early | set(range(every, epochs[-1] + 1, every))
    assert epochs == sorted(epochs)


def test_probes_that_take_as_long_as_very_many_epochs_are_fewer():
    epochs = [0]
    while epochs[-1] < 600:
        epochs.append(probes.next_after(epochs[-1], 300))
    assert epochs == [0, 1, 16, 256, 300, 600]


def test_bounded_activations_are_flat_beyond_where_their_slope_says():
    z = np.linspace(-8, 8, 4001)
    s = 1 / (1 + np.exp(-z))
    slopes = {"sigmoid": 4 * s * (1 - s), "tanh": 1 - np.tanh(z) ** 2}
    for name, slope in slopes.items():
        np.testing.assert_array_equal(slope < probes.FLAT, np.abs(z) > probes.BEYOND[name])


def test_a_net_that_diverged_has_probes_of_nothing():
    def probed(value: float) -> probes.Probed:
        units = np.full((2, 1, 3), value, np.float32)
        sizes = (1, len(probes.LAYER_VALUES)), (len(probes.WEIGHT_VALUES), 2), len(probes.NET)
        return probes.Probed(units, *(np.full(s, value, np.float32) for s in sizes))

    found = probes.collect([0, 1, 4], [probed(1.0), probed(2.0), probed(np.nan)])
    assert found.layers["mean"][:, 0] == pytest.approx([1.0, 2.0, np.nan], nan_ok=True)
    assert np.isnan(found.layers["drift"][2]).all()
    assert found.layers["weight"][1] == pytest.approx([2.0, 2.0])  # the output's too
    assert found.net["loss"] == pytest.approx([1.0, 2.0, np.nan], nan_ok=True)


@pytest.mark.parametrize("rows", [100, 1000, 10_000, 1_000_000])
def test_many_rows_are_probed_more_often(rows):
    shape = Shape.of(Recipe(batch_size=128), table())
    every = probes.interval(shape, rows)
    assert every >= probes.interval(shape, 10 * rows) >= 1
    assert (every == 1) == (rows > 100_000)


def test_images_are_probed_too():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (ROWS + 64, 8, 8, 1), np.uint8)
    one = np.full(1, 100, np.float32)
    data = Dataset(
        Images(pixels, one, one, one), (pixels.mean((1, 2, 3)) > 127).astype(np.int32), "classification", 2
    )  # fmt: skip
    recipe = Recipe(
        kind="residual", depth=2, width=4, stages=1, batch_size=32, epochs=2, rotation=10.0
    )
    a, b = train(data, recipe), train(data, recipe, probed=False)
    assert a.probes is not None
    layers = a.probes.layers["spread"]
    assert layers.shape[1] == 4  # three convolutions, and the output layer
    assert np.isfinite(layers[:, :-1]).all()
    for x, y in zip(jax.tree.leaves(a.parameters), jax.tree.leaves(b.parameters), strict=True):
        np.testing.assert_array_equal(x, y)
