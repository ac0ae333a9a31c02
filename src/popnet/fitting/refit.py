"""The chosen recipes once more, on all rows: no fold holds any out (popnet fit --refit).

Each net of an ensemble has learned from the rows of all folds but one. Once the recipes, their weights, the temperature
and the errors that intervals are made from are known, nets of the same recipes can learn from every row. What is known
of the score is that of the nets of the folds: the new ones have no held-out rows, unless a test part stays apart.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from popnet.fitting.candidates import Candidates, is_net
from popnet.fitting.selection import Chosen, homes
from popnet.fitting.training import EPOCH_ROWS
from popnet.model import baselines
from popnet.model.facts import EnsembleScores
from popnet.model.members import Predictor, as_members
from popnet.model.model import Model
from popnet.model.summary import number
from popnet.nn import net as nets
from popnet.population.feed import Arrays
from popnet.population.members import Member, Result, TrainingSegment
from popnet.population.predict import Net
from popnet.population.train import Trainer
from popnet.prepare.prepared import Prepared
from popnet.report.fit_page.facts import RefitFacts
from popnet.report.format import count
from popnet.runtime import keys
from popnet.runtime.memory import Memory
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Form

WATCHED_ROWS = 256
"""Training rows whose loss says whether a net diverges; nothing else depends on them."""


@dataclass
class Again:
    """A part of an ensemble: a recipe, or something else that is trained on folds.

    Attributes:
        recipe: with the mean of its folds' epochs; None for what is not trained again (boosted trees).
        until: the epoch after which it ends.
        seed: of the recipe's nets.
        weight: of the ensemble.
        members: that have it: those of the folds at first.
    """

    recipe: Recipe | None
    until: int
    seed: int
    weight: float
    members: list[Predictor] = field(default_factory=list[Predictor])


class Refitted(NamedTuple):
    """An ensemble whose nets were trained again.

    Attributes:
        members: nets, and trees as they were.
        weights: ``(len(members),)``, sum 1.
        trained: nets that were trained again.
        recipes: of these.
        kept: recipes that keep the nets of their folds: there was no time.
    """

    members: tuple[Predictor, ...]
    weights: np.ndarray
    trained: int
    recipes: int
    kept: int


def rows_of(table: Prepared, which: str) -> np.ndarray:
    """Return the rows that ``--refit train`` or ``--refit all`` trains on."""
    return table.train if which == "train" else np.union1d(table.train, table.test)


def is_measured(table: Prepared, which: str) -> bool:
    """Return whether rows stay apart that can measure the nets that were trained again."""
    return which == "train" and len(table.test) > 0


def with_members(model: Model, found: Refitted) -> Model:
    """Return a model with other members, which reads, decides and errs as before.

    All members have learned from the same rows, as those of one fold had, and differ as these did: that is what the
    usual size of errors was learned by (`popnet.predictions.conformal`).
    """
    nets, trees, weights = as_members(found.members, found.weights)
    known = model.conformal
    conformal = None if known is None else replace(known, folds=(0,) * len(weights))
    return replace(model, nets=nets, trees=trees, weights=weights, conformal=conformal)


def facts(
    found: Refitted, table: Prepared, which: str, scores: EnsembleScores, out_of_fold: float | None
) -> RefitFacts:
    """Return what there is to be said of nets that were trained again.

    Args:
        found: they.
        table: the data.
        which: ``train`` or ``all``.
        scores: of the test part: of these nets where it was held out of their rows, else of those of the folds.
        out_of_fold: the score of the folds' nets on the rows that their folds hold out; None if unknown.
    """
    measured = is_measured(table, which)
    return RefitFacts(
        rows=which,
        trained_on=len(rows_of(table, which)),
        nets=found.trained,
        recipes=found.recipes,
        kept=found.kept,
        trees=any(not isinstance(m, Net) for m in found.members),
        measured=measured,
        expected=out_of_fold if measured else scores.score,
        expected_on="out-of-fold predictions" if measured else scores.scored_on.removeprefix("on "),
    )


def sentence(refit: RefitFacts, metric: str) -> str:
    """Return in a sentence what was trained again, and what is expected of it."""
    which = (
        "all training rows"
        if refit.rows == "train"
        else "all rows, those of the test part included"
    )
    kept = (
        f"; {count(refit.kept, 'recipe')} had no time and kept the nets of the folds"
        if refit.kept
        else ""
    )
    trees = "; boosted trees stay those of the folds" if refit.trees else ""
    text = (
        f"the chosen recipes were trained again on {which} ({refit.trained_on:,}): {count(refit.nets, 'net')} of "
        f"{count(refit.recipes, 'recipe')}{kept}{trees}"
    )
    expected = "" if refit.expected is None else f" {metric} {number(refit.expected)}"
    if refit.measured:
        return f"{text}. The nets of the folds had{expected} on {refit.expected_on}"
    return (
        f"{text}. Their score is not measured, as no rows are left that they have not seen; expect about that of the "
        f"nets of the folds:{expected} on {refit.expected_on}"
    )


def refit(
    candidates: Candidates, results: dict[int, Result], chosen: Chosen, rows: np.ndarray, seed: int,
    deadline: float | None, workers: int | None, stop: threading.Event, memory: Memory,
) -> Refitted | None:  # fmt: skip
    """Train the nets of an ensemble once more, on other rows; None where it is of no recipes.

    Every recipe has one net first, then a second one with another seed, and so on: as many together as the ensemble
    has, each recipe as many as its weight says but not more than it had. They share the recipe's weight. The linear
    model is fitted again, too; boosted trees, whose rounds are counted by held-out rows, stay those of the folds.

    Args:
        candidates: which the ensemble was chosen from.
        results: of the population, by the members' numbers.
        chosen: the ensemble.
        rows: to train on.
        seed: of the fit.
        deadline: moment of ``time.monotonic()`` at which training ends; recipes that have no net by then keep those of
            their folds.
        workers, stop, memory: as of `popnet.population.train.Trainer`.
    """
    parts = _parts(candidates, results, chosen)
    if parts is None:
        return None
    data = candidates.table.data
    old = {id(part): part.members for part in parts}
    for part in parts:
        if part.recipe is not None and part.until == 0:
            part.members = [baselines.linear(data, rows, seed)]
    again = [p for p in parts if p.recipe is not None and p.until > 0]
    watched = np.sort(keys.generator(seed, "watched").permutation(rows)[:WATCHED_ROWS])
    image = candidates.table.encoder.image is not None
    arrays = Arrays(data, data, [(rows, watched)], None if image else EPOCH_ROWS)
    trainer = Trainer(arrays, deadline, workers, stop, memory)
    trainer.specialised = candidates.specialised
    order = list(_order(again, len(chosen.members)))
    segments = [_segment(part, turn) for part, turn in order]
    new: dict[int, list[tuple[int, Net]]] = {}
    for i, result in trainer.run(enumerate(segments)):
        net = at_end(result, candidates.specialised)
        if net is not None:
            part, turn = order[i]
            new.setdefault(id(part), []).append((turn, net))
    for part in again:
        if id(part) in new:
            part.members = [net for _, net in sorted(new[id(part)], key=lambda each: each[0])]
    members = [m for part in parts for m in part.members]
    weights = np.array([part.weight / len(part.members) for part in parts for _ in part.members])
    trained = sum(len(p.members) for p in parts if p.members is not old[id(p)])
    return Refitted(
        tuple(members), weights / weights.sum(), trained,
        sum(p.members is not old[id(p)] for p in parts), sum(id(p) not in new for p in again),
    )  # fmt: skip


def _parts(
    candidates: Candidates, results: dict[int, Result], chosen: Chosen
) -> list[Again] | None:
    """Return the parts of an ensemble; None if nothing is known of a member's folds.

    A net is trained for as many epochs as its recipe's nets of the folds were, on average, up to the one whose weights
    are in the ensemble: where early stopping found the best, or the last one. They are passes over the rows, which are
    more now, so that steps are more by the same share; how often each row is seen is what over-fitting depends on. The
    schedule of the learning rate keeps its length.
    """
    known = homes(candidates, chosen.members)
    if known is None:
        return None
    found: dict[int, Again] = {}
    for member, weight, (candidate, _) in zip(chosen.members, chosen.weights, known, strict=True):
        part = found.get(id(candidate))
        if part is None:
            part = found[id(candidate)] = Again(None, 0, 0, 0.0)
            if candidate.recipe_id == baselines.LINEAR_ID:
                part.recipe = baselines.LINEAR
            elif is_net(candidate.recipe_id):
                own = [results[i] for i in candidate.ids.values()]
                late = candidates.late.get(candidate.recipe_id) is candidate
                epochs = round(float(np.mean([r.member.recipe.epochs for r in own])))
                ended = [(r.epochs if late else r.best_epoch) / r.member.recipe.epochs for r in own]
                part.until = int(np.clip(round(float(np.mean(ended)) * epochs), 1, epochs))
                part.recipe = own[0].member.recipe.replace(epochs=epochs, patience=epochs)
                part.seed = own[0].member.seed
        part.weight += float(weight)
        part.members.append(member)
    return list(found.values())


def _order(parts: Sequence[Again], nets_wanted: int) -> Iterator[tuple[Again, int]]:
    """Yield recipes with the numbers of their nets, from 0: a first net of each, a second one of the heavier, ..."""
    counts = [
        int(np.clip(round(part.weight * nets_wanted), 1, len(part.members))) for part in parts
    ]
    heaviest = sorted(range(len(parts)), key=lambda k: -parts[k].weight)
    for turn in range(max(counts, default=0)):
        for k in heaviest:
            if turn < counts[k]:
                yield parts[k], turn


def _segment(part: Again, turn: int) -> TrainingSegment:
    """Return the training of a recipe's net with a number; the first has the seed of the folds' nets."""
    assert part.recipe is not None
    seed = part.seed if turn == 0 else int(keys.key(part.seed, "refit", turn))
    until = None if part.until >= part.recipe.epochs else part.until
    return TrainingSegment(Member(part.recipe, seed), until)


def at_end(result: Result, specialised: bool) -> Net | None:
    """Return a net as its training, or its segment, left it, whatever its loss was before; None if that was cut short.

    Args:
        result: of the training.
        specialised: of its trainer.
    """
    if result.status == "finished":
        return Net.at_last(result) or Net.of(result)
    if result.pause is None:
        return None
    recipe, shape = result.member.recipe, result.shape
    form = Form.of(shape.specialised(recipe) if specialised else shape)
    state = result.pause.state.state
    return Net(recipe, shape, *nets.unpad(state.average, state.running, shape, form))
