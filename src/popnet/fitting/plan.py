"""What a fit trains in the time that it has: the space, how many recipes, how many epochs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from popnet.data.dataset import Dataset, Images
from popnet.fitting import pacing
from popnet.nn import net
from popnet.options import Options
from popnet.population.members import Member, Result
from popnet.population.train import Trainer
from popnet.prepare.prepared import Prepared
from popnet.runtime import keys
from popnet.runtime.memory import Memory
from popnet.runtime.progress import Progress
from popnet.runtime.progress import clock as time_text
from popnet.spec.recipe import MOST_EPOCHS, Recipe
from popnet.spec.shape import Shape
from popnet.tuning.space.image_space import WIDTHS, image_space
from popnet.tuning.space.space import Space
from popnet.tuning.space.table_space import FEW, default_space
from popnet.types import Array

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

PILOT_IMAGES = 1024
"""Images of the trainings that time a net."""

SAFETY = 0.92
"""Share of the time that is planned for training images: a plan that is a little short costs a whole member."""

SPEED_EXPONENT = 0.82
"""An image's time grows with this power of a net's multiplications (measured from 16 to 32 channels)."""

ENOUGH, MOST_STRETCH = 1.5, 2
"""A wider net is taken if it can have so many times its usual epochs (narrower nets with more epochs were better in the
same time: on Fashion-MNIST, in 500 s, width 16 and 29 epochs had 6.4 % errors, width 24 and 18 epochs 6.9 %); no net
has more than so many times of them."""

CHECK_SHARE, CHECK_SECONDS = 0.2, 240.0
"""At most this share of a time limit, and so many seconds, go into the check of the transformations."""

IMAGE_WIDTH, IMAGE_MEMBERS = 16, 10
"""Channels and members of a fit of images without a time limit."""


@dataclass(frozen=True)
class Plan:
    """What is to be trained.

    Attributes:
        space: where recipes come from.
        recipes: how many, or None for as many as the time allows.
        epochs: of a member.
        trainings: whole ones that the time has room for, of so many epochs; None without a limit.
        paced: whether members that are begun later get the epochs that the time which is left then has room for.
        check: what was found about transformations of images, as plain JSON; None if nothing was asked.
        parts: epochs that are a pass over the training rows; more than 1 with very many of them.
    """

    space: Space
    recipes: int | None
    epochs: int
    trainings: float | None = None
    paced: bool = False
    check: dict[str, Any] | None = None
    parts: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON; see `from_json`."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**own, "space": self.space.to_json()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Plan:
        """Return the plan that `to_json` wrote."""
        return cls(**{**content, "space": Space.from_json(content["space"])})


def seed_of(options: Options, recipe_id: int) -> int:
    """Return a recipe's seed: one of its own, also among the runs of other seeds."""
    return int(keys.key(options.seed, "member", recipe_id))


