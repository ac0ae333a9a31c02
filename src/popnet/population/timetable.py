"""What each step of an epoch is taken with, worked out on the host: rates, averages' memory, keys, sizes of batches.

A compiled program would spend a kernel, and so a share of its compilation, on each of these numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jax import Array

from popnet.population import optim
from popnet.population.optim import StepRule
from popnet.runtime import keys
from popnet.runtime.keys import StepKeys
from popnet.runtime.typed_jax import on_host
from popnet.spec.recipe import Recipe

MANY_ROWS = 4_000_000
"""Training rows above which their order is not made as a whole: see `epoch_order`."""

STRETCH = 64
"""Rows that stay together when very many are shuffled."""


class Step(NamedTuple):
    """Numbers of one step, float32 scalars.

    Attributes:
        rate: learning rate.
        decay: weight decay.
        dropout, input_dropout: rates.
        memory: share of itself that the moving average of the weights keeps.
        momentum: share of the newest batch in the running statistics.
        unbias: ``n / (n - 1) - 1``, see `popnet.nn.norm.update_running`.
        part: the batch's share in the epoch's mean loss.
        mixing: what a row keeps of itself, by mixup; 1 is no mixing.
        rows: real rows of the batch.
    """

    rate: Array
    decay: Array
    dropout: Array
    input_dropout: Array
    memory: Array
    momentum: Array
    unbias: Array
    part: Array
    mixing: Array
    rows: Array


class Timetable(NamedTuple):
    """An epoch's steps, with those as the first axis.

    Attributes:
        numbers: ``(S, len(Step._fields) + len(StepRule._fields))`` float32.
        keys: `StepKeys` of S steps.
    """

    numbers: Array
    keys: StepKeys

    def rows(self, which: slice | np.ndarray) -> Timetable:
        """Return some of the steps."""
        return Timetable(self.numbers[which], StepKeys(*(k[which] for k in self.keys)))


def columns(row: Array) -> tuple[Step, StepRule]:
    """Return what a row of `Timetable.numbers` means."""
    k = len(Step._fields)
    return Step(*(row[i] for i in range(k))), StepRule(
        *(row[k + i] for i in range(len(StepRule._fields)))
    )


def batch_counts(n: int, steps: int) -> np.ndarray:
    """Return the sizes of ``steps`` batches of n rows, ``(S,)``, the larger ones first; they differ by at most one.

    Equal batches, where others leave a short last one: none is so small that its statistics mean nothing.
    """
    return n // steps + (np.arange(steps) < n % steps)


def timetable(
    recipe: Recipe, seed: int, key: np.uint32, first: int, epochs: int, counts: np.ndarray, heads: int, dropouts: int
) -> Timetable:  # fmt: skip
    """Return the timetable of some of a member's epochs, one after another.

    Args:
        recipe: the member's.
        seed: likewise.
        key: its key, uint32.
        first: the first epoch's number, from 0.
        epochs: how many.
        counts: ``(S,)`` rows of each batch of an epoch.
        heads: of its net.
        dropouts: keys of dropout that a step takes.
    """
    steps = len(counts)
    numbers = np.arange(first, first + epochs)
    done = first * steps + np.arange(epochs * steps)
    progress = np.minimum(done / (steps * recipe.epochs), 1.0)
    # The average's memory is a twentieth of the steps so far at most, so that it forgets the initial weights.
    memory = np.minimum(recipe.ema, (done + 1) / (done + 21))
    drop = optim.course(recipe, recipe.dropout_schedule, progress)
    values: dict[str, np.ndarray] = {
        "rate": recipe.learning_rate * optim.course(recipe, recipe.schedule, progress),
        "decay": recipe.decay * optim.course(recipe, recipe.decay_schedule, progress),
        "dropout": recipe.dropout * drop,
        "input_dropout": recipe.input_dropout * drop,
        "memory": memory,
        # Statistics of the same stretch of training as the weights that they are evaluated with.
        "momentum": np.minimum(recipe.norm_momentum, 1 - memory),
        "unbias": np.tile(1 / np.maximum(heads * counts - 1, 1), epochs),
        "part": np.tile(counts / counts.sum(), epochs),
        "mixing": np.concatenate(
            [mixing_shares(recipe.mixup, seed, int(e), steps) for e in numbers]
        )
        if recipe.mixup
        else np.ones(len(done)),
        "rows": np.tile(counts, epochs),
    }
    every = (*(values[name] for name in Step._fields), *optim.rule(recipe, done + 1))
    table = np.empty((len(done), len(every)), np.float32)
    for i, column in enumerate(every):
        table[:, i] = column
    step_keys = StepKeys.of(np.repeat(keys.fold_in(key, numbers), steps), steps, dropouts)
    return Timetable(on_host(table), step_keys)


def mixing_shares(alpha: float, seed: int, epoch: int, steps: int) -> np.ndarray:
    """Return what rows keep of themselves in each step, by mixup: draws of Beta(alpha, alpha); ones where it is 0."""
    if not alpha:
        return np.ones(steps)
    return keys.generator(seed, "mixup", epoch).beta(alpha, alpha, steps)


def row_order(seed: int, pass_: int, n: int) -> np.ndarray:
    """Return the order of n training rows in a pass over them, a permutation."""
    return keys.generator(seed, "order", pass_).permutation(n)


def epoch_order(seed: int, pass_: int, n: int, start: int, stop: int) -> np.ndarray:
    """Return a part of the order of very many training rows, ``(stop - start,)``, without making the whole of it.

    Stretches of `STRETCH` rows are shuffled, and the rows of a part among themselves: rows that lie side by side in a
    file are read together. All parts of a pass together are a permutation.

    Args:
        seed: of the member.
        pass_: number of the pass over the rows.
        n: rows of a pass.
        start, stop: which part; every part of a pass has to begin where another one ends.
    """
    order = keys.generator(seed, "order", pass_).permutation(-(-n // STRETCH))
    sizes = np.full(len(order), STRETCH)
    sizes[order == len(order) - 1] = n - (len(order) - 1) * STRETCH  # the last stretch is shorter
    ends = np.cumsum(sizes)
    first, last = np.searchsorted(ends, [start, stop - 1], side="right")
    some = slice(first, last + 1)
    stretches = zip(order[some].tolist(), sizes[some].tolist(), strict=True)
    parts: list[np.ndarray] = [np.arange(s * STRETCH, s * STRETCH + size) for s, size in stretches]
    rows = np.concatenate(parts)
    begun = ends[first] - sizes[first]
    rows = rows[start - begun : stop - begun]
    return keys.generator(seed, "order", pass_, start).permutation(rows)
