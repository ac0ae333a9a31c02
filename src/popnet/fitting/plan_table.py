"""What a fit of a table trains in the time that it has: the space, how many recipes, how many epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from popnet.data.dataset import Dataset
from popnet.fitting import pacing
from popnet.fitting.plan import FitPlan, Grid, epochs_note, seed_of, wanted_epochs
from popnet.fitting.roughness import Roughness, roughness
from popnet.options import Options
from popnet.population.members import Member, Result
from popnet.population.train import Trainer
from popnet.prepare.prepared import Prepared
from popnet.runtime.clock import finishing_seconds
from popnet.runtime.progress import Progress
from popnet.spec.shape import Shape
from popnet.tuning.space.space import Space
from popnet.tuning.space.table_space import SMALL_TABLE_ROWS, default_space

PILOT_SECONDS = 2.0
"""Epochs shorter than this are timed twice before a run under a time limit is planned."""


LATE_SECONDS = 2.0
"""The first epochs may be so late, of the 5 s by which the end of a short time limit may be."""


PILOT_EPOCHS, PILOT_SHARE = (2, 4), 0.12
"""Epochs of the two nets that show what longer trainings gain; they are trained where the longer one takes less than
this share of the time that is left."""


ONE_KIND = frozenset({"activation", "leaky_slope", "norm"})
"""Fields that are not searched where time or memory is short: a program that holds one kind of them alone is compiled
in two thirds of the time (2.4 s instead of 3.8 for a small table), and takes less memory."""


FEW_ROWS_SECONDS, SEARCH_SECONDS, PORTFOLIO_SECONDS = 20.0, 45.0, 90.0
"""Time limits below which they are not: with few rows; with more, where nets train for longer; and where known recipes
are tried first on these, which leaves little time for others."""


SHAPES_SECONDS = (25.0, 45.0)
"""Time limits from which a table's nets have two and three structures, each compiled by its own."""


MANY_ROWS = 131_072
"""Training rows of a fold with which such times begin to grow, by the square root of how many more there are: with a
million rows and 60 s nets of one structure had an accuracy of .825 (log-loss .376), of three .8225 (.378), as compiling
took 46 s of the cores instead of 9."""


SHAPES_BYTES = 1e9
"""With less memory left than this, all nets of a table have one shape: each shape has programs of its own."""


