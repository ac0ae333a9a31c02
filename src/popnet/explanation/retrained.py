"""Importance by leaving out: nets that are trained anew without what a column says, beside twins that have it.

What a column says may be known from others as well. Then a model may use it a lot, and permuting it costs a lot, though
a model without it would be as good (Hooker, Mentch and Zhou 2021, *Unrestricted permutation forces extrapolation*;
"leave one covariate out", Lei et al. 2018). Here a column is left out by giving it the same value in all rows. The
inputs keep their shape, so twins begin with the same weights, take the same batches, and are trained by the same
compiled program.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from popnet.ablation.control_variate import Difference
from popnet.ablation.design import Pair, design
from popnet.ablation.experiment import MIN_PAIRS
from popnet.ablation.intervals import twins_interval
from popnet.ablation.losses import row_losses
from popnet.ablation.row_overlap import RowOverlap
from popnet.ablation.sample import base_recipe, sample
from popnet.ablation.verdicts import effect_that_matters
from popnet.data.dataset import Dataset, Features
from popnet.errors import InputError
from popnet.explanation.blocks import Block, blocks_of, without
from popnet.explanation.groups import groups_of
from popnet.explanation.importance import asked_groups, summary
from popnet.explanation.judged import of_table
from popnet.model.facts import ColumnImportance
from popnet.model.model import Model
from popnet.options import Options
from popnet.population.feed import Arrays
from popnet.population.members import Member
from popnet.population.predict import Net, predict
from popnet.population.train import Trainer
from popnet.predictions.ensemble import softmax
from popnet.prepare.as_fitted import as_fitted
from popnet.prepare.source import prepare_source
from popnet.runtime import keys
from popnet.runtime.progress import Progress
from popnet.spec.recipe import Recipe

PAIRS = 10
"""Pairs of twins for each column: two cross-validations of five folds."""

ROUND = 5
"""Pairs that are trained before any of the next: a cross-validation, which tests each row once."""

GROUPS = 5
"""Groups of columns that are left out unless columns are named."""


def retrained_importance(
    model: Model,
    data: Any,
    *,
    columns: Sequence[str] | None = None,
    rows: int | None = None,
    pairs: int = PAIRS,
    seed: int = 0,
    workers: int | None = None,
    time_limit: float | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> ColumnImportance:
    """Return how much worse nets are that were trained without what a column says.

    The nets have the recipe of the model's net with the largest weight. Losses are the log-loss of classes, and of
    numbers the share of the variance that is unexplained, on rows that neither training nor early stopping saw;
    intervals are those of `popnet.ablation.intervals.twins_interval`.

    Args:
        model: of a table.
        data: the table that it was fitted to, or another one of its columns, with the target.
        columns: to leave out; a column goes with those that say the same. Default: the first `GROUPS` groups that
            matter by the model's own facts, or that it reads.
        rows: of the data that are used; default at most 10,000.
        pairs: of twins.
        seed: of the splits, initial weights and batches.
        workers: threads; default one a core.
        time_limit: seconds; pairs that are not complete by then are left out.
        on_progress: called now and then.
        stop: when set, training ends and the complete pairs are compared.

    Raises:
        InputError: the model takes images, there is no such column, or fewer than three pairs were trained in time.
    """
    of_table(model)
    if pairs < MIN_PAIRS:
        raise InputError(f"at least {MIN_PAIRS} pairs of nets are needed; got {pairs}.")
    deadline = None if time_limit is None else time.monotonic() + time_limit
    options = as_fitted(Options(seed=seed, test_size=0.0, trees="none"), model.schema)
    prepared = prepare_source(data, list(model.encoder.target.names), options)
    whole, usable, notes = sample(prepared, rows, seed)
    for note in notes:
        on_progress(Progress("importance", note=note))
    blocks = blocks_of(prepared.encoder)
    groups = _left_out(model, cast("Features", whole.features).take(usable), blocks, columns, seed)
    recipe = _recipe(model) or base_recipe(whole, len(usable), None)
    twins = design(usable, pairs, seed, prepared.split_keys)
    left_out = [[], *([blocks[i] for i in group] for group in groups)]
    losses = _trained(whole, twins, recipe, left_out, workers, deadline, stop, on_progress)
    if len(losses) < MIN_PAIRS:
        raise InputError(
            f"the time was over before {MIN_PAIRS} pairs of nets were trained ({len(losses)} were); give more time, "
            "or name fewer columns."
        )
    shared = RowOverlap.of([twins[k].test for k in losses])
    intervals = [
        twins_interval(
            Difference(
                np.array([own[i].mean() - own[0].mean() for own in losses.values()]),
                np.concatenate([own[i] - own[0] for own in losses.values()]),
            ),
            shared,
        )
        for i in range(1, len(left_out))
    ]
    base = float(np.mean([own[0].mean() for own in losses.values()]))
    return summary(
        ColumnImportance(
            metric="log_loss" if whole.task == "classification" else "r2",
            loss=base,
            rows=int(np.count_nonzero(shared.counts)),
            available=len(prepared.train),
            on="rows given",
            repeats=len(losses),
            detect=effect_that_matters(base),
            groups=[],
            retrained=True,
        ),
        [[blocks[i].name for i in group] for group in groups],
        intervals,
    )


def _left_out(
    model: Model, features: Features, blocks: Sequence[Block], columns: Sequence[str] | None, seed: int
) -> list[list[int]]:  # fmt: skip
    """Return the groups of columns to leave out."""
    groups = groups_of(features, blocks, keys.generator(seed, "importance"))
    if columns is not None:
        return asked_groups(groups, blocks, columns)
    found = None if model.facts is None else model.facts.importance
    known = {block.name for block in blocks}
    if found is None:
        return groups[:GROUPS]
    ranked = [g.columns[0] for g in found.groups if g.columns[0] in known]
    order = {name: i for i, name in enumerate(ranked)}
    first = sorted(groups, key=lambda g: min(order.get(blocks[i].name, len(order)) for i in g))
    return first[:GROUPS]


def _recipe(model: Model) -> Recipe | None:
    """Return the recipe with the largest weight among the model's nets, linear models aside; None if there is none."""
    shares: dict[Recipe, float] = {}
    for net, weight in zip(model.nets, model.weights, strict=False):
        if net.recipe.depth:
            shares[net.recipe] = shares.get(net.recipe, 0.0) + float(weight)
    return max(shares, key=lambda r: shares[r], default=None)


