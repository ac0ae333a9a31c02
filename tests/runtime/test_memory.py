import threading

import numpy as np
import pytest

from popnet.runtime import memory
from popnet.runtime.memory import COMPILING, Memory


def test_what_is_used_grows_by_an_array_and_shrinks_without_it():
    before = memory.used()
    array = np.ones(40_000_000, np.float32)
    assert 150e6 < memory.used() - before < 200e6
    del array
    memory.give_back()
    assert memory.used() - before < 50e6


def test_the_default_limit_is_a_share_of_what_is_free(monkeypatch):
    monkeypatch.setattr(memory, "used", lambda: 3e8)
    monkeypatch.setattr(memory, "free", lambda: 1e9)
    assert Memory().limit == 3e8 + 8e8
    assert Memory().left() == 8e8


@pytest.mark.parametrize(("limit", "left"), [("700\n", 400.0), ("max\n", None), ("200\n", 0.0)])
def test_a_container_has_less_than_the_machine(tmp_path, monkeypatch, limit, left):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    machine = memory.free()
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text("300\n")
    if left is None:
        assert memory.free() == pytest.approx(machine, rel=0.2)
    else:
        assert memory.free() == left


def at_once(limit: Memory, count: int) -> int:
    """Return how many of some threads were compiling at the same time."""
    inside, most, lock = 0, 0, threading.Lock()
    release = threading.Event()

    def work() -> None:
        nonlocal inside, most
        with limit.compiling():
            with lock:
                inside += 1
                most = max(most, inside)
            release.wait(0.2)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return most


@pytest.mark.parametrize(("programs", "most"), [(0.5, 1), (1.5, 1), (2.5, 2), (100, 4)])
def test_so_many_programs_are_compiled_at_once_as_there_is_room_for(monkeypatch, programs, most):
    monkeypatch.setattr(memory, "used", lambda: 1e9)
    assert at_once(Memory(1e9 + programs * COMPILING), 4) == most


def test_a_compilation_that_fails_makes_room_for_the_next(monkeypatch):
    monkeypatch.setattr(memory, "used", lambda: 1e9)
    limit = Memory(1e9)
    with pytest.raises(ZeroDivisionError), limit.compiling():
        1 / 0  # noqa: B018
    assert at_once(limit, 2) == 1