def plan_table(
    prepared: Prepared,
    options: Options,
    trainer: Trainer,
    tell: Callable[[Progress], None],
    on_pilot: Callable[[Result], None] = lambda _: None,
) -> FitPlan:
    """Plan a fit of a table: under a time limit, by what an epoch takes; a grid is told with its size and time.

    Args:
        prepared: the table.
        options: the user's.
        trainer: times an epoch.
        tell: receives how far it is.
        on_pilot: receives the nets that timed it, which have learned for an epoch.
    """
    rows, folds = prepared.fold_rows, len(prepared.folds)
    limit, members = options.time_limit, options.members
    short = not trainer.memory.room_for(SHAPES_BYTES)
    space = planned_space(prepared.data, rows, options, short)
    notes: tuple[str, ...] = ()
    found = None
    if has_periods(space, options):
        found = roughness(prepared.data, prepared.train, options.seed)
    if found is not None:
        space = planned_space(prepared.data, rows, options, short, found.scale)
        notes = (fast_note(found, space, prepared.encoder.member_numbers),)
    trainer.specialised = space.fixes(*ONE_KIND)
    shape = Shape.of(space.base, prepared.data)  # refuses a recipe that is not for tables
    grid = Grid.of(space, options, folds)
    if members is None and limit is None and grid is None and options.search_patience is None:
        members = pacing.DEFAULT_MEMBERS
    recipes = None if members is None else -(-members // folds)
    if grid is not None:
        recipes = grid.recipes
    parts = trainer.arrays.parts(0, shape)
    for note in [*epochs_note(rows, parts), *notes]:
        tell(Progress("planning", note=note))
    epochs, trainings = wanted_epochs(space, parts), None
    timed = grid is not None or limit is not None
    seconds = _epoch_seconds(space, options, trainer, on_pilot) if timed else None
    if seconds is not None and limit is not None:
        gain = None
        if shape.muon and PILOT_EPOCHS[-1] * seconds < PILOT_SHARE * trainer.remaining():
            gain = _gain(space, options, trainer)
        enough = pacing.enough_epochs(trainer.arrays.steps(0, shape), shape.muon, gain)
        epochs, trainings = pacing.affordable(
            epochs, enough, seconds, trainer.remaining(), trainer.workers,
            folds, members,
        )  # fmt: skip
    if grid is not None:
        each = None if seconds is None else epochs * seconds
        tell(Progress("planning", note=grid.words(folds, each, trainer.workers)))
    return FitPlan(space, recipes, epochs, trainings, parts=parts, notes=notes)


def has_periods(space: Space, options: Options) -> bool:
    """Return whether a search has recipes with periodic embeddings whose scale the data may choose.

    The user chooses what a grid is of, and a scale that is fixed or has a range.
    """
    if options.search == "grid" or any(d.field == "embedding_scale" for d in options.ranges):
        return False
    structures = [space.base.replace(**shape).numeric_embedding for shape in space.shapes]
    return "periodic" in structures and not space.fixes("embedding_scale")


def fast_note(found: Roughness, space: Space, names: Sequence[str]) -> str:
    """Return a sentence on the fast periods that are tried, and why.

    Args:
        found: how the target changes.
        space: what is searched.
        names: of the numeric columns.
    """
    columns = " and ".join(names[c] for c in found.columns)
    scales = sorted({r.embedding_scale for r in space.known() if r.embedding_scale >= found.scale})
    tried = " and ".join(f"{scale:.3g}" for scale in scales)
    how = f"periodic embeddings with fast periods (embedding_scale {tried}) are tried, too"
    if not scales:
        how = "embedding_scale is searched up to faster periods"
    return f"the target changes fast along {columns}: {how}"


def planned_space(
    data: Dataset, rows: int, options: Options, short: bool = False, fast: float | None = None
) -> Space:
    """Return what is searched for a table: less where there is little time, as each kind of net has to be compiled.

    Args:
        data: the table.
        rows: training rows of a fold.
        options: the user's.
        short: whether memory is short.
        fast: see `default_space`.
    """
    seconds = np.inf if options.time_limit is None else options.time_limit
    seconds /= np.sqrt(max(1.0, rows / MANY_ROWS))
    shapes = 1 if short else 1 + sum(seconds >= limit for limit in SHAPES_SECONDS)
    space = default_space(data, rows, options.recipe, shapes, fast)
    known_first = options.strategy(images=False) == "portfolio"
    many = PORTFOLIO_SECONDS if known_first else SEARCH_SECONDS
    if short or seconds < (FEW_ROWS_SECONDS if rows < SMALL_TABLE_ROWS else many):
        space = space.without(ONE_KIND)
    return space.having(options.ranges)


def _epoch_seconds(
    space: Space, options: Options, trainer: Trainer, on_pilot: Callable[[Result], None]
) -> float | None:
    """Compile the shapes' programs with one epoch of each; return what an epoch takes, None if there was no time."""
    pilots = [
        Member(space.base.replace(epochs=1, **shape), seed_of(options, 0)) for shape in space.shapes
    ]

    def trained() -> list[Result]:
        return [r for _, r in trainer.run(enumerate(pilots)) if r.epochs]

    # The first epochs may take of the time that is kept for the end, and a little more: with nothing trained, that is a
    # linear model, and the next run would have to compile again.
    deadline = trainer.deadline
    if deadline is not None:
        kept = finishing_seconds(options.time_limit, 0)
        trainer.deadline = deadline + kept + LATE_SECONDS
    results = trained()
    trainer.deadline = deadline
    for result in results:
        on_pilot(result)
    if len(pilots) > 1 and results and max(r.seconds for r in results) < PILOT_SECONDS:
        # Again, now that no other core is busy compiling: it had made them look slower.
        results = trained() or results
    return float(np.mean([r.seconds for r in results])) if results else None


def _gain(space: Space, options: Options, trainer: Trainer) -> float | None:
    """Return the share of the loss that twice the epochs take away, on the first fold; None if there was no time."""
    nets = [
        Member(space.base.replace(epochs=epochs), seed_of(options, 0)) for epochs in PILOT_EPOCHS
    ]
    ended = {i: r for i, r in trainer.run(enumerate(nets)) if r.epochs == PILOT_EPOCHS[i]}
    if len(ended) < len(nets):
        return None
    few, more = (float(min(ended[i].curves["valid_loss"])) for i in range(len(nets)))
    return 1 - more / few if few > 0 else None
