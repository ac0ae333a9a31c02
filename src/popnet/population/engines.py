"""Where members are trained: on this machine, or on a Ray cluster."""

from __future__ import annotations

from threading import Event

from popnet.errors import InputError, closest
from popnet.population.feed import Arrays
from popnet.population.train import Trainer
from popnet.runtime.memory import Memory

LOCAL, RAY = "local", "ray"


def check(engine: str) -> None:
    """Raise `InputError` if there is no such engine."""
    if engine not in (LOCAL, RAY) and not str(engine).startswith(f"{RAY}:"):
        raise InputError(
            f"engine must be local, ray or ray:ADDRESS; got {engine!r}.{closest(str(engine), (LOCAL, RAY))}"
        )


def make(
    engine: str,
    arrays: Arrays,
    deadline: float | None = None,
    workers: int | None = None,
    stop: Event | None = None,
    memory: Memory | None = None,
) -> Trainer:
    """Return a trainer; see `Trainer` for the arguments.

    Args:
        engine: ``local``; ``ray`` for a cluster that is started on this machine; ``ray:HOST:PORT`` or ``ray:auto`` for
            one that is there.
        arrays, deadline, workers, stop, memory: as of `Trainer`.

    Raises:
        InputError: there is no such engine, Ray is not installed, or no cluster answers.
    """
    check(engine)
    if engine == LOCAL:
        return Trainer(arrays, deadline, workers, stop, memory)
    from popnet.population.cluster import ClusterTrainer

    return ClusterTrainer(arrays, deadline, workers, stop, memory, engine.partition(":")[2] or None)
