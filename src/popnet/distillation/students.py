"""Which students there are: nets of several structures, the largest that are within limits of size and latency."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from popnet.data.dataset import Dataset
from popnet.errors import InputError
from popnet.model import saving
from popnet.model.model import Model
from popnet.nn import net as nets
from popnet.population.predict import Net
from popnet.predictions.conformal import MAX_ERRORS
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Shape
from popnet.tuning.space.table_space import default_space

WIDTH = 64
"""Units of a hidden layer where nobody asks for other ones, and nothing is limited."""

WIDTHS, DEPTHS = (256, 128, 64, 32, 16, 8), (3, 2, 1)
"""What is tried under limits, and always."""

EACH = 2
"""Students of each kind of inputs: the largest two of those within the limits."""

CALLS, FIRST_CALLS = 30, 3
"""Predictions of a row whose median time counts, and those before them, which load programs."""

FACTS_BYTES = 6_000
"""Room that a model folder needs for what is said of the model, at most."""


@dataclass(frozen=True)
class Limits:
    """What a student may be.

    Attributes:
        width: units of a hidden layer; None for `WIDTH`, or under other limits for any.
        latency: seconds that the prediction of one row may take; None for any.
        size: bytes of the model folder; None for any.
    """

    width: int | None = None
    latency: float | None = None
    size: float | None = None

    def room_for(self, count: float) -> bool:
        """Return whether a model folder may have so many bytes."""
        return self.size is None or count <= self.size

    def time_for(self, model: Model, row: pl.DataFrame) -> bool:
        """Return whether a model predicts a row in time."""
        return self.latency is None or row_seconds(model, row) <= self.latency


def as_model(ensemble: Model, net: Net) -> Model:
    """Return a model of one net that reads and decides as an ensemble does, and has no scores or intervals."""
    return replace(
        ensemble, nets=(net,), weights=np.ones(1), trees=(), method="average", facts=None, conformal=None,
        temperature=1.0, views=1,
    )  # fmt: skip


def row_seconds(model: Model, row: pl.DataFrame) -> float:
    """Return the median time of the prediction of one row, reading included; see `popnet.Model.predict_frame`."""
    taken: list[float] = []
    for call in range(FIRST_CALLS + CALLS):
        began = time.perf_counter()
        model.predict_frame(row)
        if call >= FIRST_CALLS:
            taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def within(
    ensemble: Model, data: Dataset, limits: Limits, row: pl.DataFrame, scored_rows: int
) -> list[Recipe]:
    """Return the students' recipes: of each kind of inputs those with the most weights that are within the limits.

    Size and latency depend on a net's structure alone, so nets with drawn weights are measured before any is trained.
    Of the kinds of inputs that a fit searches (bins, periods, plain numbers) the ensemble's training says nothing of
    which suits a small net.

    Args:
        ensemble: that is to be learned.
        data: what students are trained on.
        limits: the user's.
        row: whose prediction is timed.
        scored_rows: as many errors may be kept for intervals.

    Raises:
        InputError: no student is within the limits; the sentence says the nearest.
    """
    free = limits.width is None and (limits.latency is not None or limits.size is not None)
    widths = WIDTHS if free else (limits.width or WIDTH,)
    errors = min(scored_rows, MAX_ERRORS) * data.n_outputs if data.task == "regression" else 0
    room = FACTS_BYTES + 4 * errors
    found: list[Recipe] = []
    smallest: list[tuple[Recipe, Model]] = []
    for recipes in _kinds(data, widths):
        models = {r: _drawn(ensemble, r, data) for r in recipes}
        some = [r for r in recipes if limits.room_for(saving.size(models[r]) + room)]
        some = some[_first(some, lambda r, m=models: limits.time_for(m[r], row)) :]
        found += some[:EACH]
        smallest.append((recipes[-1], models[recipes[-1]]))
    if not found:
        raise InputError(_nearest(smallest, limits, row, room))
    return found


def _kinds(data: Dataset, widths: Sequence[int]) -> list[list[Recipe]]:
    """Return for each kind of inputs its recipes, those with the most weights first."""
    space = default_space(data, len(data))
    kinds = dict.fromkeys(space.base.replace(**shape) for shape in space.shapes)
    # Nothing is to be kept from over-fitting: any number of rows can be made up.
    plain = {"dropout": 0.0}

    def cost(recipe: Recipe) -> int:
        return nets.multiply_adds(Shape.of(recipe, data))

    return [
        sorted(
            (kind.replace(**plain, width=w, depth=d) for w in widths for d in DEPTHS),
            key=lambda r: -cost(r),
        )
        for kind in kinds
    ]


def _drawn(ensemble: Model, recipe: Recipe, data: Dataset) -> Model:
    """Return a student that has not learned anything."""
    shape = Shape.of(recipe, data)
    return as_model(ensemble, Net(recipe, shape, *nets.init(recipe, shape, 0)))


def _first(recipes: Sequence[Recipe], fits: Callable[[Recipe], bool]) -> int:
    """Return the place of the first recipe that fits, where all after it do as well; their number if none does."""
    low, high = 0, len(recipes)
    while low < high:
        middle = (low + high) // 2
        if fits(recipes[middle]):
            high = middle
        else:
            low = middle + 1
    return low


def _nearest(
    smallest: Sequence[tuple[Recipe, Model]], limits: Limits, row: pl.DataFrame, room: int
) -> str:
    """Return a sentence on what is nearest to limits that no student is within."""
    said: list[str] = []
    if limits.size is not None:
        recipe, model = min(smallest, key=lambda known: saving.size(known[1]))
        size = saving.size(model) + room
        if size > limits.size:
            said.append(
                f"--size {limits.size / 1000:,.0f} kB: the smallest (depth {recipe.depth}, width {recipe.width}) takes "
                f"{size / 1000:,.0f} kB"
            )
    if limits.latency is not None and not said:
        times = [(row_seconds(model, row), recipe) for recipe, model in smallest]
        seconds, recipe = min(times, key=lambda known: known[0])
        said.append(
            f"--latency {1000 * limits.latency:g} ms: the quickest (depth {recipe.depth}, width {recipe.width}) takes "
            f"{1000 * seconds:.2g} ms for a row here; an exported model (popnet export) takes less"
        )
    return f"No student is within {'; '.join(said)}."