def plan_table(
    prepared: Prepared,
    options: Options,
    trainer: Trainer,
    tell: Callable[[Progress], None],
    on_pilot: Callable[[Result], None] = lambda _: None,
) -> Plan:
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
    trainer.specialised = space.fixes(*ONE_KIND)
    shape = Shape.of(space.base, prepared.data)  # refuses a recipe that is not for tables
    grid = _Grid.of(space, options, folds)
    if members is None and limit is None and grid is None and options.search_patience is None:
        members = pacing.DEFAULT_MEMBERS
    recipes = None if members is None else -(-members // folds)
    if grid is not None:
        recipes = grid.recipes
    parts = trainer.arrays.parts(0, shape)
    for note in epochs_note(rows, parts):
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
    return Plan(space, recipes, epochs, trainings, parts=parts)


def wanted_epochs(space: Space, parts: int) -> int:
    """Return the epochs that a member has without a time limit, if so many of them are a pass."""
    return min(space.base.epochs * parts, MOST_EPOCHS)


def epochs_note(rows: int, parts: int) -> list[str]:
    """Return a sentence on what an epoch is, where it is no pass over the training rows of a fold."""
    if parts == 1:
        return []
    return [
        f"an epoch is {rows // parts:,} of the {rows:,} training rows; {parts} of them are a pass"
    ]


def planned_space(data: Dataset, rows: int, options: Options, short: bool = False) -> Space:
    """Return what is searched for a table: less where there is little time, as each kind of net has to be compiled.

    Args:
        data: the table.
        rows: training rows of a fold.
        options: the user's.
        short: whether memory is short.
    """
    seconds = np.inf if options.time_limit is None else options.time_limit
    seconds /= np.sqrt(max(1.0, rows / MANY_ROWS))
    shapes = 1 if short else 1 + sum(seconds >= least for least in SHAPES_SECONDS)
    space = default_space(data, rows, options.recipe, shapes)
    known_first = options.strategy(images=False) == "portfolio"
    many = PORTFOLIO_SECONDS if known_first else SEARCH_SECONDS
    if short or seconds < (FEW_ROWS_SECONDS if rows < FEW else many):
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
        kept = pacing.finishing_seconds(options.time_limit, 0)
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


@dataclass(frozen=True)
class _Grid:
    """A grid that is to be trained.

    Attributes:
        points: of the full factorial.
        beside: whether the default recipe, which is trained first, is none of them.
        recipes: to train, fewer if fewer members were asked for.
    """

    points: int
    beside: bool
    recipes: int

    @classmethod
    def of(cls, space: Space, options: Options, folds: int) -> _Grid | None:
        """Return the grid of a space, None if another search was chosen."""
        if options.search != "grid":
            return None
        points = list(space.grid())
        beside = space.base not in points
        whole = len(points) + beside
        asked = whole if options.members is None else -(-options.members // folds)
        return cls(len(points), beside, min(whole, asked))

    def words(self, folds: int, seconds: float | None, workers: int) -> str:
        """Return how large it is and how long it takes, if a net takes so many seconds."""
        beside = ", beside the default one" if self.beside else ""
        nets = self.recipes * folds
        text = f"the grid has {self.points:,} recipes{beside}; {nets:,} nets are to be trained"
        if seconds is None:
            return text
        longest = time_text(nets * seconds / workers)
        return f"{text}, at most about {longest} if none stops early"


# --- images ----------------------------------------------------------------------------------------


def pilot_fold(prepared: Prepared) -> tuple[Array, Array]:
    """Return a fold of a few batches, by which training is timed with the very program that trains the members."""
    fold = prepared.folds[0]
    return fold.train[:PILOT_IMAGES], fold.valid[:PILOT_IMAGES]


def plan_images(
    prepared: Prepared,
    options: Options,
    clock: pacing.Clock,
    trainer: Trainer,
    tell: Callable[[Progress], None],
    stop: threading.Event,
) -> Plan:
    """Plan a fit of images: which transformations, how wide a net, how many recipes and epochs.

    Args:
        prepared: the data.
        options: the user's.
        clock: the time limit.
        trainer: that will train the members; its last fold is `pilot_fold`.
        tell: receives how far it is.
        stop: when set, the twins' training ends.
    """
    images = prepared.data.features
    assert isinstance(images, Images)
    rows = prepared.fold_rows
    # A recipe that does not fit the images is refused before anything is trained.
    Shape.of(image_space(images.size, rows, IMAGE_WIDTH, {}, options.recipe).base, prepared.data)
    policy, record = _policy(prepared, options, clock, tell, stop, trainer.memory)
    folds = len(prepared.folds)

    def space(width: int) -> Space:
        found = image_space(images.size, rows, width, policy, options.recipe)
        return found.having(options.ranges)

    workers = trainer.workers

    def time_of(width: int) -> float:
        return _image_seconds(space(width).base, prepared, options, trainer)

    def tell_grid(width: int, epochs: int, seconds_per_image: float) -> None:
        grid = _Grid.of(space(width), options, folds)
        if grid is not None:
            each = epochs * rows * seconds_per_image
            tell(Progress("planning", note=grid.words(folds, each, workers)))

    members = options.members
    grid = _Grid.of(space(IMAGE_WIDTH), options, folds)
    if grid is not None:
        members = grid.recipes * folds
    if options.time_limit is None:
        endless = options.search_patience is not None and not members
        wanted = None if endless else -(-(members or IMAGE_MEMBERS) // folds)
        base = space(IMAGE_WIDTH)
        if grid is not None:
            tell_grid(IMAGE_WIDTH, base.base.epochs, time_of(IMAGE_WIDTH))
        return Plan(base, wanted, base.base.epochs, check=record)
    tell(Progress("planning", left=pacing.finite(clock.left())))

    def affordable(seconds_per_image: float, recipes: int) -> float:
        """Return the epochs that so many recipes can have."""
        rounds = -(-recipes * folds // workers)
        return SAFETY * trainer.remaining() / (rounds * rows * seconds_per_image)

    fewest = -(-members // folds) if members else pacing.fewest_recipes(folds, workers)
    measured = {IMAGE_WIDTH: time_of(IMAGE_WIDTH)}
    width = IMAGE_WIDTH
    if options.recipe is None or "width" not in options.recipe.model_fields_set:
        width = _widest(
            space, prepared.data, measured[IMAGE_WIDTH], lambda t: affordable(t, fewest)
        )
    if width not in measured:
        measured[width] = time_of(width)
    chosen, each = space(width), measured[width]
    recipes = fewest
    if not members:
        # More epochs before more recipes: on Fashion-MNIST single nets had 7.5 % errors after 16, 6.4 % after 29.
        while affordable(each, recipes + fewest) >= MOST_STRETCH * chosen.base.epochs:
            recipes += fewest
    epochs = int(np.clip(affordable(each, recipes), 1, MOST_STRETCH * chosen.base.epochs))
    if options.recipe is not None and "epochs" in options.recipe.model_fields_set:
        epochs = min(epochs, chosen.base.epochs)
    tell_grid(width, epochs, each)
    # The machine may be faster or slower than it was measured to be.
    return Plan(chosen, recipes if members else None, epochs, paced=not members, check=record)


def _widest(
    space: Callable[[int], Space], data: Dataset, seconds: float, epochs: Callable[[float], float]
) -> int:
    """Return the widest net that can still be trained for a good part of its epochs.

    Args:
        space: of a width.
        data: the fit's.
        seconds: measured, for an image in training, of a net `IMAGE_WIDTH` wide.
        epochs: that can be afforded at so many seconds an image.
    """
    products = {w: net.multiply_adds(Shape.of(space(w).base, data)) for w in WIDTHS}
    best = WIDTHS[0]
    for width in WIDTHS:
        estimate = seconds * (products[width] / products[IMAGE_WIDTH]) ** SPEED_EXPONENT
        if epochs(estimate) >= ENOUGH * space(width).base.epochs:
            best = width
    return best


def _image_seconds(recipe: Recipe, prepared: Prepared, options: Options, trainer: Trainer) -> float:
    """Measure what an image costs in a training with all workers busy, by a training of a few batches."""
    workers, pilot = trainer.workers, len(prepared.folds)
    count = len(pilot_fold(prepared)[0])
    seconds: list[float] = []
    for _ in range(2):  # the first while others wait for the compiler
        members = [
            Member(recipe.replace(epochs=1), seed_of(options, k), pilot) for k in range(workers)
        ]
        seconds = [r.seconds for _, r in trainer.run(enumerate(members)) if r.epochs] or seconds
    return float(np.mean(seconds)) / count if seconds else 1e-2


def _policy(
    prepared: Prepared,
    options: Options,
    clock: pacing.Clock,
    tell: Callable[[Progress], None],
    stop: threading.Event,
    memory: Memory,
) -> tuple[dict[str, float], dict[str, Any] | None]:
    """Return the fields of the transformations that are used, and what was found about them."""
    from popnet.ablation.transformations import check

    images = prepared.data.features
    assert isinstance(images, Images)
    standard = standard_policy(images.size)
    if options.augment == "none":
        return {}, None
    if options.augment == "standard":
        return standard, None
    deadline = None
    if options.time_limit is not None:
        share = min(CHECK_SHARE * options.time_limit, CHECK_SECONDS)
        deadline = time.monotonic() + min(share, 0.5 * clock.left())

    def progress(done: int, total: int) -> None:
        tell(Progress("augmentation", done, total, pacing.finite(clock.left())))

    found = check.check(
        prepared.data, prepared.train, seed=options.seed, deadline=deadline, workers=options.workers,
        stop=stop, on_progress=progress, memory=memory,
    )  # fmt: skip
    if found is None:
        return standard, None
    return found.policy(), check.record(found, prepared.schema.target.classes)


def standard_policy(image: tuple[int, int, int]) -> dict[str, float]:
    """Return mild transformations that hardly ever change a class, for when nothing was measured."""
    from popnet.ablation.transformations.check import elastic

    return {
        "translation": 0.06, "rotation": 8.0, "scaling": 0.1, "shear": 5.0,
        **elastic(min(image[:2]), 0.7),
    }  # fmt: skip
