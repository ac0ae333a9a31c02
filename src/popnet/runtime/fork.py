"""Forked processes: the threads of JAX and polars do not come along, and whoever waits for them waits for ever.

So a process that was forked after they had begun refuses to compute, in a sentence. One that was forked before is like
any other: a model may be loaded, and then the process be forked.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from popnet.errors import ForkError

_THREADS = Path("/proc/self/task")

_POOLS = re.compile(r"polars-\d|tf_XLA")
"""How the threads of polars' and XLA's pools are called, where the system tells (Linux): the caller may have used them
without popnet."""


class _State:
    """What is known of this process.

    Attributes:
        begun: popnet has used JAX or polars in it.
        forking: threads of theirs ran when it was forked last.
        lost: it was forked from a process in which they ran.
    """

    begun = False
    forking = False
    lost = False


def begin_threads() -> None:
    """Note that JAX or polars is about to be used.

    Raises:
        ForkError: this process was forked from one that had used them.
    """
    if _State.lost:
        raise ForkError(
            "This process was forked from one in which JAX or polars had run, and their threads did not come along: "
            "popnet cannot compute here. Start it by 'spawn' or 'forkserver' "
            "(multiprocessing.get_context('spawn')), use joblib's backend 'loky', or fork before anything is "
            "predicted or fitted."
        )
    _State.begun = True


def _before() -> None:
    _State.forking = _State.begun or _pools_run()


def _after_in_child() -> None:
    _State.lost = _State.lost or _State.forking
    _State.begun = False


def _pools_run() -> bool:
    """Whether threads of polars' or XLA's pools run in this process; False where the system does not tell."""
    try:
        threads = list(_THREADS.iterdir())
    except OSError:
        return False
    return any(_POOLS.match(_name(thread)) for thread in threads)


def _name(thread: Path) -> str:
    try:
        return (thread / "comm").read_text()
    except OSError:  # it has ended since
        return ""


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_child=_after_in_child)
