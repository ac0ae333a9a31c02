"""What this process may use of the machine's processor: its cores, a JAX device for each, and JAX's settings."""

from __future__ import annotations

import atexit
import hashlib
import os
import platform
import tempfile
import threading
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from popnet.runtime import typed_jax
from popnet.runtime.fork import begin_threads

Device = Any

# One worker a core already: a product must not be spread over the cores again.
CPU_OPTIONS = {"xla_cpu_multi_thread_eigen": False}

MAX_CLIENTS = 8
"""Devices of the CPU at most."""

MAX_CACHE_BYTES = 2**30
"""Compiled programs on disk take at most this, and those used longest ago go first. A structure takes 1 to 2 MB."""

_devices: list[Device] = []
_lock = threading.Lock()


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def prepare() -> None:
    """Set JAX up for populations; does nothing to settings that the host program has made already.

    Programs run on the thread that calls them, and compiled programs are kept on disk (in ``POPNET_CACHE``, else
    the user's cache folder), so that a second run of the same shapes starts at once.

    Raises:
        ForkError: this process was forked from one that had used JAX.
    """
    begin_threads()
    _set_up()


@cache
def _set_up() -> None:
    if "JAX_CPU_ENABLE_ASYNC_DISPATCH" not in os.environ:
        jax.config.update("jax_cpu_enable_async_dispatch", False)
    if not getattr(jax.config, "jax_compilation_cache_dir", None):
        folder = cache_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:  # a read-only home: programs are then kept while this process lives
            temporary = tempfile.TemporaryDirectory(prefix="popnet-")
            atexit.register(temporary.cleanup)
            folder = Path(temporary.name)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_compilation_cache_max_size", MAX_CACHE_BYTES)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def cache_folder() -> Path:
    """Return the folder of compiled programs: in ``POPNET_CACHE``, else the user's cache folder, one for each kind of
    machine.

    Its name carries the versions of JAX and the processor's features: a program that was compiled elsewhere may be
    rejected, or crash (https://github.com/jax-ml/jax/issues/38445).
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get("POPNET_CACHE") or home / "popnet")
    digest = hashlib.blake2b(processor().encode(), digest_size=6).hexdigest()
    return folder / f"jax-{jax.__version__}-jaxlib-{version('jaxlib')}-{digest}"


def processor() -> str:
    """Return what is known of the processor: its architecture, and on Linux its model and features."""
    known = [platform.machine(), platform.system()]
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "\n".join([*known, platform.processor()])
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {k.strip(): v.strip() for k, v in fields.items()}
    names = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU part")
    return "\n".join([*known, *(named.get(name, "") for name in names)])


def devices(workers: int) -> list[Device]:
    """Return a JAX device for each of so many workers, with threads that it does not share.

    All devices of one XLA client share a pool of threads, over which it spreads large operations even when it is told
    not to: programs that run at the same time then wait for each other (1.2 to 1.6 times slower, measured with jax
    0.10). So each worker gets a client of its own, up to `MAX_CLIENTS`, which many workers share equally: a program
    has to be loaded for every client. Arrays of `popnet.runtime.compiled.empty` are not copied to them.
    """
    prepare()
    with _lock:
        clients = min(workers, MAX_CLIENTS)
        threads = -(-cores() // MAX_CLIENTS)
        while len(_devices) < clients:
            _devices.append(_client(threads))
        return [_devices[i % clients] for i in range(workers)]


def _client(threads: int) -> Device:
    """Return the device of a new XLA client with so many threads; JAX's own device where there can be none.

    JAX has no public way to make one. Where a new version of it has changed the private one, all workers share JAX's
    client: slower, with the same results.
    """
    own = typed_jax.local_devices("cpu")  # JAX sets itself up first
    before = os.environ.get("NPROC")
    os.environ["NPROC"] = str(threads)  # read by XLA when it makes a client's pool of threads
    try:
        from jaxlib import xla_client

        private: Any = xla_client
        return private.make_cpu_client(asynchronous=False).devices()[0]
    except (ImportError, AttributeError, TypeError):
        return own[len(_devices) % len(own)]
    finally:
        if before is None:
            del os.environ["NPROC"]
        else:
            os.environ["NPROC"] = before
