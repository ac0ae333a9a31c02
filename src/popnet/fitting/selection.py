"""Which candidates make the model, with what weights; what its intervals are made from, and its decisions.

A recipe may join with the nets of its best epochs and with those of its last ones. Nets that trained on after their
best epoch are worse alone and differ more, and an ensemble forgives what its members do not have in common (Krogh and
Vedelsby 1995). How much it forgives held-out rows tell only in part: each is predicted by the nets of one fold, a new
row by those of all. So, beside the ensemble that these rows choose from both (`ensemble.greedy`), one of the last
epochs alone has a share, the less the more it is worse on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, get_args

import numpy as np

from popnet.fitting.candidates import (
    PILOT_ID,
    TREES_ID,
    Candidate,
    Candidates,
    is_net,
    is_trees,
    some_rows,
)  # fmt: skip
from popnet.model import baselines
from popnet.model.members import Predictor, outputs
from popnet.options import Options
from popnet.population.members import Result
from popnet.population.predict import Net
from popnet.predictions import calibration, conformal, decisions, ensemble
from popnet.predictions.metrics import Metric
from popnet.report.fit_page.facts import EnsembleFacts
from popnet.runtime.clock import Finish
from popnet.tuning.selection_bias import selection_bias
from popnet.types import Array

METHODS: tuple[ensemble.Method, ...] = get_args(ensemble.Method)

MAX_SELECTION_ROWS = 20_000
"""Rows that greedy selection looks at."""

SUFFICIENT_COMPLETE, MIN_FOLD_ROWS = 8, 1000
"""With fewer recipes than this that are trained on all folds, those that are trained on the first one may join the
ensemble, if it holds out so many rows: then all are compared on these."""


MAX_LATE, FORGIVEN = 0.4, 0.1
"""The most weight of the ensemble of last epochs; by this share more of the log-loss, or mean squared error, of
held-out rows it has none. On a quarter of the training rows that no choice had seen, in 19 fits of ten tables of 25 and
40 s, the mixture had 1.7 % less of it than ensembles of best epochs, on average (wine_quality 7, phoneme 5, california
2, cpu_act, letter, bank, adult, churn and default_credit .1 to .7, ames_housing the same, credit_g +.5 and -.2); what
held-out rows choose from both had 1.5 % less, all weight on the last epochs .5 (from -9 on wine_quality to +8 on
ames_housing; adult, default_credit and churn +1 to +6)."""


PRIOR_ROWS, KNOWN_FIRST = 500, 3
"""Where few rows are held out, the best of many recipes are best by luck: weights are shrunk towards the mean of the
first three recipes, which are known to do well, and of the first trees, as if so many rows spoke for that. Log-loss of
test parts, without and with it: australian .256 and .255, .340 and .323, credit_g .467 and .467, titanic .438 and .434;
the first three recipes alone were better than the choice from all on five of six such splits."""


class Chosen(NamedTuple):
    """An ensemble.

    Attributes:
        members: nets and trees.
        weights: ``(len(members),)``, sum 1.
        method: how they are combined.
        gain: what the ensemble gained over its members, out of fold; None where that is not known.
        member_weight: the weight of each member of the population that has one, by its number.
        held_out: ``(P, O)``, the ensemble's predictions of the pool's rows (see `Candidates`), each by the nets of the
            fold that holds it out; None where they are not known.
        temperature: of its probabilities (`popnet.predictions.calibration`).
        warnings: what there is to be said about it.
    """

    members: tuple[Predictor, ...]
    weights: np.ndarray
    method: ensemble.Method
    gain: EnsembleFacts | None
    member_weight: dict[int, float]
    held_out: np.ndarray | None = None
    temperature: float = 1.0
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
        # Nets and trees of some folds are worth more than the linear model of all.
        candidates.by_id.pop(baselines.LINEAR_ID, None)
        complete = []
    beside = _beside(complete, candidates, results)
    if complete or (beside and any(is_trees(c.recipe_id) for c in beside)):
        return _selected(complete, beside, candidates, options, finish)
    if candidates.by_id:
        return _of_some_folds(candidates, results, options)
    why = (
        "training was interrupted before a net had ended"
        if interrupted
        else "no net was trained in time"
    )
    table = candidates.table
    most = baselines.MAX_ROWS if finish.has_left(1.0) else baselines.HURRIED_ROWS
    linear = baselines.linear(table.data, table.train, options.seed, most)
    warning = f"{why}; the model is the linear one"
    return Chosen((linear,), np.ones(1), "average", None, {}, warnings=(warning,))


def _whole(member: int, results: Mapping[int, Result]) -> bool:
    """Return whether a member's training, or the linear model's, was not cut short."""
    return member < 0 or results[member].status != "interrupted"


def _of_some_folds(
    candidates: Candidates, results: Mapping[int, Result], options: Options
) -> Chosen:
    """Return the plain average of the nets that there are; those that were cut short only if there are no others."""
    found = [(n, c.ids[fold]) for c in candidates.by_id.values() for fold, n in c.members.items()]
    through = [(n, i) for n, i in found if _whole(i, results)]
    nets, ids = zip(*(through or found), strict=True)
    share = 1 / len(nets)
    warning = "no recipe completed every fold; averaging the nets trained so far"
    if all(c.recipe_id <= PILOT_ID for c in candidates.by_id.values()):
        warning = "no net was trained in time; the model has learned for one epoch"
    return Chosen(
        tuple(nets), np.full(len(nets), share), "vote" if options.ensemble == "vote" else "average",
        None, {i: share for i in ids if i >= 0}, warnings=(warning,),
    )  # fmt: skip


class _Entrants(NamedTuple):
    """Who may join an ensemble.

    Attributes:
        best: recipes with the nets of their best epochs.
        late: those of them whose last epochs are others, with the nets of these.
    """

    best: list[Candidate]
    late: list[Candidate]

    @classmethod
    def of(cls, best: list[Candidate], candidates: Candidates) -> _Entrants:
        """Return the entrants, given those with the nets of their best epochs, maybe not of all folds."""
        late: list[Candidate] = []
        for c in best:
            other = candidates.late.get(c.recipe_id)
            if other is not None and any(other.members[k] is not n for k, n in c.members.items()):
                kept = {k: other.members[k] for k in c.members}
                late.append(replace(other, members=kept, ids=c.ids))
        return cls(best, late)


def _beside(
    complete: Sequence[Candidate], candidates: Candidates, results: Mapping[int, Result]
) -> list[Candidate]:
    """Return candidates that may join those that are trained on all folds, less their nets that were cut short.

    Where no recipe is through with all folds, those of the first fold may join, too, as its rows measure them.
    """
    table = candidates.table
    recipes = sum(is_net(c.recipe_id) for c in complete)
    if (
        recipes >= SUFFICIENT_COMPLETE
        or len(table.folds[0].valid) < MIN_FOLD_ROWS
        or table.split == "time-ordered"  # the first fold's nets know the oldest rows only
    ):
        return []
    found: list[Candidate] = []
    for c in candidates.by_id.values():
        through = [k for k, i in c.ids.items() if _whole(i, results) or (k == 0 and not recipes)]
        if 0 in through and not candidates.is_complete(c):
            members = {k: c.members[k] for k in through}
            found.append(replace(c, members=members, ids={k: c.ids[k] for k in through}))
    return found


def _selected(
    complete: Sequence[Candidate], beside: Sequence[Candidate], candidates: Candidates, options: Options,
    finish: Finish,
) -> Chosen:  # fmt: skip
    """Choose among candidates.

    Args:
        complete: those that are trained on all folds.
        beside: those that are trained on the first: all are compared on the rows that it holds out, if there are any.
            One of both is not empty.
        candidates: all.
        options: the user's.
        finish: the time for it.
    """
    method: ensemble.Method = next(m for m in METHODS if m == options.ensemble)
    metric = candidates.metric
    true, _ = candidates.truth([*complete, *beside][0].predictions)
    row_weights = candidates.pool_weights()
    entrants, on = _Entrants.of([*complete, *beside], candidates), "out-of-fold predictions"
    if method != "greedy":  # an average, or votes, of nets
        nets_only = [c for c in entrants.best if not is_trees(c.recipe_id)]
        entrants = _Entrants(nets_only or entrants.best, [])
    every = [*entrants.best, *entrants.late]
    units = np.stack([candidates.truth(c.predictions)[1] for c in every])
    if beside:
        places = candidates.places(candidates.table.folds[0].valid)
        true, units, on = true[places], units[:, places], "the rows that the first fold holds out"
        row_weights = None if row_weights is None else row_weights[places]
    best = len(entrants.best)
    alone = [candidates.score(true, p, row_weights) for p in units[:best]]
    rows = some_rows(len(true), MAX_SELECTION_ROWS, options.seed, "selection")
    some_weights = None if row_weights is None else row_weights[rows]
    trees = np.array([is_trees(c.recipe_id) for c in every])
    known = _known_first(entrants.best, candidates, options)
    nets_alone: float | None = None

    def greedily(those: np.ndarray) -> ensemble.Selection:
        """Return the weights of all, of which only those are chosen from."""
        found = _greedy(
            units[np.ix_(those, rows)], those[:best].sum(), trees[those], true[rows], metric, some_weights, finish,
            candidates.comparable,
        )  # fmt: skip
        weights = np.zeros(len(every))
        weights[those] = found.weights
        first = [i for i in known if those[i]]
        if first and finish.has_left(0.5):
            weights = _shrunk(
                weights, first, units[:, rows], true[rows], some_weights, candidates.comparable
            )
        return found._replace(weights=weights)

    if method == "greedy":
        selection = greedily(np.ones(len(every), bool))
        if selection.weights[trees].sum() > 0 and not trees.all() and finish.has_left(0.6):
            alone_weights = greedily(~trees).weights
            nets_alone = candidates.score(
                true, ensemble.combine(units, alone_weights, method), row_weights
            )
    else:
        selection = ensemble.equal(len(every))
    combined, temperature = ensemble.combine(units, selection.weights, method), 1.0
    if candidates.table.data.task == "classification" and method != "vote":
        temperature = calibration.temperature(true[rows], combined[rows], some_weights)
        combined = calibration.tempered(combined, temperature)
    together = candidates.score(true, combined, row_weights)
    pick = max if metric.greater_is_better else min
    members: dict[int, tuple[Predictor, float]] = {}
    member_weight: dict[int, float] = {}
    for candidate, weight in zip(every, selection.weights, strict=True):
        if weight <= 0:
            continue
        kept = sorted(candidate.members.items())
        if candidates.table.split == "time-ordered":
            kept = kept[-1:]  # the others know the oldest rows only
        # Each net has its recipe's weight, so that a recipe that is trained on more folds counts more.
        for fold, net in kept:
            # The same net, where a fold's last epoch is its best one.
            members[id(net)] = net, members.get(id(net), (net, 0.0))[1] + weight
            member = candidate.ids[fold]
            if member >= 0:
                member_weight[member] = member_weight.get(member, 0.0) + weight
    weights = np.array([w for _, w in members.values()])
    total = weights.sum()
    shares = {i: float(w / total) for i, w in member_weight.items()}
    of_best = {id(n) for c in entrants.best for n in c.members.values()}
    gain = EnsembleFacts(
        method=method,
        score=together,
        best_member=pick(alone),
        mean_member=float(np.mean(alone)),
        on=on,
        path=list(selection.path),
        temperature=temperature,
        best_corrected=None if beside else _corrected(complete, alone, candidates),
        late=float(sum(w for i, (_, w) in members.items() if i not in of_best) / total),
        trees=float(sum(w for m, w in members.values() if not isinstance(m, Net)) / total),
        nets_alone=nets_alone,
    )
    return Chosen(
        tuple(m for m, _ in members.values()), weights / total, method, gain, shares,
        _held_out_by(every, selection.weights, method, temperature), temperature,
    )  # fmt: skip


def _held_out_by(
    entrants: Sequence[Candidate], weights: np.ndarray, method: ensemble.Method, temperature: float
) -> np.ndarray | None:
    """Return what those entrants that predict all of the pool say of it, ``(P, O)``; None if none has weight."""
    whole = [np.isfinite(c.predictions).all() for c in entrants]
    shares = np.where(whole, weights, 0.0)
    if not shares.any():
        return None
    used = np.flatnonzero(shares).tolist()
    predictions = np.stack([entrants[i].predictions for i in used])
    found = ensemble.combine(predictions, shares[used] / shares.sum(), method)
    return found if temperature == 1.0 else calibration.tempered(found, temperature)


def _known_first(best: Sequence[Candidate], candidates: Candidates, options: Options) -> list[int]:
    """Return the places of the first known recipes, and of the first trees; none where they are not known, or not all.

    What a user chose to search is not known to do well, nor are nets of images.
    """
    searched = options.search not in (None, "portfolio", "random")
    if options.ranges or options.recipe or searched or candidates.table.encoder.image is not None:
        return []
    place = {c.recipe_id: i for i, c in enumerate(best) if candidates.is_complete(c)}
    if any(i not in place for i in range(KNOWN_FIRST)):
        return []
    return [place[i] for i in (*range(KNOWN_FIRST), TREES_ID) if i in place]


def _shrunk(
    weights: np.ndarray, first: Sequence[int], units: np.ndarray, true: Array, row_weights: Array | None,
    comparable: Callable[[Array], np.ndarray],
) -> np.ndarray:  # fmt: skip
    """Return weights shrunk towards the mean of the first recipes, less where they are worse on held-out rows.

    Args:
        weights: ``(M,)``, as held-out rows choose them.
        first: places of the first recipes.
        units, true, row_weights, comparable: see `_greedy`.
    """
    known = np.zeros(len(weights))
    known[list(first)] = 1 / len(first)
    worse = _worse(known, weights, units, true, row_weights, comparable)
    share = PRIOR_ROWS / (PRIOR_ROWS + len(true)) * float(np.clip(1 - worse / FORGIVEN, 0, 1))
    return (1 - share) * weights + share * known


def _worse(
    a: np.ndarray, b: np.ndarray, units: np.ndarray, true: Array, row_weights: Array | None,
    comparable: Callable[[Array], np.ndarray],
) -> float:  # fmt: skip
    """Return by which share an ensemble's loss is higher than another's, given both's weights; see `_greedy`."""
    if true.ndim > 1:
        true = comparable(true)
    loss, other = (
        ensemble.smooth_loss(true, comparable(ensemble.combine(units, w)), row_weights)
        for w in (a, b)
    )
    return (loss - other) / max(other, 1e-12)


