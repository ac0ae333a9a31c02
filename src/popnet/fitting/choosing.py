"""Which candidates make the model, with what weights; what its intervals are made from, and its decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from popnet import baselines, conformal, decisions, ensemble, keys
from popnet.fitting.candidates import PILOT_ID, Candidate, Candidates
from popnet.options import Options
from popnet.population.members import Result
from popnet.population.predict import Net, predict
from popnet.tuning.budget import Finish
from popnet.tuning.winner import selection_bias

MOST_SELECTION_ROWS = 20_000
"""Rows that greedy selection looks at."""

ENOUGH_COMPLETE, FEWEST_FOLD_ROWS = 8, 1000
"""With fewer recipes than this that are through with all folds, those that are through with the first one may join the
ensemble, if it holds out so many rows: then all are judged by these."""


class Chosen(NamedTuple):
    """An ensemble.

    Attributes:
        nets: its members.
        weights: ``(len(nets),)``, sum 1.
        method: how they are combined.
        gain: what the ensemble gained over its members, out of fold; empty where that is not known.
        member_weight: the weight of each member of the population that has one, by its number.
        warnings: what there is to be said about it.
    """

    nets: tuple[Net, ...]
    weights: np.ndarray
    method: ensemble.Method
    gain: dict[str, Any]
    member_weight: dict[int, float]
    warnings: tuple[str, ...] = ()


def choose(
    candidates: Candidates, results: Mapping[int, Result], options: Options, finish: Finish, interrupted: bool
) -> Chosen:  # fmt: skip
    """Choose the ensemble.

    Args:
        candidates: what was trained.
        results: of the population's members, by their numbers.
        options: the user's.
        finish: the time for it.
        interrupted: whether training was.
    """
    complete = candidates.complete()
    trained = any(c.recipe_id != baselines.LINEAR_ID for c in candidates.by_id.values())
    if trained and all(c.recipe_id == baselines.LINEAR_ID for c in complete):
        # Nets of some folds are worth more than the linear model of all.
        candidates.by_id.pop(baselines.LINEAR_ID, None)
        complete = []
    if complete:
        return _selected(
            complete, _beside(complete, candidates, results), candidates, options, finish
        )
    if candidates.by_id:
        return _of_some_folds(candidates, results, options)
    why = (
        "training was interrupted before a net had ended"
        if interrupted
        else "no net was trained in time"
    )
    table = candidates.table
    most = baselines.MOST_ROWS if finish.has_left(1.0) else baselines.HURRIED_ROWS
    linear = baselines.linear(table.data, table.train, options.seed, most)
    warning = f"{why}; the model is the linear one"
    return Chosen((linear,), np.ones(1), "average", {}, {}, (warning,))


def _whole(member: int, results: Mapping[int, Result]) -> bool:
    """Return whether a member's training, or the linear model's, was not cut short."""
    return member < 0 or results[member].status != "interrupted"


def _of_some_folds(
    candidates: Candidates, results: Mapping[int, Result], options: Options
) -> Chosen:
    """Return the plain average of the nets that there are; those that were cut short only if there are no others."""
    found = [(n, c.ids[fold]) for c in candidates.by_id.values() for fold, n in c.nets.items()]
    through = [(n, i) for n, i in found if _whole(i, results)]
    nets, ids = zip(*(through or found), strict=True)
    share = 1 / len(nets)
    warning = (
        "no recipe was through with all folds; the ensemble is the plain average of what there was"
    )
    if all(c.recipe_id <= PILOT_ID for c in candidates.by_id.values()):
        warning = "no net was trained in time; the model has learned for one epoch"
    return Chosen(
        tuple(nets), np.full(len(nets), share), "vote" if options.ensemble == "vote" else "average",
        {}, {i: share for i in ids if i >= 0}, (warning,),
    )  # fmt: skip


def _beside(
    complete: Sequence[Candidate], candidates: Candidates, results: Mapping[int, Result]
) -> list[Candidate]:
    """Return candidates that may join those that are through with all folds, less their nets that were cut short."""
    table = candidates.table
    recipes = sum(c.recipe_id != baselines.LINEAR_ID for c in complete)
    if (
        recipes >= ENOUGH_COMPLETE
        or len(table.folds[0].valid) < FEWEST_FOLD_ROWS
        or table.split == "time-ordered"  # the first fold's nets know the oldest rows only
    ):
        return []
    found = []
    for c in candidates.by_id.values():
        through = [k for k, i in c.ids.items() if _whole(i, results)]
        if 0 in through and not candidates.is_complete(c):
            nets, ids = ({k: d[k] for k in through} for d in (c.nets, c.ids))
            found.append(replace(c, nets=nets, ids=ids))
    return found


def _selected(
    complete: Sequence[Candidate], beside: Sequence[Candidate], candidates: Candidates, options: Options,
    finish: Finish,
) -> Chosen:  # fmt: skip
    """Choose among candidates.

    Args:
        complete: those that are through with all folds.
        beside: those that are through with the first: all are judged by the rows that it holds out, if there are any.
        candidates: all.
        options: the user's.
        finish: the time for it.
    """
    method: Any = options.ensemble
    metric = candidates.metric
    true, _ = candidates.truth(complete[0].predictions)
    row_weights = candidates.pool_weights()
    entrants, on = [*complete, *beside], "out-of-fold predictions"
    units = np.stack([candidates.truth(c.predictions)[1] for c in entrants])
    if beside:
        places = candidates.place[candidates.table.folds[0].valid]
        true, units, on = true[places], units[:, places], "the rows that the first fold holds out"
        row_weights = None if row_weights is None else row_weights[places]
    alone = [candidates.score(true, p, row_weights) for p in units]
    if method == "greedy":
        rows = _selection_rows(len(true), options.seed)
        selection = ensemble.greedy(
            units[:, rows], true[rows], metric, None if row_weights is None else row_weights[rows],
            deadline=finish.moment(0.6),
        )  # fmt: skip
    else:
        selection = ensemble.equal(len(entrants))
    combined = ensemble.combine(units, selection.weights, method)
    together = candidates.score(true, combined, row_weights)
    pick = max if metric.greater_is_better else min
    gain = {
        "method": method, "score": together, "best_member": pick(alone),
        "mean_member": float(np.mean(alone)), "on": on, "path": selection.path,
        "best_corrected": None if beside else _corrected(complete, alone, candidates),
    }  # fmt: skip
    nets, weights, member_weight = [], [], {}
    for candidate, weight in zip(entrants, selection.weights, strict=True):
        if weight <= 0:
            continue
        kept = sorted(candidate.nets.items())
        if candidates.table.split == "time-ordered":
            kept = kept[-1:]  # the others know the oldest rows only
        # Each net has its recipe's weight, so that a recipe that is through with more folds counts more.
        for fold, net in kept:
            nets.append(net)
            weights.append(weight)
            if candidate.ids[fold] >= 0:
                member_weight[candidate.ids[fold]] = weight
    total = float(np.sum(weights))
    shares = {i: w / total for i, w in member_weight.items()}
    return Chosen(tuple(nets), np.array(weights) / total, method, gain, shares)


def _selection_rows(n: int, seed: int) -> np.ndarray:
    """Return the rows that greedy selection looks at: all, or a sample of very many."""
    if n <= MOST_SELECTION_ROWS:
        return np.arange(n)
    return np.sort(keys.generator(seed, "selection").choice(n, MOST_SELECTION_ROWS, replace=False))


def _corrected(
    complete: Sequence[Candidate], alone: Sequence[float], candidates: Candidates
) -> float | None:
    """Return the best recipe's score less what it owes to being the best of many, about; None if unknown."""
    recipes = [
        (c, s) for c, s in zip(complete, alone, strict=True) if c.recipe_id != baselines.LINEAR_ID
    ]
    if len(recipes) < 2 or len(candidates.table.folds) < 2:
        return None
    better = candidates.metric.greater_is_better
    sign, pick = (-1.0, max) if better else (1.0, min)
    losses = [
        [sign * candidates.member_scores[i] for _, i in sorted(c.ids.items())] for c, _ in recipes
    ]
    return pick(score for _, score in recipes) + sign * selection_bias(np.array(losses))


