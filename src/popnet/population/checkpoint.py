"""Members as plain arrays, for checkpoints: results of those that have ended, the state of those that paused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import jax
import numpy as np

from popnet.data.dataset import Dataset
from popnet.nn import net
from popnet.population.lanes import beginning
from popnet.population.members import CURVES, Member, Pause, Result, Status
from popnet.runtime import typed_jax
from popnet.spec.shape import Shape
from popnet.types import Tree


class ResultNumbers(TypedDict):
    """The fields of a `Result` that are plain JSON."""

    status: Status
    epochs: int
    best_epoch: int
    best_score: float
    seconds: float


BEST, LAST = ("weights", "running"), ("last_weights", "last_running")
"""Names of the arrays of the best and of the last epoch: weights and running statistics."""


def pack(result: Result) -> tuple[ResultNumbers, dict[str, np.ndarray]]:
    """Return a result as plain JSON and arrays, enough for `unpack` together with its member."""
    layouts = net.layouts(result.shape)
    arrays = {"curves": np.stack([result.curves[name] for name in CURVES], 1)}
    for names, trees in ((BEST, (result.parameters, result.running)), (LAST, result.last)):
        if trees is not None:
            pairs = zip(layouts, trees, strict=True)
            vectors = (np.asarray(layout.join(tree)) for layout, tree in pairs)
            arrays |= dict(zip(names, vectors, strict=True))
    if result.pause is not None:
        leaves = jax.tree.leaves(result.pause.state)
        arrays |= {f"state{k}": np.asarray(leaf) for k, leaf in enumerate(leaves)}
    numbers: ResultNumbers = {
        "status": result.status,
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "best_score": result.best_score,
        "seconds": result.seconds,
    }
    return numbers, arrays


def unpack(
    numbers: ResultNumbers, arrays: Mapping[str, np.ndarray], member: Member, data: Dataset
) -> Result:
    """Return the result of a member from what `pack` made of it.

    Raises:
        KeyError, ValueError: they are of another member, or of another version.
    """
    shape = Shape.of(member.recipe, data)

    def trees(names: tuple[str, str]) -> tuple[Tree, Tree]:
        pairs = zip(net.layouts(shape), names, strict=True)
        weights, running = (layout.split(np.array(arrays[name])) for layout, name in pairs)
        return weights, running

    parameters, running = trees(BEST)
    curves = np.asarray(arrays["curves"])
    pause = None
    if numbers["status"] == "paused":
        template = beginning(member.recipe, shape, member.seed)
        leaves, tree = typed_jax.flatten(template)
        found = [np.array(arrays[f"state{k}"]) for k in range(len(leaves))]
        for leaf, other in zip(leaves, found, strict=True):
            if np.shape(leaf) != other.shape:
                raise ValueError(f"a state of shape {other.shape}, not {np.shape(leaf)}")
        pause = Pause(typed_jax.unflatten(tree, found), curves, float(numbers["seconds"]))
    return Result(
        member, shape, parameters=parameters, running=running, pause=pause,
        last=trees(LAST) if LAST[0] in arrays else None,
        curves={name: curves[:, i] for i, name in enumerate(CURVES)},
        **numbers,
    )  # fmt: skip