def _trained(
    data: Dataset, twins: Sequence[Pair], recipe: Recipe, left_out: Sequence[list[Block]], workers: int | None,
    deadline: float | None, stop: threading.Event | None, on_progress: Callable[[Progress], None],
) -> dict[int, list[np.ndarray]]:  # fmt: skip
    """Return of each complete pair the losses of its test rows by each variant, ``(N,)``.

    Args:
        data: all rows.
        twins: the rows of each pair.
        recipe: of all nets.
        left_out: the columns of each variant.
        workers, deadline, stop: of the trainer.
        on_progress: called after each net.
    """
    features = cast("Features", data.features)
    variants = [replace(data, features=without(features, blocks)) for blocks in left_out]
    folds = [(pair.train, pair.valid) for pair in twins]
    metric = "log_loss" if data.task == "classification" else "error"
    found: dict[int, list[np.ndarray]] = {}
    done, total = 0, len(twins) * len(variants)
    for some in _rounds(len(twins)):
        losses: dict[int, list[np.ndarray]] = {k: [] for k in some}
        for variant in variants:
            trainer = Trainer(Arrays(variant, variant, folds), deadline, workers, stop)
            members = [(k, Member(recipe, twins[k].seed, k)) for k in some]
            for k, result in trainer.run(members):
                done += 1
                on_progress(Progress("importance", done, total))
                if result.status == "interrupted":
                    continue
                outputs = None
                if result.usable:
                    outputs = predict([Net.of(result)], variant.features, twins[k].test, workers)[0]
                    outputs = softmax(outputs) if data.task == "classification" else outputs
                losses[k].append(row_losses(data, twins[k].test, outputs, twins[k].train, metric))
        found |= {k: own for k, own in losses.items() if len(own) == len(variants)}
        if any(len(own) < len(variants) for own in losses.values()):
            break
    return found


def _rounds(pairs: int) -> Iterator[range]:
    """Yield pairs, a cross-validation at a time."""
    for start in range(0, pairs, ROUND):
        yield range(start, min(start + ROUND, pairs))
