"""A fresh process that measures one case.

Run as ``python -m benchmarks.child '{"system": ...}'``; it prints one JSON object.

A process of its own for each case: nothing is compiled, imported or allocated before it begins, so
start-up, compilation and peak memory are the case's own.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.case import (
    BATCH_SIZE,
    BETAS,
    DEPTH,
    DROPOUT,
    EPSILON,
    LEARNING_RATE,
    WEIGHT_DECAY,
    Case,
    Measurement,
    make_data,
)


def peak_memory_mb() -> float:
    """Return this process' peak resident memory.

    From ``/proc`` where there is one: ``ru_maxrss`` keeps the value of the process that started
    this one, if that was larger.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 1024 / (1024 if sys.platform == "darwin" else 1)


# --- popnet ---------------------------------------------------------------------------------------


def popnet(case: Case) -> Measurement:
    """Measure ``train_population``; compiles cold if ``POPNET_CACHE`` is an empty folder."""
    from popnet import Dataset, Recipe, train_population

    data = make_data(case)
    train = Dataset.from_arrays(data.X, data.y, "multiclass")
    valid = Dataset.from_arrays(data.X_valid, data.y_valid, "multiclass")
    recipe = Recipe(
        depth=DEPTH, width=case.width, batch_size=BATCH_SIZE, activation="relu", norm="batch",
        dropout=DROPOUT, optimizer="adamw", learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY,
        beta1=BETAS[0], beta2=BETAS[1], optimizer_epsilon=EPSILON, schedule="cosine",
        epochs=case.epochs, patience=case.epochs,
    )  # fmt: skip
    began = time.perf_counter()
    population = train_population(train, valid, recipes=[recipe], seeds=case.seeds)
    seconds = time.perf_counter() - began
    accuracies = [1 - float(r.curves["valid_error"][r.best_epoch - 1]) for r in population]
    epochs = {r.epochs for r in population}
    if epochs != {case.epochs}:
        raise RuntimeError(
            f"members ended after {sorted(epochs)} epochs, not all after {case.epochs}"
        )
    return Measurement(case, seconds, population.compile_seconds, accuracies, peak_memory_mb())


# --- peers ----------------------------------------------------------------------------------------


def torch_loop(case: Case) -> Measurement:
    """Measure PyTorch, one net after another, eager, with a thread a core or with one, whichever is faster.

    With small nets the threads of an operation can cost more than they bring, and a careful user tries it: the
    warm-up takes one epoch with each.
    """
    from benchmarks import peers_torch

    data = peers_torch.tensors(make_data(case))
    threads = fastest_threads(case, data) if case.warm_up else case.cores
    peers_torch.use_threads(threads)
    began = time.perf_counter()
    accuracies = [peers_torch.train(case, data, seed) for seed in case.seeds]
    seconds = time.perf_counter() - began
    return Measurement(case, seconds, 0.0, accuracies, peak_memory_mb(), threads=threads)


def fastest_threads(case: Case, data: Any) -> int:
    """Return 1 or the number of cores: with which PyTorch trains one epoch faster."""
    from benchmarks import peers_torch

    one_epoch = replace(case, epochs=1)
    peers_torch.train(one_epoch, data, seed=10**6)  # the very first steps initialise things
    seconds: dict[int, float] = {}
    for threads in {1, case.cores}:
        peers_torch.use_threads(threads)
        began = time.perf_counter()
        peers_torch.train(one_epoch, data, seed=10**6)
        seconds[threads] = time.perf_counter() - began
    return min(seconds, key=lambda n: seconds[n])


Trainer = Callable[[int], float]
_trainer: Trainer | None = None


def _torch_trainer(case: Case) -> Trainer:
    from benchmarks import peers_torch

    peers_torch.use_threads(1)
    data = peers_torch.tensors(make_data(case))
    compiled = case.system == "torch-compile"
    if case.warm_up:
        peers_torch.train(replace(case, epochs=1), data, seed=10**6, compiled=compiled)
    return partial(peers_torch.train, case, data, compiled=compiled)


def _sklearn_trainer(case: Case) -> Trainer:
    from benchmarks import peers_sklearn

    data = make_data(case)
    if case.warm_up:
        peers_sklearn.train(replace(case, epochs=1), data, seed=10**6)
    return partial(peers_sklearn.train, case, data)


def _start_worker(case: Case, ready: Any) -> None:
    global _trainer
    make = _sklearn_trainer if case.system == "sklearn" else _torch_trainer
    _trainer = make(case)
    ready.wait()


def _train_in_worker(seed: int) -> tuple[float, int, float]:
    assert _trainer is not None
    return _trainer(seed), os.getpid(), peak_memory_mb()


def process_pool(case: Case) -> Measurement:
    """Measure a peer with one process of one thread a core, nets dealt over them.

    The time begins when every worker has its data and has warmed up; the warm-up of
    ``torch-compile`` counts as its compilation.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # workers inherit it
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(case.cores + 1)
    started = time.perf_counter()
    with context.Pool(case.cores, _start_worker, (case, ready)) as pool:
        ready.wait()
        began = time.perf_counter()
        found = pool.map(_train_in_worker, case.seeds, chunksize=1)
        ended = time.perf_counter()
    compiling = began - started if case.system == "torch-compile" else 0.0
    memory = {pid: mb for _, pid, mb in sorted(found, key=lambda f: f[2])}
    accuracies = [accuracy for accuracy, _, _ in found]
    total = peak_memory_mb() + sum(memory.values())
    return Measurement(case, ended - began + compiling, compiling, accuracies, total)


# --- a GPU ----------------------------------------------------------------------------------------


def platform(case: Case) -> dict[str, str]:
    """Return JAX's platform and the name of its first device."""
    import jax

    device = jax.devices()[0]
    return {"platform": device.platform, "device": device.device_kind}


SYSTEMS: dict[str, Callable[[Case], Measurement]] = {
    "popnet": popnet,
    "torch": torch_loop,
    "torch-processes": process_pool,
    "torch-compile": process_pool,
    "sklearn": process_pool,
}


def main() -> None:
    """Measure the case given as JSON in the first argument and print what was found, as JSON."""
    case = Case(**json.loads(sys.argv[1]))
    if case.system == "platform":
        print(json.dumps(platform(case)))
    else:
        print(json.dumps(SYSTEMS[case.system](case).to_dict()))


if __name__ == "__main__":
    main()
