"""The machine's matrix-product throughput, measured whenever a line comes in on stdin.

Run as a process of its own, which waits between measurements, so that a measurement takes a second
at any moment of a benchmark. Float32, 1024 x 1024: by JAX with one single-threaded product a core,
and by PyTorch.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import torch

SIZE = 1024
FLOPS = 2.0 * SIZE**3
SECONDS = 0.4
ROUNDS = 3


def rate(work: Callable[[], object], seconds: float) -> float:
    """Return GFLOP/s of calling ``work``, one product each, for some seconds."""
    began, calls = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < seconds:
        work()
        calls += 1
    return calls * FLOPS / elapsed / 1e9


def jax_products(cores: int) -> list[Callable[[], object]]:
    """Return a product for each core, compiled to run on the calling thread."""
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    a, b = (jax.random.normal(jax.random.key(i), (SIZE, SIZE)) for i in (0, 1))
    options: dict[str, bool | str] = {"xla_cpu_multi_thread_eigen": False}
    product = jax.jit(jnp.matmul).lower(a, b).compile(compiler_options=options)

    def work() -> object:
        return product(a, b).block_until_ready()

    return [work] * cores


def together(works: list[Callable[[], object]], seconds: float) -> float:
    """Return GFLOP/s of several threads, summed."""
    rates = [0.0] * len(works)

    def run(i: int) -> None:
        rates[i] = rate(works[i], seconds)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(rates)


def main() -> None:
    """Answer each line of stdin with a measurement, the best of a few rounds, as JSON."""
    cores = int(sys.argv[1])
    torch.set_num_threads(cores)
    x, y = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)
    out = torch.empty(SIZE, SIZE)
    products = jax_products(cores)
    part = SECONDS / ROUNDS
    for _ in sys.stdin:
        by_torch = max(rate(lambda: torch.mm(x, y, out=out), part) for _ in range(ROUNDS))
        by_jax = max(together(products, part) for _ in range(ROUNDS))
        print(json.dumps({"torch": by_torch, "jax": by_jax}), flush=True)


if __name__ == "__main__":
    main()
