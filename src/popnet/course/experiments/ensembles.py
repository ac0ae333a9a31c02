"""Claim 16: ensembles have a lower error than their members, and larger ones a lower error than small ones."""

from __future__ import annotations

from typing import cast

import numpy as np

from popnet.course.base import ClaimOutcome, Criterion
from popnet.course.evidence import as_points, crossed_interval, holds_for_gain, mean_band
from popnet.course.lab import Bench, errors, twins_of_seed
from popnet.course.material import Material
from popnet.course.nets import ADAM, with_activation
from popnet.population.members import Member, Result
from popnet.predictions.ensemble import combine, softmax
from popnet.report.document import Line, Lines, Table
from popnet.report.format import fixed
from popnet.runtime import keys
from popnet.spec.recipe import Activation, Recipe
from popnet.tuning.space.ranges import Choice, Linear, Log
from popnet.types import Array

SIZES = (1, 2, 4, 8)
TRIALS = 24
"""Recipes that are tried; the best ones form one ensemble, nets of the very best with new initial weights the other."""

STEPS = 400
SEEDS = 2
FACTOR = 2
ACTIVATIONS: tuple[Activation, ...] = ("relu", "elu", "tanh")


def recipe(units: Array, epochs: int) -> Recipe:
    """Return the recipe at a place of the unit cube: activation, normalization, learning rate, dropout, L2."""
    activation = cast("Activation", Choice(ACTIVATIONS).at(units[0]))
    return with_activation(ADAM, activation).replace(
        norm=Choice(("none", "batch")).at(units[1]),
        learning_rate=Log(5e-4, 1e-2).at(units[2]),
        dropout=Linear(0.0, 0.5).at(units[3]),
        l2=Log(1e-6, 1e-3).at(units[4]),
        epochs=epochs,
    )


def ensemble_errors(predictions: Array, size: int, vote: bool, material: Material) -> np.ndarray:
    """Return the mean errors of ensembles of neighbouring members on the test rows, ``(N,)``.

    All members take part equally often: with 8 members there are 8 ensembles of 2, each a member and the next one.

    Args:
        predictions: ``(M, N, O)``, probabilities or values.
        size: members of an ensemble.
        vote: whether each member has one vote, instead of averaging.
        material: with targets and test rows.
    """
    count = len(predictions)
    found: list[np.ndarray] = []
    for start in range(count if size < count else 1):
        chosen = predictions[[(start + i) % count for i in range(size)]]
        weights = np.full(size, 1 / size)
        if not vote:
            said = combine(chosen, weights, "average")
        else:
            # With equally many votes the first class would win: a small part of the average breaks ties.
            said = combine(chosen, weights, "vote") + 1e-3 * combine(chosen, weights, "average")
        found.append(errors(said, material, material.test))
    return np.mean(found, 0)


