"""What a run can afford: recipes and epochs that fit a time limit."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

DEFAULT_MEMBERS = 40
RECIPES_WANTED = 5
"""Recipes that a time limit should have room for on all folds, or twice as many of which half are only compared on the
first (`popnet.tuning.strategies.screening`); epochs are cut to make that room, down to `enough_epochs`. With 8 the
nets of 60 s had too few epochs where they learn for long (RMSE of california +2 %, log-loss of letter +7 %)."""

SUFFICIENT_STEPS, MIN_EPOCHS, SUFFICIENT_EPOCHS = 1000, 3, 16
"""Steps after which most nets of tables are good, and the fewest and most epochs that are taken for as many (on letter
nets of 4, 8, 16 and 32 epochs of 57 steps have a log-loss of .58, .35, .20 and .13: few nets that learned their
task are worth more than many that did not)."""

SUFFICIENT_MUON_STEPS, SUFFICIENT_MUON_EPOCHS = 360, 12
"""The same with Muon."""

LITTLE_GAIN, HURRY = 0.04, 0.5
"""Where four epochs take less than this share of the loss of two away, this share of the steps and epochs is enough.
With Muon they took 1 to 3 % on bank, adult, churn, default_credit and otto, where nets of 12 epochs are hardly better
than those of 6, and 5 to 7 % on california, phoneme and wine_quality, where they are 5 % better."""

PACED_SHARE = 0.94
"""Share of the time that is left which is given to trainings that are to end within it; predicting takes some, too."""

MIN_SHARE = 0.4
"""A member is not begun if it could have only less than this share of its epochs."""


def fewest_recipes(folds: int, workers: int, nets: int = 4) -> int:
    """Return the fewest recipes with at least so many nets, and without idle workers where that costs little."""
    recipes = -(-nets // folds)
    for more in range(recipes, recipes + 3):
        if more * folds % workers == 0:
            return more
    return recipes


def enough_epochs(steps: int, muon: bool = False, gain: float | None = None) -> int:
    """Return the epochs that a net should have before another recipe is trained.

    Args:
        steps: batches of an epoch.
        muon: whether that is the optimizer.
        gain: share of the loss that twice the epochs took away; None if that is not known.
    """
    own = (SUFFICIENT_MUON_STEPS, SUFFICIENT_MUON_EPOCHS)
    enough, most = own if muon else (SUFFICIENT_STEPS, SUFFICIENT_EPOCHS)
    if gain is not None and gain < LITTLE_GAIN:
        enough, most = HURRY * enough, HURRY * most
    return int(np.clip(math.ceil(enough / max(steps, 1)), MIN_EPOCHS, most))


class Affordable(NamedTuple):
    """What there is time for: epochs of a member, and whole trainings of so many epochs."""

    epochs: int
    trainings: float


def affordable(
    wanted: int, enough: int, epoch_seconds: float, seconds: float, workers: int, folds: int,
    members: int | None,
) -> Affordable:  # fmt: skip
    """Return what a member can have, so that recipes are trained on all folds before the time is over.

    There is room for `RECIPES_WANTED` recipes, or for fewer, if their members could not have enough epochs otherwise.

    Args:
        wanted: epochs without a limit.
        enough: epochs of a member that are more useful than another recipe, see `enough_epochs`.
        epoch_seconds: measured, of one member on one worker.
        seconds: left for training.
        workers: members in training at once.
        folds: members of a recipe.
        members: how many were asked for, or None for as many as the time allows.
    """
    if not np.isfinite(seconds):
        return Affordable(wanted, np.inf)
    epochs = max(seconds, 0.0) * workers / max(epoch_seconds, 1e-6)
    asked = max(1, (members or 10**9) // folds)
    recipes = int(np.clip(epochs // (folds * enough), 1, min(RECIPES_WANTED, asked)))
    each = int(np.clip(epochs / (folds * recipes), 2, wanted))
    # Where there is not even enough for one recipe, nothing is spent on successive halving.
    most = folds if each < min(enough, wanted) else np.inf
    return Affordable(each, min(epochs / each, most))


def paced_epochs(
    wanted: int, epoch_seconds: float, seconds: float, workers: int, folds: int, due: int
) -> int:
    """Return the epochs of the next member, so that whole trainings fill the time that is left.

    Args:
        wanted: epochs that a member should have.
        epoch_seconds: measured, of one member on one worker.
        seconds: left for training.
        workers: members in training at once.
        folds: members of a recipe.
        due: members of the present recipe that are still to come, with this one.

    Returns:
        From 1 to twice ``wanted``; 0 if there is not even time for `MIN_SHARE` of them.
    """
    possible = PACED_SHARE * seconds / epoch_seconds
    if possible < max(1.0, MIN_SHARE * wanted):
        return 0

    def each(recipes: int) -> float:
        """Return the epochs of a member if so many whole recipes come after this one."""
        return possible / -(-(due + recipes * folds) // workers)

    # So many recipes more that no member has more than is wanted; one fewer, if that comes closer.
    rounds = math.ceil(possible / wanted)
    more = max(0, -(-((rounds - 1) * workers + 1 - due) // folds))
    epochs = each(more)
    if more and epochs < each(more - 1) < wanted * (wanted / epochs):
        epochs = each(more - 1)
    return int(min(max(epochs, 1.0), 2.0 * wanted))
