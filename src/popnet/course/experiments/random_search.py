"""Claim 17: random search finds better hyper-parameters than a grid of equally many trials."""

from __future__ import annotations

import itertools

import numpy as np

from popnet.course.base import ClaimOutcome, Criterion
from popnet.course.evidence import (
    as_points,
    crossed_interval,
    holds_for_gain,
    mean_band,
    side_criteria,
)
from popnet.course.lab import Bench, twins_of_seed
from popnet.course.nets import PLAIN
from popnet.population.members import Member
from popnet.report.document import Line, Lines, Table
from popnet.report.format import fixed
from popnet.runtime import keys
from popnet.spec.recipe import Recipe
from popnet.tuning.space.ranges import Linear, Log
from popnet.types import Array

AXES = {
    "learning_rate": Log(1e-4, 1.0),
    "dropout": Linear(0.0, 0.7),
    "l2": Log(1e-6, 1e-2),
    "init_scale": Log(0.1, 3.0),
}
POINTS = (2, 3)
"""Values of each of the four in a grid: 16 and 81 trials."""

STEPS = 160
SEEDS = 3


def grid(points: int) -> np.ndarray:
    """Return the grid's points in the unit cube, the midpoints of equal parts, ``(points ** axes, axes)``."""
    middles = (np.arange(points) + 0.5) / points
    return np.array(list(itertools.product(middles, repeat=len(AXES))))


def recipe(units: Array, epochs: int) -> Recipe:
    """Return the recipe at a point of the unit cube."""
    values = {
        name: range_.at(float(u)) for (name, range_), u in zip(AXES.items(), units, strict=True)
    }
    return PLAIN.replace(epochs=epochs, **values)


def search_winners(scores: Array, trials: int) -> list[int]:
    """Return the winner of each search, where successive trials form searches of a given size.

    Args:
        scores: ``(T,)`` validation losses, smaller is better.
        trials: of a search.
    """
    starts = range(0, len(scores) - trials + 1, trials)
    return [s + int(np.argmin(scores[s : s + trials])) for s in starts]


def random_search(bench: Bench) -> ClaimOutcome:
    """Test claim 17."""
    table = bench.table
    epochs = bench.epochs(STEPS, table.rows())
    grids = [grid(p) for p in POINTS]
    counts = [len(g) for g in grids]
    groups: list[list[Member]] = []
    for k in range(table.repeats):
        members: list[Member] = []
        for s in range(SEEDS):
            rng = keys.generator(bench.seed, "claims", "search", k, s)
            drawn = rng.random((counts[-1], len(AXES)))
            recipes = [recipe(u, epochs) for part in (*grids, drawn) for u in part]
            members += twins_of_seed(recipes, bench.net_seed("search", k, s), table.fold(k))
        groups.append(members)
    results = bench.train(groups, last=False)
    shape = len(results) * SEEDS, len(counts), len(table.test)
    by_grid, by_chance = np.zeros(shape), np.zeros(shape)
    each = sum(counts) + counts[-1]
    for k, group in enumerate(g[s * each : (s + 1) * each] for g in results for s in range(SEEDS)):
        parts: list[list[int]] = [p.tolist() for p in np.split(np.arange(each), np.cumsum(counts))]
        scores = np.array([r.score for r in group])
        for c, trials in enumerate(counts):
            found = search_winners(scores[parts[c]], trials)
            by_grid[k, c] = bench.errors([group[parts[c][i]] for i in found]).mean(0)
            found = search_winners(scores[parts[-1]], trials)
            by_chance[k, c] = bench.errors([group[parts[-1][i]] for i in found]).mean(0)
    by_grid, by_chance = (
        found.reshape(len(results), SEEDS, *shape[1:]).mean(1) for found in (by_grid, by_chance)
    )
    overlap = table.overlap()
    saved = crossed_interval((by_grid - by_chance).mean(1), overlap)
    each = [crossed_interval(by_grid[:, c] - by_chance[:, c], overlap) for c in range(len(counts))]
    part = Criterion(
        "the recipe that random search finds has a lower test error than the grid's, on average over "
        f"{' and '.join(map(str, counts))} trials",
        f"random search instead of a grid lowers the test error by {as_points(saved)}",
        holds_for_gain(saved, bench.min_gain),
        saved,
    )  # fmt: skip
    beside = side_criteria([f"{n} trials" for n in counts], each, bench.min_gain)
    lines = (
        Line("grid", counts, *mean_band(100 * by_grid.mean(-1))),
        Line("random", counts, *mean_band(100 * by_chance.mean(-1))),
    )
    rows = tuple(
        (name, *(f"{fixed(100 * float(found[:, c].mean()), 1)} %" for c in range(len(counts))))
        for name, found in (("grid", by_grid), ("random", by_chance))
    )
    ranges = ", ".join(f"{name} {range_}" for name, range_ in AXES.items())
    return ClaimOutcome(
        (part, *beside),
        (
            f"ReLU nets of 3 layers of 64 units, gradient descent for {epochs} epochs on {table.rows()} rows; "
            f"the search space is {ranges}. A grid has the midpoints of 2 or 3 equal parts of each range, so that it "
            "does not waste trials on the ends. Both choose by the validation loss; the recipe chosen is evaluated "
            "on the test rows. For the smaller number of trials, the mean over several random searches is taken. "
            f"{len(results)} repetitions with their own rows, each with {SEEDS} seeds and draws.",
            "Bergstra and Bengio's reason: few of the hyper-parameters matter, and a grid of n points tries only a "
            "few values of these, random search n.",
        ),
        (Lines(lines, "trials", bench.error_axis, log_x=True),),
        Table(("search", *(f"{n} trials" for n in counts)), rows),
    )  # fmt: skip
