"""Train a recipe with probes for the rules to look at, and test remedies by twins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from popnet.ablation.design import Pair
from popnet.ablation.experiment import MIN_PAIRS, Experiment
from popnet.ablation.factors import Factor, Level
from popnet.ablation.losses import chance
from popnet.ablation.results import Effect
from popnet.data.dataset import Dataset
from popnet.diagnosis.findings import DoctorFinding, Proof, ProofVerdict, Remedy
from popnet.diagnosis.limits import Limits
from popnet.diagnosis.nets.checks import ProbedTraining
from popnet.diagnosis.nets.rules import FiredRule, examine
from popnet.population.feed import Arrays
from popnet.population.members import Member, Result
from popnet.population.predict import Net, predict
from popnet.population.train import Trainer
from popnet.predictions.ensemble import softmax
from popnet.spec.recipe import Recipe
from popnet.types import Array

TRAININGS = 4
"""Nets that the rules look at, with different rows and seeds."""

MIN_CHANCE_LOSS = 1e-9
"""The smallest loss of a constant prediction to divide by; that of a target with one class or value is 0."""

LABEL_REPEATS = 3
"""Cross-validations by which wrong labels are searched for: so many nets have not seen a row."""


def _trainer(data: Dataset, pairs: Sequence[Pair], limits: Limits, probed: bool = False) -> Trainer:
    """Return a trainer of pairs' training and validation rows; a pair's number is its fold's."""
    return limits.trainer(Arrays(data, data, [(p.train, p.valid) for p in pairs]), probed)


class Symptom(NamedTuple):
    """A finding about nets before its remedy is tested, and the rule that fired."""

    finding: DoctorFinding
    fired: FiredRule


def trainings(
    data: Dataset, recipe: Recipe, pairs: Sequence[Pair], limits: Limits, on_net: Callable[[], None]
) -> list[ProbedTraining]:
    """Train a recipe with probes on the rows of a few pairs.

    Returns:
        The trainings that were not interrupted.
    """
    trainer = _trainer(data, pairs, limits, probed=True)
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


def symptoms(found: list[ProbedTraining]) -> list[Symptom]:
    """Return what the rules find, before remedies are tested."""
    out: list[Symptom] = []
    for fired in examine(found):
        rule, hit = fired.rule, fired.hit
        recipe = found[0].recipe
        changes = {f: v for f, v in rule.fields(recipe).items() if getattr(recipe, f) != v}
        out.append(Symptom(
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
    """Test the remedies of findings about nets: train twins with and without them.

    Args:
        data, recipe: what is trained.
        findings: whose remedies are tested.
        pairs: of twins.
        limits: of the work.
        on_net: called after each net.
        trained: of the recipe on the first pairs: nets that need not be trained again.

    Returns:
        A proof for each rule whose remedy changes the recipe, if there was time for it.
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
    verdicts: dict[str, ProofVerdict] = {
        "helps": "helps", "harms": "does harm", "no effect": "does not help",
    }  # fmt: skip
    said = verdicts.get(effect.verdict, "shows no gain")
    metric = "share of the variance unexplained" if task == "regression" else "log-loss"
    return Proof(
        metric, effect.base_error, effect.error, effect.gain.mean, effect.gain.low, effect.gain.high, effect.pairs,
        said,
    )  # fmt: skip


def out_of_fold_probabilities(
    data: Dataset, recipe: Recipe, rows: Array, limits: Limits, on_net: Callable[[], None],
    folds: Callable[[int], Sequence[Pair]],
) -> np.ndarray | None:  # fmt: skip
    """Return probabilities of rows by nets that have not seen them, ``(LABEL_REPEATS, N, C)``; None if time ran out.

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
    trainer = _trainer(data, [p for _, p in every], limits)
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
