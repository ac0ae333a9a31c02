"""A member of a population, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from popnet.spec.recipe import Recipe
from popnet.spec.shape import Shape
from popnet.types import Floats, Tree

Status = Literal["running", "stopped", "finished", "diverged", "interrupted", "paused", "dropped"]
STATUSES: tuple[Status, ...] = (
    "running", "stopped", "finished", "diverged", "interrupted", "paused", "dropped",
)  # fmt: skip
RUNNING, STOPPED, FINISHED, DIVERGED, INTERRUPTED, PAUSED, DROPPED = range(7)

CURVES = ("loss", "penalty", "valid_loss", "valid_error", "learning_rate")
"""What is recorded each epoch: training loss (without the penalty), penalty, validation scores, rate at the end."""


@dataclass(frozen=True)
class Member:
    """One net of a population: its result depends on these three and on the data alone.

    Attributes:
        recipe: its hyper-parameters.
        seed: of its initial weights, batches and masks.
        fold: which rows it trains on and is validated on (place in the list of folds).
    """

    recipe: Recipe
    seed: int = 0
    fold: int = 0


@dataclass(frozen=True)
class Pause:
    """A member in the middle of its training: all that it needs to go on.

    Attributes:
        state: a tree of NumPy arrays, see `popnet.population.lanes.TrainingState`.
        curves: ``(E, len(CURVES))`` float32.
        seconds: trained so far.
    """

    state: Tree
    curves: np.ndarray
    seconds: float


@dataclass(frozen=True)
class TrainingSegment:
    """A stretch of a member's training.

    Attributes:
        member: which.
        until: the epoch after which it pauses; None for its end.
        start: where an earlier segment paused; None for the beginning.
    """

    member: Member
    until: int | None = None
    start: Pause | None = None


Item = tuple[int, TrainingSegment]
"""A segment and its member's number."""


def as_segments(members: Iterable[tuple[int, Member | TrainingSegment]]) -> Iterator[Item]:
    """Yield members as segments to their end, and segments as they are."""
    return ((i, m if isinstance(m, TrainingSegment) else TrainingSegment(m)) for i, m in members)


@dataclass(frozen=True)
class Probes:
    """All probes of a member's training.

    Attributes:
        epochs: ``(E,)``, after which there was one; 0 is before training.
        layers: ``{name: (E, L)}`` of the hidden layers and, last, the output layer (NaN where it has no such thing):

            - ``mean``, ``spread``: of what the activations take, the mean over units of the absolute mean and of the
              standard deviation over rows;
            - ``drift``: how far the units' means moved since the probe before, in standard deviations an epoch;
            - ``saturated``: share of values where a bounded activation is flat (`popnet.population.probes.FLAT`);
            - ``dead``: share of units that are exactly 0 for every row;
            - ``signal``: root mean square of the activations;
            - ``gradient``: root mean square of the loss's gradient to the layer's weights;
            - ``weight``: root mean square of the weights;
            - ``update``: norm of one step's change of the weights over their norm;
            - ``batch_mean``, ``batch_spread``: distance of these rows' statistics from the running ones of batch
              normalization, in running standard deviations, and as the absolute logarithm of the ratio of the
              standard deviations; NaN without it.
        net: ``{name: (E,)}``:

            - ``loss``, ``error``: of training rows without dropout and augmentation, normalized by their own
              statistics;
            - ``gradient``: norm of the whole loss's gradient;
            - ``noise``: variance of a batch's gradient over the square of its mean, at most 1,000 (batch size times it
              is the noise scale of McCandlish et al. 2018, arXiv:1812.06162).
    """

    epochs: np.ndarray
    layers: dict[str, Floats]
    net: dict[str, Floats]


@dataclass(frozen=True)
class Result:
    """A trained member.

    Attributes:
        member: which.
        shape: its net's shape.
        status: ``finished`` all epochs, ``stopped`` by its patience, ``diverged`` (its loss was not finite),
            ``interrupted`` by a time limit or the user, ``paused`` at the end of its segment, ``dropped`` by a race.
        epochs: epochs trained.
        best_epoch: the epoch (from 1) whose weights were kept; 0 if none was ever better than nothing.
        best_score: validation score of that epoch, smaller is better (see ``Recipe.monitor``).
        parameters: weights of the best epoch, a tree of NumPy arrays.
        running: running statistics of that epoch.
        last: weights and running statistics of the last epoch, where training came to its end (``finished`` or
            ``stopped``) and that epoch was not the best; else None.
        curves: ``{name: (E,) float32}`` for the names in `CURVES`.
        seconds: time that its training took, compilation apart.
        pause: where it can go on, if it paused.
        probes: what its layers looked like, if the trainer was asked for that.
    """

    member: Member
    shape: Shape
    status: Status
    epochs: int
    best_epoch: int
    best_score: float
    parameters: Tree
    running: Tree
    curves: dict[str, Floats] = field(repr=False)
    seconds: float = 0.0
    last: tuple[Tree, Tree] | None = field(default=None, repr=False)
    pause: Pause | None = field(default=None, repr=False)
    probes: Probes | None = field(default=None, repr=False)

    @property
    def usable(self) -> bool:
        """Return whether the member has weights of at least one finished epoch with a finite score."""
        return self.best_epoch > 0 and bool(np.isfinite(self.best_score))

    @property
    def failed(self) -> bool:
        """Return whether the training says nothing of its recipe: it diverged, or no epoch had a finite score."""
        return not self.usable or self.status == "diverged"

    @property
    def score(self) -> float:
        """Return what recipes are compared by, smaller is better: ``best_score``, infinite if the training failed."""
        return np.inf if self.failed else self.best_score
