"""Probabilities of classes as targets: unit vectors are class numbers, and mixtures are what a cross-entropy says."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest

from popnet import Recipe, train_population
from popnet.population import losses
from popnet.population.feed import class_weight

RECIPE = Recipe(
    depth=1, width=8, batch_size=32, epochs=3, label_smoothing=0.1, mixup=0.2, class_balance=0.5
)


def test_unit_vectors_train_the_same_net_as_class_numbers(table, folds):
    soft = replace(table, target=np.eye(3, dtype=np.float32)[table.target])
    assert soft.soft
    assert not table.soft
    numbers, vectors = (
        train_population(d, recipes=[RECIPE], folds=folds[:1])[0] for d in (table, soft)
    )
    assert jax.tree.all(jax.tree.map(np.array_equal, numbers.parameters, vectors.parameters))
    for name, values in numbers.curves.items():
        np.testing.assert_allclose(vectors.curves[name], values, rtol=1e-6)
    np.testing.assert_allclose(
        class_weight(soft, folds[0][0]), class_weight(table, folds[0][0]), rtol=1e-6
    )


def test_scores_of_mixtures_are_means_of_those_of_classes():
    rng = np.random.default_rng(0)
    outputs, p = rng.standard_normal((50, 4)), rng.dirichlet(np.ones(4), 50)
    loss, wrong = losses.scores(outputs, p, np.ones(50), "classification")
    of_class = [
        [losses.scores(o[None], np.array([c]), np.ones(1), "classification")[0] for c in range(4)] for o in outputs
    ]  # fmt: skip
    assert loss == pytest.approx((p * np.array(of_class)).sum(1).mean())
    assert wrong == pytest.approx((outputs.argmax(1) != p.argmax(1)).mean())


def test_probabilities_of_padded_classes_are_zero():
    found = np.asarray(losses.probabilities(jax.numpy.full((2, 3), 1 / 3), 8))
    np.testing.assert_array_equal(found[:, 3:], 0)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-6)
