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
from popnet.population import cluster as cluster_module
from popnet.population import engines, program
from popnet.population.feed import Arrays
from popnet.population.members import TrainingSegment, as_segments
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
ENDLESS = BASE.replace(epochs=10**6, patience=10**6)
LONG = BASE.replace(epochs=3000, patience=3000)


@pytest.fixture(scope="module")
def arrays(table, folds) -> Arrays:
    return Arrays(table, table, folds)


@pytest.fixture(scope="module")
def cluster(arrays):
    """A trainer with two actors of a cluster that was there before."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    trainer = engines.make("ray", arrays, workers=2)
    yield trainer
    trainer.close()
    assert ray.is_initialized()
    ray.shutdown()


def assert_same(a, b) -> None:
    assert a.member == b.member
    assert (a.status, a.epochs, a.best_epoch) == (b.status, b.epochs, b.best_epoch)
    assert a.best_score == b.best_score
    for trees in ((a.parameters, b.parameters), (a.running, b.running), (a.curves, b.curves)):
        jax.tree.map(np.testing.assert_array_equal, *trees)


def test_members_of_a_cluster_are_local_ones_bit_for_bit(arrays, cluster):
    local = dict(Trainer(arrays, workers=1).run(enumerate(MEMBERS)))
    assert cluster.workers == 2
    found = dict(cluster.run(enumerate(MEMBERS)))
    assert sorted(found) == sorted(local)
    for i, result in found.items():
        assert_same(result, local[i])
    assert (cluster.epoch_seconds(BASE, 0) or 0) > 0


@pytest.mark.parametrize("specialised", [True, False])
def test_workers_have_the_programs_of_the_driver(arrays, cluster, specialised, monkeypatch):
    forms = []
    make = program.Program
    monkeypatch.setattr(
        program, "Program", lambda form, *rest: forms.append(form) or make(form, *rest)
    )
    monkeypatch.setattr(cluster, "specialised", specialised)
    task = cluster._task(list(as_segments(enumerate(MEMBERS[:1]))))
    data = (arrays.train, None, list(arrays.folds), arrays.epoch_rows)
    ((_, result),), _ = cluster_module.Worker(data).train(task)
    assert result.status == "finished"
    assert {form.activation is not None for form in forms} == {specialised}


def test_a_worker_that_is_killed_costs_its_present_legs_only(arrays, cluster):
    members = [Member(LONG, seed, 0) for seed in range(3)]
    expected = dict(Trainer(arrays, workers=1).run(enumerate(members)))
    pauses = {}
    for i, result in cluster.run((i, TrainingSegment(m, 1500)) for i, m in enumerate(members)):
        assert result.status == "paused"
        pauses[i] = result.pause
    pids = [ray.get(actor.__ray_call__.remote(lambda _: os.getpid())) for actor in cluster._actors]

    def legs():
        for i, member in enumerate(members):
            if i == 2:
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
            yield i, TrainingSegment(member, None, pauses[i])

    before = cluster._deaths
    found = dict(cluster.run(legs()))
    assert sorted(found) == [0, 1, 2]
    for i, result in found.items():
        assert_same(result, expected[i])
    assert cluster._deaths > before


def test_a_deadline_interrupts_members_on_a_cluster(cluster):
    cluster.deadline = time.monotonic() + 3
    results = [r for _, r in cluster.run(enumerate([Member(ENDLESS, s, 0) for s in range(2)]))]
    assert cluster.over()
    assert {r.status for r in results} == {"interrupted"}
    cluster.deadline = None


def test_a_stop_ends_a_run_on_a_cluster(cluster):
    members = [Member(BASE, 0, 0), *(Member(ENDLESS, s, 0) for s in range(3))]
    seen = []
    for i, _ in cluster.run(enumerate(members)):
        seen.append(i)
        cluster.stop()
    assert seen == [0]
    assert cluster.interrupted


@pytest.mark.parametrize(
    ("engine", "message"),
    [("rya", "Did you mean 'ray'"), ("ray:nowhere", "HOST:PORT"), ("dask", "local, ray")],
)
def test_an_engine_that_is_none_is_refused(arrays, engine, message):
    code = (
        "import numpy as np; from popnet import Dataset; from popnet.population import engines; "
        "from popnet.population.feed import Arrays; "
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
