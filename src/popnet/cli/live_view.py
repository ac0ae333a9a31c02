"""A fit's population as it trains, on a terminal (popnet fit --watch)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from popnet.cli.status_line import Watcher
from popnet.runtime.progress import Progress, TrainingState, clock
from popnet.runtime.sizes import words

if TYPE_CHECKING:
    from rich.console import RenderableType

SCORE_SECONDS, SCORE_SHARE = 2.0, 0.02
"""Seconds between two looks at the ensemble's score, at least, and the share of the time that these may take."""

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 40
"""Scores of the ensemble that are drawn: the latest ones."""

STATUSES = {
    "finished": "trained to the end",
    "stopped": "stopped early",
    "diverged": "diverged",
    "interrupted": "interrupted",
    "paused": "paused",
    "dropped": "dropped",
}
"""What became of a net, in words."""


class LiveView(Watcher):
    """As `Watcher`, with some lines on the population that are kept up to date while it is trained."""

    def __init__(self, quiet: bool) -> None:
        super().__init__(quiet)
        self.scores: list[float] = []
        self._looked, self._took = 0.0, 0.0

    def __call__(self, p: Progress) -> None:
        """Show a progress record."""
        if p.state is None or p.note or self._status is None:
            super().__call__(p)
            return
        self.done = self.trained = p.done
        self.look(p.state)
        self._show(self._status.update, view(p, p.state, self.scores))

    def look(self, state: TrainingState) -> None:
        """Take note of the ensemble's score, if it is time."""
        now = time.monotonic()
        if now - self._looked < max(SCORE_SECONDS, self._took / SCORE_SHARE):
            return
        found = state.ensemble_score()
        self._looked = time.monotonic()
        self._took = self._looked - now
        if found is not None:
            self.scores.append(found)


def view(p: Progress, state: TrainingState, scores: list[float]) -> RenderableType:
    """Return what is shown of a population.

    Args:
        p: how far the fit is.
        state: of its population.
        scores: of the ensemble so far, the latest last.
    """
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    nets = f"{p.done:,} nets" if p.total is None else f"{p.done:,} of {p.total:,} nets"
    left = "" if p.left is None else f", {clock(p.left)} left"
    table.add_row("training", f"{nets}, {state.recipes:,} recipes on all folds{left}")
    ended = [f"{n:,} {STATUSES.get(name, name)}" for name, n in state.statuses.items() if n]
    if ended:
        table.add_row("nets", ", ".join(ended))
    if p.best is not None:
        table.add_row("best recipe", f"{p.metric} {p.best:.4g} (validation)")
    if scores:
        table.add_row(
            "ensemble", f"{p.metric} {scores[-1]:.4g} (validation)  {sparkline(scores[-WIDTH:])}"
        )
    table.add_row("memory", f"{words(state.memory)} of {words(state.memory_limit)}")
    return table


def sparkline(values: list[float]) -> str:
    """Return a row of bars, the least value lowest; of one value, or of equal ones, bars of half the height."""
    low, high = min(values), max(values)
    if high == low:
        return BARS[3] * len(values)
    return "".join(BARS[round((v - low) / (high - low) * (len(BARS) - 1))] for v in values)
