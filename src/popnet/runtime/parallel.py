"""The same work for many items on all cores, with progress, ended promptly by Ctrl-C."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from popnet.runtime.cpu import cores

REPORT_SECONDS = 0.25


def parallel_for(
    n: int,
    work: Callable[[int], None],
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Call ``work(i)`` for i from 0 to ``n - 1``, in any order.

    Args:
        n: number of items.
        work: what is to be done with one; Pillow and NumPy let others run meanwhile.
        workers: threads, by default one per core.
        on_progress: called on this thread with the items done and ``n``, at the start, at the end
            and every quarter of a second.
    """
    workers = max(1, min(workers or cores(), n))
    if workers == 1 and on_progress is None:  # a thread takes longer to begin than much of the work
        for i in range(n):
            work(i)
        return
    numbers, stop, done = itertools.count(), threading.Event(), [0] * workers

    def run(worker: int) -> None:
        while not stop.is_set() and (i := next(numbers)) < n:
            work(i)
            done[worker] += 1

    def report(done: int) -> None:
        if on_progress is not None:
            on_progress(done, n)

    report(0)
    with ThreadPoolExecutor(workers) as pool:
        try:
            left = {pool.submit(run, worker) for worker in range(workers)}
            while left:
                finished, left = wait(left, REPORT_SECONDS)
                for future in finished:
                    future.result()
                report(sum(done))
        except BaseException:
            stop.set()  # each thread ends after the item at hand
            raise