def ensembles(bench: Bench) -> ClaimOutcome:
    """Test claim 16."""
    table = bench.table
    epochs = bench.epochs(STEPS, table.rows(FACTOR))
    folds = [table.fold(k, FACTOR) for k in range(table.repeats)]
    most = SIZES[-1]
    tried = bench.train([_trials(bench, f, epochs) for f in folds], last=False)
    # Of each repetition and seed the best nets by validation.
    ranked = [
        [sorted(g[s * TRIALS : (s + 1) * TRIALS], key=_rank)[:most] for s in range(SEEDS)]
        for g in tried
    ]
    same = bench.train(
        [[m for g in group for m in _again(bench, g[0], most)] for group in ranked], last=False
    )
    count = len(same)
    kinds = {
        "different initial weights": [
            [g[s * most : (s + 1) * most] for s in range(SEEDS)] for g in same
        ],
        "different hyper-parameters": ranked[:count],
    }
    means: dict[str, np.ndarray] = {}
    votes: dict[str, np.ndarray] = {}
    for name, groups in kinds.items():
        said = [[_predictions(bench, g) for g in group] for group in groups]
        for vote, found in ((False, means), (True, votes)):
            found[name] = np.array([
                [[ensemble_errors(p, size, vote and bench.classification, table) for size in SIZES] for p in group]
                for group in said
            ]).mean(1)  # fmt: skip
    seeds, hypers = means["different initial weights"], means["different hyper-parameters"]
    overlap = table.overlap(FACTOR)
    one = crossed_interval(seeds[:, 0] - seeds[:, -1], overlap)
    more = crossed_interval(seeds[:, 1] - seeds[:, -1], overlap)
    vote = crossed_interval(
        np.mean([votes[n][:, -1] - means[n][:, -1] for n in kinds], 0), overlap
    )  # fmt: skip
    other = crossed_interval(seeds[:, -1] - hypers[:, -1], overlap)
    parts = [
        Criterion(
            f"the average of {most} nets that differ in their initial weights has a lower error than one of them",
            f"the error of the average of {most} nets is {as_points(one)} lower than that of one of them",
            holds_for_gain(one, bench.min_gain),
            one,
        ),
        Criterion(
            f"the average of {most} nets has a lower error than that of {SIZES[1]}",
            f"and {as_points(more)} lower than that of the average of {SIZES[1]}",
            holds_for_gain(more, bench.min_gain),
            more,
        ),
        Criterion(
            f"{most} nets that differ in their hyper-parameters, too (the best of {TRIALS} by validation loss), have a "
            f"lower error than {most} nets of the best recipe",
            f"different hyper-parameters lower the error by another {as_points(other)}",
            holds_for_gain(other, bench.min_gain),
            other,
            main=False,
        ),
    ]  # fmt: skip
    if bench.classification:
        parts.append(
            Criterion(
                f"averaging probabilities gives a lower error than voting, with {most} nets",
                f"averaging instead of voting lowers the error by {as_points(vote)}",
                holds_for_gain(vote, bench.min_gain),
                vote,
                main=False,
            )
        )
    lines: list[Line] = []
    rows: list[tuple[str, ...]] = []
    for name in kinds:
        for how, found in (("average", means), ("vote", votes)):
            if how == "vote" and not bench.classification:
                continue
            each = found[name].mean(-1)
            lines.append(Line(f"{name}, {how}", SIZES, *mean_band(100 * each)))
            rows.append((name, how, *(f"{fixed(100 * float(e), 2)} %" for e in each.mean(0))))
    return ClaimOutcome(
        tuple(parts),
        (
            f"Nets of 3 layers of 64 units on {table.rows(FACTOR)} rows. In each of {count} repetitions, twice, "
            f"{TRIALS} recipes are drawn (activation, batch normalization or none, learning rate, dropout, L2) and "
            "trained; the best 8 by validation loss form one ensemble; 8 nets of the best one, with new "
            "initial weights and orders of the rows, form the other. For fewer than 8 members the mean over 8 "
            f"ensembles is shown. The {len(table.test)} test rows have no part in these choices.",
            "A vote counts each net's most probable class; ties are broken by the average.",
        ),
        (Lines(tuple(lines), "nets of the ensemble", bench.error_axis, log_x=True),),
        Table(("members", "combined by", *(f"{s} nets" if s > 1 else "1 net" for s in SIZES)), tuple(rows)),
    )  # fmt: skip


def _trials(bench: Bench, fold: int, epochs: int) -> list[Member]:
    """Return nets of recipes drawn at random, others for each seed."""
    members: list[Member] = []
    for s in range(SEEDS):
        places = keys.generator(bench.seed, "claims", "ensemble", fold, s).random((TRIALS, 5))
        recipes = [recipe(units, epochs) for units in places]
        members += twins_of_seed(recipes, bench.net_seed("ensemble", fold, s), fold)
    return members


def _again(bench: Bench, best: Result, count: int) -> list[Member]:
    """Return nets with the recipe and rows of a net, but other initial weights."""
    m = best.member
    return [
        Member(m.recipe, bench.net_seed("ensemble", m.fold, m.seed, i), m.fold) for i in range(count)
    ]  # fmt: skip


def _predictions(bench: Bench, results: list[Result]) -> np.ndarray:
    outputs = bench.outputs(results)
    return softmax(outputs) if bench.classification else outputs


def _rank(result: Result) -> tuple[bool, float]:
    return result.failed, result.best_score