def _greedy(
    units: np.ndarray, best: int, trees: np.ndarray, true: Array, metric: Metric, weights: Array | None,
    finish: Finish, comparable: Callable[[Array], np.ndarray],
) -> ensemble.Selection:  # fmt: skip
    """Return the weights of a mixture: of what greedy selection takes of all, and of last epochs and trees alone.

    Args:
        units: ``(M, N, O)`` predictions as metrics take them.
        best: number of the first of them that are of best epochs; the others are of last ones.
        trees: ``(M,)``, which of them are trees.
        true: ``(N,)`` or ``(N, O)``.
        metric: to choose for.
        weights: ``(N,)`` of the rows, or None.
        finish: the time for it.
        comparable: see `Candidates.comparable`.
    """
    chosen = ensemble.greedy(units, true, metric, weights, deadline=finish.moment(0.6))
    if best == len(units) or not finish.has_left(0.5):
        return chosen
    others = trees | (np.arange(len(units)) >= best)
    late = ensemble.greedy(units[others], true, metric, weights, deadline=finish.moment(0.5))
    own = np.zeros(len(units))
    own[others] = late.weights
    worse = _worse(own, chosen.weights, units, true, weights, comparable)
    share = MAX_LATE * float(np.clip(1 - worse / FORGIVEN, 0, 1))
    return ensemble.Selection((1 - share) * chosen.weights + share * own, chosen.path)


