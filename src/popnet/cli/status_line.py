"""Progress as people see it: one line on stderr that is rewritten, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from popnet.runtime.progress import Progress, clock

COUNTED = {
    "reading images": "read", "reading rows": "read", "augmentation": "nets", "study": "nets", "doctor": "nets",
    "claims": "claims", "explaining": "rows", "importance": "nets",
}  # fmt: skip
"""Stages beside the training that are counted, and what is counted."""


def line(p: Progress) -> str:
    """Return one line for people: stage, nets done, best score, time left."""
    parts = [p.stage]
    if p.total and p.stage in COUNTED:
        parts = [f"{p.stage}: {p.done:,} of {p.total:,} {COUNTED[p.stage]}"]
    if p.stage == "training":
        parts = [f"{p.done} nets" if p.total is None else f"{p.done} of {p.total} nets"]
    if p.best is not None:
        parts.append(f"best {p.metric} {p.best:.4g} (validation)")
    if p.left is not None:
        parts.append(f"{clock(p.left)} left")
    return " · ".join(parts)


class Watcher:
    """Prints notes and keeps a status line up to date while it is open.

    Args:
        quiet: print nothing at all.

    Attributes:
        done: how much of what is counted has ended, by the latest progress.
        trained: the same, of the stages after reading.
    """

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._live = not quiet and sys.stderr.isatty()
        self._status = None
        self.done = 0
        self.trained = 0

    def __enter__(self) -> Self:
        if self._live:
            from rich.console import Console

            self._console = Console(stderr=True)
            self._status = self._console.status("starting", spinner_style="cyan")
            self._show(self._status.start)
        return self

    def __call__(self, p: Progress) -> None:
        """Show a progress record."""
        if not p.note:
            self.done = p.done
            if not p.stage.startswith("reading"):
                self.trained = p.done
        if self._quiet:
            return
        if p.note:
            self.note(p.note)
        elif self._status is not None:
            self._show(self._status.update, line(p))

    def note(self, text: str) -> None:
        """Print a line that stays, on a terminal only."""
        if self._live:
            self._show(self._console.print, f"  {text}", style="dim", highlight=False, markup=False)

    def _show(self, call: Callable[..., object], *arguments: Any, **options: Any) -> None:
        """Write to the terminal, and no more from the moment on that it cannot be written to."""
        try:
            call(*arguments, **options)
        except (OSError, ValueError):
            self._live, self._status = False, None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._show(self._status.stop)
