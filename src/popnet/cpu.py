"""What this process may use of the machine's processor, and how programs for it are compiled."""

from __future__ import annotations

import os

# One worker thread a core already: a product must not be spread over the cores again.
CPU_OPTIONS = {"xla_cpu_multi_thread_eigen": False}


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