def _corrected(
    complete: Sequence[Candidate], alone: Sequence[float], candidates: Candidates
) -> float | None:
    """Return the best recipe's score less what it owes to being the best of many, about; None if unknown."""
    recipes = [(c, s) for c, s in zip(complete, alone, strict=False) if is_net(c.recipe_id)]
    if len(recipes) < 2 or len(candidates.table.folds) < 2:
        return None
    better = candidates.metric.greater_is_better
    sign, pick = (-1.0, max) if better else (1.0, min)
    losses = [
        [sign * candidates.member_scores[i] for _, i in sorted(c.ids.items())] for c, _ in recipes
    ]
    return pick(score for _, score in recipes) + sign * selection_bias(np.array(losses))


def calibrated(
    candidates: Candidates, members: Sequence[Predictor], weights: np.ndarray
) -> conformal.Conformal | None:
    """Return what intervals are made from: errors on the rows that each member's fold holds out; None for classes."""
    data, homes = candidates.table.data, homes_of(candidates, members)
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
    if not candidates.by_rule or metric.level is not None:
        return None
    homes = homes_of(candidates, chosen.members)
    if homes is None:
        rows = table.train[:MAX_SELECTION_ROWS]
        found = ensemble.softmax(outputs(chosen.members, table.data.features, rows))
        predicted = ensemble.combine(found, chosen.weights)
    else:
        rows = candidates.rows
        predicted, _ = _held_out(candidates, homes, chosen.weights)
    there = np.isfinite(predicted).all(1)
    predicted[there] = calibration.tempered(predicted[there], chosen.temperature)
    weights = table.data.weights
    found = decisions.proven(
        metric, table.data.target[rows[there]], predicted[there],
        None if weights is None else np.asarray(weights)[rows[there]],
    )  # fmt: skip
    return found if isinstance(found, decisions.Decision) else None


def homes_of(
    candidates: Candidates, members: Sequence[Predictor]
) -> list[tuple[Candidate, int]] | None:
    """Return each member's candidate and fold; None if one is no candidate, as the linear model of all rows."""
    every = [*candidates.late.values(), *candidates.by_id.values()]
    homes = {id(m): (c, k) for c in every for k, m in c.members.items()}
    return None if any(id(m) not in homes for m in members) else [homes[id(m)] for m in members]


def _held_out(
    candidates: Candidates, homes: Sequence[tuple[Candidate, int]], weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of those members that did not train on a row, and their deviation, ``(P, O)``; NaN without any.

    Args:
        candidates: all.
        homes: candidate and fold of each member.
        weights: of each member.
    """
    centre, spread = np.full((2, len(candidates.rows), candidates.table.data.n_outputs), np.nan)
    for fold in {fold for _, fold in homes}:
        places = candidates.places(candidates.table.folds[fold].valid)
        mine = [i for i, (_, k) in enumerate(homes) if k == fold]
        found = np.stack([homes[i][0].predictions[places] for i in mine])
        _, means, spreads = conformal.by_fold(found, weights[mine], [fold] * len(mine))
        centre[places], spread[places] = means[0], spreads[0]
    return centre, spread
