"""What popnet fit --watch shows, and the score of the ensemble that it shows."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from popnet import Recipe
from popnet.cli import live_view
from popnet.cli.live_view import BARS, LiveView, sparkline, view
from popnet.fitting.run import fit
from popnet.options import Options
from popnet.runtime.progress import Progress, TrainingState

STATE = TrainingState({"finished": 4, "stopped": 2, "paused": 0}, 3, 2.5e8, 4e9, lambda: 0.75)


def shown(
    progress: Progress, state: TrainingState = STATE, scores: list[float] | None = None
) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(view(progress, state, scores or []))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_all_that_is_known_is_shown():
    said = shown(Progress("training", 6, 10, 61.0, 0.71234, "accuracy"), scores=[0.5, 0.75])
    for words in (
        "6 of 10 nets, 3 recipes on all folds, 1:01 left", "4 trained to the end, 2 stopped early", "accuracy 0.7123",
        "accuracy 0.75 (validation)  ▁█", "250 MB of 4 GB",
    ):  # fmt: skip
        assert words in said
    assert "paused" not in said


def test_what_is_not_known_yet_is_left_out():
    said = shown(Progress("training", 0, None, None), replace(STATE, statuses={}, recipes=0))
    assert "0 nets" in said
    for words in ("left", "best", "ensemble", "None"):
        assert words not in said


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60))
def test_bars_are_as_high_as_the_values(values):
    bars = sparkline(values)
    heights = [BARS.index(b) for b in bars]
    assert len(bars) == len(values)
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff(np.array(heights)[order]) >= 0)
    if max(values) > min(values):
        assert (min(heights), max(heights)) == (0, len(BARS) - 1)


def test_the_score_is_looked_at_seldom_enough(monkeypatch):
    clock = iter([10.0, 10.5, 11.0, 36.0, 36.1])
    monkeypatch.setattr(live_view.time, "monotonic", lambda: next(clock))
    seen = LiveView(quiet=True)
    seen.look(STATE)  # takes half a second, so that the next is due 25 s later
    seen.look(STATE)
    assert seen.scores == [0.75]
    seen.look(STATE)
    assert seen.scores == [0.75, 0.75]


def test_a_fit_tells_its_state_and_the_ensembles_score():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 2))
    table = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.where(x[:, 0] > 0, "yes", "no")})
    found: list[tuple[TrainingState, float | None, float | None]] = []

    def watch(progress: Progress) -> None:
        if progress.state is not None:
            found.append((progress.state, progress.state.ensemble_score(), progress.best))

    recipe = Recipe(depth=1, width=4, epochs=3)
    fitted = fit(table, "y", Options(members=4, folds=2, recipe=recipe), on_progress=watch)
    states, scores, best = zip(*found, strict=True)
    assert sum(states[-1].statuses.values()) == 4 == len(fitted.results)
    assert states[-1].recipes == 2
    assert states[-1].memory > 0
    assert scores[0] is None  # one fold's net is no recipe on all folds
    assert 0.5 < scores[-1] <= 1
    assert scores[-1] >= best[-1] - 0.05  # it is chosen by the log-loss
