"""Train a recipe under the eyes of the rules, and prove what mends it by twins."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from popnet.ablation.design import Pair
from popnet.ablation.experiment import MIN_PAIRS, Experiment
from popnet.ablation.factors import Factor, Level
from popnet.ablation.losses import chance
from popnet.ablation.results import Effect
from popnet.data.dataset import Dataset
from popnet.diagnosis.findings import DoctorFinding, Proof, Remedy
from popnet.diagnosis.nets.checks import ProbedTraining
from popnet.diagnosis.nets.rules import FiredRule, examine
from popnet.population.feed import Arrays
from popnet.population.members import Member, Result
from popnet.population.predict import Net, predict
from popnet.population.train import Trainer
from popnet.predictions.ensemble import softmax
from popnet.runtime.memory import Memory
from popnet.spec.recipe import Recipe
from popnet.types import Array

TRAININGS = 4
"""Nets that the rules look at: different rows and seeds."""

MIN_CHANCE_LOSS = 1e-9
"""Least loss of a constant: a target of one class or value is divided by it."""

LABEL_REPEATS = 3
"""Nets for each row that did not see it, for the search of wrong labels."""


@dataclass(frozen=True)
class Limits:
    """What bounds the work: a deadline of ``time.monotonic()``, threads, an event that stops it, memory."""

    deadline: float | None = None
    workers: int | None = None
    stop: threading.Event | None = None
    memory: Memory | None = None

    def trainer(self, data: Dataset, pairs: Sequence[Pair], probed: bool = False) -> Trainer:
        """Return a trainer of pairs' training and validation rows; a pair's number is its fold's."""
        arrays = Arrays(data, data, [(p.train, p.valid) for p in pairs])
        return Trainer(arrays, self.deadline, self.workers, self.stop, self.memory, probed)


def trainings(
    data: Dataset, recipe: Recipe, pairs: Sequence[Pair], limits: Limits, on_net: Callable[[], None]
) -> list[ProbedTraining]:
    """Train a recipe with probes on the rows of a few pairs.

    Returns:
        Those that were not interrupted.
    """
    trainer = limits.trainer(data, pairs, probed=True)
    members = [Member(recipe, p.seed, k) for k, p in enumerate(pairs)]
    results: dict[int, Result] = {}
    for i, result in trainer.run(enumerate(members)):
        on_net()
        if result.status != "interrupted":
            results[i] = result
    return [
        ProbedTraining(
            results[i], max(chance(data, pairs[i].train), MIN_CHANCE_LOSS),
            0 if data.task == "regression" else data.n_outputs, len(pairs[i].train), recipe.kind != "mlp",
        )
        for i in sorted(results)
    ]  # fmt: skip


def symptoms(found: list[ProbedTraining]) -> list[tuple[DoctorFinding, FiredRule]]:
    """Return what the rules find, without proofs."""
    out = []
    for fired in examine(found):
        rule, hit = fired.rule, fired.hit
        recipe = found[0].recipe
        changes = {f: v for f, v in rule.fields(recipe).items() if getattr(recipe, f) != v}
        out.append((
            DoctorFinding(
                rule.name, rule.title, rule.severity, hit.where,
                f"{hit.measured} (in {fired.trainings} of {len(found)} trainings)", hit.value, rule.threshold,
                rule.source, rule.meaning, Remedy(rule.remedy, changes),
            ),
            fired,
        ))  # fmt: skip
    return out


def proven(
    data: Dataset,
    recipe: Recipe,
    findings: Sequence[DoctorFinding],
    pairs: Sequence[Pair],
    limits: Limits,
    on_net: Callable[[], None],
    trained: Sequence[ProbedTraining] = (),
) -> dict[str, Proof]:
    """Train the remedies of findings about nets as twins.

    Args:
        data, recipe: what is trained.
        findings: whose remedies are tried.
        pairs: of twins.
        limits: of the work.
        on_net: called after each net.
        trained: of the recipe on the first pairs: nets that need not be trained again.

    Returns:
        A proof for each rule whose remedy changes the recipe; those that there was no time for are left out.
    """
    tried = [f for f in findings if f.remedy.fields]
    if not tried:
        return {}
    factors = [Factor(f.rule, "as it is", (Level(f.rule, f.remedy.fields),)) for f in tried]
    metric = "error" if data.task == "regression" else "log_loss"
    experiment = Experiment(
        data, pairs, recipe, factors, metric=metric, deadline=limits.deadline, workers=limits.workers,
        stop=limits.stop, memory=limits.memory, known={t.result.member: t.result for t in trained},
    )  # fmt: skip
    experiment.run(range(len(pairs)), on_net)
    if len(experiment.done()) < MIN_PAIRS:
        return {}
    found = experiment.found(experiment.detect(None), len(pairs))
    return {e.factor: proof(e, data.task) for e in found.effects}


def proof(effect: Effect, task: str) -> Proof:
    """Return an effect as the proof of a remedy."""
    said = {
        "helps": "helps", "harms": "does harm", "no effect": "does not help",
    }.get(effect.said, "shows no gain")  # fmt: skip
    metric = "share of the variance unexplained" if task == "regression" else "log-loss"
    return Proof(
        metric, effect.base_error, effect.error, effect.gain.mean, effect.gain.low, effect.gain.high, effect.pairs,
        said,
    )  # fmt: skip


def out_of_fold_probabilities(
    data: Dataset, recipe: Recipe, rows: Array, limits: Limits, on_net: Callable[[], None],
    folds: Callable[[int], Sequence[Pair]],
) -> np.ndarray | None:  # fmt: skip
    """Return probabilities of rows by nets that did not see them, ``(LABEL_REPEATS, N, C)``; None if the time was over.

    Args:
        data, recipe: what is trained.
        rows: ``(N,)``.
        limits: of the work.
        on_net: called after each net.
        folds: gives the folds of a repeat; their test rows together are ``rows``.
    """
    out = np.full((LABEL_REPEATS, len(rows), data.n_outputs), np.nan)
    place = np.full(len(data), -1)
    place[rows] = np.arange(len(rows))
    every = [(r, pair) for r in range(LABEL_REPEATS) for pair in folds(r)]
    trainer = limits.trainer(data, [p for _, p in every])
    members = [Member(recipe, p.seed, k) for k, (_, p) in enumerate(every)]
    for i, result in trainer.run(enumerate(members)):
        on_net()
        if result.status == "interrupted" or not result.usable:
            continue
        repeat, pair = every[i]
        net = Net.of(result)
        outputs = predict([net], data.features, pair.test, limits.workers)[0]
        out[repeat, place[pair.test]] = softmax(outputs)
    return None if np.isnan(out).any() else out
