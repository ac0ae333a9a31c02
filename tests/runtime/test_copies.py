"""Programs on several devices, against the plain function."""

import gc
import os
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxlib import xla_client

from popnet import Dataset, Recipe, train_population
from popnet.runtime import compiled, cpu


def test_each_worker_has_a_device_of_its_own():
    devices = cpu.devices(3)
    assert len({d.client for d in devices}) == 3
    assert cpu.devices(2) == devices[:2]


def test_many_workers_share_devices_equally():
    devices = cpu.devices(cpu.MAX_CLIENTS * 2)
    assert len(set(devices)) == cpu.MAX_CLIENTS
    assert devices[: cpu.MAX_CLIENTS] == devices[cpu.MAX_CLIENTS :]


def test_values_are_the_functions_on_every_device_and_it_is_traced_once():
    traced = []

    def function(x, tree):
        traced.append(x.shape)
        return {"sum": x + tree["y"], "product": x @ tree["y"].T}

    both = compiled.CompiledCache(function)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 5, 4)).astype(np.float32)
    for device in cpu.devices(3):
        found = both.on(device, x, {"y": y})(x, {"y": y})
        np.testing.assert_allclose(found["sum"], x + y, rtol=1e-6)
        np.testing.assert_allclose(found["product"], x @ y.T, rtol=1e-5)
        assert {d.client for d in found["sum"].devices()} == {device.client}
    assert traced == [(5, 4)]
    more = np.concatenate([x, x])
    found = both.on(cpu.devices(1)[0], more, {"y": more})(more, {"y": more})
    np.testing.assert_allclose(found["sum"], 2 * more, rtol=1e-6)
    assert traced == [(5, 4), (10, 4)]


@pytest.mark.parametrize("error", [AttributeError, TypeError, ImportError])
def test_where_there_is_no_private_client_workers_share_jaxs_own(monkeypatch, error):
    def gone(**_):
        raise error("not in this version")

    monkeypatch.setattr(xla_client, "make_cpu_client", gone)
    monkeypatch.setattr(cpu, "_devices", [])
    monkeypatch.setenv("NPROC", "7")
    devices = cpu.devices(2)
    assert set(devices) <= set(jax.local_devices(backend="cpu"))
    assert os.environ["NPROC"] == "7"
    X = np.random.default_rng(0).standard_normal((90, 3)).astype(np.float32)
    data = Dataset.from_arrays(X, (X[:, 0] > 0).astype(int), "binary")
    folds = [(np.arange(60), np.arange(60, 90))]
    recipe = Recipe(depth=1, width=4, batch_size=32, epochs=2)
    shared = train_population(data, recipes=[recipe], seeds=[0, 1], folds=folds, workers=2)
    monkeypatch.undo()
    own = train_population(data, recipes=[recipe], seeds=[0, 1], folds=folds, workers=2)
    for a, b in zip(shared, own, strict=True):
        np.testing.assert_array_equal(a.parameters["output"]["w"], b.parameters["output"]["w"])


def test_the_folder_of_programs_is_one_for_each_kind_of_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("POPNET_CACHE", str(tmp_path))
    here = cpu.cache_folder()
    assert here.parent == tmp_path
    assert jax.__version__ in here.name
    assert cpu.cache_folder() == here
    monkeypatch.setattr(cpu, "processor", lambda: "another")
    assert cpu.cache_folder() != here
    monkeypatch.undo()
    monkeypatch.setenv("POPNET_CACHE", str(tmp_path))
    monkeypatch.setattr(jax, "__version__", "0.0.1")
    assert cpu.cache_folder() != here


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int32])
def test_all_devices_of_a_cpu_use_the_hosts_array(dtype):
    x = compiled.empty((1000, 7), dtype)
    x[...] = np.arange(7)
    on = [jax.device_put(x, d) for d in cpu.devices(2)]
    assert {a.unsafe_buffer_pointer() for a in on} == {x.ctypes.data}
    np.testing.assert_array_equal(on[0], x)


@pytest.mark.parametrize("items", [0, 1, 2, 50])
def test_deal_does_each_item_once_and_the_first_one_alone(items):
    done, began, lock = [], threading.Event(), threading.Lock()

    def work(device, item):
        if item == 0:
            time.sleep(0.02)
            began.set()
        assert began.is_set()
        with lock:
            done.append((device, item))

    compiled.map_over_devices(work, range(items), ["a", "b", "c"])
    assert sorted(i for _, i in done) == list(range(items))
    assert {d for d, _ in done} <= {"a", "b", "c"}


def test_deal_hands_on_what_goes_wrong():
    def work(device, item):
        if item == 7:
            raise ValueError("seven")

    with pytest.raises(ValueError, match="seven"):
        compiled.map_over_devices(work, range(20), ["a", "b"])


def test_no_more_programs_are_kept_than_the_system_bears(monkeypatch):
    monkeypatch.setattr(compiled, "MAX_LOADED", 4)
    monkeypatch.setattr(compiled, "_loaded", compiled._Loaded())
    devices = cpu.devices(2)
    double = compiled.CompiledCache(lambda x: jnp.sort(2 * x))

    def in_memory():
        gc.collect()
        return sum(len(d.client.live_executables()) for d in devices)

    before = in_memory()
    for n in (2, 3, 4, 5, 6, 7, 2, 3):
        x = np.arange(n, dtype=np.float32)
        for device in devices:
            np.testing.assert_array_equal(double.on(device, x)(x), 2 * x)
    assert in_memory() <= before + 4


@pytest.mark.parametrize(
    "value",
    [
        *(np.zeros((2, 3), t) for t in (np.float64, np.float32, np.float16, np.int64, np.int32, np.uint8, bool)),
        np.float64(1.0), np.int64(3), 1.5, 2, True, jnp.ones(4), jnp.ones((), jnp.int8),
        np.ma.masked_array([1.0, 2.0]),
    ],
    ids=lambda v: f"{type(v).__name__}-{getattr(v, 'dtype', '')}",
)  # fmt: skip
def test_arguments_have_the_types_that_jax_gives_them(value):
    assert compiled._form_of(value) == (np.shape(value), jax.dtypes.result_type(value))
