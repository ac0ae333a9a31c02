"""Evaluating nets: chunks, rows, threads."""

from __future__ import annotations

import numpy as np
import pytest

from popnet import Recipe
from popnet.nn import net
from popnet.population import feed, predict
from popnet.runtime import compiled
from popnet.spec.shape import Shape


@pytest.fixture
def nets(table):
    def made(recipe, seed):
        shape = Shape.of(recipe, table)
        return predict.Net(recipe, shape, *net.init(recipe, shape, seed))

    a = Recipe(depth=2, width=8, batch_size=32)
    return [made(a, 0), made(a.replace(activation="tanh"), 1), made(a.replace(depth=0), 2)]


def test_chunks_and_threads_change_nothing(nets, table, monkeypatch):
    whole = predict.predict(nets, table.features)
    monkeypatch.setattr(feed, "EVALUATED_ROWS", 32)
    monkeypatch.setattr(feed, "EVALUATED_BATCHES", 2)
    for workers in (1, 3):
        again = predict.predict(nets, table.features, workers=workers)
        np.testing.assert_allclose(again, whole, rtol=1e-5, atol=1e-6)


def test_rows_come_in_the_order_asked_for(nets, table):
    rows = np.array([5, 200, 5, 0])
    whole = predict.predict(nets, table.features)
    some = predict.predict(nets, table.features, rows)
    np.testing.assert_allclose(some, whole[:, rows], rtol=1e-5, atol=1e-6)


def test_nets_of_several_shapes_are_those_alone(nets, table):
    together = predict.predict(nets, table.features)
    for i, one in enumerate(nets):
        np.testing.assert_array_equal(predict.predict([one], table.features)[0], together[i])


def test_no_rows_no_outputs(nets, table):
    assert predict.predict(nets, table.features, np.arange(0)).shape == (3, 0, 3)
    assert predict.predict([], table.features).shape[0] == 0


def test_a_second_prediction_compiles_nothing(nets, table, monkeypatch):
    predict.predict(nets, table.features, specialised=False)
    monkeypatch.setattr(compiled.CompiledCache, "_compiled", None)
    predict.predict(nets, table.features, specialised=False)
    # Nets that differ in numbers only share a program, too.
    nets[0] = nets[0]._replace(recipe=nets[0].recipe.replace(activation="elu", elu_alpha=0.3))
    predict.predict(nets, table.features, specialised=False)


def test_programs_of_one_activation_predict_the_same(nets, table):
    one, all_kinds = (
        predict.predict(nets, table.features, specialised=only) for only in (True, False)
    )
    np.testing.assert_allclose(one, all_kinds, rtol=1e-5, atol=1e-6)
