"""What a fit of images trains in the time that it has: transformations, how wide a net, how many recipes and epochs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from popnet.ablation.transformations.catalogue import standard_policy
from popnet.data.dataset import Dataset, Images
from popnet.fitting import pacing
from popnet.fitting.plan import FitPlan, Grid, seed_of
from popnet.nn import net
from popnet.options import Options
from popnet.population.members import Member
from popnet.population.train import Trainer
from popnet.prepare.prepared import Prepared
from popnet.report.fit_page.facts import AugmentationFacts
from popnet.runtime.clock import Clock, finite
from popnet.runtime.memory import Memory
from popnet.runtime.progress import Progress
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Shape
from popnet.tuning.space.image_space import WIDTHS, image_space
from popnet.tuning.space.space import Space
from popnet.types import Array

PILOT_IMAGES = 1024
"""Images of the trainings that time a net."""


SAFETY = 0.92
"""Share of the time that is planned for training images: a plan that is a little short costs a whole member."""


SPEED_EXPONENT = 0.82
"""An image's time grows with this power of a net's multiplications (measured from 16 to 32 channels)."""


MIN_STRETCH, MAX_STRETCH = 1.5, 2
"""A wider net is taken if it can have so many times its usual epochs (narrower nets with more epochs were better in the
same time: on Fashion-MNIST, in 500 s, width 16 and 29 epochs had 6.4 % errors, width 24 and 18 epochs 6.9 %); no net
has more than so many times of them."""


CHECK_SHARE, CHECK_SECONDS = 0.2, 240.0
"""At most this share of a time limit, and so many seconds, go into the check of the transformations."""


IMAGE_WIDTH, IMAGE_MEMBERS = 16, 10
"""Channels and members of a fit of images without a time limit."""


def pilot_fold(prepared: Prepared) -> tuple[Array, Array]:
    """Return a fold of a few batches, by which training is timed with the very program that trains the members."""
    fold = prepared.folds[0]
    return fold.train[:PILOT_IMAGES], fold.valid[:PILOT_IMAGES]


def plan_images(
    prepared: Prepared,
    options: Options,
    clock: Clock,
    trainer: Trainer,
    tell: Callable[[Progress], None],
    stop: threading.Event,
) -> FitPlan:
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
        grid = Grid.of(space(width), options, folds)
        if grid is not None:
            each = epochs * rows * seconds_per_image
            tell(Progress("planning", note=grid.words(folds, each, workers)))

    members = options.members
    grid = Grid.of(space(IMAGE_WIDTH), options, folds)
    if grid is not None:
        members = grid.recipes * folds
    if options.time_limit is None:
        endless = options.search_patience is not None and not members
        wanted = None if endless else -(-(members or IMAGE_MEMBERS) // folds)
        base = space(IMAGE_WIDTH)
        if grid is not None:
            tell_grid(IMAGE_WIDTH, base.base.epochs, time_of(IMAGE_WIDTH))
        return FitPlan(base, wanted, base.base.epochs, check=record)
    tell(Progress("planning", left=finite(clock.left())))

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
        while affordable(each, recipes + fewest) >= MAX_STRETCH * chosen.base.epochs:
            recipes += fewest
    epochs = int(np.clip(affordable(each, recipes), 1, MAX_STRETCH * chosen.base.epochs))
    if options.recipe is not None and "epochs" in options.recipe.model_fields_set:
        epochs = min(epochs, chosen.base.epochs)
    tell_grid(width, epochs, each)
    # The machine may be faster or slower than it was measured to be.
    return FitPlan(chosen, recipes if members else None, epochs, paced=not members, check=record)


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
        if epochs(estimate) >= MIN_STRETCH * space(width).base.epochs:
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
    clock: Clock,
    tell: Callable[[Progress], None],
    stop: threading.Event,
    memory: Memory,
) -> tuple[dict[str, float], AugmentationFacts | None]:
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
        tell(Progress("augmentation", done, total, finite(clock.left())))

    found = check.check(
        prepared.data, prepared.train, seed=options.seed, deadline=deadline, workers=options.workers,
        stop=stop, on_progress=progress, memory=memory,
    )  # fmt: skip
    if found is None:
        return standard, None
    return found.policy(), check.facts(found, prepared.schema.target.classes)
