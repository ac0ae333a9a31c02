"""Programs on several devices, against the plain function."""

import gc
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from popnet import copies, cpu


def test_each_worker_has_a_device_of_its_own():
    devices = cpu.devices(3)
    assert len({d.client for d in devices}) == 3
    assert cpu.devices(2) == devices[:2]


def test_many_workers_share_devices_equally():
    devices = cpu.devices(cpu.MOST_CLIENTS * 2)
    assert len(set(devices)) == cpu.MOST_CLIENTS
    assert devices[: cpu.MOST_CLIENTS] == devices[cpu.MOST_CLIENTS :]


def test_values_are_the_functions_on_every_device_and_it_is_traced_once():
    traced = []

    def function(x, tree):
        traced.append(x.shape)
        return {"sum": x + tree["y"], "product": x @ tree["y"].T}

    both = copies.Copies(function)
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


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int32])
def test_all_devices_of_a_cpu_use_the_hosts_array(dtype):
    x = copies.empty((1000, 7), dtype)
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

    copies.deal(work, range(items), ["a", "b", "c"])
    assert sorted(i for _, i in done) == list(range(items))
    assert {d for d, _ in done} <= {"a", "b", "c"}


def test_deal_hands_on_what_goes_wrong():
    def work(device, item):
        if item == 7:
            raise ValueError("seven")

    with pytest.raises(ValueError, match="seven"):
        copies.deal(work, range(20), ["a", "b"])


def test_no_more_programs_are_kept_than_the_system_bears(monkeypatch):
    monkeypatch.setattr(copies, "MOST_LOADED", 4)
    monkeypatch.setattr(copies, "_loaded", copies._Loaded())
    devices = cpu.devices(2)
    double = copies.Copies(lambda x: jnp.sort(2 * x))

    def in_memory():
        gc.collect()
        return sum(len(d.client.live_executables()) for d in devices)

    before = in_memory()
    for n in (2, 3, 4, 5, 6, 7, 2, 3):
        x = np.arange(n, dtype=np.float32)
        for device in devices:
            np.testing.assert_array_equal(double.on(device, x)(x), 2 * x)
    assert in_memory() <= before + 4
