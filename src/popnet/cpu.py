"""What this process may use of the machine's processor: its cores, a JAX device for each, and JAX's settings."""

from __future__ import annotations

import atexit
import os
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any

import jax
from jaxlib import xla_client

Device = Any

# One worker a core already: a product must not be spread over the cores again.
CPU_OPTIONS = {"xla_cpu_multi_thread_eigen": False}

MOST_CLIENTS = 8
"""Devices of the CPU at most."""

_devices: list[Device] = []
_lock = threading.Lock()


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def prepare() -> None:
    """Set JAX up for populations; does nothing to settings that the host program has made already.

    Programs run on the thread that calls them, and compiled programs are kept on disk (in ``POPNET_CACHE``, else
    the user's cache folder), so that a second run of the same shapes starts at once.
    """
    if "JAX_CPU_ENABLE_ASYNC_DISPATCH" not in os.environ:
        jax.config.update("jax_cpu_enable_async_dispatch", False)
    if not getattr(jax.config, "jax_compilation_cache_dir", None):
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = Path(os.environ.get("POPNET_CACHE") or home / "popnet")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:  # a read-only home: programs are then kept while this process lives
            temporary = tempfile.TemporaryDirectory(prefix="popnet-")
            atexit.register(temporary.cleanup)
            folder = Path(temporary.name)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def devices(workers: int) -> list[Device]:
    """Return a JAX device for each of so many workers, with threads that it does not share.

    All devices of one XLA client share a pool of threads, over which it spreads large operations even when it is told
    not to: programs that run at the same time then wait for each other (1.2 to 1.6 times slower, measured with jax
    0.10). So each worker gets a client of its own, up to `MOST_CLIENTS`, which many workers share equally: a program
    has to be loaded for every client. Arrays of `popnet.copies.empty` are not copied to them.
    """
    prepare()
    with _lock:
        clients = min(workers, MOST_CLIENTS)
        threads = -(-cores() // MOST_CLIENTS)
        while len(_devices) < clients:
            _devices.append(_client(threads).devices()[0])
        return [_devices[i % clients] for i in range(workers)]


def _client(threads: int) -> Any:
    jax.local_devices(backend="cpu")  # JAX sets itself up first
    before = os.environ.get("NPROC")
    os.environ["NPROC"] = str(threads)  # read by XLA when it makes a client's pool of threads
    try:
        return xla_client.make_cpu_client(asynchronous=False)
    finally:
        if before is None:
            del os.environ["NPROC"]
        else:
            os.environ["NPROC"] = before
