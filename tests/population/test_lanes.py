"""Members side by side, as on an accelerator: the same results as one after another, up to rounding."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from popnet import Recipe, train_population
from popnet.population import program

BASE = Recipe(depth=2, width=8, batch_size=32, epochs=3, dropout=0.2)
MIXED = [
    BASE,
    BASE.replace(activation="tanh", norm="layer", optimizer="sgd", learning_rate=0.02),
    BASE.replace(epochs=8, patience=2, min_delta=0.05, mixup=0.3, input_noise=0.1),
    BASE.replace(epochs=2, l1=1e-3, optimizer="rmsprop", schedule="one_cycle"),
    BASE.replace(optimizer="sgd", learning_rate=1e30, norm="none"),
    BASE.replace(heads=2, input_scale=6.0),
]


@pytest.fixture(scope="module")
def alone(table, folds):
    return train_population(table, recipes=MIXED, folds=folds, workers=1)


@pytest.fixture(params=[10, 3], ids=["all wait for a lane", "a few at a time"])
def lanes(request, monkeypatch):
    """Two lanes; a worker takes up to so many members at once."""
    place = program.Place(jax.local_devices(backend="cpu")[0], lanes=request.param)
    monkeypatch.setattr(program, "places", lambda workers=None: [place])
    monkeypatch.setattr(program, "fitting_lanes", lambda *args: 2)


def test_members_side_by_side_are_those_alone(alone, table, folds, lanes, monkeypatch):
    began = []
    compile_ = program.Program.compile

    def counted(self, *args):
        began.append(self.lanes)
        return compile_(self, *args)

    monkeypatch.setattr(program.Program, "compile", counted)
    together = train_population(table, recipes=MIXED, folds=folds)
    assert set(began) == {2}
    assert [r.member for r in together] == [r.member for r in alone]
    for a, b in zip(alone, together, strict=True):
        assert (a.status, a.epochs, a.best_epoch) == (b.status, b.epochs, b.best_epoch)
        for name, curve in a.curves.items():
            np.testing.assert_allclose(b.curves[name], curve, rtol=1e-4, atol=1e-4, err_msg=name)
        for x, y in zip(
            jax.tree.leaves((a.parameters, a.running)),
            jax.tree.leaves((b.parameters, b.running)),
            strict=True,
        ):
            np.testing.assert_allclose(y, x, rtol=1e-4, atol=1e-4)


def test_number_of_lanes_fits_memory_and_members(table):
    from popnet.spec.shape import Form, Shape

    class Device:
        def __init__(self, free):
            self.free = free

        def memory_stats(self):
            return {"bytes_limit": self.free, "bytes_in_use": 0}

    form = Form.of(Shape.of(BASE, table))

    def lanes(members, free=1e12, most=64):
        return program.fitting_lanes(program.Place(Device(free), most), form, 1000, members)

    assert [lanes(m) for m in (1, 2, 3, 5, 64, 1000)] == [1, 2, 4, 8, 64, 64]
    assert lanes(1000, most=48) == 48
    assert lanes(1000, free=1) == 1
    sizes = [lanes(1000, free=f) for f in np.geomspace(1e4, 1e9, 40)]
    assert sizes == sorted(sizes)
    assert {1, 64} < set(sizes)
    assert program.fitting_lanes(program.Place(Device(1e12), 1), form, 1000, 50) == 1


def test_places_are_the_cores_or_the_workers_asked_for():
    assert len(program.places(3)) == 3
    assert all(p.lanes == 1 for p in program.places())
    assert len(program.places()) >= 1