def calibrated(
    candidates: Candidates, nets: Sequence[Net], weights: np.ndarray
) -> conformal.Conformal | None:
    """Return what intervals are made from: errors on the rows that each net's fold holds out; None for classes."""
    data, homes = candidates.table.data, _homes(candidates, nets)
    if data.task == "classification" or homes is None:
        return None
    centre, spread = _held_out(candidates, homes, weights)
    return conformal.calibrate(
        data.target[candidates.rows],
        centre,
        spread,
        [fold for _, fold in homes],
        candidates.pool_weights(),
    )


def decision(candidates: Candidates, chosen: Chosen) -> decisions.Decision | None:
    """Return how classes are taken as it suits the metric, by held-out probabilities; None: the most probable one.

    Of the linear model of all rows there are none: those of training rows, which it fits no better than others.
    """
    metric, table = candidates.metric, candidates.table
    if not candidates.by_rule:
        return None
    homes = _homes(candidates, chosen.nets)
    if homes is None:
        rows = table.train[:MOST_SELECTION_ROWS]
        outputs = ensemble.softmax(predict(chosen.nets, table.data.features, rows))
        predicted = ensemble.combine(outputs, chosen.weights)
    else:
        rows = candidates.rows
        predicted, _ = _held_out(candidates, homes, chosen.weights)
    there = np.isfinite(predicted).all(1)
    weights = table.data.weights
    return decisions.proven(
        metric, table.data.target[rows[there]], predicted[there],
        None if weights is None else np.asarray(weights)[rows[there]],
    )  # fmt: skip


def _homes(candidates: Candidates, nets: Sequence[Net]) -> list[tuple[Candidate, int]] | None:
    """Return the candidate and the fold of each net; None if one is no candidate, as the linear model of all rows."""
    homes = {id(n): (c, k) for c in candidates.by_id.values() for k, n in c.nets.items()}
    return None if any(id(n) not in homes for n in nets) else [homes[id(n)] for n in nets]


def _held_out(
    candidates: Candidates, homes: Sequence[tuple[Candidate, int]], weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of those nets that did not train on a row, and their deviation, ``(P, O)``; NaN without any.

    Args:
        candidates: all.
        homes: candidate and fold of each net.
        weights: of each net.
    """
    centre, spread = np.full((2, len(candidates.rows), candidates.table.data.n_outputs), np.nan)
    for fold in {fold for _, fold in homes}:
        places = candidates.place[candidates.table.folds[fold].valid]
        mine = [i for i, (_, k) in enumerate(homes) if k == fold]
        outputs = np.stack([homes[i][0].predictions[places] for i in mine])
        _, means, spreads = conformal.by_fold(outputs, weights[mine], [fold] * len(mine))
        centre[places], spread[places] = means[0], spreads[0]
    return centre, spread
