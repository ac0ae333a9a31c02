"""What bounds the work of a diagnosis."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from popnet.population.feed import Arrays
from popnet.population.train import Trainer
from popnet.runtime.memory import Memory


@dataclass(frozen=True)
class Limits:
    """Limits of time, threads and memory.

    Attributes:
        deadline: moment of ``time.monotonic()`` at which training ends; None for never.
        workers: threads; None for one a core.
        stop: when set, training ends as at the deadline.
        memory: the limit at which training ends.
    """

    deadline: float | None = None
    workers: int | None = None
    stop: threading.Event | None = None
    memory: Memory | None = None

    @property
    def interrupted(self) -> bool:
        """Whether the user has ended the work."""
        return self.stop is not None and self.stop.is_set()

    def trainer(self, arrays: Arrays, probed: bool = False) -> Trainer:
        """Return a trainer within these limits."""
        return Trainer(arrays, self.deadline, self.workers, self.stop, self.memory, probed)


NO_LIMITS = Limits()
