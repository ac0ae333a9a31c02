"""A run's time limit, and the part of it that is kept for what comes after training."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np


def finite(seconds: float) -> float | None:
    """Return seconds as they are shown: None for those of a run without a limit."""
    return float(seconds) if np.isfinite(seconds) else None


@dataclass(frozen=True)
class Clock:
    """A time limit, counted from the command's start.

    Attributes:
        began: moment of ``time.monotonic()``.
        limit: seconds, or None.
    """

    began: float
    limit: float | None

    def elapsed(self) -> float:
        """Return seconds since the start."""
        return time.monotonic() - self.began

    def left(self) -> float:
        """Return seconds until the limit, infinite without one."""
        return np.inf if self.limit is None else self.limit - self.elapsed()

    def training_deadline(self, finishing: float) -> float | None:
        """Return the moment at which training must end, so that ``finishing`` seconds are left for the rest."""
        if self.limit is None:
            return None
        return self.began + self.limit - finishing


@dataclass(frozen=True)
class Finish:
    """The time that is kept for what comes after training: ensemble, scores, report.

    Attributes:
        clock: the time limit.
        seconds: kept.
    """

    clock: Clock
    seconds: float

    def has_left(self, share: float, seconds: float = 0.0) -> bool:
        """Return whether at least a share of it is left, after so many seconds more."""
        return self.clock.left() - seconds >= share * self.seconds

    def moment(self, share: float) -> float | None:
        """Return the moment of ``time.monotonic()`` at which a share of it is left; None without a limit."""
        limit = self.clock.limit
        return None if limit is None else self.clock.began + limit - share * self.seconds


def finishing_seconds(limit: float | None, test_rows: int, more: float = 0.0) -> float:
    """Return seconds to keep for ensemble, test score, report and saving, of a time limit, and ``more``."""
    if limit is None:
        return 0.0
    return min(0.3 * limit, 1.0 + 0.02 * limit + test_rows / 20_000 + more)
