"""Members on a real Ray: the same as local ones, whatever dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from popnet import Member, Recipe
from popnet.errors import InputError
from popnet.population import engines
from popnet.population.members import Leg
from popnet.population.program import Arrays
from popnet.population.train import Trainer

ray = pytest.importorskip("ray")

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own

BASE = Recipe(depth=1, width=8, batch_size=32, epochs=4)
MEMBERS = [
    Member(BASE.replace(dropout=p), seed, fold)
    for p in (0.0, 0.3)
    for seed in (0, 1)
    for fold in (0, 1)
]
LONG = BASE.replace(epochs=3000, patience=3000)


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """A cluster with room for four actors, whose processes find the programs that are compiled."""
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


@pytest.fixture
def arrays(table, folds) -> Arrays:
    return Arrays(table, table, folds)


@pytest.fixture
def local(arrays) -> dict:
    return dict(Trainer(arrays, workers=1).run(enumerate(MEMBERS)))


def assert_same(a, b) -> None:
    assert a.member == b.member
    assert (a.status, a.epochs, a.best_epoch) == (b.status, b.epochs, b.best_epoch)
    assert a.best_score == b.best_score
    for trees in ((a.parameters, b.parameters), (a.running, b.running), (a.curves, b.curves)):
        jax.tree.map(np.testing.assert_array_equal, *trees)


@pytest.mark.parametrize("workers", [2, 4])
def test_members_of_a_cluster_are_local_ones_bit_for_bit(arrays, local, workers):
    trainer = engines.make("ray", arrays, workers=workers)
    assert trainer.workers == workers
    found = dict(trainer.run(enumerate(MEMBERS)))
    assert sorted(found) == sorted(local)
    for i, result in found.items():
        assert_same(result, local[i])
    seconds = trainer.epoch_seconds(BASE, 0)
    assert seconds is not None
    assert seconds > 0
    trainer.close()
    assert ray.is_initialized()  # it was there before


def test_a_worker_that_is_killed_costs_its_present_legs_only(arrays):
    members = [Member(LONG, seed, 0) for seed in range(3)]
    expected = dict(Trainer(arrays, workers=1).run(enumerate(members)))
    trainer = engines.make("ray", arrays, workers=2)
    pauses = {}
    for i, result in trainer.run((i, Leg(m, 1500)) for i, m in enumerate(members)):
        assert result.status == "paused"
        pauses[i] = result.pause
    [victim, _] = trainer._actors
    pid = ray.get(victim.process.remote())

    def legs():
        for i, member in enumerate(members):
            if i == 2:  # the two actors have just begun with the others
                os.kill(pid, signal.SIGKILL)
            yield i, Leg(member, None, pauses[i])

    found = dict(trainer.run(legs()))
    assert sorted(found) == [0, 1, 2]
    for i, result in found.items():
        assert_same(result, expected[i])
    assert trainer._deaths >= 1
    trainer.close()


def test_a_deadline_interrupts_members_on_a_cluster(arrays):
    endless = BASE.replace(epochs=10**6, patience=10**6)
    trainer = engines.make("ray", arrays, time.monotonic() + 8, workers=2)
    results = [r for _, r in trainer.run(enumerate([Member(endless, s, 0) for s in range(2)]))]
    assert trainer.over()
    assert {r.status for r in results} <= {"interrupted"}
    trainer.close()


def test_a_stop_ends_a_run_on_a_cluster(arrays):
    endless = BASE.replace(epochs=10**6, patience=10**6)
    trainer = engines.make("ray", arrays, workers=2)
    members = [Member(BASE, 0, 0), *(Member(endless, s, 0) for s in range(5))]
    seen = []
    for i, _ in trainer.run(enumerate(members)):
        seen.append(i)
        trainer.stop()
    assert seen == [0]
    assert trainer.interrupted
    trainer.close()


@pytest.mark.parametrize(
    ("engine", "message"),
    [("rya", "Did you mean 'ray'"), ("ray:nowhere", "HOST:PORT"), ("dask", "local, ray")],
)
def test_an_engine_that_is_none_is_refused(arrays, engine, message):
    code = (
        "import numpy as np; from popnet import Dataset; from popnet.population import engines; "
        "from popnet.population.program import Arrays; "
        "d = Dataset.from_arrays(np.zeros((4, 1)), np.arange(4) % 2, 'binary'); "
        f"engines.make({engine!r}, Arrays(d, d, [(np.arange(2), np.arange(2, 4))]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert message in done.stderr
    assert "InputError" in done.stderr


def test_an_address_that_does_not_answer_fails_at_once():
    from popnet.population.cluster import _answers

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(InputError, match="No Ray cluster answers"):
        _answers(f"127.0.0.1:{port}")
